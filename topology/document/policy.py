"""The policy: zones, services, and a matrix of who may open connections to whom."""

from __future__ import annotations

from topology import policy
from topology.document import markup as m
from topology.document.book import Book, Page
from topology.document.language import SITE_KIND_PLURALS, Language
from topology.schema import Flow

PATH = "policy.md"
_BUILT_IN: dict[str, tuple[str, str]] = {
    policy.GATEWAY: ("gateway itu sendiri", "the gateway itself"),
    policy.INTRANET: (
        "seluruh kabupaten di balik radio dan tunnel",
        "the whole district behind radios and tunnels",
    ),
    policy.HUB: ("pusat data dan lokasi pemulihan bencana", "the data centre and the disaster recovery sites"),
    policy.VPN: ("pengguna dengan VPN sendiri", "users with a VPN of their own"),
    policy.ADMIN: ("tempat administrator masuk", "where administrators come from"),
    policy.INTERNET: ("selebihnya", "everything else"),
}


def page(book: Book) -> Page:
    """Return the page of the policy."""
    t, stated = book.t, book.plan.district.policy
    body = m.join(
        t(
            "Hanya yang ada di sini boleh membuka sambungan; jawabannya kembali dengan sendirinya. Yang lain dibuang. "
            "Arus antara dua lokasi harus diizinkan di kedua ujungnya.",
            "Only what is here may open connections; answers come back by themselves. Everything else is dropped. "
            "A flow between two sites must be permitted at both ends.",
        ),
        "## " + t("Zona", "Zones"),
        _zones(book),
        "## " + t("Siapa boleh ke mana", "Who may go where"),
        t(
            "Baris membuka sambungan ke kolom. Sel kosong berarti dibuang.",
            "A row opens connections to a column. An empty cell is dropped.",
        ),
        m.filterable(_matrix(book), "wide"),
        "## " + t("Arus dan alasannya", "Flows and their reasons"),
        m.filterable(_flows(book)),
        "## " + t("Layanan dan port", "Services and ports"),
        m.table(
            (t("Layanan", "Service"), "Port"),
            [(m.code(name), ", ".join(ports)) for name, ports in stated.services.items()],
        ),
        _published(book),
    )
    return Page(PATH, t("Kebijakan", "Policy"), ("policy.yml",), body)


def _zones(book: Book) -> str:
    t, rows = book.t, []
    for name, zone in book.plan.district.policy.zones.items():
        marks = []
        if zone.isolated:
            marks.append(t("terisolasi: hanya internet dan gatewaynya", "isolated: the internet and its gateway only"))
        if zone.limit_mbps:
            marks.append(f"{t.number(zone.limit_mbps)} Mbit/s")
        networks = ", ".join(m.code(n) for n in zone.networks)
        rows.append((m.code(name), networks, m.text(zone.description or ""), "; ".join(marks)))
    rows += [(m.code(name), "", t(*text), "") for name, text in _BUILT_IN.items()]
    head = (t("Zona", "Zone"), t("Jaringan", "Networks"), t("Isi", "Holds"), t("Batas", "Limits"))
    return m.table(head, rows)


def _matrix(book: Book) -> str:
    stated, t = book.plan.district.policy, book.t
    cells: dict[tuple[str, str], list[str]] = {}
    for flow in stated.flows:
        for source in flow.sources:
            for target in flow.targets:
                zones = stated.zones
                isolated = source in zones and zones[source].isolated
                if (target in zones and zones[target].isolated) or (
                    isolated and target not in (policy.GATEWAY, policy.INTERNET)
                ):
                    continue
                cell = cells.setdefault((source, target), [])
                cell += [s + _marks(flow) for s in flow.services if s + _marks(flow) not in cell]
    names = [*stated.zones, *policy.BUILT_IN]
    sources = [n for n in names if any(s == n for s, _ in cells)]
    targets = [n for n in names if any(x == n for _, x in cells)]
    rows = [[m.code(s), *(m.lines(cells.get((s, x), ())) for x in targets)] for s in sources]
    note = t("¹ hanya di jenis lokasi tertentu; ⁶ hanya IPv6; ⁴ hanya IPv4",
             "¹ only at some kinds of site; ⁶ IPv6 only; ⁴ IPv4 only")  # fmt: skip
    return m.join(m.table((t("dari \\ ke", "from \\ to"), *(m.code(x) for x in targets)), rows), note)


def _marks(flow: Flow) -> str:
    family = "" if len(flow.families) == 2 else "⁶" if "ipv6" in flow.families else "⁴"
    return ("¹" if flow.at else "") + family


def _flows(book: Book) -> str:
    t, rows = book.t, []
    for flow in book.plan.district.policy.flows:
        where = ", ".join(t.word(SITE_KIND_PLURALS, k) for k in flow.at) if flow.at else t("semua", "all")
        rows.append(
            (_codes(flow.sources), _codes(flow.targets), _codes(flow.services), _families(flow, t), where,
             m.text(flow.why))
        )  # fmt: skip
    head = (t("Dari", "From"), t("Ke", "To"), t("Layanan", "Services"), "IP", t("Di", "At"), t("Alasan", "Reason"))
    return m.table(head, rows)


def _codes(names: tuple[str, ...]) -> str:
    return " ".join(m.code(n) for n in names)


def _families(flow: Flow, t: Language) -> str:
    return "4, 6" if len(flow.families) == 2 else t("hanya ", "only ") + flow.families[0].removeprefix("ipv")


def _published(book: Book) -> str:
    t, here = book.t, book.here(PATH)
    entries = [e for e in book.plan.district.policy.published if e.host in book.plan.hosts]
    if not entries:
        return ""
    rows = [(here.host(e.host), _codes(e.services), m.text(e.why)) for e in entries]
    return m.join(
        "## " + t("Yang boleh dibuka dari internet", "What the internet may open"),
        m.table((t("Host", "Host"), t("Layanan", "Services"), t("Alasan", "Reason")), rows),
    )
