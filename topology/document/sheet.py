"""The whole plan as a workbook (.xlsx); the same plan always gives the same bytes."""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import xlsxwriter

from topology import prefix as px
from topology.document.book import Book
from topology.document.language import NETWORK_ROLES

Cell = str | int | float | datetime.date | None
_FIXED_DATE = datetime.datetime(2000, 1, 1)
HEAD_ROW = 1
"""Row of the headings, counted from 0; the row above says what the sheet is generated from."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading in both languages, its width and the format of its cells."""

    indonesian: str
    english: str
    width: float = 14
    form: str = "text"
    """text, code, whole, real, percent or date."""

    @property
    def heading(self) -> str:
        """Return the text of the heading: Indonesian over English."""
        return self.indonesian if self.indonesian == self.english else f"{self.indonesian}\n{self.english}"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: name, sources, columns and rows."""

    name: str
    sources: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


C = Column


def sheets(book: Book) -> tuple[Sheet, ...]:
    """Return the content of every sheet."""
    return (
        _sites(book),
        _networks(book),
        _hosts(book),
        _links(book),
        _vlans(book),
        _applications(book),
        _registry(book),
    )


def workbook(book: Book) -> bytes:
    """Return the workbook."""
    buffer = io.BytesIO()
    file = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_urls": False})
    facts = book.plan.district.facts
    file.set_properties(
        {
            "title": f"{facts.name}",
            "subject": "topology document",
            "comments": book.revision,
            "created": date_of(book.revision),
        }
    )
    forms = _forms(file)
    for sheet in sheets(book):
        _write(file.add_worksheet(sheet.name), sheet, forms, book)
    file.close()
    return buffer.getvalue()


def date_of(revision: str) -> datetime.datetime:
    """Return the date a revision names (YYYY-MM-DD), or one that never changes."""
    found = re.search(r"\b(\d{4})-(\d{2})-(\d{2})\b", revision)
    if found is None:
        return _FIXED_DATE
    try:
        return datetime.datetime(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return _FIXED_DATE


def generated_from(sheet: Sheet, book: Book) -> str:
    """Return the text of a sheet's first row."""
    files = ", ".join(book.files(sheet.sources)) or f"{book.index.name}/"
    return f"Dibuat otomatis dari / generated from: {files} ({book.revision}). Jangan disunting / do not edit."


def _forms(file: Any) -> dict[str, Any]:
    code = {"font_name": "Consolas", "valign": "top"}
    return {
        "source": file.add_format({"italic": True, "font_color": "#57606A"}),
        "head": file.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#DBE7FB", "bottom": 1}),
        "text": file.add_format({"valign": "top"}),
        "code": file.add_format(code),
        "whole": file.add_format({"num_format": "0", "valign": "top"}),
        "real": file.add_format({"num_format": "#,##0.000", "valign": "top"}),
        "percent": file.add_format({"num_format": "0.0000", "valign": "top"}),
        "date": file.add_format({"num_format": "yyyy-mm-dd", "valign": "top"}),
    }


def _write(into: Any, sheet: Sheet, forms: dict[str, Any], book: Book) -> None:
    into.write_string(0, 0, generated_from(sheet, book), forms["source"])
    writers: list[Callable[..., Any]] = []
    for index, column in enumerate(sheet.columns):
        form = forms[column.form]
        into.set_column(index, index, column.width, form)
        into.write_string(HEAD_ROW, index, column.heading, forms["head"])
        writers.append(_writer(into, column.form, form, index))
    into.set_row(HEAD_ROW, 32)
    for number, row in enumerate(sheet.rows, start=HEAD_ROW + 1):
        for write, cell in zip(writers, row, strict=True):
            if cell is not None and cell != "":
                write(number, cell)
    into.freeze_panes(HEAD_ROW + 1, 2)
    into.autofilter(HEAD_ROW, 0, HEAD_ROW + max(len(sheet.rows), 1), len(sheet.columns) - 1)
    into.set_landscape()
    into.repeat_rows(HEAD_ROW)
    into.fit_to_pages(1, 0)


def _writer(into: Any, kind: str, form: Any, column: int) -> Callable[[int, Any], Any]:
    put = {
        "whole": into.write_number,
        "real": into.write_number,
        "percent": into.write_number,
        "date": into.write_datetime,
    }.get(kind, into.write_string)
    return lambda row, cell: put(row, column, cell, form)


def _families(book: Book, width: float = 26) -> tuple[Column, ...]:
    return tuple(C(f, f, 16 if f == "IPv4" else width, "code") for f in book.families)


def _fill(book: Book, values: Sequence[str]) -> tuple[Cell, ...]:
    return (*values[: len(book.families)], *[None] * (len(book.families) - len(values)))


def _sites(book: Book) -> Sheet:
    columns = (
        C("Lokasi", "Site", 22, "code"),
        C("Nama", "Name", 44),
        C("Jenis", "Kind", 11),
        C("Nomor", "Number", 9, "whole"),
        C("Kecamatan induk", "Parent", 18, "code"),
        *_families(book),
        C("Migrasi", "Migration", 13),
        C("Subdomain", "Subdomain", 18, "code"),
        C("Alamat", "Street address", 30),
        C("Lintang", "Latitude", 11, "percent"),
        C("Bujur", "Longitude", 11, "percent"),
        C("Jaringan", "Networks", 10, "whole"),
        C("Host", "Hosts", 8, "whole"),
        C("Jalur radio (%)", "Radio path (%)", 14, "percent"),
        C("Mbit/s tersempit", "Narrowest Mbit/s", 16, "real"),
    )
    rows = []
    for site in book.plan.sites.values():
        place, data = site.place, site.place.data
        available = book.plan.backbone.availability(site.slug)
        rows.append(
            (
                site.slug,
                data.name,
                place.kind,
                place.number,
                place.parent,
                *_fill(book, site.prefixes),
                data.migration,
                data.subdomain,
                data.address,
                data.latitude,
                data.longitude,
                len(site.networks),
                len(site.hosts),
                available * 100 if available is not None else None,
                book.plan.backbone.throughput(site.slug),
            )
        )
    return Sheet("Sites", ("sites/", "registry.yml"), columns, tuple(rows))


def _networks(book: Book) -> Sheet:
    columns = (
        C("Lokasi", "Site", 22, "code"),
        C("Jaringan", "Network", 13, "code"),
        C("Peran", "Role", 8, "whole"),
        C("VLAN", "VLAN", 8, "whole"),
        *_families(book, 30),
        *(C(f"Reservasi {f}", f"Reserved {f}", 18 if f == "IPv4" else 30, "code") for f in book.families),
        C("DHCP dari", "DHCP from", 16, "code"),
        C("DHCP sampai", "DHCP to", 16, "code"),
        *(C(f"Gateway {f}", f"Gateway {f}", 16 if f == "IPv4" else 28, "code") for f in book.families),
        C("Keterangan", "Description", 36),
    )
    space = book.plan.district.space
    rows = []
    for site in book.plan.sites.values():
        for n in site.networks:
            first = space.host(n.second_octet, n.third_octet, px.DHCP_FIRST)[0] if n.dhcp else None
            last = space.host(n.second_octet, n.third_octet, px.DHCP_LAST)[0] if n.dhcp else None
            rows.append(
                (
                    site.slug,
                    n.name,
                    n.role,
                    n.vlan,
                    *_fill(book, n.prefixes),
                    *_fill(book, n.reserved),
                    first,
                    last,
                    *_fill(book, space.host(n.second_octet, n.third_octet, 1)),
                    n.description,
                )
            )
    return Sheet("Networks", ("sites/", "district.yml", "registry.yml"), columns, tuple(rows))


def _hosts(book: Book) -> Sheet:
    columns = (
        C("Host", "Host", 34, "code"),
        C("Lokasi", "Site", 20, "code"),
        C("Jenis", "Kind", 12),
        C("Platform", "Platform", 11),
        C("Antarmuka", "Interface", 12, "code"),
        C("Jenis antarmuka", "Interface kind", 12),
        C("Jaringan", "Network", 13, "code"),
        C("Tautan", "Link", 30, "code"),
        C("VLAN", "VLAN", 8, "whole"),
        *_families(book, 28),
        C("Alamat bersama", "Shared address", 16, "code"),
        C("MAC", "MAC", 19, "code"),
        C("Hypervisor", "Hypervisor", 16, "code"),
        C("Aplikasi", "Application", 30, "code"),
        C("Keterangan", "Description", 36),
        C("Model", "Model", 20),
        C("Nomor seri", "Serial number", 20, "code"),
        C("Dibeli", "Bought", 12, "date"),
        C("Garansi sampai", "Warranty until", 14, "date"),
        C("Penanggung jawab", "Custodian", 20),
    )
    rows: list[tuple[Cell, ...]] = []
    for host in book.plan.hosts.values():
        asset = host.asset
        owned: tuple[Cell, ...] = (
            (asset.model, asset.serial, asset.bought, asset.warranty_until, asset.custodian) if asset else (None,) * 5
        )
        for i in host.interfaces:
            rows.append(
                (
                    host.name,
                    host.site,
                    host.kind,
                    host.platform,
                    i.name,
                    i.kind,
                    i.network,
                    i.link,
                    i.vlan,
                    *_fill(book, i.addresses),
                    i.shared[0] if i.shared else None,
                    i.mac,
                    host.on,
                    host.application,
                    host.description,
                    *owned,
                )
            )
    return Sheet("Hosts", ("sites/", "apps.yml", "registry.yml"), columns, tuple(rows))


def _links(book: Book) -> Sheet:
    columns = (
        C("Tautan", "Link", 34, "code"),
        C("Jenis", "Kind", 9),
        C("Nomor", "Number", 9, "whole"),
        *_families(book, 30),
        C("Host 1", "Host 1", 24, "code"),
        C("Antarmuka 1", "Interface 1", 12, "code"),
        C("IPv4 1", "IPv4 1", 16, "code"),
        C("Host 2", "Host 2", 24, "code"),
        C("Antarmuka 2", "Interface 2", 12, "code"),
        C("IPv4 2", "IPv4 2", 16, "code"),
        C("Jarak (km)", "Range (km)", 11, "real"),
        C("Mbit/s", "Mbit/s", 11, "real"),
        C("Ketersediaan (%)", "Availability (%)", 14, "percent"),
        C("Redaman (dB)", "Loss (dB)", 11, "real"),
    )
    rows = []
    for link in book.plan.links.values():
        a, b = link.ends
        r = link.radio
        rows.append(
            (
                link.name,
                link.kind,
                link.number,
                *_fill(book, link.prefixes),
                a.host,
                a.interface,
                a.addresses[0],
                b.host,
                b.interface,
                b.addresses[0],
                r.range_km if r else None,
                r.throughput_mbps if r else None,
                r.availability_pct if r else None,
                r.loss_db if r else None,
            )
        )
    return Sheet("Links", ("registry.yml", "backbone.yml", "district.yml"), columns, tuple(rows))


def _vlans(book: Book) -> Sheet:
    counts: dict[tuple[int, str, int], int] = {}
    for site in book.plan.sites.values():
        for n in site.networks:
            key = (n.vlan, n.name, n.role)
            counts[key] = counts.get(key, 0) + 1
    columns = (
        C("VLAN", "VLAN", 8, "whole"),
        C("Jaringan", "Network", 14, "code"),
        C("Peran", "Role", 8, "whole"),
        C("Untuk", "For (Indonesian)", 44),
        C("Untuk (Inggris)", "For", 44),
        C("Lokasi", "Sites", 9, "whole"),
    )
    rows = [(v, n, r, *NETWORK_ROLES.get(n, (n, n)), count) for (v, n, r), count in sorted(counts.items())]
    return Sheet("VLANs", ("district.yml", "sites/"), columns, tuple(rows))


def _applications(book: Book) -> Sheet:
    apps = book.plan.district.apps
    columns = (
        C("Aplikasi", "Application", 36, "code"),
        C("Nama", "Name", 60),
        C("Kelompok", "Group", 46),
        C("Tahun", "Year", 8, "whole"),
        C("Nomor host", "Host number", 9, "whole"),
        C("vCPU", "vCPU", 8, "whole"),
        C("Memori (GB)", "Memory (GB)", 9, "whole"),
        C("Disk (GB)", "Disk (GB)", 9, "whole"),
        C("Pemilik", "Owner", 16, "code"),
        C("Lokasi", "Site", 12, "code"),
        C("Host", "Host", 44, "code"),
        *_families(book),
    )
    rows = []
    for app in apps.applications if apps else ():
        size = app.size or (apps.size if apps else None)
        assert apps is not None and size is not None
        for site in apps.sites:
            host = book.plan.hosts.get(f"{site}-app-{app.slug}")
            if host is not None:
                rows.append(
                    (
                        app.slug,
                        app.name,
                        app.group,
                        app.year,
                        app.number,
                        size.vcpu,
                        size.memory_gb,
                        size.disk_gb,
                        app.owner,
                        site,
                        host.name,
                        *_fill(book, host.interfaces[0].addresses),
                    )
                )
    return Sheet("Applications", ("apps.yml",), columns, tuple(rows))


def _registry(book: Book) -> Sheet:
    columns = (
        C("Bagian", "Section", 12),
        C("Kecamatan", "Kecamatan", 18, "code"),
        C("Nomor", "Number", 9, "whole"),
        C("Nama", "Name", 40, "code"),
        C("Nomor kedua dari", "Extends", 16, "code"),
        C("Berlaku sampai", "Expires", 13, "date"),
        C("Pensiun", "Retired", 13, "date"),
        C("Catatan", "Note", 40),
    )
    return Sheet("Registry", ("registry.yml",), columns, tuple(_registry_rows(book)))


def _registry_rows(book: Book) -> Iterator[tuple[Cell, ...]]:
    registry = book.plan.district.registry
    for section in ("skpd", "kecamatan", "dc"):
        entries: Iterable[Any] = getattr(registry, section)
        for x in entries:
            yield section, None, x.number, x.slug, x.extends, None, x.retired, x.note
    for d in registry.desa:
        yield "desa", d.kecamatan, d.number, d.slug, None, None, d.retired, d.note
    for line in registry.links:
        yield "links", None, line.number, line.name, None, None, line.retired, line.note
    for user in registry.vpn_users:
        yield "vpn_users", None, user.number, user.name, None, user.expires, user.retired, user.note
