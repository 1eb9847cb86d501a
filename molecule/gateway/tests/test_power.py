"""A gateway's power is cut and comes back: from power-on it filters before it forwards.

Two hosts behind it and the internet send a datagram every 20 ms through the whole boot: what nobody permits must
never arrive, and what is permitted must, or nothing is proven. At the end the rules are taken away, and then the
forbidden datagrams do arrive: the probe is able to see them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from topology import lab
from topology.allocate import Plan
from topology.lab.names import LabNames
from topology.lab.slice import lab_spec

GATEWAY = "diskominfo-gw"
AGENT = Path(__file__).with_name("power_agent.py")
FIGURES = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build" / "figures.jsonl"
PORT, PERMITTED = 40_000, 443
AFTER = 20.0
"""Seconds to go on after the first permitted datagram arrived."""


def address(plan: Plan, host: str) -> str:
    """Return the IPv4 address of a host's first interface with one."""
    found = (a for i in plan.hosts[host].interfaces if i.kind != "loopback" for a in i.addresses)
    return next(a for a in found if ":" not in a)


def in_host(name: str, host: str) -> list[str]:
    """Return what runs a command of this machine in the network of a container of the lab."""
    return ["nsenter", f"--net=/run/netns/{LabNames(name).host_netns(host)}", "--"]


@contextmanager
def agents(plan: Plan, name: str, folder: Path) -> Iterator[dict[str, Path]]:
    """Send and receive for as long as the block runs; yields the receivers' files, one line per datagram."""
    uplink = next(i for i in plan.hosts[GATEWAY].interfaces if i.kind == "uplink").addresses[0]
    staff, world = address(plan, "diskominfo-client"), address(plan, "internet")
    heard = {
        "from guests to staff": folder / "guest-staff",
        "from the internet to staff": folder / "internet-staff",
        "from staff to the internet": folder / "staff-internet",
    }
    python = [sys.executable, str(AGENT)]
    commands = [
        [*in_host(name, "diskominfo-client"), *python, "receive", str(PORT), str(heard["from guests to staff"])],
        [
            *in_host(name, "diskominfo-client"),
            *python,
            "receive",
            str(PORT + 1),
            str(heard["from the internet to staff"]),
        ],
        [*in_host(name, "internet"), *python, "receive", str(PERMITTED), str(heard["from staff to the internet"])],
        [*in_host(name, "diskominfo-visitor"), *python, "send", staff, str(PORT)],
        [*in_host(name, "internet"), *python, "send", staff, str(PORT + 1)],
        [*in_host(name, "diskominfo-client"), *python, "send", world, str(PERMITTED)],
    ]
    route = [*in_host(name, "internet"), "ip", "route"]
    subprocess.run([*route, "replace", f"{staff}/32", "via", uplink], check=True)
    running = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for command in commands]
    try:
        yield heard
    finally:
        for process in running:
            process.kill()
            process.wait()
        subprocess.run([*route, "del", f"{staff}/32"], check=True)


def arrivals(file: Path, since: float = 0.0) -> list[float]:
    """Return when datagrams arrived after a moment (time.monotonic)."""
    if not file.exists():
        return []
    return [t for t in map(float, file.read_text(encoding="ascii").split()) if t >= since]


def wait_for(file: Path, since: float, seconds: float) -> float | None:
    """Wait for the first datagram after `since`; return when it came, or None."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if came := arrivals(file, since):
            return came[0]
        time.sleep(0.2)
    return None


@pytest.mark.timeout(1_200)
def test_from_power_on_it_filters_before_it_forwards(plan: Plan, tmp_path: Path) -> None:
    spec = lab_spec(plan)
    name, kind = spec.name, next(h.kind for h in spec.hosts if h.name == GATEWAY)
    with agents(plan, name, tmp_path) as heard:
        permitted = heard.pop("from staff to the internet")
        assert wait_for(permitted, time.monotonic(), 60), "the permitted flow does not pass before the test"
        lab.kill_host(name, GATEWAY)
        off = time.monotonic()
        time.sleep(3)
        assert not arrivals(permitted, off + 1), "the gateway is off and still forwards"
        on = time.monotonic()
        lab.start_host(name, GATEWAY)
        answered = time.monotonic()
        first = wait_for(permitted, on, 300)
        assert first is not None, "after the power came back nothing permitted passes"
        time.sleep(AFTER)
        for what, file in heard.items():
            assert not arrivals(file), f"{what}: a datagram passed {arrivals(file)[0] - on:.2f} s after power-on"
        # Would it have been seen? Without rules it is.
        blind = time.monotonic()
        try:
            assert lab.exec_in(name, GATEWAY, ["nft", "flush", "ruleset"]).returncode == 0
            for what, file in heard.items():
                assert wait_for(file, blind, 30), f"{what}: the probe sees nothing even without rules"
        finally:
            restored = lab.exec_in(name, GATEWAY, ["systemctl", "restart", "topology-filter.service"])
            assert restored.returncode == 0, restored.stderr
        time.sleep(2)
        closed = time.monotonic()
        time.sleep(3)
        assert not any(arrivals(file, closed) for file in heard.values()), "the restored rules do not filter"
    line = {
        "name": "gateway from power-on", "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "instance": kind,
        "ssh_seconds": round(answered - on, 1), "forwards_seconds": round(first - on, 1), "forbidden": 0,
    }  # fmt: skip
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    with FIGURES.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def test_its_networks_and_tunnels_are_what_its_kind_has(plan: Plan) -> None:
    """In a virtual machine 802.1Q and WireGuard of its own kernel; in a container one port per network."""
    spec = lab_spec(plan)
    for host in (h for h in spec.hosts if plan.hosts[h.name].kind == "gateway"):
        links = json.loads(lab.exec_in(spec.name, host.name, ["ip", "-json", "-details", "link"]).stdout)
        kinds = {link["ifname"]: link.get("linkinfo", {}) for link in links}
        networks = [i for i in host.interfaces if plan_network(plan, host.name, i.name)]
        assert networks
        if host.kind == "container":
            assert {kinds[i.name]["info_kind"] for i in networks} == {"veth"}
            continue
        for interface in networks:
            vlan = kinds[interface.name]
            assert vlan["info_kind"] == "vlan" and vlan["info_data"]["id"] == interface.vlan, interface.name
        tunnels = [i.name for i in plan.hosts[host.name].interfaces if i.kind == "tunnel" and i.name in kinds]
        assert tunnels and all(kinds[t]["info_kind"] == "wireguard" for t in tunnels), tunnels
        assert lab.exec_in(spec.name, host.name, ["pgrep", "wireguard-go"]).returncode == 1


def plan_network(plan: Plan, host: str, interface: str) -> str | None:
    """Return the network that an interface of a host is in."""
    return next(i.network for i in plan.hosts[host].interfaces if i.name == interface)
