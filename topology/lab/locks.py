"""Who may change a lab: one process at a time, and its pid is known."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from topology.lab import commands
from topology.lab.errors import LabError
from topology.lab.names import STATE_ROOT, LabNames
from topology.lab.processes import is_zombie, kill_until_gone, locking

PATIENCE = 15.0
"""Seconds to wait for a lock that should be free any moment."""
ORPHAN_PATIENCE = 1.0
"""Seconds that tools may go on after the process which started them was killed."""


@contextmanager
def lab_lock(names: LabNames, purpose: str) -> Iterator[None]:
    """Hold the lock of one lab; say who holds it if it is taken."""
    descriptor = _acquire(names)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {purpose}\n".encode(), 0)
        commands.inherit(descriptor)
        yield
    finally:
        commands.disinherit(descriptor)
        os.ftruncate(descriptor, 0)
        if not names.state.exists():
            names.lock.unlink(missing_ok=True)
        os.close(descriptor)
        remove_if_empty(STATE_ROOT)


@contextmanager
def waiting_lock(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock at `path`, waiting for it; raise LabError with `busy` after ten minutes."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    deadline = time.monotonic() + 600
    descriptor = _open(path)
    try:
        while not _try(descriptor):
            if time.monotonic() > deadline:
                raise LabError(busy)
            time.sleep(0.2)
        commands.inherit(descriptor)
        yield
    finally:
        commands.disinherit(descriptor)
        os.close(descriptor)


@contextmanager
def machine_lock() -> Iterator[None]:
    """Hold the lock for what all labs of this machine share; it is the state directory itself."""
    deadline = time.monotonic() + PATIENCE
    while True:
        STATE_ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            descriptor = os.open(STATE_ROOT, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        if _try(descriptor) and _is_still(descriptor, STATE_ROOT):
            break
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise LabError("another lab is changing this machine's settings and does not finish; try again")
        time.sleep(0.02)
    try:
        yield
    finally:
        os.close(descriptor)


def remove_if_empty(directory: Path) -> None:
    """Remove a directory that has nothing in it."""
    try:
        directory.rmdir()
    except OSError:
        return


def holder(names: LabNames) -> str | None:
    """Return "pid purpose" of the process that is changing the lab, or None."""
    try:
        descriptor = os.open(names.lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _try(descriptor) else _read(descriptor)
    finally:
        os.close(descriptor)


def _acquire(names: LabNames) -> int:
    began = time.monotonic()
    while True:
        STATE_ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            descriptor = _open(names.lock)
        except FileNotFoundError:
            continue
        if _try(descriptor):
            if _is_still(descriptor, names.lock):
                return descriptor
            os.close(descriptor)
            continue
        text = _read(descriptor)
        os.close(descriptor)
        pid, _, purpose = text.partition(" ")
        # An empty file was locked a moment ago by someone who has not written its pid yet.
        waited = time.monotonic() - began
        if (pid.isdigit() and not is_zombie(int(pid))) or waited > PATIENCE:
            who = f"process {pid or '?'} ({purpose or 'unknown'})"
            raise LabError(f"lab {names.lab} is being changed by {who}; wait for it or stop it")
        if pid and waited > ORPHAN_PATIENCE:
            # Whoever had the lock was killed, and what it was running (a long download, say) has
            # it still.
            kill_until_gone(lambda: locking(names.lock), f"lab {names.lab}")
        time.sleep(0.05)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(descriptor: int, path: Path) -> bool:
    """Say whether the locked file is the one at `path`, and not one removed meanwhile."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def _read(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace").strip()
