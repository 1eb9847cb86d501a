"""The policy as a gateway sees it: ports, zones, isolation, tunnels' ports, the pair's mate."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path

import pytest

from topology import policy
from topology.allocate import Plan
from topology.policy import GATEWAY, HUB, INTERNET, INTRANET, Attachment, Listen, Port, Zone

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("443/tcp", Port("tcp", 443, 443)),
        ("16384-32767/udp", Port("udp", 16384, 32767)),
        ("ping", Port("icmp", 0, 0)),
    ],
)
def test_a_port_is_a_number_a_range_or_ping(text: str, port: Port) -> None:
    assert policy.port(text) == port


def test_any_is_every_port_and_an_unknown_service_is_an_error(luwu: Plan) -> None:
    assert policy.ports_of(luwu.district.policy, "any") == ()
    assert Port("tcp", 443, 443) in policy.ports_of(luwu.district.policy, "web")
    with pytest.raises(KeyError):
        policy.ports_of(luwu.district.policy, "gopher")


def test_prefixes_of_a_family() -> None:
    both = Attachment(("x",), ("10.0.0.0/8", "fd00::/48", "2001:db8::/48"))
    assert both.of(4) == ("10.0.0.0/8",)
    assert both.of(6) == ("fd00::/48", "2001:db8::/48")


@pytest.mark.parametrize(
    ("source", "target", "passes"),
    [
        ("staff", "server", True),
        ("guest", "staff", False),
        ("staff", "guest", False),
        ("guest", GATEWAY, True),
        ("guest", INTERNET, True),
        ("guest", INTRANET, False),
        ("guest", "guest", False),
    ],
)
def test_isolation_opens_to_the_internet_and_the_gateway_only(source: str, target: str, passes: bool) -> None:
    zones = {n: Zone(n, n, (), n == "guest") for n in ("staff", "server", "guest", GATEWAY, INTERNET, INTRANET)}
    assert policy._permitted(zones, source, target) is passes


def test_only_a_gateway_has_a_box(luwu: Plan) -> None:
    with pytest.raises(ValueError, match="dc-pg1 is no gateway"):
        policy.box(luwu, luwu.hosts["dc-pg1"])


def test_the_hub_zone_is_every_centre_but_ones_own(luwu: Plan) -> None:
    everywhere = set(policy.hub_prefixes(luwu, "belopa"))
    for place in luwu.centres:
        own = set(luwu.district.space.reservation(place.second_octet, place.third_octet, place.length))
        assert own <= everywhere
        assert not own & set(policy.hub_prefixes(luwu, place.slug))
    hosts = [p for p in everywhere if ipaddress.ip_network(p).num_addresses == 1]
    gateways = [g for place in luwu.centres for g in place.data.gateways]
    assert len(hosts) == 3 * len(gateways) > 0
    loopbacks = {a for place in luwu.centres for g in luwu.gateways(place.slug) for i in g.of_kind("loopback")
                 for a in i.addresses}  # fmt: skip
    assert {p.split("/")[0] for p in hosts} == loopbacks


def test_every_prefix_of_a_network_is_the_plans(luwu: Plan) -> None:
    for slug, site in luwu.sites.items():
        for network in site.networks:
            assert policy._network_prefixes(luwu, f"{slug}.{network.name}") == network.prefixes


def test_a_tunnel_has_a_port_of_its_own_at_both_ends(luwu: Plan) -> None:
    tunnels = [x for x in luwu.links.values() if x.kind == "tunnel"]
    for link in tunnels:
        near, far = policy.tunnel_ports(link)
        assert near - 51820 == link.slot in (1, 2, 3)
        assert far == 40000 + int(link.ends[1].interface.removeprefix("wg"))
    for end in (0, 1):
        ports = [(x.ends[end].host, policy.tunnel_ports(x)[end]) for x in tunnels]
        assert len(set(ports)) == len(ports)


def test_a_gateway_listens_to_its_hubs_and_a_hub_to_all(luwu: Plan) -> None:
    site = policy.box(luwu, luwu.hosts["belopa-gw"])
    hubs = [policy.endpoint(luwu, hub.gateway) for hub in luwu.district.facts.hubs]
    assert None not in hubs
    assert site.listens == tuple(Listen(51820 + s, 51820 + s, (str(a),)) for s, a in enumerate(hubs, 1))
    hub = policy.box(luwu, luwu.hosts["dc-a"])
    assert Listen(51820, 51820, ()) in hub.listens
    numbers = [int(i.name.removeprefix("wg")) for i in luwu.hosts["dc-a"].of_kind("tunnel")]
    served = [n for n in numbers if n >= 32]
    assert Listen(40000 + min(served), 40000 + max(served), ()) in hub.listens
    assert (hub.hub, site.hub) == (True, False)


def test_an_endpoint_is_a_static_address(luwu: Plan) -> None:
    assert ipaddress.IPv4Address(policy.endpoint(luwu, "dc-a") or "")
    assert policy.endpoint(luwu, "nowhere") is None
    assert policy.endpoint(luwu, "belopa-gw") is None  # its provider's DHCP


def test_ipv4_leaves_at_home_and_ipv6_by_the_links_but_at_a_hub(luwu: Plan) -> None:
    site, hub = (policy.box(luwu, luwu.hosts[n]) for n in ("belopa-gw", "dc-a"))
    uplinks = tuple(i.name for i in site.uplinks)
    assert site.zones[INTERNET].attachments == (Attachment(uplinks, (), (4,)), Attachment(site.links, (), (6,)))
    assert [a.families for a in hub.zones[INTERNET].attachments] == [(4, 6)]
    assert site.zones[GATEWAY].attachments == ()
    assert {INTRANET, HUB} <= site.zones.keys()


def test_mates_know_each_other_over_one_network(lab: Plan) -> None:
    a, b = lab.hosts["dc-a"], lab.hosts["dc-b"]
    mine, theirs = policy.mate_of(lab, a), policy.mate_of(lab, b)
    assert mine is not None and theirs is not None
    assert (mine.host, theirs.host) == ("dc-b", "dc-a")
    assert (mine.own, mine.far) == (theirs.far, theirs.own)
    network = policy.mate_network(lab, "dc")
    assert network == "mgmt"
    assert set(mine.own) == {x for i in a.of_kind("lan") if i.network == network for x in i.addresses}
    assert policy.mate_of(lab, lab.hosts["belopa-gw"]) is None
    alone = dataclasses.replace(lab.sites["dc"], hosts=(a,))
    assert policy.mate_of(dataclasses.replace(lab, sites={**lab.sites, "dc": alone}), a) is None


def test_a_site_without_mgmt_keeps_in_step_on_its_first_network(lab: Plan) -> None:
    site = lab.sites["dc"]
    without = tuple(n for n in site.networks if n.name != "mgmt")
    changed = dataclasses.replace(lab, sites={**lab.sites, "dc": dataclasses.replace(site, networks=without)})
    assert policy.mate_network(changed, "dc") == without[0].name


def test_the_controller_is_known_in_a_lab_only(luwu: Plan, lab: Plan) -> None:
    assert policy.box(luwu, luwu.hosts["dc-a"]).management is None
    assert lab.district.lab is not None
    first = next(iter(ipaddress.ip_network(lab.district.lab.management).hosts()))
    assert policy.box(lab, lab.hosts["dc-a"]).management == ("mgmt0", str(first))


def test_what_is_published_stands_at_its_own_sites_gateways_only(luwu: Plan) -> None:
    published = luwu.district.policy.published
    assert published
    for name in ("dc-a", "belopa-gw"):
        host = luwu.hosts[name]
        own = [e for e in published if e.host in luwu.hosts and luwu.hosts[e.host].site == host.site]
        found = policy.box(luwu, host).published
        wanted = [(e.host, p) for e in own for s in e.services for p in policy.ports_of(luwu.district.policy, s)]
        assert [(p.host, p.port) for p in found] == wanted
        for one in found:
            addresses = next(luwu.hosts[one.host].of_kind("host")).addresses
            assert (one.address4, one.address6) == (addresses[0], addresses[2])
            assert one.uplink == next(host.of_kind("uplink")).name
    assert policy.box(luwu, luwu.hosts["dc-a"]).published


def test_rules_are_remembered_for_one_policy_and_not_for_another(luwu: Plan) -> None:
    policy._seen.clear()
    host = luwu.hosts["belopa-gw"]
    first = policy.box(luwu, host).rules
    assert policy.box(luwu, luwu.hosts["bajo-gw"]).rules is first
    other = luwu.district.policy.model_copy(update={"flows": ()})
    emptied = dataclasses.replace(luwu, district=dataclasses.replace(luwu.district, policy=other))
    assert policy.box(emptied, host).rules == ()
    assert policy.box(luwu, host).rules == first
    box = policy.box(luwu, host)
    assert box.between("staff", "server") == tuple(r for r in first if (r.source, r.target) == ("staff", "server"))
    assert box.between("staff", "server")


def test_a_rule_holds_each_family_once(luwu: Plan) -> None:
    for name in ("belopa-gw", "dc-a"):
        seen = [(r.label, f) for r in policy.box(luwu, luwu.hosts[name]).rules for f in r.families]
        assert len(seen) == len(set(seen))
    assert {f for r in policy.box(luwu, luwu.hosts["belopa-gw"]).rules for f in r.families} == {4, 6}
