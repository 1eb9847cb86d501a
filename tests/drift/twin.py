"""The twin of the sweep: the same expectations, read one by one through testinfra, judged by the same judge."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.drift import readers_services
from tests.drift.box import Box, Unread
from tests.drift.readers import EVERY, ONE
from topology.drift.finding import UNOBSERVED, Finding
from topology.drift.judge import Observed, judge
from topology.expect import Expectation, Expected, Whole

AT_ONCE = 4
"""Commands at the same time on one host: they share a connection, and sshd lets ten sessions share one."""

assert readers_services  # its readers are in the tables


def look(box: Box, expected: Expected) -> list[Finding]:
    """Return all that differs on a host."""
    box.forget()
    try:
        box.greet()
        parts = (*expected.expectations, *expected.wholes)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda part: one(box, expected, part), parts)
            return sorted({f for findings in found for f in findings})
    except Unread as unread:
        return [Finding(expected.site, expected.host, UNOBSERVED, "host", expected.host, found=str(unread))]


def one(box: Box, expected: Expected, part: Expectation | Whole) -> list[Finding]:
    """Return what differs of one expectation; Unread when the host does not answer."""
    box.greet()
    return list(_judged(box, expected, part))


def _judged(box: Box, expected: Expected, part: Expectation | Whole) -> Iterator[Finding]:
    try:
        if isinstance(part, Expectation):
            values = ONE[part.kind](box, expected, part.thing)
            things = {} if values is None else {part.thing: values}
            alone = replace(expected, expectations=(part,), wholes=())
        else:
            things = EVERY[part.kind](box, expected)
            # what is expected is judged by itself: here it only says what may be there
            known = tuple(replace(e, want={}, optional=True) for e in expected.of_kind(part.kind) if not e.absent)
            alone = replace(expected, expectations=known, wholes=(part,))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, RuntimeError) as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        thing = part.thing if isinstance(part, Expectation) else "all"
        yield Finding(expected.site, expected.host, UNOBSERVED, part.kind, thing, found=why)
        return
    yield from judge(alone, Observed({part.kind: things}))
