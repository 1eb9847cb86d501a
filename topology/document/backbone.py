"""The radio backbone: a drawing, the figures of every link, every site's path to the root."""

from __future__ import annotations

from topology.backbone import free_space_loss_db
from topology.document import markup as m
from topology.document.book import Book, Page
from topology.document.site import MINUTES_PER_YEAR
from topology.document.tree_drawing import tree_drawing
from topology.schema import RadioEntry

PATH = "backbone.md"
IMAGE = "images/backbone.svg"


def page(book: Book) -> Page | None:
    """Return the page of the backbone; None for a district without radio or leased links."""
    t, plan = book.t, book.plan
    links = plan.district.backbone.links
    if not links:
        return None
    picture = tree_drawing(plan, t)
    blocks = [
        t(
            f"{t.number(len(links))} tautan. Angka jarak, throughput, ketersediaan, dan redaman adalah "
            "angka rencana; kolom ruang bebas dihitung dari jarak dan frekuensi sebagai pembanding.",
            f"{t.number(len(links))} links. Range, throughput, availability and loss are figures of the "
            "plan; the free-space column is computed from range and frequency, to compare.",
        )
    ]
    if picture is not None:
        blocks += [
            "## " + t("Gambar", "Drawing"),
            t(
                "Pada setiap tautan: jarak dan throughput di atas garis, ketersediaan di bawahnya. Klik "
                "kotak untuk membuka lokasi.",
                "On every link: range and throughput above the line, availability below it. Click a box to "
                "open the site.",
            ),
            f'<div class="figure">{picture}</div>',
            f"[{t('Gambar sebagai berkas SVG', 'The drawing as an SVG file')}]({IMAGE})",
        ]
        blocks += ["## " + t("Jalur setiap lokasi", "Path of every site"), _paths(book)]
    blocks += ["## " + t("Tautan", "Links"), _links(book, links)]
    return Page(PATH, t("Jaringan radio", "Radio backbone"), ("backbone.yml", "registry.yml"), m.join(*blocks))


def _paths(book: Book) -> str:
    t, here, backbone = book.t, book.here(PATH), book.plan.backbone
    rows = []
    for site in book.plan.sites:
        path = backbone.path(site)
        if len(path) < 2:
            continue
        available, rate = backbone.availability(site), backbone.throughput(site)
        rows.append(
            (
                here.site(site),
                str(len(path) - 1),
                " → ".join(here.site(s) for s in path[1:]),
                f"{t.number(available * 100, 4)} %" if available is not None else "",
                t.number((1 - available) * MINUTES_PER_YEAR, 0) if available is not None else "",
                t.number(rate) if rate is not None else "",
                t.number(len(backbone.below(site))),
            )
        )
    head = (
        t("Lokasi", "Site"),
        t("Lompatan", "Hops"),
        t("Jalur", "Path"),
        t("Ketersediaan", "Availability"),
        t("Menit terputus setahun", "Minutes lost a year"),
        t("Mbit/s tersempit", "Narrowest Mbit/s"),
        t("Lokasi di bawahnya", "Sites below it"),
    )
    return m.filterable(m.table(head, rows, right=(1, 3, 4, 5, 6)))


def _links(book: Book, links: tuple[RadioEntry, ...]) -> str:
    t, here = book.t, book.here(PATH)
    frequency = book.plan.district.backbone.frequency_mhz
    rows = []
    for x in sorted(links, key=lambda e: book.plan.links[e.name].number):
        free = t.number(free_space_loss_db(x.range_km, frequency), 1) if x.range_km and x.kind == "radio" else ""
        rows.append(
            (
                str(book.plan.links[x.name].number),
                here.site(x.ends[0]),
                here.site(x.ends[1]),
                t.number(x.range_km, 3) if x.range_km else "",
                t.number(x.throughput_mbps, 3) if x.throughput_mbps else "",
                f"{t.number(x.availability_pct, 4)} %" if x.availability_pct else "",
                " / ".join(t.number(h) for h in x.heights_m) if x.heights_m else "",
                " / ".join(t.number(g) for g in x.gains_dbi) if x.gains_dbi else "",
                t.number(x.loss_db, 1) if x.loss_db else "",
                free,
                m.text(x.note or ""),
            )
        )
    head = (
        t("Nomor", "Number"),
        t("Dari", "From"),
        t("Ke", "To"),
        "km",
        "Mbit/s",
        t("Ketersediaan", "Availability"),
        t("Tinggi (m)", "Heights (m)"),
        t("Penguatan (dBi)", "Gains (dBi)"),
        t("Redaman (dB)", "Loss (dB)"),
        t(f"Ruang bebas {t.number(frequency)} MHz (dB)", f"Free space {t.number(frequency)} MHz (dB)"),
        t("Catatan", "Note"),
    )
    return m.filterable(m.table(head, rows, right=(0, 3, 4, 5, 6, 7, 8, 9)), "filterable wide")
