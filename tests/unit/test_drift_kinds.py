"""Kinds beside files and services: DHCP, names, certificates, daemons, prefixes; addresses nobody planned."""

from __future__ import annotations

import contextlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drift import twin
from topology.allocate import Plan
from topology.drift import dns, read_freebsd, read_seen, read_services, unknown
from topology.drift import observe as observing
from topology.drift.ask import ask, names
from topology.drift.finding import DIFFERENT, MISSING, UNOBSERVED, Finding
from topology.drift.judge import judge
from topology.drift.observe import observe
from topology.drift.observed import Observed
from topology.drift.parts import certificates
from topology.drift.script import script
from topology.drift.together import judge_together
from topology.expect import Between, Expectation, Expected, Whole, expect, together
from topology.expect.groups import Together
from topology.inventory import plan_of

ROOT = Path(__file__).parents[2]
LAB = plan_of(ROOT / "inventories" / "lab")
LUWU = plan_of(ROOT / "inventories" / "luwu")
WORD = "topology-0123"
SAMPLES = Path(__file__).parent / "freebsd"


def answer(**sections: str) -> str:
    named = {name.replace("_", "-"): text for name, text in sections.items()}
    return "".join(f"\n{WORD} begin {name}\n{text}\n{WORD} end {name} 0\n" for name, text in named.items())


def host(*expectations: Expectation, wholes: tuple[Whole, ...] = ()) -> Expected:
    return Expected("belopa-gw", "belopa", "debian", expectations, wholes)


def states(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(f.state, f.kind, f.thing) for f in findings]


# ---------------------------------------------------------------- daemons and their files

SERVICES = "{now}.25\n{up}\nId=frr.service\nLoadState=loaded\nActiveState={state}\nUnitFileState=enabled\n" \
           "StateChangeTimestampMonotonic={since}000000"  # fmt: skip
DAEMON = host(
    Expectation("daemon", "frr", {"configuration": "as written"}, of=("/etc/frr/frr.conf", "/etc/frr/daemons"))
)


def daemon(changed: int, since: int, state: str = "active") -> list[Finding]:
    files = f"640 frr frr {changed} /etc/frr/frr.conf\n644 root root 5 /etc/frr/daemons\n\ndigests\n\nowned"
    services = SERVICES.format(now=10_000, up=1_000, since=since, state=state)
    return judge(DAEMON, observe(answer(files=files, services=services), WORD))


def test_a_daemon_started_before_its_file_was_written_runs_with_an_older_one() -> None:
    # the machine started at 9000; a daemon that did so at 9100 has read what was written at 9100, not at 9150
    assert daemon(9_100, 100) == []
    found = daemon(9_150, 100)
    assert [(f.state, f.thing, f.found) for f in found] == [(DIFFERENT, "frr", "older than /etc/frr/frr.conf")]
    # a daemon that does not run is said elsewhere
    assert daemon(9_150, 100, "failed") == []


def test_without_files_or_times_a_daemon_is_unobserved() -> None:
    only = observe(answer(services=SERVICES.format(now=1, up=1, since=1, state="active")), WORD)
    assert states(judge(DAEMON, only)) == [(UNOBSERVED, "daemon", "all")]
    seen = Observed({"file": {}, "service": {"frr": {"active": "active"}}})
    assert states(judge(DAEMON, seen)) == [(UNOBSERVED, "daemon", "all")]


def test_daemons_are_judged_by_what_their_roles_say() -> None:
    found = {e.thing: e.of for e in expect(LAB, LAB.hosts["belopa-gw"]).of_kind("daemon")}
    assert "/etc/frr/frr.conf" in found["frr"]
    assert found["kea-dhcp4-server"] == ("/etc/kea/kea-dhcp4.conf",)
    assert any(name.startswith("wg-quick@wg") for name in found)


# ---------------------------------------------------------------- DHCP

KEA4 = """// Generated
{"Dhcp4": {"subnet4": [{"id": 20, "subnet": "10.69.1.0/24", "interface": "staff",
  "pools": [{"pool": "10.69.1.100 - 10.69.1.249"}],
  "option-data": [{"name": "routers", "data": "10.69.1.1"}, {"name": "domain-name-servers", "data": "10.69.1.1"}],
  "reservations": [{"hw-address": "02:00:00:00:00:01", "ip-address": "10.69.1.20"}]}]}}
"""


def test_subnets_with_pools_reservations_and_options() -> None:
    text = "server /etc/kea/kea-dhcp4.conf\n" + KEA4 + "\n\nserver /etc/kea/kea-dhcp6.conf\n"
    assert observe(answer(dhcp=text), WORD).kinds["dhcp"] == {"10.69.1.0/24": {
        "interface": "staff", "pools": "10.69.1.100 - 10.69.1.249", "routers": "10.69.1.1", "names": "10.69.1.1",
        "reservations": "02:00:00:00:00:01 10.69.1.20", "server": "kea-dhcp4",
    }}  # fmt: skip


def test_every_rendered_subnet_is_expected() -> None:
    gateway = LAB.hosts["belopa-gw"]
    found = {e.thing for e in expect(LAB, gateway).of_kind("dhcp")}
    served = [n for n in LAB.sites["belopa"].networks if n.dhcp]
    assert found == {prefix for network in served for prefix in network.prefixes}


# ---------------------------------------------------------------- names


def reply(number: int, name: str, kind: str, data: bytes, status: int = 0) -> bytes:
    asked = dns.question(number, name, kind)
    head = number.to_bytes(2) + bytes([0x85, 0x80 | status]) + bytes([0, 1, 0, 1 if data else 0, 0, 0, 0, 0])
    record = b"\xc0\x0c" + dns.TYPES[kind].to_bytes(2) + b"\0\1\0\0\x0e\x10" + len(data).to_bytes(2) + data
    return head + asked[12:] + (record if data else b"")


def hexadecimal(data: bytes) -> str:
    """Return data as od prints it."""
    rows = [data[i : i + 16] for i in range(0, len(data), 16)]
    return "\n".join("".join(f" {b:02x}" for b in row) for row in rows)


def test_answers_that_follow_each_other_are_told_apart() -> None:
    wire = reply(1, "gw.bua.luwukab.go.id", "AAAA", bytes.fromhex("20010db8" + "0" * 23 + "1"))
    wire += reply(0, "gw.bua.luwukab.go.id", "A", bytes([10, 255, 72, 1])) + reply(2, "no.id", "A", b"", 3)
    text = "1000\nask 0 A gw.bua.luwukab.go.id A @127.0.0.1\nask 1 AAAA gw.bua.luwukab.go.id AAAA @127.0.0.1\n"
    text += f"ask 2 A no.id A @127.0.0.1\nfrom 127.0.0.1 53\n{hexadecimal(wire)}"
    assert observe(answer(answers=text), WORD).kinds["answer"] == {
        "gw.bua.luwukab.go.id A @127.0.0.1": {"status": "NOERROR", "data": "10.255.72.1"},
        "gw.bua.luwukab.go.id AAAA @127.0.0.1": {"status": "NOERROR", "data": "2001:db8::1"},
        "no.id A @127.0.0.1": {"status": "NXDOMAIN", "data": ""},
    }


def test_who_does_not_answer_is_missing() -> None:
    one = Expectation("answer", "no.id A @127.0.0.1", {"data": "10.0.0.1"})
    seen = observe(answer(answers="1000\nask 0 A no.id A @127.0.0.1\nfrom 127.0.0.1 53"), WORD)
    assert states(judge(host(one), seen)) == [(MISSING, "answer", one.thing)]


@given(st.binary(max_size=120))
def test_what_is_no_answer_never_hangs_nor_escapes(data: bytes) -> None:
    for wire in (data, reply(1, "a.id", "A", b"\1\2\3\4") + data, data[:12] + b"\xc0\x0c" + data):
        with contextlib.suppress(ValueError):
            dns.answers(wire)


def test_a_name_that_points_at_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="never ends"):
        dns.answers(bytes([0, 1, 0x81, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + b"\xc0\x0c\0\1\0\1")


def test_the_questions_are_a_script_and_no_name_escapes_it() -> None:
    made = ask(names([Expectation("answer", "gw.diskominfo.luwukab.go.id A @127.0.0.1")]))
    assert subprocess.run(["sh", "-n"], input=made, text=True, check=False).returncode == 0
    with pytest.raises(KeyError):
        ask(names([Expectation("answer", "a.id ANYTHING @127.0.0.1")]))


# ---------------------------------------------------------------- certificates


def made(folder: Path, name: str, days: int) -> tuple[Path, Path]:
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        key,
    ]
    subprocess.run([*command, "-out", str(certificate), "-days", str(days), "-subj", f"/O=Luwu/CN={name}"],
                   check=True, capture_output=True)  # fmt: skip
    return certificate, key


def test_certificates_by_openssl_itself(tmp_path: Path) -> None:
    good, good_key = made(tmp_path, "pg1", 90)
    old, _ = made(tmp_path, "old", 3)
    want = {"subject": "CN=pg1,O=Luwu", "issuer": "CN=pg1,O=Luwu", "days": Between(14, None, "days"), "key": "matches"}
    expected = host(
        Expectation("certificate", str(good), want, of=(str(good_key),)),
        Expectation("certificate", str(old), {"days": want["days"], "key": "matches"}, of=(str(good_key),)),
        Expectation("certificate", str(tmp_path / "no.pem"), {"key": "matches"}, of=(str(good_key),)),
    )  # fmt: skip
    body = certificates(expected.of_kind("certificate"))
    done = subprocess.run(["sh", "-c", body], capture_output=True, text=True, check=True)
    found = judge(expected, observe(answer(certificates=done.stdout), WORD))
    assert [(f.state, Path(f.thing).name, f.field) for f in found] == [
        (DIFFERENT, "old.pem", "days"), (DIFFERENT, "old.pem", "key"), (MISSING, "no.pem", ""),
    ]  # fmt: skip


# ---------------------------------------------------------------- prefixes


def test_prefixes_of_a_session_are_counted_and_bounded() -> None:
    want = {e.thing: e.want for e in expect(LAB, LAB.hosts["diskominfo-gw"]).of_kind("neighbour")}
    assert want
    for value in want.values():
        assert value["sent"].low >= 2
        assert value["sent"].high >= value["sent"].low
    text = json.dumps({"10.0.0.1": {"bgpState": "Established", "peerBfdInfo": {"status": "Up"}, "addressFamilyInfo": {
        "ipv4Unicast": {"acceptedPrefixCounter": 2, "sentPrefixCounter": 3}}}})  # fmt: skip
    assert observe(answer(neighbours=text), WORD).kinds["neighbour"]["10.0.0.1"] == {
        "state": "Established", "bfd": "up", "received": 2, "sent": 3,
    }  # fmt: skip


@pytest.mark.parametrize(("found", "fine"), [(1, False), (2, True), (4, True), (5, False), (True, False), ("3", False)])
def test_between(found: object, fine: bool) -> None:
    assert Between(2, 4).holds(found) is fine


# ---------------------------------------------------------------- whom gateways see

GATEWAY = LUWU.hosts["belopa-gw"]
STAFF = next(i for i in GATEWAY.of_kind("lan") if i.network == "staff")
NOW = 1_700_000_000
NEIGHBOURS = [
    {"dst": "10.69.1.77", "dev": STAFF.name, "lladdr": "02:00:00:00:00:77", "confirmed": 5, "state": ["REACHABLE"]},
    {"dst": "10.69.1.201", "dev": STAFF.name, "lladdr": "02:00:00:00:02:01", "confirmed": 5, "state": ["STALE"]},
    {"dst": "10.69.1.202", "dev": STAFF.name, "lladdr": "02:00:00:00:02:02", "confirmed": 5, "state": ["STALE"]},
    {"dst": "192.168.1.5", "dev": STAFF.name, "lladdr": "02:00:00:00:00:05", "confirmed": 5, "state": ["STALE"]},
    {"dst": "10.69.1.88", "dev": STAFF.name, "state": ["FAILED"]},
    {"dst": "fe80::1", "dev": STAFF.name, "lladdr": "02:00:00:00:00:06", "confirmed": 5, "state": ["STALE"]},
    {"dst": "fd47:1f2a:47bc:4501:1234:5678:9abc:def0", "dev": STAFF.name, "lladdr": "02:00:00:00:00:07",
     "confirmed": 5, "state": ["STALE"]},
    {"dst": "fd47:1f2a:47bc:4501::78", "dev": STAFF.name, "lladdr": "02:00:00:00:00:08", "confirmed": 5,
     "state": ["STALE"]},
    {"dst": "198.51.100.9", "dev": "igb0", "lladdr": "02:00:00:00:00:09", "confirmed": 5, "state": ["STALE"]},
    {"dst": "10.69.0.4", "dev": "igb1.10", "lladdr": "02:00:00:00:00:10", "confirmed": 5, "state": ["STALE"]},
    {"dst": "10.69.0.4", "dev": STAFF.name, "lladdr": "02:00:00:00:00:11", "confirmed": 5, "state": ["STALE"]},
]  # fmt: skip
HEAD = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context"
LEASES = (
    f"leases 4\n{HEAD}\n10.69.1.201,02:00:00:00:02:01,,43200,{NOW + 43000},20,0,0,pc,0,\n\n"
    f"leases 4\n{HEAD}\n10.69.1.202,02:00:00:00:02:02,,43200,{NOW + 43000},20,0,0,pc,0,\n"
    f"10.69.1.202,02:00:00:00:02:02,,0,{NOW},20,0,0,pc,0,\n"
    f"10.69.1.253,02:00:00:00:02:53,,43200,{NOW + 1},20,0,0,,0,\n\n"
)


def seen() -> Observed:
    return observe(answer(seen=f"{NOW}\n{json.dumps(NEIGHBOURS)}", leases=LEASES), WORD)


def test_addresses_that_the_plan_does_not_know() -> None:
    found = unknown.find(LUWU, {GATEWAY.name: seen()})
    said = {r.address: (r.why, r.mac, r.by) for r in found.unknown}
    fixed, devices = (
        "a number for fixed hosts that the plan does not give",
        "a number for gateways and devices that the plan does not give",
    )
    assert said == {
        "10.69.1.77": (fixed, "02:00:00:00:00:77", ("neighbour",)),
        "10.69.1.202": ("in the pool, but no gateway has leased it", "02:00:00:00:02:02", ("neighbour",)),
        "192.168.1.5": ("outside the network", "02:00:00:00:00:05", ("neighbour",)),
        "fd47:1f2a:47bc:4501::78": (fixed, "02:00:00:00:00:08", ("neighbour",)),
        "10.69.1.253": (devices, "02:00:00:00:02:53", ("lease",)),
        "10.69.0.4": ("belongs to belopa-sw1, in another network", "02:00:00:00:00:11", ("neighbour",)),
    }
    assert found.unknown[0].seen.startswith("2023-11-14T22:13:1")


def test_a_gateway_that_was_not_read_is_named_and_pools_are_not_judged_without_its_leases() -> None:
    pair = {name: seen() for name in ("dc-a", "dc-b")}
    pair["dc-b"] = Observed(failed="unreachable")
    found = unknown.find(LUWU, pair)
    assert found.silent == {"dc-b": "unreachable"}
    half = observe(answer(seen=f"{NOW}\n[]"), WORD)
    assert unknown.find(LUWU, {GATEWAY.name: half}).silent == {GATEWAY.name: "was not read"}
    assert "dc-b: unobserved: unreachable" in unknown.as_text(found)


def test_a_macs_own_address_taken_by_another_is_listed() -> None:
    for plan in (LUWU, LAB):
        for one in plan.hosts.values():
            for interface in one.interfaces:
                if interface.mac and interface.network:
                    gateway = plan.gateways(one.site)[0]
                    lan = next(i for i in gateway.of_kind("lan") if i.network == interface.network)
                    row = {f"{lan.name} {interface.addresses[0]}": {"mac": "02:aa:aa:aa:aa:aa", "at": NOW}}
                    found = unknown.find(plan, {gateway.name: Observed({"seen": row, "lease": {}})})
                    assert [r.why for r in found.unknown] == [
                        f"belongs to {one.name}, whose MAC address is {interface.mac.lower()}"
                    ]


def test_freebsds_tables() -> None:
    text = f"{NOW}\n1200\n" + (SAMPLES / "arp.txt").read_text() + (SAMPLES / "ndp.txt").read_text()
    assert observe(answer(bsd_seen=text), WORD).kinds["seen"] == {
        "em0 192.168.1.1": {"mac": "aa:bb:cc:dd:ee:01", "at": NOW - 1},
        "em0.20 192.168.1.10": {"mac": "aa:bb:cc:dd:ee:02", "at": NOW - 400},
        "em0 10.100.0.11": {"mac": "02:42:0a:64:00:0b", "at": None},
        "em0 2409:8a6c:1763:4351::1000": {"mac": "de:cb:f1:62:24:68", "at": None},
        "em0 2409:8a6c:1763:4351::77": {"mac": "00:1c:42:00:00:08", "at": None},
        "em0 fe80::21c:42ff:fe00:18": {"mac": "00:1c:42:00:00:18", "at": None},
    }


@pytest.mark.parametrize("platform", ["debian", "freebsd"])
def test_the_script_that_asks_is_a_shell_script(platform: str) -> None:
    text = unknown.script(Expected("x", "x", platform, (), ()), WORD)
    assert subprocess.run(["dash", "-n"], input=text, text=True, check=False).returncode == 0


def test_json_says_who_where_and_when() -> None:
    value = json.loads(unknown.as_json(unknown.find(LUWU, {GATEWAY.name: seen()}), "2026-01-01T00:00:00+00:00"))
    assert value["gateways"] == [GATEWAY.name]
    assert {"address", "mac", "interface", "seen", "why", "site", "network"} <= value["unknown"][0].keys()


# ---------------------------------------------------------------- every kind, on every platform


@pytest.mark.parametrize("name", ["diskominfo-gw", "dc-a", "dc-dns0", "dc-pg1", "dc-nas1"])
@pytest.mark.parametrize("plan", [LUWU, LAB], ids=["luwu", "lab"])
def test_every_kind_that_is_expected_has_a_section_that_reads_it(plan: Plan, name: str) -> None:
    one = plan.hosts.get(name)
    if one is None:  # a lab is a slice
        return
    expected = expect(plan, one)
    text = script(expected, WORD)
    sections = [line.split()[2] for line in text.splitlines() if line.startswith("say begin ")]
    read = {kind for section in sections for kind in observing.KINDS[section]} | {"daemon"}
    assert {e.kind for e in expected.expectations} | {w.kind for w in expected.wholes} <= read
    # and what is read of nothing is unobserved, never clean
    empty = judge(expected, observe(answer(other=""), WORD))
    assert {f.state for f in empty} == {UNOBSERVED}


@pytest.mark.parametrize("plan", [LUWU, LAB], ids=["luwu", "lab"])
def test_the_twin_reads_every_kind_as_well(plan: Plan) -> None:
    wanted, whole = set(), set()
    for one in plan.hosts.values():
        if one.managed and (one.kind != "guest" or "-app-" not in one.name):
            expected = expect(plan, one)
            wanted |= {e.kind for e in expected.expectations}
            whole |= {w.kind for w in expected.wholes}
    assert wanted <= twin.ONE.keys()
    assert whole <= twin.EVERY.keys()


ALL = {**read_services.READERS, **read_seen.READERS, **read_freebsd.READERS}


@pytest.mark.parametrize("section", sorted(ALL))
@given(text=st.text(max_size=300))
def test_nonsense_is_never_clean(section: str, text: str) -> None:
    kinds, _ = ALL[section]
    expected = host(*(Expectation(kind, "topology thing", {"no such": "value"}) for kind in kinds))
    assert judge(expected, observe(answer(**{section: text}), WORD))


@pytest.mark.parametrize("section", ["seen", "bsd_seen"])
@given(text=st.text(max_size=300))
def test_a_gateway_that_talks_nonsense_is_not_taken_for_one_that_sees_nobody(section: str, text: str) -> None:
    found = unknown.find(LUWU, {GATEWAY.name: observe(answer(**{section: text}), WORD)})
    assert found.silent
    both = unknown.find(LUWU, {GATEWAY.name: observe(answer(**{section: f"x{text}", "leases": ""}), WORD)})
    assert both.silent


def test_a_changed_value_of_each_new_kind_is_a_finding() -> None:
    expected = expect(LAB, LAB.hosts["belopa-gw"])
    for kind in ("dhcp", "answer"):
        for one in expected.of_kind(kind):
            fine = {one.thing: dict(one.want)}
            alone = replace(expected, expectations=(one,), wholes=())
            assert judge(alone, Observed({kind: fine})) == []
            for field in one.want:
                wrong = {one.thing: {**one.want, field: "something else"}}
                assert [f.field for f in judge(alone, Observed({kind: wrong}))] == [field]


# ---------------------------------------------------------------- several hosts together

LOOKED = (Expectation("replication", "cluster"),)
THREE = {name: Expected(name, name[:2], "debian", LOOKED, ()) for name in ("dc-pg1", "d1-pg1", "d2-pg1")}


def roles(**values: str | None) -> dict[str, Observed]:
    return {
        name: Observed({"replication": {"cluster": {"role": value}}}) if value else Observed(failed="unreachable")
        for name, value in zip(THREE, values.values(), strict=True)
    }


ONE_PRIMARY = Together("replication", "cluster", "role", tuple(THREE), once="primary")
SAME = Together("replication", "cluster", "role", tuple(THREE))


def test_exactly_one_host_has_it() -> None:
    fine = roles(a="primary", b="replica", c="replica")
    assert judge_together([ONE_PRIMARY], THREE, fine) == []
    two = judge_together([ONE_PRIMARY], THREE, roles(a="primary", b="primary", c="replica"))
    assert [(f.host, f.state, f.found) for f in two] == [
        ("d1-pg1", DIFFERENT, "on dc-pg1, d1-pg1"), ("dc-pg1", DIFFERENT, "on dc-pg1, d1-pg1"),
    ]  # fmt: skip
    none = judge_together([ONE_PRIMARY], THREE, roles(a="replica", b="replica", c="replica"))
    assert [(f.state, f.found) for f in none] == [(MISSING, "role primary: on no host")]
    # the one that has it may be the one that is silent
    silent = judge_together([ONE_PRIMARY], THREE, roles(a="replica", b="replica", c=None))
    assert [(f.state, f.found) for f in silent] == [(UNOBSERVED, "role primary: d2-pg1 not read")]


def test_all_have_the_same_as_the_first() -> None:
    assert judge_together([SAME], THREE, roles(a="x", b="x", c="x")) == []
    found = judge_together([SAME], THREE, roles(a="x", b="x", c="y"))
    assert [(f.host, f.expected, f.found) for f in found] == [("d2-pg1", "x as on dc-pg1", "y")]
    # some hosts only: nothing is said of a group that was not looked at as a whole
    some = dict(list(roles(a="x", b="y", c="y").items())[:2])
    assert judge_together([SAME], THREE, some) == []


def test_every_zone_has_one_serial_everywhere() -> None:
    found = [t for t in together(LUWU) if t.kind == "zone"]
    assert found
    expected = {name: expect(LUWU, LUWU.hosts[name]) for name in {h for one in found for h in one.hosts}}
    for one in found:
        assert one.hosts[0] == "dc-dns0"
        assert {h for h in one.hosts} <= LUWU.hosts.keys()
        for name in one.hosts:
            assert one.thing in {e.thing for e in expected[name].of_kind("zone")}


def test_serials_and_the_days_that_signatures_are_good() -> None:
    soa = b"\0\0" + (2026).to_bytes(4) + b"\0" * 16
    wire = bytearray(reply(0, "luwu.id", "SOA", soa))
    signature = b"\0\6\x0d\2" + b"\0\0\x0e\x10" + (1000 + 40 * 86400).to_bytes(4) + b"\0\0\0\0\0\1\0" + b"sig"
    wire[7] = 2
    wire += b"\xc0\x0c\0\x2e\0\1\0\0\x0e\x10" + len(signature).to_bytes(2) + signature
    text = f"1000\nask 0 SOA internal luwu.id.\nfrom 127.0.0.1 53\n{hexadecimal(bytes(wire))}"
    assert observe(answer(zones=text), WORD).kinds["zone"] == {
        "internal luwu.id.": {"status": "NOERROR", "serial": 2026, "signatures": 40}
    }
    # a zone that has expired is not answered for, and one without signatures is not signed
    gone = f"1000\nask 0 SOA internal luwu.id.\nfrom 127.0.0.1 53\n{hexadecimal(reply(0, 'luwu.id', 'SOA', b'', 2))}"
    want = Expectation("zone", "internal luwu.id.", {"status": "NOERROR", "signatures": Between(30, None, "days")})
    found = judge(host(want), observe(answer(zones=gone), WORD))
    assert [(f.field, f.found) for f in found] == [("signatures", "none"), ("status", "SERVFAIL")]
