"""Whose hosts the twin reads, and what is expected of them."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from tests.lab.where import INVENTORY as LAB
from topology.allocate import Plan
from topology.expect import Expected, expect
from topology.inventory import plan_of
from topology.render.common import Context, context_of

INVENTORY = Path(os.environ.get("TOPOLOGY_INVENTORY") or LAB)


@cache
def plan() -> Plan:
    """Return the plan of the inventory."""
    return plan_of(INVENTORY)


@cache
def expectations(name: str) -> Expected:
    """Return what is expected of a host."""
    return expect(plan(), plan().hosts[name], _context())


@cache
def _context() -> Context:
    return context_of(plan())
