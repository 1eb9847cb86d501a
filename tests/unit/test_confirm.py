"""Commit-confirm for real: the program in a network and mount namespace of its own, with nftables."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from topology.inventory import plan_of
from topology.render import confirm
from topology.render.common import TEMPLATES, context_of

ROOT = Path(__file__).parent.parent.parent
PROGRAM = TEMPLATES / "common/topology-filter"
SCRIPTS = [PROGRAM, TEMPLATES / "freebsd/topology_filter"]

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("unshare"), reason="needs root, nft and unshare"
)


def ruleset(port: int) -> str:
    """Return a ruleset that drops by default and can be told from others by its port."""
    return (
        "flush ruleset\ntable inet filter {\n chain input {\n  type filter hook input priority filter; policy drop;\n"
        f'  iif "lo" accept\n  tcp dport {port} accept\n }}\n}}\n'
    )


class Box:
    """A network namespace with the program and its folders."""

    def __init__(self, root: Path) -> None:
        self.etc, self.state = root / "etc", root / "state"
        (self.etc / "topology").mkdir(parents=True)
        self.rules, self.fallback = self.etc / "nftables.conf", self.etc / "topology/fallback.nft"
        self.shaper = self.etc / "topology/tc.batch"
        self.fallback.write_text(ruleset(1))
        (self.etc / "topology/management").write_text("# who\n198.18.0.0/24\nfd00:1::/64\n")
        self.program = root / "topology-filter"
        shutil.copy(PROGRAM, self.program)
        self.holder = subprocess.Popen(["unshare", "-n", "-m", "sleep", "300"])
        for _ in range(100):
            if os.readlink(f"/proc/{self.holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"):
                break
            time.sleep(0.01)
        assert self.sh("ip", "link", "set", "lo", "up").returncode == 0

    def inside(self, *words: str) -> list[str]:
        return ["nsenter", "-t", str(self.holder.pid), "-n", "-m", *words]

    def sh(self, *words: str, seconds: int = 60, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ, "TOPOLOGY_FILTER_ETC": str(self.etc), "TOPOLOGY_FILTER_STATE": str(self.state),
            "TOPOLOGY_CONFIRM_SECONDS": str(seconds), **more,
        }  # fmt: skip
        return subprocess.run(
            self.inside(*words), check=False, env=environment, capture_output=True, text=True, timeout=60
        )

    def run(self, *words: str, seconds: int = 60) -> subprocess.CompletedProcess[str]:
        return self.sh("dash", str(self.program), *words, seconds=seconds)

    def load(self, port: int, seconds: int = 60) -> str:
        self.rules.write_text(ruleset(port))
        done = self.run("load", seconds=seconds)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def confirmed(self, port: int) -> None:
        assert self.run("confirm", self.load(port)).returncode == 0

    def in_force(self) -> str:
        return self.sh("nft", "list", "ruleset").stdout

    def status(self) -> str:
        return self.run("status").stdout.strip()

    def wait_for(self, status: str, seconds: float) -> list[str]:
        """Poll the ruleset until the status begins so; return every ruleset seen on the way."""
        seen, end = [], time.monotonic() + seconds
        while not self.status().startswith(status):
            assert time.monotonic() < end, f"still {self.status()}"
            seen.append(self.in_force())
        return [*seen, self.in_force()]

    def close(self) -> None:
        for watcher in subprocess.run(
            ["pgrep", "-f", f"{self.program} --watch"], check=False, capture_output=True, text=True
        ).stdout.split():
            os.killpg(int(watcher), 9)  # a watcher leads a session of its own
        shutil.rmtree(self.state, ignore_errors=True)
        self.holder.kill()
        self.holder.wait()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    one = Box(tmp_path)
    yield one
    one.close()


def port_of(text: str) -> str:
    """Return the port a ruleset in force lets in; '' when it is none of ours or does not drop."""
    found = re.search(r"dport (\d+) accept", text)
    return found[1] if found and "policy drop" in text else ""


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_the_scripts_are_clean(script: Path) -> None:
    text = script.read_text()
    text = text if text.startswith("#!") else "#!/bin/sh\n" + text
    done = subprocess.run(
        ["shellcheck", "-s", "sh", "-e", "SC1091,SC2034,SC2223", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert subprocess.run(["dash", "-n"], input=text, text=True, check=False).returncode == 0


@needs_root
def test_load_and_confirm(box: Box) -> None:
    assert box.status() == "none"
    token = box.load(22, seconds=2)
    assert re.fullmatch(r"[0-9a-f]{16}", token)
    assert box.status().startswith("armed ")
    assert port_of(box.in_force()) == "22"
    assert box.run("confirm", "0123456789abcdef").returncode == 1  # somebody else's
    assert box.run("confirm", token, "--reach", "127.0.0.1").returncode == 0
    assert box.status() == "confirmed"
    assert box.run("confirm", token).returncode == 1  # once
    time.sleep(2.5)
    assert (box.status(), port_of(box.in_force())) == ("confirmed", "22")
    assert box.state.stat().st_mode & 0o7777 == 0o700


@needs_root
def test_a_hub_that_does_not_answer_keeps_it_armed(box: Box) -> None:
    box.confirmed(22)
    token = box.load(23, seconds=4)
    words = ("confirm", "--reach", "198.51.100.1", "--reach", "2001:db8:ffff::1", token)
    done = box.sh("dash", str(box.program), *words, TOPOLOGY_REACH_SECONDS="3")
    assert done.returncode == 1 and "none of 198.51.100.1 2001:db8:ffff::1 answers" in done.stderr
    assert box.status().startswith("armed")
    assert box.run("status", "--wait").stdout == "restored not confirmed within 4 s\n"
    assert port_of(box.in_force()) == "22"
    assert box.run("confirm", "--reach", "x;y", token).returncode == 2


@needs_root
def test_a_hub_counts_when_it_was_reached_before(box: Box) -> None:
    box.confirmed(22)
    lonely = box.load(23)
    assert box.run("confirm", lonely).returncode == 0
    near, far = "127.0.0.9", "198.51.100.1"
    done = box.run("load", "--reach", far)
    assert done.returncode == 0 and box.run("confirm", done.stdout.strip()).returncode == 0, "it never answered"
    box.rules.write_text(ruleset(24).replace('iif "lo" accept', f"ip daddr {near} drop"))
    done = box.run("load", "--reach", far, "--reach", near, seconds=5)
    confirmed = box.sh("dash", str(box.program), "confirm", done.stdout.strip(), TOPOLOGY_REACH_SECONDS="2")
    assert confirmed.returncode == 1 and f"none of {near} answers" in confirmed.stderr
    assert box.run("status", "--wait").stdout == "restored not confirmed within 5 s\n"
    assert port_of(box.in_force()) == "23"
    assert box.run("load", "--reach", "x;y").returncode == 2
    assert not list(box.state.glob("*/reach"))


@needs_root
def test_bad_rules_change_nothing(box: Box) -> None:
    box.confirmed(22)
    before = box.in_force()
    box.rules.write_text("flush ruleset\ntable inet filter { chain input { nonsense } }\n")
    done = box.run("load")
    assert done.returncode == 1 and "nothing changed" in done.stderr and done.stdout == ""
    assert box.run("check").returncode == 1 and box.run("check", str(box.fallback)).returncode == 0
    assert (box.status(), box.in_force()) == ("confirmed", before)


@needs_root
def test_without_a_word_the_last_ones_come_back_and_the_filter_is_never_off(box: Box) -> None:
    box.confirmed(22)
    token = box.load(23, seconds=2)
    seen = [port_of(text) for text in box.wait_for("restored", 6)]
    assert {"23", "22"} == set(seen) and seen[-1] == "22", seen
    assert box.status() == "restored not confirmed within 2 s"
    assert port_of(box.rules.read_text()) == "22"  # the file as well, or the next boot would load the other
    assert port_of((box.state / "rejected").read_text()) == "23"
    assert box.run("confirm", token).returncode == 1
    box.confirmed(24)
    assert (box.status(), port_of(box.in_force())) == ("confirmed", "24")


@needs_root
def test_nobody_ever_confirmed(box: Box) -> None:
    box.load(23, seconds=1)
    box.wait_for("restored", 6)
    assert port_of(box.in_force()) == "1" and port_of(box.rules.read_text()) == "1"


@needs_root
@pytest.mark.parametrize("fallback", ["", "table inet {"], ids=["none", "broken"])
def test_without_a_fallback_only_administrators_get_in(box: Box, fallback: str) -> None:
    if fallback:
        box.fallback.write_text(fallback)
    else:
        box.fallback.unlink()
    box.load(23)
    assert box.run("restore", "wrong", "rules").returncode == 1
    text = box.in_force()
    assert text.count("policy drop") == 2 and "dport 23" not in text
    assert "ip saddr 198.18.0.0/24 tcp dport 22 accept" in text and "ip6 saddr fd00:1::/64 tcp dport 22 accept" in text
    assert box.status() == "restored wrong rules"


@needs_root
def test_the_session_and_the_controller_die(box: Box) -> None:
    box.confirmed(22)
    box.rules.write_text(ruleset(23))
    environment = {
        **os.environ, "TOPOLOGY_FILTER_ETC": str(box.etc), "TOPOLOGY_FILTER_STATE": str(box.state),
        "TOPOLOGY_CONFIRM_SECONDS": "2",
    }  # fmt: skip
    session = subprocess.Popen(
        box.inside("sh", "-c", f"{box.program} load; sleep 60"),
        env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert session.stdout is not None and len(session.stdout.readline()) == 17
    os.killpg(session.pid, 9)
    session.wait()
    session.stdout.close()
    assert box.status().startswith("armed")
    assert {port_of(t) for t in box.wait_for("restored", 6)} == {"22", "23"}
    assert port_of(box.in_force()) == "22"


@needs_root
def test_two_loads_keep_the_first_ones_way_back(box: Box) -> None:
    box.confirmed(22)
    first = box.load(23, seconds=2)
    box.load(24, seconds=4)
    assert box.run("confirm", first).returncode == 1
    time.sleep(2.5)  # the first one's timer has run out, and is nobody's any more
    assert box.status().startswith("armed") and port_of(box.in_force()) == "24"
    assert {port_of(t) for t in box.wait_for("restored", 6)} == {"22", "24"}
    assert port_of(box.in_force()) == port_of(box.rules.read_text()) == "22"


@needs_root
def test_what_is_confirmed_is_what_was_loaded(box: Box) -> None:
    token = box.load(22)
    box.rules.write_text(ruleset(99))  # written after the load, proven by nobody
    assert box.run("confirm", token).returncode == 0
    box.run("restore")
    assert port_of(box.in_force()) == port_of(box.rules.read_text()) == "22"


@needs_root
def test_boot(box: Box) -> None:
    box.confirmed(22)
    box.sh("nft", "flush", "ruleset")
    assert box.run("boot").returncode == 0
    assert (box.status(), port_of(box.in_force())) == ("confirmed", "22")
    box.load(23)
    box.sh("nft", "flush", "ruleset")  # the power goes before the confirmation
    assert box.run("boot").returncode == 0
    assert port_of(box.in_force()) == port_of(box.rules.read_text()) == "22"
    assert box.status() == "restored the machine started anew before the rules were confirmed"
    box.rules.write_text("garbage")
    box.sh("nft", "flush", "ruleset")
    assert box.run("boot").returncode == 0
    assert port_of(box.in_force()) == "22"
    box.rules.write_text(ruleset(99))  # placed by a run that was killed before it loaded them
    box.sh("nft", "flush", "ruleset")
    assert box.run("boot").returncode == 0
    assert port_of(box.in_force()) == port_of(box.rules.read_text()) == "22"
    assert box.status() == f"restored {box.rules} was never confirmed"
    assert (box.state.parent / "pending/filter").exists(), "the next run applies the filter again"
    assert box.run("confirm", box.load(24)).returncode == 0
    assert box.run("boot").returncode == 0 and box.status() == "confirmed"
    box.confirmed(22)
    shutil.rmtree(box.state)
    box.rules.write_text("garbage")
    assert box.run("boot").returncode == 1  # seen as a failed unit
    assert port_of(box.in_force()) == "1"


@needs_root
def test_many_at_once_leave_one_armed(box: Box) -> None:
    box.confirmed(22)
    box.rules.write_text(ruleset(23))
    environment = {**os.environ, "TOPOLOGY_FILTER_ETC": str(box.etc), "TOPOLOGY_FILTER_STATE": str(box.state)}
    runs = [
        subprocess.Popen(box.inside(str(box.program), "load"), env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    tokens = [run.communicate(timeout=60)[0].strip() for run in runs]
    accepted = [box.run("confirm", token).returncode for token in tokens]
    assert sorted(accepted) == [0, 1, 1, 1]
    assert sorted(p.name.split(".")[0] for p in box.state.iterdir()) == ["copy", "current", "lock"]


@needs_root
def test_the_shaper_goes_with_the_rules(box: Box) -> None:
    assert box.run("shape").returncode == 0  # nothing to do
    box.shaper.write_text("qdisc replace dev lo root pfifo limit 11\n")
    box.confirmed(22)
    assert "limit 11p" in box.sh("tc", "qdisc", "show", "dev", "lo").stdout
    box.shaper.write_text("qdisc replace dev lo root pfifo limit 12\n")
    box.load(23)
    assert "limit 12p" in box.sh("tc", "qdisc", "show", "dev", "lo").stdout
    box.run("restore")
    assert "limit 11p" in box.sh("tc", "qdisc", "show", "dev", "lo").stdout
    box.shaper.write_text("qdisc replace dev nosuch root pfifo limit 13\n")
    assert box.run("load").returncode == 0, "an interface that is not there yet keeps no rules back"
    assert box.status().startswith("armed")


STAND_INS = {
    "uname": "echo FreeBSD",
    "kldload": "exit 0",
    "dnctl": 'cp "$2" "${TOPOLOGY_FILTER_ETC}/pipes"',
    # lockf -k -s -t SECONDS FILE COMMAND...; daemon -f COMMAND...
    "lockf": 'file=$5; shift 5; exec flock -o -E 75 -w 30 "$file" "$@"',
    "daemon": 'shift; setsid "$@" </dev/null >/dev/null 2>&1 &',
    "pfctl": """case $1 in
-nf) ! grep -q nonsense "$2" ;;
-f) ! grep -q nonsense "$2" && cp "$2" "${TOPOLOGY_FILTER_ETC}/in-force" ;;
-s) echo "Status: Enabled for 0 days" ;;
*) exit 9 ;;
esac""",
}


@needs_root
def test_on_freebsd_with_stand_ins_for_its_commands(box: Box) -> None:
    folder = box.etc / "bin"
    folder.mkdir()
    for name, text in STAND_INS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    assert box.sh("mount", "--bind", str(folder), "/usr/local/sbin").returncode == 0
    rules, force, pipes = box.etc / "pf.conf", box.etc / "in-force", box.etc / "dnctl.conf"
    rules.write_text("rules 1\n")
    pipes.write_text("pipe 1\n")
    assert box.run("boot").returncode == 0 and force.read_text() == "rules 1\n"
    assert (box.etc / "topology/blocked").read_text() == ""
    assert box.run("confirm", box.run("load").stdout.strip()).returncode == 0
    rules.write_text("nonsense\n")
    assert box.run("load").returncode == 1 and force.read_text() == "rules 1\n"
    rules.write_text("rules 2\n")
    pipes.write_text("pipe 2\n")
    assert box.run("load", seconds=1).returncode == 0
    assert (force.read_text(), (box.etc / "pipes").read_text()) == ("rules 2\n", "pipe 2\n")
    assert box.run("status", "--wait").stdout == "restored not confirmed within 1 s\n"
    assert force.read_text() == rules.read_text() == "rules 1\n"
    assert (box.etc / "pipes").read_text() == pipes.read_text() == "pipe 1\n"
    shutil.rmtree(box.state)
    rules.write_text("nonsense\n")
    assert box.run("boot").returncode == 1
    assert "pass in quick proto tcp from fd00:1::/64 to (self) port 22 keep state\n" in force.read_text()
    assert force.read_text().startswith("set skip on lo\nblock drop all\n") and rules.read_text() == force.read_text()


@pytest.mark.parametrize(
    "words", [[], ["what"], ["confirm"], ["confirm", "NOTHEX"], ["status", "x"], ["--locked", "x"]]
)
def test_bad_usage(tmp_path: Path, words: list[str]) -> None:
    done = subprocess.run(
        ["dash", str(PROGRAM), *words], capture_output=True, text=True, check=False,
        env={**os.environ, "TOPOLOGY_FILTER_ETC": str(tmp_path), "TOPOLOGY_FILTER_STATE": str(tmp_path / "s")},
    )  # fmt: skip
    assert done.returncode == 2 and "topology-filter load" in done.stderr


def test_files_of_both_platforms() -> None:
    for inventory in ("inventories/luwu", "inventories/lab"):
        plan = plan_of(ROOT / inventory)
        context = context_of(plan)
        gateways = [h for h in plan.hosts.values() if h.kind == "gateway"]
        for host in gateways:
            found = confirm.files(context, host)
            assert found[confirm.PROGRAM].startswith("#!/bin/sh\n# Generated by topology from ")
            assert found[confirm.PROGRAM].split("\n", 2)[2] == PROGRAM.read_text().split("\n", 1)[1]
            assert (confirm.SERVICE in found) == (host.platform == "freebsd")
            assert ("etc/systemd/system/topology-filter.service" in found) == (host.platform == "debian")
            assert len(found[confirm.MANAGEMENT].splitlines()) > 1
        began = time.process_time()
        for host in gateways:
            confirm.files(context, host)
        assert (time.process_time() - began) / len(gateways) < 0.0005
