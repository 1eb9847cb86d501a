"""Bandwidth shares: small districts computed by hand, the real one, and how the classes lie on gateways."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest

from tests import generate
from topology import bandwidth, load, report
from topology.allocate import Plan, allocate, sliced
from topology.bandwidth import Class, Share
from topology.impact import as_lines, impact

ROOT = Path(__file__).parents[2]
LUWU = ROOT / "inventories/luwu"


def plan_of(documents: generate.Documents) -> Plan:
    tree = generate.tree(documents)
    district, findings = load.check(tree)
    assert district is not None, report.lines(findings, tree, "en")
    return allocate(district)


def small(**rates: tuple[float | None, float | None]) -> generate.Documents:
    """Return a district: dinas-01 the root, a (100) with b (60) and c (100) below it; lines (down, up) as given."""
    documents = generate.generate(offices=2, kecamatan=3, villages=1, seed=3)
    root = next(n.rpartition("/")[2][:-4] for n, d in documents.items() if n.startswith("sites/skpd") and d.get("kind"))
    a, b, c = (f"kecamatan-{n:02}" for n in (1, 2, 3))
    ends: list[tuple[str, str, float]] = [(root, a, 200.0), (a, b, 120.0), (a, c, 200.0)]
    documents["backbone.yml"] = {
        "tree": {"root": root},
        "links": [{"name": f"{x}--{y}", "ends": [x, y], "throughput_mbps": r} for x, y, r in ends],
    }
    documents["registry.yml"]["links"] = [
        {"number": n, "name": link["name"]} for n, link in enumerate(documents["backbone.yml"]["links"], 1)
    ]
    names = {"root": root, "a": a, "b": b, "c": c, "dc": "dc", "drc": "drc1", "office": office_of(documents, root)}
    for key, (down, up) in rates.items():
        site = site_of(documents, names[key])
        site["uplinks"][0] |= {k: v for k, v in (("down_mbps", down), ("up_mbps", up)) if v is not None}
    return documents | {"names": names}


def office_of(documents: generate.Documents, root: str) -> str:
    return next(s for n in documents if n.startswith("sites/skpd/") and (s := n[11:-4]) != root)


def site_of(documents: generate.Documents, slug: str) -> Any:
    return next(d for n, d in documents.items() if n.startswith("sites/") and n.endswith(f"/{slug}.yml"))


def built(**rates: tuple[float | None, float | None]) -> tuple[Plan, dict[str, str]]:
    documents = small(**rates)
    names = documents.pop("names")
    return plan_of(documents), names


@pytest.fixture(scope="module")
def luwu() -> Plan:
    return allocate(load.load(LUWU)[0])


def test_each_direction_has_half_of_a_radio_links_throughput() -> None:
    plan, n = built()
    shares = bandwidth.shares(plan)
    third = 100 / 3
    for key, ceiling in (("a", 100.0), ("b", 60.0), ("c", 100.0)):
        share = shares[n[key]]
        assert (share.ceiling_up, share.ceiling_down) == (ceiling, ceiling)
        assert share.guaranteed_up == share.guaranteed_down == pytest.approx(third)


def test_lines_that_nobody_wrote_down_limit_nothing() -> None:
    plan, n = built()
    shares = bandwidth.shares(plan)
    for key in ("root", "office", "dc", "drc"):
        assert shares[n[key]] == Share(None, None, None, None)
    assert shares.keys() == plan.sites.keys()


def test_the_roots_line_carries_the_whole_tree_and_the_root_itself() -> None:
    plan, n = built(root=(80, 40))
    shares = bandwidth.shares(plan)
    assert {key: shares[n[key]].guaranteed_down for key in ("root", "a", "b", "c")} == dict.fromkeys(
        ("root", "a", "b", "c"), 20.0
    )
    assert shares[n["b"]] == Share(10.0, 20.0, 40.0, 60.0)


def test_an_office_has_its_own_line() -> None:
    plan, n = built(office=(50, 10))
    assert bandwidth.shares(plan)[n["office"]] == Share(10.0, 50.0, 10.0, 50.0)


def test_the_hubs_line_is_everybodys_and_turns_directions_around() -> None:
    plan, n = built(dc=(12, 24), office=(50, 1))
    shares = bandwidth.shares(plan)
    waiting = len(plan.sites) - 2  # all but the data centre and the office
    assert shares[n["office"]].guaranteed_up == 1.0
    assert shares[n["b"]].guaranteed_up == pytest.approx(11 / waiting)
    assert shares[n["b"]].guaranteed_down == pytest.approx(24 / (waiting + 1))
    assert shares["dc"] == Share(24.0, 12.0, 24.0, 12.0)


def test_a_leased_link_to_the_hub_comes_before_the_line_and_carries_its_figure_each_way() -> None:
    documents = small(office=(50, 10))
    office = documents.pop("names")["office"]
    link = {"name": f"{office}--dc", "kind": "leased", "ends": [office, "dc"], "throughput_mbps": 30}
    documents["backbone.yml"]["links"].append(link)
    documents["registry.yml"]["links"].append({"number": 9, "name": link["name"]})
    plan = plan_of(documents)
    assert bandwidth.shares(plan)[office] == Share(30.0, 30.0, 30.0, 30.0)
    near, far = (
        next(e for e in plan.links[f"{office}--dc"].ends if (e.site == office) == own) for own in (True, False)
    )
    up = [c for c in bandwidth.classes(plan, plan.hosts[near.host]) if c.interface == near.interface]
    down = [c for c in bandwidth.classes(plan, plan.hosts[far.host]) if c.interface == far.interface]
    assert up == [Class(near.interface, office, 30.0, 30.0, "up")]
    assert down == [Class(far.interface, office, 30.0, 30.0, "down")]
    assert bandwidth.capacities(plan, plan.hosts[near.host])[near.interface] == 30.0


def test_a_district_without_a_tree_or_hubs() -> None:
    documents = generate.generate(offices=2, kecamatan=0, villages=0, hub=False, radio=False, centres=1, pair=False)
    documents["district.yml"]["hubs"] = []
    plan = plan_of(documents)
    assert set(bandwidth.shares(plan).values()) == {bandwidth.UNKNOWN}
    assert bandwidth.link_loads(plan) == {}
    assert all(bandwidth.classes(plan, h) == () for h in plan.hosts.values() if h.kind == "gateway")


def test_only_active_sites_share() -> None:
    plan, n = built()
    two = bandwidth.shares(plan, {n["b"], n["c"]})
    assert two.keys() == {n["b"], n["c"]}
    assert {s.guaranteed_up for s in two.values()} == {50.0}
    assert bandwidth.shares(plan, {n["b"]})[n["b"]].guaranteed_up == 60.0


def test_loads_of_links_count_what_is_behind() -> None:
    plan, n = built()
    loads = bandwidth.link_loads(plan)
    first, below = loads[f"{n['root']}--{n['a']}"], loads[f"{n['a']}--{n['b']}"]
    assert (first.capacity, first.sites) == (100.0, 3)
    assert first.guaranteed_up == pytest.approx(100.0)
    assert (below.capacity, below.sites, below.guaranteed_down) == (60.0, 1, pytest.approx(100 / 3))


def test_classes_follow_the_tree() -> None:
    plan, n = built(a=(9, 3))
    host = plan.gateways(n["a"])[0]
    by_interface: dict[str, list[Class]] = {}
    for one in bandwidth.classes(plan, host):
        by_interface.setdefault(one.interface, []).append(one)
    links = {x.end_of(host.name).interface: x for x in plan.links_of(host.name)}
    seen = {}
    for interface, rows in by_interface.items():
        (direction,) = {c.direction for c in rows}
        seen[links[interface].far_end(host.name).site, direction] = [c.site for c in rows]
        if links[interface].kind == "tunnel":  # when the radio is lost: a, b and c share a's own line
            assert [c.guaranteed for c in rows] == [1.0, 1.0, 1.0]
            assert {c.ceiling for c in rows} == {3.0}
    assert seen == {
        (n["root"], "up"): [n["a"], n["b"], n["c"]],
        (n["b"], "down"): [n["b"]],
        (n["c"], "down"): [n["c"]],
        ("dc", "up"): [n["a"], n["b"], n["c"]],
        ("drc1", "up"): [n["a"], n["b"], n["c"]],
    }


def test_a_hubs_tunnel_to_the_root_has_the_trees_down() -> None:
    plan, n = built(root=(80, 40))
    link = next(x for x in plan.links.values() if x.kind == "tunnel" and x.ends[0].site == n["root"])
    hub, interface = plan.hosts[link.ends[1].host], link.ends[1].interface
    rows = [c for c in bandwidth.classes(plan, hub) if c.interface == interface]
    assert {(c.site, c.direction, c.guaranteed) for c in rows} == {
        (n[key], "down", 20.0) for key in ("root", "a", "b", "c")
    }
    assert bandwidth.capacities(plan, hub)[interface] == 80.0


def test_no_interface_guarantees_more_than_it_carries(luwu: Plan) -> None:
    plans = [luwu, built(root=(80, 40), a=(9, 3), office=(50, 10), dc=(120, 30))[0]]
    checked = 0
    for plan in plans:
        for host in (h for h in plan.hosts.values() if h.kind == "gateway"):
            rows, capacity = bandwidth.classes(plan, host), bandwidth.capacities(plan, host)
            assert {c.interface for c in rows} <= capacity.keys()
            for interface, rate in capacity.items():
                if rate is not None:
                    mine = [c for c in rows if c.interface == interface]
                    assert math.fsum(c.guaranteed or 0 for c in mine) <= rate * (1 + 1e-9), (host.name, interface)
                    assert all((c.ceiling or 0) <= rate * (1 + 1e-9) for c in mine)
                    checked += len(mine)
    assert checked > 60


def test_the_real_tree(luwu: Plan) -> None:
    shares = bandwidth.shares(luwu)
    for site in ("bua", *luwu.backbone.below("bua")):
        assert shares[site].guaranteed_up == pytest.approx(228.357 / 2 / 7)
        assert shares[site].ceiling_down == pytest.approx(228.357 / 2)
    assert shares["bastem-utara"].guaranteed_up == shares["ponrang"].guaranteed_up == pytest.approx(285.548 / 4)
    for site, link in luwu.backbone.uplink.items():
        ceiling = shares[site].ceiling_up
        assert ceiling is not None and ceiling <= (link.throughput_mbps or 0) / 2
        assert ceiling == pytest.approx((luwu.backbone.throughput(site) or 0) / 2)


def test_a_lab_has_the_rates_of_the_whole_district() -> None:
    whole = allocate(load.load(ROOT / "inventories/lab")[0])
    part = sliced(whole)
    assert part is not whole and len(part.sites) < len(whole.sites)
    assert bandwidth.shares(part) == bandwidth.shares(whole)
    rows = {(c.site, c.direction) for c in bandwidth.classes(part, part.hosts["belopa-gw"])}
    assert rows == {("belopa", "up")}


def test_280_gateways_take_little_time() -> None:
    plan = plan_of(generate.like(LUWU, 227))
    gateways = [h for h in plan.hosts.values() if h.kind == "gateway"]
    assert len(gateways) > 280
    start = time.process_time()
    bandwidth.shares(plan)
    assert time.process_time() - start < 0.1
    start = time.process_time()
    for host in gateways:
        bandwidth.classes(plan, host)
        bandwidth.capacities(plan, host)
    assert (time.process_time() - start) / len(gateways) < 0.0015


# -- what if ----------------------------------------------------------------------------------------


def test_losing_a_radio_link_leaves_the_line_of_the_site_above_the_break() -> None:
    plan, n = built(a=(9, 3))
    result = impact(plan, f"{n['root']}--{n['a']}")
    effects = {e.site: e for e in result.effects}
    assert effects.keys() == {n["a"], n["b"], n["c"]}
    for effect in effects.values():
        assert effect.share_before.guaranteed_up == pytest.approx(100 / 3)
        assert effect.share_after == Share(1.0, 3.0, 3.0, 9.0)
    (hot,) = result.hotter
    assert (hot.before, hot.after, hot.up_mbps, hot.down_mbps) == (0, 3, 3.0, 9.0)
    assert f"    {hot.link}: 0  ->  3 sites; its rate: 3.0 up, 9.0 down Mbit/s" in as_lines(plan, result)
    assert "      guaranteed 33.3 up, 33.3 down Mbit/s  ->  1.0 up, 3.0 down Mbit/s" in as_lines(plan, result)


def test_a_line_of_unknown_rate_promises_nothing() -> None:
    plan, n = built()
    result = impact(plan, f"{n['a']}--{n['b']}")
    (effect,) = result.effects
    assert effect.site == n["b"] and effect.share_after == bandwidth.UNKNOWN
    assert any(line.endswith("->  unknown") for line in as_lines(plan, result))


def test_losing_the_data_centre_moves_everybody_to_the_next_hub() -> None:
    plan, n = built(root=(80, 40), drc=(16, 100))
    result = impact(plan, "dc")
    after = {e.site: e.share_after for e in result.effects}
    assert result.cut_off == () and after.keys() == plan.sites.keys() - {"dc", "drc1"}
    waiting = len(after)
    assert after[n["b"]] == Share(pytest.approx(16 / waiting), pytest.approx(min(20.0, 100 / waiting)), 16.0, 60.0)
    assert max(h.after for h in result.hotter) == 4


def test_without_any_hub_left_everybody_is_cut_off() -> None:
    documents = generate.generate(offices=2, kecamatan=2, villages=0, centres=1, pair=False)
    plan = plan_of(documents)
    result = impact(plan, "dc")
    assert set(result.cut_off) == plan.sites.keys() - {"dc"}
    assert all(e.share_after is None for e in result.effects)
