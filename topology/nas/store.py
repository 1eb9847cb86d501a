"""The snapshots that this NAS has and vouches for: each with the digest it had when it was made or received."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable

from . import disk
from .config import SNAP, STATE, lock, moment, read_json, write_json

_FILE = STATE / "snapshots.json"
Digests = dict[str, dict[str, str]]
"""Dataset -> snapshot -> digest."""
_STEPS = (
    (datetime.timedelta(minutes=15), datetime.timedelta(0)),
    (datetime.timedelta(hours=2), datetime.timedelta(minutes=5)),
    (datetime.timedelta(days=2), datetime.timedelta(hours=1)),
    (datetime.timedelta(days=35), datetime.timedelta(days=1)),
    (datetime.timedelta(weeks=26), datetime.timedelta(weeks=1)),
)
"""Up to this age one snapshot is kept in each period; older ones go."""


def known() -> Digests:
    """Return the snapshots that are there and vouched for."""
    kept: Digests = read_json(_FILE, {})
    return {
        name: {s: d for s, d in sorted(snaps.items()) if (SNAP / name / s).exists()} for name, snaps in kept.items()
    }


def remember(name: str, snap: str, digest: str) -> None:
    """Vouch for a snapshot."""
    with lock("snapshots"):
        kept: Digests = read_json(_FILE, {})
        kept.setdefault(name, {})[snap] = digest
        write_json(_FILE, kept)


def forget(name: str, snap: str) -> None:
    """Vouch for a snapshot no longer."""
    with lock("snapshots"):
        kept: Digests = read_json(_FILE, {})
        if kept.get(name, {}).pop(snap, None) is not None:
            write_json(_FILE, kept)


def superfluous(names: Iterable[str], now: datetime.datetime) -> set[str]:
    """Return the snapshots that may go; the newest never. Pure."""
    ordered = sorted(names, reverse=True)
    gone: set[str] = set()
    periods: set[tuple[int, int]] = set()
    for name in reversed(ordered[1:]):  # of each period the oldest stays, so that what is kept moves to no later one
        age = now - moment(name)
        step = next((i for i, (limit, _) in enumerate(_STEPS) if age <= limit), None)
        if step is None:
            gone.add(name)
        elif step and _STEPS[step][1]:
            period = (step, int(moment(name).timestamp() // _STEPS[step][1].total_seconds()))
            if period in periods:
                gone.add(name)
            periods.add(period)
    return gone


def thin(name: str, keep: Collection[str]) -> list[str]:
    """Remove a dataset's superfluous snapshots but those to keep; return them."""
    gone = superfluous(disk.snapshots(name), datetime.datetime.now(datetime.UTC)) - set(keep)
    for snap in sorted(gone):
        forget(name, snap)
        disk.delete(SNAP / name / snap)
    return sorted(gone)
