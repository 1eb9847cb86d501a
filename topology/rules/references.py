"""Rules about names that must lead somewhere (RF)."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator

from topology.district import Parts
from topology.finding import Both, Finding, Where
from topology.rules.sites import host_name, known_networks
from topology.schema import AppsFile


def missing(what: Both | str, name: str, known: Iterable[str], where: Where) -> Finding:
    """Return the finding for a name that leads nowhere, with the nearest name that exists."""
    # comparing with every name is slow where many are wrong: a slip keeps the length and one end
    alike = [k for k in known if abs(len(k) - len(name)) <= 2 and (k[:1] == name[:1] or k[-1:] == name[-1:])]
    near = difflib.get_close_matches(name, alike, n=1)
    hint = Both(f" (did you mean `{near[0]}`?)", f" (maksudnya `{near[0]}`?)") if near else ""
    return Finding("RF001", where, {"what": what, "name": name, "hint": hint})


def gateway_names(parts: Parts) -> dict[str, str]:
    """Return every gateway's full name with its site."""
    return {host_name(slug, g.name): slug for slug, (_, site, _) in parts.sites.items() for g in site.gateways}


def host_names(parts: Parts) -> set[str]:
    """Return every host's full name, gateways and application guests included."""
    names = set(gateway_names(parts))
    names |= {host_name(slug, h.name) for slug, (_, site, _) in parts.sites.items() for h in site.hosts}
    if parts.apps is not None:
        names |= {host_name(s, f"app-{a.slug}") for s in parts.apps.sites for a in parts.apps.applications}
    return names


def hubs(parts: Parts) -> Iterator[Finding]:
    """Hubs are gateways of a data centre or DR site, each with a slot of its own."""
    if parts.facts is None:
        return
    gateways = gateway_names(parts)
    slots: dict[int, str] = {}
    first: dict[str, int] = {}
    for index, hub in enumerate(parts.facts.hubs):
        where = Where("district.yml", ("hubs", index))
        if hub.slot in slots:
            values = {"section": "hubs", "number": hub.slot, "first": slots[hub.slot], "second": hub.gateway}
            spare = next((n for n in (1, 2, 3) if n not in {h.slot for h in parts.facts.hubs}), "-")
            yield Finding("RG001", where.at("slot"), values | {"free": spare})
        slots.setdefault(hub.slot, hub.gateway)
        if hub.gateway in first:
            other = Both(f"the hub in slot {first[hub.gateway]}", f"hub di slot {first[hub.gateway]}")
            yield Finding("ST002", where.at("gateway"), {"name": hub.gateway, "other": other})
        first.setdefault(hub.gateway, hub.slot)
        if hub.gateway in gateways:
            if parts.sites[gateways[hub.gateway]][0] not in ("dc", "drc"):
                what = Both("data-centre gateway", "gateway pusat data")
                yield missing(what, hub.gateway, (), where.at("gateway"))
        elif not parts.may_have_host(hub.gateway):
            yield missing("gateway", hub.gateway, gateways, where.at("gateway"))


def guests(parts: Parts) -> Iterator[Finding]:
    """A guest runs on a hypervisor of its site."""
    for _, site, where in parts.sites.values():
        hypervisors = {h.name for h in site.hosts if h.kind == "hypervisor"}
        for index, host in enumerate(site.hosts):
            if host.on is not None and host.on not in hypervisors:
                yield missing("hypervisor", host.on, hypervisors, where.at("hosts", index, "on"))


def services(parts: Parts) -> Iterator[Finding]:
    """Services run on hosts that exist."""
    names = host_names(parts)
    for service, data in parts.services.items():
        file = f"services/{service}.yml"
        file = file if file in parts.raw else f"services/{service}.yaml"
        for index, host in enumerate(data.hosts):
            if host not in names and not parts.may_have_host(host):
                yield missing("host", host, names, Where(file, ("hosts", index)))


def operator(parts: Parts) -> Iterator[Finding]:
    """The office that runs ICT exists."""
    if parts.facts is None or parts.facts.operator is None:
        return
    if parts.facts.operator not in parts.sites and not parts.may_exist(parts.facts.operator):
        what = Both("office", "kantor")
        yield missing(what, parts.facts.operator, parts.sites, Where("district.yml", ("operator",)))


def applications(parts: Parts) -> Iterator[Finding]:
    """Applications: known groups, owners and sites; the counts per year hold; names once per group."""
    apps = parts.apps
    if apps is None:
        return
    groups = {g.name: g for g in apps.groups}
    seen: dict[tuple[str, str], int] = {}
    slugs: dict[str, int] = {}
    for index, app in enumerate(apps.applications):
        where = Where("apps.yml", ("applications", index))
        if app.group not in groups:
            yield missing(Both("application group", "kelompok aplikasi"), app.group, groups, where.at("group"))
        if (app.group, app.name.casefold()) in seen:
            yield Finding("RF003", where.at("name"), {"name": app.name, "group": app.group})
        seen[app.group, app.name.casefold()] = index
        if app.slug in slugs:
            other = f"apps.yml ({apps.applications[slugs[app.slug]].name})"
            yield Finding("ST002", where.at("slug"), {"name": app.slug, "other": other})
        slugs.setdefault(app.slug, index)
        if app.owner is not None and app.owner not in parts.sites and not parts.may_exist(app.owner):
            yield missing(Both("owner", "pemilik"), app.owner, parts.sites, where.at("owner"))
    for index, site in enumerate(apps.sites):
        where = Where("apps.yml", ("sites", index))
        if site not in parts.sites:
            if not parts.may_exist(site):
                yield missing(Both("site", "lokasi"), site, parts.sites, where)
            continue
        nets = known_networks(parts, parts.sites[site][0], site)
        if nets and apps.network not in nets:
            yield missing(Both(f"network at `{site}`", f"jaringan di `{site}`"), apps.network, nets, where)
    yield from _counts(apps)


def _counts(apps: AppsFile) -> Iterator[Finding]:
    """Each group has as many applications per year as planned.

    An application with a wrong year is one too many in that year, which is said, and one too few in
    its own, which is not said again. When a group misses more than it has too many, every year it has
    too few in is said: any of them may be the one.
    """
    groups = {g.name for g in apps.groups}
    astray = {str(a.year) for a in apps.applications if a.group not in groups}
    counted = Counter((a.group, str(a.year)) for a in apps.applications)
    for index, group in enumerate(apps.groups):
        years = set(group.per_year) | {year for name, year in counted if name == group.name}
        more = {year: counted[group.name, year] - group.per_year.get(year, 0) for year in sorted(years)}
        # an application whose group has a finding of its own may be the missing one
        wrong = {year: n for year, n in more.items() if n > 0 or (n < 0 and year not in astray)}
        explained = sum(wrong.values()) >= 0
        for year, n in wrong.items():
            if n > 0 or not explained:
                planned, count = group.per_year.get(year, 0), counted[group.name, year]
                values = {"group": group.name, "count": count, "year": year, "planned": planned}
                yield Finding("RF002", Where("apps.yml", ("groups", index, "per_year", year)), values)
