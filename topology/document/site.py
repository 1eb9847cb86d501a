"""One page per site: everything a technician needs on the spot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from topology import prefix as px
from topology.allocate import Host, Interface, Link, SitePlan
from topology.bandwidth import UNKNOWN, shares
from topology.document import markup as m
from topology.document.assets import asset_table
from topology.document.book import PHYSICAL, Book, Here, Page
from topology.document.lan_drawing import lan_drawing
from topology.document.language import (
    DEVICE_KINDS,
    INTERFACE_KINDS,
    LINK_KINDS,
    MIGRATION,
    NETWORK_ROLES,
    SITE_KINDS,
    Language,
)
from topology.document.switches import switches
from topology.routing import autonomous_system

MINUTES_PER_YEAR = 365.25 * 24 * 60


def pages(book: Book) -> Iterator[Page]:
    """Yield the page of every site."""
    for site in book.plan.sites.values():
        yield page(book, site)


def page(book: Book, site: SitePlan) -> Page:
    """Return the page of one site."""
    t, here = book.t, book.here(f"sites/{site.slug}.md")
    gateways = [h for h in site.hosts if h.kind == "gateway"]
    guests = [h for h in site.hosts if h.application is not None]
    devices = [h for h in site.hosts if h.kind != "gateway" and h.application is None]
    links = [(h, x) for h in gateways for x in book.index.links_of_host.get(h.name, ())]
    body = m.join(
        _facts(book, here, site),
        lan_drawing(site, t),
        _section(t("Jaringan", "Networks"), _networks(book, site)),
        _section(t("Jalur ke pusat jaringan radio", "Path to the hub"), _path(book, here, site)),
        "## Gateway" if t.code == "id" else "## Gateways",
        *(_gateway(book, host) for host in gateways),
        _section(t("Perangkat", "Devices"), _devices(book, here, devices)),
        _section(t("Port switch", "Switch ports"), switches(book, site)),
        _section(t("Mesin virtual aplikasi", "Virtual machines of applications"), _guests(book, here, guests)),
        _section(t("Tautan", "Links"), _links(book, here, links)),
        _section(t("Desa dan kelurahan", "Villages"), _villages(book, here, site)),
        _section(t("Layanan di sini", "Services here"), _services(book, here, site)),
        _section(t("Aset", "Assets"), asset_table(book, here, [h for h in site.hosts if h.kind in PHYSICAL])),
        _section(t("Prefiks lama", "Legacy prefixes"), _legacy(book, site)),
        _section(t("Catatan", "Notes"), m.bullets(map(m.text, site.place.data.notes))),
    )
    sources = [site.place.where.file, "district.yml", "registry.yml"]
    if any(x.radio for _, x in links):
        sources.append("backbone.yml")
    if guests:
        sources.append("apps.yml")
    if book.plan.district.devices is not None:
        sources.append("devices.yml")
    return Page(here.path, site.place.data.name, tuple(sources), body)


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _facts(book: Book, here: Here, site: SitePlan) -> str:
    t, place, data = book.t, site.place, site.place.data
    kind = t.word(SITE_KINDS, place.kind)
    rows = [(t("Jenis", "Kind"), kind), (t("Nama pendek", "Short name"), m.code(place.slug))]
    if data.aka:
        rows.append((t("Juga disebut", "Also known as"), m.text(data.aka)))
    if place.parent:
        rows.append((t("Kecamatan", "Kecamatan"), here.site(place.parent)))
    rows.append((t("Nomor permanen", "Permanent number"), str(place.number)))
    rows.append((t("Prefiks", "Prefixes"), book.stacked(site.prefixes)))
    rows.append((t("Migrasi IPv6", "IPv6 migration"), m.text(t.word(MIGRATION, data.migration))))
    domain = book.plan.district.facts.domain
    if place.kind != "desa" or data.subdomain:
        rows.append((t("Subdomain", "Subdomain"), m.code(f"{data.subdomain or place.slug}.{domain}")))
    city = getattr(data, "city", None)
    if city:
        rows.append((t("Kota", "City"), m.text(city)))
    rows.append((t("Alamat", "Street address"), m.text(data.address) if data.address else _unrecorded(t)))
    if data.latitude is not None and data.longitude is not None:
        where = f"{t.number(data.latitude, 5)}; {t.number(data.longitude, 5)}"
    else:
        where = _unrecorded(t)
    rows.append((t("Koordinat", "Coordinates"), where))
    rows.append((t("Internet publik", "Public internet access"), t.yes(data.public_access)))
    rows.append(("Uplink" if t.code == "id" else "Uplinks", _uplinks(book, site)))
    rows.append((t("Nomor AS", "AS number"), str(autonomous_system(place))))
    share = shares(book.plan).get(place.slug, UNKNOWN)
    if share.guaranteed_up is not None and share.ceiling_up is not None:
        for name, up, down in (
            (t("Pita terjamin", "Guaranteed bandwidth"), share.guaranteed_up, share.guaranteed_down),
            (t("Pita maksimum", "Most bandwidth"), share.ceiling_up, share.ceiling_down),
        ):
            rows.append(
                (name, f"{t.number(up, 1)} / {t.number(down or 0.0, 1)} Mbit/s {t('(naik / turun)', '(up / down)')}")
            )
    return m.facts(rows, (t("Hal", "What"), t("Isi", "Value")))


def _unrecorded(t: Language) -> str:
    return f"<em>{t.unrecorded}</em>"


def _uplinks(book: Book, site: SitePlan) -> str:
    t = book.t
    shown = []
    for uplink in site.place.data.uplinks:
        parts = [f"**{uplink.name}** ({t.word(LINK_KINDS, uplink.kind)})"]
        parts.append(f"{t('penyedia', 'provider')} {m.text(uplink.provider) if uplink.provider else _unrecorded(t)}")
        if uplink.down_mbps or uplink.up_mbps:
            down, up = (t.number(r) if r else "?" for r in (uplink.down_mbps, uplink.up_mbps))
            parts.append(f"{down}/{up} Mbit/s")
        else:
            parts.append(f"{t('kecepatan', 'rate')} {_unrecorded(t)}")
        if uplink.address:
            router = f", router {m.code(uplink.router)}" if uplink.router else ""
            parts.append(t("alamat statis ", "static address ") + m.code(uplink.address) + router)
        else:
            parts.append(t("alamat dari penyedia (DHCP)", "address from the provider (DHCP)"))
        if uplink.note:
            parts.append(m.text(uplink.note))
        shown.append("; ".join(parts))
    return m.lines(shown) or t("tidak ada", "none")


def _networks(book: Book, site: SitePlan) -> str:
    t, space = book.t, book.plan.district.space
    rows = []
    for network in site.networks:
        s, third = network.second_octet, network.third_octet
        role = network.description or t.word(NETWORK_ROLES, network.name)
        dhcp = m.code(f".{px.DHCP_FIRST}–.{px.DHCP_LAST}") if network.dhcp else t("tidak", "none")
        same = network.reserved == network.prefixes
        rows.append(
            (
                f"{m.code(network.name)}<br>{m.text(role)}",
                str(network.vlan),
                book.stacked(network.prefixes),
                book.stacked(space.host(s, third, 1)),
                dhcp,
                t("sama dengan prefiks", "same as the prefixes") if same else book.stacked(network.reserved),
            )
        )
    head = (
        t("Jaringan", "Network"),
        "VLAN",
        t("Prefiks", "Prefixes"),
        t("Alamat gateway", "Gateway address"),
        t("Rentang DHCP", "DHCP range"),
        t("Reservasi", "Reserved"),
    )
    return m.table(head, rows, right=(1,))


def _gateway(book: Book, host: Host) -> str:
    t = book.t
    words = [t.word(DEVICE_KINDS, host.kind), host.platform]
    if host.profile and host.profile.description:
        words.append(m.text(host.profile.description))
    if host.hub_slot:
        words.append(t(f"hub, slot {host.hub_slot}", f"hub, slot {host.hub_slot}"))
    if host.member:
        words.append(t(f"anggota pasangan (.{host.member})", f"member of a pair (.{host.member})"))
    pair = any(i.shared for i in host.interfaces)
    rows = []
    for i in host.interfaces:
        if i.link is not None:
            continue
        what = m.code(i.network) if i.network else ""
        if i.uplink is not None:
            what = m.text(i.uplink.name)
        addresses = book.cells(i.addresses)
        if i.kind == "uplink" and not i.addresses:
            addresses[0] = "DHCP"
        if pair:
            addresses = [book.stacked(i.addresses) or addresses[0], book.stacked(i.shared)]
        rows.append(
            (
                m.code(i.name) if i.name else "",
                t.word(INTERFACE_KINDS, i.kind),
                what,
                str(i.vlan or ""),
                *addresses,
            )
        )
    columns = (t("Alamat sendiri", "Own addresses"), t("Alamat bersama", "Shared addresses"))
    head = (
        t("Antarmuka", "Interface"),
        t("Jenis", "Kind"),
        t("Jaringan", "Network"),
        "VLAN",
        *(columns if pair else book.families),
    )
    more = t("Antarmuka radio dan tunnel ada di bagian Tautan.", "Radio and tunnel interfaces are under Links.")
    if not any(i.link for i in host.interfaces):
        more = ""
    return m.join(
        f"### {host.name} {{ #{host.name} }}",
        ", ".join(w for w in words if w) + ". " + more,
        m.table(head, rows, right=(3,)),
    )


def _mac(t: Language, interface: Interface) -> str:
    if interface.mac:
        return m.code(interface.mac)
    return _unrecorded(t)


def _devices(book: Book, here: Here, hosts: list[Host]) -> str:
    t = book.t
    rows = []
    for host in hosts:
        kind = t.word(DEVICE_KINDS, host.kind) + (f" ({host.platform})" if host.managed else "")
        for number, i in enumerate(host.interfaces):
            rows.append(
                (
                    m.anchor(host.name) if number == 0 else host.name,
                    kind,
                    m.code(i.name),
                    m.code(i.network or ""),
                    book.stacked(i.addresses),
                    _mac(t, i),
                    _runs_on(t, here, host),
                    m.text(host.description or ""),
                )
            )
    head = (
        t("Perangkat", "Device"),
        t("Jenis", "Kind"),
        t("Antarmuka", "Interface"),
        t("Jaringan", "Network"),
        t("Alamat", "Addresses"),
        "MAC",
        t("Berjalan di", "Runs on"),
        t("Keterangan", "Description"),
    )
    return _trimmed(head, rows, (6, 7))


def _runs_on(t: Language, here: Here, host: Host) -> str:
    if host.kind != "guest":
        return ""
    if host.on is None:
        return _unrecorded(t)
    return here.host(f"{host.site}-{host.on}", host.on)


def _trimmed(head: Sequence[str], rows: Sequence[Sequence[str]], optional: tuple[int, ...]) -> str:
    """Return a table to filter, without those optional columns that are empty in every row."""
    kept = [i for i in range(len(head)) if i not in optional or any(row[i] for row in rows)]
    return m.filterable(m.table([head[i] for i in kept], [[row[i] for i in kept] for row in rows])) if rows else ""


def _guests(book: Book, here: Here, hosts: list[Host]) -> str:
    t = book.t
    rows = []
    for host in hosts:
        i = host.interfaces[0]
        rows.append(
            (
                m.anchor(host.name),
                here.page("applications.md", m.text(host.description or "")),
                m.code(i.name),
                m.code(i.network or ""),
                book.stacked(i.addresses),
                _mac(t, i),
                _runs_on(t, here, host),
            )
        )
    head = (
        t("Mesin virtual", "Virtual machine"),
        t("Aplikasi", "Application"),
        t("Antarmuka", "Interface"),
        t("Jaringan", "Network"),
        t("Alamat", "Addresses"),
        "MAC",
        t("Berjalan di", "Runs on"),
    )
    return m.filterable(m.table(head, rows)) if rows else ""


def _links(book: Book, here: Here, links: list[tuple[Host, Link]]) -> str:
    t = book.t
    order = {"radio": 0, "leased": 1, "tunnel": 2}
    rows: list[tuple[str, ...]] = []
    for host, link in sorted(links, key=lambda x: (order.get(x[1].kind, 9), x[1].number, x[0].name)):
        near, far = link.end_of(host.name), link.far_end(host.name)
        radio = link.radio
        rows.append(
            (
                m.text(link.name),
                t.word(LINK_KINDS, link.kind),
                f"{host.short} {m.code(near.interface)}<br>{book.stacked(near.addresses)}",
                f"{here.host(far.host)} {m.code(far.interface)}<br>{book.stacked(far.addresses)}",
                t.number(radio.range_km) if radio and radio.range_km else "",
                t.number(radio.throughput_mbps) if radio and radio.throughput_mbps else "",
                f"{t.number(radio.availability_pct, 4)} %" if radio and radio.availability_pct else "",
            )
        )
    head = (
        t("Tautan", "Link"),
        t("Jenis", "Kind"),
        t("Ujung sini", "This end"),
        t("Ujung seberang", "Far end"),
        "km",
        "Mbit/s",
        t("Ketersediaan", "Availability"),
    )
    figures = any(row[4] or row[5] or row[6] for row in rows)
    shown = len(head) if figures else 4
    table = m.table(head[:shown], [row[:shown] for row in rows], right=(4, 5, 6))
    return (m.filterable(table) if len(rows) > 6 else table) if rows else ""


def _path(book: Book, here: Here, site: SitePlan) -> str:
    t, backbone = book.t, book.plan.backbone
    path = backbone.path(site.slug)
    if len(path) < 2:
        return ""
    rows = []
    for hop, (near, far) in enumerate(pairwise(path), start=1):
        link = backbone.uplink[near]
        rows.append(
            (
                str(hop),
                f"{here.site(near)} → {here.site(far)}",
                m.text(link.name),
                t.number(link.range_km) if link.range_km else "",
                t.number(link.throughput_mbps) if link.throughput_mbps else "",
                f"{t.number(link.availability_pct, 4)} %" if link.availability_pct else "",
            )
        )
    summary = []
    available = backbone.availability(site.slug)
    if available is not None:
        minutes = (1 - available) * MINUTES_PER_YEAR
        summary.append(
            t(
                f"ketersediaan jalur **{t.number(available * 100, 4)} %** (hasil kali; sekitar "
                f"{t.number(minutes, 0)} menit terputus setahun)",
                f"availability of the path **{t.number(available * 100, 4)} %** (product; about "
                f"{t.number(minutes, 0)} minutes a year without it)",
            )
        )
    rate = backbone.throughput(site.slug)
    if rate is not None:
        summary.append(
            t(
                f"throughput tersempit **{t.number(rate)} Mbit/s**",
                f"narrowest throughput **{t.number(rate)} Mbit/s**",
            )
        )
    below = backbone.below(site.slug)
    if below:
        named = ", ".join(here.site(s) for s in below)
        summary.append(t(f"bergantung pada lokasi ini: {named}", f"depend on this site: {named}"))
    head = ("#", t("Lompatan", "Hop"), t("Tautan", "Link"), "km", "Mbit/s", t("Ketersediaan", "Availability"))
    return m.join(m.table(head, rows, right=(3, 4, 5)), m.bullets(summary))


def _villages(book: Book, here: Here, site: SitePlan) -> str:
    t = book.t
    if site.place.kind != "kecamatan":
        return ""
    villages = book.index.villages.get(site.slug, ())
    if not villages:
        return t("Belum ada desa atau kelurahan yang terdaftar.", "No village is registered yet.")
    width = len(book.families)
    rows = [
        (
            str(v.place.number),
            here.site(v.slug),
            *book.cells(v.prefixes[:width]),
            m.code(v.place.data.migration),
        )
        for v in villages
    ]
    head = (
        t("Nomor", "Number"),
        t("Desa/kelurahan", "Village"),
        *book.families,
        t("Migrasi IPv6", "IPv6 migration"),
    )
    return m.table(head, rows, right=(0,))


def _services(book: Book, here: Here, site: SitePlan) -> str:
    rows = [
        here.page(f"services.md#{name}", m.text(service.description)) + f": {here.host(host.name)}"
        for host in site.hosts
        for name, service in book.index.services_of_host.get(host.name, ())
    ]
    return m.bullets(rows)


def _legacy(book: Book, site: SitePlan) -> str:
    t = book.t
    legacy = site.place.data.legacy_prefixes
    if not legacy:
        return ""
    rows = [(m.code(x.prefix), t.yes(x.routed), m.text(x.note or "")) for x in legacy]
    return m.table((t("Prefiks", "Prefix"), t("Dirutekan", "Routed"), t("Catatan", "Note")), rows)
