"""All devices and virtual machines in one table."""

from __future__ import annotations

from topology.document import markup as m
from topology.document.book import Book, Page
from topology.document.language import DEVICE_KINDS

PATH = "devices.md"


def page(book: Book) -> Page:
    """Return the table of all hosts: a line per address in a LAN and per loopback."""
    t, here = book.t, book.here(PATH)
    rows = []
    for host in book.plan.hosts.values():
        kind, link, site = t.word(DEVICE_KINDS, host.kind), here.host(host.name), here.site(host.site)
        for i in host.interfaces:
            if i.link is not None or not i.addresses or (host.kind == "gateway" and i.kind == "lan"):
                continue  # a gateway stands here once, with its loopback; its networks are on the site's page
            rows.append(
                (
                    link,
                    kind,
                    site,
                    m.code(i.network) if i.network else i.kind,
                    m.code(i.name),
                    *book.cells(i.addresses),
                    m.code(i.mac) if i.mac else "",
                    m.text(host.description or ""),
                )
            )
    head = (
        t("Perangkat", "Device"),
        t("Jenis", "Kind"),
        t("Lokasi", "Site"),
        t("Jaringan", "Network"),
        t("Antarmuka", "Interface"),
        *book.families,
        "MAC",
        t("Keterangan", "Description"),
    )
    body = m.join(
        t(
            f"{t.number(len(book.plan.hosts))} host, satu baris per antarmuka. Gateway tercantum dengan "
            "alamat loopback; alamatnya di setiap jaringan ada di halaman lokasi. Klik judul kolom untuk "
            "mengurutkan.",
            f"{t.number(len(book.plan.hosts))} hosts, one line per interface. Gateways are listed with "
            "their loopback; their addresses in every network are on the site's page. Click a column's "
            "head to sort.",
        ),
        m.filterable(m.table(head, rows), "filterable wide"),
    )
    sources = ("sites/", "apps.yml", "registry.yml")
    return Page(PATH, t("Semua perangkat", "All devices"), sources, body, searched=False)
