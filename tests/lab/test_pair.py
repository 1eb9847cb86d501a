"""The data centre's pair: both members' routing begins at the same moment, as after a power cut."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab.figures import record
from tests.lab.stream import until
from tests.lab.where import INVENTORY
from topology import bandwidth, lab, routing
from topology.inventory import plan_of

pytestmark = [pytest.mark.lab, pytest.mark.runtime, pytest.mark.timeout(300), pytest.mark.journal("frr")]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
PAIR = [h for h in PLAN.hosts.values() if h.hub_slot is not None and h.site == bandwidth.hub_sites(PLAN)[0]]
ROUNDS = 3
LIMIT = 60.0
"""Most seconds until all sessions of both are up: FRR's start and, where tries collide, the next ones."""


def _restart(host: str) -> None:
    done = lab.exec_in(NAME, host, ["systemctl", "restart", "frr"])
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


def test_routing_that_begins_on_both_at_once_finds_all_its_neighbours() -> None:
    """With BFD between the two FRR 10.3 left both idle for ever (topology.render.frr)."""
    assert len(PAIR) == 2
    until(lambda: not _down(), LIMIT, "the pair's sessions before the test")
    for _ in range(ROUNDS):
        with ThreadPoolExecutor(len(PAIR)) as pool:
            list(pool.map(_restart, [h.name for h in PAIR]))
        try:
            took = until(lambda: not _down(), LIMIT, "the pair's sessions")
        except AssertionError as error:
            raise AssertionError(f"{error}: {_down()}") from None
        record("pair_sessions_after_a_common_start", seconds=round(took, 1))
