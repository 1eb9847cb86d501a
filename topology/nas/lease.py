"""The lease: which NAS may serve, and until when.

The active NAS serves only while a majority of all NAS (itself counted) has granted it the lease within the last
HOLD seconds. Who has granted it grants it to nobody else for GRANT seconds, GRANT > HOLD + STOP: the old one has
stopped before a new one can begin, whatever is cut. Every change of the holder has a higher epoch; who meets a
higher one than its own has been taken over and stops.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from .config import RUN, STATE, lock, read_json, write_json

RENEW = 3.0
"""Seconds between two renewals."""
HOLD = 15.0
"""Seconds after which the active NAS stops serving without a majority, counted from before it asked."""
STOP = 3.0
"""Seconds after which a file server that does not stop is killed (TimeoutStopSec of its unit)."""
GRANT = 25.0
"""Seconds for which who has granted the lease grants it to nobody else."""
_FILE = STATE / "lease.json"
_RENEWED = RUN / "renewed"


@dataclass(frozen=True, slots=True)
class Record:
    """What one NAS knows of the lease."""

    epoch: int = 0
    holder: str = ""
    forced: bool = False
    """The holder was told to serve without a majority, until one answers."""
    age: float = float("inf")
    """Seconds since this NAS granted it."""

    @property
    def alive(self) -> bool:
        """Say whether this NAS must grant it to nobody else."""
        return bool(self.holder) and self.age < GRANT


def answer(known: Record, epoch: int, candidate: str) -> tuple[bool, Record]:
    """Return whether a candidate is granted the lease of an epoch, and what is known from then on. Pure."""
    if epoch < known.epoch or not candidate:
        return False, known
    if epoch == known.epoch and candidate != known.holder:
        return False, known
    if epoch > known.epoch and known.alive and candidate != known.holder:
        return False, known
    forced = known.forced and (epoch, candidate) == (known.epoch, known.holder)
    return True, Record(epoch, candidate, forced, 0.0)


def read() -> Record:
    """Return what this NAS knows; right after a reboot as if it had granted the lease just now."""
    data = read_json(_FILE, {})
    record = Record(int(data.get("epoch", 0)), str(data.get("holder", "")), bool(data.get("forced", False)))
    return replace(record, age=_age())


def ask(epoch: int, candidate: str) -> tuple[bool, Record]:
    """Grant the lease or not, and remember it."""
    with lock("lease"):
        before = read()
        granted, after = answer(before, epoch, candidate)
        if granted:
            _write(before, after)
        return granted, after


def put(record: Record) -> None:
    """Remember the lease as it is said: a forced take-over, or the word of a majority."""
    with lock("lease"):
        _write(read(), record)


def renewed(record: Record, *, forced: bool) -> bool:
    """Note that a majority has renewed the lease; False when this NAS has meanwhile granted it to another."""
    with lock("lease"):
        now = read()
        if (now.epoch, now.holder) != (record.epoch, record.holder):
            return False
        _write(now, Record(record.epoch, record.holder, forced, 0.0))
        return True


def release() -> None:
    """Let the lease go at once."""
    with lock("lease"):
        _RENEWED.write_text("released")


def _write(before: Record, after: Record) -> None:
    if (before.epoch, before.holder, before.forced) != (after.epoch, after.holder, after.forced):
        write_json(_FILE, {"epoch": after.epoch, "holder": after.holder, "forced": after.forced})
    _RENEWED.parent.mkdir(parents=True, exist_ok=True)
    _replace(_RENEWED, repr(time.clock_gettime(time.CLOCK_BOOTTIME)))


def _age() -> float:
    try:
        text = _RENEWED.read_text()
    except OSError:
        _RENEWED.parent.mkdir(parents=True, exist_ok=True)
        _replace(_RENEWED, repr(time.clock_gettime(time.CLOCK_BOOTTIME)))
        return 0.0
    return float("inf") if text == "released" else time.clock_gettime(time.CLOCK_BOOTTIME) - float(text)


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.replace(path)
