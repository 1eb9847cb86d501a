"""Rules about policy.yml (PO) and keys.yml (KY)."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator

from topology.district import Parts
from topology.finding import Both, Finding, Where
from topology.policy import ADMIN, ANY, BUILT_IN, GATEWAY, INTERNET, Port, port
from topology.rules.references import gateway_names, host_names, missing
from topology.rules.sites import host_name, known_networks
from topology.schema import Flow, PolicyFile

FILE = "policy.yml"
SSH = 22
_PING = Both("a ping has no port", "ping tidak memiliki port")
_ANY_PORT = Both("`any` has no ports", "`any` tidak memiliki port")
_EVERY_KIND = ("skpd", "hub", "kecamatan", "desa", "dc", "drc")


def _hint(name: str, known: Iterable[str]) -> object:
    """Return the nearest name that exists as text to put behind a name, or an empty one."""
    return missing("", name, known, Where("")).values["hint"]


def names(parts: Parts) -> Iterator[Finding]:
    """Zones and services that flows name exist, and none has a name that is taken."""
    policy = parts.policy
    if policy is None:
        return
    for zone in policy.zones:
        if zone in BUILT_IN:
            what = Both("zone", "zona")
            yield Finding("PO007", Where(FILE, ("zones", zone), key=True), {"what": what, "name": zone})
    if ANY in policy.services:
        what = Both("service", "layanan")
        yield Finding("PO007", Where(FILE, ("services", ANY), key=True), {"what": what, "name": ANY})
    zones, services = (*policy.zones, *BUILT_IN), (*policy.services, ANY)
    for index, flow in enumerate(policy.flows):
        where = Where(FILE, ("flows", index))
        for key, listed in (("from", flow.sources), ("to", flow.targets)):
            for n, name in enumerate(listed):
                if name not in zones:
                    yield Finding("PO001", where.at(key, n), {"name": name, "hint": _hint(name, zones)})
        for n, name in enumerate(flow.services):
            if name not in services:
                yield Finding("PO002", where.at("services", n), {"name": name, "hint": _hint(name, services)})


def networks(parts: Parts) -> Iterator[Finding]:
    """Every network that a site has is in one zone; what holds without a policy.yml is not asked."""
    policy = parts.policy
    if policy is None:
        return
    zone_of: dict[str, str] = {}
    for name, zone in policy.zones.items():
        for index, network in enumerate(zone.networks):
            if network in zone_of:
                values = {"network": network, "first": zone_of[network], "second": name}
                yield Finding("PO003", Where(FILE, ("zones", name, "networks", index)), values)
            zone_of.setdefault(network, name)
    without: dict[str, list[str]] = {}
    for slug, (kind, _, _) in parts.sites.items():
        for network in known_networks(parts, kind, slug):
            if network not in zone_of:
                without.setdefault(network, []).append(slug)
    for network, sites in sorted(without.items()):
        lacking = {"network": network, "site": sites[0], "count": len(sites)}
        yield Finding("PO004", Where(FILE, ("zones",), key=True), lacking)


def flows(parts: Parts) -> Iterator[Finding]:
    """Flows do what they say: none is ignored, none says again what another says, none lets SSH in."""
    policy = parts.policy
    if policy is None:
        return
    isolated = {name for name, zone in policy.zones.items() if zone.isolated}
    said: dict[tuple[str, str, str], list[Flow]] = {}
    for index, flow in enumerate(policy.flows):
        where = Where(FILE, ("flows", index))
        for source in flow.sources:
            for target in flow.targets:
                if target in isolated or (source in isolated and target not in (GATEWAY, INTERNET)):
                    zone = target if target in isolated else source
                    yield Finding("PO005", where, {"source": source, "target": target, "zone": zone})
                    continue
                for service in flow.services:
                    before = said.setdefault((source, target, service), [])
                    first = next((f for f in before if _overlap(f, flow)), None)
                    if first is not None:
                        values = {"source": source, "target": target, "service": service, "why": first.why}
                        yield Finding("PO006", where, values)
                    before.append(flow)
                    if target == GATEWAY and source != ADMIN and _opens_ssh(policy, service):
                        yield Finding("PO013", where, {"source": source, "service": service})


def _overlap(first: Flow, second: Flow) -> bool:
    """Say whether two flows hold at a common kind of site, in a common family."""
    kinds = set(first.at or _EVERY_KIND) & set(second.at or _EVERY_KIND)
    return bool(kinds and set(first.families) & set(second.families))


def _opens_ssh(policy: PolicyFile, service: str) -> bool:
    return service == ANY or any(p.protocol == "tcp" and p.low <= SSH <= p.high for p in _ports(policy, service))


def _ports(policy: PolicyFile, service: str) -> tuple[Port, ...]:
    return tuple(port(text) for text in policy.services.get(service, ()))


def services(parts: Parts) -> Iterator[Finding]:
    """Ports are 1 to 65535, ranges go upwards, nothing is left unused."""
    policy = parts.policy
    if policy is None:
        return
    for name, ports in policy.services.items():
        for index, text in enumerate(ports):
            one = port(text)
            if one.protocol != "icmp" and not 1 <= one.low <= one.high <= 65535:
                yield Finding("PO008", Where(FILE, ("services", name, index)), {"port": text})
    used = {s for f in policy.flows for s in f.services} | {s for p in policy.published for s in p.services}
    for name in policy.services:
        if name not in used and name != ANY:
            what = Both("service", "layanan")
            yield Finding("PO010", Where(FILE, ("services", name), key=True), {"what": what, "name": name})
    used = {zone for f in policy.flows for zone in (*f.sources, *f.targets)}
    for name in policy.zones:
        if name not in used and name not in BUILT_IN:
            what = Both("zone", "zona")
            yield Finding("PO010", Where(FILE, ("zones", name), key=True), {"what": what, "name": name})


def published(parts: Parts) -> Iterator[Finding]:
    """What is published is a host in a zone, at a site with a line of its own, with ports."""
    policy = parts.policy
    if policy is None or not policy.published:
        return
    known = host_names(parts)
    first = _first_networks(parts)
    zones = {network: name for name, zone in policy.zones.items() for network in zone.networks}
    for index, entry in enumerate(policy.published):
        where = Where(FILE, ("published", index))
        problem: Both | None = None
        if entry.host not in known:
            if parts.may_have_host(entry.host):
                continue
            hint = _hint(entry.host, known)
            en, id_ = (hint.en, hint.id) if isinstance(hint, Both) else ("", "")
            problem = Both(f"there is no such host{en}", f"host itu tidak ada{id_}")
        elif entry.host not in first:
            problem = Both("it is a gateway", "itu gateway")
        else:
            slug, network = first[entry.host]
            if network not in zones:
                problem = Both(
                    f"its network `{network}` is in no zone", f"jaringannya `{network}` tidak ada di zona mana pun"
                )
            elif policy.zones[zones[network]].isolated:
                problem = Both(f"its zone `{zones[network]}` is isolated", f"zonanya `{zones[network]}` terisolasi")
            elif not parts.sites[slug][1].uplinks:
                problem = Both(f"`{slug}` has no uplink", f"`{slug}` tidak memiliki uplink")
        if problem is not None:
            yield Finding("PO009", where.at("host"), {"host": entry.host, "problem": problem})
        for n, service in enumerate(entry.services):
            at = where.at("services", n)
            if service == ANY:
                yield Finding("PO009", at, {"host": entry.host, "problem": _ANY_PORT})
            elif service not in policy.services:
                yield Finding("PO002", at, {"name": service, "hint": _hint(service, policy.services)})
            elif any(p.protocol == "icmp" for p in _ports(policy, service)):
                yield Finding("PO009", at, {"host": entry.host, "problem": _PING})


def _first_networks(parts: Parts) -> dict[str, tuple[str, str]]:
    """Return every host that is no gateway with its site and the network of its first interface."""
    found: dict[str, tuple[str, str]] = {}
    for slug, (kind, site, _) in parts.sites.items():
        roles = known_networks(parts, kind, slug)
        for host in site.hosts:
            network = min(host.interfaces, key=lambda n: roles.get(n, 99))
            found[host_name(slug, host.name)] = slug, network
    if parts.apps is not None:
        for slug in parts.apps.sites:
            if slug in parts.sites:
                for app in parts.apps.applications:
                    found[host_name(slug, f"app-{app.slug}")] = slug, parts.apps.network
    return found


def admins(parts: Parts) -> Iterator[Finding]:
    """Administrators come from networks and VPN users that exist; there is one at least."""
    policy = parts.policy
    if policy is None:
        return
    if not policy.admins.networks and not policy.admins.vpn_users:
        yield Finding("PO012", Where(FILE, ("admins",), key=True))
    for index, name in enumerate(policy.admins.networks):
        where = Where(FILE, ("admins", "networks", index))
        slug, _, network = name.partition(".")
        if slug not in parts.sites:
            if not parts.may_exist(slug):
                what = Both("site", "lokasi")
                yield Finding("PO011", where, {"what": what, "name": slug, "hint": _hint(slug, parts.sites)})
            continue
        nets = known_networks(parts, parts.sites[slug][0], slug)
        if nets and network not in nets:
            what = Both(f"network at `{slug}`", f"jaringan di `{slug}`")
            yield Finding("PO011", where, {"what": what, "name": network, "hint": _hint(network, nets)})
    if parts.registry is None:
        return
    users = {u.name: u for u in parts.registry.vpn_users}
    for index, name in enumerate(policy.admins.vpn_users):
        where = Where(FILE, ("admins", "vpn_users", index))
        if name not in users:
            what = Both("VPN user", "pengguna VPN")
            yield Finding("PO011", where, {"what": what, "name": name, "hint": _hint(name, users)})
            continue
        user, today = users[name], datetime.date.today()
        if user.retired is not None:
            yield Finding("PO015", where, {"name": name, "since": user.retired})
        elif user.expires is not None and user.expires < today:
            yield Finding("PO015", where, {"name": name, "since": user.expires})


def hub_addresses(parts: Parts) -> Iterator[Finding]:
    """The first uplink of a hub has a static address of each gateway; a lab's internet gives one."""
    if parts.facts is None or (parts.lab is not None and parts.lab.internet is not None):
        return
    gateways = gateway_names(parts)
    for hub in parts.facts.hubs:
        slug = gateways.get(hub.gateway)
        if slug is None:
            continue
        kind, site, where = parts.sites[slug]
        if kind not in ("dc", "drc") or not site.uplinks:
            continue  # no hub at all (RF001), or one that no provider's line leads to
        uplink = site.uplinks[0]
        entry = next(g for g in site.gateways if host_name(slug, g.name) == hub.gateway)
        if not (uplink.gateways.get(entry.name) or (uplink.address and entry.member is None)):
            values = {"gateway": hub.gateway, "uplink": uplink.name}
            yield Finding("PO014", where.at("uplinks", 0), values)


def keys(parts: Parts) -> Iterator[Finding]:
    """Keys belong to gateways and VPN users that exist, each to one."""
    if parts.keys is None:
        return
    file = "lab/keys.yml" if "lab.yml" in parts.raw else "keys.yml"
    gateways = gateway_names(parts)
    for name in parts.keys.wireguard:
        if name not in gateways and not parts.may_have_host(name):
            where = Where(file, ("wireguard", name), key=True)
            yield Finding("KY001", where, {"name": name, "hint": _hint(name, gateways)})
    boxes = {f"{s}-{h.name}" for s, (_, site, _) in parts.sites.items() for h in site.hosts if h.kind == "nas"}
    for section in ("nas", "nas_hosts"):
        for name in getattr(parts.keys, section):
            if name not in boxes and not parts.may_have_host(name):
                yield Finding(
                    "KY004", Where(file, (section, name), key=True), {"name": name, "hint": _hint(name, boxes)}
                )
    if parts.registry is not None:
        users = {u.name for u in parts.registry.vpn_users if u.retired is None}
        for name in parts.keys.vpn_users:
            if name not in users:
                where = Where(file, ("vpn_users", name), key=True)
                yield Finding("KY003", where, {"name": name, "hint": _hint(name, users)})
    yield from _readers(parts, file)
    owners: dict[str, str] = {}
    for section, listed in (("wireguard", parts.keys.wireguard), ("vpn_users", parts.keys.vpn_users),
                            ("nas", parts.keys.nas), ("nas_hosts", parts.keys.nas_hosts),
                            ("readers", parts.keys.readers)):  # fmt: skip
        for name, key in listed.items():
            if key in owners:
                yield Finding("KY002", Where(file, (section, name)), {"first": owners[key], "second": name})
            owners.setdefault(key, name)


def _readers(parts: Parts, file: str) -> Iterator[Finding]:
    """Who may read the other hosts stands where gateways take SSH from."""
    if parts.keys is None or parts.policy is None:
        return
    allowed = set(parts.policy.admins.networks)
    networks = {f"{s}-{h.name}": {f"{s}.{n}" for n in h.interfaces}
                for s, (_, site, _) in parts.sites.items() for h in site.hosts}  # fmt: skip
    for name in parts.keys.readers:
        if name not in networks and parts.may_have_host(name):
            continue
        if not networks.get(name, set()) & allowed:
            near = [n for n, own in networks.items() if own & allowed]
            values = {"name": name, "networks": ", ".join(sorted(allowed)) or "-", "hint": _hint(name, near)}
            yield Finding("KY005", Where(file, ("readers", name), key=True), values)
