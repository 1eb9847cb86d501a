"""Drift of services: nothing after `site.yml`, every seeded change by both readers, nothing after remediation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.drift.box import Box
from tests.drift.groups import look_together
from tests.drift.twin import look as twin
from tests.lab import play
from tests.lab.figures import record
from tests.lab.service.seeds import Seed, clash, rounds, seeds
from tests.lab.where import INVENTORY
from topology import lab
from topology.drift.finding import MISSING, UNEXPECTED, Finding
from topology.drift.judge import judge
from topology.drift.sweep import login_of, sweep
from topology.drift.together import judge_together
from topology.expect import Expected, expect, together
from topology.inventory import plan_of, variables
from topology.render import postgresql
from topology.render.common import context_of

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
MANAGED = [h.name for h in PLAN.hosts.values() if h.managed]
SERVICES = ("dns", "postgresql", "backup", "nas")
SERVERS = sorted(
    n for s in SERVICES if s in PLAN.district.services for n in PLAN.district.services[s].hosts if n in MANAGED
)
SETTLES = 150.0
"""Most seconds until everything is as planned again: a standby that comes back, copies that were late, a clock."""
CLOCKS = 300.0
SEEDS = seeds(PLAN)
ROUNDS = rounds(SEEDS)
QUICK = ("a login for everybody", "a share open to guests")
"""Found in `make test` as well."""
REMEDIATE = play.ROOT / "playbooks" / "remediate.yml"
_CONTEXT = context_of(PLAN)
EXPECTED: dict[str, Expected] = {n: expect(PLAN, PLAN.hosts[n], _CONTEXT) for n in MANAGED}
GROUPS = list(together(PLAN))


def run(host: str, command: str, check: bool = True) -> str:
    done = lab.exec_in(NAME, host, ["sh", "-c", command])
    assert not check or done.returncode == 0, f"{host}: {command}: {done.stdout}{done.stderr}"
    return done.stdout


def look(names: Iterable[str] = MANAGED) -> list[Finding]:
    """Sweep hosts and return all findings, also those of several hosts together."""
    hosts = [EXPECTED[n] for n in names]
    seen = asyncio.run(sweep([(login_of(e.host, variables(PLAN, PLAN.hosts[e.host])), e) for e in hosts]))
    alone = [f for e in hosts for f in judge(e, seen[e.host])]
    return sorted((*alone, *judge_together(GROUPS, {e.host: e for e in hosts}, seen)))


def told(findings: Iterable[object]) -> str:
    return "\n".join(map(str, findings))


def until_clean(names: Iterable[str] = MANAGED, seconds: float = SETTLES) -> float:
    begun = time.monotonic()
    while left := look(names):
        assert time.monotonic() - begun < seconds, told(left)
        time.sleep(1)
    return time.monotonic() - begun


@pytest.fixture(scope="module", autouse=True)
def clean() -> Iterator[None]:
    """Begin on a lab that is as planned, with a backup in each repository and the primary where it belongs."""
    found = postgresql.cluster(PLAN)
    assert found is not None
    for repository in found.repositories:
        if "full backup" not in run(repository.name, "runuser -u postgres -- pgbackrest info"):
            run(repository.name, "cd / && runuser -u postgres -- postgresql-backup full")
    first = found.members[0].name
    if "f" not in run(first, "cd / && runuser -u postgres -- psql -XAtc 'select pg_is_in_recovery()' postgres"):
        run(first, f"patronictl -c /etc/patroni/config.yml switchover --candidate {first} --force")
    record("services, drift: until nothing is found", hosts=len(MANAGED), seconds=round(until_clean(seconds=CLOCKS), 1))
    yield


@pytest.fixture(scope="module")
def boxes() -> Iterator[dict[str, Box]]:
    found = {n: Box(n, PLAN.hosts[n].platform, variables(PLAN, PLAN.hosts[n])) for n in MANAGED}
    yield found
    for box in found.values():
        box.close()


@pytest.mark.long
def test_nothing_is_found_five_times_in_a_row() -> None:
    took = []
    for _ in range(5):
        begun = time.monotonic()
        assert not (found := look()), told(found)
        took.append(round(time.monotonic() - begun, 2))
    count = sum(len(e.expectations) for e in EXPECTED.values())
    record("services, drift: sweeps without a finding", hosts=len(MANAGED), expectations=count, seconds=took)


def by_twin(boxes: dict[str, Box], names: Iterable[str], *, whole: bool) -> list[Finding]:
    """Read hosts by the twin, two at a time; with `whole` also what must be so of several hosts together."""
    with ThreadPoolExecutor(2) as pool:
        found = [f for part in pool.map(lambda n: twin(boxes[n], EXPECTED[n]), names) for f in part]
    if whole:
        for box in boxes.values():
            box.forget()
        found += look_together(GROUPS, boxes, EXPECTED)
    return sorted(found)


def test_there_are_seeds_of_every_kind_of_the_services() -> None:
    kinds = {e.kind for n in SERVERS for e in EXPECTED[n].expectations}
    seeded = {kind for s in SEEDS for _, kind, _ in s.found | s.consequences}
    # of any host, so they are in tests/lab/seeds.py
    assert kinds - seeded <= {"address", "package", "route"}, kinds - seeded


def besides(findings: Iterable[Finding], made: Iterable[Seed]) -> list[Finding]:
    """Return what no change explains."""
    return [f for f in findings if not any(s.explains(f) for s in made)]


def lasting(first: list[Finding], again: list[Finding], made: list[Seed]) -> list[Finding]:
    """Return the first look without what was there by itself, and for that look only."""
    stayed = {f.key for f in again}
    told_once = [f for f in besides(first, made) if f.key not in stayed]
    if told_once:
        record("services, drift: found once only", findings=[str(f) for f in told_once])
    return [f for f in first if f not in told_once]


def _rounds() -> Iterator[object]:
    quick = [s for s in SEEDS if s.name in QUICK]
    yield pytest.param(quick, id="quick")
    for number, one in enumerate(ROUNDS, 1):
        yield pytest.param(
            one, id=one[0].name if len(one) == 1 else f"{number}: {len(one)} changes", marks=pytest.mark.long
        )


@pytest.mark.parametrize("made", list(_rounds()))
def test_seeded_changes_are_found_by_both_and_nothing_else(made: list[Seed], boxes: dict[str, Box]) -> None:
    changed: list[Seed] = []
    try:
        for one in made:
            changed.append(one)
            run(one.host, one.change)
            for host, command in one.then:
                run(host, command)
        begun = time.monotonic()
        found = {"sweep": look()}
        swept = time.monotonic()
        hosts = list(dict.fromkeys([s.host for s in made] + [w[0] for s in made for w in s.found_at]))
        whole = any(w[-2] in {g.kind for g in GROUPS} for s in made for w in (*s.found, *s.found_at))
        found["twin"] = by_twin(boxes, hosts, whole=whole)
        record("services, drift: a round of seeds", seeds=[s.name for s in made], sweep=round(swept - begun, 1),
               twin=round(time.monotonic() - swept, 1), hosts=len(hosts))  # fmt: skip
        # on a busy machine a lease may run out meanwhile: what is there without reason is there the next time as well
        if besides(found["sweep"], made):
            found["sweep"] = lasting(found["sweep"], look(), made)
        if besides(found["twin"], made):
            found["twin"] = lasting(found["twin"], by_twin(boxes, hosts, whole=whole), made)
    finally:
        for one in reversed(changed):
            run(one.host, one.undo, check=False)
    wrong = []
    for reader, findings in found.items():
        for one in made:
            own = [f for f in findings if f.host == one.host]
            wrong += [
                f"{reader}: {one.name}: not found: {w}" for w in (*one.missed(own), *one.elsewhere_missed(findings))
            ]
        wrong += [f"{reader}: besides: {f}" for f in besides(findings, made)]
        wrong += [f"{reader}: says too little: {f}" for f in findings if f.state not in (MISSING, UNEXPECTED)
                  and not (f.expected or f.found)]  # fmt: skip
    left = ""
    try:
        until_clean()
    except AssertionError as error:
        left = f"not clean afterwards: {error}"
    assert not wrong and not left, told([*wrong, left])


@pytest.mark.long
def test_the_twin_finds_nothing_either(boxes: dict[str, Box]) -> None:
    begun = time.monotonic()
    found = by_twin(boxes, SERVERS, whole=True)
    record(
        "services, drift: the twin without a finding", hosts=len(SERVERS), seconds=round(time.monotonic() - begun, 1)
    )
    assert not found, told(found)


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_remediation_of_all_seeded_changes_returns_to_no_finding(tmp_path: Path) -> None:
    """In a few turns, since not all changes can be together; what is for a person is said to be."""
    left = [s for s in SEEDS if not s.by_hand]
    while left:
        made: list[Seed] = []
        for one in left:
            # one change of a file at a time; what cannot be together with another comes in the next turn
            if (
                not any(clash(one, s) for s in made)
                and lab.exec_in(NAME, one.host, ["sh", "-c", one.change]).returncode == 0
            ):
                made.append(one)
                for host, command in one.then:
                    run(host, command)
        assert made, [s.name for s in left]
        found = look()
        missed = [
            s.name for s in made if not any(f.host == s.host and f.kind == k for f in found for _, k, _ in s.found)
        ]
        assert not missed, missed
        begun = time.monotonic()
        hosts = ",".join(sorted({f.host for f in found}))
        done = play.run(REMEDIATE, tmp_path / "r", "--limit", hosts, "-e", "remediate_confirm=yes", timeout=1500)
        record("services, drift: remediated", seeds=len(made), findings=len(found), hosts=hosts.count(",") + 1,
               seconds=round(time.monotonic() - begun), code=done.code)  # fmt: skip
        assert done.code == 0, done.output[-12000:]
        until_clean()
        left = [s for s in left if s not in made]
    for host in SERVERS:
        run(host, "rm -rf /root/seed-*")
