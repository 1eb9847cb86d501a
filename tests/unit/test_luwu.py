"""The district's inventory against the figures of its master plan (Peraturan Bupati 92/2020)."""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from pathlib import Path

import pytest

from topology import load
from topology.allocate import Plan, allocate
from topology.district import District
from topology.report import is_error

ROOT = Path(__file__).parents[2]
LUWU = ROOT / "inventories" / "luwu"
LAB = ROOT / "inventories" / "lab"

# Table 4: how many applications of each group, in 2020, 2021, 2022, 2023 and 2024.
APPLICATIONS = {
    "Fungsi Pelayanan Pemerintah": (3, 4, 2, 1, 0),
    "Fungsional Pemerintah: Pembangunan": (1, 2, 2, 0, 0),
    "Fungsional Pemerintah: Administrasi dan Manajemen": (1, 1, 2, 1, 1),
    "Fungsional Pemerintah: Keuangan": (2, 2, 0, 0, 0),
    "Fungsional Pemerintah: Kepegawaian": (1, 2, 0, 0, 0),
    "Fungsional Pemerintah: Legislasi": (0, 1, 1, 0, 0),
    "Kelembagaan Pemerintah: Kepemerintahan": (0, 0, 1, 1, 0),
    "Kelembagaan Pemerintah: Kewilayahan": (2, 2, 1, 2, 3),
    "Kelembagaan Pemerintah: Kemasyarakatan": (0, 3, 2, 1, 3),
    "Kelembagaan Pemerintah: Sarana dan Prasarana": (0, 0, 2, 1, 0),
}


@pytest.fixture(scope="module")
def luwu() -> District:
    district, findings, _ = load.load(LUWU)
    assert not [f for f in findings if is_error(f)]
    return district


@pytest.fixture(scope="module")
def plan(luwu: District) -> Plan:
    return allocate(luwu)


def test_counts_of_sites_and_links(luwu: District) -> None:
    kinds = Counter(p.kind for p in luwu.places.values())
    assert (kinds["skpd"], kinds["hub"], kinds["kecamatan"]) == (30, 1, 22)
    assert (kinds["dc"], kinds["drc"]) == (1, 2)
    assert Counter(link.kind for link in luwu.backbone.links)["radio"] == 22
    assert luwu.facts.planned.desa == 227


def test_applications_per_group_and_year(luwu: District) -> None:
    assert luwu.apps is not None
    assert len(luwu.apps.applications) == 54
    counted = Counter((a.group, a.year) for a in luwu.apps.applications)
    for group, years in APPLICATIONS.items():
        assert tuple(counted[group, year] for year in range(2020, 2025)) == years, group
    assert sum(map(sum, APPLICATIONS.values())) == 54
    assert {a.group for a in luwu.apps.applications} == set(APPLICATIONS)


def test_every_radio_link_lies_within_1_db_of_free_space(luwu: District) -> None:
    for link in luwu.backbone.links:
        assert link.range_km is not None and link.loss_db is not None
        computed = 20 * math.log10(link.range_km * luwu.backbone.frequency_mhz) + 32.44
        assert abs(link.loss_db - computed) <= 1, link.name


def test_the_radio_tree_reaches_every_kecamatan(plan: Plan) -> None:
    for slug, site in plan.sites.items():
        if site.place.kind == "kecamatan":
            path = plan.backbone.path(slug)
            assert path[-1] == "kantor-bupati"
            availability = plan.backbone.availability(slug)
            assert availability is not None and 0.999 < availability <= 1
    assert plan.backbone.path("walenrang-utara") == ("walenrang-utara", "lamasi", "bua", "kantor-bupati")


def test_figures_of_the_table_that_are_easily_mixed_up(luwu: District) -> None:
    links = {link.name: link for link in luwu.backbone.links}
    far = links["kantor-bupati--bastem"]
    assert (far.range_km, far.throughput_mbps, far.availability_pct, far.loss_db) == (
        39.435, 226.041, 99.9919, 140.1,
    )  # fmt: skip


def test_the_ula_is_one_and_was_drawn_at_random(luwu: District) -> None:
    ula = ipaddress.IPv6Network(luwu.facts.prefixes.ula)
    assert ula.prefixlen == 48 and ula.subnet_of(ipaddress.IPv6Network("fd00::/8"))
    bits = int(ula.network_address) >> 80 & (1 << 40) - 1
    assert 10 <= bits.bit_count() <= 30  # nobody's hand-picked fd00::


def test_addresses_are_unique(plan: Plan) -> None:
    addresses = [a for h in plan.hosts.values() for i in h.interfaces for a in i.addresses if i.kind != "uplink"]
    assert len(addresses) == len(set(addresses))


def test_every_gateway_has_a_tunnel_to_every_hub(plan: Plan) -> None:
    hubs = [hub.gateway for hub in plan.district.facts.hubs]
    assert hubs == ["dc-a", "dc-b", "drc1-gw"]
    joined = {frozenset(e.host for e in x.ends) for x in plan.links.values() if x.kind == "tunnel"}
    for slug in plan.sites:
        gateway = plan.gateways(slug)[0].name
        for hub in hubs:
            if plan.hosts[hub].site != slug:
                assert frozenset((gateway, hub)) in joined, (gateway, hub)


def test_hubs_are_joined_once(plan: Plan) -> None:
    pairs = Counter(frozenset(e.host for e in x.ends) for x in plan.links.values() if x.kind == "tunnel")
    assert set(pairs.values()) == {1}


def test_the_lab_is_a_slice_with_the_districts_addresses(plan: Plan) -> None:
    from topology.allocate import sliced

    district, findings, _ = load.load(LAB)
    assert not [f for f in findings if is_error(f)]
    lab = sliced(allocate(district))
    assert {"dc-a", "kantor-bupati-gw"} <= set(lab.hosts)
    for name, host in lab.hosts.items():
        if name in plan.hosts:
            own = {a for i in host.interfaces if i.kind != "uplink" for a in i.addresses}
            assert own <= {a for i in plan.hosts[name].interfaces for a in i.addresses}
    for link in lab.links.values():
        assert {e.host for e in link.ends} <= set(lab.hosts)
