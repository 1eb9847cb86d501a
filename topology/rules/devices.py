"""Rules about devices.yml and the switches and radios of the sites (DV)."""

from __future__ import annotations

from collections.abc import Iterator

from topology.devices.model import FIRST_RADIO, KINDS, MANAGEMENT, far_of, port_names, profile_name
from topology.district import Parts
from topology.finding import Both, Finding, Where
from topology.rules.references import missing
from topology.rules.sites import host_name, known_networks, roles_exist
from topology.schema import DeviceProfile, HostEntry

FILE = "devices.yml"
_PROFILE = Both("profile", "profil")


def profiles(parts: Parts) -> Iterator[Finding]:
    """Ports of a profile: ranges that count up, no port twice, a way to the gateway, networks that exist."""
    if parts.devices is None:
        return
    known = {n for slug, (kind, _, _) in parts.sites.items() for n in known_networks(parts, kind, slug)}
    kinds = {kind for kind, _, _ in parts.sites.values()}
    sure = parts.complete and not parts.lost and all(roles_exist(parts, kind) for kind in kinds)
    for name, profile in parts.devices.profiles.items():
        seen: set[str] = set()
        for index, entry in enumerate(profile.ports):
            where = Where(FILE, ("profiles", name, "ports", index))
            try:
                ports = port_names(entry.ports)
            except ValueError:
                yield Finding("DV001", where.at("ports"), {"ports": entry.ports})
                continue
            if twice := next((p for p in ports if p in seen), None):
                yield Finding("DV002", where.at("ports"), {"port": twice, "profile": name})
            seen.update(ports)
            for network in (entry.network, *entry.tagged):
                if network is not None and network not in known and sure:
                    yield missing(Both("network", "jaringan"), network, known, where)
        if profile.kind == "switch" and profile.ports and all(p.role != "uplink" for p in profile.ports):
            yield Finding("DV003", Where(FILE, ("profiles", name, "ports"), key=True), {"profile": name})


def choices(parts: Parts) -> Iterator[Finding]:
    """Profiles and links that devices.yml names exist and fit."""
    facts = parts.devices
    if facts is None:
        return
    chosen: list[tuple[tuple[str, ...], str, str]] = []
    chosen += [(("switches", kind), name, "switch") for kind, name in facts.switches.items()]
    chosen += [(("radios",), facts.radios, "radio")] if facts.radios else []
    chosen += [(("links", link), name, "radio") for link, name in facts.links.items()]
    for path, name, kind in chosen:
        yield from _fits(parts, name, kind, Where(FILE, path))
    links = {x.name for x in parts.backbone.links} if parts.backbone else set()
    if parts.backbone is not None or not parts.may_be_file("backbone.yml"):
        for link in facts.links:
            if link not in links:
                yield missing(Both("link", "tautan"), link, links, Where(FILE, ("links", link), key=True))


def _fits(parts: Parts, name: str, kind: str, where: Where) -> Iterator[Finding]:
    assert parts.devices is not None
    profile = parts.devices.profiles.get(name)
    if profile is None:
        yield missing(_PROFILE, name, parts.devices.profiles, where)
    elif profile.kind != kind:
        yield Finding("DV004", where, {"profile": name, "kind": profile.kind, "wanted": kind})


def hosts(parts: Parts) -> Iterator[Finding]:
    """Every switch and radio has a profile, a management address, and a place to be plugged in."""
    facts = parts.devices
    if facts is None:
        return
    links = {frozenset(x.ends): x.name for x in parts.backbone.links if x.kind == "radio"} if parts.backbone else {}
    for slug, (kind, site, where) in parts.sites.items():
        switches = []
        for index, host in enumerate(site.hosts):
            at, full = where.at("hosts", index), host_name(slug, host.name)
            if host.profile is not None and host.kind != "switch":
                yield Finding("DV005", at.at("profile"), {"host": full})
            if host.kind not in KINDS:
                continue
            link = links.get(frozenset((slug, far_of(host.name)))) if host.kind == "radio" else None
            if host.kind == "radio" and link is None and parts.backbone is not None:
                yield Finding("DV006", at.at("name"), {"host": full})
            if MANAGEMENT not in host.interfaces:
                yield Finding("DV007", at, {"host": full})
            if host.profile is not None and host.kind == "switch":
                yield from _fits(parts, host.profile, "switch", at.at("profile"))
            name = (host.profile if host.kind == "switch" else None) or profile_name(facts, host.kind, kind, link)
            if name is None and not (host.kind == "radio" and link is None):
                yield Finding("DV008", at, {"host": full, "kind": host.kind, "site_kind": kind})
            if host.kind == "switch" and name in facts.profiles:
                switches.append(facts.profiles[name])
        if facts.radios:
            yield from _radio_ports(slug, site.hosts, switches, where)


def _radio_ports(
    slug: str, entries: tuple[HostEntry, ...], switches: list[DeviceProfile], where: Where
) -> Iterator[Finding]:
    room = max((_room(profile) for profile in switches), default=None)
    for index, host in enumerate(entries):
        port = host.interfaces.get(MANAGEMENT)
        if room is None or host.kind != "radio" or port is None:
            continue
        if not FIRST_RADIO <= port.number < FIRST_RADIO + room:
            last = FIRST_RADIO + room - 1
            values = {"host": host_name(slug, host.name), "number": port.number, "first": FIRST_RADIO, "last": last}
            yield Finding("DV009", where.at("hosts", index, "interfaces", MANAGEMENT), values | {"count": room})


def _room(profile: DeviceProfile) -> int:
    count = 0
    for entry in profile.ports:
        try:
            count += len(port_names(entry.ports)) if entry.role == "radio" else 0
        except ValueError:
            continue  # DV001 says it
    return count


def ends(parts: Parts) -> Iterator[Finding]:
    """Both ends of a radio link have a radio."""
    if parts.devices is None or parts.devices.radios is None or parts.backbone is None:
        return
    for index, link in enumerate(parts.backbone.links):
        for near, far in (link.ends, link.ends[::-1]):
            site = parts.sites.get(near)
            if link.kind != "radio" or site is None or far not in parts.sites:
                continue
            if not any(h.kind == "radio" and far_of(h.name) == far for h in site[1].hosts):
                values = {"link": link.name, "site": near, "name": f"radio-{far}"}
                yield Finding("DV010", Where("backbone.yml", ("links", index, "name")), values)
