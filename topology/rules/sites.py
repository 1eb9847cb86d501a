"""Rules about sites, their gateways, networks and names (ST)."""

from __future__ import annotations

from collections.abc import Iterator

from topology import prefix as px
from topology.district import Parts, networks_of
from topology.finding import Both, Finding, Where


def host_name(site: str, host: str) -> str:
    """Return the district-wide name of a host."""
    return f"{site}-{host}"


def names(parts: Parts) -> Iterator[Finding]:
    """A full host name belongs to one host only; sites' own names are compared too."""
    seen: dict[str, str] = {}
    for slug, (_, site, where) in parts.sites.items():
        entries = [(g.name, where.at("gateways", i)) for i, g in enumerate(site.gateways)]
        entries += [(h.name, where.at("hosts", i)) for i, h in enumerate(site.hosts)]
        for name, place in entries:
            full = host_name(slug, name)
            if full in seen:
                yield Finding("ST002", place, {"name": full, "other": seen[full]})
            seen.setdefault(full, f"{where.file} ({name})")
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


def counts(parts: Parts) -> Iterator[Finding]:
    """What the master plan counts must be there."""
    facts = parts.facts
    if facts is None or not parts.complete:
        return
    kinds = [kind for kind, _, _ in parts.sites.values()]
    radios = [link for link in (parts.backbone.links if parts.backbone else ()) if link.kind == "radio"]
    found = {
        "skpd": kinds.count("skpd"),
        "kecamatan": kinds.count("kecamatan"),
        "desa": kinds.count("desa"),
        "radio_links": len(radios),
        "applications": len(parts.apps.applications) if parts.apps else 0,
    }
    for what, count in found.items():
        planned = getattr(facts.planned, what)
        if planned is None or planned == count:
            continue
        rule = "ST010" if what == "desa" and count < planned else "ST009"
        values = {"planned": planned, "count": count} | ({"what": what} if rule == "ST009" else {})
        yield Finding(rule, Where("district.yml", ("planned", what)), values)
    if not facts.admins and parts.lab is None:
        yield Finding("ST011", Where("district.yml", ("admins",), key=True))


def subdomains(parts: Parts) -> Iterator[Finding]:
    """Sub-domains are unique."""
    seen: dict[str, str] = {}
    for slug, (_, site, where) in parts.sites.items():
        if site.subdomain is None:
            continue
        if site.subdomain in seen:
            yield Finding("ST012", where.at("subdomain"), {"name": site.subdomain})
        seen.setdefault(site.subdomain, slug)


def known_networks(parts: Parts, kind: str, slug: str) -> dict[str, int]:
    """Return a site's networks; empty when the district file could not be read."""
    if parts.facts is None:
        return {}
    roles = parts.facts.networks.get(kind, ())  # type: ignore[call-overload]
    if any(name not in px.ROLES for name in roles):
        return {}
    return networks_of(parts.facts, kind, parts.sites[slug][1])
