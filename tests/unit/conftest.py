"""Plans of the repository's own inventories, read once for each file of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from topology.allocate import Plan
from topology.inventory import plan_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def luwu() -> Plan:
    return plan_of(ROOT / "inventories" / "luwu")


@pytest.fixture(scope="module")
def lab() -> Plan:
    return plan_of(ROOT / "inventories" / "lab")
