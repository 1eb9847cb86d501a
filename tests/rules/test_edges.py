"""Beside the broken cases: what is right and looks like one of them, and what is wrong in a second way.

Each edge is a case of this folder (or the correct base) with lines exchanged; the findings' rules are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rules.test_rules import findings, make
from topology import report
from topology.finding import Finding, Where
from topology.rules.references import missing
from topology.rules.registry import RANGES, free

LAB = "lab/lab.yml"
RADIO = "  udara: {kind: radio, family: airos, model: Udara 5"
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"
HILIR = "  - {number: 3, slug: hilir}"
PAIR = "  - {name: isp, address: %s/24, gateways: {a: 100.70.1.201/24, b: 100.70.1.202/24}}"
UPLINK = "  - {name: isp, address: 100.70.1.254/24, gateways: {a: 100.70.1.103/24, b: 100.70.1.104/24}}"


@dataclass(frozen=True)
class Edge:
    """Lines of a case exchanged, the rules that then find something, and a part of what they say."""

    case: str
    changes: dict[str, tuple[str | None, str]]
    """File -> old text, new text; no old one: append."""
    rules: tuple[str, ...] = ()
    says: str = ""


EDGES = {
    "a gua prefix that is too large": Edge(
        "base", {"district.yml": ("  ula:", "  gua: 2400:cb00::/32\n  ula:")}, ("IP009",)
    ),
    "a gua prefix of IPv4": Edge("base", {"district.yml": ("  ula:", "  gua: 10.0.0.0/8\n  ula:")}, ("IP009",)),
    "a radio's ports lead to no gateway": Edge(
        "DV009-no-port-left", {
            "devices.yml": (RADIO, RADIO + ", ports: [{ports: eth0, role: spare}]"),
            "sites/skpd/balai.yml": ("mgmt: 8", "mgmt: 6"),
        },
    ),
    "networks of the district that nobody knows": Edge(
        "DV009-no-port-left", {
            "district.yml": ("planned:", "networks: {hub: [mgmt, server, gelap], skpd: [mgmt, staff]}\nplanned:"),
            "sites/skpd/balai.yml": ("mgmt: 8", "mgmt: 6"),
        }, ("RF001",),
    ),
    "a link with a profile of its own": Edge(
        "DV009-no-port-left", {
            "devices.yml": (None, "links: {balai--hulu: udara}\n"),
            "sites/skpd/balai.yml": ("mgmt: 8", "mgmt: 6"),
        },
    ),
    "a radio two numbers above the last port": Edge(
        "DV009-no-port-left", {"sites/skpd/balai.yml": ("mgmt: 8", "mgmt: 9")}, ("DV009",)
    ),
    "a radio, but for the other link": Edge(
        "DV010-link-without-a-radio", {"sites/skpd/balai.yml": ("radio-hulu", "radio-tengah")}, ("DV010",)
    ),
    "a lab's pair with a shared address": Edge(
        "UL007-twice-in-the-lab", {
            "sites/dc/dc.yml": (UPLINK, PAIR % "100.70.1.100"),
            LAB: ("  - {host: balai-gw, number: 3}", "  - {host: dc-b, number: 3}"),
        },
    ),
    "a shared address below its members', taken in the lab": Edge(
        "UL007-twice-in-the-lab", {
            "sites/dc/dc.yml": (UPLINK, PAIR % "100.70.1.100"), LAB: ("host: 254", "host: 100"),
        }, ("UL007",),
    ),
    "a reader of a broken site, and one outside": Edge(
        "KY005-reader-outside", {
            "keys.yml": ("readers:\n", f"readers:\n  hilir-x: {KEY}\n"),
            "sites/kecamatan/hilir.yml": ("gateways:", "gateways: ["),
        }, ("KY005", "YA001"),
    ),
    "an application published": Edge(
        "PO009-cannot-be-published", {
            "policy.yml": ("dc-ns1, services: [web, ping, any, wep]", "dc-app-surat, services: [web]"),
        }, ("PO009", "PO009", "PO009"), "PO009 `dc-app-surat` cannot be published: `dc` has no uplink",
    ),
    "a kecamatan with a second number": Edge(
        "ST003-too-many-villages",
        {"registry.yml": (HILIR, f"{HILIR}\n  - {{number: 4, slug: tengah-2, extends: tengah}}")},
        ("RG002",),
    ),
    "an address twice after one that is none": Edge(
        "base", {"sites/skpd/balai.yml": (
            "  - {name: isp}", '  - {name: isp, address: x, address6: "2400:1::2/64", router6: "2400:1::2"}')},
        ("IP001", "UL003"),
    ),
    "a guest at a site without a place": Edge(
        "VS004-no-guest-of-the-plan", {
            "vsphere.yml": ("guests:\n", "guests:\n  - {host: balai-tamu, year: 2026}\n"),
            "sites/skpd/balai.yml": (None, "  - {name: tamu, kind: guest, interfaces: {server: 53}}\n"),
        }, ("VS001", "VS004", "VS004", "VS004"),
    ),
}  # fmt: skip


def edited(edge: Edge, folder: Path) -> tuple[tuple[Finding, ...], list[str]]:
    """Return the findings of an edge's inventory, and their lines."""
    inventory = make(edge.case, folder)
    for name, (old, new) in edge.changes.items():
        file = folder / name if name == LAB else folder / "district" / name
        text = file.read_text(encoding="utf-8")
        assert old is None or text.count(old) == 1, f"{name}: {old}"
        file.write_text(text + new if old is None else text.replace(old, new), encoding="utf-8")
    found, tree = findings(inventory)
    return found, report.lines(found, tree, "en")


@pytest.mark.parametrize("name", EDGES)
def test_edge_gives_the_findings_of_these_rules(name: str, tmp_path: Path) -> None:
    edge = EDGES[name]
    found, lines = edited(edge, tmp_path)
    assert tuple(sorted(f.rule for f in found)) == edge.rules, lines
    assert edge.says in "\n".join(lines)


def test_the_number_proposed_in_a_lab_is_not_the_internets(tmp_path: Path) -> None:
    edge = Edge("IP004-lab-uplink", {LAB: ("number: 40", "number: 2")})
    (finding,), _ = edited(edge, tmp_path)
    assert finding.values["free"] == 3


def test_a_host_named_as_the_labs_internet_is_said_at_the_internet(tmp_path: Path) -> None:
    edge = Edge("IP004-lab-uplink", {LAB: ("balai-gw, number: 200", "internet, number: 20")})
    found, _ = edited(edge, tmp_path)
    assert [(f.rule, f.where.path) for f in found] == [
        ("RF001", ("hosts", 1, "host")), ("ST002", ("internet", "name"))
    ]  # fmt: skip


def test_a_name_with_another_first_letter_is_proposed() -> None:
    finding = missing("network", "xtaff", ["voice", "staff"], Where("policy.yml", ()))
    assert "`staff`" in str(finding.values["hint"])


def test_the_last_number_of_a_class_is_given() -> None:
    first, last = RANGES["skpd"]
    assert free(range(first, last), "skpd") == last
    assert free(range(first, last + 1), "skpd") is None
