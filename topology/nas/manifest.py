"""A digest over everything a snapshot holds: names, kinds, rights, attributes and every file's content.

A file is read anew when its inode, size, time of change or change of status is another than when it was last read;
`full` reads all of them.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from .config import STATE, read_json, write_json

Hashes = dict[str, list[object]]
"""Path -> [inode, size, mtime, ctime, digest]."""
_CACHE = STATE / "hashes"


def digest(dataset: str, root: Path, *, full: bool = False) -> str:
    """Return the digest of a snapshot of a dataset; remembers what its files hold for the next one."""
    cache = _CACHE / (dataset.replace("/", "_") + ".json")
    known: Hashes = {} if full else read_json(cache, {})
    fresh: Hashes = {}
    whole = hashlib.sha256()
    for line in lines(root, known, fresh):
        whole.update(line)
    if fresh != known:
        write_json(cache, fresh)
    return whole.hexdigest()


def lines(root: Path, known: Hashes, fresh: Hashes) -> Iterator[bytes]:
    """Yield one line per entry, in order of names; fills `fresh`."""
    stack = [""]
    while stack:
        path = stack.pop()
        full = os.path.join(root, path) if path else str(root)
        status = os.lstat(full)
        kind = stat.S_IFMT(status.st_mode)
        parts = [path, f"{status.st_mode:o}", str(status.st_uid), str(status.st_gid), attributes(full)]
        if kind == stat.S_IFDIR:
            names = sorted(os.listdir(full), reverse=True)
            stack += [f"{path}/{n}" if path else n for n in names]
        elif kind == stat.S_IFLNK:
            parts.append(os.readlink(full))
        elif kind == stat.S_IFREG:
            mark: list[object] = [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
            before = known.get(path)
            fresh[path] = before if before is not None and before[:4] == mark else [*mark, content(full)]
            parts += [str(status.st_size), str(status.st_mtime_ns), str(fresh[path][4])]
        else:
            parts.append(str(status.st_rdev))
        yield "\0".join(parts).encode("utf-8", "surrogateescape") + b"\n"


def attributes(path: str) -> str:
    """Return a digest of an entry's extended attributes: NT and POSIX access lists, DOS attributes."""
    names = sorted(os.listxattr(path, follow_symlinks=False))
    if not names:
        return "-"
    whole = hashlib.sha256()
    for name in names:
        whole.update(name.encode() + b"\0" + os.getxattr(path, name, follow_symlinks=False) + b"\0")
    return whole.hexdigest()[:32]


def content(path: str) -> str:
    """Return a file's SHA-256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
