"""The active NAS is cut off from the others: it stops serving by itself, and serves again when the wire is whole."""

from __future__ import annotations

import json
from typing import Any

from losses import NAME, PLAN, sh, until

from topology import lab

NAS = [h.name for h in PLAN.hosts.values() if h.kind == "nas"]
PORT = PLAN.district.services["nas"].ports[0].port


def status(host: str) -> dict[str, Any]:
    """Return what a NAS says of itself."""
    found: dict[str, Any] = json.loads(sh(host, "nas status --json || true"))
    return found


def listens(host: str) -> bool:
    """Say whether a NAS takes connections of clients."""
    return bool(sh(host, f"ss -Hlnt sport = :{PORT}"))


until("one NAS serves", 90, lambda: [listens(n) for n in NAS].count(True) == 1)
active = next(n for n in NAS if listens(n))
wire = f"{PLAN.hosts[active].site}.storage"
lab.break_wire(NAME, wire, silent=True)
try:
    until(f"{active}, cut off, serves nothing", 60, lambda: not listens(active))
    assert not any(listens(n) for n in NAS), "another one took over without a person"
finally:
    lab.heal_wire(NAME, wire)
until(f"{active} serves again", 90, lambda: listens(active))
