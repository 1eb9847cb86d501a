"""The lock of a run, with SSH replaced by a shell on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from topology import runlock

HOST = "kota-gw"


def until(true: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Make a folder whose `ssh` runs commands here, with the lock in that folder; return the lock's file."""
    file = tmp_path / "run.lock"
    (tmp_path / "ssh").write_text(
        f'#!/bin/sh\nfor last; do :; done\nexec sh -c "$(printf %s "$last" | sed "s,{runlock.PATH},{file},")"\n'
    )
    (tmp_path / "sudo").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    for name in ("ssh", "sudo"):
        (tmp_path / name).chmod(0o755)
    return file


class Run:
    """A run: the process it stands for, and the one that holds its locks."""

    def __init__(self, lock: Path, name: str) -> None:
        self.controller = subprocess.Popen(["sleep", "60"])
        self.holder = subprocess.Popen(
            [sys.executable, "-m", "topology.runlock", str(self.controller.pid)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env=os.environ | {"PATH": f"{lock.parent}:{os.environ['PATH']}"},
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        hosts = {HOST: {"ansible_host": "198.18.0.1", "ansible_python_interpreter": sys.executable}}
        text = runlock.who(name, "pc", self.controller.pid, "site.yml", "2026-11-26 08:00:00 WITA", f"run-{name}")
        assert self.holder.stdin and self.holder.stdout
        self.holder.stdin.write(runlock.request(hosts, f"run-{name}", text))
        self.holder.stdin.close()
        self.said: dict[str, Any] = json.loads(self.holder.stdout.readline())
        self.answer = runlock.Answer(**self.said[HOST])

    def end(self) -> None:
        self.controller.kill()
        self.controller.wait()
        self.holder.kill()
        self.holder.wait()


@pytest.fixture
def begin(lock: Path) -> Iterator[Callable[[str], Run]]:
    runs: list[Run] = []

    def one(name: str) -> Run:
        runs.append(Run(lock, name))
        return runs[-1]

    yield one
    for run in runs:
        run.end()


def test_the_second_run_is_told_who_has_it_and_gets_it_when_the_first_ends(
    begin: Callable[[str], Run], lock: Path
) -> None:
    first = begin("sari")
    assert first.answer.state == runlock.TAKEN
    assert lock.read_text().startswith("sari@pc (site.yml, process ")
    second = begin("budi")
    assert second.answer.state == runlock.HELD
    said = runlock.refusal(HOST, second.answer)
    assert said.startswith(f"{HOST} is being provisioned by sari@pc (site.yml, process {first.controller.pid}), ")
    assert "since 2026-11-26 08:00:00 WITA, last heard of " in said and "run-sari" not in said
    second.holder.wait(10)
    first.controller.kill()  # without a word
    first.controller.wait()
    first.holder.wait(10)
    until(lambda: lock.read_text() == "")
    assert begin("budi").answer.state == runlock.TAKEN


def test_a_lock_whose_session_died_unseen_is_freed_by_another_when_the_run_ends(
    begin: Callable[[str], Run], lock: Path
) -> None:
    """The host hears nothing, not even that the session ended: as when a filter is loaded that does not know it."""
    ssh = lock.parent / "ssh"
    whole = ssh.read_text()
    # the first session's host keeps its end open
    ssh.write_text(whole.replace("exec sh -c", "sleep 30 | sh -c"))
    first = begin("sari")
    assert first.answer.state == runlock.TAKEN
    ssh.write_text(whole)
    first.controller.kill()
    first.controller.wait()
    until(lambda: lock.read_text() == "", 15)
    assert begin("budi").answer.state == runlock.TAKEN


def test_one_run_may_ask_twice(begin: Callable[[str], Run]) -> None:
    assert begin("sari").answer.state == runlock.TAKEN
    assert begin("sari").answer.state == runlock.OWN


def test_a_lock_whose_holder_vanished_is_taken_over_and_named(begin: Callable[[str], Run], lock: Path) -> None:
    lock.write_text(runlock.who("sari", "pc", 7, "site.yml", "2026-11-26 08:00:00 WITA", "run-sari"))
    os.utime(lock, (time.time() - 90, time.time() - 90))
    answer = begin("budi").answer
    assert answer.state == runlock.OVER and 89 <= answer.idle <= 150
    assert "the run of sari@pc (site.yml, process 7), since 2026-11-26 08:00:00 WITA vanished" in runlock.taken_over(
        HOST, answer
    )


def test_a_host_that_hears_nothing_gives_the_lock_up(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    command = [sys.executable, "-c", runlock.REMOTE, str(file), "1", "run-sari", "sari [run run-sari]"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdin and one.stdout and one.stdout.readline().startswith("taken ")
        for _ in range(4):  # signs of life hold it
            time.sleep(0.5)
            one.stdin.write("\n")
            one.stdin.flush()
        assert one.poll() is None
        assert one.wait(5) == 0
    assert file.read_text() == f"sari [run run-sari] [pid {one.pid}]", "who vanished stays written there"


def test_a_host_that_is_not_reached_is_said(begin: Callable[[str], Run], lock: Path) -> None:
    (lock.parent / "ssh").write_text("#!/bin/sh\necho 'ssh: no route to host' >&2\nexit 255\n")
    answer = begin("sari").answer
    assert answer == runlock.Answer(runlock.NOT, "ssh: no route to host")


def test_a_deploy_holds_its_hosts_meanwhile_and_is_refused_when_another_run_has_them(
    begin: Callable[[str], Run], lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{lock.parent}:{os.environ['PATH']}")
    hosts = {HOST: {"ansible_host": "198.18.0.1", "ansible_python_interpreter": sys.executable}}
    said: list[str] = []
    with runlock.held(hosts, "patch.py", said.append):
        assert f" (patch.py, process {os.getpid()}), since " in lock.read_text()
        assert begin("sari").answer.state == runlock.HELD
    until(lambda: lock.read_text() == "")
    assert begin("sari").answer.state == runlock.TAKEN
    with (
        pytest.raises(runlock.HeldError, match=rf"{HOST} is being provisioned by sari@pc \(site.yml, "),
        runlock.held(hosts, "patch.py", said.append),
    ):
        pytest.fail("two at once")
    assert said == []
