"""Expectations: kind, thing, what must be so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of these will do."""

    values: tuple[Any, ...]

    def holds(self, found: object) -> bool:
        """Say whether what was found will do."""
        return found in self.values

    def __str__(self) -> str:
        return " or ".join(str(v) for v in self.values)


@dataclass(frozen=True, slots=True)
class AtMost:
    """A number that may not be greater."""

    value: float
    unit: str = ""

    def holds(self, found: object) -> bool:
        """Say whether what was found will do."""
        return isinstance(found, int | float) and found <= self.value

    def __str__(self) -> str:
        return f"at most {self.value:g}{' ' + self.unit if self.unit else ''}"


@dataclass(frozen=True, slots=True)
class Between:
    """A number that may not be less nor greater."""

    low: float
    high: float | None = None
    """None: as great as it likes."""
    unit: str = ""

    def holds(self, found: object) -> bool:
        """Say whether what was found will do."""
        if isinstance(found, bool) or not isinstance(found, int | float):
            return False
        return self.low <= found and (self.high is None or found <= self.high)

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if self.high is None:
            return f"at least {self.low:g}{unit}"
        return f"{self.low:g}{unit}" if self.low == self.high else f"{self.low:g} to {self.high:g}{unit}"


@dataclass(frozen=True, slots=True)
class Near:
    """A number that a program prints rounded."""

    value: float
    part: float
    """Most difference, as a part of the value."""
    unit: str = ""

    def holds(self, found: object) -> bool:
        """Say whether what was found will do."""
        return isinstance(found, int | float) and abs(found - self.value) <= self.part * self.value

    def __str__(self) -> str:
        return f"{self.value:g}{' ' + self.unit if self.unit else ''}"


@dataclass(frozen=True, slots=True)
class Lines:
    """Exactly these lines, in any order: what a finding shows of them is the difference."""

    values: frozenset[str]
    unit: str = "lines"

    def holds(self, found: object) -> bool:
        """Say whether what was found (lines, in any order) will do."""
        return isinstance(found, tuple) and frozenset(found) == self.values

    def shown(self, found: object) -> str:
        """Return what is there besides, and what is not there."""
        there = frozenset(found) if isinstance(found, tuple) else frozenset()
        parts = [f"besides: {x}" for x in sorted(there - self.values)] + [
            f"without: {x}" for x in sorted(self.values - there)
        ]
        return " | ".join((*parts[:MOST], *([f"and {len(parts) - MOST} more"] if len(parts) > MOST else [])))

    def __str__(self) -> str:
        return f"the plan's {len(self.values)} {self.unit}"


MOST = 6
"""Most lines of a difference that are shown."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be so of one thing on a host."""

    kind: str
    """file, package, service, listen, address, route, sysctl, user, key, ruleset, shape, peer, neighbour, time, ..."""
    thing: str
    """Its name among those of its kind."""
    want: Mapping[str, Any] = field(default_factory=dict)
    """Field -> value; what is not named here may be anything."""
    optional: bool = False
    """It may be absent (an address that a pair shares); when it is there it must be so."""
    absent: bool = False
    """It may not be there."""
    of: tuple[str, ...] = ()
    """Things of other kinds that it is judged by: a daemon's files."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Of a kind, nothing may be there that is not expected."""

    kind: str
    ignored: tuple[str, ...] = ()
    """Patterns of things that may be there (fnmatch)."""

    def ignores(self, thing: str) -> bool:
        """Say whether a thing may be there although nobody expects it."""
        return any(fnmatchcase(thing, pattern) for pattern in self.ignored)


@dataclass(frozen=True, slots=True)
class Expected:
    """All that is expected of a host."""

    host: str
    site: str
    platform: str
    expectations: tuple[Expectation, ...]
    wholes: tuple[Whole, ...]
    owned: tuple[str, ...] = ()
    """Patterns of files that are ours alone, absolute."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """What the host must be told to judge itself: the rendered rule set."""

    def of_kind(self, kind: str) -> tuple[Expectation, ...]:
        """Return the expectations of a kind."""
        return tuple(e for e in self.expectations if e.kind == kind)

    def looks_for(self, *kinds: str) -> bool:
        """Say whether anything of these kinds is judged, be it that nothing of them may be there."""
        return any(e.kind in kinds for e in self.expectations) or any(w.kind in kinds for w in self.wholes)
