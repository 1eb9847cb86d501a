"""What all pages are made from: the plan with its look-ups, a language, and where a page stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from topology.allocate import Host, Link, Plan, SitePlan
from topology.document import markup as m
from topology.document.language import Language
from topology.schema import ServiceFile

KIND_ORDER = ("hub", "skpd", "kecamatan", "desa", "dc", "drc")
"""Kinds of sites in the order of the pages."""
PHYSICAL = frozenset(
    {
        "gateway",
        "switch",
        "radio",
        "hypervisor",
        "server",
        "nas",
        "ups",
        "cctv",
        "door",
        "printer",
        "phone",
        "access-point",
        "pc",
    }
)
"""Kinds of devices that one can touch: they belong in the asset register."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its path in the tree of a language, its title and its Markdown."""

    path: str
    title: str
    sources: tuple[str, ...]
    """Files of the inventory it is made from."""
    body: str
    searched: bool = True
    """False for lists of what the sites' pages have as well: search finds those."""


@dataclass(frozen=True, slots=True)
class Index:
    """Look-ups that every page needs, made once."""

    plan: Plan
    name: str
    """Name of the inventory's folder."""
    links_of_host: dict[str, list[Link]]
    services_of_host: dict[str, list[tuple[str, ServiceFile]]]
    villages: dict[str, list[SitePlan]]
    by_kind: dict[str, list[SitePlan]]
    slots: dict[str, Host]
    """Hub gateways by name, in order of their slots."""


def index_of(plan: Plan) -> Index:
    """Return the look-ups of a plan."""
    links: dict[str, list[Link]] = {}
    for link in plan.links.values():
        for end in link.ends:
            links.setdefault(end.host, []).append(link)
    services: dict[str, list[tuple[str, ServiceFile]]] = {}
    for name in sorted(plan.district.services):
        for host in plan.district.services[name].hosts:
            services.setdefault(host, []).append((name, plan.district.services[name]))
    villages: dict[str, list[SitePlan]] = {}
    by_kind: dict[str, list[SitePlan]] = {kind: [] for kind in KIND_ORDER}
    for site in plan.sites.values():
        by_kind[site.place.kind].append(site)
        if site.place.parent is not None:
            villages.setdefault(site.place.parent, []).append(site)
    hubs = sorted((h for h in plan.hosts.values() if h.hub_slot), key=lambda h: h.hub_slot or 0)
    return Index(
        plan,
        Path(plan.district.root).resolve().name,
        links,
        services,
        villages,
        {k: v for k, v in by_kind.items() if v},
        {h.name: h for h in hubs},
    )


@dataclass(frozen=True, slots=True)
class Here:
    """A page's place: links to other pages are written from it."""

    path: str
    plan: Plan

    @property
    def up(self) -> str:
        """Way from the page to the root of its tree."""
        return "../" * self.path.count("/")

    def page(self, path: str, shown: str) -> str:
        """Return a link to a page of the same tree."""
        return f"[{shown}]({self.up}{path})"

    def site(self, slug: str, shown: str | None = None) -> str:
        """Return a link to a site's page."""
        site = self.plan.sites.get(slug)
        if site is None:
            return m.text(slug)
        return f"[{shown or m.text(site.place.data.name)}]({self.up}sites/{slug}.md)"

    def host(self, name: str, shown: str | None = None) -> str:
        """Return a link to a host on its site's page."""
        host = self.plan.hosts.get(name)
        if host is None:
            return m.text(name)
        target = f"#{name}" if self.path == f"sites/{host.site}.md" else f"{self.up}sites/{host.site}.md#{name}"
        return f"[{shown or name}]({target})"


@dataclass(frozen=True, slots=True)
class Book:
    """One language's tree of pages and what they are made from."""

    index: Index
    t: Language
    revision: str
    warnings: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.index.plan

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the address families, in the order of every tuple of addresses."""
        return ("IPv4", "ULA", "GUA") if self.plan.district.space.gua is not None else ("IPv4", "ULA")

    def here(self, path: str) -> Here:
        """Return the place of a page."""
        return Here(path, self.plan)

    def cells(self, values: Iterable[str]) -> list[str]:
        """Return one cell per address family, empty where there is no address."""
        given = [m.code(v) for v in values]
        return given + [""] * (len(self.families) - len(given))

    def stacked(self, values: Iterable[str]) -> str:
        """Return the values of all families in one cell."""
        return m.lines(m.code(v) for v in values)

    def files(self, sources: Iterable[str]) -> list[str]:
        """Return sources with the inventory's name, without files that this district does not have."""
        district = self.plan.district
        absent = set() if district.apps else {"apps.yml"}
        if not district.backbone.links:
            absent.add("backbone.yml")
        return [f"{self.index.name}/{s}" for s in sources if s not in absent]

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of sites this district has."""
        return tuple(self.index.by_kind)


def render(page: Page, book: Book) -> str:
    """Return a page's file: what it is generated from comes first and last."""
    files = book.files(page.sources)
    sources = ", ".join(files)
    comment = book.t(
        f"Dibuat otomatis oleh `topology document`; jangan disunting. Ubah berkas inventarisnya: {sources}",
        f"Generated by `topology document`; do not edit. Change the inventory's files instead: {sources}",
    ).replace("--", "- -")
    shown = ", ".join(map(m.code, files))
    foot = book.t("Dibuat otomatis dari", "Generated from") + f" {shown} · {m.text(book.revision)}"
    hidden = "" if page.searched else " { data-search-exclude }"
    return f'<!-- {comment} -->\n\n# {m.text(page.title)}{hidden}\n\n{page.body}\n\n<p class="sources">{foot}</p>\n'
