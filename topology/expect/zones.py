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
    """Yield the zones of a name server's views and one name of each; nothing of any other host."""
    found = names.servers(plan)
    if found is None or host.name not in {h.name for h in (found.primary, *found.secondaries)}:
        return
    for view in found.views:
        port = names.port_of(plan, view)
        want = {"status": "NOERROR", "signatures": Between(SIGNED, None, "days")}
        for zone in names.zone_names(plan, view):
            yield Expectation("zone", f"{view} {zone}", want, of=(f"{_LOCAL}#{port}",))
        name, address = _first(plan, view)
        if name:
            answer = {"status": "NOERROR", "data": address}
            yield Expectation("answer", f"{name} A @{_LOCAL}#{port}", answer)


def records(plan: Plan, host: Host) -> Iterator[Expectation]:
    """Yield all records of a name server's zones, but for those that signing makes and the zone's own serial."""
    found = names.servers(plan)
    if found is None or host.name not in {h.name for h in (found.primary, *found.secondaries)}:
        return
    for view in found.views:
        for zone in names.zones(plan, view):
            lines = frozenset(
                line(
                    owner if owner.endswith(".") else zone.name if owner == "@" else f"{owner}.{zone.name}", kind, data
                )
                for owner, kinds in zone.records.items()
                for kind, many in kinds.items()
                if kind not in SIGNED_TYPES
                for data in many
            )
            want = {"content": Lines(lines, "records")}
            yield Expectation("records", f"{view} {zone.name}", want, of=(f"/{CONFIGURATION[view]}",))


def _first(plan: Plan, view: str) -> tuple[str, str]:
    """Return the first name of a view's domain that has one address, with it."""
    domain = names.zones(plan, view)[0]
    for owner, records in sorted(domain.records.items()):
        if re.fullmatch(r"[\w.-]+", owner) and len(records.get("A", ())) == 1:
            return f"{owner}.{domain.name}".rstrip("."), records["A"][0]
    return "", ""


def together(plan: Plan) -> Iterator[Together]:
    """Yield that a zone's serial is the primary's on every secondary."""
    found = names.servers(plan)
    if found is not None and found.secondaries:
        hosts = (found.primary.name, *(h.name for h in found.secondaries))
        for view in found.views:
            for zone in names.zone_names(plan, view):
                yield Together("zone", f"{view} {zone}", "serial", hosts)
