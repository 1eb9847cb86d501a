"""Judge what must be so of several hosts together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from topology.drift.finding import DIFFERENT, MISSING, UNOBSERVED, Finding
from topology.drift.observed import Observed
from topology.expect.groups import Together
from topology.expect.model import Expected


def judge_together(
    wanted: Iterable[Together], expected: Mapping[str, Expected], observed: Mapping[str, Observed]
) -> list[Finding]:
    """Return what differs among hosts. Groups that were not read as a whole on purpose are left out."""
    found: list[Finding] = []
    for one in wanted:
        if all(name in observed for name in one.hosts) and any(_looked_for(one, expected[n]) for n in one.hosts):
            found += _one(one, expected, observed)
    return sorted(set(found))


def _looked_for(one: Together, expected: Expected) -> bool:
    """Say whether a host was asked for this at all: it may have no such service yet."""
    return any(e.kind == one.kind and e.thing.split(" ")[0] == one.thing.split(" ")[0] for e in expected.expectations)


def _one(one: Together, expected: Mapping[str, Expected], observed: Mapping[str, Observed]) -> Iterator[Finding]:
    values: dict[str, object] = {}
    silent = []
    for name in one.hosts:
        seen = observed[name]
        if seen.failed or one.kind in seen.unobserved or one.kind not in seen.kinds:
            silent.append(name)
        elif one.field in (fields := seen.kinds[one.kind].get(one.thing, {})):
            values[name] = fields[one.field]
    if one.once is None:
        yield from _same(one, expected, values)
    else:
        yield from _once(one, expected, values, silent)


def _same(one: Together, expected: Mapping[str, Expected], values: Mapping[str, object]) -> Iterator[Finding]:
    # who could not be read, or has no such thing, is found by itself
    if values:
        first, *others = values
        for name in others:
            if values[name] != values[first]:
                wanted = f"{values[first]} as on {first}"
                yield Finding(
                    expected[name].site, name, DIFFERENT, one.kind, one.thing, one.field, wanted, str(values[name])
                )


def _once(
    one: Together, expected: Mapping[str, Expected], values: Mapping[str, object], silent: list[str]
) -> Iterator[Finding]:
    having = [name for name, value in values.items() if value == one.once]
    wanted = f"{one.once} on one of {', '.join(one.hosts)}"
    for name in having if len(having) > 1 else ():
        yield Finding(
            expected[name].site, name, DIFFERENT, one.kind, one.thing, one.field, wanted, f"on {', '.join(having)}"
        )
    if not having:
        first = one.hosts[0]
        state = UNOBSERVED if silent else MISSING
        why = f"{one.field} {one.once}: " + (f"{', '.join(silent)} not read" if silent else "on no host")
        yield Finding(expected[first].site, first, state, one.kind, one.thing, one.field, wanted, why)
