"""Where a fact lives: which file to change, and which pages show it."""

from __future__ import annotations

from topology.document import markup as m
from topology.document.book import Book, Page

PATH = "facts.md"


def page(book: Book, present: frozenset[str]) -> Page:
    """Return the page; `present` are the paths of the pages that exist."""
    t, here, district = book.t, book.here(PATH), book.plan.district
    titles = {
        "addresses.md": t("rencana alamat", "address plan"),
        "sites/index.md": t("lokasi", "sites"),
        "devices.md": t("semua perangkat", "all devices"),
        "links.md": t("tautan", "links"),
        "backbone.md": t("jaringan radio", "radio backbone"),
        "vlans.md": t("daftar VLAN", "VLAN list"),
        "applications.md": t("aplikasi", "applications"),
        "services.md": t("layanan", "services"),
        "policy.md": t("kebijakan", "policy"),
        "assets.md": t("daftar aset", "asset register"),
        "registry.md": t("daftar nomor", "numbers registry"),
        "index.md": t("halaman depan", "first page"),
    }
    rows = []
    for what, file, shown in _facts(book):
        pages = ", ".join(here.page(p, titles[p]) for p in shown if p in present)
        rows.append((what, m.code(f"{book.index.name}/{file}"), pages))
    derived = [
        t(
            "alamat, prefiks, nama antarmuka, nomor VLAN: dari nomor permanen",
            "addresses, prefixes, names of interfaces, VLAN ids: from permanent numbers",
        ),
        t(
            "tunnel VPN: dari nomor lokasi dan slot hub",
            "VPN tunnels: from the site's number and the hub's slot",
        ),
        t(
            "alamat IPv6: dari alamat IPv4 dan prefiks kabupaten",
            "IPv6 addresses: from the IPv4 addresses and the district's prefixes",
        ),
    ]
    if district.apps is not None:
        derived.append(
            t(
                "mesin virtual aplikasi: dari daftar aplikasi dan lokasi yang menampungnya",
                "virtual machines of applications: from the list of applications and the sites that carry them",
            )
        )
    body = m.join(
        t(
            "Setiap fakta ditulis sekali saja. Ubah di berkasnya, jalankan `topology check`, lalu buat "
            "ulang halaman ini.",
            "Every fact is written once. Change it in its file, run `topology check`, then make these pages again.",
        ),
        m.table((t("Fakta", "Fact"), t("Ditulis di", "Written in"), t("Terlihat di", "Shown on")), rows),
        "## " + t("Yang tidak ditulis di mana pun", "What is written nowhere"),
        t(
            "Semua ini dihitung, sehingga tidak dapat saling bertentangan:",
            "All of this is computed, so it cannot contradict itself:",
        ),
        m.bullets(derived),
    )
    return Page(PATH, t("Tempat setiap fakta", "Where a fact lives"), ("district.yml",), body)


def _facts(book: Book) -> list[tuple[str, str, tuple[str, ...]]]:
    t, district = book.t, book.plan.district
    kinds = set(book.kinds())
    found: list[tuple[str, str, tuple[str, ...]]] = [
        (
            t(
                "Nama, domain, prefiks, hub, jenis gateway, NTP",
                "Name, domain, prefixes, hubs, kinds of gateways, NTP",
            ),
            "district.yml",
            ("index.md", "addresses.md"),
        ),
        (
            t(
                "Nomor permanen lokasi, tautan, dan pengguna VPN",
                "Permanent numbers of sites, links and VPN users",
            ),
            "registry.yml",
            ("registry.md", "addresses.md"),
        ),
    ]
    if kinds & {"skpd", "hub"}:
        found.append(
            (
                t(
                    "Kantor: nama, uplink, jaringan, perangkat, aset, migrasi",
                    "An office: name, uplinks, networks, devices, assets, migration",
                ),
                "sites/skpd/<slug>.yml",
                ("sites/index.md", "devices.md", "assets.md"),
            )
        )
    if kinds & {"kecamatan", "desa"}:
        found.append(
            (
                t("Kecamatan dan desanya", "A kecamatan and its villages"),
                "sites/kecamatan/<slug>.yml",
                ("sites/index.md", "devices.md", "assets.md"),
            )
        )
    if kinds & {"dc", "drc"}:
        found.append(
            (
                t(
                    "Pusat data dan DRC: server, hypervisor, NAS",
                    "Data centre and DR sites: servers, hypervisors, NAS",
                ),
                "sites/dc/<slug>.yml",
                ("sites/index.md", "devices.md", "assets.md"),
            )
        )
    if district.backbone.links:
        found.append(
            (
                t(
                    "Tautan radio: ujung, jarak, throughput, ketersediaan",
                    "Radio links: ends, range, throughput, availability",
                ),
                "backbone.yml",
                ("backbone.md", "links.md"),
            )
        )
    if district.apps is not None:
        found.append(
            (
                t(
                    "Aplikasi: kelompok, tahun, nomor host, ukuran",
                    "Applications: group, year, host number, size",
                ),
                "apps.yml",
                ("applications.md",),
            )
        )
    if district.services:
        found.append(
            (
                t("Layanan: host, port, nama tetap", "Services: hosts, ports, stable name"),
                "services/<nama>.yml" if t.code == "id" else "services/<name>.yml",
                ("services.md",),
            )
        )
    found.append((t("Zona dan arus yang diizinkan", "Zones and permitted flows"), "policy.yml", ("policy.md",)))
    return found
