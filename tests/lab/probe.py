"""Probes in the lab: namespaces plugged into any wire, sending to each other and listening by raw sockets.

A probe is no lab host: it boots nothing. It is a network namespace of the lab (so that `lab down`
removes it) with an address of the plan's in one LAN. Hosts of the lab lend their namespaces where a
probe cannot be: the one that plays the internet, published servers, and the gateways themselves,
whose `input` is watched behind the filter.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from topology.allocate import Plan
from topology.lab.names import LabNames
from topology.lab.slice import lab_spec

AGENT = Path(__file__).with_name("probe_agent.py")
QUIET = """
table inet topology_quiet {
  chain input {
    type filter hook input priority -300; policy accept;
    iifname "mgmt0" accept
    meta l4proto { tcp, udp } drop
    icmp type { echo-request, echo-reply } drop
    icmpv6 type { echo-request, echo-reply } drop
  }
}
"""
WATCH = """
table inet topology_watch {
  set tcp_marks { typeof @th,32,32; flags dynamic; size 500000; }
  set marks { typeof @th,96,32; flags dynamic; size 500000; }
  chain input {
    type filter hook input priority 300; policy accept;
    ct state established accept
    meta l4proto tcp add @tcp_marks { @th,32,32 }
    meta l4proto { udp, icmp, ipv6-icmp } @th,64,32 0x6d61726b add @marks { @th,96,32 }
  }
}
"""


@dataclass(frozen=True)
class Probe:
    """A namespace from which packets are sent, or in which they arrive."""

    name: str
    netns: str
    addresses: tuple[str, ...]
    """IPv4, ULA, GUA; of the internet IPv4 and GUA."""

    def address(self, family: int) -> str:
        """Return its address of a family: IPv4, or the ULA (of the internet: the GUA)."""
        return next(a for a in self.addresses if (":" in a) == (family == 6))

    @property
    def gua(self) -> str:
        """Return its address of the IPv6 internet."""
        return [a for a in self.addresses if ":" in a][-1]

    def run(self, *command: str, stdin: str | None = None) -> str:
        """Run a command in it."""
        return sh("ip", "netns", "exec", self.netns, *command, stdin=stdin)


def sh(*command: str, stdin: str | None = None) -> str:
    """Run a command and return what it says; it must succeed."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def names_of(plan: Plan) -> LabNames:
    """Return the names of the lab that a plan is for."""
    assert plan.district.lab is not None
    return LabNames(plan.district.lab.name)


@contextmanager
def plugged(
    plan: Plan, name: str, wire: str, addresses: Sequence[str], routers: Sequence[str], mac: str | None = None
) -> Iterator[Probe]:
    """Plug a probe into a wire; addresses have lengths, a router per family. It answers nothing but neighbours."""
    names = names_of(plan)
    index = [w.name for w in lab_spec(plan).wires].index(wire)
    netns, port = f"{names.lab}-p-{name}", f"x{name}"
    assert len(port) <= 15, port
    subprocess.run(["ip", "netns", "delete", netns], capture_output=True, check=False)  # of a killed run
    sh("ip", "netns", "add", netns)
    try:
        extra = ["address", mac] if mac else []
        sh("ip", "-n", names.wires_netns, "link", "add", port, "type", "veth", "peer", "name", "eth0", *extra,
           "netns", netns)  # fmt: skip
        sh("ip", "-n", names.wires_netns, "link", "set", port, "master", f"w{index}", "up")
        probe = Probe(name, netns, tuple(a.split("/")[0] for a in addresses))
        probe.run("sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0", "net.ipv6.conf.eth0.accept_ra=0")
        probe.run("nft", "-f", "-", stdin=QUIET)
        lines = ["link set lo up", "link set eth0 up"]
        lines += [f"address add {a} dev eth0{' nodad' if ':' in a else ''}" for a in addresses]
        lines += [f"{'-6 ' if ':' in r else ''}route add default via {r}" for r in routers]
        for line in lines:
            sh("ip", "-n", netns, *line.split())
        yield probe
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
    name = f"{lan.second_octet}.{lan.third_octet}.{number}"
    with plugged(plan, name, f"{site}.{network}", lengths, routers[:2]) as probe:
        yield Probe(f"{site}.{network}", probe.netns, probe.addresses)


@contextmanager
def on_host(
    plan: Plan, host: str, extra: Sequence[str] = (), routes: Mapping[str, str] | None = None
) -> Iterator[Probe]:
    """Borrow a lab host that is no gateway: with extra addresses and routes, deaf to probes, and restored after."""
    netns = names_of(plan).host_netns(host)
    own = next(i for i in plan.hosts[host].interfaces if i.kind in ("host", "uplink")).addresses
    undo: list[list[str]] = []
    try:
        sh("ip", "netns", "exec", netns, "nft", "-f", "-", stdin=QUIET)
        undo.append(["ip", "netns", "exec", netns, "nft", "delete", "table", "inet", "topology_quiet"])
        for address in extra:
            length = 128 if ":" in address else 32
            sh("ip", "-n", netns, "address", "add", f"{address}/{length}", "dev", "lo")
            undo.append(["ip", "-n", netns, "address", "delete", f"{address}/{length}", "dev", "lo"])
        for prefix, via in (routes or {}).items():
            family = "-6" if ":" in prefix else "-4"
            sh("ip", family, "-n", netns, "route", "add", prefix, "via", via, "metric", "1")
            undo.append(["ip", family, "-n", netns, "route", "delete", prefix, "via", via, "metric", "1"])
        yield Probe(host, netns, tuple(extra) or own)
    finally:
        for command in reversed(undo):
            subprocess.run(command, capture_output=True, check=False)


@dataclass(frozen=True)
class Watch:
    """A gateway's namespace, where marks that got past the filter's `input` are noted."""

    host: str
    netns: str

    def marks(self) -> set[int]:
        """Return the marks of what reached the gateway itself."""
        found: set[int] = set()
        for name in ("tcp_marks", "marks"):
            out = sh("ip", "netns", "exec", self.netns, "nft", "-j", "list", "set", "inet", "topology_watch", name)
            found.update(next(o["set"] for o in json.loads(out)["nftables"] if "set" in o).get("elem", []))
        return found

    def counters(self) -> dict[str, int]:
        """Return packets by label of the gateway's filter."""
        out = sh("ip", "netns", "exec", self.netns, "nft", "-j", "list", "counters", "table", "inet", "topology")
        return {o["counter"]["name"]: o["counter"]["packets"] for o in json.loads(out)["nftables"] if "counter" in o}

    def probe(self, addresses: Iterable[str] = ()) -> Probe:
        """Return the gateway as a sender."""
        return Probe(self.host, self.netns, tuple(addresses))


@contextmanager
def watched(plan: Plan, host: str) -> Iterator[Watch]:
    """Note what gets past a gateway's filter, in a table of its own that is removed after."""
    netns = names_of(plan).host_netns(host)
    command = ["ip", "netns", "exec", netns, "nft"]
    subprocess.run([*command, "delete", "table", "inet", "topology_watch"], capture_output=True, check=False)
    sh(*command, "-f", "-", stdin=WATCH)
    try:
        yield Watch(host, netns)
    finally:
        subprocess.run([*command, "delete", "table", "inet", "topology_watch"], capture_output=True, check=False)


@dataclass(frozen=True)
class Shot:
    """One packet to send: protocol is tcp, udp, icmp (echo, both families), ack (a lone ACK), ra, redirect."""

    mark: int
    protocol: str
    address: str
    port: int = 0
    source: str | None = None
    """A spoofed source; None: the kernel's choice."""
    sport: int = 0
    """A source port; 0: one of its own."""
    prefix: str = "::"
    """Of an advertisement: the prefix it advertises."""


class Marks:
    """Numbers for shots, different in every run: old connections and late packets are nobody's."""

    def __init__(self) -> None:
        self.next = secrets.randbelow(1 << 31)

    def __call__(self) -> int:
        """Return the next number."""
        self.next += 1
        return self.next


@dataclass(frozen=True)
class Volley:
    """Shots of one sender; with a device they are frames put on it, to the hardware address `mac`."""

    sender: Probe
    shots: Sequence[Shot]
    device: str | None = None
    mac: str = "00" * 6


@dataclass(frozen=True)
class Heard:
    """What arrived at a receiver: marks, and advertisements by source."""

    marks: frozenset[int]
    kinds: dict[str, int]


def fire(volleys: Sequence[Volley], receivers: Sequence[Probe], rate: float = 250, wait: float = 1.0) -> list[Heard]:
    """Send all volleys at once, each at `rate` packets a second, and return what each receiver heard."""
    running: list[subprocess.Popen[str]] = []
    try:
        listeners = [_agent(r.netns, "listen") for r in receivers]
        running += listeners
        for listener in listeners:
            assert listener.stdout is not None and listener.stdout.readline() == "ready\n", listener.communicate()
        senders = [_agent(v.sender.netns, "send") for v in volleys]
        running += senders
        for volley, sender in zip(volleys, senders, strict=True):
            assert sender.stdin is not None
            job = {"shots": [asdict(s) for s in volley.shots], "rate": rate, "device": volley.device,
                   "mac": volley.mac.replace(":", "")}  # fmt: skip
            sender.stdin.write(json.dumps(job))
            sender.stdin.close()
            sender.stdin = None
        longest = max((len(v.shots) for v in volleys), default=0) / rate
        for volley, sender in zip(volleys, senders, strict=True):
            out, errors = sender.communicate(timeout=60 + 3 * longest)
            assert sender.returncode == 0, errors
            # what a gateway's own filter refuses is EPERM: sent, and dropped
            assert set(json.loads(out)) <= {"EPERM"}, f"{volley.sender.name} did not send: {out}"
        for listener in listeners:
            assert listener.stdin is not None
            listener.stdin.write(json.dumps({"wait": wait}) + "\n")
            listener.stdin.flush()
        heard = []
        for listener in listeners:
            out, errors = listener.communicate(timeout=60)
            assert listener.returncode == 0, errors
            told: dict[str, Any] = json.loads(out)
            assert told["lost"] == 0, "a listener was too slow; its answer is worth nothing"
            heard.append(Heard(frozenset(told["marks"]), told["kinds"]))
    finally:
        for process in running:
            process.kill()
            process.wait()
    return heard


def _agent(netns: str, verb: str) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", netns, sys.executable, "-I", str(AGENT), verb]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
