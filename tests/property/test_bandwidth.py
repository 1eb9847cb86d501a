"""Properties of max-min fairness, checked against formulations that know nothing of water filling."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from topology.bandwidth import Resource, water_fill

Paths = dict[str, tuple[Resource, ...]]
Capacity = dict[Resource, float]
CLOSE = 1e-9


@st.composite
def trees(draw: st.DrawFn) -> tuple[Paths, Capacity]:
    """Draw a tree of sites with links of known and unknown rates, a line at the root, and sites outside it."""
    size = draw(st.integers(1, 12))
    rates = st.one_of(st.floats(0.5, 500, allow_nan=False), st.sampled_from([1.0, 10.0, 100.0]), st.none())
    capacity: dict[Resource, float | None] = {("line", "root"): draw(rates), ("hub", "dc"): draw(rates)}
    paths: Paths = {"root": (("line", "root"), ("hub", "dc"))}
    for n in range(size):
        parent = draw(st.sampled_from(sorted(paths)))
        link = ("link", f"s{n}")
        capacity[link] = draw(rates)
        paths[f"s{n}"] = (link, *paths[parent])
    for n in range(draw(st.integers(0, 4))):
        capacity["line", f"o{n}"] = draw(rates)
        paths[f"o{n}"] = (("line", f"o{n}"), ("hub", "dc"))
    return paths, {resource: rate for resource, rate in capacity.items() if rate is not None}


def loads(paths: Paths, rates: dict[str, float]) -> Capacity:
    found: Capacity = {}
    for name, path in paths.items():
        for resource in path:
            found[resource] = found.get(resource, 0.0) + rates[name]
    return found


@given(trees())
@settings(max_examples=200, deadline=None)
def test_no_resource_carries_more_than_it_can(drawn: tuple[Paths, Capacity]) -> None:
    paths, capacity = drawn
    carried = loads(paths, water_fill(paths, capacity))
    assert all(carried[r] <= capacity[r] * (1 + CLOSE) for r in carried if r in capacity)


@given(trees())
@settings(max_examples=200, deadline=None)
def test_everybody_has_a_full_resource_in_which_nobody_has_more(drawn: tuple[Paths, Capacity]) -> None:
    """Bertsekas and Gallager's criterion, which only max-min fair rates meet."""
    paths, capacity = drawn
    rates = water_fill(paths, capacity)
    carried = loads(paths, rates)
    for name, path in paths.items():
        limits = [r for r in path if r in capacity]
        if not limits:
            assert math.isinf(rates[name])
            continue
        assert any(
            math.isclose(carried[r], capacity[r], rel_tol=CLOSE)
            and all(rates[o] <= rates[name] * (1 + CLOSE) for o, other in paths.items() if r in other)
            for r in limits
        ), name


@given(trees())
@settings(max_examples=100, deadline=None)
def test_exact_arithmetic_by_sorted_subsets_agrees(drawn: tuple[Paths, Capacity]) -> None:
    """The least rate is the smallest of capacity / users; take those sites out and ask again, in fractions."""
    paths, capacity = drawn
    left = {r: Fraction(c) for r, c in capacity.items()}
    waiting = {name: [r for r in path if r in capacity] for name, path in paths.items()}
    exact: dict[str, Fraction] = {}
    while demanding := {n for n, path in waiting.items() if path and n not in exact}:
        users = {r: [n for n in demanding if r in waiting[n]] for r in left}
        tight = min((r for r in left if users[r]), key=lambda r: left[r] / len(users[r]))
        level = left[tight] / len(users[tight])
        for name in users[tight]:
            exact[name] = level
            for resource in waiting[name]:
                left[resource] -= level
    rates = water_fill(paths, capacity)
    assert all(math.isclose(rates[n], float(exact[n]), rel_tol=1e-9) for n in exact)
    assert all(math.isinf(rates[n]) for n in paths if n not in exact)


@given(trees(), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_the_order_of_sites_and_links_is_nothing(drawn: tuple[Paths, Capacity], seed: int) -> None:
    paths, capacity = drawn
    rng = random.Random(seed)
    mixed = [(name, tuple(rng.sample(path, len(path)))) for name, path in paths.items()]
    rng.shuffle(mixed)
    rates = list(capacity.items())
    rng.shuffle(rates)
    assert water_fill(dict(mixed), dict(rates)) == water_fill(paths, capacity)


@given(trees(), st.data(), st.floats(0, 1000))
@settings(max_examples=150, deadline=None)
def test_more_capacity_never_lowers_the_least_rate(
    drawn: tuple[Paths, Capacity], data: st.DataObject, more: float
) -> None:
    paths, capacity = drawn
    if not capacity:
        return
    chosen = data.draw(st.sampled_from(sorted(capacity)))
    before = water_fill(paths, capacity)
    after = water_fill(paths, capacity | {chosen: capacity[chosen] + more})
    assert min(after.values()) >= min(before.values()) * (1 - CLOSE)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_no_other_division_is_lexicographically_better(near: int, far: int, a: int, b: int, shared: int) -> None:
    """Search all divisions in whole units of two sites (weights near, far as numbers of equal sites)."""
    paths: Paths = {f"n{i}": (("link", "a"), ("link", "shared")) for i in range(near)}
    paths |= {f"f{i}": (("link", "b"), ("link", "shared")) for i in range(far)}
    capacity: Capacity = {("link", "a"): a * near, ("link", "b"): b * far, ("link", "shared"): shared}
    rates = water_fill(paths, capacity)
    best = sorted((rates["n0"], rates["f0"]))
    for x, y in itertools.product(range(a + 1), range(b + 1)):
        if near * x + far * y <= shared:
            other = sorted((x, y))
            assert other[0] <= best[0] + CLOSE * 100
            if math.isclose(other[0], best[0], rel_tol=CLOSE):
                assert other[1] <= best[1] + CLOSE * 100
