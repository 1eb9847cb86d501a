"""The first page: what this is, how much there is, how to read it, what the check warns of."""

from __future__ import annotations

from collections import Counter

from topology.document import markup as m
from topology.document.book import Book, Here, Page
from topology.document.language import DEVICE_KINDS, LINK_KINDS, SITE_KIND_PLURALS


def page(book: Book, pages: tuple[tuple[str, str, str], ...]) -> Page:
    """Return the first page; `pages` are path, title and purpose of the others."""
    t, plan, here = book.t, book.plan, book.here("index.md")
    facts = plan.district.facts
    title = t(f"Dokumentasi jaringan {facts.name}", f"Network documentation of {facts.name}")
    body = m.join(
        t(
            "Catatan dan peta seluruh jaringan: alamat setiap perangkat, setiap tautan, setiap aplikasi. "
            "Semua halaman dihitung dari berkas inventaris yang juga menghasilkan konfigurasi perangkat, "
            "sehingga dokumentasi dan jaringan berasal dari sumber yang sama.",
            "Records and maps of the whole network: the address of every device, every link, every "
            "application. All pages are computed from the inventory files that the devices' configuration "
            "is made from as well, so the documentation and the network come from one source.",
        ),
        _identity(book),
        "## " + t("Isi dokumentasi", "What is here"),
        m.table(
            (t("Halaman", "Page"), t("Untuk apa", "What for")),
            [(here.page(path, m.text(name)), purpose) for path, name, purpose in pages]
            + [
                (
                    "[plan.xlsx](plan.xlsx)",
                    t("seluruh rencana sebagai lembar kerja", "the whole plan as a workbook"),
                )
            ],
        ),
        "## " + t("Jumlah", "Counts"),
        _counts(book),
        "## " + t("Peringatan pemeriksaan", "Warnings of the check"),
        _warnings(book),
        "## " + t("Cara membaca", "How to read it"),
        _reading(book, here),
        ("## " + t("Catatan kabupaten", "Notes on the district") + "\n\n" + m.bullets(map(m.text, facts.notes)))
        if facts.notes
        else "",
    )
    return Page("index.md", title, ("district.yml", "registry.yml"), body)


def _identity(book: Book) -> str:
    t, facts = book.t, book.plan.district.facts
    here = book.here("index.md")
    rows = [(t("Revisi inventaris", "Revision of the inventory"), m.code(book.revision))]
    for name, value in (
        (t("Provinsi", "Province"), facts.province),
        (t("Kode wilayah", "Area code"), facts.code),
        (t("Ibu kota", "Capital"), facts.capital),
        (t("Domain", "Domain"), facts.domain),
        (t("Zona waktu", "Time zone"), facts.timezone),
        (t("Kontak", "Contact"), facts.contact),
    ):
        if value is not None:
            rows.append((name, m.text(value)))
    if facts.operator:
        rows.append((t("Pengelola", "Operator"), here.site(facts.operator)))
    rows.append((t("Prefiks", "Prefixes"), book.stacked(book.plan.district.space.aggregates)))
    return m.facts(rows, (t("Hal", "What"), t("Isi", "Value")))


def _counts(book: Book) -> str:
    t, plan = book.t, book.plan
    planned = plan.district.facts.planned
    expected: dict[str, int | None] = {
        "skpd": planned.skpd,
        "kecamatan": planned.kecamatan,
        "desa": planned.desa,
    }
    rows: list[tuple[str, str, str]] = []
    for kind in SITE_KIND_PLURALS:
        found = len(book.index.by_kind.get(kind, ()))
        if found or expected.get(kind):
            rows.append(_count(book, t.word(SITE_KIND_PLURALS, kind), found, expected.get(kind)))
    kinds = Counter(link.kind for link in plan.links.values())
    for kind in ("radio", "leased", "tunnel"):
        wanted = planned.radio_links if kind == "radio" else None
        if kinds[kind] or wanted:
            word = t.word(LINK_KINDS, kind)
            rows.append(_count(book, t(f"Tautan {word}", f"Links: {word}"), kinds[kind], wanted))
    apps = plan.district.apps
    if apps or planned.applications:
        have = len(apps.applications) if apps else 0
        rows.append(_count(book, t("Aplikasi", "Applications"), have, planned.applications))
    rows.append(
        _count(
            book,
            t("Semua perangkat dan mesin virtual", "All devices and virtual machines"),
            len(plan.hosts),
            None,
        )
    )
    head = (
        t("Apa", "What"),
        t("Dalam inventaris", "In the inventory"),
        t("Dalam rencana induk", "In the master plan"),
    )
    devices = Counter(h.kind for h in plan.hosts.values())
    by_kind = m.table(
        (t("Jenis perangkat", "Kind of device"), t("Jumlah", "Count")),
        [(t.word(DEVICE_KINDS, k), t.number(n)) for k, n in sorted(devices.items(), key=lambda i: (-i[1], i[0]))],
        right=(1,),
    )
    return m.join(m.table(head, rows, right=(1, 2)), by_kind)


def _count(book: Book, name: str, found: int, planned: int | None) -> tuple[str, str, str]:
    shown = "" if planned is None else book.t.number(planned)
    if planned is not None and planned != found:
        shown = f"**{shown}**"
    return name, book.t.number(found), shown


def _warnings(book: Book) -> str:
    t = book.t
    if not book.warnings:
        return t("Tidak ada: `topology check` tidak menemukan apa pun.", "None: `topology check` found nothing.")
    title = t(f"{len(book.warnings)} peringatan", f"{len(book.warnings)} warnings")
    return m.note("warning", title, m.bullets(map(m.text, book.warnings)))


def _reading(book: Book, here: Here) -> str:
    t = book.t
    families = t(
        "**ULA** adalah alamat IPv6 milik sendiri yang tidak dirutekan di internet",
        "**ULA** are IPv6 addresses of one's own that are not routed on the internet",
    )
    if "GUA" in book.families:
        families += t(
            ", **GUA** alamat IPv6 yang dapat dicapai dari internet",
            ", **GUA** are IPv6 addresses reachable from the internet",
        )
    return m.bullets(
        [
            t("Mencari satu perangkat: ", "Looking for one device: ")
            + here.page("devices.md", t("semua perangkat", "all devices"))
            + t(
                ", ketik nama, alamat, atau MAC di kotak saringan.",
                ", type its name, address or MAC in the filter.",
            ),
            t("Datang ke satu kantor: ", "Coming to one office: ")
            + here.page("sites/index.md", t("lokasi", "sites"))
            + t(
                ", halaman kantor itu memuat semuanya di satu tempat.",
                ", its page has everything in one place.",
            ),
            t(
                "Setiap alamat IPv4 dan IPv6 perangkat berakhir dengan nomor yang sama. ",
                "The IPv4 and IPv6 addresses of a device end in the same number. ",
            )
            + families
            + ".",
            t(
                "Nama host adalah nama lokasi, tanda hubung, nama perangkat: ",
                "A host's name is its site's name, a hyphen and the device's name: ",
            )
            + _example_name(book)
            + ".",
            t(
                "Ada yang salah? Jangan menyunting halaman ini; ",
                "Something is wrong? Do not edit these pages; ",
            )
            + here.page(
                "facts.md",
                t("ubah berkas tempat fakta itu ditulis", "change the file where the fact is written"),
            )
            + ".",
        ]
    )


def _example_name(book: Book) -> str:
    host = next((h for h in book.plan.hosts.values() if h.kind != "gateway"), None)
    host = host or next(iter(book.plan.hosts.values()))
    return m.code(host.name)
