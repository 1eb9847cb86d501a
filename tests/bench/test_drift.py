"""The sweep against bare SSH, Ansible, pyinfra and the twin, on the lab's hosts in one run:

  pytest tests/bench/test_drift.py -m bench -s --timeout 0          (root; TOPOLOGY_TEST_LAB=tests/drift/lab)

A hundred sessions are asked of the few hosts that a lab has, in turn: every one is a login and a whole reading, but
the same machine answers them all. Its two cores bear both ends, so what is measured is an upper bound of what the
controller needs. Not an assert on time: what is asserted is that the work was done.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.figures import record
from tests.lab.where import INVENTORY, ROOT
from topology import lab
from topology.drift.judge import judge
from topology.drift.script import script
from topology.drift.sweep import AT_ONCE, Login, login_of, sweep
from topology.expect import Expected, expect
from topology.inventory import plan_of, variables
from topology.render.common import context_of

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(os.geteuid() != 0, reason="NOT MEASURED: the lab needs root; run this again with sudo"),
]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
MANAGED = [h for h in PLAN.hosts.values() if h.managed]
BIN = Path(sys.executable).parent
SESSIONS = 100
SIDE_BY_SIDE = min(AT_ONCE, 8 * len(MANAGED))
"""Sessions at the same time: sshd turns some away when more than ten at once are not logged in yet (MaxStartups)."""
RUNS = int(os.environ.get("BENCH_RUNS", "5"))


@pytest.fixture(scope="module", autouse=True)
def provisioned() -> None:
    """Need a lab that is up and as planned."""
    if any(lab.exec_in(NAME, h.name, ["true"]).returncode for h in MANAGED):
        pytest.fail(f"the lab is not up: topology lab up {INVENTORY}, then playbooks/site.yml")


def asked(sessions: int) -> list[tuple[Login, Expected]]:
    """Return as many sessions as wanted, of the lab's hosts in turn."""
    context = context_of(PLAN)
    found = []
    for number in range(sessions):
        host = MANAGED[number % len(MANAGED)]
        login, expected = login_of(host.name, variables(PLAN, host)), expect(PLAN, host, context)
        name = f"{host.name}#{number}"
        found.append((replace(login, host=name), replace(expected, host=name)))
    return found


async def bare(hosts: list[tuple[Login, Expected]], word: str) -> int:
    """Send every host the same script by OpenSSH alone, as many at a time, and count who answered to the end."""
    gate, whole = asyncio.Semaphore(SIDE_BY_SIDE), 0

    async def one(login: Login, text: bytes) -> None:
        nonlocal whole
        async with gate:
            process = await asyncio.create_subprocess_exec(
                *login.command, f"{login.user}@{login.address}", "--", "sudo -n sh -s",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            output, _ = await process.communicate(text)
            whole += f"{word} end time ".encode() in output or process.returncode == 0

    async with asyncio.TaskGroup() as group:
        for login, expected in hosts:
            group.create_task(one(login, script(expected, word).encode()))
    return whole


def best(work: Callable[[], object], runs: int = RUNS) -> float:
    """Return the median of some runs, in seconds."""
    took = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return sorted(took)[len(took) // 2]


def test_a_hundred_sessions_against_bare_ssh() -> None:
    hosts = asked(SESSIONS)
    ours, theirs = [], []
    for _ in range(RUNS):  # in turn, so that the machine is the same for both
        begun = time.perf_counter()
        seen = asyncio.run(sweep(hosts, at_once=SIDE_BY_SIDE))
        findings = [f for login, expected in hosts for f in judge(expected, seen[login.host])]
        ours.append(time.perf_counter() - begun)
        silent = [f for f in findings if f.state == "unobserved"]
        assert not silent, "\n".join(map(str, silent[:10]))
        begun = time.perf_counter()
        assert asyncio.run(bare(hosts, "bare-0123456789abcdef")) == SESSIONS
        theirs.append(time.perf_counter() - begun)
    swept, plain = sorted(ours)[RUNS // 2], sorted(theirs)[RUNS // 2]
    each = swept / SESSIONS
    print(
        f"\nsweep of {SESSIONS} sessions on {len(MANAGED)} lab hosts: {swept:.2f} s, bare SSH with the same reads: "
        f"{plain:.2f} s; ratio {swept / plain:.2f} (bar: 2)\n"
        f"  {each * 1000:.0f} ms a host, both ends on {os.cpu_count()} cores; "
        f"300 hosts {300 * each:.1f} s (bar: 20 s), 1,400 hosts {1400 * each:.1f} s"
    )
    record("bench: drift sweep", sessions=SESSIONS, seconds=round(swept, 2), bare=round(plain, 2),
           ratio=round(swept / plain, 2), hosts_300=round(300 * each, 1), hosts_1400=round(1400 * each, 1))  # fmt: skip


def test_expectations_of_a_whole_district() -> None:
    plan = plan_of(ROOT / "inventories" / "luwu")
    hosts = [h for h in plan.hosts.values() if h.managed]

    def compiled() -> None:
        context = context_of(plan)
        for host in hosts:
            script(expect(plan, host, context), "bench")

    took = best(compiled, runs=3)
    print(f"\nexpectations and scripts of {len(hosts)} hosts: {took:.2f} s, {took / len(hosts) * 1000:.1f} ms a host")
    record("bench: drift expectations", hosts=len(hosts), seconds=round(took, 2))


def finished(*command: str | Path, **environment: str) -> None:
    done = subprocess.run(
        [str(c) for c in command], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def deploy(folder: Path) -> Path:
    """Write what pyinfra can look at of the same: packages, services, files' owners and modes."""
    wanted = {}
    for host in MANAGED:
        expected = expect(PLAN, host)
        wanted[host.name] = {
            "packages": [e.thing for e in expected.of_kind("package")],
            "services": [e.thing for e in expected.of_kind("service") if e.want.get("active") == "active"],
            "files": [(e.thing, *map(e.want.get, ("owner", "group", "mode"))) for e in expected.of_kind("file")],
        }
    path = folder / "look.py"
    path.write_text(
        "from pyinfra import host\nfrom pyinfra.operations import apt, files, systemd\n"
        f"want = {wanted!r}[host.name]\n"
        "apt.packages(packages=want['packages'], _sudo=True)\n"
        "for name in want['services']:\n    systemd.service(service=name, running=True, _sudo=True)\n"
        "for path, user, group, mode in want['files']:\n"
        "    files.file(path=path, user=user, group=group, mode=mode, _sudo=True)\n"
    )
    return path


def test_the_same_hosts_by_others(tmp_path: Path) -> None:
    hosts, count = asked(len(MANAGED)), len(MANAGED)
    ours = best(lambda: asyncio.run(sweep(hosts)))
    print(f"\n{count} hosts: sweep {ours:.2f} s, {ours / count:.2f} s a host")
    inside = (BIN / "topology", "lab", "run", str(INVENTORY))
    others: dict[str, Callable[[], None]] = {
        "ansible-playbook --check (site.yml)": lambda: finished(
            BIN / "ansible-playbook", "-i", INVENTORY, "playbooks/site.yml", "--check"),
        "pyinfra --dry (packages, services, files only)": lambda: finished(
            *inside, BIN / "pyinfra", "-y", "--dry", "deploys/inventory.py", deploy(tmp_path),
            TOPOLOGY_INVENTORY=str(INVENTORY)),
        "the twin (testinfra)": lambda: finished(
            BIN / "pytest", "-q", "-n", "2", "--dist", "loadgroup", "--timeout", "0",
            "tests/drift", TOPOLOGY_INVENTORY=str(INVENTORY)),
    }  # fmt: skip
    for name, work in others.items():
        theirs = best(work, runs=1)
        print(f"  {name}: {theirs:.1f} s, {theirs / count:.1f} s a host; ratio {theirs / ours:.0f}")
        record(f"bench: {name}", hosts=count, seconds=round(theirs, 1), sweep=round(ours, 2))
