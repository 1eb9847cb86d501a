"""What the policy lets pass, and why: between any two zones, through every gateway on the way.

The evaluator reads the policy (topology.policy.Box) and never a rendered ruleset; tests with real
packets show that both agree. `verdict` follows one connection from gateway to gateway; `matrix`
lists what one gateway passes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from topology import policy
from topology.allocate import Host, Plan
from topology.exits import FINE, USAGE
from topology.policy import Box, Port, Rule

FAMILIES = (4, 6)


@dataclass(frozen=True, slots=True)
class Step:
    """What one gateway makes of a connection."""

    gateway: str
    passes: bool
    label: str | None
    """The rule's label; None where it is stopped."""
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a connection passes, the gateways on its way, and what each says."""

    passes: bool
    path: tuple[str, ...]
    why: tuple[Step, ...]
    """In order of the path, up to the gateway that stops it."""


@dataclass(frozen=True, slots=True)
class Row:
    """What passes from one zone to another at a gateway."""

    source: str
    target: str
    rules: tuple[Rule, ...]
    """Empty: nothing passes."""


def verdict(
    plan: Plan, source: str, source_site: str, target: str, target_site: str, service: Port | str, family: int
) -> Verdict:
    """Return what becomes of a connection from a zone at a site to a zone at a site.

    Zones are those of policy.yml and `gateway`, `internet`, `vpn` (the site: a hub's) and `admin`
    (the site: that of an administrators' network, or a hub for VPN users). The internet's site
    says nothing, except where the other end is: give that end's. `service` is a name of
    policy.yml (passes when every port of it does) or one port. ValueError for a zone, site,
    service or family that there is not.
    """
    if family not in FAMILIES:
        raise ValueError(f"family {family}: 4 or 6")
    ports = _ports(plan, service, family)
    for zone, site in ((source, source_site), (target, target_site)):
        _check(plan, zone, site)
    if source == policy.INTERNET:
        return _from_internet(plan, target, target_site, ports, family)
    path = path_of(plan, source_site, target_site, target == policy.INTERNET, family)
    if not path:
        missing = Step(source_site, False, None, f"no way from {source_site} to {target_site}")
        return Verdict(False, (), (missing,))
    steps: list[Step] = []
    for index, name in enumerate(path):
        box = policy.box(plan, plan.hosts[name])
        first, last = index == 0, index == len(path) - 1
        sources = _zones_of(plan, box, source, source_site) if first else _behind_links(plan, box, source, source_site)
        targets: tuple[str, ...] = (policy.INTERNET,)
        if target != policy.INTERNET:
            ends = _zones_of if last else _behind_links
            targets = ends(plan, box, target, target_site)
        step = _judge(box, sources, targets, ports, family)
        steps.append(step)
        if not step.passes:
            break
    return Verdict(steps[-1].passes, path, tuple(steps))


def path_of(plan: Plan, source: str, target: str, internet: bool = False, family: int = 4) -> tuple[str, ...]:
    """Return the gateways from one site to another, when nothing is broken; empty when there is no way.

    Up the radio tree to where both meet or to its root, from there to the first hub by the root's
    tunnel, and down again; a site outside the tree goes by its tunnel (DESIGN 4). To the internet:
    IPv4 leaves at the site itself, IPv6 at the first hub.
    """
    hubs = _hubs(plan)
    if internet:
        own = _gateway(plan, source)
        if family == 4 or not hubs or plan.hosts[own].hub_slot is not None:
            return (own,)
        target = plan.hosts[hubs[0]].site
    if source == target:
        return (_gateway(plan, source),)
    up, down = _to_core(plan, source), _to_core(plan, target)
    for site in up:
        if site in down:  # they meet in the tree
            sites = [*up[: up.index(site)], *reversed(down[: down.index(site) + 1])]
            return _linked(plan, tuple(_gateway(plan, s) for s in sites))
    if _direct(plan, _gateway(plan, up[-1]), _gateway(plan, down[-1])):
        middle: tuple[str, ...] = ()
    elif hubs:
        middle = (hubs[0],)
    else:
        return ()
    names = [*(_gateway(plan, s) for s in up), *middle, *(_gateway(plan, s) for s in reversed(down))]
    return _linked(plan, tuple(dict.fromkeys(names)))


def _to_core(plan: Plan, site: str) -> tuple[str, ...]:
    return tuple(s for s in plan.backbone.path(site) if s in plan.sites) or (site,)


def _linked(plan: Plan, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the path when every two neighbours in it have a link, else nothing."""
    return names if all(_direct(plan, a, b) for a, b in pairwise(names)) else ()


def _direct(plan: Plan, one: str, other: str) -> bool:
    return any(link.far_end(one).host == other for link in plan.links_of(one))


def _hubs(plan: Plan) -> list[str]:
    found = [h for h in plan.hosts.values() if h.hub_slot is not None]
    return [h.name for h in sorted(found, key=lambda h: h.hub_slot or 0)]


def _gateway(plan: Plan, site: str) -> str:
    """Return a site's gateway; of a pair the one in the first slot, or the first."""
    found = sorted(plan.gateways(site), key=lambda g: (g.hub_slot or 99, g.name))
    if not found:
        raise ValueError(f"{site} has no gateway here")
    return found[0].name


def _ports(plan: Plan, service: Port | str, family: int) -> tuple[Port, ...]:
    if isinstance(service, Port):
        return (service,)
    try:
        every = policy.ports_of(plan.district.policy, service)
        # nobody asks for DHCP of the other family
        return tuple(p for p in every if not _other_dhcp(p, family)) or every
    except KeyError:
        pass
    try:
        return (policy.port(service),)
    except ValueError:
        known = ", ".join(sorted(plan.district.policy.services))
        raise ValueError(f"no service {service!r}; there are {known}, and ports such as 443/tcp") from None


def _check(plan: Plan, zone: str, site: str) -> None:
    if site not in plan.sites:
        raise ValueError(f"no site {site!r}")
    known = (*plan.district.policy.zones, *policy.BUILT_IN)
    if zone not in known:
        raise ValueError(f"no zone {zone!r}; there are {', '.join(known)}")
    if zone in (policy.INTRANET, policy.HUB):
        raise ValueError(f"{zone} is many places: name a zone of a site")
    hub = any(g.hub_slot is not None for g in plan.gateways(site))
    if zone == policy.VPN and not hub:
        raise ValueError(f"{site} is no hub: VPN users come in at the hubs")
    if zone == policy.ADMIN and not hub and not _admin_networks(plan, site):
        raise ValueError(f"{site} is no hub and has no administrators' network")
    if zone in plan.district.policy.zones:
        networks = {n.name for n in plan.sites[site].networks}
        if not networks & set(plan.district.policy.zones[zone].networks):
            raise ValueError(f"{site} has no zone {zone}")


def _zones_of(plan: Plan, box: Box, zone: str, site: str) -> tuple[str, ...]:
    """Return the zones that a packet of a zone counts as, at the gateway of its own site."""
    if zone == policy.VPN:
        return tuple(z for z in (policy.VPN, policy.INTRANET) if z in box.zones)
    if zone == policy.ADMIN:
        local = [n for n in _admin_networks(plan, site) if n in {i.network for i in box.lans}]
        names = [z for z, e in plan.district.policy.zones.items() if set(local) & set(e.networks) and z in box.zones]
        if local:
            return (*names, policy.ADMIN)
        return tuple(z for z in (policy.ADMIN, policy.VPN, policy.INTRANET) if z in box.zones)
    if zone in plan.district.policy.zones and _is_admins(plan, zone, site):
        return (zone, policy.ADMIN)
    return (zone,)


def _behind_links(plan: Plan, box: Box, zone: str, site: str) -> tuple[str, ...]:
    """Return the zones that a zone of another site counts as, seen from a gateway."""
    networks = _admin_networks(plan, site)
    user = zone == policy.VPN or (zone == policy.ADMIN and not networks)
    found = [policy.INTRANET]
    if not user and plan.sites[site].place.kind in ("dc", "drc"):
        found.append(policy.HUB)
    if user:
        found.append(policy.VPN)
    if zone == policy.ADMIN or (zone in plan.district.policy.zones and _is_admins(plan, zone, site)):
        found.append(policy.ADMIN)
    return tuple(z for z in found if z in box.zones)


def _admin_networks(plan: Plan, site: str) -> list[str]:
    pairs = (name.partition(".") for name in plan.district.policy.admins.networks)
    return [network for slug, _, network in pairs if slug == site]


def _is_admins(plan: Plan, zone: str, site: str) -> bool:
    """Say whether all of a zone's networks at a site are administrators'."""
    there = {n.name for n in plan.sites[site].networks} & set(plan.district.policy.zones[zone].networks)
    return bool(there) and there <= set(_admin_networks(plan, site))


def _judge(
    box: Box,
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    ports: tuple[Port, ...],
    family: int,
) -> Step:
    name = box.host.name
    if family == 6 and not box.v6:
        return Step(name, False, None, f"{box.host.site} is ipv4-only")
    for zone in (*sources, *targets):
        if zone not in box.zones:
            return Step(name, False, None, f"{name} has no zone {zone}")
    isolated = next((z for z in sources if box.zones[z].isolated), None)
    if isolated and not set(targets) & {policy.INTERNET, policy.GATEWAY}:
        return Step(name, False, None, f"{isolated} is isolated: it reaches the internet and its gateway only")
    isolated = next((z for z in targets if box.zones[z].isolated), None)
    if isolated:
        return Step(name, False, None, f"{isolated} is isolated: nothing reaches it")
    if targets == (policy.INTERNET,) and not _leaves(box, family):
        return Step(name, False, None, f"IPv{family} does not leave for the internet at {name}")
    rules = [r for s in sources for t in targets for r in box.between(s, t) if family in r.families]
    if not ports:
        found = next((r for r in rules if not r.ports), None)
        return _said(name, found, sources, targets, "any service")
    chosen: Rule | None = None
    for port in ports:
        one = next((r for r in rules if _covers(r, port, family)), None)
        if one is None:
            return _said(name, None, sources, targets, text_of(port))
        chosen = chosen or one
    return _said(name, chosen, sources, targets, "")


def _leaves(box: Box, family: int) -> bool:
    """Say whether a gateway has a way to the internet for a family."""
    zone = box.zones[policy.INTERNET]
    return any(family in a.families for a in zone.attachments)


def _other_dhcp(port: Port, family: int) -> bool:
    """Say whether a port is DHCP's of the other family."""
    return port.protocol == "udp" and (port.low, family) in ((67, 6), (547, 4))


def _covers(rule: Rule, port: Port, family: int) -> bool:
    if rule.target == policy.GATEWAY and _other_dhcp(port, family):
        return False
    return not rule.ports or any(
        p.protocol == port.protocol and p.low <= port.low and port.high <= p.high for p in rule.ports
    )


def _said(name: str, rule: Rule | None, sources: Iterable[str], targets: Iterable[str], what: str) -> Step:
    if rule is None:
        return Step(name, False, None, f"no flow from {' or '.join(sources)} to {' or '.join(targets)} with {what}")
    return Step(name, True, rule.label, rule.why)


def _from_internet(plan: Plan, target: str, site: str, ports: tuple[Port, ...], family: int) -> Verdict:
    """Return what becomes of a connection that the internet opens: only what is published passes."""
    name = _gateway(plan, site)
    box = policy.box(plan, plan.hosts[name])
    found = [p for p in box.published if p.zone == target and (family == 4 or (p.address6 and box.v6))]
    entry = None
    for port in ports:
        entry = next(
            (
                p
                for p in found
                if p.port.protocol == port.protocol and p.port.low <= port.low <= port.high <= p.port.high
            ),
            None,
        )
        if entry is None:
            break
    if entry is None:
        return Verdict(False, (name,), (Step(name, False, None, f"not published at {site}"),))
    return Verdict(True, (name,), (Step(name, True, entry.label, entry.why),))


def matrix(plan: Plan, host: Host) -> tuple[Row, ...]:
    """Return what passes between any two zones at a gateway; ValueError when it is none."""
    box = policy.box(plan, host)
    return tuple(
        Row(source, target, box.between(source, target))
        for source in box.zones
        for target in box.zones
        if source != policy.GATEWAY or target != policy.GATEWAY
    )


def text_of(port: Port) -> str:
    """Return a port as policy.yml writes it."""
    if port.protocol == "icmp":
        return "ping"
    return f"{policy.span(port.low, port.high)}/{port.protocol}"


def as_lines(rows: Iterable[Row], source: str | None = None, target: str | None = None) -> Iterator[str]:
    """Yield a matrix as text: a line per pair of zones with its services, indented lines that say why."""
    nothing: list[str] = []
    for row in rows:
        if (source and row.source != source) or (target and row.target != target):
            continue
        if not row.rules:
            nothing.append(f"{row.source}->{row.target}")
            continue
        yield f"{row.source} -> {row.target}"
        by_reason: dict[tuple[str, tuple[int, ...]], list[str]] = {}
        for rule in row.rules:
            by_reason.setdefault((rule.why, rule.families), []).append(rule.service)
        for (why, families), services in by_reason.items():
            only = "" if len(families) == 2 else f" (IPv{families[0]} only)"
            yield f"    {', '.join(services)}{only}: {why}"
    if nothing:
        yield "nothing passes: " + ", ".join(nothing)


def as_text(found: Verdict) -> Iterator[str]:
    """Yield a verdict as text: passes or not, and every gateway's reason."""
    yield ("passes" if found.passes else "stopped") + (f": {' > '.join(found.path)}" if found.path else "")
    for step in found.why:
        yield f"    {step.gateway}: {step.label or 'STOPPED'} ({step.why})"


def run(plan: Plan, options: argparse.Namespace) -> int:
    """Print what is asked for and return the exit code: 0, or 2 for a name that there is not."""
    try:
        for line in _answer(plan, options):
            print(line)
    except ValueError as error:
        print(f"topology flows: {error}", file=sys.stderr)
        return USAGE
    return FINE


def _answer(plan: Plan, options: argparse.Namespace) -> Iterator[str]:
    default = options.site or next(iter(plan.sites))
    if default not in plan.sites:
        raise ValueError(f"no site {default!r}")
    source_site, source = _place(options.source, default)
    target_site, target = _place(options.target, default)
    if options.service is None and source_site == target_site:
        host = plan.hosts[_gateway(plan, source_site)]
        for zone in (source, target):
            if zone and zone not in policy.box(plan, host).zones:
                raise ValueError(f"{host.name} has no zone {zone!r}")
        yield f"at {host.name}"
        yield from as_lines(matrix(plan, host), source, target)
        return
    if not source or not target:
        raise ValueError("--service needs FROM and TO")
    services = [options.service] if options.service else sorted(plan.district.policy.services)
    for service in services:
        for family in (options.family,) if options.family else FAMILIES:
            yield f"{service} IPv{family} from {source_site}.{source} to {target_site}.{target}: "
            yield from (
                f"  {t}" for t in as_text(verdict(plan, source, source_site, target, target_site, service, family))
            )


def _place(text: str | None, default: str) -> tuple[str, str | None]:
    if text is None or "." not in text:
        return default, text
    site, _, zone = text.partition(".")
    return site, zone
