"""Which network devices the plan has, and what each port is for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from topology.allocate import RADIO_VLAN_BASE, Host, Link, Plan, SitePlan
from topology.schema import DevicePort, DeviceProfile, DevicesFile

MANAGEMENT = "mgmt"
"""Network that devices are managed in."""
FIRST_RADIO = 5
"""Host number of the radio on a switch's first radio port: numbers never move, so no radio changes its port."""
KINDS = ("switch", "radio")


@dataclass(frozen=True, slots=True)
class PortPlan:
    """What a port of a switch must be."""

    name: str
    role: str
    enabled: bool
    untagged: int | None
    tagged: tuple[int, ...]
    description: str

    @property
    def trunk(self) -> bool:
        """Say whether it carries all networks towards the gateway or another switch."""
        return self.role in ("uplink", "trunk")


@dataclass(frozen=True, slots=True)
class Device:
    """A switch or radio of the plan with its profile."""

    host: Host
    site: SitePlan
    profile_name: str
    profile: DeviceProfile
    address: str
    """IPv4 address in the management network."""
    router: str
    vlans: dict[int, str]
    """VLAN id -> name; of a radio none."""
    ports: tuple[PortPlan, ...]
    snmp_user: str
    link: Link | None = None
    """Of a radio: its link."""
    mode: str = ""
    """Of a radio: ap or station."""

    @property
    def name(self) -> str:
        """Name of the device in the plan."""
        return self.host.name

    @property
    def management_vlan(self) -> int:
        """VLAN id of the management network."""
        return self.site.network(MANAGEMENT).vlan


def devices_of(plan: Plan) -> tuple[Device, ...]:
    """Return the network devices of a plan that have a profile, in the plan's order."""
    facts = plan.district.devices
    if facts is None:
        return ()
    return tuple(d for host in plan.hosts.values() if host.kind in KINDS and (d := device_of(plan, facts, host)))


def device_of(plan: Plan, facts: DevicesFile, host: Host) -> Device | None:
    """Return a host as a device; None without a profile or a place in the management network."""
    site = plan.sites[host.site]
    link = radio_link(plan, host) if host.kind == "radio" else None
    own = host.device_profile if host.kind == "switch" else None
    name = own or profile_name(facts, host.kind, site.place.kind, link.name if link else None)
    interface = next((i for i in host.interfaces if i.network == MANAGEMENT), None)
    if name is None or name not in facts.profiles or interface is None:
        return None
    network = site.network(MANAGEMENT)
    router = plan.district.space.host(network.second_octet, network.third_octet, 1)[0]
    profile = facts.profiles[name]
    ports = tuple(_ports(plan, site, host, profile)) if host.kind == "switch" else ()
    vlans = {n.vlan: n.name for n in site.networks} if host.kind == "switch" else {}
    used = {v for p in ports for v in (*p.tagged, p.untagged) if v is not None}
    vlans |= {v: f"radio-{v - RADIO_VLAN_BASE}" for v in sorted(used) if v >= RADIO_VLAN_BASE}
    mode = ""
    if link is not None:
        # the end nearer to the root of the tree is the access point; without a tree the lower number
        above = plan.backbone.path(host.site)
        far = link.ends[1].site if link.ends[0].site == host.site else link.ends[0].site
        mode = "station" if far in above or (not above and link.ends[0].site == far) else "ap"
    return Device(
        host, site, name, profile, interface.addresses[0], router, vlans, ports, facts.snmp_user, link, mode
    )  # fmt: skip


def profile_name(facts: DevicesFile, kind: str, site_kind: str, link: str | None) -> str | None:
    """Return the profile of a device that names none itself."""
    if kind == "switch":
        return facts.switches.get(site_kind)  # type: ignore[call-overload, no-any-return]
    return facts.links.get(link or "", facts.radios)


def radio_link(plan: Plan, host: Host) -> Link | None:
    """Return the link of a radio: its name is radio-FAR, FAR the site at the other end."""
    ends = {host.site, far_of(host.short)}
    return next((x for x in plan.links.values() if x.kind == "radio" and {e.site for e in x.ends} == ends), None)


def far_of(short: str) -> str:
    """Return the far site that a radio's name says."""
    return short.removeprefix("radio-")


def port_names(text: str) -> tuple[str, ...]:
    """Return the ports of `ether2-ether9` (a lone name is one port); ValueError when the range makes no sense."""
    match = re.fullmatch(r"(.*?)(\d+)-(.*?)(\d+)", text)
    if match is None or match[1] != match[3]:
        if match is not None and re.search(r"[A-Za-z]", match[3]):
            raise ValueError(text)
        return (text,)
    first, last = int(match[2]), int(match[4])
    if not first <= last < first + 100:
        raise ValueError(text)
    return tuple(f"{match[1]}{n}" for n in range(first, last + 1))


def _ports(plan: Plan, site: SitePlan, host: Host, profile: DeviceProfile) -> Iterator[PortPlan]:
    radios = {  # index of the radio port -> (link's VLAN, radio)
        i.number - FIRST_RADIO: (RADIO_VLAN_BASE + link.number, h.short)
        for h in site.hosts
        if h.kind == "radio" and (link := radio_link(plan, h))
        for i in h.interfaces
        if i.network == MANAGEMENT and i.number is not None
    }
    vlans = {n.name: n.vlan for n in site.networks}
    index = 0
    for entry in profile.ports:
        for name in port_names(entry.ports):
            yield _port(entry, name, vlans, radios, index)
            index += entry.role == "radio"


def _port(
    entry: DevicePort, name: str, vlans: dict[str, int], radios: dict[int, tuple[int, str]], index: int
) -> PortPlan:
    every = tuple(sorted(vlans.values()))
    if entry.role in ("uplink", "trunk"):
        return PortPlan(name, entry.role, True, None, every, entry.description or entry.role)
    if entry.role == "radios" and radios:
        return PortPlan(name, entry.role, True, None, tuple(sorted(v for v, _ in radios.values())), "radios")
    if entry.role == "radio" and index in radios:
        vlan, radio = radios[index]
        return PortPlan(name, entry.role, True, vlans[MANAGEMENT], (vlan,), radio)
    if entry.role == "access" and entry.network in vlans:
        tagged = tuple(sorted(vlans[n] for n in entry.tagged if n in vlans))
        return PortPlan(name, entry.role, True, vlans[entry.network], tagged, entry.description or entry.network)
    return PortPlan(name, "spare", False, None, (), "spare")
