"""Drift's kinds in a small lab (tests/lab/kinds-lab): what only a running host shows, and whom gateways see."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.figures import record
from tests.lab.probe import in_lan, plugged
from tests.lab.seeds import Seed, seed
from topology import lab
from topology.drift.finding import DIFFERENT, MISSING, UNEXPECTED, Finding
from topology.drift.judge import judge
from topology.drift.sweep import login_of, sweep
from topology.drift.together import judge_together
from topology.expect import expect, together
from topology.inventory import plan_of, variables

ROOT = Path(__file__).parents[2]
INVENTORY = Path(os.environ.get("TOPOLOGY_TEST_LAB") or ROOT / "tests" / "lab" / "kinds-lab")
pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(420)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
GATEWAY = next(h.name for h in PLAN.hosts.values() if h.kind == "gateway" and h.hub_slot is None)
SITE = PLAN.hosts[GATEWAY].site
STAFF = PLAN.sites[SITE].network("staff")
SETTLES = 90.0
"""Most seconds until a host is as planned again."""
KEA = "/etc/kea/kea-dhcp4.conf"
SUBNET = STAFF.prefixes[0]
UNBOUND = "/etc/unbound/unbound.conf.d/60-topology.conf"
ANSWERS = {(DIFFERENT, "answer", f"gw.{SITE}.{PLAN.district.facts.domain} A @127.0.0.1")}

SEEDS = [
    seed("a pool widened in the file only", GATEWAY,
         f"cp -p {KEA} /root/k && sed -i 's/{SUBNET.removesuffix('0/24')}249/{SUBNET.removesuffix('0/24')}253/' {KEA}",
         f"mv /root/k {KEA}",
         (DIFFERENT, "file", KEA), (DIFFERENT, "dhcp", SUBNET), (DIFFERENT, "daemon", "kea-dhcp4-server")),
    seed("a pool widened and loaded", GATEWAY,
         f"cp -p {KEA} /root/k && sed -i 's/{SUBNET.removesuffix('0/24')}249/{SUBNET.removesuffix('0/24')}253/' {KEA}"
         " && systemctl restart kea-dhcp4-server",
         f"mv /root/k {KEA} && systemctl restart kea-dhcp4-server",
         (DIFFERENT, "file", KEA), (DIFFERENT, "dhcp", SUBNET)),
    seed("a file touched, the daemon as it was", GATEWAY, "touch /etc/radvd.conf",
         "systemctl restart radvd", (DIFFERENT, "daemon", "radvd")),
    seed("a reload is enough", GATEWAY, "touch /etc/frr/frr.conf", "systemctl reload frr",
         (DIFFERENT, "daemon", "frr")),
    seed("a name answered wrongly", GATEWAY,
         f"cp -p {UNBOUND} /root/k && sed -i 's/^\\(.*local-data: \"gw[.].* A \\).*\"/\\1 198.51.100.77\"/' {UNBOUND}"
         " && systemctl restart unbound && mv /root/k " + UNBOUND,
         "systemctl restart unbound", *ANSWERS),
    seed("a network added to DHCP", GATEWAY,
         f"cp -p {KEA} /root/k && sed -i 's,{SUBNET},{SUBNET.removesuffix('24')}25,' {KEA}",
         f"mv /root/k {KEA}", (DIFFERENT, "file", KEA), (MISSING, "dhcp", SUBNET),
         (UNEXPECTED, "dhcp", SUBNET.removesuffix("24") + "25"), (DIFFERENT, "daemon", "kea-dhcp4-server")),
    seed("a session carries nothing", GATEWAY,
         "vtysh -c 'configure terminal' -c 'ip prefix-list owned seq 1 deny any'"
         " -c 'ipv6 prefix-list owned seq 1 deny any' -c 'end' -c 'clear bgp * soft out'; sleep 3",
         "vtysh -c 'configure terminal' -c 'no ip prefix-list owned seq 1'"
         " -c 'no ipv6 prefix-list owned seq 1' -c 'end' -c 'clear bgp * soft out'",
         (DIFFERENT, "neighbour", "10.*"), (DIFFERENT, "neighbour", "f*")),
    seed("the shaper does not come back at boot", GATEWAY, "systemctl -q disable topology-shape",
         "systemctl -q enable topology-shape", (DIFFERENT, "service", "topology-shape")),
]  # fmt: skip


def run(host: str, command: str) -> None:
    done = lab.exec_in(NAME, host, ["sh", "-c", command])
    assert done.returncode == 0, f"{host}: {command}: {done.stdout}{done.stderr}"


def look(*names: str) -> list[Finding]:
    """Sweep some hosts and return all findings."""
    hosts = [expect(PLAN, PLAN.hosts[name]) for name in names]
    seen = asyncio.run(sweep([(login_of(e.host, variables(PLAN, PLAN.hosts[e.host])), e) for e in hosts]))
    found = [f for e in hosts for f in judge(e, seen[e.host])]
    return sorted((*found, *judge_together(together(PLAN), {e.host: e for e in hosts}, seen)))


def told(findings: list[Finding]) -> str:
    return "\n".join(map(str, findings))


def _is(finding: Finding, wanted: tuple[str, str, str]) -> bool:
    state, kind, thing = wanted
    same = finding.thing.startswith(thing[:-1]) if thing.endswith("*") else finding.thing == thing
    return (finding.state, finding.kind) == (state, kind) and same


@pytest.fixture(scope="module", autouse=True)
def clean() -> Iterator[None]:
    managed = [h.name for h in PLAN.hosts.values() if h.managed]
    begun = time.monotonic()
    while found := look(*managed):
        assert time.monotonic() - begun < 300, told(found)
        time.sleep(2)
    yield


@pytest.mark.parametrize("one", SEEDS, ids=lambda s: s.name)
def test_a_seeded_change_is_found_and_nothing_else(one: Seed) -> None:
    run(one.host, one.change)
    try:
        found = look(one.host)
    finally:
        run(one.host, one.undo)
    for wanted in one.found:
        assert any(_is(f, wanted) for f in found), f"{wanted} is not among:\n{told(found)}"
    more = [f for f in found if not any(_is(f, w) for w in one.found | one.consequences)]
    assert not more, told(more)
    begun = time.monotonic()
    while left := look(one.host):
        assert time.monotonic() - begun < SETTLES, told(left)
        time.sleep(1)


def test_a_resolver_that_is_silent_is_missing_not_clean() -> None:
    run(GATEWAY, "systemctl kill --signal=STOP unbound")
    try:
        found = look(GATEWAY)
    finally:
        run(GATEWAY, "systemctl kill --signal=CONT unbound")
    assert {(f.state, f.kind) for f in found} == {(MISSING, "answer")}, told(found)


# ---------------------------------------------------------------- zones on several hosts

PRIMARY, SECONDARY = "dc-dns0", "dc-dns1"
KNOT = "knotc -c /etc/knot/knot.conf"
DOMAIN = f"{PLAN.district.facts.domain}."


def test_a_secondary_that_is_behind_is_named_with_both_serials() -> None:
    run(SECONDARY, f"{KNOT} -b zone-freeze {DOMAIN}")
    try:
        run(PRIMARY, f"{KNOT} -b zone-sign {DOMAIN}")
        time.sleep(1)
        found = look(PRIMARY, SECONDARY)
        alone = look(SECONDARY)
    finally:
        run(SECONDARY, f"{KNOT} -b zone-thaw {DOMAIN}; {KNOT} -b zone-refresh {DOMAIN}")
    assert [(f.host, f.state, f.thing, f.field) for f in found] == [
        (SECONDARY, DIFFERENT, f"internal {DOMAIN}", "serial")
    ], told(found)
    assert found[0].expected.endswith(f" as on {PRIMARY}")
    # one of them alone cannot be behind
    assert alone == [], told(alone)
    begun = time.monotonic()
    while left := look(PRIMARY, SECONDARY):
        assert time.monotonic() - begun < SETTLES, told(left)
        time.sleep(1)


def test_a_name_server_that_stands_is_missing_its_zones() -> None:
    run(SECONDARY, "systemctl stop knot")
    try:
        found = look(PRIMARY, SECONDARY)
    finally:
        run(SECONDARY, "systemctl start knot")
    assert {f.host for f in found} == {SECONDARY}, told(found)
    kinds = {(f.state, f.kind) for f in found}
    away = {(MISSING, kind) for kind in ("listen", "zone", "records", "answer")}
    assert kinds == {(DIFFERENT, "service"), *away}, told(found)
    begun = time.monotonic()
    while left := look(PRIMARY, SECONDARY):
        assert time.monotonic() - begun < SETTLES, told(left)
        time.sleep(1)


# ---------------------------------------------------------------- addresses that the plan does not know


def unknown(*more: str) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-m", "topology", "drift", str(INVENTORY), "--unknown", "--json", "-", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT)
    assert done.returncode in (0, 3), done.stderr
    return done.returncode, json.loads(done.stdout)


def test_nobody_unknown_at_first() -> None:
    code, found = unknown()
    assert (code, found["unknown"], found["unobserved"]) == (0, [], {}), found


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (77, "a number for fixed hosts that the plan does not give"),
        (150, "in the pool, but no gateway has leased it"),
        (7, "a number for gateways and devices that the plan does not give"),
    ],
)
def test_a_stranger_is_listed_with_its_mac(number: int, why: str) -> None:
    with in_lan(PLAN, SITE, "staff", number) as probe:
        mac = json.loads(probe.run("ip", "-json", "link", "show", "eth0"))[0]["address"]
        _speak(probe)
        begun = time.monotonic()
        code, found = unknown("--hosts", GATEWAY)
        record("drift: --unknown of one gateway", seconds=round(time.monotonic() - begun, 2))
    rows = {r["address"]: r for r in found["unknown"]}  # type: ignore[attr-defined, union-attr]
    address = SUBNET.removesuffix("0/24") + str(number)
    assert code == 3
    assert address in rows, rows
    row = rows[address]
    lan = next(i.name for i in PLAN.hosts[GATEWAY].of_kind("lan") if i.network == "staff")
    assert (row["mac"], row["why"], row["site"], row["network"]) == (mac, why, SITE, "staff"), row
    assert (row["interface"], row["gateways"], row["by"]) == (lan, [GATEWAY], ["neighbour"]), row
    assert row["seen"]
    run(GATEWAY, f"ip neighbour flush dev {lan}")


def _speak(probe: object) -> None:
    """Let the gateway learn the probe's address: it asks for the router's, as every host that sends does."""
    router = SUBNET.removesuffix("0/24") + "1"
    # a probe answers and sends nothing but neighbour discovery: opening a connection asks for the router
    probe.run("bash", "-c", f"timeout 1 bash -c 'exec 3<>/dev/tcp/{router}/9' 2>/dev/null; true")  # type: ignore[attr-defined]


def test_an_address_of_another_network_is_listed() -> None:
    lan = next(i.name for i in PLAN.hosts[GATEWAY].of_kind("lan") if i.network == "staff")
    router = SUBNET.removesuffix("0/24") + "1"
    with plugged(PLAN, "odd", f"{SITE}.staff", ["10.191.0.9/24"], []) as probe:
        probe.run("ip", "route", "add", f"{router}/32", "dev", "eth0")
        _speak(probe)
        run(GATEWAY, f"ip neighbour replace 10.191.0.9 lladdr 02:00:00:00:00:09 dev {lan} nud stale")
        code, found = unknown("--hosts", SITE)
    run(GATEWAY, f"ip neighbour flush dev {lan}")
    assert code == 3
    assert [(r["address"], r["why"]) for r in found["unknown"]] == [  # type: ignore[attr-defined, union-attr]
        ("10.191.0.9", "outside the network")
    ], found


def test_a_host_of_the_plan_and_a_lease_are_not_listed() -> None:
    # name servers speak to each other and to their router all the time
    assert unknown("--hosts", "dc")[1]["unknown"] == []
    leased = SUBNET.removesuffix("0/24") + "201"
    row = f"{leased},02:00:00:00:02:01,,43200,{int(time.time()) + 40000},{STAFF.vlan},0,0,somebody,0,"
    run(GATEWAY, f"cp -p /var/lib/kea/kea-leases4.csv /root/k; echo '{row}' >>/var/lib/kea/kea-leases4.csv")
    try:
        with in_lan(PLAN, SITE, "staff", 201) as probe:
            _speak(probe)
            code, found = unknown("--hosts", GATEWAY)
    finally:
        run(GATEWAY, "cp -p /root/k /var/lib/kea/kea-leases4.csv; rm /root/k")
    assert (code, found["unknown"]) == (0, []), found


def test_a_gateway_that_cannot_be_asked_is_said_so() -> None:
    run(GATEWAY, "chmod a-x /usr/bin/sudo")
    try:
        code, found = unknown("--hosts", GATEWAY)
    finally:
        run(GATEWAY, "chmod a+x /usr/bin/sudo")
    assert code == 3
    assert list(found["unobserved"]) == [GATEWAY], found  # type: ignore[call-overload]


def test_the_sweep_costs_no_more_than_twice_the_same_reads_by_bare_ssh() -> None:
    """Same host, same run: our sweep against ssh with the very script, answer thrown away."""
    from topology.drift.script import script

    one = expect(PLAN, PLAN.hosts[GATEWAY])
    login = login_of(GATEWAY, variables(PLAN, PLAN.hosts[GATEWAY]))
    text = script(one, "topology-bench").encode()
    command = [*login.command, f"{login.user}@{login.address}", "--", "exec sudo -n sh -s"]
    bare, ours = [], []
    for _ in range(5):
        begun = time.monotonic()
        done = subprocess.run(command, input=text, capture_output=True, check=False, timeout=60)
        bare.append(time.monotonic() - begun)
        assert done.returncode == 0, done.stderr
        begun = time.monotonic()
        assert not (found := look(GATEWAY)), told(found)
        ours.append(time.monotonic() - begun)
    record("drift: one gateway", bare=round(sorted(bare)[2], 3), sweep=round(sorted(ours)[2], 3))
    assert sorted(ours)[2] <= 2 * sorted(bare)[2], (bare, ours)
