"""Rules about prefixes, host numbers and literal addresses (IP)."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Iterator
from typing import Any

from topology import prefix as px
from topology.district import Parts
from topology.finding import NONE_FREE, Both, Finding, KeyPath, Where
from topology.rules.sites import host_name, known_networks

NETWORK_DEVICES = frozenset({"switch", "radio", "access-point"})
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?(?!\w|\.\w)(?!/\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9a-fA-F]{1,4}:){2,7}(?:[0-9a-fA-F]{1,4}|:)(?:[0-9a-fA-F:]*)(?:/\d{1,3})?(?![\w:])"
)
_MAC = re.compile(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\Z")
_DOCUMENTATION = tuple(ipaddress.IPv6Network(p) for p in ("2001:db8::/32", "3fff::/20"))
_PRIVATE8 = ipaddress.IPv4Network("10.0.0.0/8")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _parse(text: str, where: Where, example: str) -> tuple[Network | None, Finding | None]:
    try:
        return ipaddress.ip_network(text), None
    except ValueError:
        pass
    try:
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError:
        problem = Both("it is no prefix", "bukan prefiks")
        return None, Finding("IP001", where, {"prefix": text, "problem": problem, "example": example})
    return None, Finding("IP002", where, {"prefix": text, "correct": loose})


def district_prefixes(parts: Parts) -> Iterator[Finding]:
    """The district's own prefixes: a private /8, a random ULA /48, a global /48."""
    if parts.facts is None:
        return
    prefixes = parts.facts.prefixes
    for key, example in (("ipv4", "10.0.0.0/8"), ("ula", "fd12:3456:789a::/48"), ("gua", "2001:db8:1::/48")):
        text = getattr(prefixes, key)
        if text is None:
            continue
        where = Where("district.yml", ("prefixes", key))
        network, finding = _parse(text, where, example)
        if finding is not None:
            yield finding
        if network is not None:
            yield from _judge(key, network, where)


def _judge(key: str, network: Network, where: Where) -> Iterator[Finding]:
    if key == "ipv4":
        if network != _PRIVATE8:
            yield Finding("IP007", where, {"prefix": network})
    elif key == "ula":
        if network.version != 6 or network.prefixlen != 48 or network.network_address.packed[0] != 0xFD:
            random = ipaddress.IPv6Address((0xFD << 120) | (secrets.randbits(40) << 80))
            yield Finding("IP008", where, {"prefix": network, "example": f"{random}/48"})
    elif network.version != 6 or network.prefixlen != 48 or network.network_address.packed[0] & 0xE0 != 0x20:
        yield Finding("IP009", where, {"prefix": network})
    elif any(network.subnet_of(d) for d in _DOCUMENTATION):
        yield Finding("IP010", where, {"what": Both("the gua prefix", "prefiks gua"), "prefix": network})


def allowed_numbers(kind: str) -> range:
    """Return the host numbers a device of this kind may take.

    Network devices have .4 to .9 to themselves and go on among the fixed hosts where a site
    has more of them (a hub of the radio tree has one radio per link).
    """
    return range(px.DEVICE_NUMBERS[0], px.FIXED_NUMBERS[-1] + 1) if kind in NETWORK_DEVICES else px.FIXED_NUMBERS


def free_number(used: set[int], kind: str) -> int | Both:
    """Return the first free host number for a device of this kind and note it as used.

    So two findings never propose the same number.
    """
    number = next((n for n in allowed_numbers(kind) if n not in used), None)
    used |= set() if number is None else {number}
    return NONE_FREE if number is None else number


def host_numbers(parts: Parts) -> Iterator[Finding]:
    """Host numbers: one host each, in the range of their kind, in a network the site has."""
    guests = _application_guests(parts)
    proposed: set[int] = set()  # host numbers that an application's guest can no longer take
    for slug, (kind, site, where) in parts.sites.items():
        nets = known_networks(parts, kind, slug)
        used: dict[tuple[str, int], str] = {}
        taken: dict[str, set[int]] = {}
        for network, number, name, _ in guests.get(slug, ()):
            used.setdefault((network, number), name)
            taken.setdefault(network, set()).add(number)
        for host in site.hosts:
            for network, port in host.interfaces.items():
                taken.setdefault(network, set()).add(port.number)
        for index, host in enumerate(site.hosts):
            place = where.at("hosts", index)
            unnamed = [n for n, port in host.interfaces.items() if port.name is None]
            if len(host.interfaces) > 1 and unnamed:
                values = {"host": host.name, "count": len(host.interfaces), "networks": unnamed}
                yield Finding("IP012", place.at("interfaces", key=True), values)
            named: set[str] = set()
            for network, port in host.interfaces.items():
                at = place.at("interfaces", network)
                if port.name is not None and port.name in named:
                    yield Finding("IP013", at.at("name"), {"host": host.name, "name": port.name})
                named |= {port.name} if port.name else set()
                if nets and network not in nets:
                    values = {
                        "what": Both("network", "jaringan"),
                        "name": network,
                        "hint": f" ({slug}: {', '.join(nets)})",
                    }
                    yield Finding("RF001", Where(at.file, at.path, key=True), values)
                    continue
                if port.number not in allowed_numbers(host.kind):
                    allowed = allowed_numbers(host.kind)
                    values = {
                        "host": host.name, "kind": host.kind, "number": port.number,
                        "range": f".{allowed[0]}-.{allowed[-1]}", "free": free_number(taken[network], host.kind),
                    }  # fmt: skip
                    yield Finding("IP004", at, values)
                elif (network, port.number) in used:
                    values = {
                        "number": port.number, "network": network, "first": used[network, port.number],
                        "second": host.name, "free": free_number(taken[network], host.kind),
                    }  # fmt: skip
                    yield Finding("IP003", at, values)
                used.setdefault((network, port.number), host.name)
        yield from _lab_clients(parts, slug, nets, used)
        if slug in guests:
            proposed |= taken.get(parts.apps.network if parts.apps else "", set())
    yield from _guest_numbers(parts, guests, proposed)


def _application_guests(parts: Parts) -> dict[str, list[tuple[str, int, str, int]]]:
    """Return per site the application guests: (network, number, name, index in apps.yml)."""
    if parts.apps is None:
        return {}
    rows = [(parts.apps.network, a.number, f"app {a.slug}", i) for i, a in enumerate(parts.apps.applications)]
    return {site: rows for site in parts.apps.sites}


def _guest_numbers(
    parts: Parts, guests: dict[str, list[tuple[str, int, str, int]]], everything: set[int]
) -> Iterator[Finding]:
    rows = next(iter(guests.values()), [])
    used: dict[int, str] = {}
    everything = everything | {number for _, number, _, _ in rows}
    for network, number, name, index in rows:
        where = Where("apps.yml", ("applications", index, "number"))
        if number not in px.FIXED_NUMBERS:
            values = {
                "host": name, "kind": "guest", "number": number, "range": ".10-.99",
                "free": free_number(everything, "guest"),
            }  # fmt: skip
            yield Finding("IP004", where, values)
        elif number in used:
            values = {
                "number": number, "network": network, "first": used[number], "second": name,
                "free": free_number(everything, "guest"),
            }  # fmt: skip
            yield Finding("IP003", where, values)
        used.setdefault(number, name)


def _lab_clients(parts: Parts, slug: str, nets: dict[str, int], used: dict[tuple[str, int], str]) -> Iterator[Finding]:
    for index, client in enumerate(parts.lab.clients if parts.lab else ()):
        if client.site != slug:
            continue
        where = Where("lab.yml", ("clients", index))
        if nets and client.network not in nets:
            values = {"what": Both("network", "jaringan"), "name": client.network, "hint": f" ({slug})"}
            yield Finding("RF001", where.at("network"), values)
        elif (client.network, client.host) in used:
            values = {
                "number": client.host, "network": client.network, "first": used[client.network, client.host],
                "second": client.name, "free": free_number({n for net, n in used if net == client.network}, "pc"),
            }  # fmt: skip
            yield Finding("IP003", where.at("host"), values)
        used.setdefault((client.network, client.host), client.name)


def legacy(parts: Parts) -> Iterator[Finding]:
    """Legacy prefixes: well written; routed ones overlap neither the plan nor each other."""
    routed: list[tuple[Network, str]] = []
    plan: list[tuple[Network, Both]] = []
    if parts.facts is not None:
        for text in (parts.facts.prefixes.ipv4, parts.facts.prefixes.ula, parts.facts.prefixes.gua):
            network, _ = _parse(text, Where(""), "") if text else (None, None)
            if network is not None:
                plan.append((network, Both(f"the plan's {network}", f"{network} milik rencana alamat")))
    for slug, (_, site, where) in parts.sites.items():
        for index, entry in enumerate(site.legacy_prefixes):
            at = where.at("legacy_prefixes", index, "prefix")
            network, finding = _parse(entry.prefix, at, "192.168.1.0/24")
            if finding is not None:
                yield finding
            if network is None or not entry.routed:
                continue
            values: dict[str, object] = {"prefix": network, "slug": slug}
            for other, label in plan:
                if network.version == other.version and network.overlaps(other):
                    yield Finding("IP006", at, values | {"other": label})
            for other, owner in routed:
                if network.version == other.version and network.overlaps(other):
                    both = Both(f"{other} of `{owner}`", f"{other} milik `{owner}`")
                    yield Finding("IP006", at, values | {"other": both})
            routed.append((network, slug))


def literals(parts: Parts) -> Iterator[Finding]:
    """No address is written where one is derived."""
    for file, data in parts.raw.items():
        for path, text in _strings(data, ()):
            if _owns_address(file, path):
                continue
            for match in (*_IPV4.finditer(text), *_IPV6.finditer(text)):
                if _is_address(match[0]):
                    yield Finding("IP005", Where(file, path), {"address": match[0]})


def _strings(data: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(data, str):
        if data.count(".") >= 3 or data.count(":") >= 2:
            yield path, data
    elif isinstance(data, dict):
        for key, value in data.items():
            if key.count(".") >= 3 or key.count(":") >= 2:
                yield (*path, key), key
            yield from _strings(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _strings(value, (*path, index))


def _is_address(text: str) -> bool:
    if _MAC.match(text):
        return False
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def _owns_address(file: str, path: KeyPath) -> bool:
    """Say whether an address may be written here: prefixes, and what others gave us."""
    return (
        (file == "district.yml" and path[:1] == ("prefixes",))
        or (file == "lab.yml" and (path == ("management",) or path[:1] == ("internet",)))
        or (len(path) >= 3 and path[-3] == "legacy_prefixes" and path[-1] in ("prefix", "router"))
        or (len(path) >= 3 and path[-3] == "uplinks" and path[-1] in ("address", "router", "address6", "router6"))
        or (len(path) >= 4 and path[-4] == "uplinks" and path[-2] == "gateways")
    )


def macs(parts: Parts) -> Iterator[Finding]:
    """A MAC address is one interface's."""
    seen: dict[str, str] = {}
    for slug, (_, site, where) in parts.sites.items():
        for index, host in enumerate(site.hosts):
            for network, port in host.interfaces.items():
                if port.mac is None:
                    continue
                name = host_name(slug, host.name)
                if port.mac in seen:
                    values = {"mac": port.mac, "first": seen[port.mac], "second": name}
                    yield Finding("IP011", where.at("hosts", index, "interfaces", network, "mac"), values)
                seen.setdefault(port.mac, name)
