"""Which hosts the twin reads: `pytest tests/drift --hosts='dc-*,bua'` takes patterns of hosts and sites.

The inventory is TOPOLOGY_INVENTORY, else the lab under test. Hosts are reached as Ansible reaches them; with
--ssh-config=FILE by their names in that file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

import pytest

from tests.drift.box import Box
from tests.drift.where import expectations, plan
from topology.allocate import Host
from topology.expect import Expectation, Whole, together
from topology.inventory import variables

SETTLE = {"time": 300.0, "neighbour": 60.0, "peer": 60.0, "route": 60.0}
"""In a lab: most seconds until what takes its time after a boot is as planned."""


def chosen(config: pytest.Config) -> list[str]:
    """Return the managed hosts that --hosts names, all without it."""
    patterns = [p for p in (config.getoption("hosts") or "").split(",") if p]
    return [h.name for h in plan().hosts.values() if h.managed and (not patterns or _matches(h, patterns))]


def _matches(host: Host, patterns: list[str]) -> bool:
    return any(fnmatchcase(host.name, p) or fnmatchcase(host.site, p) for p in patterns)


def _sample() -> set[str]:
    """Return an office's gateway, a guest, a desk: what `make test` reads; the others are for `make test-all`."""
    kinds: dict[str, str] = {}
    for host in plan().hosts.values():
        if host.managed and host.member is None and host.kind != "internet":
            kinds.setdefault(host.kind, host.name)
    return set(kinds.values())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for every host, or for all that is expected of every host."""
    names = chosen(metafunc.config) if {"name", "part"} & set(metafunc.fixturenames) else []
    sample, lab = _sample(), plan().district.lab is not None

    def marks(name: str, kind: str = "") -> list[pytest.MarkDecorator]:
        found = [pytest.mark.xdist_group(name)]
        if lab:
            found.append(pytest.mark.lab)
        if lab and (name not in sample or kind == "time"):
            found.append(pytest.mark.long)
        return found

    if "group" in metafunc.fixturenames:
        asked = set(chosen(metafunc.config))
        groups = [g for g in together(plan()) if asked.issuperset(g.hosts)]
        long = [pytest.mark.long] if lab else []
        metafunc.parametrize("group", [
            pytest.param(g, id=f"{g.kind} {g.thing} {g.field}", marks=[*marks(g.hosts[0]), *long]) for g in groups
        ])  # fmt: skip
        return
    if "part" in metafunc.fixturenames:
        metafunc.parametrize(("name", "part"), [
            pytest.param(name, part, id=f"{name}-{_named(part)}", marks=marks(name, part.kind))
            for name in names for part in (*expectations(name).expectations, *expectations(name).wholes)
        ])  # fmt: skip
    elif "name" in metafunc.fixturenames:
        metafunc.parametrize("name", [pytest.param(n, id=n, marks=marks(n)) for n in names])


def _named(part: Expectation | Whole) -> str:
    return f"{part.kind} {part.thing}" if isinstance(part, Expectation) else f"{part.kind}: nothing else"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say that a lab was not read, without root."""
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="NOT TESTED: the lab needs root; run this again with sudo")
    for item in items:
        if item.get_closest_marker("lab") and "drift" in item.path.parts:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def boxes(request: pytest.FixtureRequest) -> Iterator[dict[str, Box]]:
    """Hosts that were reached already; their connections end with the session."""
    found: dict[str, Box] = {}
    yield found
    for box in found.values():
        box.close()


@pytest.fixture
def reached(boxes: dict[str, Box], request: pytest.FixtureRequest) -> Callable[[str], Box]:
    """How a host is reached by its name."""

    def reach(name: str) -> Box:
        if name not in boxes:
            host = plan().hosts[name]
            boxes[name] = Box(name, host.platform, variables(plan(), host), request.config.getoption("ssh_config"))
        return boxes[name]

    return reach


@pytest.fixture
def box(name: str, reached: Callable[[str], Box]) -> Box:
    """A host."""
    return reached(name)


@pytest.fixture
def patience(request: pytest.FixtureRequest) -> Iterator[float]:
    """Time (monotonic) until which a lab may still settle; now, outside a lab."""
    part = request.getfixturevalue("part")
    yield time.monotonic() + (SETTLE.get(part.kind, 0.0) if plan().district.lab is not None else 0.0)
