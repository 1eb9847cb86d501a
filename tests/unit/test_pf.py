"""pf.conf of gateways: no lint finding anywhere, and what passes and what does not, packet by packet.

The evaluator below knows as much of pf as the rendered files use: macros, tables with exceptions,
tags, last match and `quick`. It judges first packets; states are not its business.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import generate
from topology import load, policy
from topology.allocate import Host, Plan, allocate
from topology.lint.pf import lint, tokenize
from topology.policy import Box
from topology.render import dnctl, pf
from topology.render.common import context_of
from topology.render.freebsd import interfaces_json

LUWU = Path(__file__).parents[2] / "inventories" / "luwu"
OFFICE, KECAMATAN, ROOT, HUB, SECOND_HUB = "dinkes-gw", "bajo-gw", "kantor-bupati-gw", "dc-a", "drc1-gw"
INTERNET, INTERNET6 = "9.9.9.9", "2620:fe::fe"


def checked(documents: dict[str, Any]) -> Plan:
    district, findings = load.check(generate.tree(documents))
    assert district is not None, findings
    return allocate(district)


def generated(**changes: Any) -> Plan:
    sizes: dict[str, Any] = {"offices": 4, "kecamatan": 3, "villages": 4, "centres": 3, "leased": 1, "vpn_users": 2}
    return checked(generate.generate(**(sizes | changes)))


@pytest.fixture(scope="module")
def luwu() -> Plan:
    district, _, _ = load.load(LUWU)
    assert district is not None
    return allocate(district)


def problems(plan: Plan) -> list[str]:
    found = []
    for host in plan.hosts.values():
        if host.kind == "gateway":
            box = policy.box(plan, host)
            shaping = dnctl.shaping(plan, host, box)
            rows = json.loads(interfaces_json(host))
            names, groups = [r["name"] for r in rows], {g for r in rows for g in r["groups"]}
            for name, text in pf.files(context_of(plan), host, box, shaping).items():
                found += [str(p) for p in lint(text, names, groups, shaping.pipes, f"{host.name}/{name}")]
    return found


def test_the_district_has_no_finding(luwu: Plan) -> None:
    assert problems(luwu) == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"gua": None},
        {"pair": False, "hubs": 1},
        {"radio": False},
        {"extra_networks": 4},
        {"hubs": 0, "vpn_users": 0},
    ],
    ids=str,
)
def test_generated_districts_have_no_finding(changes: dict[str, Any]) -> None:
    assert problems(generated(**changes)) == []


def odd() -> Plan:
    """Return a district with a place that has no IPv6, and one with two lines of known rates."""
    documents = generate.generate(offices=3, kecamatan=2, villages=2, centres=2)
    documents["sites/skpd/dinas-02.yml"]["migration"] = "ipv4-only"
    documents["sites/skpd/dinas-03.yml"]["uplinks"] = [
        {"name": "isp", "up_mbps": 20, "down_mbps": 50.5},
        {"name": "backup", "port": "igb3", "up_mbps": 5, "down_mbps": 5},
    ]
    return checked(documents)


def test_odd_places_have_no_finding() -> None:
    assert problems(odd()) == []


# ---------------------------------------------------------------- an evaluator


@dataclass(frozen=True)
class Packet:
    interface: str
    protocol: str
    source: str
    target: str
    port: int = 0
    source_port: int = 40000
    icmp: str = ""


class Filter:
    """A rendered file, to ask what becomes of a packet."""

    def __init__(self, text: str, host: Host) -> None:
        self.own = {a for i in host.interfaces for a in (*i.addresses, *i.shared)}
        self.interfaces = {r["name"]: {r["name"], *r["groups"]} for r in json.loads(interfaces_json(host))}
        self.addresses = {i.name: i.addresses for i in host.interfaces}
        macros = dict(re.findall(r'^([a-z0-9_]+) = "(.*)"$', text, re.M))
        text = re.sub(r"\$([a-z0-9_]+)", lambda m: macros[m.group(1)], text)
        self.tables = {
            name: [(x.startswith("!"), ipaddress.ip_network(x.lstrip("!"))) for x in body.split(", ")]
            for name, body in re.findall(r"^table <(\S+)> const \{ (.*) \}$", text, re.M)
        }
        self.rules = [
            [t.text for t in tokenize(line) if t.text != "\n"]
            for line in text.splitlines() if line.startswith(("block", "pass", "match"))
        ]  # fmt: skip

    def passes(self, direction: str, packet: Packet, tag: str = "") -> tuple[bool, str, str]:
        """Return whether the packet passes, by which rule's label, and its tag."""
        verdict, label = True, "no rule"
        for rule in self.rules:
            if not self._matches(rule, direction, packet, tag):
                continue
            tag = rule[rule.index("tag") + 1] if "tag" in rule else tag
            if rule[0] == "match":
                continue
            verdict, label = rule[0] == "pass", rule[rule.index("label") + 1]
            if "quick" in rule:
                break
        return verdict, label, tag

    def _matches(self, rule: list[str], direction: str, packet: Packet, tag: str) -> bool:
        words = rule[1:]
        if ("in" in words and direction == "out") or ("out" in words and direction == "in"):
            return False
        family = 6 if ":" in packet.target else 4
        if ("inet" in words and family == 6) or ("inet6" in words and family == 4):
            return False
        if "on" in words and not set(items(words, "on")) & self.interfaces[packet.interface]:
            return False
        if "proto" in words and packet.protocol not in items(words, "proto"):
            return False
        kinds = [items(words, k) for k in ("icmp-type", "icmp6-type") if k in words]
        if kinds and packet.icmp not in kinds[0]:
            return False
        if "tagged" in words:
            at = words.index("tagged")
            if (words[at + 1] == tag) == (words[at - 1] == "!"):
                return False
        if "urpf-failed" in words:
            return False
        ends = (("from", packet.source, packet.source_port), ("to", packet.target, packet.port))
        return all(self._end(words, key, address, port, packet) for key, address, port in ends if key in words)

    def _end(self, words: list[str], key: str, address: str, port: int, packet: Packet) -> bool:
        at = words.index(key) + 1
        negated = words[at] == "!"
        at += negated
        hosts = items(words, key) if words[at] == "{" else [
            "".join(itertools.takewhile(lambda w: w not in STOP, words[at:]))
        ]  # fmt: skip
        if any(self._host(h, address, packet) for h in hosts) == negated:
            return False
        rest = words[at:]
        stop = min([rest.index(w) for w in ("to", "tag", "keep", "no", "label") if w in rest] or [len(rest)])
        if "port" not in rest[:stop]:
            return True
        ranges = [r.partition(":") for r in items(rest, "port")]
        return any(int(low) <= port <= int(high or low) for low, _, high in ranges)

    def _host(self, host: str, address: str, packet: Packet) -> bool:
        if host == "any":
            return True
        if host == "(self)":
            return address in self.own
        if host.startswith("("):
            return address in self.addresses[host[1:-1].partition(":")[0]]
        ip = ipaddress.ip_address(address)
        if host.startswith("<"):
            found = [(n.prefixlen, not no) for no, n in self.tables.get(host[1:-1], ()) if n.version == ip.version
                     and ip in n]  # fmt: skip
            return bool(found) and max(found)[1]
        network = ipaddress.ip_network(host)
        return network.version == ip.version and ip in network


STOP = ("port", "to", "tag", "tagged", "label", "keep", "no", "dnpipe", "dnqueue", "icmp-type", "icmp6-type", "!")


def items(words: list[str], key: str) -> list[str]:
    """Return the values behind a key: one, or those in braces."""
    at = words.index(key) + 1
    if words[at] != "{":
        return [words[at]]
    inner = words[at + 1 : words.index("}", at)]
    return "".join(inner).split(",")


def filter_of(plan: Plan, name: str, file: str = "etc/pf.conf") -> Filter:
    host = plan.hosts[name]
    return Filter(pf.files(context_of(plan), host)[file], host)


def box_of(plan: Plan, name: str) -> Box:
    return policy.box(plan, plan.hosts[name])


def crosses(filter_: Filter, inside: Packet, outside: str) -> bool:
    """Say whether a packet gets in at one interface and out at another."""
    entered, _, tag = filter_.passes("in", inside)
    source = inside.source
    if outside == "igb0" and ":" not in source:
        source = next(iter(filter_.addresses["igb0"]), "")  # translated
        if not source:
            filter_.own.add("203.0.114.9")
            source = "203.0.114.9"
    leaving = Packet(outside, inside.protocol, source, inside.target, inside.port, icmp=inside.icmp)
    return entered and filter_.passes("out", leaving, tag)[0]


def probe(protocol: str, source: str, target: str, interface: str, port: int) -> Packet:
    return Packet(interface, protocol, source, target, port)


@pytest.mark.parametrize("name", [OFFICE, KECAMATAN, HUB, SECOND_HUB])
def test_every_pair_of_local_zones_passes_what_the_policy_says_and_nothing_else(luwu: Plan, name: str) -> None:
    box, gateway = box_of(luwu, name), filter_of(luwu, name)
    local = [z for z in box.zones.values() if z.kind == "local"]
    tried = passed = 0
    for source, target in itertools.permutations(local, 2):
        allowed = {(p.protocol, n) for r in box.between(source.name, target.name) for p in r.ports
                   for n in range(p.low, p.high + 1)}  # fmt: skip
        for family, (protocol, port) in itertools.product((0, 1, 2), [
            ("tcp", 22), ("tcp", 80), ("tcp", 445), ("tcp", 5432), ("tcp", 23), ("udp", 161), ("udp", 53), ("udp", 69)
        ]):  # fmt: skip
            here, there = (z.attachments[0].prefixes[family].partition("/")[0] for z in (source, target))
            packet = probe(protocol, near(here, 40), near(there, 50), source.attachments[0].interfaces[0], port)
            tried += 1
            result = crosses(gateway, packet, target.attachments[0].interfaces[0])
            passed += result
            assert result == ((protocol, port) in allowed), (packet, target.name)
    assert tried and 0 < passed < tried


def near(network: str, number: int) -> str:
    return network.removesuffix("0") + str(number) if ":" not in network else f"{network}{number}"


def lan(plan: Plan, name: str, network: str) -> tuple[str, str, str, str]:
    """Return a LAN's interface and an address of a host in it, per prefix (IPv4, ULA, GUA)."""
    host = plan.hosts[name]
    prefixes = plan.sites[host.site].network(network).prefixes
    interface = next(i.name for i in host.of_kind("lan") if i.network == network)
    v4, ula, gua = (near(p.split("/")[0], 40) for p in prefixes)
    return interface, v4, ula, gua


def test_guests_reach_the_internet_and_their_own_gateways_dhcp_and_dns_only(luwu: Plan) -> None:
    gateway = filter_of(luwu, OFFICE)
    interface, v4, ula, gua = lan(luwu, OFFICE, "guest")
    _, staff4, staff6, _ = lan(luwu, OFFICE, "staff")
    own = next(i for i in luwu.hosts[OFFICE].of_kind("lan") if i.network == "guest").addresses
    staff = next(i for i in luwu.hosts[OFFICE].of_kind("lan") if i.network == "staff").addresses
    assert crosses(gateway, probe("tcp", v4, INTERNET, interface, 443), "igb0")
    assert crosses(gateway, probe("tcp", gua, INTERNET6, interface, 443), "wg1")
    assert not crosses(gateway, probe("tcp", v4, INTERNET, interface, 25), "igb0")
    assert gateway.passes("in", probe("udp", v4, own[0], interface, 53))[0]
    assert gateway.passes("in", probe("udp", ula, own[1], interface, 53))[0]
    for source, target in ((v4, staff4), (ula, staff6), (v4, staff[0]), (v4, "10.129.32.20"), (v4, own[0])):
        for port in (22, 80, 443):
            assert not gateway.passes("in", probe("tcp", source, target, interface, port))[0], target
    ping = Packet(interface, "icmp", v4, staff4, icmp="unreach")
    assert gateway.passes("in", ping)[1] == "guest-isolated"
    assert gateway.passes("in", Packet(interface, "udp", "0.0.0.0", "255.255.255.255", 67, 68))[1] == "dhcp"
    assert gateway.passes("in", Packet(interface, "udp", "fe80::1", "ff02::1:2", 547, 546))[1] == "dhcp6"


def test_rogue_routers_and_dhcp_servers_are_dropped_on_every_lan(luwu: Plan) -> None:
    gateway = filter_of(luwu, OFFICE)
    for i in luwu.hosts[OFFICE].of_kind("lan"):
        advert = Packet(i.name, "icmp6", "fe80::9", "ff02::1", icmp="routeradv")
        assert gateway.passes("in", advert)[:2] == (False, "rogue-router")
        assert gateway.passes("out", advert)[0]
        assert gateway.passes("in", Packet(i.name, "udp", "10.9.9.9", "255.255.255.255", 68, 67))[1] == "rogue-dhcp"
        assert gateway.passes("in", Packet(i.name, "udp", "fe80::9", "fe80::8", 546, 547))[1] == "rogue-dhcp6"


def test_neighbour_discovery_passes_everywhere_also_without_an_address(luwu: Plan) -> None:
    gateway = filter_of(luwu, HUB)
    for name in gateway.interfaces:
        for source in ("::", "fe80::1"):
            assert gateway.passes("in", Packet(name, "icmp6", source, "ff02::1:ff00:1", icmp="neighbrsol"))[0]


def test_ssh_is_for_administrators_over_links_only(luwu: Plan) -> None:
    gateway = filter_of(luwu, OFFICE)
    own = next(luwu.hosts[OFFICE].of_kind("loopback")).addresses[0]
    _, admin, _, _ = lan(luwu, "diskominfo-gw", "mgmt")
    assert gateway.passes("in", probe("tcp", admin, own, "wg1", 22))[:2] == (True, "admin-gateway-ssh")
    assert not gateway.passes("in", probe("tcp", admin, own, "igb0", 22))[0]
    assert not gateway.passes("in", probe("tcp", "10.20.0.40", own, "wg1", 22))[0]
    for network in ("staff", "mgmt"):
        interface, v4, _, _ = lan(luwu, OFFICE, network)
        assert gateway.passes("in", probe("tcp", v4, own, interface, 22))[1] == "gateway-closed"
    text = pf.files(context_of(luwu), luwu.hosts[OFFICE])["etc/pf.conf"]
    rules = [line for line in text.splitlines() if "admin-gateway-ssh" in line]
    assert rules and all("max-src-conn-rate" in r and "overload <abusers> flush global" in r for r in rules)


def test_the_operators_own_management_network_reaches_its_gateway(luwu: Plan) -> None:
    name = "diskominfo-gw"
    interface, v4, ula, _ = lan(luwu, name, "mgmt")
    own = next(luwu.hosts[name].of_kind("loopback")).addresses
    for file in ("etc/pf.conf", "etc/pf.fallback.conf"):
        gateway = filter_of(luwu, name, file)
        assert gateway.passes("in", probe("tcp", v4, own[0], interface, 22))[0]
        assert gateway.passes("in", probe("tcp", ula, own[1], interface, 22))[0]


def test_wireguard_of_an_office_is_for_the_hubs_and_of_a_hub_for_anybody(luwu: Plan) -> None:
    office, hub = filter_of(luwu, OFFICE), filter_of(luwu, HUB)
    office.addresses["igb0"] = ("203.0.114.9",)
    listens = box_of(luwu, OFFICE).listens
    assert listens
    for listen in listens:
        assert office.passes("in", probe("udp", listen.sources[0], "203.0.114.9", "igb0", listen.port))[0]
        assert not office.passes("in", probe("udp", INTERNET, "203.0.114.9", "igb0", listen.port))[0]
        out = Packet("igb0", "udp", "203.0.114.9", listen.sources[0], 41000, listen.port)
        assert office.passes("out", out)[1] == "wireguard-out"
    own = luwu.hosts[HUB].interfaces[1].addresses[0]
    for listen in box_of(luwu, HUB).listens:
        assert hub.passes("in", probe("udp", INTERNET, own, "igb0", listen.port))[0]
        assert hub.passes("in", probe("udp", "10.6.16.9", own, "igb0", listen.port))[1] == "martians"
    assert not hub.passes("in", probe("udp", INTERNET, own, "igb0", 500))[0]


@pytest.mark.parametrize("name", [OFFICE, KECAMATAN, ROOT, HUB])
def test_nothing_of_the_district_leaves_by_the_providers_line(luwu: Plan, name: str) -> None:
    gateway = filter_of(luwu, name)
    tags = {r[r.index("tag") + 1] for r in gateway.rules if "tag" in r}
    assert "TO_INTERNET" in tags
    for tag, target in itertools.product(tags, ("10.6.16.9", "fd47:1f2a:47bc:610::9", "2001:db8:7317:610::9")):
        source = "10.20.16.9" if ":" not in target else "fd47:1f2a:47bc:1410::9"
        for port in (22, 80, 443):
            assert gateway.passes("out", probe("tcp", source, target, "igb0", port), tag)[:2] == (False, "leak")
    ula = probe("tcp", "fd47:1f2a:47bc:1410::9", INTERNET6, "igb0", 443)
    assert not gateway.passes("out", ula, "TO_INTERNET")[0]


def test_ipv6_leaves_at_the_hubs_only(luwu: Plan) -> None:
    for name, there in ((OFFICE, False), (HUB, True)):
        interface, _, _, gua = lan(luwu, name, "staff")
        assert crosses(filter_of(luwu, name), probe("tcp", gua, INTERNET6, interface, 443), "igb0") == there
    office = filter_of(luwu, OFFICE)
    interface, _, _, gua = lan(luwu, OFFICE, "staff")
    assert crosses(office, probe("tcp", gua, INTERNET6, interface, 443), "wg3")


def test_spoofed_sources_are_dropped(luwu: Plan) -> None:
    gateway = filter_of(luwu, OFFICE)
    _, v4, ula, _ = lan(luwu, OFFICE, "staff")
    assert gateway.passes("in", probe("tcp", v4, "10.6.32.50", "wg1", 80))[1] == "spoofed"
    assert gateway.passes("in", probe("tcp", ula, "fd47:1f2a:47bc:620::50", "wg1", 80))[1] == "spoofed"
    for source in ("10.129.32.5", "192.168.7.7", "100.64.1.1", "fd47:1f2a:47bc:8120::5"):
        target = "10.6.32.50" if ":" not in source else "fd47:1f2a:47bc:620::50"
        assert gateway.passes("in", probe("tcp", source, target, "igb0", 80))[1] == "martians"
    interface, *_ = lan(luwu, OFFICE, "staff")
    assert not gateway.passes("in", probe("tcp", "10.7.16.9", "10.129.32.20", interface, 80))[0]


def test_a_line_numbered_from_a_private_range_is_spared(luwu: Plan) -> None:
    gateway = filter_of(luwu, OFFICE)
    gateway.addresses["igb0"] = ("192.168.1.1", "192.168.1.2")
    assert gateway.passes("in", Packet("igb0", "udp", "192.168.1.1", "192.168.1.2", 68, 67))[1] == "dhcp-client"
    assert gateway.passes("in", probe("tcp", "192.168.1.1", "192.168.1.2", "igb0", 9))[1] != "martians"
    assert gateway.passes("in", probe("tcp", "192.168.9.1", "192.168.1.2", "igb0", 9))[1] == "martians"


def test_published_hosts_are_open_on_their_ports_only(luwu: Plan) -> None:
    gateway = filter_of(luwu, HUB)
    published = box_of(luwu, HUB).published
    assert {p.label for p in published} >= {"internet-dmz-dns", "internet-dmz-smtp"}
    for entry in published:
        for address, source in ((entry.address4, INTERNET), (entry.address6, INTERNET6)):
            assert address is not None
            assert crosses(gateway, probe(entry.port.protocol, source, address, "igb0", entry.port.low),
                           entry.interface)  # fmt: skip
            assert not gateway.passes("in", probe("tcp", source, address, "igb0", 22))[0]
    text = pf.files(context_of(luwu), luwu.hosts[HUB])["etc/pf.conf"]
    shared = luwu.hosts[HUB].interfaces[1].shared[0]
    assert f"rdr on $ext_if inet proto tcp from any to {shared} port 25 -> " in text
    assert f"-> {shared}" in text and "(igb0:0)" not in text


def test_bgp_and_bfd_are_for_the_other_ends_of_links(luwu: Plan) -> None:
    gateway, box = filter_of(luwu, KECAMATAN), box_of(luwu, KECAMATAN)
    assert {p.kind for p in box.peers} == {"radio", "tunnel"}
    for peer in box.peers:
        for own, far in zip(peer.own, peer.far, strict=True):
            assert gateway.passes("in", probe("tcp", far, own, peer.interface, 179))[1] == "bgp-in"
            assert gateway.passes("out", probe("udp", own, far, peer.interface, 3784))[1] == "bfd-out"
            assert not gateway.passes("in", probe("tcp", far, own, "igb0", 179))[0]
    stranger = "10.6.16.9"
    assert not gateway.passes("in", probe("tcp", stranger, box.peers[0].own[0], box.peers[0].interface, 179))[0]


def test_a_pair_keeps_in_step_on_its_network(luwu: Plan) -> None:
    gateway, mate = filter_of(luwu, HUB), box_of(luwu, HUB).mate
    assert mate is not None
    assert gateway.passes("in", Packet(mate.interface, "carp", mate.far[0], "224.0.0.18"))[1] == "carp"
    assert gateway.passes("in", Packet("igb0", "carp", mate.far[0], "224.0.0.18"))[1] == "carp"
    assert gateway.passes("in", Packet(mate.interface, "pfsync", mate.far[0], mate.own[0]))[1] == "pfsync"
    assert gateway.passes("in", probe("tcp", mate.far[1], mate.own[1], mate.interface, 179))[1] == "mate-bgp-in"
    assert not gateway.passes("in", Packet("igb0", "pfsync", mate.far[0], mate.own[0]))[0]
    single = pf.files(context_of(luwu), luwu.hosts[OFFICE])["etc/pf.conf"]
    assert "carp" not in single and "pfsync" not in single


def test_states_float_on_links_and_nowhere_else(luwu: Plan) -> None:
    text = pf.files(context_of(luwu), luwu.hosts[KECAMATAN])["etc/pf.conf"]
    flows = text[text.index("# ---- the gateway's own services") :].splitlines()
    links = [r for r in flows if r.startswith("pass") and "on $links" in r]
    others = [r for r in flows if r.startswith("pass") and "on $links" not in r]
    assert links and all("keep state (floating" in r for r in links)
    assert others and not any("floating" in r for r in others)
    assert "set state-policy if-bound" in text


def test_a_blocked_address_comes_before_everything_that_passes(luwu: Plan) -> None:
    text = pf.files(context_of(luwu), luwu.hosts[OFFICE])["etc/pf.conf"]
    rules = [r for r in text.splitlines() if r.startswith(("block", "pass", "match"))]
    assert [r.split()[0] for r in rules[:3]] == ["block"] * 3
    assert "from <blocked>" in rules[1] and "to <blocked>" in rules[2]
    assert "table <blocked> persist" in text


def test_a_place_without_ipv6_drops_it_all() -> None:
    plan = odd()
    gateway = filter_of(plan, "dinas-02-gw")
    advert = Packet("igb1.20", "icmp6", "fe80::1", "ff02::1:ff00:1", icmp="neighbrsol")
    assert gateway.passes("in", advert)[:2] == (False, "no-ipv6")
    text = pf.files(context_of(plan), plan.hosts["dinas-02-gw"])["etc/pf.conf"]
    assert [r for r in text.splitlines() if "inet6" in r] == ['block log quick inet6 all label "no-ipv6"']


def test_two_lines_are_translated_each_with_its_own_address() -> None:
    plan = odd()
    host = plan.hosts["dinas-03-gw"]
    text = pf.files(context_of(plan), host)["etc/pf.conf"]
    for name in ("ext_if", "ext2_if"):
        assert f"nat on ${name} inet from <district> to any -> (${name}:0)" in text
    assert 'uplinks = "{ igb0, igb3 }"' in text
    found = dnctl.shaping(plan, host, policy.box(plan, host))
    assert "pipe 1 config bw 20000Kbit/s" in found.commands and "pipe 2 config bw 50500Kbit/s" in found.commands
    assert "sched 3 config pipe 3 type fq_codel" in found.commands
    assert 'match out on igb3 from any to any dnqueue (3, 4) label "shape-backup-out"' in text


def test_radio_links_are_shared_by_guaranteed_rates(luwu: Plan) -> None:
    host = luwu.hosts[ROOT]
    found = dnctl.shaping(luwu, host, policy.box(luwu, host))
    radios = [i.name for i in host.of_kind("radio")]
    assert len(radios) > 5
    assert {m.interface for m in found.matches if m.kind == "dnqueue"} == set(radios)
    assert set(found.sites) == set(luwu.backbone.below("kantor-bupati"))
    used = {n for m in found.matches for n in (m.there, m.back)}
    assert used <= found.pipes
    for command in found.commands:
        assert re.fullmatch(
            r"pipe \d+ config bw \d+Kbit/s|queue \d+ config pipe \d+( weight \d+)?|sched \d+ config pipe \d+ type \w+",
            command,
        )
        weight = re.search(r"weight (\d+)", command)
        assert weight is None or 1 <= int(weight.group(1)) <= 100
    for interface in radios:
        directions = {m.direction for m in found.matches if m.interface == interface}
        assert directions == {"in", "out"}


def test_guests_have_a_ceiling_each_way(luwu: Plan) -> None:
    host = luwu.hosts[OFFICE]
    found = dnctl.shaping(luwu, host, policy.box(luwu, host))
    up, down = (m for m in found.matches if m.kind == "dnpipe")
    assert (up.direction, down.direction) == ("in", "out") and (up.there, up.back) == (down.back, down.there)
    assert f"pipe {up.there} config bw 5000Kbit/s" in found.commands


def test_the_fallback_lets_management_in_and_nothing_else(luwu: Plan) -> None:
    gateway = filter_of(luwu, OFFICE, "etc/pf.fallback.conf")
    own = next(luwu.hosts[OFFICE].of_kind("loopback")).addresses[0]
    _, admin, _, _ = lan(luwu, "diskominfo-gw", "mgmt")
    interface, v4, _, _ = lan(luwu, OFFICE, "mgmt")
    peer = box_of(luwu, OFFICE).peers[0]
    assert gateway.passes("in", probe("tcp", admin, own, "wg1", 22))[0]
    assert gateway.passes("in", probe("tcp", v4, own, interface, 22))[0]
    assert gateway.passes("in", probe("tcp", peer.far[0], peer.own[0], peer.interface, 179))[0]
    assert not gateway.passes("in", probe("tcp", admin, own, "igb0", 22))[0]
    interface, v4, _, _ = lan(luwu, OFFICE, "staff")
    for target, port in ((INTERNET, 443), ("10.129.32.20", 443), (own, 22), (own, 53)):
        assert not gateway.passes("in", probe("tcp", v4, target, interface, port))[0]
    assert not any(r[0] == "pass" and "out" in r and interface in r for r in gateway.rules)


def test_flow_texts_that_are_kept_do_not_depend_on_who_was_first(luwu: Plan) -> None:
    context = context_of(luwu)
    names = (OFFICE, KECAMATAN, ROOT, HUB, SECOND_HUB)
    pf._texts.clear()
    forward = {n: pf.files(context, luwu.hosts[n]) for n in names}
    pf._texts.clear()
    backward = {n: pf.files(context, luwu.hosts[n]) for n in reversed(names)}
    assert forward == backward


def test_a_host_that_is_no_gateway_has_no_filter(luwu: Plan) -> None:
    with pytest.raises(ValueError, match="no gateway"):
        pf.files(context_of(luwu), luwu.hosts["dc-pg1"])
