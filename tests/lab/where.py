"""Which lab is tested: inventories/lab, or another one while several people work on one machine."""

from __future__ import annotations

import os
from pathlib import Path

from topology.allocate import Host, Plan

ROOT = Path(__file__).parents[2]
INVENTORY = Path(os.environ.get("TOPOLOGY_TEST_LAB") or ROOT / "inventories" / "lab")


def network(host: Host) -> str | None:
    """Return the network of a host's first interface in a LAN."""
    return next((i.network for i in host.of_kind("host")), None)


def desks(plan: Plan) -> list[Host]:
    """Return the lab's clients that may reach something: no visitor, and none that stands for a database."""
    return [h for h in plan.hosts.values() if h.kind == "pc" and network(h) not in ("guest", "database")]
