"""The provisioned lab: every client reaches the data centre over real forwarding, in both families."""

from __future__ import annotations

import pytest

from tests.lab.where import INVENTORY, desks
from topology import lab
from topology.allocate import Plan, allocate, sliced
from topology.load import load

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def plan() -> Plan:
    return sliced(allocate(load(INVENTORY)[0]))


def clients(plan: Plan) -> list[str]:
    """Return the clients that may reach something: not the visitors."""
    return [h.name for h in desks(plan)]


def ping(plan: Plan, source: str, address: str, *options: str) -> bool:
    command = ["ping", "-n", "-q", "-c", "2", "-i", "0.2", "-W", "2", *options, address]
    return lab.exec_in(plan.district.lab.name, source, command).returncode == 0


def addresses(plan: Plan, host: str) -> tuple[str, ...]:
    return next(plan.hosts[host].of_kind("host")).addresses


def test_the_lab_is_what_the_issue_asks_for(plan: Plan) -> None:
    kinds = [plan.sites[h.site].place.kind for h in plan.hosts.values() if h.kind == "gateway"]
    assert set(kinds) == {"dc", "drc", "hub", "kecamatan", "skpd"}
    assert len(plan.hosts) >= 10
    assert {plan.hosts[c].site for c in clients(plan)} == set(plan.sites)


def test_every_client_reaches_the_data_centre_in_both_families(plan: Plan) -> None:
    unreached = [
        f"{client} -> {target} {address}"
        for client in clients(plan)
        for target in ("dc-database", "dc-mon1")
        for address in addresses(plan, target)
        if not ping(plan, client, address)
    ]
    assert not unreached


def packets(plan: Plan, host: str) -> str:
    """Return the district's packets that a host has seen (raw: its filter counts none)."""
    assert plan.district.lab is not None
    rule = "add table ip t; add chain ip t c { type filter hook prerouting priority -400; }; "
    rule += f"add rule ip t c ip daddr {plan.district.space.aggregates[0]} counter"
    name = plan.district.lab.name
    if lab.exec_in(name, host, ["nft", "list", "table", "ip", "t"]).returncode:
        assert lab.exec_in(name, host, ["nft", rule]).returncode == 0
    return lab.exec_in(name, host, ["nft", "list", "table", "ip", "t"]).stdout


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
    for family, address in (("-4", addresses(plan, "dc-database")[0]), ("-6", addresses(plan, "dc-database")[1])):
        done = lab.exec_in(name, "belopa-gw", ["ip", family, "route", "get", address])
        assert any(f"via {hop} " in done.stdout for hop in expected), done.stdout


def test_nothing_leaves_the_district(plan: Plan) -> None:
    name = plan.district.lab.name
    for host in plan.hosts:
        done = lab.exec_in(name, host, ["ip", "-4", "route", "show", "default", "dev", "mgmt0"])
        assert done.stdout == "", host
    unused = plan.district.space.host(60, 0, 1)[0]  # no site has this number
    assert not ping(plan, "dc-a", unused)
    before = packets(plan, "internet")
    for address in plan.district.space.host(60, 0, 1):
        assert not ping(plan, "diskominfo-client", address)
    assert packets(plan, "internet") == before, "a district address was looked for on the internet"
