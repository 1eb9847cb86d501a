"""The asset register: model, serial number, purchase, warranty and custodian of every device."""

from __future__ import annotations

from collections.abc import Iterable

from topology.allocate import Host
from topology.document import markup as m
from topology.document.book import PHYSICAL, Book, Here, Page
from topology.document.language import DEVICE_KINDS

PATH = "assets.md"


def page(book: Book) -> Page:
    """Return the asset register of the whole district."""
    t, here = book.t, book.here(PATH)
    hosts = [h for h in book.plan.hosts.values() if h.kind in PHYSICAL]
    recorded = sum(1 for h in hosts if h.asset is not None)
    serials = sum(1 for h in hosts if h.asset is not None and h.asset.serial)
    body = m.join(
        t(
            f"{t.number(len(hosts))} perangkat fisik; {t.number(recorded)} mempunyai data aset, "
            f"{t.number(serials)} di antaranya dengan nomor seri. Data aset ditulis di bawah `asset:` pada "
            "perangkat, dalam berkas lokasinya.",
            f"{t.number(len(hosts))} physical devices; {t.number(recorded)} have asset data, "
            f"{t.number(serials)} of them a serial number. Asset data is written under `asset:` of a "
            "device, in its site's file.",
        ),
        m.filterable(asset_table(book, here, hosts, with_site=True)),
    )
    return Page(PATH, t("Daftar aset", "Asset register"), ("sites/",), body, searched=False)


def asset_table(book: Book, here: Here, hosts: Iterable[Host], *, with_site: bool = False) -> str:
    """Return the asset data of devices; what nobody recorded is said to be missing."""
    t = book.t
    missing = f"<em>{t.unrecorded}</em>"
    rows = []
    for host in hosts:
        row = [here.host(host.name)]
        if with_site:
            row.append(here.site(host.site))
        row.append(t.word(DEVICE_KINDS, host.kind))
        a = host.asset
        if a is None:
            row += [missing] * 5 + [""]
        else:
            row += [
                m.text(a.model) if a.model else missing,
                m.code(a.serial) if a.serial else missing,
                a.bought.isoformat() if a.bought else missing,
                a.warranty_until.isoformat() if a.warranty_until else missing,
                m.text(a.custodian) if a.custodian else missing,
                m.text(a.note or ""),
            ]
        rows.append(row)
    head = [t("Perangkat", "Device")]
    if with_site:
        head.append(t("Lokasi", "Site"))
    head += [
        t("Jenis", "Kind"),
        t("Model", "Model"),
        t("Nomor seri", "Serial number"),
        t("Dibeli", "Bought"),
        t("Garansi sampai", "Warranty until"),
        t("Penanggung jawab", "Custodian"),
        t("Catatan", "Note"),
    ]
    return m.table(head, rows) if rows else ""
