"""The address plan: the rule from permanent numbers to addresses, examples, all sites."""

from __future__ import annotations

from collections.abc import Iterator

from topology import prefix as px
from topology.allocate import Host, Interface, Link, Network, SitePlan
from topology.document import markup as m
from topology.document.book import Book, Page
from topology.document.language import NETWORK_ROLES, SITE_KIND_PLURALS

PATH = "addresses.md"
_CLASS_BASE = {"skpd": "", "hub": "", "kecamatan": f"{px.KECAMATAN_BASE}+", "dc": f"{px.CENTRE_BASE}+"}


def page(book: Book) -> Page:
    """Return the page of the address plan."""
    t = book.t
    body = m.join(
        t(
            "Setiap lokasi, tautan, dan pengguna VPN mempunyai **nomor permanen**. Semua alamat IPv4 dan "
            "IPv6 dihitung dari nomor itu, tidak ada yang ditulis dua kali. Menambah, menghapus, atau "
            "mengganti nama sesuatu tidak memindahkan alamat yang lain.",
            "Every site, link and VPN user has a **permanent number**. All IPv4 and IPv6 addresses are "
            "computed from it, none is written twice. Adding, removing or renaming one thing moves no other "
            "address.",
        ),
        "## " + t("Aturan", "The rule"),
        _blocks(book),
        _rule(book),
        "## " + t("Contoh hitungan", "Worked examples"),
        _examples(book),
        "## " + t("Peran jaringan dan VLAN", "Network roles and VLANs"),
        _roles(book),
        "## " + t("Nomor host dalam jaringan", "Host numbers in a network"),
        _host_numbers(book),
        "## " + t("Blok tautan, loopback, dan VPN", "Blocks of links, loopbacks and VPN users"),
        _infrastructure(book),
        "## " + t("Semua lokasi", "All sites"),
        *_sites(book),
    )
    return Page(PATH, t("Rencana alamat", "Address plan"), ("district.yml", "registry.yml"), body)


def _blocks(book: Book) -> str:
    t, a = book.t, book.plan.district.space.first_octet
    rows = [
        (
            f"{a}.0.0.0/10",
            t(f"kantor: nomor n (1–63) adalah {a}.n.0.0/16", f"offices: number n (1–63) is {a}.n.0.0/16"),
        ),
        (
            f"{a}.64.0.0/10",
            t(
                f"kecamatan: nomor s (1–63) adalah {a}.(64+s).0.0/16, desa di dalamnya",
                f"kecamatan: number s (1–63) is {a}.(64+s).0.0/16, its villages inside",
            ),
        ),
        (
            f"{a}.128.0.0/10",
            t(
                f"pusat data dan DRC: nomor d (1–63) adalah {a}.(128+d).0.0/16",
                f"data centres and DR sites: number d (1–63) is {a}.(128+d).0.0/16",
            ),
        ),
        (
            f"{a}.192.0.0/10",
            t("infrastruktur: tautan, loopback, pengguna VPN", "infrastructure: links, loopbacks, VPN users"),
        ),
    ]
    return m.table((t("Blok", "Block"), t("Dipakai untuk", "Used for")), [(m.code(b), u) for b, u in rows])


def _rule(book: Book) -> str:
    t, space = book.t, book.plan.district.space
    a = space.first_octet
    heads = " · ".join(
        f"{name} {m.code(str(p))}"
        for name, p in zip(book.families[1:], [p for p in (space.ula, space.gua) if p is not None], strict=True)
    )
    return m.bullets(
        [
            t(f"Prefiks IPv6 kabupaten (P): {heads}.", f"IPv6 prefixes of the district (P): {heads}."),
            t(
                f"LAN IPv4 {m.code(f'{a}.S.T.0/24')} selalu berpasangan dengan {m.code('P:SSTT::/64')}; S "
                "dan T ditulis heksadesimal. Reservasi /p berpasangan dengan /(p+40).",
                f"The IPv4 LAN {m.code(f'{a}.S.T.0/24')} always goes with {m.code('P:SSTT::/64')}; S and T "
                "in hexadecimal. A reservation of /p goes with /(p+40).",
            ),
            t(
                f"Host nomor h adalah {m.code('.h')} pada IPv4 dan {m.code('::h')} pada IPv6, dengan angka yang sama.",
                f"Host number h is {m.code('.h')} in IPv4 and {m.code('::h')} in IPv6, with the same digits.",
            ),
            t(
                "Kantor, pusat data, dan DRC: peran jaringan r mencadangkan /20 mulai T = 16 × r dan "
                "memakai /24 pertama.",
                "Office, data centre, DR site: network role r reserves the /20 that starts at T = 16 × r "
                "and uses its first /24.",
            ),
            t(
                "Kecamatan: jaringan peran r adalah T = r. Desa nomor k mencadangkan /21 mulai T = 16 + 8 "
                f"× k; jaringannya ({', '.join(px.VILLAGE_ROLES)}) adalah empat /24 pertama.",
                "Kecamatan: the network of role r is T = r. Village number k reserves the /21 that starts "
                f"at T = 16 + 8 × k; its networks ({', '.join(px.VILLAGE_ROLES)}) are the first four /24s.",
            ),
            t(
                f"Tautan nomor l: {m.code(f'{a}.{px.LINK_OCTET}.T.H/31')} dengan 256 × T + H = 2 × l, dan "
                f"{m.code(f'P:{px.LINK_OCTET:x}TT::H/127')}.",
                f"Link number l: {m.code(f'{a}.{px.LINK_OCTET}.T.H/31')} with 256 × T + H = 2 × l, and "
                f"{m.code(f'P:{px.LINK_OCTET:x}TT::H/127')}.",
            ),
        ]
    )


def _examples(book: Book) -> str:
    t, here = book.t, book.here(PATH)
    rows = []
    for site in _example_sites(book):
        place = site.place
        place_rule = _class_rule(book, site)
        rows.append(
            (
                t(
                    f"{here.site(site.slug)}, nomor {place.number}",
                    f"{here.site(site.slug)}, number {place.number}",
                ),
                place_rule,
                book.stacked(site.prefixes),
            )
        )
        for host, interface, network in _example_hosts(site):
            s, third = network.second_octet, network.third_octet
            how = (
                f"S = {s} ({s:02x}<sub>16</sub>), T = {_third(site, network)} ({third:02x}<sub>16</sub>), h "
                f"= {interface.number}"
            )
            shown = f"{here.host(host.name)} {t('di', 'in')} {network.name}"
            rows.append((shown, how, book.stacked(interface.addresses)))
    for link in _example_links(book):
        third, h = divmod(2 * link.number, 256)
        how = f"2 × {link.number} = {2 * link.number} = 256 × {third} + {h}"
        rows.append(
            (
                t(
                    f"tautan {m.text(link.name)}, nomor {link.number}",
                    f"link {m.text(link.name)}, number {link.number}",
                ),
                how,
                book.stacked(link.prefixes),
            )
        )
    head = (t("Apa", "What"), t("Hitungan", "Computation"), t("Hasil", "Result"))
    return m.table(head, rows)


def _class_rule(book: Book, site: SitePlan) -> str:
    t, place = book.t, site.place
    if place.kind == "desa":
        return t(
            f"T = 16 + 8 × {place.number} = {place.third_octet} di dalam kecamatannya",
            f"T = 16 + 8 × {place.number} = {place.third_octet} inside its kecamatan",
        )
    base = _CLASS_BASE.get(px.SECTION_OF[place.kind], "")
    return f"S = {base}{place.number}" + (f" = {place.second_octet}" if base else "")


def _third(site: SitePlan, network: Network) -> str:
    if site.place.kind == "kecamatan":
        return f"{network.role}"
    if site.place.kind == "desa":
        first, third = site.place.third_octet, network.third_octet
        return f"{first} + {third - first} = {third}"
    return f"16 × {network.role} = {network.third_octet}"


def _example_sites(book: Book) -> Iterator[SitePlan]:
    for kind in ("skpd", "kecamatan", "desa", "dc"):
        sites = book.index.by_kind.get(kind)
        if sites:
            yield sites[min(len(sites) - 1, 5)]


def _example_hosts(site: SitePlan) -> Iterator[tuple[Host, Interface, Network]]:
    """Yield a gateway's and a fixed host's place, as far as the site has them."""
    gateway = next((h for h in site.hosts if h.kind == "gateway"), None)
    staff = next((i for i in gateway.of_kind("lan") if i.network != "mgmt"), None) if gateway else None
    if gateway and staff and staff.network:
        yield gateway, staff, site.network(staff.network)
    for host in site.hosts:
        interface = next((i for i in host.of_kind("host") if i.number and i.network), None)
        if interface and interface.network:
            yield host, interface, site.network(interface.network)
            return


def _example_links(book: Book) -> list[Link]:
    found: dict[str, Link] = {}
    for link in book.plan.links.values():
        found.setdefault(link.kind, link)
    return [found[k] for k in ("radio", "leased", "tunnel") if k in found]


def _roles(book: Book) -> str:
    t = book.t
    counts: dict[str, int] = {}
    for site in book.plan.sites.values():
        for network in site.networks:
            counts[network.name] = counts.get(network.name, 0) + 1
    rows = [
        (
            str(role),
            m.code(name),
            str(px.vlan(role)),
            t.word(NETWORK_ROLES, name),
            f"T = {16 * role}",
            f"T = {role}",
            t.number(counts.get(name, 0)),
        )
        for name, role in px.ROLES.items()
    ]
    free = f"{max(px.ROLES.values()) + 1}–15"
    rows.append(
        (
            free,
            "",
            f"{px.vlan(max(px.ROLES.values()) + 1)}–{px.vlan(15)}",
            t("bebas untuk jaringan khusus satu lokasi", "free for a site's own networks"),
            "",
            "",
            "",
        )
    )
    head = (
        t("Peran r", "Role r"),
        t("Jaringan", "Network"),
        "VLAN",
        t("Untuk", "For"),
        t("Kantor, pusat data", "Office, data centre"),
        "Kecamatan",
        t("Lokasi yang memakainya", "Sites that have it"),
    )
    return m.table(head, rows, right=(0, 2, 6))


def _host_numbers(book: Book) -> str:
    t = book.t
    devices, fixed = px.DEVICE_NUMBERS, px.FIXED_NUMBERS
    rows = [
        (
            ".1",
            t(
                "gateway; pada pasangan gateway: alamat bersama, anggotanya .2 dan .3",
                "the gateway; of a pair the shared address, its members are .2 and .3",
            ),
        ),
        (
            f".{devices.start}–.{devices.stop - 1}",
            t("perangkat jaringan (switch, radio)", "network devices (switches, radios)"),
        ),
        (f".{fixed.start}–.{fixed.stop - 1}", t("host tetap", "fixed hosts")),
        (f".{px.DHCP_FIRST}–.{px.DHCP_LAST}", t("DHCP", "DHCP")),
        (f".{px.DHCP_LAST + 1}–.254", t("untuk pekerjaan tangan di tempat", "for work by hand on site")),
    ]
    return m.table((t("Nomor", "Number"), t("Dipakai untuk", "Used for")), [(m.code(n), u) for n, u in rows])


def _infrastructure(book: Book) -> str:
    t, here, space = book.t, book.here(PATH), book.plan.district.space
    rows = [
        (
            t("Tautan radio, saluran sewa, dan tunnel", "Radio links, leased lines and tunnels"),
            *book.cells(space.reservation(px.LINK_OCTET, 0, 16)),
        ),
        (
            t("Loopback gateway", "Loopbacks of gateways"),
            *book.cells(space.reservation(px.LOOPBACK_OCTET, 0, 16)),
        ),
    ]
    for host in book.index.slots.values():
        prefixes = space.vpn_users(host.hub_slot or 0)
        rows.append((t("Pengguna VPN lewat ", "VPN users of ") + here.host(host.name), *book.cells(prefixes)))
    return m.table((t("Blok", "Block"), *book.families), rows)


def _sites(book: Book) -> Iterator[str]:
    t, here = book.t, book.here(PATH)
    for kind, sites in book.index.by_kind.items():
        yield "### " + t.word(SITE_KIND_PLURALS, kind)
        yield m.filterable(
            m.table(
                (t("Nomor", "Number"), t("Lokasi", "Site"), *book.families),
                [
                    (
                        str(s.place.number),
                        here.site(s.slug) + _parent(book, s),
                        *_prefix_cells(book, s.prefixes),
                    )
                    for s in sites
                ],
                right=(0,),
            )
        )


def _parent(book: Book, site: SitePlan) -> str:
    parent = site.place.parent
    return f" ({m.text(book.plan.sites[parent].place.data.name)})" if parent in book.plan.sites and parent else ""


def _prefix_cells(book: Book, prefixes: tuple[str, ...]) -> list[str]:
    """Return a cell per family; a kecamatan with a second number has two prefixes in each."""
    width = len(book.families)
    return [m.lines(m.code(p) for p in prefixes[i::width]) for i in range(width)]
