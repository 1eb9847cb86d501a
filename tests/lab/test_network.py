"""The provisioned lab: every client reaches the data centre over real forwarding, in both families."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from topology import lab
from topology.allocate import Plan, allocate, sliced
from topology.load import load

pytestmark = pytest.mark.lab
INVENTORY = Path(__file__).parents[2] / "inventories" / "lab"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return sliced(allocate(load(INVENTORY)[0]))


def clients(plan: Plan) -> list[str]:
    return [h.name for h in plan.hosts.values() if h.kind == "pc"]


def ping(plan: Plan, source: str, address: str, *options: str) -> bool:
    command = ["ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "2", *options, address]
    return lab.exec_in(plan.district.lab.name, source, command).returncode == 0


def addresses(plan: Plan, host: str) -> tuple[str, ...]:
    return next(plan.hosts[host].of_kind("host")).addresses


def test_the_lab_is_what_the_issue_asks_for(plan: Plan) -> None:
    kinds = [plan.sites[h.site].place.kind for h in plan.hosts.values() if h.kind == "gateway"]
    assert sorted(kinds) == ["dc", "drc", "hub", "kecamatan", "skpd"]
    assert len(plan.hosts) >= 10
    assert {plan.hosts[c].site for c in clients(plan)} == set(plan.sites)


def test_every_client_reaches_the_data_centre_in_both_families(plan: Plan) -> None:
    unreached = [
        f"{client} -> {target} {address}"
        for client in clients(plan)
        for target in ("dc-pg1", "dc-dns1")
        for address in addresses(plan, target)
        if not ping(plan, client, address)
    ]
    assert not unreached


def test_every_client_reaches_every_other(plan: Plan) -> None:
    names = clients(plan)
    unreached = [
        f"{a} -> {b}" for a in names for b in names if a != b for x in addresses(plan, b)[:2] if not ping(plan, a, x)
    ]
    assert not unreached


def test_the_kecamatan_goes_over_its_radio_link(plan: Plan) -> None:
    link = plan.links["kantor-bupati--belopa"]
    expected = link.far_end("belopa-gw").addresses
    name = plan.district.lab.name
    for family, address in (("-4", addresses(plan, "dc-pg1")[0]), ("-6", addresses(plan, "dc-pg1")[1])):
        done = lab.exec_in(name, "belopa-gw", ["ip", family, "route", "get", address])
        assert any(f"via {hop} " in done.stdout for hop in expected), done.stdout


def test_nothing_leaves_the_district(plan: Plan) -> None:
    name = plan.district.lab.name
    for host in plan.hosts:
        done = lab.exec_in(name, host, ["ip", "-4", "route", "show", "default", "dev", "mgmt0"])
        assert done.stdout == "", host
    unused = plan.district.space.host(60, 0, 1)[0]  # no site has this number
    assert not ping(plan, "dc-a", unused)


@pytest.mark.runtime
def test_a_broken_link_cuts_and_a_healed_one_joins_again(plan: Plan) -> None:
    name, link = plan.district.lab.name, "diskominfo--dc-a"
    target = addresses(plan, "dc-pg1")[0]
    assert ping(plan, "diskominfo-client", target)
    lab.break_wire(name, link, silent=True)
    try:
        assert not ping(plan, "diskominfo-client", target)
    finally:
        lab.heal_wire(name, link)
    deadline = time.monotonic() + 20
    while not ping(plan, "diskominfo-client", target):
        assert time.monotonic() < deadline, "the link did not come back within 20 s"
