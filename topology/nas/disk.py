"""btrfs: subvolumes, snapshots, quotas."""

from __future__ import annotations

import datetime
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from .config import FORMAT, LIVE, ROOT, SNAP, NasError, run

_LINE = re.compile(r"ID (\d+) gen (\d+) .*?path (.+)")
MARGIN = 60 * 2**20
"""Bytes that are kept free whatever the quotas say."""


@dataclass(frozen=True, slots=True)
class Subvolume:
    """A subvolume as the file system lists it."""

    id: int
    generation: int
    """Number of the transaction that last changed it."""


def subvolumes(*options: str) -> dict[str, Subvolume]:
    """Return every subvolume by its path below the root."""
    rows = (_LINE.match(line) for line in run("btrfs", "subvolume", "list", *options, ROOT).splitlines())
    return {m[3]: Subvolume(int(m[1]), int(m[2])) for m in rows if m}


def sync() -> None:
    """Write everything to the disk: what was acknowledged before this is in a snapshot made after it."""
    run("btrfs", "filesystem", "sync", ROOT)


def is_subvolume(path: Path) -> bool:
    """Say whether a path is a subvolume's root."""
    try:
        return os.lstat(path).st_ino == 256
    except OSError:
        return False


def live(dataset: str) -> Path:
    """Return where a dataset is worked on."""
    return LIVE / dataset


def snapshots(dataset: str) -> list[str]:
    """Return a dataset's snapshots, oldest first."""
    folder = SNAP / dataset
    return sorted(n for n in os.listdir(folder) if n.startswith("@GMT-")) if folder.is_dir() else []


def datasets(below: Path) -> list[str]:
    """Return the datasets that have something below live/ or snap/."""
    found = ["accounts"] if (below / "accounts").is_dir() else []
    for kind in ("files/users", "files/agencies"):
        if (below / kind).is_dir():
            found += [f"{kind}/{n}" for n in sorted(os.listdir(below / kind)) if not n.startswith(".")]
    return found


def create(dataset: str) -> Path:
    """Make an empty dataset."""
    path = live(dataset)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    run("btrfs", "subvolume", "create", path)
    return path


def clone(source: Path, target: Path, *, readonly: bool) -> None:
    """Make a snapshot of a subvolume, on disk when this returns."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    run("btrfs", "subvolume", "snapshot", *(["-r"] if readonly else []), source, target)


def new_snapshot(dataset: str) -> str:
    """Make a read-only snapshot of a dataset named after this second; a second later when that one has one."""
    while True:
        name = datetime.datetime.now(datetime.UTC).strftime(FORMAT)
        if not (SNAP / dataset / name).exists():
            break
        time.sleep(0.2)
    clone(live(dataset), SNAP / dataset / name, readonly=True)
    return name


def delete(path: Path) -> None:
    """Remove a subvolume."""
    run("btrfs", "subvolume", "delete", "--commit-after", path)


def limits() -> dict[int, int]:
    """Return the quota of every subvolume that has one, by its id; NasError when quotas are off."""
    found = {}
    for line in run("btrfs", "qgroup", "show", "-r", "--raw", ROOT).splitlines():
        parts = line.split()
        if parts and parts[0].startswith("0/") and len(parts) >= 4 and parts[3].isdigit():
            found[int(parts[0][2:])] = int(parts[3])
    return found


def quotas_on() -> None:
    """Switch quotas on where they are off."""
    try:
        limits()
    except NasError:
        run("btrfs", "quota", "enable", ROOT)


def limit(path: Path, size: int) -> None:
    """Let a subvolume hold so many bytes."""
    run("btrfs", "qgroup", "limit", str(size), path)


def used() -> dict[int, int]:
    """Return how many bytes every subvolume refers to, by its id."""
    rows = (line.split() for line in run("btrfs", "qgroup", "show", "--raw", ROOT).splitlines())
    return {int(r[0][2:]): int(r[1]) for r in rows if r and r[0].startswith("0/")}


def forget_quotas() -> None:
    """Remove the accounts of subvolumes that are gone."""
    there = {s.id for s in subvolumes().values()} | {5}
    for number in used().keys() - there:
        try:
            run("btrfs", "qgroup", "destroy", f"0/{number}", ROOT)
        except NasError:
            continue  # its subvolume is still being cleaned up; the next time
