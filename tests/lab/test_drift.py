"""Drift in the lab: nothing is found after `site.yml`, and every seeded change is, no more and no less."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.drift.box import Box
from tests.drift.twin import look as twin
from tests.lab.figures import record
from tests.lab.seeds import Seed, office_gateway, seeds, server
from tests.lab.where import INVENTORY
from topology import lab
from topology.drift.finding import MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.drift.judge import judge
from topology.drift.sweep import login_of, sweep
from topology.expect import Expected, expect
from topology.inventory import plan_of, variables

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(420)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
SETTLES = 120.0
"""Most seconds until a host is as planned again: BGP's connect timer and a handshake."""
CLOCKS = 300.0
"""Most seconds until the clocks of a lab that was just booted are together: the hubs agree among themselves first."""
GATEWAY, SERVER = office_gateway(PLAN), server(PLAN)
SEEDS = seeds(PLAN)


def run(host: str, command: str) -> None:
    done = lab.exec_in(NAME, host, ["sh", "-c", command])
    assert done.returncode == 0, f"{host}: {command}: {done.stdout}{done.stderr}"


def expected(names: list[str]) -> list[Expected]:
    return [expect(PLAN, PLAN.hosts[name]) for name in names]


def look(*names: str) -> list[Finding]:
    """Sweep some hosts and return all findings."""
    hosts = expected(list(names))
    seen = asyncio.run(sweep([(login_of(e.host, variables(PLAN, PLAN.hosts[e.host])), e) for e in hosts]))
    return sorted(f for e in hosts for f in judge(e, seen[e.host]))


def told(findings: list[Finding]) -> str:
    return "\n".join(map(str, findings))


@pytest.fixture(scope="module", autouse=True)
def clean() -> Iterator[None]:
    """Begin on a lab that is as planned; right after the first `site.yml` clocks are not together yet."""
    managed = [h.name for h in PLAN.hosts.values() if h.managed]
    begun = time.monotonic()
    while found := look(*managed):
        assert time.monotonic() - begun < CLOCKS, told(found)
        time.sleep(2)
    record("drift: until nothing is found", hosts=len(managed), seconds=round(time.monotonic() - begun, 1))
    yield


def test_nothing_is_found_five_times_in_a_row() -> None:
    managed = [h.name for h in PLAN.hosts.values() if h.managed]
    took = []
    for _ in range(5):
        begun = time.monotonic()
        assert not (found := look(*managed)), told(found)
        took.append(round(time.monotonic() - begun, 2))
    record("drift: sweeps without a finding", hosts=len(managed), seconds=took)


def test_there_are_enough_seeds_and_of_every_kind() -> None:
    assert len(SEEDS) >= 40
    kinds = {e.kind for name in (GATEWAY, SERVER) for e in expect(PLAN, PLAN.hosts[name]).expectations}
    seeded = {kind for s in SEEDS for _, kind, _ in s.found | s.consequences}
    # a lab host's root can neither set the clock nor remount its disk
    assert kinds - seeded <= {"mount"}, kinds - seeded


@pytest.mark.parametrize("one", SEEDS, ids=lambda s: s.name)
def test_a_seeded_change_is_found_by_both_and_nothing_else(one: Seed, boxes: dict[str, Box]) -> None:
    other = SERVER if one.host != SERVER else GATEWAY
    run(one.host, one.change)
    try:
        found = {"sweep": look(one.host, other), "twin": twin(boxes[one.host], expect(PLAN, PLAN.hosts[one.host]))}
    finally:
        run(one.host, one.undo)
    for reader, findings in found.items():
        assert not (missed := one.missed(findings)), f"{reader}: {missed} is not among:\n{told(findings)}"
        assert not (more := one.more(findings)), f"{reader}:\n{told(more)}"
        assert all(f.expected or f.found or f.state in (MISSING, UNEXPECTED) for f in findings)
    until_clean(one.host)


@pytest.fixture(scope="module")
def boxes() -> Iterator[dict[str, Box]]:
    found = {n: Box(n, PLAN.hosts[n].platform, variables(PLAN, PLAN.hosts[n])) for n in (GATEWAY, SERVER)}
    yield found
    for box in found.values():
        box.close()


def until_clean(*names: str, seconds: float = SETTLES) -> None:
    begun = time.monotonic()
    while left := look(*names):
        assert time.monotonic() - begun < seconds, told(left)
        time.sleep(1)


def test_a_host_that_cannot_be_read_is_never_clean() -> None:
    run(SERVER, "chmod a-x /usr/bin/sudo")
    try:
        found = look(SERVER, GATEWAY)
    finally:
        run(SERVER, "chmod a+x /usr/bin/sudo")
    assert [(f.host, f.state, f.kind) for f in found] == [(SERVER, UNOBSERVED, "host")], told(found)
