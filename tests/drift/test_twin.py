"""Every host is as planned: the reference for `topology drift`, one expectation at a time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.drift.box import Box, Unread
from tests.drift.groups import look_together
from tests.drift.readers import EVERY, ONE
from tests.drift.twin import one
from tests.drift.where import expectations
from topology.expect import Expectation, Whole
from topology.expect.groups import Together

pytestmark = pytest.mark.timeout(420)


def test_it_answers(name: str, box: Box) -> None:
    try:
        box.greet()
    except Unread as unread:
        pytest.fail(f"{name}: unobserved: {unread}", pytrace=False)


def test_every_kind_has_a_reader(name: str) -> None:
    expected = expectations(name)
    assert {e.kind for e in expected.expectations} <= ONE.keys()
    assert {w.kind for w in expected.wholes} <= EVERY.keys()


def test_together(group: Together, boxes: dict[str, Box], reached: Callable[[str], Box]) -> None:
    found = look_together([group], {n: reached(n) for n in group.hosts}, {n: expectations(n) for n in group.hosts})
    if found:
        pytest.fail("\n".join(map(str, found)), pytrace=False)


def test_as_planned(name: str, part: Expectation | Whole, box: Box, patience: float) -> None:
    try:
        found = one(box, expectations(name), part)
        while found and time.monotonic() < patience:
            time.sleep(2)
            box.forget()
            found = one(box, expectations(name), part)
    except Unread as unread:
        pytest.fail(f"{name}: unobserved: {unread}", pytrace=False)
    if found:
        pytest.fail("\n".join(map(str, found)), pytrace=False)
