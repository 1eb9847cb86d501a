"""Rules about sites, their gateways, networks and names (ST)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from topology import prefix as px
from topology.district import Parts, networks_of
from topology.finding import Both, Finding, Where
from topology.schema import Profile

LONGEST_INTERFACE = 15
"""Longest name of an interface on Linux and FreeBSD."""
_COUNTED = {
    "skpd": Both("agencies (skpd)", "SKPD"),
    "kecamatan": Both("kecamatan", "kecamatan"),
    "desa": Both("villages", "desa/kelurahan"),
    "radio_links": Both("radio links", "tautan radio"),
    "applications": Both("applications", "aplikasi"),
}
LONGEST_NAME = 63
"""Longest name of a host: a label of the domain name system, and what Linux takes."""


def host_name(site: str, host: str) -> str:
    """Return the district-wide name of a host."""
    return f"{site}-{host}"


def names(parts: Parts) -> Iterator[Finding]:
    """A full host name belongs to one host only; sites' own names are compared too."""
    seen: dict[str, str] = {}
    listed: set[tuple[str, str]] = set()
    for slug, (_, site, where) in parts.sites.items():
        entries = [(g.name, where.at("gateways", i)) for i, g in enumerate(site.gateways)]
        entries += [(h.name, where.at("hosts", i)) for i, h in enumerate(site.hosts)]
        if parts.apps is not None and slug in parts.apps.sites:
            at = Where("apps.yml", ("applications",))
            entries += [(f"app-{a.slug}", at.at(i)) for i, a in enumerate(parts.apps.applications)]
        for name, place in entries:
            full = host_name(slug, name)
            if len(full) > LONGEST_NAME:
                yield Finding("ST015", place, {"name": full, "length": len(full), "limit": LONGEST_NAME})
            if full in seen and (place.file, name) not in listed:
                yield Finding("ST002", place, {"name": full, "other": seen[full]})
            seen.setdefault(full, f"{place.file} ({name})")
            if place.file == "apps.yml":
                listed.add((place.file, name))  # the guest of an application is at every site: said once
    titles: dict[str, str] = {}
    for slug, (kind, site, where) in parts.sites.items():
        title = f"{kind}/{parts.village_of.get(slug, '')}/{site.name.casefold()}"
        if title in titles:
            yield Finding("ST002", where.at("name"), {"name": site.name, "other": titles[title]})
        titles.setdefault(title, slug)


def gateways(parts: Parts) -> Iterator[Finding]:
    """Pairs only at the data centre; profiles must exist."""
    for _slug, (kind, site, where) in parts.sites.items():
        members = [g.member for g in site.gateways]
        pair = len(members) == 2
        if (pair and (kind != "dc" or sorted(str(m) for m in members) != ["2", "3"])) or (
            not pair and members != [None]
        ):
            yield Finding("ST004", where.at("gateways", key=True))
        for index, uplink in enumerate(site.uplinks[1:], 1):
            if uplink.port is None:
                yield Finding("ST013", where.at("uplinks", index), {"name": uplink.name})
        if parts.facts is None:
            continue
        for index, gateway in enumerate(site.gateways):
            if gateway.profile not in parts.facts.profiles:
                values = {"what": Both("gateway profile", "profil gateway"), "name": gateway.profile, "hint": ""}
                yield Finding("RF001", where.at("gateways", index, "profile"), values)


def networks(parts: Parts) -> Iterator[Finding]:
    """Network numbers: fixed for the standard roles, 11-15 and unique for others."""
    if parts.facts is not None:
        for kind, roles in parts.facts.networks.items():
            for index, name in enumerate(roles):
                if name not in px.ROLES or (kind == "desa" and name not in px.VILLAGE_ROLES):
                    values = {"what": Both("network role", "peran jaringan"), "name": name, "hint": ""}
                    yield Finding("RF001", Where("district.yml", ("networks", kind, index)), values)
    for site_kind, site, where in parts.sites.values():
        used: dict[int, str] = {}
        entries = site.networks or {}
        spare = [n for n in range(11, 16) if n not in {e.number for e in entries.values()}]
        for name, entry in entries.items():
            place = where.at("networks", name, key=True)
            if site_kind == "desa" and name not in px.VILLAGE_ROLES:
                yield Finding("ST005", place, {"allowed": px.VILLAGE_ROLES, "network": name})
            elif name in px.ROLES:
                if entry.number is not None:
                    yield Finding("ST008", place.at("number"), {"network": name, "number": px.ROLES[name]})
            elif entry.number is None:
                yield Finding("ST006", place, {"network": name, "free": spare or "-"})
            elif entry.number in used:
                values = {"number": entry.number, "first": used[entry.number], "second": name, "free": spare or "-"}
                yield Finding("ST007", place.at("number"), values)
            else:
                used[entry.number] = name


def ports(parts: Parts) -> Iterator[Finding]:
    """A gateway's interfaces have different names, of at most 15 characters."""
    if parts.facts is None:
        return
    profiles = parts.facts.profiles
    for name, profile in profiles.items():
        yield from _port_names(profile, Where("district.yml", ("profiles", name)))
    if parts.lab is not None:
        yield from _port_names(parts.lab.profile, Where("lab.yml", ("profile",)))
    for slug, (kind, site, where) in parts.sites.items():
        for gateway in site.gateways:
            own = parts.lab.profile if parts.lab else profiles.get(gateway.profile)
            if own is None:
                continue
            taken = {"lo", "lo0", own.uplink, own.lan, own.radio}
            for index, uplink in enumerate(site.uplinks[1:], 1):
                if uplink.port in taken:
                    yield Finding("ST016", where.at("uplinks", index, "port"), {"name": uplink.port})
                taken.add(uplink.port)
            if own.vlans:
                continue
            for network in known_networks(parts, kind, slug):
                if network in taken or re.fullmatch(r"wg\d+", network):
                    yield Finding("ST016", where.at("networks", network, key=True), {"name": network})


def _port_names(profile: Profile, where: Where) -> Iterator[Finding]:
    """A port's name leaves room for what is added to it: a VLAN id or the number of a link."""
    for key, port, room in (("lan", profile.lan, 4 if profile.vlans else 0), ("radio", profile.radio, 5)):
        if port is not None and len(port) + room > LONGEST_INTERFACE:
            limit = LONGEST_INTERFACE - room
            problem = Both(f"at most {limit} characters, a number is added to it",
                           f"paling banyak {limit} karakter, sebuah nomor ditambahkan padanya")  # fmt: skip
            yield Finding("SC004", where.at(key), {"key": ".".join([*map(str, where.path), key]), "problem": problem})


def counts(parts: Parts) -> Iterator[Finding]:
    """What the master plan counts must be there."""
    facts = parts.facts
    if facts is None:
        return
    if not facts.admins and parts.lab is None:
        yield Finding("ST011", Where("district.yml", ("admins",), key=True))
    kinds = [kind for kind, _, _ in parts.sites.values()]
    radios = [link for link in (parts.backbone.links if parts.backbone else ()) if link.kind == "radio"]
    no_sites = not parts.complete or bool(parts.unsure)
    found = {
        "skpd": (kinds.count("skpd"), no_sites),
        "kecamatan": (kinds.count("kecamatan"), no_sites),
        "desa": (kinds.count("desa"), no_sites),
        "radio_links": (len(radios), parts.backbone is None and parts.may_be_file("backbone.yml")),
        "applications": (
            len(parts.apps.applications) if parts.apps else 0,
            parts.apps is None and parts.may_be_file("apps.yml"),
        ),
    }
    for what, (count, unsure) in found.items():
        planned = getattr(facts.planned, what)
        if planned is None or planned == count or unsure:
            continue
        rule = "ST010" if what == "desa" and count < planned else "ST009"
        values = {"planned": planned, "count": count} | ({"what": _COUNTED[what]} if rule == "ST009" else {})
        yield Finding(rule, Where("district.yml", ("planned", what)), values)


def subdomains(parts: Parts) -> Iterator[Finding]:
    """Sub-domains are unique."""
    seen: dict[str, str] = {}
    for slug, (_, site, where) in parts.sites.items():
        if site.subdomain is None:
            continue
        if site.subdomain in seen:
            yield Finding("ST012", where.at("subdomain"), {"name": site.subdomain, "other": seen[site.subdomain]})
        seen.setdefault(site.subdomain, slug)


def roles_exist(parts: Parts, kind: str) -> bool:
    """Say whether the networks that district.yml gives the sites of a kind are roles that exist (else RF001)."""
    roles = parts.facts.networks.get(kind, ()) if parts.facts else ()  # type: ignore[call-overload]
    return all(name in px.ROLES for name in roles)


def known_networks(parts: Parts, kind: str, slug: str) -> dict[str, int]:
    """Return a site's networks; empty when the district file could not be read or is wrong about them."""
    if parts.facts is None or not roles_exist(parts, kind):
        return {}
    return networks_of(parts.facts, kind, parts.sites[slug][1])
