"""Rules about links between sites (BB)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from topology.backbone import circle_of, free_space_loss_db
from topology.district import Parts
from topology.finding import Both, Finding, Where
from topology.rules.references import missing

FILE = "backbone.yml"


def ends(parts: Parts) -> Iterator[Finding]:
    """Links end at two different sites that exist, and have a name of their own."""
    if parts.backbone is None:
        return
    names: dict[str, int] = {}
    for index, link in enumerate(parts.backbone.links):
        where = Where(FILE, ("links", index))
        if link.name in names:
            yield Finding("ST002", where.at("name"), {"name": link.name, "other": f"{FILE} ({names[link.name] + 1})"})
        names.setdefault(link.name, index)
        site, _, hub = link.name.partition("--")
        if site in parts.sites and parts.facts is not None and hub in {h.gateway for h in parts.facts.hubs}:
            tunnel = Both("the tunnel between the two", "terowongan antara keduanya")
            yield Finding("ST002", where.at("name"), {"name": link.name, "other": tunnel})
        if link.ends[0] == link.ends[1]:
            yield Finding("BB005", where.at("ends"), {"link": link.name, "site": link.ends[0]})
        for end, site in enumerate(link.ends):
            if site not in parts.sites and not parts.may_exist(site):
                yield Finding("BB001", where.at("ends", end), {"link": link.name, "site": site})


def tree(parts: Parts) -> Iterator[Finding]:
    """Radio links that are declared a tree have no circle and leave no kecamatan out."""
    backbone = parts.backbone
    if backbone is None or backbone.tree is None:
        return
    root = backbone.tree.root
    if root not in parts.sites and not parts.may_exist(root):
        yield missing(Both("site", "lokasi"), root, parts.sites, Where(FILE, ("tree", "root")))
        return
    neighbours: dict[str, list[str]] = {}
    group = _Groups()
    faulty = 0
    for index, link in enumerate(backbone.links):
        a, b = link.ends
        faulty += a == b or a not in parts.sites or b not in parts.sites
        if link.kind != "radio" or a == b:
            continue
        if group.join(a, b):
            circle = circle_of(neighbours, a, b)
            values = {"link": link.name, "circle": " - ".join(circle)}
            yield Finding("BB002", Where(FILE, ("links", index)), values)
            continue
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    reached = _from(root, neighbours)
    alone = [
        s for s, (kind, _, _) in parts.sites.items() if s not in reached and (kind == "kecamatan" or s in neighbours)
    ]
    islands = {min(_from(slug, neighbours)) for slug in alone}
    if len(islands) <= faulty:
        return  # each link with a faulty end, which has a finding, may be the one that is missing
    for slug in alone:
        yield Finding("BB003", parts.sites[slug][2], {"site": slug, "root": root})


class _Groups:
    """Which sites are joined so far (union-find): says in no time whether a link closes a circle."""

    def __init__(self) -> None:
        self.parent: dict[str, str] = {}

    def of(self, site: str) -> str:
        while (above := self.parent.get(site, site)) != site:
            self.parent[site] = self.parent.get(above, above)
            site = above
        return site

    def join(self, a: str, b: str) -> bool:
        """Join two sites; say whether they were joined before."""
        first, second = self.of(a), self.of(b)
        self.parent[first] = second
        return first == second


def _from(site: str, neighbours: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the sites that links join to `site`, itself included."""
    reached = {site}
    pending = [site]
    while pending:
        for other in neighbours.get(pending.pop(), ()):
            if other not in reached:
                reached.add(other)
                pending.append(other)
    return reached


def losses(parts: Parts) -> Iterator[Finding]:
    """A link's loss lies within 1 dB of free space (facts of the plan's Table 5)."""
    if parts.backbone is None:
        return
    for index, link in enumerate(parts.backbone.links):
        if link.loss_db is None or link.range_km is None:
            continue
        computed = free_space_loss_db(link.range_km, parts.backbone.frequency_mhz)
        if abs(link.loss_db - computed) > 1:
            values = {
                "link": link.name, "loss": link.loss_db, "range": link.range_km, "computed": f"{computed:.1f}",
            }  # fmt: skip
            yield Finding("BB004", Where(FILE, ("links", index, "loss_db")), values)
