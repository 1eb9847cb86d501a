"""All links: radio and leased lines, and the VPN tunnels."""

from __future__ import annotations

from collections.abc import Iterable

from topology.allocate import Link
from topology.document import markup as m
from topology.document.book import Book, Page
from topology.document.language import LINK_KINDS

PATH = "links.md"


def page(book: Book) -> Page:
    """Return the table of all links with both ends' addresses."""
    t = book.t
    lines = [x for x in book.plan.links.values() if x.kind != "tunnel"]
    tunnels = [x for x in book.plan.links.values() if x.kind == "tunnel"]
    blocks = []
    if lines:
        blocks += [
            "## " + t("Tautan radio dan saluran sewa", "Radio links and leased lines"),
            _table(book, lines),
        ]
    if tunnels:
        blocks += [
            "## " + t("Tunnel VPN", "VPN tunnels"),
            t(
                "Setiap lokasi, dari gateway pertamanya, menjaga satu tunnel ke setiap hub. "
                "Nomor tunnel mengikuti nomor lokasi dan slot hub.",
                "Every site, from its first gateway, keeps one tunnel to every hub. A tunnel's number "
                "follows from its site's number and the hub's slot.",
            ),
            _table(book, tunnels),
        ]
    if not blocks:
        blocks.append(t("Belum ada tautan.", "There are no links yet."))
    sources = ("registry.yml", "district.yml", *(("backbone.yml",) if lines else ()))
    return Page(PATH, t("Tautan", "Links"), sources, m.join(*blocks), searched=False)


def _table(book: Book, links: Iterable[Link]) -> str:
    t, here = book.t, book.here(PATH)
    rows = []
    radio = False
    for link in links:
        a, b = link.ends
        row = [
            str(link.number),
            m.anchor(f"link-{link.name}", m.text(link.name)),
            t.word(LINK_KINDS, link.kind),
            book.stacked(link.prefixes),
            *(f"{here.host(x.host)} {m.code(x.interface)}<br>{book.stacked(x.addresses)}" for x in (a, b)),
        ]
        r = link.radio
        if r is not None:
            radio = True
            row += [
                t.number(r.range_km) if r.range_km else "",
                t.number(r.throughput_mbps) if r.throughput_mbps else "",
                f"{t.number(r.availability_pct, 4)} %" if r.availability_pct else "",
            ]
        rows.append(row)
    head = [
        t("Nomor", "Number"),
        t("Tautan", "Link"),
        t("Jenis", "Kind"),
        t("Prefiks", "Prefixes"),
        t("Ujung 1", "End 1"),
        t("Ujung 2", "End 2"),
    ]
    first = len(head)
    if radio:
        head += ["km", "Mbit/s", t("Ketersediaan", "Availability")]
    return m.filterable(m.table(head, rows, right=(0, first, first + 1, first + 2)), "filterable wide")
