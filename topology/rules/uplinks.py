"""Rules about providers' lines and their static addresses (IP, UL)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from topology.district import Parts
from topology.finding import Both, Finding, Where
from topology.rules.sites import host_name
from topology.schema import Site, Uplink

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_DOCUMENTATION = tuple(
    ipaddress.ip_network(p) for p in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
)
"""RFC 5737, RFC 3849, RFC 9637."""
_SHARED = tuple(
    ipaddress.ip_network(p)
    for p in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip
"""Where several providers may give out the same address (RFC 1918, 6598, 3927, 4193, 4291)."""
_NO_INTERFACE = Both("it is no address with its length", "bukan alamat dengan panjang prefiksnya")
_NO_ADDRESS = Both("it is no address", "bukan alamat")
_V4 = {"interface": "198.51.100.2/30", "address": "198.51.100.1"}
_V6 = {"interface": "2001:db8:1::2/64", "address": "2001:db8:1::1"}


def _texts(uplink: Uplink, where: Where) -> Iterator[tuple[str, Where, int, bool]]:
    """Yield every address of an uplink: text, place, family, and whether it has a length."""
    if uplink.address is not None:
        yield uplink.address, where.at("address"), 4, True
    for name, text in uplink.gateways.items():
        yield text, where.at("gateways", name), 4, True
    if uplink.router is not None:
        yield uplink.router, where.at("router"), 4, False
    if uplink.address6 is not None:
        yield uplink.address6, where.at("address6"), 6, True
    if uplink.router6 is not None:
        yield uplink.router6, where.at("router6"), 6, False


def _read(text: str, family: int, with_length: bool) -> Interface | None:
    """Return an address of this family (one without a length as the only one in its prefix), None when it is none."""
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        return None
    return found if found.version == family and ("/" in text) == with_length else None


def _all(parts: Parts) -> Iterator[tuple[str, Site, Uplink, Where]]:
    for slug, (_, site, where) in parts.sites.items():
        for index, uplink in enumerate(site.uplinks):
            yield slug, site, uplink, where.at("uplinks", index)


def written(parts: Parts) -> Iterator[Finding]:
    """Static addresses are addresses with a length, routers addresses; a pair's members are named."""
    for slug, site, uplink, where in _all(parts):
        for text, at, family, with_length in _texts(uplink, where):
            if _read(text, family, with_length) is None:
                example = (_V4 if family == 4 else _V6)["interface" if with_length else "address"]
                problem = _NO_INTERFACE if with_length else _NO_ADDRESS
                yield Finding("IP001", at, {"prefix": text, "problem": problem, "example": example})
        yield from _members(slug, site, uplink, where)


def _members(slug: str, site: Site, uplink: Uplink, where: Where) -> Iterator[Finding]:
    names = [g.name for g in site.gateways]
    pair = len(names) == 2
    problem: Both | None = None
    if uplink.gateways and not pair:
        problem = Both(
            f"`{slug}` has one gateway, write `address:`", f"`{slug}` memiliki satu gateway, tulis `address:`"
        )
    elif unknown := [n for n in uplink.gateways if n not in names]:
        known = "`, `".join(names)
        problem = Both(f"`{unknown[0]}` is not one of `{known}`", f"`{unknown[0]}` bukan salah satu dari `{known}`")
    elif uplink.gateways and (left := [n for n in names if n not in uplink.gateways]):
        problem = Both(f"`{left[0]}` is missing", f"`{left[0]}` tidak ada")
    if problem is not None:
        yield Finding("UL002", where.at("gateways", key=True), {"uplink": uplink.name, "problem": problem})
    if pair and uplink.address6 is not None:
        yield Finding("UL004", where.at("address6"), {"site": slug, "address": uplink.address6})


def usable(parts: Parts) -> Iterator[Finding]:
    """The addresses of an uplink lie in one prefix, are hosts in it, and leave the district's prefixes alone."""
    plan = _plan(parts)
    for _, _, uplink, where in _all(parts):
        first: dict[int, Interface] = {}
        for text, at, family, with_length in _texts(uplink, where):
            one = _read(text, family, with_length)
            if one is None:
                continue
            if with_length and (problem := _no_host(one)) is not None:
                yield Finding("UL003", at, {"address": text, "problem": problem})
                continue
            if family not in first:
                if not with_length:
                    continue  # a router, and no address of our own
                first[family] = one
                if hit := next((p for p in plan if p.version == family and p.overlaps(one.network)), None):
                    yield Finding("UL005", at, {"prefix": one.network, "plan": hit})
                continue
            base = first[family]
            same = one.network == base.network if with_length else one.ip in base.network
            if not same and not (not with_length and one.ip.is_link_local):
                yield Finding("UL001", at, {"first": base, "second": text})


def _plan(parts: Parts) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    if parts.facts is not None:
        for text in (parts.facts.prefixes.ipv4, parts.facts.prefixes.ula, parts.facts.prefixes.gua):
            try:
                found.append(ipaddress.ip_network(text or ""))
            except ValueError:
                continue
    return found


def _no_host(one: Interface) -> Both | None:
    """Return why an address is not a host's in its prefix, None when it is."""
    network = one.network
    if network.version == 4 and network.prefixlen < 31 and one.ip in (network[0], network[-1]):
        return Both(f"it is the first or last of {network}", f"itu alamat pertama atau terakhir dari {network}")
    if one.ip.is_multicast or one.ip.is_loopback or one.ip.is_unspecified:
        return Both("it is no host's address", "itu bukan alamat host")
    return None


def unique(parts: Parts) -> Iterator[Finding]:
    """An address is one gateway's, or one provider's router; private ones may repeat from line to line."""
    public: dict[ipaddress.IPv4Address | ipaddress.IPv6Address, str] = {}
    for slug, _, uplink, where in _all(parts):
        here: dict[ipaddress.IPv4Address | ipaddress.IPv6Address, str] = {}
        for text, at, family, with_length in _texts(uplink, where):
            one = _read(text, family, with_length)
            if one is None:
                continue
            owner = here.get(one.ip) or (public.get(one.ip) if with_length else None)
            if owner is not None:
                problem = Both(f"`{owner}` has it already", f"`{owner}` sudah memakainya")
                yield Finding("UL003", at, {"address": text, "problem": problem})
            name = f"{slug}: {'.'.join(str(p) for p in at.path[-2:] if isinstance(p, str))}"
            here.setdefault(one.ip, name)
            if with_length and not any(one.ip in network for network in _SHARED if network.version == family):
                public.setdefault(one.ip, name)


def documentation(parts: Parts) -> Iterator[Finding]:
    """An uplink has no address of a documentation prefix; said once per uplink."""
    for slug, _, uplink, where in _all(parts):
        for text, at, family, with_length in _texts(uplink, where):
            one = _read(text, family, with_length)
            if one is not None and any(one.ip in network for network in _DOCUMENTATION if network.version == family):
                what = Both(f"the uplink address of `{slug}`", f"alamat uplink `{slug}`")
                yield Finding("IP010", at, {"what": what, "prefix": text})
                break


def static_v4(site: Site, gateway: str) -> Iterator[tuple[int, str | None]]:
    """Yield a gateway's own static IPv4 address on each uplink with the uplink's index, None without one."""
    single = len(site.gateways) == 1
    for index, uplink in enumerate(site.uplinks):
        yield index, uplink.gateways.get(gateway) or (uplink.address if single else None)


def gateway_sites(parts: Parts) -> dict[str, tuple[str, str]]:
    """Return every gateway's full name with its site and its own name there."""
    return {
        host_name(slug, g.name): (slug, g.name) for slug, (_, site, _) in parts.sites.items() for g in site.gateways
    }
