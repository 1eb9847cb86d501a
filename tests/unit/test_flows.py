"""The flow evaluator: which way a connection takes, what lets it pass or stops it, and the command line."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import pytest

from topology import flows, policy
from topology.allocate import Plan, allocate
from topology.cli import parser
from topology.load import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return allocate(load(ROOT / "inventories" / "luwu")[0])


@pytest.mark.parametrize(
    ("source", "target", "path"),
    [
        ("belopa", "belopa", ("belopa-gw",)),
        ("belopa", "dc", ("belopa-gw", "kantor-bupati-gw", "dc-a")),
        ("dc", "belopa", ("dc-a", "kantor-bupati-gw", "belopa-gw")),
        ("belopa", "bajo", ("belopa-gw", "kantor-bupati-gw", "bajo-gw")),
        ("diskominfo", "belopa", ("diskominfo-gw", "dc-a", "kantor-bupati-gw", "belopa-gw")),
        ("diskominfo", "bapenda", ("diskominfo-gw", "dc-a", "bapenda-gw")),
        ("drc1", "dc", ("drc1-gw", "dc-a")),
        ("drc2", "dc", ("drc2-gw", "dc-a")),
    ],
)
def test_the_way_goes_by_radio_to_the_root_then_by_the_first_hub(
    plan: Plan, source: str, target: str, path: tuple[str, ...]
) -> None:
    assert flows.path_of(plan, source, target) == path
    for one, other in pairwise(path):
        assert any(link.far_end(one).host == other for link in plan.links_of(one))


def test_ipv4_leaves_locally_and_ipv6_at_the_hub(plan: Plan) -> None:
    assert flows.path_of(plan, "belopa", "belopa", True, 4) == ("belopa-gw",)
    assert flows.path_of(plan, "belopa", "belopa", True, 6) == ("belopa-gw", "kantor-bupati-gw", "dc-a")
    assert flows.path_of(plan, "dc", "dc", True, 6) == ("dc-a",)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(
    ("source", "target", "service", "labels"),
    [
        ("belopa.staff", "belopa.server", "web", ["staff-server-web"]),
        ("belopa.staff", "dc.app", "web", ["staff-intranet-web", "intranet-intranet-any", "intranet-app-web"]),
        ("belopa.staff", "belopa.gateway", "dns", ["staff-gateway-dns"]),
        ("dc.internet", "dc.dmz", "dns", ["internet-dmz-dns"]),
        ("dc.vpn", "dc.app", "web", ["vpn-app-web"]),
        ("diskominfo.mgmt", "diskominfo.gateway", "ssh", ["admin-gateway-ssh"]),
        ("diskominfo.admin", "diskominfo.gateway", "22/tcp", ["admin-gateway-ssh"]),
        ("drc1.data", "dc.data", "sql", ["data-hub-sql", "hub-data-sql"]),
    ],
)
def test_what_passes_says_every_gateways_rule(
    plan: Plan, source: str, target: str, service: str, labels: list[str], family: int
) -> None:
    found = ask(plan, source, target, service, family)
    assert found.passes
    assert [s.label for s in found.why] == labels
    assert all(s.why for s in found.why)
    assert [s.gateway for s in found.why] == list(found.path)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(
    ("source", "target", "service", "gateway", "says"),
    [
        ("belopa.guest", "belopa.staff", "web", "belopa-gw", "guest is isolated"),
        ("belopa.guest", "dc.app", "web", "belopa-gw", "guest is isolated"),
        ("belopa.staff", "belopa.guest", "ping", "belopa-gw", "guest is isolated: nothing"),
        ("dc.app", "belopa.guest", "ping", "dc-a", "no flow from app to intranet"),
        ("dc.server", "belopa.guest", "ping", "belopa-gw", "guest is isolated"),
        ("belopa.staff", "dc.data", "sql", "belopa-gw", "no flow from staff to intranet or hub with 5432-5433/tcp"),
        ("belopa.staff", "belopa.gateway", "ssh", "belopa-gw", "no flow from staff to gateway with 22/tcp"),
        ("belopa.cctv", "belopa.internet", "web", "belopa-gw", "no flow from cctv to internet"),
        ("dc.internet", "dc.app", "web", "dc-a", "not published"),
        ("belopa.internet", "belopa.staff", "web", "belopa-gw", "not published"),
    ],
)
def test_what_is_stopped_says_where_and_why(
    plan: Plan, source: str, target: str, service: str, gateway: str, says: str, family: int
) -> None:
    found = ask(plan, source, target, service, family)
    assert not found.passes
    assert found.why[-1].gateway == gateway and not found.why[-1].passes and found.why[-1].label is None
    assert says in found.why[-1].why


def test_a_service_passes_only_when_every_port_of_it_does(plan: Plan) -> None:
    assert ask(plan, "belopa.staff", "belopa.server", "print", 4).passes
    assert not ask(plan, "belopa.staff", "belopa.server", "9101/tcp", 4).passes
    assert not ask(plan, "belopa.staff", "belopa.server", "mail", 4).passes


def test_nobody_gets_dhcp_of_the_other_family(plan: Plan) -> None:
    for family, own, other in ((4, "67/udp", "547/udp"), (6, "547/udp", "67/udp")):
        for service, passes in (("dhcp", True), (own, True), (other, False)):
            found = flows.verdict(plan, "guest", "belopa", "gateway", "belopa", service, family)
            assert found.passes == passes, (service, family)


def test_ipv6_stops_at_a_site_that_has_none(plan: Plan) -> None:
    site = plan.sites["kantor-bupati"]
    data = site.place.data.model_copy(update={"migration": "ipv4-only"})
    changed = dataclasses.replace(site, place=dataclasses.replace(site.place, data=data))
    changed_plan = dataclasses.replace(plan, sites={**plan.sites, "kantor-bupati": changed})
    assert ask(changed_plan, "belopa.staff", "dc.app", "web", 4).passes
    stopped = ask(changed_plan, "belopa.staff", "dc.app", "web", 6)
    assert stopped.why[-1] == flows.Step("kantor-bupati-gw", False, None, "kantor-bupati is ipv4-only")


def test_without_a_rule_for_transit_the_way_is_closed(plan: Plan) -> None:
    old = plan.district.policy
    kept = tuple(f for f in old.flows if not (f.sources == ("intranet",) and f.targets == ("intranet",)))
    district = dataclasses.replace(plan.district, policy=old.model_copy(update={"flows": kept}))
    found = ask(dataclasses.replace(plan, district=district), "belopa.staff", "dc.app", "web", 4)
    assert (found.passes, found.why[-1].gateway) == (False, "kantor-bupati-gw")


def test_the_matrix_holds_every_rule_once_and_nothing_reaches_an_isolated_zone(plan: Plan) -> None:
    for name in ("belopa-gw", "dc-a", "kantor-bupati-gw"):
        host = plan.hosts[name]
        rows = flows.matrix(plan, host)
        assert sorted(r.label for row in rows for r in row.rules) == sorted(
            r.label for r in policy.box(plan, host).rules
        )
        assert not [r for r in rows if r.target == "guest" and r.rules]
    with pytest.raises(ValueError, match="no gateway"):
        flows.matrix(plan, plan.hosts["dc-pg1"])


@pytest.mark.parametrize(
    ("source", "target", "service", "says"),
    [
        ("nowhere.staff", "dc.app", "web", "no site 'nowhere'"),
        ("belopa.nix", "dc.app", "web", "no zone 'nix'"),
        ("belopa.app", "dc.app", "web", "belopa has no zone app"),
        ("belopa.staff", "dc.app", "gopher", "no service 'gopher'"),
        ("belopa.vpn", "dc.app", "web", "belopa is no hub"),
        ("belopa.intranet", "dc.app", "web", "many places"),
    ],
)
def test_names_that_there_are_not(plan: Plan, source: str, target: str, service: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ask(plan, source, target, service, 4)


def test_command_line(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(plan, "belopa.staff", "dc.app", "--service", "web", "--family", "6") == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        "web IPv6 from belopa.staff to dc.app: ",
        "  passes: belopa-gw > kantor-bupati-gw > dc-a",
        "      belopa-gw: staff-intranet-web (Agencies use each other's web applications)",
    ]
    assert command(plan, "staff", "--site", "belopa") == 0
    out = capsys.readouterr().out
    assert out.startswith("at belopa-gw\nstaff -> server\n    web, files, print, ping: An office uses its own servers")
    assert "staff->guest" in out.splitlines()[-1]
    assert command(plan, "belopa.nix", "dc.app", "--service", "web") == 2
    assert "no zone 'nix'" in capsys.readouterr().err


def ask(plan: Plan, source: str, target: str, service: str, family: int) -> flows.Verdict:
    source_site, _, source_zone = source.partition(".")
    target_site, _, target_zone = target.partition(".")
    return flows.verdict(plan, source_zone, source_site, target_zone, target_site, service, family)


def command(plan: Plan, *words: str) -> int:
    return flows.run(plan, parser().parse_args(["flows", "inventories/luwu", *words]))
