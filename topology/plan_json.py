"""A plan as one JSON object, as CSV rows, and as a table for the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from topology.allocate import Host, Plan


def as_dict(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain data: sites, links, applications (the CLI's stable JSON)."""
    return {
        "district": plan.district.facts.name,
        "prefixes": list(plan.district.space.aggregates),
        "sites": [
            {
                "slug": site.slug,
                "name": site.place.data.name,
                "kind": site.place.kind,
                "number": site.place.number,
                "parent": site.place.parent,
                "migration": site.place.data.migration,
                "prefixes": list(site.prefixes),
                "networks": [{"role": n.name, "vlan": n.vlan, "prefixes": list(n.prefixes)} for n in site.networks],
                "hosts": [_host(h) for h in site.hosts],
            }
            for site in plan.sites.values()
        ],
        "links": [
            {
                "name": link.name,
                "kind": link.kind,
                "number": link.number,
                "ends": [end.host for end in link.ends],
                "interfaces": [end.interface for end in link.ends],
                "prefixes": list(link.prefixes),
            }
            for link in plan.links.values()
        ],
        "applications": [
            {
                "slug": app.slug,
                "name": app.name,
                "group": app.group,
                "year": app.year,
                "hosts": [f"{site}-app-{app.slug}" for site in apps.sites],
            }
            for apps in ([plan.district.apps] if plan.district.apps else [])
            for app in apps.applications
        ],
    }


def _host(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "kind": host.kind,
        "platform": host.platform,
        "interfaces": [
            {"name": i.name, "network": i.network or i.link, "addresses": list(i.addresses)}
            | ({"shared": list(i.shared)} if i.shared else {})
            for i in host.interfaces
        ],
    }


CSV_HEADER = ("site", "kind", "number", "host", "device", "interface", "network", "vlan", "ipv4", "ula", "gua", "mac")


def rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    """Yield one row per interface with addresses, in the order of CSV_HEADER."""
    for site in plan.sites.values():
        vlans = {n.name: str(n.vlan) for n in site.networks}
        for host in site.hosts:
            for i in host.interfaces:
                if not i.addresses:
                    continue
                v4, ula, gua = (*i.addresses, "", "")[:3]
                yield (
                    site.slug, site.place.kind, str(site.place.number), host.name, host.kind, i.name,
                    i.network or i.link or i.kind, vlans.get(i.network or "", ""), v4, ula, gua, i.mac or "",
                )  # fmt: skip


def as_csv(plan: Plan) -> str:
    """Return the rows as CSV (RFC 4180 with Unix line ends); formulas in names are harmless text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    writer.writerows(rows(plan))
    return out.getvalue()


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return text columns, as wide as their widest cell."""
    everything = [tuple(header), *(tuple(line) for line in lines)]
    widths = [max(len(cell) for cell in column) for column in zip(*everything, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in everything
    )


def as_table(plan: Plan) -> str:
    """Return the sites and their prefixes as a table."""
    lines = []
    for site in plan.sites.values():
        v4, ula, gua = (*site.prefixes, "-")[:3]
        networks = " ".join(f"{n.name}/{n.vlan}" for n in site.networks)
        lines.append((site.slug, site.place.kind, str(site.place.number), v4, ula, gua, str(len(site.hosts)), networks))
    return table(("site", "kind", "no", "ipv4", "ula", "gua", "hosts", "networks/vlan"), lines)
