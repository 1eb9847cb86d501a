"""The scenario's side effect: a gateway reboots, then its power is cut. While it goes and comes it never lets through.

Two hosts behind it and the internet send a datagram every 20 ms through the whole boot: what nobody permits must
never arrive, and what is permitted must, or nothing is proven. At the end the rules are taken away, and then the
forbidden datagrams do arrive: the probe is able to see them.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.figures import record
from topology import lab
from topology.allocate import Plan
from topology.inventory import own_address
from topology.lab.access import network_command
from topology.lab.names import LabNames
from topology.lab.slice import lab_spec

GATEWAY = "diskominfo-gw"
AGENT = Path(__file__).with_name("power_agent.py")
PORT, PERMITTED = 40_000, 443
PATIENCE = 300.0
"""Seconds to wait for what must come: tunnels and sessions of a machine without KVM take their time."""
AFTER = 20.0
"""Seconds to go on after the first permitted datagram arrived."""


@contextmanager
def agents(plan: Plan, name: str, folder: Path) -> Iterator[dict[str, Path]]:
    """Send and receive for as long as the block runs; yields the receivers' files, one line per datagram."""
    uplink = next(i for i in plan.hosts[GATEWAY].interfaces if i.kind == "uplink").addresses[0]
    staff, world = own_address(plan.hosts["diskominfo-client"]), own_address(plan.hosts["internet"])
    heard = {
        "from guests to staff": folder / "guest-staff",
        "from the internet to staff": folder / "internet-staff",
        "from staff to the internet": folder / "staff-internet",
    }
    names = LabNames(name)

    def agent(host: str, what: str, *rest: object) -> list[str]:
        return network_command(names, host, [sys.executable, str(AGENT), what, *map(str, rest)])

    commands = [
        agent("diskominfo-client", "receive", PORT, heard["from guests to staff"]),
        agent("diskominfo-client", "receive", PORT + 1, heard["from the internet to staff"]),
        agent("internet", "receive", PERMITTED, heard["from staff to the internet"]),
        agent("diskominfo-visitor", "send", staff, PORT),
        agent("internet", "send", staff, PORT + 1),
        agent("diskominfo-client", "send", world, PERMITTED),
    ]
    route = network_command(names, "internet", ["ip", "route"])
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


def power_cut(name: str) -> float:
    """Cut the gateway's power and switch it on again; return when (time.monotonic) it was switched on."""
    lab.kill_host(name, GATEWAY)
    time.sleep(3)
    on = time.monotonic()
    lab.start_host(name, GATEWAY)
    return on


def reboot(name: str) -> float:
    """Reboot the gateway as an administrator does; return when that began."""
    begun = time.monotonic()
    lab.reboot_host(name, GATEWAY)
    return begun


def silence(file: Path, since: float) -> tuple[float, float]:
    """Return the longest time without datagrams after `since`."""
    return max(itertools.pairwise([since, *arrivals(file, since)]), key=lambda pair: pair[1] - pair[0])


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("go", [reboot, power_cut])
def test_whatever_goes_on_it_filters_before_it_forwards(plan: Plan, tmp_path: Path, go: Callable[[str], float]) -> None:
    spec = lab_spec(plan)
    name, kind = spec.name, next(h.kind for h in spec.hosts if h.name == GATEWAY)
    with agents(plan, name, tmp_path) as heard:
        permitted = heard.pop("from staff to the internet")
        assert wait_for(permitted, time.monotonic(), PATIENCE), "the permitted flow does not pass before the test"
        off = time.monotonic()
        on = go(name)
        answered = time.monotonic()
        assert wait_for(permitted, answered, PATIENCE), "afterwards nothing permitted passes"
        silent = silence(permitted, off)
        assert silent[1] - silent[0] > 0.5, "the permitted flow never stopped: nothing went down"
        time.sleep(AFTER)
        for what, file in heard.items():
            assert not arrivals(file), f"{what}: a datagram passed {arrivals(file)[0] - on:.2f} s after {go.__name__}"
        # Would it have been seen? Without rules it is.
        blind = time.monotonic()
        try:
            assert lab.exec_in(name, GATEWAY, ["nft", "flush", "ruleset"]).returncode == 0
            for what, file in heard.items():
                assert wait_for(file, blind, PATIENCE), f"{what}: the probe sees nothing even without rules"
        finally:
            restored = lab.exec_in(name, GATEWAY, ["systemctl", "restart", "topology-filter", "topology-shape"])
            assert restored.returncode == 0, restored.stderr
        time.sleep(2)
        closed = time.monotonic()
        time.sleep(3)
        assert not any(arrivals(file, closed) for file in heard.values()), "the restored rules do not filter"
    record(f"gateway: {go.__name__.replace('_', ' ')}", instance=kind, ssh_seconds=round(answered - on, 1),
           forwards_seconds=round(silent[1] - on, 1), forbidden=0)  # fmt: skip
