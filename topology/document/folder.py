"""Replacing a whole folder at once: nobody ever sees half of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

MARK = "mkdocs.yml"
"""File that says a folder is a documentation made by this package."""


def check(out: Path) -> None:
    """Raise FileExistsError when `out` holds something that this package did not make."""
    if not out.exists():
        return
    if not out.is_dir():
        raise FileExistsError(f"{out} is not a folder; give another --out")
    mark = out / MARK
    if any(out.iterdir()) and not (mark.is_file() and "`topology document`" in mark.read_text(errors="replace")[:200]):
        raise FileExistsError(f"{out} holds files that are not a documentation; empty it or give another folder")


def same(out: Path, files: Mapping[str, bytes], ignore: str) -> bool:
    """Say whether `out` holds exactly these files; what is in the folder `ignore` does not count."""
    if not out.is_dir():
        return False
    found = set()
    for folder, folders, names in os.walk(out):
        if Path(folder) == out and ignore in folders:
            folders.remove(ignore)
        relative = os.path.relpath(folder, out)
        found |= {name if relative == "." else f"{relative}/{name}" for name in names}
    if found != set(files):
        return False
    return all((out / path).read_bytes() == content for path, content in files.items())


def replace(out: Path, files: Mapping[str, bytes], progress: Callable[[int], None] = lambda _: None) -> None:
    """Write the files to a folder beside `out` and put it in the place of `out`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        fresh.chmod(0o755)
        for done, (path, content) in enumerate(files.items(), start=1):
            target = fresh / path
            try:
                target.write_bytes(content)
            except FileNotFoundError:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            progress(done)
        swap(fresh, out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def swap(fresh: Path, out: Path) -> None:
    """Put a finished folder in the place of another; the old one comes back if that fails."""
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
    try:
        if out.exists():
            out.rename(old / "it")
        try:
            fresh.rename(out)
        except OSError:
            if (old / "it").exists():
                (old / "it").rename(out)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
