"""The data centre's pair: routing begins anew on one member, on the other, and on both at the same moment."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab.figures import record
from tests.lab.stream import until
from tests.lab.where import INVENTORY
from topology import bandwidth, lab, routing
from topology.allocate import Host
from topology.inventory import plan_of

pytestmark = [pytest.mark.lab, pytest.mark.runtime, pytest.mark.timeout(300), pytest.mark.journal("frr")]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
PAIR = [h for h in PLAN.hosts.values() if h.hub_slot is not None and h.site == bandwidth.hub_sites(PLAN)[0]]
ROUNDS = 2
LIMIT = 60.0
"""Most seconds until all sessions of both are up: FRR's start and, where tries collide, the next ones."""


def _restart(host: str) -> None:
    # systemd refuses a service that is started too often
    done = lab.exec_in(NAME, host, ["sh", "-c", "systemctl reset-failed frr; systemctl restart frr"])
    assert done.returncode == 0, f"{host}: {done.stderr}"


def _down() -> dict[str, str]:
    """Return what is not as it should be of the members' sessions: host and neighbour, and its state."""
    found = {}
    for host in PAIR:
        # while it starts it says nothing, or something else
        said = lab.exec_in(NAME, host.name, ["vtysh", "-c", "show bgp neighbors json"]).stdout
        neighbours = json.loads(said) if said.startswith("{") else {}
        for session in routing.speaker(PLAN, host).sessions:
            state = neighbours.get(session.remote, {}).get("bgpState", "none")
            if state != "Established":
                found[f"{host.name} {session.remote}"] = state
    return found


def _astray() -> list[str]:
    """Return which of the other hubs' ways to a member's loopbacks is not their link to that member."""
    found = []
    for hub in (h for h in PLAN.hosts.values() if h.hub_slot is not None and h not in PAIR):
        for member in PAIR:
            link = next(x for x in PLAN.links_of(hub.name) if x.far_end(hub.name).host == member.name)
            for address in next(member.of_kind("loopback")).addresses:
                said = lab.exec_in(NAME, hub.name, ["ip", "-json", "route", "get", address]).stdout
                device = json.loads(said)[0].get("dev") if said.startswith("[") else None
                if device != link.end_of(hub.name).interface:
                    found.append(f"{hub.name} to {member.name}'s {address} by {device}")
    return found


@pytest.mark.parametrize("members", [PAIR[:1], PAIR[1:], PAIR], ids=lambda hosts: "+".join(h.name for h in hosts))
def test_routing_that_begins_anew_finds_its_neighbours_and_the_right_ways(members: list[Host]) -> None:
    """With BFD between the two FRR 10.3 left both idle for ever; of two equal ways the older stayed (render.frr)."""
    assert len(PAIR) == 2
    until(lambda: not _down(), LIMIT, "the pair's sessions before the test")
    for _ in range(ROUNDS):
        with ThreadPoolExecutor(len(members)) as pool:
            list(pool.map(_restart, [h.name for h in members]))
        try:
            took = until(lambda: not _down(), LIMIT, "the pair's sessions")
            until(lambda: not _astray(), LIMIT, "the other hubs' ways")
        except AssertionError as error:
            raise AssertionError(f"{error}: {_down()} {_astray()}") from None
        record("pair_sessions_after_a_start", members=[h.name for h in members], seconds=round(took, 1))
