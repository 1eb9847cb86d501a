"""Bandwidth: what every site is guaranteed and may use at most on its way to a hub.

The model, all rates in Mbit/s:

- Every site sends to its hub, and is sent from there, as much as it gets.
- A site in the radio tree takes the radio links to the root, the root its leased link to a hub's
  site or else its provider's line; a site outside the tree its own leased link or line. The hub's
  own line carries everybody. A rate that nobody wrote down limits nothing.
- The master plan gives a radio link one figure, its *aggregate* throughput (6.4.2, Table 5): both
  directions together, as radios that take turns (TDD) have. Each direction gets half, so that both
  ends can shape without knowing of each other and the radio itself never queues. A leased link
  carries its figure each way.
- The guarantee is the max-min fair share (Bertsekas and Gallager, Data Networks, 6.5.2): nobody can
  be given more without taking from somebody who has no more. The ceiling is what a site gets alone.

Rates are those of the whole district, also in a lab that boots a slice of it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from topology.allocate import Host, Link, Plan
from topology.schema import RadioEntry

Direction = Literal["up", "down"]
Resource = tuple[str, str]
"""Something with a capacity: ("link", its name), ("line", a site) or ("hub", a hub's site: its line)."""

RADIO_PART = 0.5
"""Part of a radio link's throughput that each direction has."""


@dataclass(frozen=True, slots=True)
class Share:
    """A site's rates in Mbit/s towards the hub (up) and from it (down); None: nothing known limits it."""

    guaranteed_up: float | None
    guaranteed_down: float | None
    ceiling_up: float | None
    ceiling_down: float | None

    def guaranteed(self, direction: Direction) -> float | None:
        """Return the guarantee of a direction."""
        return self.guaranteed_up if direction == "up" else self.guaranteed_down

    def ceiling(self, direction: Direction) -> float | None:
        """Return the ceiling of a direction."""
        return self.ceiling_up if direction == "up" else self.ceiling_down


UNKNOWN = Share(None, None, None, None)


@dataclass(frozen=True, slots=True)
class LinkLoad:
    """A radio or leased link: what it carries each way, and the guarantees that pass through it."""

    capacity: float | None
    guaranteed_up: float
    guaranteed_down: float
    sites: int
    """Sites whose way to the hub goes through it."""


@dataclass(frozen=True, slots=True)
class Class:
    """A site's traffic that leaves a gateway through one of its link interfaces.

    Shaping what leaves at both ends of every link shapes both directions. `direction` is the
    site's: `down` leaves towards the site, `up` towards the hubs.
    """

    interface: str
    site: str
    guaranteed: float | None
    ceiling: float | None
    direction: Direction


@dataclass(frozen=True, slots=True)
class Way:
    """A site's way to a hub: links up the tree, then (unless the last link ends there) a site's line."""

    links: tuple[str, ...]
    """Radio and leased links, the nearest first."""
    exit: str | None
    """The site whose provider's line is used; None when the links lead to the hub's site."""
    hub: str | None
    """The hub's site; None in a district without hubs."""

    def resources(self) -> tuple[Resource, ...]:
        """Return what the way passes through."""
        found: list[Resource] = [("link", name) for name in self.links]
        if self.exit is not None:
            found.append(("line", self.exit))
            if self.hub is not None:
                found.append(("hub", self.hub))
        return tuple(found)


def water_fill(paths: Mapping[str, Sequence[Resource]], capacity: Mapping[Resource, float]) -> dict[str, float]:
    """Return the max-min fair rates of demands without bound; infinity where nothing limits.

    Progressive filling: all rates rise together; a resource that is full stops everybody in it.
    A heap holds the level at which each resource is full, O(total length of the paths x log).
    Resources without a capacity limit nothing.
    """
    users: dict[Resource, set[str]] = {}
    for name, path in paths.items():
        for resource in path:
            if resource in capacity:
                users.setdefault(resource, set()).add(name)
    left = {resource: capacity[resource] for resource in users}
    full_at = {resource: left[resource] / len(names) for resource, names in users.items()}
    heap = [(level, resource) for resource, level in full_at.items()]
    heapq.heapify(heap)
    rates: dict[str, float] = {}
    while heap:
        level, resource = heapq.heappop(heap)
        if level != full_at[resource] or not users[resource]:
            continue
        for name in sorted(users[resource]):
            rates[name] = level
            for other in paths[name]:
                if other in users and name in users[other]:
                    users[other].discard(name)
                    left[other] = max(0.0, left[other] - level)
                    if users[other]:
                        full_at[other] = left[other] / len(users[other])
                        heapq.heappush(heap, (full_at[other], other))
    return {name: rates.get(name, math.inf) for name in paths}


def link_capacity(link: RadioEntry) -> float | None:
    """Return what a link carries each way in Mbit/s, None when nobody wrote it down."""
    if link.throughput_mbps is None:
        return None
    return link.throughput_mbps * (RADIO_PART if link.kind == "radio" else 1.0)


def line(plan: Plan, site: str, direction: Direction) -> float | None:
    """Return the rate of a site's first provider's line as seen from the site, None when unknown."""
    lines = plan.district.places[site].data.uplinks
    if not lines:
        return None
    return lines[0].up_mbps if direction == "up" else lines[0].down_mbps


def hub_sites(plan: Plan) -> tuple[str, ...]:
    """Return the sites of the hubs in order of their slots, each once."""
    gateways = {f"{p.slug}-{g.name}": p.slug for p in plan.district.of_kind("dc", "drc") for g in p.data.gateways}
    slots = sorted(plan.district.facts.hubs, key=lambda hub: hub.slot)
    return tuple(dict.fromkeys(gateways[hub.gateway] for hub in slots))


def ways(plan: Plan, hub: str | None) -> dict[str, Way]:
    """Return every site's way to the hub's site `hub`, when nothing is broken."""
    leased = _leased(plan, hub)
    found = {}
    for site in plan.district.places:
        path = plan.backbone.path(site) or (site,)
        links = tuple(plan.backbone.uplink[s].name for s in path[:-1])
        found[site] = _leave(links, path[-1], hub, leased)
    return found


def _leave(links: tuple[str, ...], site: str, hub: str | None, leased: Mapping[str, str]) -> Way:
    if site in leased:
        return Way((*links, leased[site]), None, hub)
    return Way(links, None if site == hub else site, hub)


def _leased(plan: Plan, hub: str | None) -> dict[str, str]:
    """Return the site -> leased link to the hub's site, the first where it has several."""
    found: dict[str, str] = {}
    for link in plan.district.backbone.links:
        if link.kind == "leased" and hub in link.ends:
            far = link.ends[1] if link.ends[0] == hub else link.ends[0]
            found.setdefault(far, link.name)
    return found


def shares(plan: Plan, active: Collection[str] | None = None) -> dict[str, Share]:
    """Return every site's rates by slug, on its way to the first hub.

    With `active` only these sites demand anything: what two sites in contention get.
    """
    bandwidth = _of(plan)
    hub = bandwidth.hubs[0] if bandwidth.hubs else None
    if active is None:
        return bandwidth.shares(hub)
    return bandwidth.fill({site: way for site, way in bandwidth.ways(hub).items() if site in active})


def fill(plan: Plan, routes: Mapping[str, Way]) -> dict[str, Share]:
    """Return the rates of sites on these ways, all demanding at once (topology.impact)."""
    return _of(plan).fill(routes)


def link_loads(plan: Plan) -> dict[str, LinkLoad]:
    """Return the load of every link that is on a site's way to the first hub, by name."""
    bandwidth = _of(plan)
    hub = bandwidth.hubs[0] if bandwidth.hubs else None
    found = bandwidth.shares(hub)
    through: dict[str, list[Share]] = {}
    for site, way in bandwidth.ways(hub).items():
        for name in way.links:
            through.setdefault(name, []).append(found[site])
    return {
        link.name: LinkLoad(
            link_capacity(link),
            math.fsum(s.guaranteed_up or 0.0 for s in through[link.name]),
            math.fsum(s.guaranteed_down or 0.0 for s in through[link.name]),
            len(through[link.name]),
        )
        for link in plan.district.backbone.links
        if link.name in through
    }


def classes(plan: Plan, host: Host) -> tuple[Class, ...]:
    """Return the sites whose traffic leaves a gateway through each of its link interfaces.

    On a radio link towards a child: it and all below it, down. Towards the parent, and in the
    tunnels to the hubs: the gateway's own site and all below it, up. At a hub, in the tunnel or
    leased link to a site: that site and all below it, down. The tunnels of a site in the tree
    (the root's apart) are for when its radio link is lost; its rates there are those of its own
    line. Nothing is listed where no interface leads to or from a hub. In order of interfaces,
    then the gateway's own site, then nearest first.
    """
    return tuple(_classes(plan, host, _of(plan)))


def capacities(plan: Plan, host: Host) -> dict[str, float | None]:
    """Return what a gateway's radio, leased and tunnel interfaces may send in Mbit/s, None when unknown.

    A tunnel's is that of the site's line, towards the hub or from it. All of a gateway's tunnels
    share that line.
    """
    found: dict[str, float | None] = {}
    for link in _of(plan).links_of.get(host.name, ()):
        name = link.end_of(host.name).interface
        if link.kind == "tunnel":
            site = link.ends[0].site
            found[name] = line(plan, site, "up" if link.ends[0].host == host.name else "down")
        else:
            found[name] = link_capacity(link.radio) if link.radio else None
    return found


def _classes(plan: Plan, host: Host, bandwidth: _Bandwidth) -> Iterator[Class]:
    tree, hubs = plan.backbone, bandwidth.hubs
    for link in bandwidth.links_of.get(host.name, ()):
        near, far = link.end_of(host.name), link.far_end(host.name)
        if link.kind == "tunnel":
            up = link.ends[0].host == host.name
            below, hub = link.ends[0].site, link.ends[1].site
            rates = bandwidth.through_line(below, hub)
        elif link.kind == "leased":
            if (near.site in hubs) == (far.site in hubs):
                continue
            up = far.site in hubs
            below, hub = (near.site, far.site) if up else (far.site, near.site)
            rates = bandwidth.shares(hub)
        else:
            up = tree.parent.get(near.site) == far.site
            if not up and tree.parent.get(far.site) != near.site:
                continue
            below = near.site if up else far.site
            rates = bandwidth.shares(hubs[0] if hubs else None)
        direction: Direction = "up" if up else "down"
        for site in (below, *tree.below(below)):
            share = rates[site]
            yield Class(near.interface, site, share.guaranteed(direction), share.ceiling(direction), direction)


class _Bandwidth:
    """What is computed once of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.hubs = hub_sites(plan)
        self.links_of: dict[str, list[Link]] = {}
        for each in plan.links.values():
            for end in each.ends:
                self.links_of.setdefault(end.host, []).append(each)
        self._capacity: dict[Direction, dict[Resource, float]] = {"up": {}, "down": {}}
        for link in plan.district.backbone.links:
            rate = link_capacity(link)
            if rate is not None:
                self._capacity["up"]["link", link.name] = self._capacity["down"]["link", link.name] = rate
        for slug in plan.district.places:
            self._set("line", slug, line(plan, slug, "up"), line(plan, slug, "down"))
        for slug in self.hubs:  # what a site sends up, a hub receives
            self._set("hub", slug, line(plan, slug, "down"), line(plan, slug, "up"))
        self._shares: dict[str | None, dict[str, Share]] = {}
        self._ways: dict[str | None, dict[str, Way]] = {}
        self._line: dict[tuple[str, str], dict[str, Share]] = {}

    def _set(self, kind: str, slug: str, up: float | None, down: float | None) -> None:
        if up is not None:
            self._capacity["up"][kind, slug] = up
        if down is not None:
            self._capacity["down"][kind, slug] = down

    def ways(self, hub: str | None) -> dict[str, Way]:
        """Return every site's way to a hub's site."""
        if hub not in self._ways:
            self._ways[hub] = ways(self.plan, hub)
        return self._ways[hub]

    def shares(self, hub: str | None) -> dict[str, Share]:
        """Return every site's rates to a hub's site; that site has its own line's."""
        if hub not in self._shares:
            found = self.fill({site: way for site, way in self.ways(hub).items() if site != hub})
            if hub is not None:
                up, down = line(self.plan, hub, "up"), line(self.plan, hub, "down")
                found[hub] = Share(up, down, up, down)
            self._shares[hub] = found
        return self._shares[hub]

    def through_line(self, site: str, hub: str) -> dict[str, Share]:
        """Return the rates of a site and all below it when they leave through its line.

        Unknown where the line is unknown, unless it is their usual way.
        """
        if self.ways(hub)[site].exit == site:
            return self.shares(hub)
        if (site, hub) not in self._line:
            tree = self.plan.backbone
            routes = {site: Way((), site, hub)}
            for below in tree.below(site):
                hops = len(tree.path(below)) - len(tree.path(site))
                routes[below] = Way(tuple(tree.uplink[s].name for s in tree.path(below)[:hops]), site, hub)
            self._line[site, hub] = known(self.plan, routes, self.fill(routes))
        return self._line[site, hub]

    def fill(self, routes: Mapping[str, Way]) -> dict[str, Share]:
        """Return the rates of sites that all demand on these ways."""
        rates: dict[Direction, dict[str, tuple[float | None, float | None]]] = {}
        paths = {site: way.resources() for site, way in routes.items()}
        for direction, capacity in self._capacity.items():
            fair = water_fill(paths, capacity)
            rates[direction] = {
                site: (_finite(fair[site]), min((capacity[r] for r in path if r in capacity), default=None))
                for site, path in paths.items()
            }
        up, down = rates["up"], rates["down"]
        return {site: Share(up[site][0], down[site][0], up[site][1], down[site][1]) for site in routes}


def known(plan: Plan, routes: Mapping[str, Way], found: Mapping[str, Share]) -> dict[str, Share]:
    """Return rates without those of ways that leave through a line of unknown rate."""
    result = {}
    for site, share in found.items():
        exit_ = routes[site].exit
        up = exit_ is None or line(plan, exit_, "up") is not None
        down = exit_ is None or line(plan, exit_, "down") is not None
        result[site] = Share(
            share.guaranteed_up if up else None, share.guaranteed_down if down else None,
            share.ceiling_up if up else None, share.ceiling_down if down else None,
        )  # fmt: skip
    return result


def _finite(rate: float) -> float | None:
    return None if math.isinf(rate) else rate


class _Same:
    """A plan as a key: the same object, not an equal one (plans have no hash)."""

    __slots__ = ("plan",)

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __hash__(self) -> int:
        return id(self.plan)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.plan is self.plan


def _of(plan: Plan) -> _Bandwidth:
    return _computed(_Same(plan))


@lru_cache(maxsize=2)
def _computed(same: _Same) -> _Bandwidth:
    return _Bandwidth(same.plan)
