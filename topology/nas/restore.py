"""Restoring one folder or file from a snapshot of this NAS."""

from __future__ import annotations

import datetime
from pathlib import Path

from . import accounts, disk, lease
from .config import AGENCIES, SNAP, USERS, Config, NasError, moment, zone

_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M:%S", "%H:%M")


def restore(config: Config, who: str, path: str, at: str, *, replace: bool, into: Path | None) -> Path:
    """Copy a path as it was at a time; return where it is now.

    Beside the present one with the time in its name; with `replace` in its place, and the present one gets the name.
    `into`: a folder outside the shares instead, for archived people and on any NAS. A local snapshot is enough:
    nothing waits for the others.
    """
    name = find(config, who)
    snap = newest(disk.snapshots(name), when(at, config.timezone))
    if snap is None:
        oldest = next(iter(disk.snapshots(name)), None)
        raise NasError(f"no snapshot of {who} is as old as {at}; the oldest is {oldest or 'not made yet'}")
    base = SNAP / name / snap
    source = inside(base, path)
    stamp = moment(snap).astimezone(zone(config.timezone)).strftime("%Y-%m-%d %H.%M.%S")
    if into is not None:
        if not into.is_dir():
            raise NasError(f"{into} is no folder")
        target = into / f"{source.name} {stamp}"
    else:
        if lease.read().holder != config.host or not disk.live(name).exists():
            raise NasError(f"{who} is not worked on here; --into FOLDER copies out of the archive")
        target = place(disk.live(name), path)
        if replace and target.exists():
            target.rename(_free(target.with_name(f"{target.name} (before {stamp} came back)")))
        elif not replace:
            target = target.with_name(f"{target.name} {stamp}")
    target = _free(target)
    accounts.copy(source, target)
    disk.sync()
    return target


def find(config: Config, who: str) -> str:
    """Return the dataset of a person (also one who left) or an agency."""
    for name in (f"{USERS}/{who}", f"{AGENCIES}/{who}"):
        if (SNAP / name).is_dir() or name in config.datasets():
            return name
    raise NasError(f"there is neither a person nor an agency {who}")


def newest(snaps: list[str], time: datetime.datetime) -> str | None:
    """Return the newest snapshot that is not younger than a time. Pure."""
    return max((s for s in snaps if moment(s) <= time), default=None)


def when(text: str, timezone: str) -> datetime.datetime:
    """Return a time as people write it, on the district's clocks; NasError when it is none."""
    here = zone(timezone)
    for form in _FORMS:
        try:
            found = datetime.datetime.strptime(text, form)
        except ValueError:
            continue
        if "%Y" not in form:
            today = datetime.datetime.now(here).date()
            found = datetime.datetime.combine(today, found.time())
        elif "%H" not in form:
            found += datetime.timedelta(days=1)  # the day's last
        return found.replace(tzinfo=here)
    raise NasError(f"{text!r} is no time; like 2026-11-26 10:30 or 10:30 (today), on the district's clocks")


def inside(base: Path, path: str) -> Path:
    """Return a path inside a snapshot; NasError when it leads out of it or is not there."""
    found = base / path.strip("/")
    if ".." in Path(path).parts or not found.resolve().is_relative_to(base.resolve()):
        raise NasError(f"{path} leads out of the folder")
    if not found.exists() and not found.is_symlink():
        raise NasError(f"{path} was not there at that time; private/... and public/... are a person's folders")
    return found


def place(base: Path, path: str) -> Path:
    """Return where a restored path goes; the folder it lies in must be there."""
    target = base / path.strip("/")
    if not target.parent.is_dir() or not target.parent.resolve().is_relative_to(base.resolve()):
        raise NasError(f"the folder of {path} is not there any more; restore that one")
    if target == base or (target.parent == base and base.parent.name == "users"):
        raise NasError("restore what is in private or public, or use --into FOLDER")
    return target


def _free(path: Path) -> Path:
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name} ({number})")
    return found
