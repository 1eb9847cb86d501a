"""Drift in the lab: nothing is found after `site.yml`, and every seeded change is, no more and no less."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.drift.box import Box
from tests.drift.twin import look as twin
from tests.lab import play
from tests.lab.figures import record
from tests.lab.seeds import Seed, office_gateway, seeds, server
from tests.lab.where import INVENTORY
from topology import lab
from topology.drift.finding import MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.drift.judge import judge
from topology.drift.sweep import ANSWER, CONNECT, login_of, sweep
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
REMEDIATE = play.ROOT / "playbooks" / "remediate.yml"


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
        with ThreadPoolExecutor(1) as pool:  # at the same time: what comes back by itself is seen by both
            reference = pool.submit(twin, boxes[one.host], expect(PLAN, PLAN.hosts[one.host]))
            found = {"sweep": look(one.host, other), "twin": reference.result()}
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


def _instead_of_sudo(script: str) -> tuple[str, str]:
    text = f"#!/bin/sh\n{script}\n".replace("\n", "\\n").replace("'", "'\\''")
    return (
        f"mv /usr/bin/sudo /usr/bin/sudo.real && printf '{text}' >/usr/bin/sudo && chmod 755 /usr/bin/sudo",
        "mv /usr/bin/sudo.real /usr/bin/sudo",
    )


BAD = {
    "unreachable": ("ip link set mgmt0 down", "ip link set mgmt0 up", "unreachable"),
    "slow": (*_instead_of_sudo('sleep 30; exec /usr/bin/sudo.real "$@"'), "no answer within"),
    "no end": (*_instead_of_sudo("while :; do sleep 1; echo .; done"), "no answer within"),
    "garbage": (*_instead_of_sudo("head -c 3000 /dev/urandom"), ""),
    "huge": (*_instead_of_sudo("exec cat /dev/zero"), "answered more than"),
    "lies": (*_instead_of_sudo("echo all is well"), ""),
    "no sudo": ("chmod a-x /usr/bin/sudo", "chmod a+x /usr/bin/sudo", "could not be read"),
}
"""What a host may do to who reads it: the change, its undoing, what is said of it."""


@pytest.mark.parametrize("bad", BAD)
def test_a_host_that_cannot_be_read_is_never_clean_and_stalls_nobody(bad: str, boxes: dict[str, Box]) -> None:
    change, undo, said = BAD[bad]
    names = [h.name for h in PLAN.hosts.values() if h.managed]
    hosts = [(login_of(n, variables(PLAN, PLAN.hosts[n])), e) for n, e in zip(names, expected(names), strict=True)]
    done: dict[int, float] = {}
    run(SERVER, change)
    try:
        begun = time.monotonic()
        seen = asyncio.run(sweep(hosts, lambda n, _: done.setdefault(n, time.monotonic() - begun)))
        with ThreadPoolExecutor(2) as pool:
            began = time.monotonic()
            twins = {n: pool.submit(twin, boxes[n], expect(PLAN, PLAN.hosts[n])) for n in (SERVER, GATEWAY)}
            read = {SERVER: twins[SERVER].result()}
            took = time.monotonic() - began
            read[GATEWAY] = twins[GATEWAY].result()
    finally:
        run(SERVER, undo)
    found = [f for e in expected(names) for f in judge(e, seen[e.host])]
    for findings in (found, read[SERVER] + read[GATEWAY]):
        assert [(f.host, f.state, f.kind) for f in findings] == [(SERVER, UNOBSERVED, "host")], told(findings)
        assert said in findings[0].found
    record(f"drift: a host that is {bad}", others=round(done[len(names) - 1], 2), it=round(done[len(names)], 2))
    # the others do not wait for it: 25 s are what it is given
    assert done[len(names) - 1] < 15
    assert max(done[len(names)], took) < CONNECT + ANSWER + 15
    until_clean(SERVER)


def test_a_host_without_python_is_read() -> None:
    run(SERVER, "for p in /usr/bin/python3*; do [ -L $p ] || chmod a-x $p; done")
    try:
        found = look(SERVER)
    finally:
        run(SERVER, "for p in /usr/bin/python3*; do [ -L $p ] || chmod a+x $p; done")
    assert not found, told(found)


@pytest.mark.timeout(2400)
def test_remediation_of_all_seeded_changes_returns_to_no_finding(tmp_path: Path) -> None:
    left, rounds = list(SEEDS), 0
    while left:
        # what cannot be together with another (a rule in a table that was flushed) comes in the next round, and so
        # does what is not seen because of another (a file that its daemon has not read, and then the daemon stops)
        made, later = [], []
        for one in left:
            done = lab.exec_in(NAME, one.host, ["sh", "-c", one.change])
            (later if done.returncode else made).append(one)
        assert made, [s.name for s in later]
        found = look(GATEWAY, SERVER)
        later += [one for one in made if one.missed(f for f in found if f.host == one.host)]
        assert len(later) < len(left), [s.name for s in later]
        if not rounds:
            refused = play.run(REMEDIATE, tmp_path / "r", "--limit", GATEWAY, "-e", "remediate_confirm=no")
            assert refused.code and "nothing was changed" in refused.output
            assert look(GATEWAY) == [f for f in found if f.host == GATEWAY] or look(GATEWAY)
        begun = time.monotonic()
        done = play.run(REMEDIATE, tmp_path / "r", "--limit", f"{GATEWAY},{SERVER}", "-e", "remediate_confirm=yes",
                        timeout=900)  # fmt: skip
        assert done.code == 0, done.output[-8000:]
        record("drift: remediated", seeds=len(made), findings=len(found), seconds=round(time.monotonic() - begun))
        until_clean(GATEWAY, SERVER)
        left, rounds = later, rounds + 1
        assert rounds < 5
    for host in (GATEWAY, SERVER):
        run(host, "rm -f /root/[a-z] /root/f[0-9]")
