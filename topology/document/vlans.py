"""The list of VLANs."""

from __future__ import annotations

from topology.allocate import RADIO_VLAN_BASE, Network, SitePlan
from topology.document import markup as m
from topology.document.book import Book, Page
from topology.document.language import NETWORK_ROLES, SITE_KIND_PLURALS

PATH = "vlans.md"


def page(book: Book) -> Page:
    """Return the list of VLANs, and who has each."""
    t, here = book.t, book.here(PATH)
    found: dict[tuple[int, str], list[tuple[SitePlan, Network]]] = {}
    for site in book.plan.sites.values():
        for network in site.networks:
            found.setdefault((network.vlan, network.name), []).append((site, network))
    rows = []
    for (vlan, name), uses in sorted(found.items()):
        role = next((n.description for _, n in uses if n.description and name not in NETWORK_ROLES), None)
        shown = here.site(uses[0][0].slug) if len(uses) == 1 else t(f"{len(uses)} lokasi", f"{len(uses)} sites")
        kinds = dict.fromkeys(s.place.kind for s, _ in uses)
        rows.append(
            (
                str(vlan),
                m.code(name),
                m.text(role or t.word(NETWORK_ROLES, name)),
                shown,
                ", ".join(t.word(SITE_KIND_PLURALS, k) for k in SITE_KIND_PLURALS if k in kinds),
            )
        )
    head = (
        "VLAN",
        t("Jaringan", "Network"),
        t("Untuk", "For"),
        t("Di", "At"),
        t("Jenis lokasi", "Kinds of sites"),
    )
    blocks = [
        t(
            "Nomor VLAN sama di semua lokasi: 10 × (r + 1) untuk peran jaringan r.",
            "A VLAN has the same number at every site: 10 × (r + 1) for network role r.",
        ),
        m.table(head, rows, right=(0,)),
    ]
    radio = [
        (i.vlan or 0, host, i.name, i.link or "")
        for host in book.plan.hosts.values()
        for i in host.of_kind("radio", "leased")
        if i.vlan
    ]
    if radio:
        blocks += [
            "## " + t("VLAN tautan radio", "VLANs of radio links"),
            t(
                f"Pada port radio gateway setiap tautan mempunyai VLAN {RADIO_VLAN_BASE} + nomor tautan.",
                f"On a gateway's radio port every link has VLAN {RADIO_VLAN_BASE} + number of the link.",
            ),
            m.table(
                ("VLAN", t("Tautan", "Link"), "Gateway", t("Antarmuka", "Interface")),
                [
                    (str(v), m.text(n), here.host(h.name), m.code(i))
                    for v, h, i, n in sorted(radio, key=lambda x: (x[0], x[1].name))
                ],
                right=(0,),
            ),
        ]
    return Page(PATH, t("Daftar VLAN", "VLAN list"), ("district.yml", "sites/"), m.join(*blocks))
