"""From a district to its plan: every prefix, address and interface name.

`allocate` is a pure function of permanent numbers. Nothing in it depends on the order of
files, lines or keys, so adding, removing, renaming or reordering one thing moves no other.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from topology import prefix as px
from topology.backbone import Backbone, backbone_of
from topology.cutover import Legacy, served
from topology.district import District, Place
from topology.schema import Asset, GatewayEntry, HostEntry, LabInternet, Profile, RadioEntry, Uplink

RADIO_VLAN_BASE = 1000
"""VLAN id of link number 0 on a gateway's radio port."""
USERS_INTERFACE = "wg0"
"""A hub's interface for its VPN users; tunnels are wg1 to wg3 at a site and wg32 and up at a hub."""
_PLATFORM = {"guest": "debian", "server": "debian", "nas": "debian"}
_NIC = {"guest": "ens192", "pc": "eth0"}


@dataclass(frozen=True, slots=True)
class Network:
    """A site's LAN: its role, VLAN id and prefixes (IPv4 /24, then a /64 per /48)."""

    name: str
    role: int
    vlan: int
    prefixes: tuple[str, ...]
    second_octet: int
    third_octet: int
    description: str | None = None
    dhcp: bool = True
    reserved: tuple[str, ...] = ()
    """The reservation it can grow into."""


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface of a host and its addresses (IPv4, ULA, GUA), without lengths."""

    name: str
    kind: str
    """lan, loopback, radio, leased, tunnel, uplink, vpn (a hub's users) or host."""
    network: str | None = None
    link: str | None = None
    addresses: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    """Addresses a pair of gateways shares."""
    number: int | None = None
    """Host number in its network."""
    mac: str | None = None
    vlan: int | None = None
    uplink: Uplink | None = None
    legacy: tuple[Legacy, ...] = ()
    """Of a gateway's LAN: what it serves of the site's prefixes from before the plan."""
    static: tuple[str, ...] = ()
    """Of an uplink: this gateway's own static addresses with their lengths; empty: the provider's DHCP."""


@dataclass(frozen=True, slots=True)
class Host:
    """A device or guest."""

    name: str
    short: str
    site: str
    kind: str
    platform: str
    interfaces: tuple[Interface, ...]
    profile: Profile | None = None
    member: int | None = None
    """Host number in a pair of gateways."""
    hub_slot: int | None = None
    application: str | None = None
    on: str | None = None
    description: str | None = None
    memory_gb: int | None = None
    asset: Asset | None = None
    device_profile: str | None = None
    """Of a switch: its profile in devices.yml, where it is not the one of its kind of site."""

    @property
    def managed(self) -> bool:
        """Say whether playbooks configure it (appliances they do not)."""
        return self.platform != "appliance"

    def of_kind(self, *kinds: str) -> Iterator[Interface]:
        """Yield the interfaces of these kinds."""
        return (i for i in self.interfaces if i.kind in kinds)


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """One end of a link: a host, its interface and its addresses there."""

    host: str
    site: str
    interface: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A radio or leased link or a tunnel, with its /31 and /127s."""

    name: str
    kind: str
    number: int
    ends: tuple[LinkEnd, LinkEnd]
    prefixes: tuple[str, ...]
    radio: RadioEntry | None = None
    slot: int | None = None
    """Of a tunnel: the slot of its hub, which is end 1."""

    def end_of(self, host: str) -> LinkEnd:
        """Return this host's end."""
        return self.ends[0] if self.ends[0].host == host else self.ends[1]

    def far_end(self, host: str) -> LinkEnd:
        """Return the other end."""
        return self.ends[1] if self.ends[0].host == host else self.ends[0]


@dataclass(frozen=True, slots=True)
class VpnUser:
    """A person with a VPN of their own: the same host number at every hub."""

    name: str
    number: int
    expires: datetime.date | None
    addresses: dict[int, tuple[str, ...]]
    """Hub's slot -> addresses there."""


@dataclass(frozen=True, slots=True)
class SitePlan:
    """A site with its prefixes, networks and hosts."""

    place: Place
    prefixes: tuple[str, ...]
    networks: tuple[Network, ...]
    hosts: tuple[Host, ...]

    @property
    def slug(self) -> str:
        """Name of the site."""
        return self.place.slug

    def network(self, name: str) -> Network:
        """Return a network by name."""
        return next(n for n in self.networks if n.name == name)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that follows from a district's numbers."""

    district: District
    sites: dict[str, SitePlan]
    hosts: dict[str, Host]
    links: dict[str, Link]
    backbone: Backbone
    vpn_users: tuple[VpnUser, ...] = ()
    """Those not retired; an expired one is here and is left out where it is rendered."""

    at: dict[str, tuple[Link, ...]] = field(init=False, repr=False, compare=False)
    """Host -> the links that end there."""
    hubs: tuple[Host, ...] = field(init=False, repr=False, compare=False)
    """The hubs' gateways in order of their slots."""
    centres: tuple[Place, ...] = field(init=False, repr=False, compare=False)
    """The data centre and the DR sites, also those that a lab leaves out."""

    def __post_init__(self) -> None:
        found: dict[str, list[Link]] = {}
        for link in self.links.values():
            for end in link.ends:
                found.setdefault(end.host, []).append(link)
        object.__setattr__(self, "at", {host: tuple(links) for host, links in found.items()})
        hubs = (h for h in self.hosts.values() if h.hub_slot is not None)
        object.__setattr__(self, "hubs", tuple(sorted(hubs, key=lambda h: h.hub_slot or 0)))
        object.__setattr__(self, "centres", tuple(self.district.of_kind("dc", "drc")))

    def links_of(self, host: str) -> tuple[Link, ...]:
        """Return the links that end at a host, in order of their numbers."""
        return self.at.get(host, ())

    def gateways(self, site: str) -> tuple[Host, ...]:
        """Return a site's gateways."""
        return tuple(h for h in self.sites[site].hosts if h.kind == "gateway")


def allocate(district: District) -> Plan:
    """Return the plan of a checked district."""
    slots = {hub.gateway: hub.slot for hub in district.facts.hubs}
    gateways = {p.slug: _gateway_names(p) for p in district.places.values()}
    links = {link.name: link for link in sorted(_links(district, gateways, slots), key=lambda x: (x.number, x.name))}
    ends: dict[str, list[Interface]] = {}
    for link in links.values():
        for end in link.ends:
            kind = "tunnel" if link.kind == "tunnel" else link.kind
            vlan = RADIO_VLAN_BASE + link.number if "." in end.interface else None
            ends.setdefault(end.host, []).append(
                Interface(end.interface, kind, link=link.name, addresses=end.addresses, vlan=vlan)
            )
    ordered = sorted(district.places.values(), key=lambda p: (p.second_octet, p.third_octet, p.slug))
    internet = _internet(district)
    sites = {place.slug: _site(district, place, ends, slots, internet) for place in ordered}
    hosts = {host.name: host for site in sites.values() for host in site.hosts}
    return Plan(district, sites, hosts, links, backbone_of(district.backbone), _vpn_users(district))


def _vpn_users(district: District) -> tuple[VpnUser, ...]:
    slots = sorted(hub.slot for hub in district.facts.hubs)
    return tuple(
        VpnUser(u.name, u.number, u.expires, {s: district.space.host(px.VPN_OCTET, s, u.number) for s in slots})
        for u in sorted(district.registry.vpn_users, key=lambda u: u.number)
        if u.retired is None
    )


def _gateway_names(place: Place) -> tuple[str, ...]:
    entries = sorted(place.data.gateways, key=lambda g: g.member or 1)
    return tuple(f"{place.slug}-{g.name}" for g in entries)


def _site(
    district: District, place: Place, ends: dict[str, list[Interface]], slots: dict[str, int], internet: Host | None
) -> SitePlan:
    space = district.space
    networks = tuple(_network(district, place, name, role) for name, role in district.networks(place).items())
    by_name = {network.name: network for network in networks}
    hosts = [_gateway(district, place, entry, networks, ends, slots) for entry in place.data.gateways]
    hosts += [_host(place, entry, by_name, space) for entry in place.data.hosts]
    hosts += _application_guests(district, place, by_name)
    hosts += _lab_clients(district, place, by_name)
    if internet is not None and internet.site == place.slug:
        hosts.append(internet)
    prefixes = space.reservation(place.second_octet, place.third_octet, place.length)
    if place.kind == "kecamatan":
        extra = sorted(
            line.number for line in district.registry.kecamatan if line.extends == place.slug and not line.retired
        )
        for number in extra:
            prefixes += space.reservation(px.KECAMATAN_BASE + number, 0, 16)
    hosts.sort(key=lambda h: (h.kind != "gateway", h.name))
    return SitePlan(place, prefixes, networks, tuple(hosts))


def _network(district: District, place: Place, name: str, role: int) -> Network:
    space, s = district.space, place.second_octet
    if place.kind == "desa":
        t = place.third_octet + px.VILLAGE_ROLES.index(name)
        reserved = space.lan(s, t)
    elif place.kind == "kecamatan":
        t, reserved = role, space.lan(s, role)
    else:
        t, reserved = 16 * role, space.reservation(s, 16 * role, 20)
    entry = (place.data.networks or {}).get(name)
    return Network(
        name, role, px.vlan(role), space.lan(s, t), s, t,
        description=entry.description if entry else None,
        dhcp=entry.dhcp if entry else True,
        reserved=reserved,
    )  # fmt: skip


def _gateway(
    district: District,
    place: Place,
    entry: GatewayEntry,
    networks: Iterable[Network],
    ends: dict[str, list[Interface]],
    slots: dict[str, int],
) -> Host:
    space, name = district.space, f"{place.slug}-{entry.name}"
    profile = district.profile(entry.profile)
    member = entry.member or 1
    interfaces = [
        Interface(
            "lo0" if profile.platform == "freebsd" else "lo",
            "loopback",
            addresses=space.loopback(place.second_octet, place.third_octet + member),
        )
    ]
    for index, uplink in enumerate(place.data.uplinks):
        port = profile.uplink if index == 0 else uplink.port or ""
        interfaces.append(_uplink(district, name, entry, uplink, port))
    for network in networks:
        s, t = network.second_octet, network.third_octet
        interfaces.append(
            Interface(
                f"{profile.lan}.{network.vlan}" if profile.vlans else network.name,
                "lan",
                network=network.name,
                addresses=space.host(s, t, member),
                shared=space.host(s, t, 1) if entry.member else (),
                number=member,
                vlan=network.vlan if profile.vlans else None,
                legacy=served(place.data, network.name),
            )
        )
    interfaces += ends.get(name, ())
    if name in slots:
        interfaces.append(Interface(USERS_INTERFACE, "vpn", addresses=space.host(px.VPN_OCTET, slots[name], 1)))
    return Host(
        name, entry.name, place.slug, "gateway", profile.platform, tuple(interfaces), profile=profile,
        member=entry.member, hub_slot=slots.get(name), asset=entry.asset,
    )  # fmt: skip


def _uplink(district: District, gateway: str, entry: GatewayEntry, uplink: Uplink, port: str) -> Interface:
    own = uplink.gateways.get(entry.name) or (uplink.address if entry.member is None else None)
    static = tuple(a for a in (own, uplink.address6) if a)
    shared = (uplink.address,) if uplink.address and entry.member else ()
    lab = district.lab.internet if district.lab else None
    if lab is not None:
        # every uplink is plugged into the lab's internet; who has no static address gets one there
        number = next((h.number for h in district.lab.hosts if h.host == gateway), 0) if district.lab else 0
        wire, wire6 = ipaddress.IPv4Network(lab.prefix), ipaddress.IPv6Network(lab.prefix6)
        v4 = own or f"{wire[100 + number]}/{wire.prefixlen}"
        static = (v4, f"{wire6[0] + int(v4.split('/')[0].rsplit('.', 1)[1], 16)}/{wire6.prefixlen}")
        uplink = uplink.model_copy(update={"router": str(wire[lab.host]), "router6": internet_address6(lab)})
    return Interface(
        port, "uplink", addresses=tuple(a.split("/")[0] for a in static),
        shared=tuple(a.split("/")[0] for a in shared), uplink=uplink, static=static,
    )  # fmt: skip


def internet_address6(lab: LabInternet) -> str:
    """Return the IPv6 address of the lab's internet host: its number's digits in the prefix."""
    return str(ipaddress.IPv6Network(lab.prefix6)[0] + int(str(lab.host), 16))


def _internet(district: District) -> Host | None:
    """Return the lab's internet host; it belongs to the first hub's site for want of one of its own."""
    lab = district.lab.internet if district.lab else None
    hubs = sorted(district.facts.hubs, key=lambda h: h.slot)
    if lab is None or not hubs:
        return None
    wire = ipaddress.IPv4Network(lab.prefix)
    v4, v6 = str(wire[lab.host]), internet_address6(lab)
    static = (f"{v4}/{wire.prefixlen}", f"{v6}/{ipaddress.IPv6Network(lab.prefix6).prefixlen}")
    site = next(p.slug for p in district.places.values() for g in _gateway_names(p) if g == hubs[0].gateway)
    interface = Interface("eth0", "uplink", addresses=(v4, v6), static=static)
    return Host("internet", "internet", site, "internet", "debian", (interface,), description="the lab's internet")


def _host(place: Place, entry: HostEntry, networks: dict[str, Network], space: px.Space) -> Host:
    interfaces = []
    for network_name, port in sorted(entry.interfaces.items(), key=lambda i: networks[i[0]].role):
        network = networks[network_name]
        default = f"vlan{network.vlan}" if entry.kind == "switch" else _NIC.get(entry.kind, "eth0")
        interfaces.append(
            Interface(
                port.name or default, "host", network=network_name,
                addresses=space.host(network.second_octet, network.third_octet, port.number),
                number=port.number, mac=port.mac,
            )
        )  # fmt: skip
    platform = entry.platform or _PLATFORM.get(entry.kind, "appliance")
    return Host(
        f"{place.slug}-{entry.name}", entry.name, place.slug, entry.kind, platform, tuple(interfaces),
        on=entry.on, description=entry.description, memory_gb=entry.memory_gb, asset=entry.asset,
        device_profile=entry.profile,
    )  # fmt: skip


def _application_guests(district: District, place: Place, networks: dict[str, Network]) -> list[Host]:
    apps = district.apps
    if apps is None or place.slug not in apps.sites:
        return []
    network = networks[apps.network]
    guests = []
    for app in apps.applications:
        addresses = district.space.host(network.second_octet, network.third_octet, app.number)
        interface = Interface("ens192", "host", network=network.name, addresses=addresses, number=app.number)
        guests.append(
            Host(
                f"{place.slug}-app-{app.slug}", f"app-{app.slug}", place.slug, "guest", "debian", (interface,),
                application=app.slug, description=app.name,
            )
        )  # fmt: skip
    return guests


def _lab_clients(district: District, place: Place, networks: dict[str, Network]) -> list[Host]:
    clients = []
    for client in district.lab.clients if district.lab else ():
        if client.site != place.slug:
            continue
        network = networks[client.network]
        addresses = district.space.host(network.second_octet, network.third_octet, client.host)
        interface = Interface("eth0", "host", network=network.name, addresses=addresses, number=client.host)
        clients.append(
            Host(f"{place.slug}-{client.name}", client.name, place.slug, "pc", "debian", (interface,),
                 description="lab client")
        )  # fmt: skip
    return clients


def _links(district: District, gateways: dict[str, tuple[str, ...]], slots: dict[str, int]) -> Iterator[Link]:
    for entry in district.backbone.links:
        number = district.links[entry.name]
        # the site with the lower number has the even address, however the file orders the ends
        sites = sorted(entry.ends, key=lambda s: (district.places[s].second_octet, district.places[s].third_octet))
        ends = tuple(
            LinkEnd(
                gateways[site][0], site, _radio_port(district, site, number),
                district.space.link_end(number, index),
            )
            for index, site in enumerate(sites)
        )  # fmt: skip
        yield Link(entry.name, entry.kind, number, (ends[0], ends[1]), district.space.link(number), radio=entry)
    hub_site = {name: site for site, names in gateways.items() for name in names if name in slots}
    for place in district.places.values():
        first = gateways[place.slug][0]
        for hub, site in hub_site.items():
            if site == place.slug:
                continue
            if hub == gateways[site][0] and slots.get(first, slots[hub]) < slots[hub]:
                continue  # the same two gateways have a tunnel already: `hub`'s site counts it by the lower slot
            yield _tunnel(district, place, first, hub, site, slots[hub])


def _tunnel(district: District, place: Place, gateway: str, hub: str, hub_site: str, slot: int) -> Link:
    number = px.tunnel_number(place.second_octet, place.village, slot)
    identity = px.identity(place.second_octet, place.village)
    near = LinkEnd(gateway, place.slug, f"wg{slot}", district.space.link_end(number, 0))
    far = LinkEnd(hub, hub_site, f"wg{identity}", district.space.link_end(number, 1))
    return Link(f"{place.slug}--{hub}", "tunnel", number, (near, far), district.space.link(number), slot=slot)


def _radio_port(district: District, site: str, number: int) -> str:
    profile = district.profile(district.places[site].data.gateways[0].profile)
    if profile.vlans and profile.radio:
        return f"{profile.radio}.{RADIO_VLAN_BASE + number}"
    return f"{profile.radio or 'radio'}{number}"


def sliced(plan: Plan) -> Plan:
    """Return the part of a plan that its lab boots; the plan itself when there is no lab.

    Addresses are those of the whole plan. Links need both ends; interfaces whose link is cut
    off go with it.
    """
    lab = plan.district.lab
    if lab is None:
        return plan
    names = {line.host for line in lab.hosts} | {f"{c.site}-{c.name}" for c in lab.clients}
    names |= {"internet"} if lab.internet else set()
    links = {n: x for n, x in plan.links.items() if x.ends[0].host in names and x.ends[1].host in names}
    hosts: dict[str, Host] = {}
    for name in plan.hosts:
        if name in names:
            host = plan.hosts[name]
            kept = tuple(i for i in host.interfaces if i.link is None or i.link in links)
            hosts[name] = replace(host, interfaces=kept)
    sites = {}
    for slug, site in plan.sites.items():
        chosen = tuple(hosts[h.name] for h in site.hosts if h.name in hosts)
        if chosen:
            sites[slug] = replace(site, hosts=chosen)
    return Plan(plan.district, sites, hosts, links, plan.backbone, plan.vpn_users)
