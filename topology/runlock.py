"""The lock of a run: who provisions a host, held on the host itself for as long as that run lasts.

A run of site.yml opens one SSH session to every host and keeps it. On the host a few lines of Python hold a
lock of the kernel's (flock) and read a sign of life from that session. So the lock needs no cleaning up: it is free
the moment the run ends, however it ends, and SILENCE seconds after a controller that lost its power or its line.

    python -m topology.runlock PID      standard input: a Request as JSON; one line of output: the answers

The process stays in the background until the process PID ends. Playbooks do this by the action plugin run_lock,
pyinfra's deploys by `held`.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topology.drift.login import CONNECT, Login, login_of

PATH = "/var/run/topology-run.lock"
"""On the host; in memory, so neither a full disk nor a reboot leaves a lock behind."""
SILENCE = 45
"""Seconds without a sign of life after which a host takes the controller for dead."""
EVERY = 10
"""Seconds between two signs of life."""
ANSWER = 15
"""Seconds a host has to answer once it is connected."""
TAKEN, OWN, OVER, HELD, NOT = "taken", "own", "over", "held", "not"
"""Taken; had already by this run; taken over from a run that vanished; held by another; the host was not reached."""

REMOTE = r"""
import fcntl, os, select, sys, time
path, silence, run, mine = sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4]
fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
end = time.monotonic() + 3
while True:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except OSError:
        text = os.pread(fd, 2000, 0).decode(errors="replace")
        if run in text:
            print("own 0 ", flush=True)
            sys.exit()
        if time.monotonic() > end:
            print("held %d %s" % (time.time() - os.fstat(fd).st_mtime, text), flush=True)
            sys.exit()
        time.sleep(0.2)
before = os.pread(fd, 2000, 0).decode(errors="replace")
idle = time.time() - os.fstat(fd).st_mtime
os.ftruncate(fd, 0)
os.pwrite(fd, ("%s [pid %d]" % (mine, os.getpid())).encode(), 0)
print("%s %d %s" % ("over" if before and run not in before else "taken", idle, before), flush=True)
while select.select([0], [], [], silence)[0]:
    if not os.read(0, 64):
        os.ftruncate(fd, 0)
        break
    os.utime(fd)
"""

FREE = r"""
import fcntl, os, re, signal, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOFOLLOW)
for _ in range(30):
    text = os.pread(fd, 2000, 0).decode(errors="replace")
    if sys.argv[2] not in text:
        break
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(fd, 0)
        break
    except OSError:
        os.kill(int(re.search(r"\[pid (\d+)\]$", text)[1]), signal.SIGTERM)
        time.sleep(0.1)
"""
"""Frees the lock of a run whose session is dead without the host knowing: a filter that was loaded forgot it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host said."""

    state: str
    """TAKEN, OWN, OVER, HELD or NOT."""
    text: str = ""
    """Who has or had the lock, as `who` writes it; why the state is not known."""
    idle: int = 0
    """Seconds since that run was last heard of."""


class HeldError(Exception):
    """Another run has a host, or the locks could not be asked for."""


def who(user: str, machine: str, pid: int, what: str, since: str, run: str) -> str:
    """Return the text of a lock: a run in words, and what tells it from every other."""
    return f"{user}@{machine} ({what}, process {pid}), since {since} [run {run}]"


def named(text: str) -> str:
    """Return the words of a lock's text without the run's number."""
    return text.partition(" [run ")[0].strip() or "somebody"


def refusal(host: str, answer: Answer) -> str:
    """Say that a host is held by another run, and what to do."""
    return (
        f"{host} is being provisioned by {named(answer.text)}, last heard of {answer.idle} s ago; wait for that run "
        f"or stop it. The lock goes with it, and {SILENCE} s after the last sign of life when its controller died"
    )


def taken_over(host: str, answer: Answer) -> str:
    """Say that a lock was taken over."""
    return (
        f"{host}: the run of {named(answer.text)} vanished without a word {answer.idle} s ago; its lock is taken over, "
        "and what it left unfinished is done again"
    )


class Lock:
    """The locks of some hosts, held for one run."""

    def __init__(self, logins: Mapping[str, Login], interpreters: Mapping[str, str], run: str, text: str) -> None:
        self.logins = logins
        self.interpreters = interpreters
        self.run = run
        self.text = text
        self.sessions: dict[str, asyncio.subprocess.Process] = {}

    async def _remote(self, host: str, script: str, *words: str) -> asyncio.subprocess.Process:
        """Begin a session that runs a script of Python as root on a host."""
        login = self.logins[host]
        command = shlex.join([self.interpreters.get(host, "python3"), "-c", script, *words])
        remote = f'if [ "$(id -u)" = 0 ]; then exec {command}; else exec sudo -n {command}; fi'
        alive = ("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=4")
        return await asyncio.create_subprocess_exec(
            *login.command, *alive, f"{login.user}@{login.address}" if login.user else login.address, "--",
            f"sh -c {shlex.quote(remote)}",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    async def take(self, host: str) -> Answer:
        """Try to take the lock of one host."""
        process = await self._remote(host, REMOTE, PATH, str(SILENCE), self.run, self.text)
        assert process.stdout
        said: list[str] = []
        try:
            async with asyncio.timeout(CONNECT + ANSWER):
                while line := (await process.stdout.readline()).decode(errors="replace"):
                    state, _, rest = line.strip().partition(" ")
                    idle, _, text = rest.partition(" ")
                    if state in (TAKEN, OWN, OVER, HELD) and idle.isdigit():
                        if state in (TAKEN, OVER):
                            self.sessions[host] = process
                        return Answer(state, text, int(idle))
                    said.append(line.strip())
        except TimeoutError:
            said.append(f"no answer within {CONNECT + ANSWER} s")
            process.kill()
        return Answer(NOT, said[-1] if said else "the session ended")

    async def take_all(self) -> dict[str, Answer]:
        """Try every host at once; when one is held by another run, none stays taken."""
        answers = dict(zip(self.logins, await asyncio.gather(*map(self.take, self.logins)), strict=True))
        if any(answer.state == HELD for answer in answers.values()):
            await self.release()
        return answers

    async def hold(self, ended: asyncio.Event) -> None:
        """Send signs of life until the run has ended; take a lock again whose session broke."""
        again: dict[str, asyncio.Task[Answer]] = {}
        while not ended.is_set():
            for host, session in list(self.sessions.items()):
                assert session.stdin
                if session.returncode is None:
                    with contextlib.suppress(OSError):
                        session.stdin.write(b"\n")
                elif host not in again or again[host].done():
                    # it rebooted, or the line was gone for long; the others must not wait for it
                    again[host] = asyncio.create_task(self.take(host))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), EVERY)
        for task in again.values():
            task.cancel()
        await self.release()

    async def release(self) -> None:
        """Let all locks go, by another session where the first one is dead."""
        await asyncio.gather(*map(self._release, self.sessions))
        self.sessions.clear()

    async def _release(self, host: str) -> None:
        session = self.sessions[host]
        broken = session.returncode is not None
        if session.stdin:
            session.stdin.close()
        try:
            await asyncio.wait_for(session.wait(), 5)
        except TimeoutError:
            session.kill()
            broken = True
        if broken:
            freeing = await self._remote(host, FREE, PATH, self.run)
            try:
                await asyncio.wait_for(freeing.communicate(), CONNECT + ANSWER)
            except TimeoutError:
                freeing.kill()  # the host is gone: it frees the lock itself after SILENCE


def request(hosts: Mapping[str, Mapping[str, Any]], run: str, text: str) -> str:
    """Return what `main` reads: hosts with their connection variables, and the run."""
    wanted = (
        "ansible_host", "ansible_user", "ansible_port", "ansible_ssh_executable", "ansible_ssh_common_args",
        "ansible_ssh_private_key_file", "ansible_python_interpreter",
    )  # fmt: skip
    plain = {name: {key: str(values[key]) for key in wanted if values.get(key)} for name, values in hosts.items()}
    return json.dumps({"hosts": plain, "run": run, "text": text})


def _started(pid: int) -> str:
    """Return when a process started, as its system counts: a number that was used before is told from this one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return "0"


def begin(
    hosts: Mapping[str, Mapping[str, Any]], pid: int, what: str
) -> tuple[subprocess.Popen[str], dict[str, Answer]]:
    """Take the locks of hosts (with their connection variables) for the run of a process, `what` in words.

    Returns the process that holds them until that one ends, or until it is terminated itself, and every host's answer.
    HeldError when it cannot be started.
    """
    machine = socket.gethostname()
    run = f"{machine}-{pid}-{_started(pid)}"
    since = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    text = who(os.environ.get("SUDO_USER") or getpass.getuser(), machine, pid, what, since, run)
    search = [str(Path(__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    holder = subprocess.Popen(
        [sys.executable, "-m", "topology.runlock", str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, start_new_session=True, cwd="/",
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, search))},
    )  # fmt: skip
    assert holder.stdin and holder.stdout
    holder.stdin.write(request(hosts, run, text))
    holder.stdin.close()
    line = holder.stdout.readline()
    if not line:
        raise HeldError("the process that holds the locks ended")
    return holder, {name: Answer(**said) for name, said in json.loads(line).items()}


@contextlib.contextmanager
def held(hosts: Mapping[str, Mapping[str, Any]], what: str, warn: Callable[[str], None]) -> Iterator[None]:
    """Hold the locks of hosts for this process meanwhile; HeldError when another run has one of them."""
    holder, answers = begin(hosts, os.getpid(), what)
    try:
        for message in warnings(answers):
            warn(message)
        if refused := refusals(answers):
            raise HeldError("\n".join(refused))
        yield
    finally:
        holder.terminate()
        holder.wait()


def warnings(answers: Mapping[str, Answer]) -> list[str]:
    """Say which locks were taken over, and which could not be taken."""
    found = []
    for name, answer in sorted(answers.items()):
        if answer.state == OVER:
            found.append(taken_over(name, answer))
        elif answer.state == NOT:
            found.append(f"{name}: its lock could not be taken ({answer.text})")
    return found


def refusals(answers: Mapping[str, Answer]) -> list[str]:
    """Say which hosts other runs have."""
    return [refusal(name, answer) for name, answer in sorted(answers.items()) if answer.state == HELD]


async def _watch(pid: int, ended: asyncio.Event) -> None:
    """Set the event when a process is gone."""
    if hasattr(os, "pidfd_open"):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            ended.set()
            return
        asyncio.get_running_loop().add_reader(handle, ended.set)
        return
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            ended.set()
            return
        await asyncio.sleep(1)


async def serve(pid: int, wanted: Mapping[str, Any]) -> None:
    """Take the locks, say how that went, and hold them until the process `pid` is gone."""
    hosts = wanted["hosts"]
    interpreters = {n: v["ansible_python_interpreter"] for n, v in hosts.items() if "ansible_python_interpreter" in v}
    logins = {n: login_of(n, {"ansible_host": n, **v}) for n, v in hosts.items()}
    lock = Lock(logins, interpreters, wanted["run"], wanted["text"])
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    watching = asyncio.create_task(_watch(pid, ended))
    answers = await lock.take_all()
    print(json.dumps({n: {"state": a.state, "text": a.text, "idle": a.idle} for n, a in answers.items()}), flush=True)
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())  # whoever reads the answers waits for the end of them
    if lock.sessions:
        await lock.hold(ended)
    watching.cancel()


def main() -> None:
    """Serve the request on standard input."""
    asyncio.run(serve(int(sys.argv[1]), json.loads(sys.stdin.read())))


if __name__ == "__main__":
    main()
