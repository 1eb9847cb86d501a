"""From numbers to the plan: octets, host numbers, interface names, links, the lab's slice."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path

import pytest

from tests import generate
from topology import load, report
from topology import prefix as px
from topology.allocate import RADIO_VLAN_BASE, Plan, allocate, internet_address6, sliced

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made() -> Plan:
    """Two kecamatan with three villages each, VPN users and three centres."""
    tree = generate.tree(generate.generate(offices=2, kecamatan=2, villages=3, centres=3, vpn_users=3, hosts=20))
    district, findings = load.check(tree)
    assert district is not None, report.lines(findings, tree, "en")
    return allocate(district)


def test_constants_of_the_plan() -> None:
    assert (px.MAX_NUMBER, px.MAX_VILLAGES, px.MAX_REGISTERED_LINK) == (63, 30, 3071)
    assert (px.LINK_OCTET, px.LOOPBACK_OCTET, px.VPN_OCTET) == (254, 255, 253)
    assert (px.DHCP_FIRST, px.DHCP_LAST) == (100, 249)
    assert px.SECTION_BASE == {"skpd": 0, "kecamatan": 64, "dc": 128}
    assert (list(px.DEVICE_NUMBERS), px.FIXED_NUMBERS) == ([4, 5, 6, 7, 8, 9], range(10, 100))
    assert RADIO_VLAN_BASE + px.MAX_REGISTERED_LINK <= 4094


def test_identity_and_tunnel_number_are_as_the_design_says() -> None:
    assert [px.identity(1, None), px.identity(1, 0), px.identity(191, 29)] == [32, 33, 6142]
    assert px.tunnel_number(1, None, 1) == 8192 + 32 * 4 + 1
    assert px.tunnel_number(191, 29, 3) == 8192 + 6142 * 4 + 3 <= 32767
    assert [px.usable_link(n) for n in (0, 1, 127, 128, 129, 32767, 32768)] == [
        False, True, True, False, True, True, False,
    ]  # fmt: skip


def test_a_sites_networks_lie_where_its_kind_says(made: Plan) -> None:
    for site in made.sites.values():
        place = site.place
        for network in site.networks:
            s, t = place.second_octet, network.third_octet
            if place.kind == "desa":
                assert t == place.third_octet + px.VILLAGE_ROLES.index(network.name)
                reserved = 24
            elif place.kind == "kecamatan":
                assert t == network.role
                reserved = 24
            else:
                assert t == 16 * network.role
                reserved = 20
            assert network.prefixes[0] == f"10.{s}.{t}.0/24"
            assert network.reserved[0] == f"10.{s}.{t}.0/{reserved}"
            assert network.vlan == 10 * (network.role + 1)
            inside = ipaddress.ip_network(site.prefixes[0])
            assert ipaddress.IPv4Network(network.prefixes[0]).subnet_of(inside)  # type: ignore[arg-type]


def test_sites_are_in_order_of_their_octets_and_gateways_first(made: Plan) -> None:
    octets = [(s.place.second_octet, s.place.third_octet) for s in made.sites.values()]
    assert octets == sorted(octets)
    for site in made.sites.values():
        kinds = [h.kind == "gateway" for h in site.hosts]
        assert kinds == sorted(kinds, reverse=True) and kinds[0]
        rest = [h.name for h in site.hosts if h.kind != "gateway"]
        assert rest == sorted(rest)


def test_a_gateways_addresses(luwu: Plan) -> None:
    for site in luwu.sites.values():
        for host in luwu.gateways(site.slug):
            member = host.member or 1
            (loopback,) = host.of_kind("loopback")
            assert loopback.addresses[0] == f"10.255.{site.place.second_octet}.{site.place.third_octet + member}"
            assert loopback.name == ("lo0" if host.platform == "freebsd" else "lo")
            for lan in host.of_kind("lan"):
                network = site.network(lan.network or "")
                assert lan.addresses[0] == network.prefixes[0].replace(".0/24", f".{member}")
                assert lan.number == member
                shared = (network.prefixes[0].replace(".0/24", ".1"),) if host.member else ()
                assert lan.shared[:1] == shared
                tagged = host.profile is not None and host.profile.vlans
                assert lan.vlan == (network.vlan if tagged else None)
                assert lan.name.endswith(f".{network.vlan}") is bool(tagged)


def test_members_of_a_pair_are_2_and_3_and_share_1(luwu: Plan) -> None:
    a, b = luwu.gateways("dc")
    assert (a.member, b.member) == (2, 3)
    for one, other in zip(a.of_kind("lan"), b.of_kind("lan"), strict=True):
        assert one.shared == other.shared != ()
        assert not set(one.addresses) & set(other.addresses)


def test_a_radio_link_is_a_vlan_of_its_number_and_the_lower_site_is_even(luwu: Plan) -> None:
    for link in luwu.links.values():
        if link.kind != "radio":
            continue
        octets = [(luwu.sites[e.site].place.second_octet, luwu.sites[e.site].place.third_octet) for e in link.ends]
        assert octets == sorted(octets)
        first = ipaddress.ip_network(link.prefixes[0])
        assert link.ends[0].addresses[0] == str(first[0]) and link.ends[1].addresses[0] == str(first[1])
        for end in link.ends:
            (interface,) = (i for i in luwu.hosts[end.host].interfaces if i.link == link.name)
            assert interface.addresses == end.addresses
            if "." in interface.name:
                assert interface.vlan == RADIO_VLAN_BASE + link.number
                assert interface.name.endswith(f".{interface.vlan}")
            else:
                assert interface.vlan is None


def test_either_end_knows_the_other(luwu: Plan) -> None:
    for link in luwu.links.values():
        near, far = link.ends
        assert (link.end_of(near.host), link.far_end(near.host)) == (near, far)
        assert (link.end_of(far.host), link.far_end(far.host)) == (far, near)
        assert link in luwu.links_of(near.host) and link in luwu.links_of(far.host)
    assert luwu.links_of("nobody") == ()
    for host in luwu.hosts:
        numbers = [x.number for x in luwu.links_of(host)]
        assert numbers == sorted(numbers)


def test_tunnels_are_named_after_the_slot_and_the_site(luwu: Plan) -> None:
    for link in luwu.links.values():
        if link.kind == "tunnel":
            place = luwu.sites[link.ends[0].site].place
            assert link.ends[0].interface == f"wg{link.slot}"
            assert (
                link.ends[1].interface
                == f"wg{32 * place.second_octet + (0 if place.village is None else place.village + 1)}"
            )
            assert link.name == f"{place.slug}--{link.ends[1].host}"


def test_vpn_users_have_the_same_number_at_every_hub(made: Plan) -> None:
    slots = sorted(hub.slot for hub in made.district.facts.hubs)
    assert made.vpn_users and [u.number for u in made.vpn_users] == sorted(u.number for u in made.vpn_users)
    for user in made.vpn_users:
        assert {s: a[0] for s, a in user.addresses.items()} == {s: f"10.253.{s}.{user.number}" for s in slots}
    for hub in made.hubs:
        (users,) = hub.of_kind("vpn")
        assert (users.name, users.addresses[0]) == ("wg0", f"10.253.{hub.hub_slot}.1")
    assert [h.hub_slot for h in made.hubs] == slots


def test_a_retired_vpn_user_is_gone(made: Plan) -> None:
    lines = made.district.registry.vpn_users
    retired = (lines[0].model_copy(update={"retired": "2026-01-01"}), *lines[1:])
    registry = made.district.registry.model_copy(update={"vpn_users": retired})
    after = allocate(dataclasses.replace(made.district, registry=registry))
    assert [u.name for u in after.vpn_users] == [u.name for u in made.vpn_users if u.name != lines[0].name]


def test_the_applications_are_guests_of_their_sites(luwu: Plan) -> None:
    apps = luwu.district.apps
    assert apps is not None and apps.sites
    for slug in apps.sites:
        network = luwu.sites[slug].network(apps.network)
        found = {h.application: h for h in luwu.sites[slug].hosts if h.application}
        assert found.keys() == {a.slug for a in apps.applications}
        for app in apps.applications:
            host = found[app.slug]
            assert (host.name, host.short, host.kind) == (f"{slug}-app-{app.slug}", f"app-{app.slug}", "guest")
            (interface,) = host.interfaces
            assert interface.addresses[0] == network.prefixes[0].replace(".0/24", f".{app.number}")
    assert not [h for s in luwu.sites.values() if s.slug not in apps.sites for h in s.hosts if h.application]


def test_a_switch_has_a_vlan_interface_and_others_their_platforms(luwu: Plan) -> None:
    for host in luwu.hosts.values():
        entries = {e.name: e for e in luwu.sites[host.site].place.data.hosts}
        if host.short not in entries:
            continue
        entry = entries[host.short]
        default = {"guest": "debian", "server": "debian", "nas": "debian"}.get(entry.kind, "appliance")
        assert host.platform == (entry.platform or default)
        assert host.managed is (host.platform != "appliance")
        roles = [luwu.sites[host.site].network(i.network or "").role for i in host.interfaces]
        assert roles == sorted(roles)
        for interface in host.interfaces:
            network = luwu.sites[host.site].network(interface.network or "")
            port = entry.interfaces[network.name]
            wanted = f"vlan{network.vlan}" if entry.kind == "switch" else {"guest": "ens192"}.get(entry.kind, "eth0")
            assert interface.name == (port.name or wanted)
            assert interface.addresses[0] == network.prefixes[0].replace(".0/24", f".{port.number}")
            assert interface.mac == port.mac


def test_the_labs_internet_reads_the_number_as_it_is_written(lab: Plan) -> None:
    assert lab.district.lab is not None and lab.district.lab.internet is not None
    wire = lab.district.lab.internet
    prefix4, prefix6 = ipaddress.ip_network(wire.prefix), ipaddress.ip_network(wire.prefix6)
    assert internet_address6(wire) == f"{prefix6[0]}{wire.host}"
    host = lab.hosts["internet"]
    assert host.interfaces[0].addresses == (str(prefix4[wire.host]), internet_address6(wire))
    hubs = {h.slot: h.gateway for h in lab.district.facts.hubs}
    assert host.site == lab.hosts[hubs[min(hubs)]].site
    for gateway in lab.hosts.values():
        for uplink in gateway.of_kind("uplink"):
            if gateway.kind != "gateway":
                continue
            v4, v6 = uplink.addresses
            assert ipaddress.ip_address(v4) in prefix4 and ipaddress.ip_address(v6) in prefix6
            assert v6.rsplit(":", 1)[1] == v4.rsplit(".", 1)[1]
            assert uplink.static == (f"{v4}/{prefix4.prefixlen}", f"{v6}/{prefix6.prefixlen}")
            assert uplink.uplink is not None and uplink.uplink.router == str(prefix4[wire.host])
            line = next(x for x in lab.district.lab.hosts if x.host == gateway.name)
            entry = lab.sites[gateway.site].place.data.uplinks[0]
            if not entry.address and not entry.gateways:
                assert v4 == str(prefix4[100 + line.number])


def test_a_slice_has_whole_links_only_and_no_empty_site(lab: Plan) -> None:
    whole = allocate(lab.district)
    assert lab.district.lab is not None
    names = {x.host for x in lab.district.lab.hosts} | {f"{c.site}-{c.name}" for c in lab.district.lab.clients}
    assert set(lab.hosts) == names | {"internet"}
    assert set(lab.links) == {n for n, x in whole.links.items() if {e.host for e in x.ends} <= set(lab.hosts)}
    for name, host in lab.hosts.items():
        kept = tuple(i for i in whole.hosts[name].interfaces if i.link is None or i.link in lab.links)
        assert host.interfaces == kept
    assert all(site.hosts for site in lab.sites.values())
    assert {h.name for s in lab.sites.values() for h in s.hosts} == set(lab.hosts)


def test_without_a_lab_the_slice_is_the_plan(luwu: Plan) -> None:
    assert sliced(luwu) is luwu
