"""The scenario's side effect on virtual machines: a gateway's clock jumps, which a container's cannot.

An hour forward and an hour back. `topology drift` says it, the next site.yml sets it right, the one after changes
nothing. A TCP session through the gateway, its BGP sessions over the tunnels (with BFD) and a visitor's lease live
through the jump, through the step back, and through the time in which WireGuard makes new keys.
"""

from __future__ import annotations

import itertools
import json
import os
import re
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
PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
LAB = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "lab"
SITE = ["-i", str(LAB), str(PROJECT / "playbooks/site.yml"), "--limit", f"localhost,{GATEWAY}"]
AGENT = PROJECT / "tests/lab/stream_agent.py"
LEASES = "/var/lib/kea/kea-leases4.csv"
OFFSET = 0.5
"""Most seconds a clock may be off."""
STEPS = 90.0
"""Most seconds until a daemon that was started has asked and stepped the clock."""
KEYS = 260.0
"""Seconds in which WireGuard makes a new key: it tries after 120 s and forgets the old one after 180 s."""
SILENT = 30.0
"""Longest silence of a session that lives: its packets may be lost, it sends them again."""


@pytest.fixture(scope="module")
def name(plan: Plan) -> str:
    """Return the lab's name; the gateway must have a clock of its own."""
    spec = lab_spec(plan)
    assert next(h.kind for h in spec.hosts if h.name == GATEWAY) == "vm", "a container's clock is the machine's"
    return spec.name


def box(name: str, command: str) -> str:
    """Run a command as root in the gateway; it must succeed."""
    done = lab.exec_in(name, GATEWAY, ["sh", "-c", command])
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def off(name: str) -> float:
    """Return by how many seconds the gateway's clock is ahead of this machine's, by its side that is nearest to 0.

    A login takes seconds by emulation, so the answer is somewhere between two moments.
    """
    before = time.time()
    there = float(box(name, "date +%s.%N"))
    after = time.time()
    return there - after if there > after else min(there - before, 0.0)


def until(true: Callable[[], object], seconds: float, what: str) -> float:
    """Wait until something is true; return the seconds it took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, f"{what}: not within {seconds:.0f} s"
        time.sleep(1)
    return round(time.monotonic() - begun, 1)


def drift(history: Path) -> subprocess.CompletedProcess[str]:
    """Run `topology drift` on the gateway until it is read: a login by emulation may take longer than drift waits."""
    for _ in range(10):
        found = _drift(history)
        if "unobserved host" not in found.stdout:
            break
    return found


def _drift(history: Path) -> subprocess.CompletedProcess[str]:
    words = ["drift", str(LAB), f"--hosts={GATEWAY}", "--limit", "200", "--history", str(history)]
    return subprocess.run(
        [sys.executable, "-m", "topology", *words], cwd=PROJECT, capture_output=True, text=True, check=False,
        timeout=300, env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )  # fmt: skip


def site(program: str) -> subprocess.CompletedProcess[str]:
    """Run site.yml on the gateway, by ansible-playbook or by tools/assert-unchanged."""
    return subprocess.run([program, *SITE], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=1_500)


def neighbours(name: str) -> dict[str, tuple[str, str, int]]:
    """Return the gateway's BGP neighbours: state, BFD's state, how often the session came up."""
    told = json.loads(box(name, "vtysh -c 'show bgp neighbors json'"))
    return {
        who: (n["bgpState"], n.get("peerBfdInfo", {}).get("status", ""), n["connectionsEstablished"])
        for who, n in told.items()
        if "bgpState" in n
    }


def up(name: str) -> dict[str, tuple[str, str, int]]:
    """Return those of its neighbours whose sessions are up."""
    return {who: n for who, n in neighbours(name).items() if n[0] == "Established"}


@contextmanager
def session(plan: Plan, name: str, folder: Path) -> Iterator[Path]:
    """Keep a TCP session from a desk to the internet through the gateway; yields the file of what came back when."""
    world = own_address(plan.hosts["internet"])
    heard = folder / "session"

    def run(host: str, what: str, output: int, **options: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(AGENT), what, json.dumps(options)]
        enter = network_command(LabNames(name), host, command)
        return subprocess.Popen(enter, stdin=subprocess.DEVNULL, stdout=output)

    with heard.open("wb") as file:
        running = [run("internet", "echo", subprocess.DEVNULL, listen=[[world, 443]])]
        try:
            time.sleep(1)
            where = {"web": [world, 443]}
            running.append(run("diskominfo-client", "session", file.fileno(), sessions=where, interval=0.5))
            until(lambda: heard.stat().st_size, 60, "a desk's session to the internet")
            yield heard
        finally:
            for process in running:
                process.kill()
                process.wait()


@contextmanager
def lease(plan: Plan, name: str) -> Iterator[str]:
    """A visitor's lease of some hours that the gateway's server has; it must be there at the end."""
    staff = plan.sites[plan.hosts[GATEWAY].site].network("staff")
    address = staff.prefixes[0].removesuffix("0/24") + "222"
    row = f"{address},02:00:00:00:77:02,,43200,{int(time.time()) + 40_000},{staff.vlan},0,0,kestrel,0,"
    box(name, f"echo '{row}' >>{LEASES} && systemctl restart kea-dhcp4-server")
    try:
        yield address
        assert address in box(name, f"cat {LEASES}*"), "the lease is lost"
    finally:
        box(name, f"sed -i '/^{address},/d' {LEASES}*; systemctl restart kea-dhcp4-server")


def silence(heard: Path) -> float:
    """Return the longest silence of the session, which must be the first one still."""
    lines = heard.read_text(encoding="ascii").split("\n")[:-1]
    assert not [line for line in lines if " broken" in line], lines[-1]
    times = [float(line.split()[1]) for line in lines] + [time.monotonic()]
    return round(max(b - a for a, b in itertools.pairwise(times)), 1)


@pytest.mark.timeout(6_000)
@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumped_is_right_after_the_next_run(plan: Plan, name: str, hours: int, tmp_path: Path) -> None:
    history = tmp_path / "history.sqlite"
    until(lambda: drift(history).returncode == 0, 600, "the gateway is as planned before the test")
    before = up(name)
    assert before and abs(off(name)) < OFFSET
    with lease(plan, name), session(plan, name, tmp_path) as heard:
        box(name, f"date --set='{hours:+d} hour' >/dev/null")
        assert abs(off(name) - 3600 * hours) < 60, "the clock did not jump"
        found = drift(history)
        assert found.returncode == 3 and re.search(rf"{GATEWAY}\b.*\bclock\b", found.stdout), (
            found.stdout + found.stderr
        )
        said = [line.strip() for line in found.stdout.splitlines() if "clock" in line]
        # at once: the daemon does not know yet by how much it is off
        begun = time.monotonic()
        done = site("ansible-playbook")
        seconds = round(time.monotonic() - begun, 1)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        assert re.search(rf"(?m)^{GATEWAY}\s+: ok=\d+\s+changed=[1-9]", done.stdout), done.stdout[-4000:]
        right = until(lambda: abs(off(name)) < OFFSET, STEPS, "the clock is right")
        again = site(str(PROJECT / "tools/assert-unchanged"))
        assert again.returncode == 0, again.stdout[-4000:] + again.stderr[-2000:]
        settled = until(lambda: drift(history).returncode == 0, 600, "drift finds nothing")
        # the other side of a tunnel refuses a handshake that is older than the last one it saw
        while time.monotonic() - begun - seconds < KEYS:
            time.sleep(1)
        assert drift(history).returncode == 0
        after = neighbours(name)
        assert {who: after[who] for who in before} == before, "a session over a tunnel fell"
        longest = silence(heard)
        assert longest < SILENT
    record("gateway: clock jumps", hours=hours, said=said, run_s=seconds, right_after_s=right,
           drift_zero_after_s=settled, longest_silence_s=longest, sessions=len(before))  # fmt: skip
