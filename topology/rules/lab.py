"""Rules about a lab's slice of a district."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from topology.district import Parts
from topology.finding import Both, Finding, Where
from topology.rules.references import host_names, missing

FILE = "lab.yml"


def slice_exists(parts: Parts) -> Iterator[Finding]:
    """The lab's hosts and sites exist, its numbers are its own, its prefix is one."""
    lab = parts.lab
    if lab is None:
        return
    if parts.facts is None and parts.complete:
        yield Finding("RF001", Where(FILE, ("district",)), {"what": "district", "name": lab.district, "hint": ""})
    try:
        if not ipaddress.IPv4Network(lab.management).subnet_of(ipaddress.IPv4Network("198.18.0.0/15")):
            raise ValueError
    except ValueError:
        problem = Both("the lab's management prefix lies in 198.18.0.0/15 (RFC 2544)",
                       "prefiks manajemen lab berada di 198.18.0.0/15 (RFC 2544)")  # fmt: skip
        values = {"prefix": lab.management, "problem": problem, "example": "198.18.0.0/24"}
        yield Finding("IP001", Where(FILE, ("management",)), values)
    names = host_names(parts)
    numbers: dict[int, str] = {}
    lines = [(("hosts", i), h.host, h.number) for i, h in enumerate(lab.hosts)]
    lines += [(("clients", i), f"{c.site}-{c.name}", c.number) for i, c in enumerate(lab.clients)]
    for path, name, number in lines:
        if number in numbers:
            free = next((n for n in range(2, 251) if n not in {x for _, _, x in lines}), "-")
            values = {"section": "lab", "number": number, "first": numbers[number], "second": name, "free": free}
            yield Finding("RG001", Where(FILE, (*path, "number")), values)
        numbers.setdefault(number, name)
    if not parts.complete:
        return
    for index, host in enumerate(lab.hosts):
        if host.host not in names:
            yield missing("host", host.host, names, Where(FILE, ("hosts", index, "host")))
    for index, client in enumerate(lab.clients):
        if client.site not in parts.sites:
            yield missing(Both("site", "lokasi"), client.site, parts.sites, Where(FILE, ("clients", index, "site")))


def district_folder(root: Path, parts: Parts) -> Path:
    """Return the folder of the district a lab is a slice of."""
    return root / parts.lab.district if parts.lab else root
