"""The list of all sites."""

from __future__ import annotations

from topology.document import markup as m
from topology.document.book import Book, Page
from topology.document.language import MIGRATION, SITE_KIND_PLURALS

PATH = "sites/index.md"


def page(book: Book) -> Page:
    """Return the list of all sites by kind."""
    t, here = book.t, book.here(PATH)
    blocks = [
        t(
            "Satu halaman per lokasi: jaringan, perangkat, alamat, tautan, dan aset di satu tempat.",
            "One page per site: networks, devices, addresses, links and assets in one place.",
        )
    ]
    states: dict[str, int] = {}
    for site in book.plan.sites.values():
        states[site.place.data.migration] = states.get(site.place.data.migration, 0) + 1
    blocks.append(
        t("Migrasi IPv6: ", "IPv6 migration: ")
        + "; ".join(f"{m.text(t.word(MIGRATION, k))} {t.number(states[k])}" for k in MIGRATION if k in states)
        + "."
    )
    for kind, sites in book.index.by_kind.items():
        rows = []
        for site in sites:
            place = site.place
            gateways = sum(1 for h in site.hosts if h.kind == "gateway")
            row = [str(place.number), here.site(site.slug), m.code(site.slug)]
            if kind == "desa":
                row.append(here.site(place.parent or ""))
            row += [
                m.code(site.prefixes[0]),
                m.code(place.data.migration),
                t.number(len(site.networks)),
                t.number(gateways),
                t.number(len(site.hosts) - gateways),
            ]
            rows.append(row)
        head = [t("Nomor", "Number"), t("Lokasi", "Site"), t("Nama pendek", "Short name")]
        if kind == "desa":
            head.append("Kecamatan")
        head += [
            "IPv4",
            t("Migrasi IPv6", "IPv6 migration"),
            t("Jaringan", "Networks"),
            "Gateway",
            t("Host lain", "Other hosts"),
        ]
        last = len(head)
        blocks.append("## " + t.word(SITE_KIND_PLURALS, kind))
        blocks.append(m.filterable(m.table(head, rows, right=(0, last - 3, last - 2, last - 1))))
    return Page(PATH, t("Lokasi", "Sites"), ("sites/", "registry.yml"), m.join(*blocks))
