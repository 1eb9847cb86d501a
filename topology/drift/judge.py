"""Judge what was read of a host by what is expected of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from topology.drift.derive import derive
from topology.drift.finding import DIFFERENT, MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.drift.observed import Observed, Things
from topology.expect.model import AtMost, Between, Expectation, Expected, Lines, Near, OneOf

__all__ = ["Observed", "Things", "judge"]


def judge(expected: Expected, observed: Observed) -> list[Finding]:
    """Return all differences, in a fixed order. What could not be read is a finding, never nothing."""
    if observed.failed:
        return [Finding(expected.site, expected.host, UNOBSERVED, "host", expected.host, found=observed.failed)]
    found = []
    observed = derive(expected, observed)
    silent = _silent(expected, observed)
    for kind in sorted(silent):
        why = observed.unobserved.get(kind, "was not read")
        found.append(Finding(expected.site, expected.host, UNOBSERVED, kind, "all", found=why))
    for expectation in expected.expectations:
        if expectation.kind not in silent:
            found += _one(expected, expectation, observed.kinds[expectation.kind])
    for whole in expected.wholes:
        if whole.kind in silent:
            continue
        known = {e.thing for e in expected.of_kind(whole.kind)}
        for thing, values in sorted(observed.kinds.get(whole.kind, {}).items()):
            if values.get("owned", True) and thing not in known and not whole.ignores(_named(thing, values)):
                shown = ", ".join(f"{k} {v}" for k, v in values.items() if k != "owned")
                found.append(Finding(expected.site, expected.host, UNEXPECTED, whole.kind, thing, found=shown))
    return sorted(found)


def _silent(expected: Expected, observed: Observed) -> set[str]:
    kinds = {e.kind for e in expected.expectations} | {w.kind for w in expected.wholes}
    return {k for k in kinds if k not in observed.kinds or k in observed.unobserved}


def _named(thing: str, values: Mapping[str, Any]) -> str:
    """Return how patterns of things to ignore see a thing: a port with its program."""
    return f"{thing} {values['program']}" if "program" in values else thing


def _one(expected: Expected, expectation: Expectation, things: Things) -> Iterator[Finding]:
    values = things.get(expectation.thing)
    where = (expected.site, expected.host)
    if values is None:
        if not expectation.optional and not expectation.absent:
            wanted = ", ".join(f"{k} {v}" for k, v in expectation.want.items())
            yield Finding(*where, MISSING, expectation.kind, expectation.thing, expected=wanted)
        return
    if expectation.absent:
        yield Finding(*where, UNEXPECTED, expectation.kind, expectation.thing)
        return
    for name, wanted in expectation.want.items():
        value = values.get(name)
        if not _holds(wanted, value):
            yield Finding(
                *where, DIFFERENT, expectation.kind, expectation.thing, name, str(wanted), _found(wanted, value)
            )


def _holds(wanted: object, value: object) -> bool:
    if isinstance(wanted, OneOf | AtMost | Near | Between | Lines):
        return wanted.holds(value)
    return wanted == value


def _found(wanted: object, value: object) -> str:
    return _shown(wanted.shown(value) if isinstance(wanted, Lines) else value)


def _shown(value: object) -> str:
    text = "nothing" if value is None or value == "" else str(value)
    return text if len(text) <= 300 else text[:297] + "..."
