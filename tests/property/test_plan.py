"""Properties of the address plan: nothing moves, nothing overlaps, IPv6 follows from IPv4.

The rule of the plan is written a second time here, with `ipaddress` only, so that a mistake in
`topology.prefix` cannot agree with itself.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import generate
from tests.property.strategies import Edits, shapes
from topology import load, prefix, report
from topology.allocate import Interface, Plan, allocate

EDITS = 24
"""Random edits of each district that is drawn."""
V6_SHIFT = 64
"""The fourth group of an IPv6 address starts at this bit."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Identity = tuple[object, ...]
Heads = tuple[ipaddress.IPv6Network, ...]


@cache
def network_of(text: str) -> Network:
    return ipaddress.ip_network(text)


def plan_of(documents: generate.Documents) -> Plan:
    tree = generate.tree(documents)
    district, findings = load.check(tree)
    assert district is not None, report.lines(findings, tree, "en")
    return allocate(district)


# -- identity: what an object is called for ever ----------------------------------------------------


def identities(documents: generate.Documents) -> dict[str, Identity]:
    """Return every site's permanent identity, from the registry alone: class and number."""
    registry = documents["registry.yml"]
    found: dict[str, Identity] = {}
    for section in ("skpd", "kecamatan", "dc"):
        found |= {x["slug"]: (section, x["number"]) for x in registry[section] if "retired" not in x}
    for line in registry["desa"]:
        if "retired" not in line:
            found[line["slug"]] = ("desa", found[line["kecamatan"]][1], line["number"])
    return found


def snapshot(documents: generate.Documents) -> dict[Identity, object]:
    """Return everything that may not move, by permanent identity."""
    plan = plan_of(documents)
    check_plan(plan)
    site_id = identities(documents)
    found: dict[Identity, object] = {}
    for slug, site in plan.sites.items():
        me = site_id[slug]
        found["site", me] = site.prefixes
        for network in site.networks:
            found["network", me, network.role] = (network.vlan, network.prefixes, network.reserved)
        for host in site.hosts:
            for interface in host.interfaces:
                key = ("interface", me, host.short, *_interface_id(plan, interface))
                found[key] = (interface.name, interface.addresses, interface.shared, interface.vlan)
    for link in plan.links.values():
        found["link", link.number] = link.prefixes
        for end in link.ends:
            found["end", link.number, site_id[end.site]] = end.addresses
    for hub in plan.district.facts.hubs:
        for user in plan.district.registry.vpn_users:
            if user.retired is None:
                found["vpn", hub.slot, user.number] = plan.district.space.vpn_users(hub.slot)
    return found


def _interface_id(plan: Plan, interface: Interface) -> Identity:
    if interface.link is not None:
        return ("link", plan.links[interface.link].number)
    if interface.kind == "uplink":
        return ("uplink", interface.uplink.name if interface.uplink else None)
    return (interface.kind, interface.network)


# -- the rule, written a second time ----------------------------------------------------------------


@cache
def v6_of(v4: Network, heads: Heads) -> list[str]:
    """Return the IPv6 prefixes that go with a reservation or LAN."""
    group = (int(v4.network_address) >> 8) & 0xFFFF
    return [
        str(ipaddress.IPv6Network((int(head.network_address) | group << V6_SHIFT, v4.prefixlen + 40))) for head in heads
    ]


@cache
def v6_host(text: str, heads: Heads) -> list[str]:
    """Return the IPv6 addresses of a host: the last octet's decimal digits, read as hexadecimal."""
    v4 = int(ipaddress.IPv4Address(text))
    group, digits = (v4 >> 8) & 0xFFFF, int(str(v4 & 0xFF), 16)
    return [str(ipaddress.IPv6Address(int(h.network_address) | group << V6_SHIFT | digits)) for h in heads]


def heads_of(plan: Plan) -> Heads:
    prefixes = plan.district.facts.prefixes
    return tuple(ipaddress.IPv6Network(p) for p in (prefixes.ula, prefixes.gua) if p)


def v4_base(plan: Plan, slug: str) -> str:
    """Return a site's IPv4 reservation from DESIGN's table."""
    place, registry = plan.sites[slug].place, plan.district.registry
    if place.kind == "desa":
        (line,) = (x for x in registry.desa if x.slug == slug and x.retired is None)
        (home,) = (x for x in registry.kecamatan if x.slug == line.kecamatan and x.retired is None)
        return f"10.{64 + home.number}.{16 + 8 * line.number}.0/21"
    section, base = {"kecamatan": ("kecamatan", 64), "dc": ("dc", 128), "drc": ("dc", 128)}.get(place.kind, ("skpd", 0))
    (line,) = (x for x in getattr(registry, section) if x.slug == slug and x.retired is None)
    return f"10.{base + line.number}.0.0/16"


def v4_lan(kind: str, base: str, role: int) -> tuple[str, str]:
    """Return a network's /24 and its reservation."""
    first = network_of(base).network_address
    if kind == "desa":
        lan = f"{first + 256 * {0: 0, 1: 1, 5: 2, 4: 3}[role]}/24"
        return lan, lan
    if kind == "kecamatan":
        lan = f"{first + 256 * role}/24"
        return lan, lan
    return f"{first + 4096 * role}/24", f"{first + 4096 * role}/20"


def check_plan(plan: Plan) -> None:
    """Assert what holds for every plan."""
    heads = heads_of(plan)
    addresses: list[str] = []
    reserved: list[Network] = []
    for slug, site in plan.sites.items():
        base = v4_base(plan, slug)
        v4 = network_of(base)
        assert list(site.prefixes) == [base, *v6_of(v4, heads)]
        if site.place.kind != "kecamatan":
            reserved += map(network_of, site.prefixes)
        for network in site.networks:
            lan, growth = v4_lan(site.place.kind, base, network.role)
            assert network.vlan == 10 * (network.role + 1)
            assert list(network.prefixes) == [lan, *v6_of(network_of(lan), heads)]
            assert list(network.reserved) == [growth, *v6_of(network_of(growth), heads)]
            assert {network_of(p).prefixlen for p in network.prefixes[1:]} == {64}
            first, last = network_of(growth)[0], network_of(growth)[-1]
            assert int(v4[0]) <= int(first) <= int(last) <= int(v4[-1])
            if site.place.kind == "kecamatan":
                reserved += map(network_of, network.reserved)
        disjoint([network_of(p) for n in site.networks for p in n.reserved])
        for host in site.hosts:
            names = [i.name for i in host.interfaces]
            assert len(names) == len(set(names)), (host.name, names)
            assert all(re.fullmatch(r"[a-z][a-z0-9_.-]{0,14}", n) for n in names), (host.name, names)
            for interface in host.interfaces:
                check_interface(site.place.kind, base, interface, heads)
                if interface.kind != "uplink":
                    addresses += interface.addresses
    ends = [a for link in plan.links.values() for end in link.ends for a in end.addresses]
    assert len(addresses) == len(set(addresses))
    assert set(ends) <= set(addresses)
    for link in plan.links.values():
        check_link(link.number, link.prefixes, [end.addresses for end in link.ends], heads)
        reserved += map(network_of, link.prefixes)
    for hub in plan.district.facts.hubs:
        vpn = plan.district.space.vpn_users(hub.slot)
        v4_vpn = ipaddress.IPv4Network(f"10.253.{hub.slot}.0/24")
        assert list(vpn) == [str(v4_vpn), *v6_of(v4_vpn, heads)]
        reserved += map(network_of, vpn)
    reserved += [network_of(a) for h in plan.hosts.values() for i in h.of_kind("loopback") for a in i.addresses]
    disjoint(reserved)
    numbers = [link.number for link in plan.links.values()]
    assert len(numbers) == len(set(numbers))


def check_interface(kind: str, base: str, interface: Interface, heads: Heads) -> None:
    if interface.kind == "uplink":
        return
    first, *rest = interface.addresses
    assert rest == v6_host(first, heads)
    if interface.shared:
        assert list(interface.shared[1:]) == v6_host(interface.shared[0], heads)
        assert interface.shared[0].endswith(".1")
    if interface.kind == "loopback":
        assert ipaddress.IPv4Address(first) in ipaddress.IPv4Network("10.255.0.0/16")
        s, t = network_of(base).network_address.packed[1:3]
        assert first.rpartition(".")[0] == f"10.255.{s}" and 0 < int(first.rpartition(".")[2]) - t <= 3
    elif interface.network is not None:
        address = ipaddress.IPv4Address(first)
        assert address in network_of(base)
        assert address.packed[3] == interface.number


def check_link(
    number: int,
    prefixes: tuple[str, ...],
    ends: list[tuple[str, ...]],
    heads: Heads,
) -> None:
    t, h = divmod(2 * number, 256)
    assert h >= 2  # RFC 6164: not the subnet-router anycast address of the /64
    assert prefixes[0] == f"10.254.{t}.{h}/31"
    for index, end in enumerate(ends):
        assert end[0] == f"10.254.{t}.{h + index}"
    for text, a, b in zip(prefixes, *ends, strict=True):
        network = network_of(text)  # strict: no bit right of the length
        assert network.prefixlen == (31 if network.version == 4 else 127)
        assert {ipaddress.ip_address(a), ipaddress.ip_address(b)} == set(network)
    for head, text in zip(heads, prefixes[1:], strict=True):
        v6 = ipaddress.IPv6Network(text)
        digits = int(str(h), 16)
        assert int(v6.network_address) == int(head.network_address) | (0xFE00 | t) << V6_SHIFT | digits


def disjoint(networks: list[Network]) -> None:
    """Assert that no two of the networks overlap."""
    for version in (4, 6):
        ranges = sorted((int(n.network_address), int(n.broadcast_address), n) for n in networks if n.version == version)
        for (_, last, a), (first, _, b) in itertools.pairwise(ranges):
            assert last < first, (a, b)


# -- the properties ---------------------------------------------------------------------------------


def test_at_least_a_thousand_edits_are_made() -> None:
    assert settings.default is not None
    assert settings.default.max_examples * EDITS >= 1_000


REMOVING = ("retire", "remove", "rename")


@given(shape=shapes(), seed=st.integers(0, 2**32))
def test_an_edit_moves_nothing_else(shape: dict[str, Any], seed: int) -> None:
    edits = Edits(generate.generate(**shape), seed)
    before = snapshot(edits.documents)
    for _ in range(EDITS):
        done = edits.any()
        after = snapshot(edits.documents)
        moved = {key: (before[key], after[key]) for key in before.keys() & after.keys() if before[key] != after[key]}
        assert not moved, (done, moved)
        if not any(word in done for word in REMOVING):
            assert before.keys() <= after.keys(), (done, before.keys() - after.keys())
        if "reorder" in done or "annotate" in done or "turn" in done:
            assert before.keys() == after.keys(), done
        if "rename" in done and "host" not in done:
            assert before.keys() == after.keys(), (done, before.keys() ^ after.keys())
        if "remove_hub" in done:  # only the tunnels to its own slot go
            gone = [str(key[1]) for key in before.keys() - after.keys() if key[0] == "link"]
            assert len({int(number) % 4 for number in gone}) <= 1, (done, gone)
        before = after


@given(shape=shapes())
def test_arbitrary_districts_have_a_sound_plan(shape: dict[str, Any]) -> None:
    check_plan(plan_of(generate.generate(**shape)))


@given(shape=shapes(), seed=st.integers(0, 2**32))
def test_an_edit_is_told_by_the_rules_alone(shape: dict[str, Any], seed: int) -> None:
    """A number that is given twice is found, wherever it is."""
    edits = Edits(generate.generate(**shape), seed)
    sections = [s for s in ("skpd", "kecamatan", "links", "vpn_users") if len(edits.registry[s]) > 1]
    if not sections:
        return
    lines = edits.registry[edits.rng.choice(sections)]
    one, other = edits.rng.sample(lines, 2)
    one["number"] = other["number"]
    _, findings = load.check(generate.tree(edits.documents))
    assert [f.rule for f in findings if report.is_error(f)] == ["RG001"]


def test_the_largest_district_has_a_sound_plan() -> None:
    documents = generate.generate(
        offices=63, kecamatan=63, villages=1890, hosts=4_000, centres=3, applications=54, vpn_users=40
    )  # fmt: skip
    plan = plan_of(documents)
    assert len(plan.sites) == 63 + 63 + 1890 + 3
    check_plan(plan)


def _tunnels() -> Iterator[tuple[int, int, int | None, int]]:
    """Yield the number of every tunnel there can be, and what it belongs to."""
    for s in range(192):
        villages = [None, *range(30)] if 64 < s < 128 else [None]
        for village, slot in itertools.product(villages, (1, 2, 3)):
            yield prefix.tunnel_number(s, village, slot), s, village, slot


def test_tunnel_numbers_are_unique_over_the_whole_space() -> None:
    numbers = [number for number, *_ in _tunnels()]
    every = [prefix.tunnel_number(s, v, slot) for s in range(192) for v in (None, *range(30)) for slot in (1, 2, 3)]
    for some in (numbers, every):
        assert len(some) == len(set(some))
        assert all(number % 128 != 0 for number in some)
        assert min(some) > prefix.MAX_REGISTERED_LINK
        assert max(some) < 2**15  # two addresses each in a /16
        assert all(prefix.usable_link(number) for number in some)


def test_registered_links_have_a_vlan_and_never_meet_a_tunnel() -> None:
    from topology.allocate import RADIO_VLAN_BASE

    usable = [n for n in range(1, prefix.MAX_REGISTERED_LINK + 1) if prefix.usable_link(n)]
    assert not {n for n, *_ in _tunnels()} & set(usable)
    assert RADIO_VLAN_BASE + max(usable) <= 4094
    taken = {10 * (role + 1) for role in range(16)}
    assert not taken & {RADIO_VLAN_BASE + n for n in usable}


def test_every_tunnel_and_link_prefix_is_disjoint() -> None:
    space = prefix.Space(
        ipaddress.IPv4Network("10.0.0.0/8"),
        ipaddress.IPv6Network("fd12:3456:789a::/48"),
        ipaddress.IPv6Network("2001:db8:1::/48"),
    )
    numbers = [n for n in range(1, prefix.MAX_REGISTERED_LINK + 1) if prefix.usable_link(n)]
    numbers += [n for n, *_ in _tunnels()]
    heads = (space.ula, ipaddress.IPv6Network("2001:db8:1::/48"))
    for number in numbers:
        check_link(number, space.link(number), [space.link_end(number, 0), space.link_end(number, 1)], heads)
    disjoint([network_of(p) for n in numbers for p in space.link(n)])
