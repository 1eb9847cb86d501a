"""The policy as one gateway sees it: zones with their interfaces, and who may talk to whom.

Engine-neutral: topology.render.pf and topology.render.nftables make their rules from a `Box`.

Zones of a site's own networks are stated in policy.yml. The others are always there:

=========  ===========================================================================
gateway    the gateway itself
intranet   the whole district behind radios and tunnels (hub, vpn and admin included)
hub        the data centre and the DR sites
vpn        users with a VPN of their own, at every hub
admin      where administrators come from
internet   everything else: IPv4 through the site's own uplink, IPv6 through the hubs
=========  ===========================================================================

A flow is a permission to open a connection; answers come back by state. What no flow permits
is dropped. Permissions add up: what the intranet may, a hub, a VPN user and an administrator may.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from topology import prefix as px
from topology.allocate import Host, Interface, Link, Plan
from topology.schema import PolicyFile

GATEWAY, INTRANET, HUB, VPN, ADMIN, INTERNET = "gateway", "intranet", "hub", "vpn", "admin", "internet"
BUILT_IN = (GATEWAY, INTRANET, HUB, VPN, ADMIN, INTERNET)
LINK_KINDS = ("radio", "leased", "tunnel", "vpn")
"""Kinds of interface behind which the intranet is."""
ANY = "any"

BGP_PORT = 179
BFD_PORT = 3784
"""UDP port of BFD over one hop (RFC 5881, 4); nobody here speaks it over several."""
TUNNEL_PORT = 51820
"""UDP port of a site's tunnel to the hub in slot s is this + s; of a hub's VPN users it is this."""
HUB_PORT_BASE = 40000
"""UDP port of a hub for a site's tunnel: this + 32 S + v, the number in the interface's name."""
SYNC_PORT = 3780
"""UDP port between the members of a pair (conntrackd)."""


@dataclass(frozen=True, slots=True)
class Port:
    """A service's port or range; of `ping` the protocol is `icmp` and both are 0."""

    protocol: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a zone is on a gateway: behind these interfaces, with these addresses."""

    interfaces: tuple[str, ...]
    prefixes: tuple[str, ...]
    """Both families; empty: whatever is not the district's (the internet)."""
    families: tuple[int, ...] = (4, 6)

    def of(self, family: int) -> tuple[str, ...]:
        """Return the prefixes of a family (4 or 6)."""
        return tuple(p for p in self.prefixes if (":" in p) == (family == 6))


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone as a gateway sees it; of the gateway itself there is no attachment."""

    name: str
    kind: str
    """local, or its own name where it is built in."""
    attachments: tuple[Attachment, ...]
    isolated: bool = False
    limit_mbps: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Connections from a zone to a zone that pass, of one service, in these families."""

    source: str
    target: str
    service: str
    ports: tuple[Port, ...]
    """Empty: any protocol and port."""
    families: tuple[int, ...]
    label: str
    why: str


@dataclass(frozen=True, slots=True)
class Peer:
    """A neighbour over a link: the interface, and both ends' addresses (IPv4, ULA, GUA)."""

    interface: str
    kind: str
    own: tuple[str, ...]
    far: tuple[str, ...]
    host: str
    site: str


@dataclass(frozen=True, slots=True)
class Mate:
    """The other member of a pair, over the network they keep in step on."""

    host: str
    interface: str
    own: tuple[str, ...]
    far: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listen:
    """A WireGuard port: from `sources` only, or from anywhere when there are none (a hub)."""

    port: int
    last: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Publish:
    """A port of a host that the internet may open: IPv4 by redirection, IPv6 by its own address."""

    host: str
    port: Port
    uplink: str
    zone: str
    interface: str
    address4: str
    address6: str | None
    label: str
    why: str


@dataclass(frozen=True, slots=True)
class Box:
    """All a filter needs to know of one gateway."""

    host: Host
    zones: dict[str, Zone]
    """Those that exist at this gateway, in policy.yml's order, then the built-in ones."""
    rules: tuple[Rule, ...]
    uplinks: tuple[Interface, ...]
    lans: tuple[Interface, ...]
    links: tuple[str, ...]
    """Interfaces behind which the intranet is."""
    peers: tuple[Peer, ...]
    mate: Mate | None
    listens: tuple[Listen, ...]
    published: tuple[Publish, ...]
    aggregates: tuple[str, ...]
    """The district's own prefixes."""
    own: tuple[str, ...]
    """This site's prefixes."""
    management: tuple[str, str] | None
    """A lab's out-of-band interface and the controller's address on it."""
    hub: bool
    v6: bool
    """False while the site is ipv4-only: IPv6 is then dropped altogether."""

    @property
    def tunnel_ports(self) -> tuple[tuple[int, int], ...]:
        """WireGuard's own UDP ports, each (first, last), in order, neighbours as one."""
        found: list[tuple[int, int]] = []
        for first, last in sorted((listen.port, listen.last) for listen in self.listens):
            if found and first <= found[-1][1] + 1:
                found[-1] = found[-1][0], max(last, found[-1][1])
            else:
                found.append((first, last))
        return tuple(found)

    def between(self, source: str, target: str) -> tuple[Rule, ...]:
        """Return the rules from one zone to another."""
        return tuple(r for r in self.rules if r.source == source and r.target == target)


def ports_of(policy: PolicyFile, service: str) -> tuple[Port, ...]:
    """Return a service's ports, () for `any`; KeyError when policy.yml does not state it."""
    return () if service == ANY else tuple(port(text) for text in policy.services[service])


def span(first: int, last: int) -> str:
    """Return ports as policy.yml, nft, sysctl and unbound write them: `51820` or `40032-44160`."""
    return str(first) if first == last else f"{first}-{last}"


def port(text: str) -> Port:
    """Return the port that `443/tcp`, `16384-32767/udp` or `ping` stands for."""
    if text == "ping":
        return Port("icmp", 0, 0)
    number, protocol = text.split("/")
    low, _, high = number.partition("-")
    return Port(protocol, int(low), int(high or low))


def box(plan: Plan, host: Host) -> Box:
    """Return a gateway's part of the policy; ValueError when the host is no gateway."""
    if host.kind != "gateway":
        raise ValueError(f"{host.name} is no gateway")
    policy, site = plan.district.policy, plan.sites[host.site]
    v6 = site.place.data.migration != "ipv4-only"
    links = tuple(i.name for i in host.of_kind(*LINK_KINDS))
    uplinks, lans = tuple(host.of_kind("uplink")), tuple(host.of_kind("lan"))
    zones = {zone.name: zone for zone in _zones(plan, host, links, uplinks, lans)}
    kind, hub = site.place.kind, host.hub_slot is not None
    rules = _remembered(policy, zones, kind, v6)
    return Box(
        host=host, zones=zones, rules=rules, uplinks=uplinks, lans=lans, links=links,
        peers=tuple(_peers(plan, host)), mate=mate_of(plan, host), listens=tuple(_listens(plan, host)),
        published=tuple(_published(plan, host, zones, uplinks)), aggregates=plan.district.space.aggregates,
        own=site.prefixes, management=_management(plan), hub=hub, v6=v6,
    )  # fmt: skip


def _zones(
    plan: Plan, host: Host, links: tuple[str, ...], uplinks: tuple[Interface, ...], lans: tuple[Interface, ...]
) -> Iterator[Zone]:
    site, space = plan.sites[host.site], plan.district.space
    for name, entry in plan.district.policy.zones.items():
        attached = tuple(
            Attachment((i.name,), (*site.network(i.network).prefixes, *(p.prefix for p in i.legacy)))
            for i in lans
            if i.network in entry.networks
        )
        if attached:
            yield Zone(name, "local", attached, entry.isolated, entry.limit_mbps)
    yield Zone(GATEWAY, GATEWAY, ())
    if links:
        yield Zone(INTRANET, INTRANET, (Attachment(links, space.aggregates),))
        if hubs := hub_prefixes(plan, host.site):
            yield Zone(HUB, HUB, (Attachment(links, hubs),))
        if plan.district.facts.hubs:
            yield Zone(VPN, VPN, (Attachment(links, space.reservation(px.VPN_OCTET, 0, 16)),))
    if admins := tuple(_admins(plan, host, links)):
        yield Zone(ADMIN, ADMIN, admins)
    ways = [Attachment(tuple(i.name for i in uplinks), (), (4, 6) if host.hub_slot or not links else (4,))]
    if links and host.hub_slot is None:
        ways.append(Attachment(links, (), (6,)))
    yield Zone(INTERNET, INTERNET, tuple(w for w in ways if w.interfaces))


def hub_prefixes(plan: Plan, site: str) -> tuple[str, ...]:
    """Return the prefixes and gateway loopbacks of the data centre and DR sites other than `site`."""
    space = plan.district.space
    found: list[str] = []
    for place in plan.centres:
        if place.slug == site:
            continue
        found += space.reservation(place.second_octet, place.third_octet, place.length)
        for entry in place.data.gateways:
            loopback = space.loopback(place.second_octet, place.third_octet + (entry.member or 1))
            found += [f"{a}/{128 if ':' in a else 32}" for a in loopback]
    return tuple(found)


def admin_prefixes(plan: Plan) -> tuple[str, ...]:
    """Return where administrators come from: networks, and VPN users' addresses at every hub."""
    policy, space = plan.district.policy, plan.district.space
    found: list[str] = []
    for name in policy.admins.networks:
        found += _network_prefixes(plan, name)
    for user in plan.vpn_users:
        if user.name in policy.admins.vpn_users:
            for slot in user.addresses:
                found += [f"{a}/{128 if ':' in a else 32}" for a in space.host(px.VPN_OCTET, slot, user.number)]
    return tuple(found)


def _network_prefixes(plan: Plan, name: str) -> tuple[str, ...]:
    """Return the prefixes of `site.network`, also where a lab leaves the site out."""
    site, _, network = name.partition(".")
    place = plan.district.places[site]
    role = plan.district.networks(place)[network]
    if place.kind == "desa":
        third = place.third_octet + px.VILLAGE_ROLES.index(network)
    else:
        third = role if place.kind == "kecamatan" else 16 * role
    return plan.district.space.lan(place.second_octet, third)


def _admins(plan: Plan, host: Host, links: tuple[str, ...]) -> Iterator[Attachment]:
    here = [n.partition(".")[2] for n in plan.district.policy.admins.networks if n.partition(".")[0] == host.site]
    for interface in host.of_kind("lan"):
        if interface.network in here:
            yield Attachment((interface.name,), plan.sites[host.site].network(interface.network or "").prefixes)
    local = {p for name in here for p in _network_prefixes(plan, f"{host.site}.{name}")}
    remote = tuple(p for p in admin_prefixes(plan) if p not in local)
    if links and remote:
        yield Attachment(links, remote)


_seen: dict[object, tuple[PolicyFile, tuple[Rule, ...]]] = {}
"""Rules by policy, kind of site, family and zones: the same for most gateways of a district."""


def _remembered(policy: PolicyFile, zones: dict[str, Zone], kind: str, v6: bool) -> tuple[Rule, ...]:
    key = (id(policy), kind, v6, tuple((z.name, z.isolated) for z in zones.values()))
    known = _seen.get(key)
    if known is None or known[0] is not policy:
        if len(_seen) > 200:
            _seen.clear()
        known = _seen[key] = (policy, tuple(_rules(policy, zones, kind, v6)))
    return known[1]


def _rules(policy: PolicyFile, zones: dict[str, Zone], kind: str, v6: bool) -> Iterator[Rule]:
    seen: dict[str, set[int]] = {}
    for flow in policy.flows:
        if flow.at is not None and kind not in flow.at:
            continue
        families = [f for f, n in ((4, "ipv4"), (6, "ipv6")) if n in flow.families and (v6 or f == 4)]
        for source, target in product(flow.sources, flow.targets):
            if source not in zones or target not in zones or not _permitted(zones, source, target):
                continue
            for service in flow.services:
                label = f"{source}-{target}-{service}"
                known = seen.setdefault(label, set())
                new = tuple(f for f in families if f not in known)
                known.update(new)
                if new:
                    yield Rule(source, target, service, ports_of(policy, service), new, label, flow.why)


def _permitted(zones: dict[str, Zone], source: str, target: str) -> bool:
    """Say whether isolation lets a flow stand: an isolated zone opens to the internet and its gateway."""
    if zones[target].isolated:
        return False
    return not zones[source].isolated or target in (GATEWAY, INTERNET)


def _peers(plan: Plan, host: Host) -> Iterator[Peer]:
    for link in plan.links_of(host.name):
        near, far = link.end_of(host.name), link.far_end(host.name)
        yield Peer(near.interface, link.kind, near.addresses, far.addresses, far.host, far.site)


def mate_network(plan: Plan, site: str) -> str:
    """Return the network on which a pair keeps in step: mgmt, or the site's first."""
    names = [n.name for n in plan.sites[site].networks]
    return "mgmt" if "mgmt" in names else names[0]


def mate_of(plan: Plan, host: Host) -> Mate | None:
    """Return the other member of a gateway's pair; None when it is alone (or its mate is not in the plan)."""
    other = next((g for g in plan.gateways(host.site) if g.name != host.name), None)
    if host.member is None or other is None:
        return None
    name = mate_network(plan, host.site)
    own = next(i for i in host.of_kind("lan") if i.network == name)
    far = next(i for i in other.of_kind("lan") if i.network == name)
    return Mate(other.name, own.name, own.addresses, far.addresses)


def tunnel_ports(link: Link) -> tuple[int, int]:
    """Return the UDP ports of a tunnel: at the site's end and at the hub's."""
    return TUNNEL_PORT + (link.slot or 0), HUB_PORT_BASE + int(link.ends[1].interface.removeprefix("wg"))


def endpoint(plan: Plan, hub: str) -> str | None:
    """Return the IPv4 address at which a hub's gateway is reached from the internet; None without one."""
    host = plan.hosts.get(hub)
    uplink = next(host.of_kind("uplink"), None) if host else None
    return uplink.static[0].split("/")[0] if uplink and uplink.static else None


def _listens(plan: Plan, host: Host) -> Iterator[Listen]:
    hub_ports = []
    for link in plan.links_of(host.name):
        if link.kind != "tunnel":
            continue
        near, far = tunnel_ports(link)
        if link.ends[0].host == host.name:
            where = endpoint(plan, link.ends[1].host)
            if where is not None:
                yield Listen(near, near, (where,))
        else:
            hub_ports.append(far)
    if hub_ports:
        yield Listen(min(hub_ports), max(hub_ports), ())
    if host.hub_slot is not None:
        yield Listen(TUNNEL_PORT, TUNNEL_PORT, ())


def _published(plan: Plan, host: Host, zones: dict[str, Zone], uplinks: tuple[Interface, ...]) -> Iterator[Publish]:
    for entry in plan.district.policy.published:
        target = plan.hosts.get(entry.host)
        if target is None or target.site != host.site or not uplinks:
            continue
        place = next(target.of_kind("host"))
        lan = next(i for i in host.of_kind("lan") if i.network == place.network)
        zone = next((z.name for z in zones.values() if any(lan.name in a.interfaces for a in z.attachments)), None)
        if zone is None:
            continue
        gua = place.addresses[2] if len(place.addresses) > 2 else None
        for service in entry.services:
            for one in ports_of(plan.district.policy, service):
                yield Publish(
                    entry.host, one, uplinks[0].name, zone, lan.name, place.addresses[0], gua,
                    f"internet-{zone}-{service}", entry.why,
                )  # fmt: skip


def _management(plan: Plan) -> tuple[str, str] | None:
    lab = plan.district.lab
    if lab is None:
        return None
    from topology.lab.names import MANAGEMENT_INTERFACE

    return MANAGEMENT_INTERFACE, f"{lab.management.rsplit('.', 1)[0]}.1"
