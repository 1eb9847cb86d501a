"""Finding and killing processes by control group and by network namespace."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from topology.lab.errors import LabError

PROC = Path("/proc")


def all_pids() -> Iterator[int]:
    """Yield every process of the machine."""
    for name in os.listdir(PROC):
        if name.isdigit():
            yield int(name)


def is_zombie(pid: int) -> bool:
    """Say whether a process is gone, or dead and only waiting for its parent to notice."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in {"Z", "X"}


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process, or nothing if it is gone."""
    try:
        text = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return text.decode(errors="replace").split("\0")[:-1]


def in_network_namespaces(inodes: Collection[tuple[int, int]]) -> list[int]:
    """Return the processes whose network namespace is one of those."""
    found: list[int] = []
    for pid in all_pids():
        try:
            there = os.stat(f"/proc/{pid}/ns/net")
        except OSError:
            continue
        if (there.st_dev, there.st_ino) in inodes:
            found.append(pid)
    return found


def locking(path: Path) -> list[int]:
    """Return the processes through which a lock file is locked, by inheritance too."""
    try:
        wanted = path.stat()
    except OSError:
        return []
    found: list[int] = []
    for pid in all_pids():
        try:
            for descriptor in (PROC / str(pid) / "fd").iterdir():
                there = descriptor.stat()
                if (there.st_dev, there.st_ino) != (wanted.st_dev, wanted.st_ino):
                    continue
                if "FLOCK" in (PROC / str(pid) / "fdinfo" / descriptor.name).read_text(encoding="ascii"):
                    found.append(pid)
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def own_line() -> set[int]:
    """Return this process and its ancestors, which cleaning up must not kill."""
    line: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in line:
        line.add(pid)
        try:
            stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])
    return line


def kill_until_gone(find: Callable[[], Collection[int]], what: str, *, seconds: float = 15.0) -> None:
    """Kill what `find` returns until it returns nothing that is alive."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while True:
        alive = [pid for pid in find() if not is_zombie(pid)]
        if not alive:
            return
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise LabError(f"{what}: process {alive[0]} does not die; look at it with ps -fp {alive[0]}")
        time.sleep(pause)
        pause = min(pause * 2, 0.1)
