"""Routing and FRR's files: both ends agree, nobody can speak for another, the real vtysh takes them."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import checkers, generate
from topology import load, routing
from topology.allocate import Host, Plan, allocate, sliced
from topology.render import frr
from topology.render.common import context_of

ROOT = Path(__file__).parents[2]
DISTRICTS = ("inventories/luwu", "inventories/lab", "tests/districts/sawah")


def gateways(plan: Plan) -> list[Host]:
    return [h for h in plan.hosts.values() if h.kind == "gateway"]


def plan_of(folder: str) -> Plan:
    district, _, _ = load.load(ROOT / folder)
    return sliced(allocate(district))


def made(**changes: Any) -> Plan:
    documents = generate.generate(villages=6, kecamatan=4, offices=4, leased=1)
    for name, values in changes.items():
        documents[f"sites/{name}.yml"].update(values)
    return plan_from(documents)


def plan_from(documents: generate.Documents) -> Plan:
    district, findings = load.check(generate.tree(documents))
    assert district is not None, findings
    return allocate(district)


def text_of(plan: Plan, host: str) -> str:
    owner = plan.hosts[host]
    found = frr.files(context_of(plan), owner)
    return found["usr/local/etc/frr/frr.conf" if owner.platform == "freebsd" else "etc/frr/frr.conf"]


@pytest.fixture(scope="module", params=[*DISTRICTS, "made"])
def plan(request: pytest.FixtureRequest) -> Plan:
    return made() if request.param == "made" else plan_of(request.param)


@pytest.fixture(scope="module")
def luwu() -> Plan:
    return plan_of("inventories/luwu")


def speakers(plan: Plan) -> dict[str, routing.Speaker]:
    return {h.name: routing.speaker(plan, h) for h in gateways(plan)}


def test_every_site_has_its_own_private_number(plan: Plan) -> None:
    numbers = Counter(routing.autonomous_system(s.place) for s in plan.sites.values())
    assert set(numbers.values()) == {1}
    assert all(4200000000 < n <= 4294967294 for n in numbers)


def test_every_session_has_its_other_end(plan: Plan) -> None:
    """Addresses, AS numbers and the kind of link agree, and only the members of a pair share an AS."""
    parts = speakers(plan)
    seen = 0
    for name, part in parts.items():
        for s in part.sessions:
            other = parts[s.host]
            back = [o for o in other.sessions if (o.local, o.remote) == (s.remote, s.local)]
            assert len(back) == 1, (name, s)
            assert s.remote_as == other.autonomous_system
            assert (back[0].host, back[0].family, back[0].kind) == (name, s.family, s.kind)
            assert (s.remote_as == part.autonomous_system) == (s.role == routing.MATE)
            seen += 1
    assert seen >= 2 * (len(parts) - 1)


def test_what_a_site_tells_is_what_the_other_end_takes(plan: Plan) -> None:
    parts = speakers(plan)
    for name, part in parts.items():
        for s in part.sessions:
            back = next(o for o in parts[s.host].sessions if (o.local, o.remote) == (s.remote, s.local))
            told, taken = part.announced(s), parts[s.host].accepted(back)
            assert set(told) <= set(taken), (name, s.host)
            left = {e.prefix for e in set(taken) - set(told)}
            assert left <= hub_loopbacks(plan), (name, s.host, "only the other hubs' loopbacks are theirs to tell")


def hub_loopbacks(plan: Plan) -> set[str]:
    hubs = [h for h in plan.hosts.values() if h.hub_slot is not None]
    return {f"{a}/{128 if ':' in a else 32}" for h in hubs for a in next(h.of_kind("loopback")).addresses}


def test_nobody_is_believed_about_a_site_that_is_not_below(plan: Plan) -> None:
    """Except by the hubs of one another, all that is accepted from a site is its own or its descendants'."""
    parts, tree = speakers(plan), plan.backbone
    space = plan.district.space
    checked = 0
    for part in parts.values():
        for s in part.sessions:
            if s.role not in (routing.MEMBER, routing.CHILD, routing.LATERAL):
                continue
            allowed = {s.site, *tree.below(s.site)}
            own = [ipaddress.ip_network(p) for a in allowed for p in _everything(plan, a)]
            links = {
                p for a in allowed if a in tree.uplink for p in space.link(plan.district.links[tree.uplink[a].name])
            }
            for entry in part.accepted(s):
                network = ipaddress.ip_network(entry.prefix)
                assert entry.longest is None and entry.shortest is None
                inside = any(n.version == network.version and network.subnet_of(n) for n in own)  # type: ignore[arg-type]
                assert inside or entry.prefix in links, (s.site, entry)
                checked += 1
    assert checked > 20


def _everything(plan: Plan, slug: str) -> list[str]:
    place, space = plan.district.places[slug], plan.district.space
    found = list(space.reservation(place.second_octet, place.third_octet, place.length))
    found += [p.prefix for p in place.data.legacy_prefixes if p.routed]
    for entry in place.data.gateways:
        loopback = space.loopback(place.second_octet, place.third_octet + (entry.member or 1))
        found += [f"{a}/{128 if ':' in a else 32}" for a in loopback]
    return found


def test_from_above_comes_the_district_and_no_single_site(plan: Plan) -> None:
    legacy = {p.prefix for s in plan.district.places.values() for p in s.data.legacy_prefixes if p.routed}
    expected = {*plan.district.space.aggregates, "::/0", *legacy, *hub_loopbacks(plan)}
    for part in speakers(plan).values():
        for s in part.sessions:
            if s.role in (routing.HUB, routing.PARENT):
                assert {e.prefix for e in part.accepted(s)} == {p for p in expected if (":" in p) == (s.family == 6)}
                assert all(e.longest is None for e in part.accepted(s))


def test_a_kecamatan_leaves_its_villages_to_themselves(luwu: Plan) -> None:
    """It rejects what is its own and not in use; a village's /21 must not be part of that."""
    plan = made()
    villages = [s for s in plan.sites.values() if s.place.kind == "desa"]
    assert villages
    for village in villages:
        part = routing.speaker(plan, plan.gateways(village.place.parent or "")[0])
        home = ipaddress.ip_network(village.prefixes[0])
        for prefix in (*part.originates, *part.protected):
            network = ipaddress.ip_network(prefix)
            assert prefix in plan.district.space.aggregates or not network.overlaps(home), prefix
    belopa = routing.speaker(luwu, luwu.hosts["belopa-gw"])
    assert {"10.69.0.0/20", "10.255.69.1/32"} <= set(belopa.originates)


def test_both_directions_take_the_same_way(luwu: Plan) -> None:
    """A hub prefers the ancestor nearest to the root, as a site prefers its radio."""
    hub = routing.speaker(luwu, luwu.hosts["dc-a"])
    preference = {s.site: s.preference or 0 for s in hub.sessions if s.family == 4 and s.role == routing.MEMBER}
    tree = luwu.backbone
    deep = [s for s in tree.parent if len(tree.path(s)) > 3]
    assert deep
    for site in deep:
        along = [preference[s] for s in tree.path(site)]
        assert along == sorted(along) and len(set(along)) == len(along), (site, along)
        part = routing.speaker(luwu, luwu.gateways(site)[0])
        ways = {s.role: s.preference or 0 for s in part.sessions}
        assert ways[routing.PARENT] > max(v for k, v in ways.items() if k == routing.HUB)
    slots = [s.preference for s in part.sessions if s.role == routing.HUB and s.family == 4]
    assert slots == [200, 190, 100]
    assert max(s.preference or 0 for s in hub.sessions if s.role == routing.HUBS) < min(preference.values())


def test_only_hubs_speak_for_the_district(plan: Plan) -> None:
    aggregates = set(plan.district.space.aggregates)
    for host in gateways(plan):
        part = routing.speaker(plan, host)
        spoken = {p for p in aggregates if (6 if ":" in p else 4) in part.families}
        assert aggregates & set(part.originates) == (spoken if host.hub_slot is not None else set())
        assert spoken <= set(part.protected)


def test_every_session_has_a_policy_both_ways(plan: Plan) -> None:
    for host in gateways(plan):
        text = text_of(plan, host.name)
        lists = set(re.findall(r"^ip(?:v6)? prefix-list (\S+)", text, re.M))
        group_of = dict(re.findall(r"^ neighbor (\S+) peer-group (\S+)$", text, re.M))
        assert len(group_of) == len(routing.speaker(plan, host).sessions) > 0
        for neighbour, group in group_of.items():
            for way in ("in", "out"):
                found = re.findall(
                    rf"^  neighbor (?:{re.escape(neighbour)}|{group}) prefix-list (\S+) {way}$", text, re.M
                )
                assert len(found) == 1 and found[0] in lists, (host.name, neighbour, way)
            if group.startswith("mate-"):
                # FRR 10.3 and BFD inside an AS: see topology.render.frr
                assert f" neighbor {group} timers 1 3\n" in text and f" neighbor {group} bfd" not in text
            else:
                assert f" neighbor {group} bfd profile " in text and f" neighbor {group} timers 1 3\n" not in text
        assert "ebgp-requires-policy" not in text, "the default refuses sessions without a policy"
        for name in re.findall(r"route-map (\S+) (?:in|out)$", text, re.M):
            assert f"route-map {name} permit" in text
        assert "password" not in text


def test_an_edit_elsewhere_changes_no_line_of_others() -> None:
    """Without an office, another site's text is the same and a hub's has only lost that office's lines."""
    documents = generate.generate(villages=6, kecamatan=4, offices=4)
    before = plan_from(documents)
    documents["registry.yml"]["skpd"][2]["retired"] = generate.RETIRED
    del documents["sites/skpd/dinas-03.yml"]
    after = plan_from(documents)
    for host in gateways(after):
        old, new = text_of(before, host.name).splitlines(), text_of(after, host.name).splitlines()
        if host.hub_slot is None:
            assert old == new, host.name
        else:
            rest = iter(old)
            assert all(line in rest for line in new), "lines moved or changed"
            gone = Counter(old) - Counter(new)
            assert gone and all("dinas-03" in x or "neighbor" in x for x in gone)


def test_an_ipv4_only_site_has_no_ipv6_session_anywhere() -> None:
    plan = made(**{"skpd/dinas-02": {"migration": "ipv4-only"}})
    assert "::" not in text_of(plan, "dinas-02-gw") and "ipv6" not in text_of(plan, "dinas-02-gw")
    for host in gateways(plan):
        families = {s.family for s in routing.speaker(plan, host).sessions if s.site == "dinas-02"}
        assert families <= {4}


def test_routed_legacy_prefixes_are_known_everywhere() -> None:
    legacy = [{"prefix": "192.168.40.0/24", "routed": True}, {"prefix": "192.168.41.0/24", "routed": False}]
    plan = made(**{"skpd/dinas-02": {"legacy_prefixes": legacy}})
    assert "192.168.40.0/24" in routing.speaker(plan, plan.hosts["dinas-02-gw"]).originates
    for host in gateways(plan):
        text = text_of(plan, host.name)
        assert "ip route 192.168.40.0/24 reject 250" in text and "192.168.41.0" not in text
    other = routing.speaker(plan, plan.hosts["dinas-03-gw"])
    session = next(s for s in other.sessions if s.role == routing.HUB and s.family == 4)
    assert "192.168.40.0/24" in {e.prefix for e in other.accepted(session)}


def test_own_traffic_leaves_from_the_loopback_on_linux_only(luwu: Plan) -> None:
    lab = plan_of("inventories/lab")
    for address in next(lab.hosts["belopa-gw"].of_kind("loopback")).addresses:
        assert f" set src {address}\n" in text_of(lab, "belopa-gw")
    assert "set src" not in text_of(luwu, "belopa-gw")


def test_numbers_in_a_list_are_used_once(plan: Plan) -> None:
    for host in gateways(plan):
        for name, entries in routing.speaker(plan, host).lists.items():
            numbers = Counter(e.number for e in entries)
            assert set(numbers.values()) <= {1}, (host.name, name)


def test_only_gateways_route(luwu: Plan) -> None:
    with pytest.raises(ValueError, match="no gateway"):
        routing.speaker(luwu, next(h for h in luwu.hosts.values() if h.kind != "gateway"))


NO_FILE_OF_ITS_OWN = "Configuration file[/etc/frr/frr.conf] processing failure: 11"
"""What vtysh 10 says besides of vtysh.conf, which it can do without; whatever the file it was given."""


def dry_run(path: Path) -> tuple[int, list[str]]:
    done = checkers.need("vtysh").run("-C", "-f", str(path))
    lines = [line for line in done.stdout.splitlines() if "vtysh.conf" not in line]
    return done.returncode, [line for line in lines if line != NO_FILE_OF_ITS_OWN]


@pytest.mark.checkers
def test_the_real_vtysh_takes_every_file(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "frr.conf"
    for host in gateways(plan):
        path.write_text(text_of(plan, host.name))
        assert dry_run(path) == (0, []), host.name


@pytest.mark.checkers
def test_the_check_itself_finds_a_wrong_line(luwu: Plan, tmp_path: Path) -> None:
    path = tmp_path / "frr.conf"
    path.write_text(text_of(luwu, "belopa-gw").replace(" bfd profile tunnel", " bfd-profile tunnel"))
    code, lines = dry_run(path)
    assert code != 0 and "Unknown command" in lines[0]


def test_daemons_listen_on_no_port() -> None:
    lab = plan_of("inventories/lab")
    text = frr.files(context_of(lab), lab.hosts["belopa-gw"])["etc/frr/daemons"]
    options = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    assert options["bgpd"] == options["bfdd"] == "yes"
    # the watcher has none, but patience with a busy machine
    assert options.pop("watchfrr_options") == '"-T 300"'
    assert all("-P 0" in value for name, value in options.items() if name.endswith("_options"))


def test_a_plan_without_hubs_has_a_root_that_speaks_for_it() -> None:
    plan = made()
    facts = plan.district.facts.model_copy(update={"hubs": ()})
    plan = allocate(replace(plan.district, facts=facts))
    root = plan.backbone.root
    for host in gateways(plan):
        spoken = set(plan.district.space.aggregates) <= set(routing.speaker(plan, host).originates)
        assert spoken == (host.site == root)


def test_other_hubs_are_told_what_a_member_has_from_its_mate_only(luwu: Plan) -> None:
    """The mate's ways have a metric, which the sessions with other hubs keep, and no others do."""
    members = [h for h in gateways(luwu) if any(s.role == routing.MATE for s in routing.speaker(luwu, h).sessions)]
    assert len(members) == 2
    for host in members:
        text = text_of(luwu, host.name)
        for family in (4, 6):
            assert f"route-map to-mate-v{family} permit 10\n set metric 10\n" in text
            assert f"  neighbor mate-v{family} route-map to-mate-v{family} out\n" in text
        kept = re.findall(r"neighbor (\S+) attribute-unchanged med", text)
        assert kept and all(name.startswith(f"{routing.HUBS}-") for name in kept)
        assert {name[-2:] for name in kept} == {"v4", "v6"}
