"""All files of the documentation, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from topology.allocate import Plan
from topology.document import (
    addresses,
    applications,
    assets,
    backbone,
    devices,
    drift,
    facts,
    home,
    links,
    policy,
    registry,
    services,
    site,
    sites,
    vlans,
)
from topology.document.book import Book, Index, Page, index_of, render
from topology.document.drawing import alone
from topology.document.language import LANGUAGES, Language
from topology.document.sheet import workbook
from topology.document.site_config import config, file_of
from topology.document.tree_drawing import tree_drawing
from topology.drift.history import Standing

THEME = Path(__file__).parent / "theme"
"""Style sheet, scripts and templates that every documentation gets."""


def files(
    plan: Plan, *, warnings: Mapping[str, Sequence[str]], revision: str, standing: Standing | None = None
) -> dict[str, bytes]:
    """Return every file of the documentation by its path below the output folder."""
    index = index_of(plan)
    found: dict[str, bytes] = {}
    for language in LANGUAGES:
        book = Book(index, language, revision, _clean(warnings[language.code], index))
        for path, text in tree(book, standing).items():
            found[path] = text.encode()
    sheet = workbook(Book(index, LANGUAGES[0], revision))
    for folder in ("docs", *(f"docs/{language.code}" for language in LANGUAGES)):
        found[f"{folder}/plan.xlsx"] = sheet
    for file in sorted(THEME.rglob("*")):
        if file.is_file():
            found[f"theme/{file.relative_to(THEME)}"] = file.read_bytes()
    return found


def _clean(warnings: Sequence[str], index: Index) -> tuple[str, ...]:
    """Return warnings with the inventory's name instead of the way to it on this machine."""
    root = index.plan.district.root.rstrip("/") + "/"
    return tuple(f"{index.name}/{w.removeprefix(root)}" if w.startswith(root) else w for w in warnings)


def tree(book: Book, standing: Standing | None = None) -> dict[str, str]:
    """Return one language's pages, drawings and configuration by path."""
    made = pages(book, standing)
    found = {f"docs/{book.t.code}/{p.path}": render(p, book) for p in made}
    picture = tree_drawing(book.plan, book.t, up="../")
    if picture is not None:
        found[f"docs/{book.t.code}/{backbone.IMAGE}"] = alone(picture)
    found[file_of(book.t)] = config(book, {p.path: p.title for p in made})
    return found


def pages(book: Book, standing: Standing | None = None) -> list[Page]:
    """Return one language's pages in the order of the navigation."""
    listed: list[Page | None] = [
        addresses.page(book),
        sites.page(book),
        devices.page(book),
        links.page(book),
        backbone.page(book),
        vlans.page(book),
        applications.page(book),
        services.page(book),
        policy.page(book),
        assets.page(book),
        registry.page(book),
        drift.page(book, standing),
    ]
    general = [p for p in listed if p is not None]
    present = frozenset({"index.md", facts.PATH, *(p.path for p in general)})
    general.append(facts.page(book, present))
    purposes = _purposes(book.t)
    first = home.page(book, tuple((p.path, p.title, purposes[p.path]) for p in general))
    return [first, *general, *site.pages(book)]


def _purposes(t: Language) -> dict[str, str]:
    return {
        "addresses.md": t(
            "aturan dari nomor ke alamat IPv4 dan IPv6, contoh, semua prefiks",
            "the rule from numbers to IPv4 and IPv6 addresses, examples, all prefixes",
        ),
        "sites/index.md": t(
            "satu halaman per kantor, kecamatan, desa, dan pusat data",
            "one page per office, kecamatan, village and data centre",
        ),
        "devices.md": t(
            "satu tabel yang dapat disaring menurut nama, alamat, atau MAC",
            "one table to filter by name, address or MAC",
        ),
        "links.md": t(
            "radio, saluran sewa, dan tunnel VPN dengan kedua ujungnya",
            "radio, leased lines and VPN tunnels with both ends",
        ),
        "backbone.md": t(
            "gambar pohon radio, ketersediaan dan throughput setiap jalur",
            "drawing of the radio tree, availability and throughput of every path",
        ),
        "vlans.md": t("nomor VLAN dan pemakaiannya", "VLAN ids and their use"),
        "applications.md": t(
            "aplikasi menurut kelompok dan tahun, dengan alamat mesin virtualnya",
            "applications by group and year, with the addresses of their virtual machines",
        ),
        "services.md": t("layanan bersama: host, port, nama tetap", "shared services: hosts, ports, stable names"),
        "policy.md": t(
            "zona, layanan, dan siapa boleh membuka sambungan ke mana",
            "zones, services, and who may open connections to whom",
        ),
        "assets.md": t("model, nomor seri, garansi, penanggung jawab", "model, serial number, warranty, custodian"),
        "registry.md": t(
            "nomor permanen yang sudah diberikan, yang pensiun, dan yang bebas berikutnya",
            "permanent numbers given, retired, and next free",
        ),
        "drift.md": t(
            "apa yang berbeda dari rencana di perangkat, dan sejak kapan",
            "what differs from the plan on the hosts, and since when",
        ),
        "facts.md": t("berkas yang harus diubah bila sesuatu berubah", "the file to change when something changes"),
    }
