"""Rules about a lab's slice of a district."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from topology.district import Parts
from topology.finding import NONE_FREE, Both, Finding, Where
from topology.rules.references import host_names, missing

FILE = "lab.yml"
_BENCHMARKING = ipaddress.IPv4Network("198.18.0.0/15")


def slice_exists(parts: Parts) -> Iterator[Finding]:
    """The lab's hosts and sites exist, its numbers are its own, its prefix is one."""
    lab = parts.lab
    if lab is None:
        return
    try:
        management = ipaddress.IPv4Network(lab.management)
        if not management.subnet_of(_BENCHMARKING) or management.prefixlen > 24:
            raise ValueError
    except ValueError:
        problem = Both("the lab's management prefix is a /24 or larger in 198.18.0.0/15 (RFC 2544)",
                       "prefiks manajemen lab adalah /24 atau lebih besar di 198.18.0.0/15 (RFC 2544)")  # fmt: skip
        values = {"prefix": lab.management, "problem": problem, "example": "198.18.0.0/24"}
        yield Finding("IP001", Where(FILE, ("management",)), values)
    names = host_names(parts)
    numbers: dict[int, str] = {}
    listed: dict[str, str] = {}
    taken = {h.number for h in lab.hosts} | {c.number for c in lab.clients}
    lines = [(("hosts", i), h.host, h.number) for i, h in enumerate(lab.hosts)]
    lines += [(("clients", i), f"{c.site}-{c.name}", c.number) for i, c in enumerate(lab.clients)]
    for path, name, number in lines:
        if number in numbers:
            free = next((n for n in range(2, 251) if n not in taken), NONE_FREE)
            taken |= {free} if isinstance(free, int) else set()
            values = {"section": "lab", "number": number, "first": numbers[number], "second": name, "free": free}
            yield Finding("RG001", Where(FILE, (*path, "number")), values)
        numbers.setdefault(number, name)
        if (path[0] == "clients" and name in names) or name in listed:
            other = listed.get(name) or Both("a host of the district", "host milik kabupaten")
            key = "host" if path[0] == "hosts" else "name"
            yield Finding("ST002", Where(FILE, (*path, key)), {"name": name, "other": other})
        listed.setdefault(name, f"{FILE} ({number})")
    for index, host in enumerate(lab.hosts):
        if host.host not in names and not parts.may_have_host(host.host):
            yield missing("host", host.host, names, Where(FILE, ("hosts", index, "host")))
    for index, client in enumerate(lab.clients):
        if client.site not in parts.sites and not parts.may_exist(client.site):
            yield missing(Both("site", "lokasi"), client.site, parts.sites, Where(FILE, ("clients", index, "site")))
