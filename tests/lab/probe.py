"""Probes in the lab: namespaces plugged into any wire, sending to each other and listening by raw sockets.

A probe is no lab host: it boots nothing. It is a network namespace of the lab (so that `lab down`
removes it) with an address of the plan's in one LAN, or on the lab's internet.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topology.allocate import Plan
from topology.lab.names import LabNames
from topology.lab.slice import lab_spec

AGENT = Path(__file__).with_name("probe_agent.py")


@dataclass(frozen=True)
class Probe:
    """A namespace with one interface `eth0`."""

    netns: str
    addresses: tuple[str, ...]

    def address(self, family: int) -> str:
        """Return its address of a family: IPv4, or the ULA."""
        return next(a for a in self.addresses if (":" in a) == (family == 6))

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in it."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.netns, *command], capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout


def sh(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@contextmanager
def plugged(
    plan: Plan, name: str, wire: str, addresses: Sequence[str], routers: Sequence[str], mac: str | None = None
) -> Iterator[Probe]:
    """Plug a probe into a wire; addresses have lengths, a router per family."""
    assert plan.district.lab is not None
    names = LabNames(plan.district.lab.name)
    spec = lab_spec(plan)
    index = [w.name for w in spec.wires].index(wire)
    netns, port = f"{names.lab}-p-{name}", f"x-{name}"[:15]
    sh("ip", "netns", "add", netns)
    try:
        extra = ["address", mac] if mac else []
        sh("ip", "-n", names.wires_netns, "link", "add", port, "type", "veth", "peer", "name", "eth0", *extra,
           "netns", netns)  # fmt: skip
        sh("ip", "-n", names.wires_netns, "link", "set", port, "master", f"w{index}", "up")
        sh("ip", "-n", netns, "link", "set", "lo", "up")
        sh("ip", "netns", "exec", netns, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0",
           "net.ipv6.conf.eth0.accept_ra=0")  # fmt: skip
        sh("ip", "-n", netns, "link", "set", "eth0", "up")
        for address in addresses:
            sh("ip", "-n", netns, "address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
        for router in routers:
            sh("ip", "-6" if ":" in router else "-4", "-n", netns, "route", "add", "default", "via", router)
        yield Probe(netns, tuple(a.split("/")[0] for a in addresses))
    finally:
        subprocess.run(["ip", "-n", names.wires_netns, "link", "delete", port], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "delete", netns], capture_output=True, check=False)


@contextmanager
def in_lan(plan: Plan, site: str, network: str, number: int = 90) -> Iterator[Probe]:
    """Plug a probe into a site's LAN, as host `number`."""
    lan = plan.sites[site].network(network)
    addresses = plan.district.space.host(lan.second_octet, lan.third_octet, number)
    routers = plan.district.space.host(lan.second_octet, lan.third_octet, 1)
    lengths = [f"{a}/{64 if ':' in a else 24}" for a in addresses]
    with plugged(
        plan, f"{plan.sites[site].place.second_octet}-{network}", f"{site}.{network}", lengths, routers[:2]
    ) as p:
        yield p


@dataclass(frozen=True)
class Shot:
    """One packet to send: protocol is tcp, udp, icmp (both families), ack (a lone ACK)."""

    protocol: str
    address: str
    port: int = 0
    source: str | None = None
    """A spoofed source."""


def fire(sender: Probe, receiver: Probe, shots: Sequence[Shot], wait: float = 1.0) -> set[tuple[str, str, int]]:
    """Send the shots and return (protocol, destination, port) of those that arrived at the receiver."""
    return fire_many(sender, {"": receiver}, shots, wait)


def fire_many(
    sender: Probe, receivers: dict[str, Probe], shots: Sequence[Shot], wait: float = 1.0
) -> set[tuple[str, str, int]]:
    """Send the shots once and return those that arrived at any of the receivers."""
    listeners = [_agent(r, "listen", {"sources": sorted({s.source for s in shots if s.source} | set(sender.addresses))})
                 for r in receivers.values()]  # fmt: skip
    try:
        for listener in listeners:
            assert listener.stdout is not None and listener.stdout.readline() == "ready\n"
        send = _agent(sender, "send", {"shots": [vars(s) for s in shots]})
        _, errors = send.communicate(timeout=120)
        assert send.returncode == 0, errors
        found: set[tuple[str, str, int]] = set()
        for listener in listeners:
            out, errors = listener.communicate(json.dumps({"wait": wait}) + "\n", timeout=60)
            assert listener.returncode == 0, errors
            found |= {(p, a, n) for p, a, n in json.loads(out)}
    finally:
        for listener in listeners:
            listener.kill()
    return found


def _agent(probe: Probe, verb: str, arguments: dict[str, Any]) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", probe.netns, sys.executable, str(AGENT), verb, json.dumps(arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
