"""What-if: who is cut off, and what is left, when a link or a site is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from topology import bandwidth
from topology.allocate import Link, Plan
from topology.bandwidth import Share, Way


@dataclass(frozen=True, slots=True)
class Effect:
    """What a loss does to one site."""

    site: str
    before: str
    """The path it takes today: radio or tunnel to a hub, by link names."""
    after: str | None
    """The path it has then; None when it is cut off."""
    share_before: Share
    share_after: Share | None
    """Its rates then, with everybody else who has moved; None when it is cut off."""


@dataclass(frozen=True, slots=True)
class Hotter:
    """A link that more sites use than before."""

    link: str
    kind: str
    before: int
    """Sites that used it."""
    after: int
    up_mbps: float | None
    """What it carries towards the hub; a tunnel: its site's line. None when unknown."""
    down_mbps: float | None


@dataclass(frozen=True, slots=True)
class Impact:
    """The effects of losing a link or a site."""

    lost: str
    kind: str
    effects: tuple[Effect, ...]
    hosts: tuple[str, ...] = ()
    """Hosts that are lost with a site."""
    applications: tuple[str, ...] = ()
    """Applications left without any guest."""
    reduced: tuple[str, ...] = ()
    """Applications that lose a guest and keep another."""
    hotter: tuple[Hotter, ...] = ()
    """Links that more sites use than before, those with the most sites first."""

    @property
    def cut_off(self) -> tuple[str, ...]:
        """Sites that reach no hub any more."""
        return tuple(e.site for e in self.effects if e.after is None)


def impact(plan: Plan, what: str) -> Impact:
    """Return what losing a link or site does; KeyError when there is none of that name.

    Every site's best path to any hub is compared before and after: radio first, then leased links,
    then the tunnels by slot (DESIGN 4). A tunnel runs over the site's provider line.
    """
    if what in plan.links:
        effects, hotter = _effects(plan, {what}, set())
        return Impact(what, plan.links[what].kind, effects, hotter=hotter)
    if what in plan.sites:
        links = {n for n, x in plan.links.items() if what in (x.ends[0].site, x.ends[1].site)}
        hosts = tuple(h.name for h in plan.sites[what].hosts)
        gone, reduced = _applications(plan, what)
        effects, hotter = _effects(plan, links, {what})
        return Impact(what, plan.sites[what].place.kind, effects, hosts, gone, reduced, hotter)
    raise KeyError(what)


def _applications(plan: Plan, site: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    apps = plan.district.apps
    if apps is None or site not in apps.sites:
        return (), ()
    names = tuple(a.slug for a in apps.applications)
    return (names, ()) if len(apps.sites) == 1 else ((), names)


def _effects(plan: Plan, links: set[str], sites: set[str]) -> tuple[tuple[Effect, ...], tuple[Hotter, ...]]:
    everything = list(plan.links.values())
    left = [x for x in everything if x.name not in links]
    before, after = _paths(plan, everything, set()), _paths(plan, left, sites)
    rates_before, rates_after = _rates(plan, before), _rates(plan, after)
    effects = []
    for slug in plan.sites:
        if slug in sites or slug not in before:
            continue
        if slug not in after:
            effects.append(Effect(slug, _text(before[slug].links), None, rates_before[slug], None))
        elif before[slug].links != after[slug].links:
            old, new = _text(before[slug].links), _text(after[slug].links)
            effects.append(Effect(slug, old, new, rates_before[slug], rates_after[slug]))
    return tuple(effects), _hotter(plan, before, after)


def _rates(plan: Plan, paths: Mapping[str, _Path]) -> dict[str, Share]:
    """Return the rates of all sites on these paths; where a line's rate is unknown so is theirs.

    The root's line is taken as wide enough while nobody says what it carries (topology.bandwidth).
    """
    routes = {site: path.way for site, path in paths.items() if path.links}
    found = bandwidth.fill(plan, routes)
    usual = {site for site, way in routes.items() if way.exit == plan.backbone.root}
    unusual = {site: way for site, way in routes.items() if site not in usual}
    rates = dict.fromkeys(paths, bandwidth.UNKNOWN) | {site: found[site] for site in usual}
    return rates | bandwidth.known(plan, unusual, {site: found[site] for site in unusual})


def _hotter(plan: Plan, before: Mapping[str, _Path], after: Mapping[str, _Path]) -> tuple[Hotter, ...]:
    old = Counter(name for path in before.values() for name in path.links)
    new = Counter(name for path in after.values() for name in path.links)
    found = []
    for name, count in new.items():
        if count > old[name]:
            link = plan.links[name]
            if link.kind == "tunnel":
                site = link.ends[0].site
                up, down = bandwidth.line(plan, site, "up"), bandwidth.line(plan, site, "down")
            else:
                up = down = bandwidth.link_capacity(link.radio) if link.radio else None
            found.append(Hotter(name, link.kind, old[name], count, up, down))
    return tuple(sorted(found, key=lambda h: (-h.after, h.link)))


@dataclass(frozen=True, slots=True)
class _Path:
    """A site's path by the names of its links, the tunnel included, and what limits its rate."""

    links: tuple[str, ...]
    way: Way


def _text(path: tuple[str, ...]) -> str:
    return " > ".join(path) if path else "local"


def _paths(plan: Plan, links: Iterable[Link], without: set[str]) -> dict[str, _Path]:
    """Return every site's path to a hub: up the radio tree and out there, else its own way out."""
    hub_sites = {h.site for h in plan.hosts.values() if h.hub_slot is not None} - without
    radio: dict[str, dict[str, str]] = {}
    leased: dict[str, list[tuple[str, str]]] = {}
    tunnels: dict[str, list[tuple[int, str, str]]] = {}
    for link in links:
        a, b = link.ends[0].site, link.ends[1].site
        if a in without or b in without:
            continue
        if link.kind == "tunnel":
            tunnels.setdefault(a, []).append((link.slot or 0, link.name, b))
        elif link.kind == "leased":
            leased.setdefault(a, []).append((link.name, b))
            leased.setdefault(b, []).append((link.name, a))
        else:
            radio.setdefault(a, {})[b] = link.name
            radio.setdefault(b, {})[a] = link.name
    found: dict[str, _Path] = {}

    def path(site: str) -> _Path | None:
        hops: list[str] = []
        current = site
        while current in plan.backbone.parent and current not in hub_sites:
            parent = plan.backbone.parent[current]
            name = radio.get(current, {}).get(parent)
            if name is None:
                break
            hops.append(name)
            current = parent
        if current in hub_sites:
            return _Path(tuple(hops), Way(tuple(hops), None, current))
        for candidate, first in ((current, tuple(hops)), (site, ())):
            for name, hub in sorted(leased.get(candidate, ())):
                if hub in hub_sites:
                    return _Path((*first, name), Way((*first, name), None, hub))
            for _, name, hub in sorted(tunnels.get(candidate, ())):
                if hub in hub_sites:
                    return _Path((*first, name), Way(first, candidate, hub))
        return None

    for slug in plan.sites:
        if slug not in without:
            way = path(slug)
            if way is not None:
                found[slug] = way
    return found


def as_lines(plan: Plan, result: Impact) -> list[str]:
    """Return an impact as lines for the terminal."""
    lines = [f"losing {result.kind} {result.lost}:"]
    if result.hosts:
        lines.append(f"  {len(result.hosts)} hosts are lost with it")
    if result.applications:
        lines.append(f"  {len(result.applications)} applications have no guest left: {', '.join(result.applications)}")
    if result.reduced:
        lines.append(f"  {len(result.reduced)} applications lose one of {_sites(plan)} guests and go on")
    cut = result.cut_off
    lines.append(f"  cut off: {', '.join(cut) if cut else 'nobody'}")
    moved = [e for e in result.effects if e.after is not None]
    lines.append(f"  on another path: {len(moved)}")
    for effect in moved:
        assert effect.share_after is not None
        lines.append(f"    {effect.site}: {effect.before}  ->  {effect.after}")
        lines.append(f"      guaranteed {_guarantee(effect.share_before)}  ->  {_guarantee(effect.share_after)}")
    if result.hotter:
        lines.append(f"  links that more sites use: {len(result.hotter)}")
        shared = [h for h in result.hotter if h.after > 1]
        for link in shared:
            width = _rates_text(link.up_mbps, link.down_mbps)
            lines.append(f"    {link.link}: {link.before}  ->  {link.after} sites; its rate: {width}")
        if alone := len(result.hotter) - len(shared):
            lines.append(f"    with one site each: {alone}")
    return lines


def _guarantee(share: Share) -> str:
    return _rates_text(share.guaranteed_up, share.guaranteed_down)


def _rates_text(up: float | None, down: float | None) -> str:
    if up is None and down is None:
        return "unknown"
    shown = ["unknown" if rate is None else f"{rate:.1f}" for rate in (up, down)]
    return f"{shown[0]} up, {shown[1]} down Mbit/s"


def _sites(plan: Plan) -> int:
    return len(plan.district.apps.sites) if plan.district.apps else 0
