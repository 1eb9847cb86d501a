"""Static routes of a gateway, from the links it has.

The order of preference is the design's: radio, then the data centre's tunnels, then the DR
site's. A gateway sends the whole district towards its parent in the radio tree and towards
its hubs; a hub knows every site by its tunnel, and the sites of the radio tree also through
the tree's root. What no route covers stays inside: the district's prefixes end in an
unreachable route and never follow the default route to a provider.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from topology.allocate import Host, Link, Plan

RADIO, TREE, TUNNEL, LAST = 100, 150, 200, 9000
"""Metrics: over a radio, to a tree's site by way of its root, by tunnel (+ slot), unreachable."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route; without `via` the prefix is unreachable."""

    prefix: str
    via: str | None
    interface: str | None
    metric: int
    source: str | None = None
    """Address to send from: the gateway's loopback of the same family."""

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.prefix else 4


def routes(plan: Plan, host: Host) -> tuple[Route, ...]:
    """Return a gateway's routes, in order of interface, metric and prefix."""
    if host.kind != "gateway":
        return ()
    loopback = next(host.of_kind("loopback")).addresses
    found = list(_over_links(plan, host, loopback))
    found += [Route(prefix, None, None, LAST) for prefix in plan.district.space.aggregates]
    return tuple(sorted(found, key=lambda r: (r.interface or "~", r.metric, r.prefix)))


def _over_links(plan: Plan, host: Host, loopback: tuple[str, ...]) -> Iterator[Route]:
    tree = plan.backbone
    aggregates = plan.district.space.aggregates
    for link in plan.links_of(host.name):
        far = link.far_end(host.name).site
        if link.kind == "tunnel":
            if link.ends[0].host == host.name:
                yield from _through(link, host, aggregates, TUNNEL + (link.slot or 0), loopback)
            else:
                yield from _through(link, host, _prefixes(plan, far), TUNNEL, loopback)
                for site in tree.below(far) if far == tree.root else ():
                    yield from _through(link, host, _prefixes(plan, site), TREE, loopback)
        elif tree.parent.get(host.site) == far and tree.uplink[host.site].name == link.name:
            yield from _through(link, host, aggregates, RADIO, loopback)
        else:
            below = tree.below(far) if tree.parent.get(far) == host.site else ()
            for site in (far, *below):
                yield from _through(link, host, _prefixes(plan, site), RADIO, loopback)


def _prefixes(plan: Plan, slug: str) -> tuple[str, ...]:
    """Return what lies at a site: its prefixes and its gateways' loopbacks."""
    site = plan.sites.get(slug)
    if site is None:
        return ()
    found = list(site.prefixes)
    for gateway in site.hosts:
        if gateway.kind == "gateway":
            for address in next(gateway.of_kind("loopback")).addresses:
                found.append(f"{address}/{128 if ':' in address else 32}")
    return tuple(found)


def _through(
    link: Link, host: Host, prefixes: tuple[str, ...], metric: int, loopback: tuple[str, ...]
) -> Iterator[Route]:
    near, far = link.end_of(host.name), link.far_end(host.name)
    families = len(far.addresses)
    for index, prefix in enumerate(prefixes):
        family = index % families
        yield Route(prefix, far.addresses[family], near.interface, metric, loopback[family])
