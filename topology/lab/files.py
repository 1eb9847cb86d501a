"""Small things about files."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from topology.lab import commands
from topology.lab.errors import LabError


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file that is either there with all of `text` or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def mounts_below(*roots: Path) -> list[Path]:
    """Return what is mounted below these directories, deepest last."""
    found: list[Path] = []
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        place = Path(line.split()[1].replace("\\040", " "))
        if any(place.is_relative_to(root) for root in roots):
            found.append(place)
    return found


def filesystem_of(path: Path) -> str:
    """Return the type of the filesystem that `path` (or what is there of it) is on."""
    existing = path
    while not existing.exists():
        existing = existing.parent
    return commands.tool(
        ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(existing)],
        what=f"asking what {existing} is on",
    ).strip()


def remove_tree(path: Path) -> None:
    """Remove a directory and all in it; not being there is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        # Files marked immutable by a role: take the mark off and try again.
        with suppress(LabError):
            commands.tool(["chattr", "-R", "-f", "-i", "-a", str(path)], what=f"unlocking {path}")
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise LabError(f"cannot remove {path}: {error.strerror}") from None


def unmount_below(*roots: Path) -> None:
    """Unmount everything below these directories."""
    for place in reversed(mounts_below(*roots)):
        commands.tool(["umount", "--lazy", str(place)], what=f"unmounting {place}")
