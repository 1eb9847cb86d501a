"""Data disks of lab hosts: a file on the machine's own disk behind a loop device, which the host sees as a disk.

The file does not lie on the host's overlay (which is `volatile`), and is written past the machine's cache where its
file system can (direct I/O): what a host has synchronised survives a power cut as it does on a real disk.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from topology.lab.commands import tool_environment
from topology.lab.errors import LabError

SIZE = 8 * 2**30
"""Bytes of a data disk; the file is sparse."""


def attach(file: Path) -> str:
    """Make the disk's file where there is none and return its loop device; LabError when there is none free."""
    if not file.exists():
        with file.open("wb") as made:
            made.truncate(SIZE)
    for device in attached(file):
        return device
    for options in (["--direct-io=on"], []):
        done = _losetup("--find", "--show", *options, str(file))
        if done.returncode == 0:
            return done.stdout.strip()
    raise LabError(f"no loop device for {file}: {done.stderr.strip()}")


def attached(file: Path) -> list[str]:
    """Return the loop devices of a file."""
    done = _losetup("--noheadings", "--output", "NAME", "--associated", str(file))
    return done.stdout.split() if done.returncode == 0 else []


def detach(folder: Path) -> None:
    """Give back the loop devices of all files below a folder; one that is still mounted goes with its mount."""
    for device, file in devices():
        if Path(file).is_relative_to(folder):
            _losetup("--detach", device)


def devices() -> list[tuple[str, str]]:
    """Return all loop devices with their files; none where there is no losetup."""
    done = _losetup("--list", "--noheadings", "--raw", "--output", "NAME,BACK-FILE")
    rows = (line.split(" ", 1) for line in done.stdout.splitlines()) if done.returncode == 0 else ()
    return [(row[0], row[1].removesuffix(" (deleted)")) for row in rows if len(row) == 2]


def _losetup(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["losetup", *arguments], capture_output=True, text=True, check=False, env=tool_environment()
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", "losetup is not installed")
