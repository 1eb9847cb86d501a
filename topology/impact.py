"""What-if: who is cut off, and what is left, when a link or a site is lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from topology.allocate import Link, Plan


@dataclass(frozen=True, slots=True)
class Effect:
    """What a loss does to one site."""

    site: str
    before: str
    """The path it takes today: radio or tunnel to a hub, by link names."""
    after: str | None
    """The path it has then; None when it is cut off."""


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

    @property
    def cut_off(self) -> tuple[str, ...]:
        """Sites that reach no hub any more."""
        return tuple(e.site for e in self.effects if e.after is None)


def impact(plan: Plan, what: str) -> Impact:
    """Return what losing a link or site does; KeyError when there is none of that name.

    Every site's best path to any hub is compared before and after: radio first, then the
    tunnels by slot (DESIGN 4). A tunnel runs over the site's provider line.
    """
    if what in plan.links:
        return Impact(what, plan.links[what].kind, _effects(plan, {what}, set()))
    if what in plan.sites:
        links = {n for n, x in plan.links.items() if what in (x.ends[0].site, x.ends[1].site)}
        hosts = tuple(h.name for h in plan.sites[what].hosts)
        gone, reduced = _applications(plan, what)
        return Impact(what, plan.sites[what].place.kind, _effects(plan, links, {what}), hosts, gone, reduced)
    raise KeyError(what)


def _applications(plan: Plan, site: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    apps = plan.district.apps
    if apps is None or site not in apps.sites:
        return (), ()
    names = tuple(a.slug for a in apps.applications)
    return (names, ()) if len(apps.sites) == 1 else ((), names)


def _effects(plan: Plan, links: set[str], sites: set[str]) -> tuple[Effect, ...]:
    everything = list(plan.links.values())
    left = [x for x in everything if x.name not in links]
    before, after = _paths(plan, everything, set()), _paths(plan, left, sites)
    effects = []
    for slug in plan.sites:
        if slug in sites or slug not in before:
            continue
        if before[slug] != after.get(slug):
            effects.append(Effect(slug, _text(before[slug]), _text(after[slug]) if slug in after else None))
    return tuple(effects)


def _text(path: tuple[str, ...]) -> str:
    return " > ".join(path) if path else "local"


def _paths(plan: Plan, links: Iterable[Link], without: set[str]) -> dict[str, tuple[str, ...]]:
    """Return every site's path to a hub as names of links: up the radio tree, else its own tunnel."""
    hub_sites = {h.site for h in plan.hosts.values() if h.hub_slot is not None} - without
    radio: dict[str, dict[str, str]] = {}
    tunnels: dict[str, list[tuple[int, str, str]]] = {}
    for link in links:
        a, b = link.ends[0].site, link.ends[1].site
        if a in without or b in without:
            continue
        if link.kind == "tunnel":
            tunnels.setdefault(a, []).append((link.slot or 0, link.name, b))
        else:
            radio.setdefault(a, {})[b] = link.name
            radio.setdefault(b, {})[a] = link.name
    found: dict[str, tuple[str, ...]] = {}

    def path(site: str) -> tuple[str, ...] | None:
        if site in hub_sites:
            return ()
        hops: list[str] = []
        current = site
        while current in plan.backbone.parent:
            parent = plan.backbone.parent[current]
            name = radio.get(current, {}).get(parent)
            if name is None:
                break
            hops.append(name)
            current = parent
        for candidate, prefix in ((current, tuple(hops)), (site, ())):
            for _, name, hub in sorted(tunnels.get(candidate, ())):
                if hub in hub_sites:
                    return (*prefix, name)
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
    lines += [f"    {e.site}: {e.before}  ->  {e.after}" for e in moved]
    return lines


def _sites(plan: Plan) -> int:
    return len(plan.district.apps.sites) if plan.district.apps else 0
