"""The radio backbone: free-space loss, paths in the tree, availability, who hangs on what."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from topology.schema import BackboneFile, RadioEntry


def free_space_loss_db(range_km: float, frequency_mhz: float) -> float:
    """Return the free-space path loss in dB (ITU-R P.525): 20 log d + 20 log f + 32.44."""
    return 20 * math.log10(range_km) + 20 * math.log10(frequency_mhz) + 32.44


def circle_of(neighbours: Mapping[str, Sequence[str]], a: str, b: str) -> list[str]:
    """Return the circle that a link a-b would close, as sites in order; empty if it closes none."""
    came: dict[str, str | None] = {a: None}
    pending = [a]
    while pending:
        site = pending.pop()
        if site == b:
            path = [b]
            while (before := came[path[-1]]) is not None:
                path.append(before)
            return [*reversed(path), a]
        for other in neighbours.get(site, ()):
            if other not in came:
                came[other] = site
                pending.append(other)
    return []


@dataclass(frozen=True, slots=True)
class Backbone:
    """The radio links as a tree below its root (or as they are, where no tree is declared)."""

    root: str | None
    parent: dict[str, str]
    """Site -> the site one hop closer to the root."""
    uplink: dict[str, RadioEntry]
    """Site -> the link towards its parent."""
    children: dict[str, tuple[str, ...]]

    def path(self, site: str) -> tuple[str, ...]:
        """Return the sites from `site` to the root, both included; empty when not in the tree."""
        if site != self.root and site not in self.parent:
            return ()
        path = [site]
        while path[-1] in self.parent:
            path.append(self.parent[path[-1]])
        return tuple(path)

    def below(self, site: str) -> tuple[str, ...]:
        """Return every descendant of `site` in the tree, nearest first, in a fixed order."""
        found: list[str] = []
        pending = list(self.children.get(site, ()))
        while pending:
            found.extend(pending)
            pending = [c for p in pending for c in self.children.get(p, ())]
        return tuple(found)

    def availability(self, site: str) -> float | None:
        """Return the availability (0 to 1) of the path from `site` to the root: the product."""
        hops = self.path(site)[:-1]
        if not hops or any(self.uplink[h].availability_pct is None for h in hops):
            return None
        return math.prod((self.uplink[h].availability_pct or 0.0) / 100 for h in hops)

    def throughput(self, site: str) -> float | None:
        """Return the throughput in Mbit/s of the narrowest link between `site` and the root."""
        rates = [self.uplink[h].throughput_mbps for h in self.path(site)[:-1]]
        known = [r for r in rates if r is not None]
        return min(known) if known and len(known) == len(rates) else None


def backbone_of(data: BackboneFile) -> Backbone:
    """Return the tree of a backbone file; without a declared tree there are no parents."""
    if data.tree is None:
        return Backbone(None, {}, {}, {})
    neighbours: dict[str, list[tuple[str, RadioEntry]]] = {}
    for link in data.links:
        if link.kind != "radio":
            continue
        neighbours.setdefault(link.ends[0], []).append((link.ends[1], link))
        neighbours.setdefault(link.ends[1], []).append((link.ends[0], link))
    root = data.tree.root
    parent: dict[str, str] = {}
    uplink: dict[str, RadioEntry] = {}
    children: dict[str, tuple[str, ...]] = {}
    pending = [root]
    seen = {root}
    while pending:
        site = pending.pop()
        below = sorted((o, link) for o, link in _named(neighbours.get(site, ())) if o not in seen)
        children[site] = tuple(o for o, _ in below)
        for other, name in below:
            parent[other] = site
            uplink[other] = next(link for o, link in neighbours[site] if o == other and link.name == name)
            seen.add(other)
            pending.append(other)
    return Backbone(root, parent, uplink, children)


def _named(pairs: Iterable[tuple[str, RadioEntry]]) -> list[tuple[str, str]]:
    return [(other, link.name) for other, link in pairs]
