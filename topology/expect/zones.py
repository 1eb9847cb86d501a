"""Zones of a name server: every one answered for, signed for a while yet, and the same everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from topology import names
from topology.allocate import Host, Plan
from topology.drift.read_zones import SIGNED_TYPES, line
from topology.expect.groups import Together
from topology.expect.model import Between, Expectation, Lines
from topology.render.knot import CONFIGURATION

SIGNED = 30
"""Least days that a signature must be good: they are made anew 40 days before (knot.conf), so the primary fails
for ten when they come to this, and the secondaries are believed for the days that are left."""
_LOCAL = "127.0.0.1"


def zones(plan: Plan, host: Host) -> Iterator[Expectation]:
    """Yield the zones of a name server's views with all their records, and one name that each view answers.

    Nothing of any other host. Records that signing makes and a zone's own serial are not the plan's.
    """
    found = names.servers(plan)
    if found is None or host.name not in {h.name for h in (found.primary, *found.secondaries)}:
        return
    for view in found.views:
        port = names.port_of(plan, view)
        want = {"status": "NOERROR", "signatures": Between(SIGNED, None, "days")}
        made = names.zones(plan, view)
        for zone in made:
            yield Expectation("zone", f"{view} {zone.name}", want, of=(f"{_LOCAL}#{port}",))
            content = {"content": Lines(_records(zone), "records")}
            yield Expectation("records", f"{view} {zone.name}", content, of=(f"/{CONFIGURATION[view]}",))
        name, address = _first(made[0])
        if name:
            answer = {"status": "NOERROR", "data": address}
            yield Expectation("answer", f"{name} A @{_LOCAL}#{port}", answer)


def _records(zone: names.Zone) -> frozenset[str]:
    """Return a zone's records as they are compared; owners in it are relative to its name (RFC 1035, 5.1)."""
    return frozenset(
        line(zone.name if owner == "@" else f"{owner}.{zone.name}", kind, data)
        for owner, kinds in zone.records.items()
        for kind, many in kinds.items()
        if kind not in SIGNED_TYPES
        for data in many
    )


def _first(zone: names.Zone) -> tuple[str, str]:
    """Return the first name of a domain that has one address, with it."""
    for owner, records in sorted(zone.records.items()):
        if re.fullmatch(r"[\w.-]+", owner) and len(records.get("A", ())) == 1:
            return f"{owner}.{zone.name}".rstrip("."), records["A"][0]
    return "", ""


def together(plan: Plan) -> Iterator[Together]:
    """Yield that a zone's serial is the primary's on every secondary."""
    found = names.servers(plan)
    if found is not None and found.secondaries:
        hosts = (found.primary.name, *(h.name for h in found.secondaries))
        for view in found.views:
            for zone in names.zone_names(plan, view):
                yield Together("zone", f"{view} {zone}", "serial", hosts)
