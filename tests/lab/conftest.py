"""What lab tests share: they need root, and say so when they cannot run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.where import INVENTORY
from topology.inventory import plan_of

HAS_SERVICES = any(h.kind == "nas" or h.name.endswith("-dns0") for h in plan_of(INVENTORY).hosts.values())


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
