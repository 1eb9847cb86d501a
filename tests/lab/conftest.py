"""What lab tests share: they need root, and say so when they cannot run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from tests.lab.where import INVENTORY
from topology import lab
from topology.inventory import plan_of

PLAN = plan_of(INVENTORY)
HAS_SERVICES = any(h.kind == "nas" or h.name.endswith("-dns0") for h in PLAN.hosts.values())
LINES = 40
"""What is shown of each host's journal."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="NOT TESTED: the lab needs root; run this again with sudo")
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(skip)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave services out in a lab that has none of their hosts."""
    return True if collection_path.name == "service" and not HAS_SERVICES else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the units named by the marker `journal` logged since half a minute before."""
    report = yield
    units = [unit for mark in item.iter_markers("journal") for unit in mark.args]
    if units and report.failed:
        report.sections.append(("journals of the lab", _journals(units, call.start - 30)))
    return report


def _journals(units: Sequence[str], since: float) -> str:
    assert PLAN.district.lab is not None
    words = [word for unit in units for word in ("--unit", unit)]
    command = ["journalctl", "--quiet", "--no-pager", "--output=short-precise", f"--lines={LINES}", *words]
    found = []
    for host in sorted(h.name for h in PLAN.hosts.values() if h.kind != "pc"):
        with contextlib.suppress(lab.LabError):  # a host that the test had switched off
            said = lab.exec_in(PLAN.district.lab.name, host, [*command, f"--since=@{since:.0f}"]).stdout
            found += [f"-- {host}", said] if said.strip() else []
    return "\n".join(found)
