"""From a plan to the files of every host, as text in memory.

`render` is pure; `write` puts a tree on disk: file by file atomically, only what changed,
and removes what an earlier run left behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from topology.allocate import Host, Plan
from topology.render import (
    access,
    advertise,
    confirm,
    debian,
    freebsd,
    frr,
    kea,
    knot,
    nas,
    nat64,
    nftables,
    pair,
    postgresql,
    reader,
    syslog,
    tc,
    unbound,
    wireguard,
)  # fmt: skip
from topology.render.common import Context, context_of

MARK = ".topology"
"""A file with this name marks a folder as ours: only such a folder is cleaned."""

Files = dict[str, str]
"""Path on the host (without the leading slash) -> text."""


_ANY = {"freebsd": freebsd.files, "debian": debian.files}
_GATEWAY: tuple[Callable[[Context, Host], Files], ...] = (
    frr.files, kea.files, unbound.files, advertise.files, syslog.files, pair.files, nat64.files, confirm.files,
)  # fmt: skip


def render_host(plan: Plan, host: Host, context: Context | None = None) -> Files:
    """Return the files of one host; empty for appliances."""
    context = context or context_of(plan)
    found: Files = {}
    if not host.managed:
        return found
    found.update(_ANY[host.platform](context, host))
    found.update(access.files(context, host))
    found.update(knot.files(context, host))
    found.update(nas.files(context, host))
    found.update(postgresql.files(context, host))
    if host.kind == "gateway":
        found.update(_gateway(context, host))
    found.update(reader.files(context, host, found))
    return found


def _gateway(context: Context, host: Host) -> Files:
    found: Files = {}
    found.update(wireguard.files(context, host, context.today))
    for part in _GATEWAY:
        found.update(part(context, host))
    if host.platform == "debian":
        found.update(nftables.files(context, host))
        found.update(tc.files(context, host))
    return found


def render(plan: Plan) -> Iterator[tuple[str, Files]]:
    """Yield every managed host's name and files, in the plan's order."""
    context = context_of(plan)
    for host in plan.hosts.values():
        if host.managed:
            yield host.name, render_host(plan, host, context)


@dataclass(slots=True)
class Written:
    """What a `write` did, in files."""

    hosts: int = 0
    files: int = 0
    changed: int = 0
    removed: int = 0


def write(tree: dict[str, Files], out: Path, progress: Callable[[int, int], None] | None = None) -> Written:
    """Write a rendered tree below `out`.

    Raises OSError when it cannot be written, ValueError when `out` has files in it but was not
    made by an earlier `write`.
    """
    with _claimed(out):
        return _write(tree, out, progress)


def _write(tree: dict[str, Files], out: Path, progress: Callable[[int, int], None] | None) -> Written:
    done = Written()
    for entry in out.glob(".new-*"):  # of a run that was killed
        shutil.rmtree(entry)
    known = {entry.name for entry in os.scandir(out) if entry.is_dir() and not entry.name.startswith(".")}
    for stale in sorted(known - tree.keys()):
        done.removed += sum(len(names) for _, _, names in os.walk(out / stale))
        shutil.rmtree(out / stale)
    for index, (host, files) in enumerate(tree.items(), 1):
        done.hosts += 1
        _write_host(files, out / host, done, fresh=host not in known)
        if progress is not None:
            progress(index, len(tree))
    return done


def write_some(tree: dict[str, Files], out: Path) -> Written:
    """Write some hosts' files below `out` and leave the others alone; errors as `write`."""
    done = Written()
    with _claimed(out):
        for host, files in tree.items():
            done.hosts += 1
            _write_host(files, out / host, done, fresh=not (out / host).exists())
    return done


@contextmanager
def _claimed(out: Path) -> Iterator[None]:
    """Make `out` ours, and be the only one who writes there; ValueError when somebody else's files are in it."""
    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        raise ValueError(f"{out} has files in it that are not a rendered tree; name another folder")
    out.mkdir(parents=True, exist_ok=True)
    with (out / MARK).open("a", encoding="utf-8") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        yield


def _write_host(files: Files, folder: Path, done: Written, *, fresh: bool) -> None:
    done.files += len(files)
    if fresh:
        # a new host's folder is filled under another name and appears whole
        temporary = f"{folder.parent}/.new-{folder.name}"
        shutil.rmtree(temporary, ignore_errors=True)
        _fill(files, temporary)
        os.rename(temporary, folder)
        done.changed += len(files)
        return
    made: set[str] = set()
    for name, text in files.items():
        path, data = f"{folder}/{name}", text.encode()
        try:
            with open(path, "rb") as existing:
                if existing.read() == data:
                    continue
        except OSError:
            pass
        _parent(path, made)
        _replace(path, data)
        done.changed += 1
    _remove_stale(folder, files, done)


def _fill(files: Files, folder: str) -> None:
    made: set[str] = set()
    for name, text in files.items():
        path = f"{folder}/{name}"
        _parent(path, made)
        with open(path, "wb", buffering=0) as file:
            file.write(text.encode())


def _parent(path: str, made: set[str]) -> None:
    parent = path.rpartition("/")[0]
    if parent not in made:
        os.makedirs(parent, exist_ok=True)
        made.add(parent)


def _replace(path: str, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new text, never a part."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".topology-")
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _remove_stale(folder: Path, files: Files, done: Written) -> None:
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.relpath(path, folder) not in files:
                os.unlink(path)
                done.removed += 1
        if parent != str(folder) and not os.listdir(parent):
            os.rmdir(parent)
