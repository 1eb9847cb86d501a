"""People and agencies: their folders, quotas and passwords; and the end of all that."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from . import disk, lease, manifest, store
from .config import (
    ACCOUNTS,
    AGENCIES,
    LIVE,
    SNAP,
    USERS,
    Agency,
    Config,
    NasError,
    Right,
    User,
    rights_of_agency,
    rights_of_user,
    run,
)

PASSWORDS = LIVE / ACCOUNTS / "passdb.tdb"
_ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LENGTH = 16
"""Letters and digits of a made password: 16 of 55 are 92 bits."""


def apply(config: Config) -> list[str]:
    """Bring folders, quotas and accounts to what is configured; return what changed. Only on the active NAS."""
    changed = identity(config)
    disk.quotas_on()
    changed += leave(config)
    if may_begin(ACCOUNTS):
        disk.create(ACCOUNTS).chmod(0o700)
        changed.append(ACCOUNTS)
    return changed + folders(config) + _quotas(config)


def folders(config: Config) -> list[str]:
    """Make the folders that are missing: an empty private or public one can be deleted over SMB, and comes back."""
    changed = []
    for user in config.current().values():
        if disk.live(f"{USERS}/{user.name}").exists() or may_begin(f"{USERS}/{user.name}"):
            changed += _user(user)
    for agency in config.agencies.values():
        if disk.live(f"{AGENCIES}/{agency.slug}").exists() or may_begin(f"{AGENCIES}/{agency.slug}"):
            changed += _agency(agency)
    return changed


def may_begin(name: str) -> bool:
    """Say whether a dataset may begin empty: never where there is a snapshot, which takeover.promote makes it from."""
    return not disk.live(name).exists() and not disk.snapshots(name)


def identity(config: Config) -> list[str]:
    """Give Samba the identity all NAS share, which access lists name."""
    with contextlib.suppress(NasError):
        if run("net", "getlocalsid").strip().endswith(f": {config.sid}"):
            return []
    run("net", "setlocalsid", config.sid)
    return ["identity"]


def _user(user: User) -> list[str]:
    path = disk.live(f"{USERS}/{user.name}")
    made = not path.exists()
    if made:
        disk.create(f"{USERS}/{user.name}")
    _rights(rights_of_user(user.name, user.uid))
    return [user.name] if made else []


def _agency(agency: Agency) -> list[str]:
    path = disk.live(f"{AGENCIES}/{agency.slug}")
    made = not path.exists()
    if made:
        disk.create(f"{AGENCIES}/{agency.slug}")
    _rights(rights_of_agency(agency.slug, agency.gid))
    return [agency.slug] if made else []


def _rights(wanted: Iterable[Right]) -> None:
    """Make the folders that are missing below the first, and set owner, group and mode of all."""
    for right in wanted:
        path = disk.live(right.path)
        path.mkdir(exist_ok=True)
        status = path.lstat()
        if (status.st_uid, status.st_gid) != (right.uid, right.gid):
            os.chown(path, right.uid, right.gid, follow_symlinks=False)
        if status.st_mode & 0o7777 != right.mode:
            path.chmod(right.mode)


def _quotas(config: Config) -> list[str]:
    wanted = {f"{USERS}/{u.name}": u.quota for u in config.current().values()}
    wanted |= {f"{AGENCIES}/{a.slug}": a.quota for a in config.agencies.values()}
    there, limits, changed = disk.subvolumes(), disk.limits(), []
    for name, size in wanted.items():
        found = there.get(f"live/{name}")
        if found is not None and limits.get(found.id) != size:
            disk.limit(disk.live(name), size)
            changed.append(f"quota of {name.rsplit('/', 1)[1]}")
    return changed


# -- the end -----------------------------------------------------------------------------------


def leave(config: Config) -> list[str]:
    """End the access of who has left, at once, then archive their folders; return whose.

    The archive is the last snapshot: it stays on all three NAS, and `nas restore` reads it.
    """
    current, gone = config.current(), []
    for name in accounts():
        if name not in current:
            subprocess.run(["pdbedit", "-x", "-u", name], capture_output=True, check=False)
            close(name)
            gone.append(name)
    for name in [d.rsplit("/", 1)[1] for d in disk.datasets(LIVE) if d.startswith(USERS)]:
        if name not in current:
            close(name)
            _archive(f"{USERS}/{name}")
            gone.append(name)
    for name in [d.rsplit("/", 1)[1] for d in disk.datasets(LIVE) if d.startswith(AGENCIES)]:
        if name not in config.agencies:
            _archive(f"{AGENCIES}/{name}")
            gone.append(name)
    return sorted(set(gone))


def _archive(name: str) -> None:
    disk.sync()
    snap = disk.new_snapshot(name)
    store.remember(name, snap, manifest.digest(name, SNAP / name / snap))
    disk.delete(disk.live(name))


def accounts() -> list[str]:
    """Return who has a password."""
    if not PASSWORDS.exists():
        return []
    return [line.split(":", 1)[0] for line in run("pdbedit", "-L").splitlines() if ":" in line]


def close(name: str) -> None:
    """End a person's sessions: each connection is a process of its own."""
    for line in run("smbstatus", "-p", "-u", name).splitlines():
        words = line.split()
        if len(words) > 1 and words[0].isdigit() and words[1] == name:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(words[0]), 15)


# -- passwords ---------------------------------------------------------------------------------


def password(config: Config, name: str, *, again: bool) -> str:
    """Make a person's password and return it: nobody can ask for it a second time."""
    if lease.read().holder != config.host:
        raise NasError(f"passwords are made on the active NAS, {lease.read().holder or 'which is none yet'}")
    if name not in config.current():
        raise NasError(f"there is no user {name}; users.yml names them")
    if name in accounts() and not again:
        raise NasError(f"{name} has a password; --again makes a new one and ends the old one")
    made = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    run("smbpasswd", "-s", "-a", name, stdin=f"{made}\n{made}\n")
    if again:
        close(name)
    return made


def usage(config: Config) -> list[tuple[str, int, int]]:
    """Return (name, bytes used, quota) of everybody and every share."""
    there, used, limits = disk.subvolumes(), disk.used(), disk.limits()
    found = []
    for name in config.datasets():
        one = there.get(f"live/{name}")
        if one is not None and name != ACCOUNTS:
            found.append((name.rsplit("/", 1)[1], used.get(one.id, 0), limits.get(one.id, 0)))
    return found


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder with its rights, sharing blocks with the snapshot."""
    run("cp", "-a", "--reflink=auto", "--", source, target)


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
