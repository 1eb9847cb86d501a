"""Who talks BGP to whom, what is preferred, and what each session accepts and announces.

Every site is a private AS by its permanent number. A gateway has one session per family over
every link. Up (to a hub, or to the parent in the radio tree) goes what the site and the sites
below it own; down comes the whole district as aggregates, and the IPv6 default route. So a
site that lies can only harm itself and what is below it, and an office's table stays small
however many sites there are. Hubs tell each other everything inside the aggregates.

Preference (the larger wins) is the same in both directions, so that filters with state see
both halves of a connection: a site goes by radio while its parent knows the district, and a
hub reaches a site in the tree through whichever of its ancestors is nearest to the root.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from topology import prefix as px
from topology.allocate import Host, Link, Plan
from topology.district import Place
from topology.policy import mate_of

FIRST_AS = 4_200_000_000
"""First private 32-bit AS number (RFC 6996)."""
DEFAULT6 = "::/0"
_LINES, _LEGACY = 100, 20
"""Numbers of lines that a site has in a prefix list, and from which of them its legacy prefixes."""

RADIO = 300
"""Local preference of a site's way up over a radio or leased link."""
SLOTS = {1: 200, 2: 190, 3: 100}
"""Of a site's tunnel to the hub in a slot."""
ACROSS = 250
"""Of a link between two sites neither of which is above the other."""
LEASED_SITE, SITE, DEEPEST = 110, 100, 9
"""At a hub, of a site by a link that is no tunnel, and by its tunnel; less one per step below the root."""
HUB_LINK, HUB_TUNNEL = 85, 80
"""At a hub, of what another hub knows, by a link that is no tunnel and by tunnel."""

HUB, PARENT, CHILD, LATERAL, MEMBER, HUBS, MATE = "hub", "parent", "child", "across", "site", "hubs", "mate"
"""What the far end is: to a site a hub, its parent, a child or neither; to a hub a site or a hub; the pair's other."""
OWNED, DISTRICT, DOWN, INSIDE, PAIR = "owned", "district", "down", "inside", "pair"
"""What is announced: the site's own and what is below it; the aggregates and the hubs' loopbacks; the aggregates and
the hub's own; all inside the aggregates; both."""
LINKS, DEFAULT, GLOBAL = "links", "default", "global"
"""Prefix lists of a gateway's own use: the links' prefixes, the IPv6 default, what is reached from the GUA."""
PER_SITE = "site-"
"""Prefix list of what a site and those below it own: this and the site's name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a prefix list; `number` follows from permanent numbers, so it never moves."""

    number: int
    prefix: str
    longest: int | None = None
    """More specific prefixes up to this length match as well; None: this prefix only."""
    shortest: int | None = None
    """Only prefixes at least this long match."""

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.prefix else 4


@dataclass(frozen=True, slots=True)
class Session:
    """A BGP session of one family over one link; between the members of a pair iBGP."""

    family: int
    interface: str
    local: str
    remote: str
    remote_as: int
    host: str
    site: str
    kind: str
    """radio, leased, tunnel, or lan between the members of a pair."""
    role: str
    preference: int | None
    """Local preference of what it brings; None keeps the sender's (iBGP)."""
    accepts: str
    """A list of `Speaker.lists`, or `site-<slug>`: what that site and those below it own."""
    announces: str


@dataclass(frozen=True, slots=True)
class Speaker:
    """A gateway's part in the routing."""

    autonomous_system: int
    router_id: str
    sessions: tuple[Session, ...]
    originates: tuple[str, ...]
    """Prefixes it announces as its own while it has a route to them."""
    protected: tuple[str, ...]
    """Prefixes that never follow the default route to a provider, and its own that are not in use."""
    lists: dict[str, tuple[Entry, ...]]
    """Prefix lists by name."""
    sources: tuple[str, ...]
    """Its loopback addresses (IPv4, ULA, GUA): the source of its own traffic."""
    hub: bool
    families: tuple[int, ...]

    def accepted(self, session: Session) -> tuple[Entry, ...]:
        """Return what a session accepts."""
        return tuple(e for e in self.lists[session.accepts] if e.family == session.family)

    def announced(self, session: Session) -> tuple[Entry, ...]:
        """Return what a session may announce."""
        return tuple(e for e in self.lists[session.announces] if e.family == session.family)


def autonomous_system(place: Place) -> int:
    """Return a site's private AS number: 4200000000 + 32 S + v (v: 0, or a village's number + 1)."""
    return FIRST_AS + _identity(place)


def _identity(place: Place) -> int:
    return px.identity(place.second_octet, place.village)


def space_of_site(plan: Plan, place: Place) -> tuple[str, ...]:
    """Return the prefixes (IPv4, ULA, GUA) that a site's gateway answers for.

    A kecamatan's is its first /20 (and /60s): the rest of its number is its villages', which
    have gateways and tunnels of their own.
    """
    length = 20 if place.kind == "kecamatan" else place.length
    return plan.district.space.reservation(place.second_octet, place.third_octet, length)


def legacy_of(place: Place) -> tuple[str, ...]:
    """Return a site's prefixes from before the plan that are routed."""
    return tuple(p.prefix for p in place.data.legacy_prefixes if p.routed)


class Routing:
    """What the gateways of one plan have in common, worked out once."""

    def __init__(self, plan: Plan) -> None:
        """Index a plan's links by their gateways."""
        self.plan = plan
        self.links: dict[str, list[Link]] = {}
        for link in plan.links.values():
            for end in link.ends:
                self.links.setdefault(end.host, []).append(link)
        self._owned: dict[str, tuple[Entry, ...]] = {}
        self._lists: dict[str, tuple[Entry, ...]] = {}

    @cached_property
    def legacy(self) -> tuple[Entry, ...]:
        """Prefixes from before the plan that are routed, of all sites."""
        return tuple(
            Entry(_LINES * _identity(place) + _LEGACY + index, prefix)
            for place in self.plan.district.places.values()
            for index, prefix in enumerate(legacy_of(place))
        )

    @cached_property
    def common(self) -> tuple[Entry, ...]:
        """The aggregates, the IPv6 default and routed legacy prefixes."""
        found = [Entry(5 + 5 * n, p) for n, p in enumerate(self.plan.district.space.aggregates)]
        return (*found, Entry(100, DEFAULT6), *self.legacy)

    @cached_property
    def district(self) -> tuple[Entry, ...]:
        """What comes down to a site: what is common, and the hubs' loopbacks, each from its own hub.

        So a site reaches both members of a pair by tunnels of its own: over the LAN between them
        the filter lets nothing of others pass.
        """
        return (*self.common, *(e for hub in self.plan.hubs for e in self.loopback(hub)))

    def loopback(self, hub: Host) -> tuple[Entry, ...]:
        """Return a hub's loopbacks as lines of a list, numbered by its slot."""
        first = 200 + 10 * (hub.hub_slot or 0)
        return tuple(Entry(first + n, p) for n, p in enumerate(_hosts(next(hub.of_kind("loopback")).addresses)))

    @cached_property
    def inside(self) -> tuple[Entry, ...]:
        """All inside the aggregates but not these themselves: what hubs tell each other."""
        found = [
            Entry(5 + 5 * n, p, longest=_host_length(p), shortest=_length(p) + 1)
            for n, p in enumerate(self.plan.district.space.aggregates)
        ]
        return (*found, Entry(100, DEFAULT6), *self.legacy)

    @cached_property
    def pair(self) -> tuple[Entry, ...]:
        """The aggregates and all inside them: what the members of a pair tell each other."""
        found = [
            Entry(5 + 5 * n, p, longest=_host_length(p)) for n, p in enumerate(self.plan.district.space.aggregates)
        ]
        return (*found, Entry(100, DEFAULT6), *self.legacy)

    @cached_property
    def link_space(self) -> tuple[Entry, ...]:
        """All links and tunnels: hubs tell each other where they are."""
        found = self.plan.district.space.reservation(px.LINK_OCTET, 0, 16)
        return tuple(Entry(5 + 5 * n, p, longest=_host_length(p) - 1, shortest=_length(p)) for n, p in enumerate(found))

    @cached_property
    def global_space(self) -> tuple[Entry, ...]:
        """The district's GUA prefix and the IPv6 default."""
        gua = self.plan.district.space.aggregates[2:]
        return (*(Entry(5, p, longest=128) for p in gua), Entry(100, DEFAULT6))

    def owned(self, slug: str) -> tuple[Entry, ...]:
        """Return what a site owns: its prefixes, loopbacks, and the link to its parent in the tree."""
        if slug not in self._owned:
            place, space = self.plan.district.places[slug], self.plan.district.space
            first = _LINES * _identity(place)
            found = dict(enumerate(space_of_site(self.plan, place), first))
            for gateway in place.data.gateways:
                member = gateway.member or 1
                loopback = _hosts(space.loopback(place.second_octet, place.third_octet + member))
                found.update(enumerate(loopback, first + 3 * member))
            radio = self.plan.backbone.uplink.get(slug)
            if radio is not None:
                found.update(enumerate(space.link(self.plan.district.links[radio.name]), first + _LEGACY - 3))
            found.update(enumerate(legacy_of(place), first + _LEGACY))
            self._owned[slug] = tuple(Entry(number, prefix) for number, prefix in found.items())
        return self._owned[slug]

    def below(self, slug: str) -> tuple[Entry, ...]:
        """Return what a site and its descendants in the radio tree own, in order of their numbers."""
        if slug not in self._lists:
            found = [e for s in (slug, *self.plan.backbone.below(slug)) for e in self.owned(s)]
            self._lists[slug] = tuple(sorted(found, key=lambda e: e.number))
        return self._lists[slug]

    def speaker(self, host: Host) -> Speaker:
        """Return a gateway's part in the routing; ValueError when the host is no gateway."""
        if host.kind != "gateway":
            raise ValueError(f"{host.name} is no gateway")
        plan, place, space = self.plan, self.plan.sites[host.site].place, self.plan.district.space
        families = (4,) if place.data.migration == "ipv4-only" else (4, 6)
        hub = host.hub_slot is not None
        sessions = [s for s in (*self._link_sessions(host), *self._mate_sessions(host)) if s.family in families]
        lists: dict[str, tuple[Entry, ...]] = {OWNED: self.below(host.site)}
        for session in sessions:
            for name in (session.accepts, session.announces):
                if name == DOWN:
                    lists[name] = (*self.common, *self.loopback(host))
                elif name not in lists:
                    lists[name] = self._list(name)
        if hub:
            lists[LINKS] = self.link_space
        if hub and 6 in families:
            lists[DEFAULT] = (Entry(100, DEFAULT6),)
        if space.gua is not None and 6 in families:
            lists[GLOBAL] = self.global_space
        loopback = next(host.of_kind("loopback")).addresses
        own = [*space_of_site(plan, place), *legacy_of(place)]
        radio = plan.backbone.uplink.get(host.site)
        if radio is not None and any(link.name == radio.name for link in self.links.get(host.name, ())):
            links = space.link(plan.district.links[radio.name])
        else:
            links = ()
        first = self.originates_aggregates(host)
        originates = [*(space.aggregates if first else ()), *own, *_hosts(loopback), *links]
        if host.hub_slot is not None:
            originates += space.vpn_users(host.hub_slot)
        protected = dict.fromkeys([*space.aggregates, *own, *(e.prefix for e in self.legacy)])
        return Speaker(
            autonomous_system(place), loopback[0], tuple(sessions),
            tuple(p for p in originates if _family(p) in families),
            tuple(p for p in protected if _family(p) in families), lists,
            tuple(a for a in loopback if _family(a) in families), hub, families,
        )  # fmt: skip

    def originates_aggregates(self, host: Host) -> bool:
        """Say whether a gateway speaks for the whole district: a hub, or the tree's root where there is no hub."""
        if self.plan.district.facts.hubs:
            return host.hub_slot is not None
        return host.site == self.plan.backbone.root

    def _list(self, name: str) -> tuple[Entry, ...]:
        shared = {DISTRICT: self.district, INSIDE: self.inside, PAIR: self.pair}
        return shared[name] if name in shared else self.below(name.removeprefix(PER_SITE))

    def _link_sessions(self, host: Host) -> Iterator[Session]:
        sites = self.plan.sites
        for link in self.links.get(host.name, ()):
            near, far = link.end_of(host.name), link.far_end(host.name)
            place = sites[far.site].place
            role, preference = self._role(host, link)
            accepts = {HUB: DISTRICT, PARENT: DISTRICT, HUBS: INSIDE}.get(role, f"{PER_SITE}{far.site}")
            announces = {MEMBER: DOWN, CHILD: DISTRICT, HUBS: INSIDE}.get(role, OWNED)
            for index in (0, 1):
                if index == 1 and place.data.migration == "ipv4-only":
                    continue
                yield Session(
                    4 + 2 * index, near.interface, near.addresses[index], far.addresses[index],
                    autonomous_system(place), far.host, far.site, link.kind, role, preference, accepts, announces,
                )  # fmt: skip

    def _role(self, host: Host, link: Link) -> tuple[str, int]:
        """Return what the far end of a link is to a gateway, and the preference of what it brings."""
        far = link.far_end(host.name)
        tunnel, tree = link.kind == "tunnel", self.plan.backbone
        far_hub = self.plan.hosts[far.host].hub_slot is not None
        if host.hub_slot is not None and far_hub:
            return HUBS, HUB_TUNNEL if tunnel else HUB_LINK
        if host.hub_slot is not None:
            depth = max(len(tree.path(far.site)) - 1, 0)
            return MEMBER, SITE - min(depth, DEEPEST) if tunnel else LEASED_SITE
        if far_hub:
            return HUB, SLOTS[link.slot or 0] if tunnel else RADIO
        if tree.parent.get(host.site) == far.site:
            return PARENT, RADIO if tree.uplink[host.site].name == link.name else ACROSS
        if tree.parent.get(far.site) == host.site:
            return CHILD, RADIO if tree.uplink[far.site].name == link.name else ACROSS
        return LATERAL, ACROSS

    def _mate_sessions(self, host: Host) -> Iterator[Session]:
        mate = mate_of(self.plan, host)
        if mate is None:
            return
        number = autonomous_system(self.plan.sites[host.site].place)
        for index in (0, 1):
            yield Session(
                4 + 2 * index, mate.interface, mate.own[index], mate.far[index], number, mate.host, host.site,
                "lan", MATE, None, PAIR, PAIR,
            )  # fmt: skip


_memo: list[Routing] = []


def routing_of(plan: Plan) -> Routing:
    """Return the routing of a plan; of the plan asked for last it is kept."""
    if not _memo or _memo[0].plan is not plan:
        _memo[:] = [Routing(plan)]
    return _memo[0]


def speaker(plan: Plan, host: Host) -> Speaker:
    """Return a gateway's part in the routing; ValueError when the host is no gateway."""
    return routing_of(plan).speaker(host)


def _hosts(addresses: tuple[str, ...]) -> list[str]:
    return [f"{a}/{128 if ':' in a else 32}" for a in addresses]


def _family(text: str) -> int:
    return 6 if ":" in text else 4


def _length(prefix: str) -> int:
    return int(prefix.split("/")[1])


def _host_length(prefix: str) -> int:
    return 128 if ":" in prefix else 32
