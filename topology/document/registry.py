"""The registry of permanent numbers: given, retired, and next free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from topology.document import markup as m
from topology.document.book import Book, Here, Page
from topology.document.language import Language
from topology.rules.registry import free
from topology.schema import DesaLine, LinkLine, NumberLine, UserLine

PATH = "registry.md"


def page(book: Book) -> Page:
    """Return the page of the registry."""
    t, here, registry = book.t, book.here(PATH), book.plan.district.registry
    blocks = [
        t(
            "Nomor yang sudah diberikan tidak pernah dipakai ulang: baris yang tidak berlaku lagi tetap ada "
            "dengan tanggal pensiunnya. `topology next` mengusulkan baris baru.",
            "A number that was given is never given again: a line that no longer holds stays, with the date "
            "it was retired. `topology next` proposes new lines.",
        )
    ]
    for section, title in (
        ("skpd", t("Kantor (SKPD)", "Offices (SKPD)")),
        ("kecamatan", "Kecamatan"),
        ("dc", t("Pusat data dan DRC", "Data centres and DR sites")),
    ):
        entries: Sequence[NumberLine] = getattr(registry, section)
        blocks += ["## " + title, _next(t, [x.number for x in entries], section)]
        if entries:
            blocks.append(_numbers(t, here, entries))
    blocks += ["## " + t("Desa/kelurahan", "Villages (desa/kelurahan)"), _desa(t, here, registry.desa)]
    blocks += [
        "## " + t("Tautan radio dan saluran sewa", "Radio links and leased lines"),
        _next(t, [x.number for x in registry.links], "links"),
    ]
    if registry.links:
        blocks.append(_links(t, here, registry.links))
    blocks += [
        "## " + t("Pengguna VPN", "VPN users"),
        _next(t, [x.number for x in registry.vpn_users], "vpn_users"),
    ]
    if registry.vpn_users:
        blocks.append(_users(book, registry.vpn_users))
    return Page(PATH, t("Daftar nomor", "Numbers registry"), ("registry.yml",), m.join(*blocks))


def _next(t: Language, used: list[int], section: str) -> str:
    number = free(used, section)
    if number is None:
        return t("Semua nomor sudah diberikan.", "All numbers were given.")
    return t(f"Nomor bebas berikutnya: **{number}**", f"Next free number: **{number}**")


def _state(t: Language, line: NumberLine | DesaLine | LinkLine | UserLine) -> str:
    if line.retired is None:
        return t("berlaku", "in use")
    return t(f"pensiun sejak {t.date(line.retired)}", f"retired on {t.date(line.retired)}")


def _numbers(t: Language, here: Here, entries: Iterable[NumberLine]) -> str:
    rows = []
    for x in sorted(entries, key=lambda e: e.number):
        note = m.text(x.note or "")
        if x.extends:
            note = t(f"nomor kedua {here.site(x.extends)}", f"second number of {here.site(x.extends)}") + f" {note}"
        shown = m.text(x.slug) if x.retired else here.site(x.slug)
        rows.append((str(x.number), shown, m.code(x.slug), _state(t, x), note))
    head = (
        t("Nomor", "Number"),
        t("Lokasi", "Site"),
        t("Nama pendek", "Short name"),
        t("Keadaan", "State"),
        t("Catatan", "Note"),
    )
    return m.table(head, rows, right=(0,))


def _desa(t: Language, here: Here, entries: Iterable[DesaLine]) -> str:
    by_kecamatan: dict[str, list[DesaLine]] = {}
    for line in entries:
        by_kecamatan.setdefault(line.kecamatan, []).append(line)
    if not by_kecamatan:
        return t("Belum ada yang terdaftar.", "None is registered yet.")
    rows = []
    for kecamatan in sorted(by_kecamatan):
        for x in sorted(by_kecamatan[kecamatan], key=lambda e: e.number):
            shown = m.text(x.slug) if x.retired else here.site(x.slug)
            rows.append((here.site(kecamatan), str(x.number), shown, _state(t, x), m.text(x.note or "")))
    head = (
        "Kecamatan",
        t("Nomor", "Number"),
        t("Desa/kelurahan", "Village"),
        t("Keadaan", "State"),
        t("Catatan", "Note"),
    )
    nexts = []
    for kecamatan in sorted(by_kecamatan):
        number = free([x.number for x in by_kecamatan[kecamatan]], "desa")
        nexts.append((here.site(kecamatan), str(number) if number is not None else t("habis", "none left")))
    return m.join(
        m.table(("Kecamatan", t("Nomor bebas berikutnya", "Next free number")), nexts, right=(1,)),
        m.filterable(m.table(head, rows, right=(1,))),
    )


def _links(t: Language, here: Here, entries: Iterable[LinkLine]) -> str:
    rows = []
    for x in sorted(entries, key=lambda e: e.number):
        known = x.name in here.plan.links
        shown = here.page(f"links.md#link-{x.name}", m.text(x.name)) if known else m.text(x.name)
        rows.append((str(x.number), shown, _state(t, x), m.text(x.note or "")))
    head = (t("Nomor", "Number"), t("Tautan", "Link"), t("Keadaan", "State"), t("Catatan", "Note"))
    return m.table(head, rows, right=(0,))


def _users(book: Book, entries: Iterable[UserLine]) -> str:
    t, space = book.t, book.plan.district.space
    slots = [h.hub_slot or 0 for h in book.index.slots.values()]
    rows = []
    for x in sorted(entries, key=lambda e: e.number):
        until = t.date(x.expires) if x.expires else ""
        addresses = [f"{space.first_octet}.253.{slot}.{x.number}" for slot in slots]
        rows.append(
            (
                str(x.number),
                m.text(x.name),
                m.lines(map(m.code, addresses)),
                until,
                _state(t, x),
                m.text(x.note or ""),
            )
        )
    head = (
        t("Nomor", "Number"),
        t("Pengguna", "User"),
        "IPv4",
        t("Berlaku sampai", "Valid until"),
        t("Keadaan", "State"),
        t("Catatan", "Note"),
    )
    return m.table(head, rows, right=(0,))
