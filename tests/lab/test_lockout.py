"""Rules that lock out come back by themselves, and the filter is never off meanwhile.

Probed throughout on one office's gateway: a visitor's packets to a desk never arrive (one every 20 ms),
the data centre's pings of that desk are answered, and a TCP session through the gateway stays alive.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import play
from tests.lab.figures import record
from tests.lab.probe import Probe, in_lan
from tests.lab.where import INVENTORY, ROOT
from topology import lab
from topology.inventory import plan_of, reach
from topology.render import render_host, write

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(600)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
STEADY = Path(__file__).with_name("steady.py")
WITHIN = 60
"""Seconds for the rules from before to be back."""
VISITOR = next(h for h in PLAN.hosts.values() if h.kind == "pc" and next(h.of_kind("host")).network == "guest")
BOX = next(h for h in PLAN.hosts.values() if h.kind == "gateway" and h.site == VISITOR.site)
FAR_SERVER = next(
    h for h in PLAN.hosts.values() if h.kind == "pc" and next(h.of_kind("host")).network == "server"
    and h.site != BOX.site
)  # fmt: skip
CENTRE = next(h.site for h in PLAN.hosts.values() if h.hub_slot == 1)
ECHO = """
import socket, sys
server = socket.create_server((sys.argv[1], 80), backlog=4)
while True:
    one, _ = server.accept()
    while data := one.recv(64): one.sendall(data)
"""
HELLO = """
import socket, subprocess
router = subprocess.run(["ip", "-4", "route", "show", "default"], capture_output=True, text=True).stdout.split()[2]
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", (router, 9))
"""
TALK = """
import select, socket, sys, time
one = socket.create_connection((sys.argv[1], 80), timeout=5)
one.settimeout(5)
worst, sent = 0.0, 0
try:
    while not select.select([sys.stdin], [], [], 0.05)[0]:
        began = time.monotonic()
        one.sendall(b'x')
        assert one.recv(1) == b'x'
        worst, sent = max(worst, time.monotonic() - began), sent + 1
except (OSError, AssertionError) as fault:
    print('died', fault)
else:
    print('alive', sent, worst)
"""


def on(command: str) -> str:
    return lab.exec_in(NAME, BOX.name, ["sh", "-c", command]).stdout


def in_force() -> str:
    """Return the rules in force that the tests change (without counters)."""
    said = on("nft -s list chain inet topology management; nft -s list chain inet topology input")
    return re.sub(r"counter packets \d+ bytes \d+", "", said)


def status() -> str:
    return on("topology-filter status").strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return the gateway's rendered files, to be edited."""
    write({BOX.name: dict(render_host(PLAN, BOX))}, tmp_path / "tree")
    return tmp_path / "tree" / BOX.name


def settle(folder: Path) -> play.Run:
    """Apply what the inventory says to the filter."""
    write({BOX.name: dict(render_host(PLAN, BOX))}, folder / "settle")
    own = play.role_play(folder / "settle.yml", BOX.name, "filter", filter_rendered=str(folder / "settle" / BOX.name))
    done = play.run(own, folder / "report")
    assert done.code == 0, done.output
    return done


@pytest.fixture(autouse=True)
def as_before(tmp_path: Path) -> Iterator[None]:
    """Start from confirmed rules, and put them back whatever a test does."""
    if status() != "confirmed":
        settle(tmp_path)
    wait_until(hub_reached, 60)
    before = in_force()
    yield
    if in_force() != before or status() != "confirmed":
        on("topology-filter restore")
        settle(tmp_path)
    assert in_force() == before
    wait_until(hub_reached, 60)


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{true.__name__}: not within {seconds:.0f} s"
        time.sleep(0.2)


def hub_reached() -> bool:
    words = " ".join(reach(PLAN, BOX))
    return on(f"for a in {words}; do ping -n -q -c 1 -W 1 $a >/dev/null && echo yes; done").count("yes") > 0


def edit(tree: Path, line: str) -> None:
    """Take the lines that match out of the ruleset."""
    path = tree / "etc/nftables.conf"
    old = path.read_text(encoding="utf-8").splitlines(keepends=True)
    new = [text for text in old if not re.search(line, text)]
    assert len(new) < len(old)
    path.write_text("".join(new), encoding="utf-8")


def filter_play(tree: Path) -> Path:
    return play.role_play(tree.parent / "play.yml", BOX.name, "filter", filter_rendered=str(tree))


@dataclass
class Watch:
    """What the probes saw."""

    leaked: int = -1
    forbidden: int = 0
    """Forbidden packets sent."""
    asked: int = 0
    answered: int = 0
    session: str = ""
    seconds: float = 0


@contextmanager
def watched() -> Iterator[Watch]:
    """Probe from before to after."""
    found = Watch()
    near = in_lan(PLAN, BOX.site, "staff", 91)
    guest = in_lan(PLAN, BOX.site, "guest", 91)
    centre = in_lan(PLAN, CENTRE, "staff", 91)
    server = in_lan(PLAN, FAR_SERVER.site, "server", 91)
    with near as desk, guest as visitor, centre as far, server as echo:
        for probe in (desk, far, echo):  # a probe is deaf, and these are to answer
            probe.run("nft", "delete", "table", "inet", "topology_quiet")
        for probe in (desk, visitor, far, echo):  # whoever knows its router is known to it
            probe.run(sys.executable, "-c", HELLO)
        count = ("nft", "add table ip t; add chain ip t c { type filter hook prerouting priority -300; }; "
                 f"add rule ip t c ip saddr {visitor.address(4)} counter")  # fmt: skip
        desk.run(*count)
        started: list[subprocess.Popen[str]] = []
        try:
            started.append(begin(echo, sys.executable, "-c", ECHO, echo.address(4)))
            time.sleep(0.5)
            started.append(talk := begin(desk, sys.executable, "-c", TALK, echo.address(4)))
            started.append(forbidden := begin(visitor, sys.executable, str(STEADY), desk.address(4)))
            started.append(allowed := begin(far, sys.executable, str(STEADY), desk.address(4)))
            began = time.monotonic()
            time.sleep(1)
            yield found
            time.sleep(1)
            found.seconds = time.monotonic() - began
            found.forbidden, back = counts(forbidden)
            found.asked, found.answered = counts(allowed)
            out, errors = talk.communicate("\n", timeout=10)
            found.session = out.strip() or errors.strip()
            seen = re.search(r"packets (\d+)", desk.run("nft", "list", "chain", "ip", "t", "c"))
            assert seen is not None
            found.leaked = max(int(seen[1]), back)
        finally:
            for one in started:
                one.kill()
                one.wait()


def begin(probe: Probe, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(["ip", "netns", "exec", probe.netns, *command], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip


def counts(steady: subprocess.Popen[str]) -> tuple[int, int]:
    """Stop a prober; return how many it sent and how many were answered."""
    out, errors = steady.communicate("\n", timeout=15)
    assert steady.returncode == 0, errors
    sent, answered = map(int, out.split())
    return sent, answered


def judge(found: Watch, what: str, **more: float) -> None:
    """The filter was never off, and what was allowed before went on."""
    assert found.forbidden > found.seconds * 10, "too few probes to say anything"
    lost = found.asked - found.answered
    record(what, forbidden_sent=found.forbidden, forbidden_arrived=found.leaked, allowed_sent=found.asked,
           allowed_lost=lost, session=found.session, **more)  # fmt: skip
    assert found.leaked == 0
    assert lost <= 2, "what is allowed went on"
    assert found.session.startswith("alive")


def test_the_probes_would_see_an_open_filter() -> None:
    """Without this the other tests prove nothing: with the filter open for a second, packets arrive."""
    leaked = False
    try:
        with watched() as found:
            on("nft insert rule inet topology forward accept; nft insert rule inet topology input accept")
            time.sleep(1)
        leaked = found.leaked > 0
    finally:
        on("nft -f /etc/nftables.conf")
    assert leaked


def test_a_session_lives_on_when_the_first_rules_come(tree: Path, tmp_path: Path) -> None:
    """The kernel learns of connections only once rules ask for it: the first ones may not drop who loads them."""
    on("nft flush ruleset; conntrack -F")
    began = time.monotonic()
    done = play.run(filter_play(tree), tmp_path / "report", timeout=180)
    seconds = time.monotonic() - began
    assert done.code == 0, done.output
    record("lockout: the first rules", play_s=round(seconds, 1))
    # a dead session is noticed after 60 s, and the restore fires after 45
    assert status() == "confirmed" and seconds < 40
    assert in_force()


def test_rules_that_block_ssh_come_back(tree: Path, tmp_path: Path) -> None:
    edit(tree, r"tcp dport 22 ")
    before = in_force()
    with watched() as found:
        running = subprocess.Popen(
            play.command(filter_play(tree)), cwd=ROOT, env=play.environment(tmp_path / "report"), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            wait_until(lambda: in_force() != before, 60)
            loaded = time.monotonic()
            wait_until(lambda: in_force() == before, WITHIN + 30)
            seconds = time.monotonic() - loaded
            output, _ = running.communicate(timeout=90)
        finally:
            running.kill()
            running.wait()
        told = time.monotonic() - loaded
    judge(found, "lockout: rules that block SSH", back_after_s=round(seconds, 1), told_after_s=round(told, 1))
    assert seconds <= WITHIN
    assert running.returncode != 0
    assert "A new SSH session could not be opened through the new rules" in output and "those from before" in output
    assert status().startswith("restored not confirmed within ")
    # the right rules were refused by nobody: the next run loads and confirms them, and the one after has nothing to do
    assert settle(tmp_path).changes == {(BOX.name, "filter : Place and load, with the restore armed", ("filter",), ())}
    assert status() == "confirmed" and not settle(tmp_path).changed


def test_rules_that_block_the_tunnels_come_back(tree: Path, tmp_path: Path) -> None:
    edit(tree, r"counter name wireguard-")
    before = in_force()
    began = time.monotonic()
    done = play.run(filter_play(tree), tmp_path / "report", timeout=180)
    seconds = time.monotonic() - began
    assert done.code != 0 and "answers: not confirmed" in done.output, done.output
    assert "no hub answers through the new rules" in done.output
    assert in_force() == before
    wait_until(hub_reached, 60)
    record("lockout: rules that block the tunnels", play_s=round(seconds, 1),
           hub_reached_after_s=round(time.monotonic() - began, 1))  # fmt: skip
    assert seconds <= WITHIN


def test_the_controller_dies_in_mid_apply(tree: Path, tmp_path: Path) -> None:
    path = tree / "etc/nftables.conf"
    text = path.read_text(encoding="utf-8")
    head = "  chain management {\n"
    assert head in text
    path.write_text(text.replace(head, f"{head}    ip saddr 198.51.100.251 drop\n"), encoding="utf-8")
    own, before = filter_play(tree), in_force()
    with watched() as found:
        # a process namespace of its own: nothing of the controller outlives its first process, SSH included
        running = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", *play.command(own)], cwd=ROOT,
            env=play.environment(tmp_path / "report"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            end = time.monotonic() + 60
            while in_force() == before:
                assert time.monotonic() < end and running.poll() is None
        finally:
            running.kill()
            running.wait()
        killed = time.monotonic()
        assert status().startswith("armed")
        wait_until(lambda: in_force() == before, WITHIN + 30)
        seconds = time.monotonic() - killed
    judge(found, "lockout: the controller dies", back_after_s=round(seconds, 1))
    assert seconds <= WITHIN
    assert status().startswith("restored not confirmed within ")

    after = play.run(own, tmp_path / "report")
    assert after.code == 0 and after.changed, after.output
    assert status() == "confirmed"
    back = play.run(play.SITE, tmp_path / "report", "--limit", f"localhost,{BOX.name}")
    assert back.code == 0 and any("/etc/nftables.conf" in c["files"] for c in back.changed), back.output
    again = play.run(play.SITE, tmp_path / "report", "--limit", f"localhost,{BOX.name}")
    assert again.code == 0 and not again.changed, again.output
