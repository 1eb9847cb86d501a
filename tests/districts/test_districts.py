"""A second district works without a line of code, and no code knows the first one."""

from __future__ import annotations

import ipaddress
import re
import subprocess
from pathlib import Path

import pytest

from tests import generate
from topology import load, report
from topology.allocate import Plan, allocate

ROOT = Path(__file__).parents[2]
SAWAH = Path(__file__).parent / "sawah"
CODE = ("topology", "roles", "playbooks", "deploys")


@pytest.fixture(scope="module")
def sawah() -> Plan:
    district, findings, tree = load.load(SAWAH)
    assert report.lines(findings, tree, "en") == []
    return allocate(district)


def test_its_plan_follows_from_its_numbers(sawah: Plan) -> None:
    prefixes = {slug: site.prefixes[0] for slug, site in sawah.sites.items()}
    assert prefixes == {
        "lumbung": "10.12.0.0/16",
        "bendungan": "10.63.0.0/16",
        "teras": "10.104.0.0/16",
        "pematang": "10.104.40.0/21",
        "irigasi": "10.104.248.0/21",
        "ruang-server": "10.135.0.0/16",
    }
    assert sawah.sites["lumbung"].prefixes[1] == "fda7:30c4:e91b:c00::/56"
    assert sawah.sites["irigasi"].prefixes[1] == "fda7:30c4:e91b:68f8::/61"
    assert sawah.links["serat-lumbung"].prefixes == ("10.254.2.88/31", "fda7:30c4:e91b:fe02::88/127")


def test_each_site_has_one_tunnel_to_the_only_hub(sawah: Plan) -> None:
    tunnels = [x for x in sawah.links.values() if x.kind == "tunnel"]
    assert {x.ends[0].site for x in tunnels} == sawah.sites.keys() - {"ruang-server"}
    assert {(x.ends[1].host, x.ends[0].interface, x.slot) for x in tunnels} == {("ruang-server-fw", "wg2", 2)}


def test_there_is_no_tree_and_nobody_needs_one(sawah: Plan) -> None:
    assert sawah.backbone.root is None
    assert all(sawah.backbone.path(slug) == () for slug in sawah.sites)


def test_every_managed_host_is_rendered(sawah: Plan) -> None:
    from topology.render import render

    rendered = dict(render(sawah))
    managed = {name for name, host in sawah.hosts.items() if host.managed}
    assert {name for name, files in rendered.items() if files} == managed
    assert {"etc/rc.conf", "interfaces.json"} <= rendered["bendungan-gw"].keys()
    for name, files in rendered.items():
        for path, text in files.items():
            assert "luwu" not in text.lower(), (name, path)
            assert "{{" not in text and "{%" not in text, (name, path)


def _names(plan: Plan) -> set[str]:
    """Return the names of a district's sites, hosts and links, its own and its domain's."""
    facts = plan.district.facts
    names = {facts.domain, facts.name.split()[-1].lower(), *plan.hosts, *plan.links, *plan.sites}
    return names - {place.kind for place in plan.district.places.values()}


def _foreign(text: str, own: Plan, other: Plan) -> set[str]:
    """Return the other district's names and prefixes that a text of our own mentions."""
    words = set(re.findall(r"[a-z0-9][a-z0-9.-]*[a-z0-9]", text.lower()))
    found = words & (_names(other) - _names(own))
    theirs = [ipaddress.ip_network(p) for site in other.sites.values() for p in site.prefixes]
    ours = [ipaddress.ip_network(p) for site in own.sites.values() for p in site.prefixes]
    theirs += [ipaddress.ip_network(p) for p in _heads(other)]
    for literal in re.findall(r"(?<![\w.:])(?:\d+(?:\.\d+){3}|[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7})", text.lower()):
        try:
            address = ipaddress.ip_address(literal)
        except ValueError:
            continue
        if any(address in net for net in theirs) and not any(address in net for net in ours):
            found.add(literal)
    return found


def _heads(plan: Plan) -> list[str]:
    prefixes = plan.district.facts.prefixes
    return [p for p in (prefixes.ula, prefixes.gua) if p]


@pytest.fixture(scope="module")
def luwu() -> Plan:
    return allocate(load.load(ROOT / "inventories" / "luwu")[0])


def test_its_gateways_mention_nothing_of_the_first_district(sawah: Plan, luwu: Plan) -> None:
    """Their pf.conf, rc.conf and all other files, whichever of them are rendered."""
    from topology.render import render

    rendered = dict(render(sawah))
    gateways = [host for host in sawah.hosts.values() if host.kind == "gateway"]
    assert {host.platform for host in gateways} == {"freebsd", "debian"}
    for host in gateways:
        files = rendered[host.name]
        assert files
        for path, text in files.items():
            assert _foreign(text, sawah, luwu) == set(), (host.name, path)
        if "etc/pf.conf" in files:  # not vacuous: it does filter, and it is this district's
            assert re.search(r"^block\b", files["etc/pf.conf"], re.MULTILINE), host.name
            v6 = sawah.sites[host.site].place.data.migration != "ipv4-only"
            assert (sawah.district.facts.prefixes.ula.partition("::")[0] in files["etc/pf.conf"]) == v6, host.name


def test_what_is_foreign_is_found(sawah: Plan, luwu: Plan) -> None:
    ula = _heads(luwu)[0].partition("::")[0]
    for text in (
        "pass in on wg1 from 10.1.16.0/24 # of the office",
        "pass from 10.78.0.5",
        f"table <mgmt> const {{ {ula}:710::/64 }}",
        f"pass in quick inet6 from {ula}:710::7 to any",
        "# dinkes-gw",
        "search luwu.example",
        "links kantor-bupati--bajo",
    ):
        assert _foreign(text.replace("luwu.example", luwu.district.facts.domain), sawah, luwu), text
    for text in ("pass from 10.0.0.0/8", "pass to 10.12.16.0/24", "pass from fe80::/10 to ff02::1", "10.254.2.88"):
        assert _foreign(text, sawah, luwu) == set(), text


@pytest.mark.parametrize(
    "shape",
    [
        {"kecamatan": 0, "villages": 0, "radio": False, "hub": False, "centres": 1, "pair": False, "gua": None},
        {"offices": 1, "kecamatan": 1, "villages": 30, "centres": 3},
        {"applications": 5, "leased": 1, "extra_networks": 3, "vpn_users": 2},
    ],
    ids=["nothing-but-offices", "a-full-kecamatan", "some-of-all"],
)
def test_generated_districts_are_rendered(shape: dict[str, object]) -> None:
    from topology.render import render

    tree = generate.tree(generate.generate(**shape))  # type: ignore[arg-type]
    district, findings = load.check(tree)
    assert district is not None, report.lines(findings, tree, "en")
    plan = allocate(district)
    assert {name for name, files in render(plan) if files} == {n for n, h in plan.hosts.items() if h.managed}


def test_written_and_read_back_a_generated_district_is_the_same(tmp_path: Path) -> None:
    documents = generate.generate(offices=3, kecamatan=2, villages=5, applications=3, leased=1, vpn_users=1, seed=7)
    generate.write(documents, tmp_path)
    assert {n: d.data for n, d in load.read(tmp_path).documents.items()} == documents
    assert generate.generate(seed=7) == generate.generate(seed=7)
    assert generate.generate(seed=7) != generate.generate(seed=8)


def test_the_real_district_with_all_its_villages(tmp_path: Path) -> None:
    documents = generate.like(ROOT / "inventories" / "luwu", 227)
    district, findings = load.check(generate.tree(documents))
    assert district is not None
    assert sum(p.kind == "desa" for p in district.places.values()) == 227
    assert not [f for f in findings if f.rule == "ST010"]


# -- nothing about one district in code -------------------------------------------------------------


def _code() -> list[Path]:
    shown = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *CODE],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    return [ROOT / name for name in shown if (ROOT / name).is_file()]


def _lines() -> list[tuple[str, str]]:
    found = []
    for file in _code():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [(f"{file.relative_to(ROOT)}:{n}", line) for n, line in enumerate(text.splitlines(), 1)]
    assert len(found) > 1_000
    return found


def test_no_code_names_the_district() -> None:
    """The folder of its inventory may be a default; nothing else of it may be known."""
    named = [place for place, line in _lines() if "luwu" in line.replace("inventories/luwu", "").lower()]
    assert named == []


def test_no_code_holds_an_address_of_the_plan() -> None:
    """But for the /8 itself and the example that explains the rule."""
    explained = {("topology/prefix.py", "10.7.32.10")}
    found = []
    for place, line in _lines():
        for text in re.findall(r"(?<![\w.])10(?:\.\d{1,3}){3}(?:/\d+)?(?![\w.])", line):
            if text != "10.0.0.0/8" and (place.partition(":")[0], text) not in explained:
                found.append((place, text))
    assert found == []


def test_no_code_holds_a_ula() -> None:
    """Examples are the well-known ones."""
    allowed = ipaddress.IPv6Network("fd12:3456:789a::/48")
    found = []
    for place, line in _lines():
        for text in re.findall(r"(?<![\w:])fd[0-9a-f]{2}(?::[0-9a-f]{1,4}){2}:[0-9a-f:]*", line):
            try:
                if ipaddress.IPv6Address(text) not in allowed:
                    found.append((place, text))
            except ValueError:
                continue
    assert found == []
