"""Rules about a lab's slice of a district."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from topology.district import Parts
from topology.finding import NONE_FREE, Both, Finding, KeyPath, Where
from topology.rules.references import host_names, missing
from topology.rules.uplinks import gateway_sites, static_v4
from topology.schema import LabInternet

FILE = "lab.yml"
INTERNET_HOST = "internet"
"""Name of the host that plays the internet."""
_FIRST_UPLINK = 100
"""Host number of gateway number 0's uplink in the lab's internet (topology.allocate)."""
LAST_GATEWAY = 254 - _FIRST_UPLINK
"""Highest number in a lab of a gateway whose uplink has no static address."""
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
    taken |= {lab.internet.number} if lab.internet else set()
    lines: list[tuple[KeyPath, str, int]] = [(("hosts", i), h.host, h.number) for i, h in enumerate(lab.hosts)]
    lines += [(("clients", i), f"{c.site}-{c.name}", c.number) for i, c in enumerate(lab.clients)]
    lines += [(("internet",), INTERNET_HOST, lab.internet.number)] if lab.internet else []
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


def internet(parts: Parts) -> Iterator[Finding]:
    """The lab's internet has good prefixes, holds the gateways' static addresses, and gives none twice."""
    lab = parts.lab
    if lab is None or lab.internet is None:
        return
    entry = lab.internet
    wire, finding = _wire(entry)
    yield from finding
    if wire is None:
        return
    owners: dict[object, str] = {wire[entry.host]: INTERNET_HOST}
    taken = {h.number for h in lab.hosts} | {c.number for c in lab.clients} | {entry.number}
    gateways = gateway_sites(parts)
    for index, line in enumerate(lab.hosts):
        if line.host not in gateways:
            continue
        slug, name = gateways[line.host]
        site = parts.sites[slug][1]
        for number, static in static_v4(site, name):
            where = Where(FILE, ("hosts", index, "number" if static is None else "host"))
            shared = site.uplinks[number].address if static is None or static != site.uplinks[number].address else None
            addresses = [(static, line.host), (shared, f"{slug} (shared)")]
            if static is None:
                if line.number > LAST_GATEWAY:
                    free = next((n for n in range(2, LAST_GATEWAY + 1) if n not in taken), NONE_FREE)
                    taken |= {free} if isinstance(free, int) else set()
                    out: dict[str, object] = {"host": line.host, "kind": "gateway", "number": line.number}
                    yield Finding("IP004", where, out | {"range": f"2-{LAST_GATEWAY}", "free": free})
                else:
                    addresses.append((f"{wire[_FIRST_UPLINK + line.number]}/{wire.prefixlen}", line.host))
            for text, owner in addresses:
                if text is None:
                    continue
                try:
                    one = ipaddress.IPv4Interface(text)
                except ValueError:
                    continue  # the site's own finding
                if one.ip not in wire:
                    outside = {"host": line.host, "address": text, "prefix": wire}
                    yield Finding("UL006", Where(FILE, ("internet", "prefix")), outside)
                elif owners.get(one.ip, owner) != owner or (owner == line.host and one.ip in owners):
                    yield Finding("UL007", where, {"first": owners[one.ip], "second": owner, "address": one.ip})
                owners.setdefault(one.ip, owner)


def _wire(entry: LabInternet) -> tuple[ipaddress.IPv4Network | None, list[Finding]]:
    """Return the wire's IPv4 prefix, None when it cannot be used, and what is wrong with either prefix."""
    wire: ipaddress.IPv4Network | None = None
    found = []
    for key, text, length in (("prefix", entry.prefix, 24), ("prefix6", entry.prefix6, 64)):
        where, version = Where(FILE, ("internet", key)), 4 if key == "prefix" else 6
        example = "198.51.100.0/24" if version == 4 else "2001:db8:ffff::/64"
        try:
            network = ipaddress.ip_network(text, strict=False)
            if network.version != version or network.prefixlen != length:
                raise ValueError
        except ValueError:
            problem = Both(
                f"the lab's internet is an IPv{version} /{length}", f"internet lab adalah /{length} IPv{version}"
            )
            found.append(Finding("IP001", where, {"prefix": text, "problem": problem, "example": example}))
            continue
        if str(network) != text and ipaddress.ip_interface(text).ip != network.network_address:
            found.append(Finding("IP002", where, {"prefix": text, "correct": network}))
        elif isinstance(network, ipaddress.IPv4Network):
            wire = network
    return wire, found
