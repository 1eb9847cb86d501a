"""Since when a finding stands: a SQLite file beside the reports.

A finding that could not be looked for (its host or kind was unobserved) is neither gone nor new.
A file that is damaged (a full disk, a lost block) is kept beside the new one that the next sweep begins.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from topology.drift.finding import UNOBSERVED, Finding

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sweep (id INTEGER PRIMARY KEY, at TEXT NOT NULL, hosts INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS finding (
  key TEXT NOT NULL, host TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
  since TEXT NOT NULL, seen TEXT NOT NULL, gone TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS open_finding ON finding (key) WHERE gone IS NULL;
"""


@dataclass(frozen=True, slots=True)
class Change:
    """What a sweep has that the one before had not, and the other way round."""

    since: dict[str, str]
    """Key of a finding that stands -> time (ISO 8601) of the sweep that saw it first."""
    new: frozenset[str]
    """Keys that the sweep before did not have."""
    gone: tuple[str, ...]
    """Texts of what is no longer there."""
    damaged: Path | None = None
    """Where the file was put that could not be read; history begins anew with this sweep."""


@dataclass(frozen=True, slots=True)
class Stood:
    """A finding with its times (ISO 8601)."""

    host: str
    text: str
    since: str
    seen: str
    gone: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the history knows: the last sweep, what stands, what was mended last."""

    at: str
    hosts: int
    open: tuple[Stood, ...]
    gone: tuple[Stood, ...]


def standing(path: Path, *, mended: int = 50) -> Standing | None:
    """Return what stands since when; nothing without a sweep, sqlite3.Error when it cannot be read."""
    if not path.exists():
        return None
    fields = "SELECT host, text, since, seen, gone FROM finding"
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as base:
        last = base.execute("SELECT at, hosts FROM sweep ORDER BY id DESC LIMIT 1").fetchone()
        if last is None:
            return None
        still = base.execute(f"{fields} WHERE gone IS NULL ORDER BY host, kind, text").fetchall()
        gone = base.execute(f"{fields} WHERE gone IS NOT NULL ORDER BY gone DESC, host, text LIMIT ?", (mended,))
        return Standing(last[0], last[1], tuple(Stood(*r) for r in still), tuple(Stood(*r) for r in gone.fetchall()))


def record(path: Path, at: str, hosts: Iterable[str], findings: Iterable[Finding]) -> Change:
    """Write a sweep (at: ISO 8601) down and return what changed; OSError or sqlite3.Error when it cannot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    swept, found = tuple(hosts), tuple(findings)
    damaged = _put_aside(path, at) if _is_damaged(path) else None
    return replace(_record(path, at, swept, found), damaged=damaged)


def _is_damaged(path: Path) -> bool:
    """Say whether there is a file that is no database of ours any more."""
    if not path.exists() or not path.stat().st_size:
        return False
    try:
        with closing(sqlite3.connect(path, timeout=30)) as base:
            base.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            return bool(base.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
    except sqlite3.OperationalError:  # busy, no room, no right: the file itself is fine
        return False
    except sqlite3.DatabaseError:
        return True


def _put_aside(path: Path, at: str) -> Path:
    """Give a damaged file another name, with what SQLite keeps beside it; return it."""
    aside = path.with_name(f"{path.name}.damaged-{at.replace(':', '').split('+')[0]}")
    path.replace(aside)
    for ending in ("-journal", "-wal", "-shm"):
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + ending))
    return aside


def _record(path: Path, at: str, hosts: Iterable[str], findings: Iterable[Finding]) -> Change:
    swept, found = set(hosts), {f.key: f for f in findings}
    silent_hosts = {f.host for f in found.values() if f.state == UNOBSERVED and f.kind == "host"}
    silent_kinds = {(f.host, f.kind) for f in found.values() if f.state == UNOBSERVED}
    with closing(sqlite3.connect(path, timeout=30)) as base, base:
        base.executescript(_SCHEMA)
        base.execute("BEGIN IMMEDIATE")
        base.execute("INSERT INTO sweep (at, hosts) VALUES (?, ?)", (at, len(swept)))
        known = {
            row[0]: row for row in base.execute("SELECT key, host, kind, text, since FROM finding WHERE gone IS NULL")
        }
        new = frozenset(found.keys() - known.keys())
        for key, finding in found.items():
            if key in new:
                base.execute(
                    "INSERT INTO finding (key, host, kind, text, since, seen) VALUES (?, ?, ?, ?, ?, ?)",
                    (key, finding.host, finding.kind, str(finding), at, at),
                )
            else:
                base.execute(
                    "UPDATE finding SET seen = ?, text = ? WHERE key = ? AND gone IS NULL", (at, str(finding), key)
                )
        gone = []
        for key, (_, host, kind, text, _) in known.items():
            looked = host in swept and host not in silent_hosts and (host, kind) not in silent_kinds
            if key not in found and looked:
                base.execute("UPDATE finding SET gone = ? WHERE key = ? AND gone IS NULL", (at, key))
                gone.append(text)
        since = {key: known[key][4] if key in known else at for key in found}
        return Change(since, new, tuple(gone))
