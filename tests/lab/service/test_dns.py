"""Names: an office's resolver validates them, copies follow in seconds, strangers get nothing, a site may be lost."""

from __future__ import annotations

import ipaddress
import itertools
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import copies, play
from tests.lab.figures import record
from tests.lab.services import run
from tests.lab.where import INVENTORY
from topology import lab, names
from topology.allocate import Host
from topology.inventory import plan_of
from topology.names import INTERNAL, PUBLIC, named
from topology.render.knot import CONFIGURATION, TSIG, key_name

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300), pytest.mark.journal("knot*", "unbound")]
PLAN = plan_of(INVENTORY)
FOUND = names.servers(PLAN)
assert FOUND is not None, f"{INVENTORY} boots no primary name server"
SERVERS = FOUND
PRIMARY = SERVERS.primary
DOMAIN = PLAN.district.facts.domain
NAME = PLAN.district.lab.name if PLAN.district.lab else ""
OFFICE = next(h for h in PLAN.hosts.values() if h.kind == "gateway" and PLAN.sites[h.site].place.kind == "skpd")
RESOLVER = next(i for i in OFFICE.of_kind("lan") if i.network == "staff").addresses
WITHIN = 2.0
"""Most seconds until a change is on every secondary."""
PRIVATE = [ipaddress.ip_network(p) for p in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]


@pytest.fixture(scope="module")
def desk() -> str:
    """Return the office's client, with the tools to ask."""
    host = next(h.name for h in PLAN.hosts.values() if h.kind == "pc" and h.site == OFFICE.site)
    return equipped(host)


@pytest.fixture(scope="module")
def stranger() -> str:
    """Return the host that plays the internet, with the tools to ask."""
    return equipped("internet")


def equipped(host: str) -> str:
    """Install kdig and delv in a host that only the lab has."""
    run(NAME, host, "sh", "-c", "command -v kdig && command -v delv || { apt-get -qq update && "
        "apt-get -qq install -y knot-dnsutils bind9-dnsutils; } 2>&1")  # fmt: skip
    return host


def ask(host: str, server: str, *words: str, port: int = 53) -> tuple[str, set[str], list[str]]:
    """Ask a server once by kdig; return the response code (or `none`), the flags and the answer's data."""
    done = lab.exec_in(NAME, host, ["kdig", f"@{server}", "-p", str(port), "+timeout=2", "+retry=0", *words])
    code = re.search(r"status: (\w+)", done.stdout)
    flags = re.search(r"Flags: ([a-z ]*);", done.stdout)
    section = done.stdout.partition(";; ANSWER SECTION:\n")[2].partition("\n\n")[0]
    if "AXFR" in words:
        # kdig 3.4 also prints the signature that a refusal carries
        records = [x for x in done.stdout.splitlines() if not x.startswith(";") and x.split()[3:4] != ["TSIG"]]
        section = "\n".join(records)
    data = [line.split(None, 4)[4] for line in section.splitlines() if len(line.split(None, 4)) == 5]
    return (code[1] if code else "none"), set(flags[1].split() if flags else ()), data


def addresses(server: Host) -> tuple[str, ...]:
    return named(server)[:2]


def knotc(host: Host, *words: str, view: str = INTERNAL) -> str:
    return run(NAME, host.name, "knotc", "-c", f"/{CONFIGURATION[view]}", *words)


def serial(server: Host, zone: str, view: str) -> int:
    """Return a zone's serial at a server, 0 when it does not answer."""
    port = names.port_of(PLAN, view)
    answer = ask(server.name, "127.0.0.1", zone, "SOA", port=port)[2]
    return int(answer[0].split()[2]) if answer else 0


def wait(check: Any, seconds: float, interval: float = 0.2) -> float:
    """Wait until something holds; return how long it took. The test fails when it does not come to hold."""
    begun = time.monotonic()
    while not check():
        assert time.monotonic() - begun < seconds, "it did not come to hold in time"
        time.sleep(interval)
    return time.monotonic() - begun


# -- residents ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [4, 6])
def test_an_offices_resolver_validates_forward_and_reverse_names_of_both_families(desk: str, family: int) -> None:
    server = RESOLVER[0] if family == 4 else RESOLVER[1]
    other = PLAN.hosts["dc-dns1"]
    own = f"{other.short}.{other.site}.{DOMAIN}"
    v4, *_, v6 = named(other)
    asked = [(own, "A", v4), (own, "AAAA", v6), (f"{v4}", "PTR", f"{own}."), (v6, "PTR", f"{own}."),
             (named(other)[1], "PTR", f"{own}.")]  # fmt: skip
    for name, kind, expected in asked:
        words = ("-x", name) if kind == "PTR" else (name, kind)
        code, flags, data = ask(desk, server, "+dnssec", *words)
        assert (code, "ad" in flags) == ("NOERROR", True), (name, kind, code, flags)
        plain = [d for d in data if d.split()[0] != kind]
        assert any(d == expected or ipaddress_or_none(d) == ipaddress_or_none(expected) is not None for d in plain), (
            data
        )
    # that there is none is proven as well
    code, flags, _ = ask(desk, server, "+dnssec", f"nobody-{time.time_ns()}.{DOMAIN}", "A")
    assert (code, "ad" in flags) == ("NXDOMAIN", True)


def ipaddress_or_none(text: str) -> Any:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def test_a_validator_of_its_own_agrees(desk: str) -> None:
    """delv follows the chain from the trust anchor by itself, through the office's resolver."""
    keys = PLAN.district.keys.dnssec
    assert set(keys) == {z.rstrip(".") for z in names.zone_names(PLAN)}
    other = PLAN.hosts["dc-dns1"]
    v4, ula, *_ = named(other)
    for zone, name, kind in (
        (DOMAIN, f"dns1.dc.{DOMAIN}", "A"), (DOMAIN, f"dns1.dc.{DOMAIN}", "AAAA"),
        (names.zone_names(PLAN)[1].rstrip("."), ipaddress.ip_address(v4).reverse_pointer, "PTR"),
        (names.zone_names(PLAN)[2].rstrip("."), ipaddress.ip_address(ula).reverse_pointer, "PTR"),
    ):  # fmt: skip
        tag, algorithm, digest_type, digest = keys[zone].split()
        for wrong in (False, True):
            text = ("0" * len(digest)) if wrong else digest
            anchor = f'trust-anchors {{ {zone}. static-ds {tag} {algorithm} {digest_type} "{text}"; }};'
            run(NAME, desk, "sh", "-c", "cat >/run/anchor.conf", stdin=anchor)
            done = lab.exec_in(NAME, desk, ["delv", f"@{RESOLVER[0]}", "-a", "/run/anchor.conf", f"+root={zone}.",
                                            name, kind])  # fmt: skip
            assert ("; fully validated" in done.stdout) is not wrong, done.stdout + done.stderr


def test_a_record_that_was_tampered_with_is_no_answer(desk: str) -> None:
    """The copies on the secondaries are changed behind the primary's back: the office gets no forged address."""
    zone, owner = DOMAIN, f"e-procurement-system.{DOMAIN}"
    before = ask(SERVERS.asked[0].name, "127.0.0.1", owner, "A", port=names.port_of(PLAN, INTERNAL))[2]
    assert before
    try:
        for server in SERVERS.asked:
            knotc(server, "zone-begin", zone)
            knotc(server, "zone-unset", zone, f"{owner}.", "A")
            knotc(server, "zone-set", zone, f"{owner}.", "300", "A", "10.66.66.66")
            knotc(server, "zone-commit", zone)
            assert ask(server.name, "127.0.0.1", owner, "A", port=names.port_of(PLAN, INTERNAL))[2] == ["10.66.66.66"]
        run(NAME, OFFICE.name, "systemctl", "restart", "unbound")
        code, _, data = ask(desk, RESOLVER[0], "+timeout=10", owner, "A")
        assert (code, data) == ("SERVFAIL", [])
    finally:
        for server in SERVERS.asked:
            knotc(server, "-f", "zone-retransfer", zone)
    wait(lambda: ask(SERVERS.asked[-1].name, "127.0.0.1", owner, "A", port=names.port_of(PLAN, INTERNAL))[2] == before,
         30)  # fmt: skip
    run(NAME, OFFICE.name, "systemctl", "restart", "unbound")
    wait(lambda: "ad" in ask(desk, RESOLVER[0], "+dnssec", owner, "A")[1], 30)


def test_every_host_and_agency_has_a_name(desk: str) -> None:
    code, flags, data = ask(desk, RESOLVER[0], "+dnssec", f"www.dinkes.{DOMAIN}", "A")
    assert code == "NOERROR" and "ad" in flags
    assert f"www.{DOMAIN}." in data
    assert ask(desk, RESOLVER[0], f"db.{DOMAIN}", "AAAA")[2]


# -- the internet ---------------------------------------------------------------------------------


def public_servers() -> list[tuple[Host, str]]:
    """Return the published name servers of the lab with the address at which the internet reaches each."""
    published = {e.host for e in PLAN.district.policy.published}
    zone = names.zones(PLAN, PUBLIC)[0]
    return [(h, zone.records[f"{h.short}.{h.site}"]["A"][0]) for h in SERVERS.asked if h.name in published]


def test_the_internet_is_answered_and_sees_no_private_address(stranger: str) -> None:
    assert len(public_servers()) >= 2
    wanted = [f"{owner}.{DOMAIN}".removeprefix("@.") for owner in names.zones(PLAN, PUBLIC)[0].records]
    hidden = [f"sw1.dinkes.{DOMAIN}", f"db.{DOMAIN}", f"dns0.dc.{DOMAIN}", f"gw.{OFFICE.site}.{DOMAIN}"]
    for _, address in public_servers():
        for name in wanted:
            for kind in ("A", "AAAA", "MX", "TXT"):
                code, flags, data = ask(stranger, address, name, kind)
                assert code == "NOERROR" and "aa" in flags, (name, code)
                for found in filter(None, map(ipaddress_or_none, data)):
                    assert not any(found in p for p in PRIVATE if p.version == found.version), (name, data)
        assert ask(stranger, address, f"dns1.dc.{DOMAIN}", "A")[2] == [public_servers()[0][1]]
        for name in hidden:
            assert ask(stranger, address, name, "A")[0] == "NXDOMAIN"
        # not ours to tell: the private trees and other people's names
        assert ask(stranger, address, "-x", named(PRIMARY)[0])[0] == "REFUSED"
        assert ask(stranger, address, "example.org", "A")[0] == "REFUSED"
        assert ask(stranger, address, DOMAIN, "AXFR")[2] == []


def test_the_internet_does_not_reach_the_internal_view(stranger: str) -> None:
    port = names.port_of(PLAN, INTERNAL)
    for server, address in public_servers():
        for target in (address, named(server)[-1]):
            assert ask(stranger, target, DOMAIN, "SOA", port=port)[0] == "none"
    # and if it did, a stranger's address is refused: asked on the host itself from an address of nobody's
    server = SERVERS.asked[0]
    try:
        run(NAME, server.name, "ip", "address", "add", "198.51.100.77/32", "dev", "lo")
        assert ask(server.name, named(server)[0], "-b", "198.51.100.77", DOMAIN, "SOA", port=port)[0] == "NOTAUTH"
    finally:
        run(NAME, server.name, "ip", "address", "del", "198.51.100.77/32", "dev", "lo")


# -- between the servers --------------------------------------------------------------------------


def _key(secondary: Host, view: str = INTERNAL) -> str:
    """Return a secondary's TSIG key as kdig takes it."""
    text = run(NAME, secondary.name, "cat", f"{TSIG}/{key_name(view, secondary.name)}conf")
    secret = re.search(r"secret: (\S+)", text)
    assert secret is not None
    return f"hmac-sha256:{key_name(view, secondary.name)}:{secret[1]}"


@pytest.mark.parametrize("view", [INTERNAL, PUBLIC])
def test_zones_are_transferred_with_the_right_key_only(view: str) -> None:
    port, target = names.port_of(PLAN, view), named(PRIMARY)[0]
    for secondary in SERVERS.secondaries:
        key = _key(secondary, view)
        # each has its own
        assert all(key != _key(other, view) for other in SERVERS.secondaries if other != secondary)
        right = ask(secondary.name, target, "-y", key, DOMAIN, "AXFR", port=port)[2]
        assert len(right) > 10
        altered = key[:-5] + ("AAAA=" if key[-5:] != "AAAA=" else "BBBA=")
        for words in ((), ("-y", altered), ("-y", key.replace(secondary.name, "nobody"))):
            assert ask(secondary.name, target, *words, DOMAIN, "AXFR", port=port)[2] == []
        # secondaries hand it to nobody, whoever asks
        for words in ((), ("-y", key)):
            assert ask(secondary.name, named(secondary)[0], *words, DOMAIN, "AXFR", port=port)[2] == []


def test_a_forged_notify_is_refused_and_a_right_one_is_taken() -> None:
    """From the primary itself, whose address is the right one: only the key tells."""
    port = names.port_of(PLAN, INTERNAL)
    for secondary in SERVERS.secondaries:
        key = _key(secondary)
        forged = ask(PRIMARY.name, named(secondary)[0], DOMAIN, "-t", f"NOTIFY={2**31}", port=port)[0]
        altered = ask(PRIMARY.name, named(secondary)[0], "-y", key[:-5] + "AAAA=", DOMAIN, "-t", "NOTIFY=1",
                      port=port)[0]  # fmt: skip
        right = ask(PRIMARY.name, named(secondary)[0], "-y", key, DOMAIN, "-t", "NOTIFY=1", port=port)[0]
        assert (forged, altered, right) == ("NOTAUTH", "BADSIG", "NOERROR")


def test_keys_are_readable_by_the_daemon_only_and_in_no_log() -> None:
    for server in (PRIMARY, *SERVERS.secondaries):
        listed = run(NAME, server.name, "stat", "-c", "%a %U %G", TSIG, *(
            f"{TSIG}/{key_name(v, s.name)}conf" for v in SERVERS.views
            for s in (SERVERS.secondaries if server == PRIMARY else (server,))))  # fmt: skip
        assert set(listed.splitlines()) <= {"750 root knot", "640 root knot"}
        secret = _key(server if server != PRIMARY else SERVERS.secondaries[0]).split(":")[-1]
        journal = run(NAME, server.name, "journalctl", "--no-pager", "-o", "cat")
        assert secret not in journal


@contextmanager
def changed(view: str, owner: str, data: str) -> Iterator[float]:
    """Change a zone's text on the primary as the role does; yields when it was loaded; takes it back."""
    file = f"/etc/knot/zones/{view}/{DOMAIN}.zone"
    before = run(NAME, PRIMARY.name, "cat", file)
    try:
        run(NAME, PRIMARY.name, "sh", "-c", f"cat >{file}", stdin=f"{before}{owner} TXT {data}\n")
        begun = time.monotonic()
        knotc(PRIMARY, "reload", view=view)
        yield begun
    finally:
        run(NAME, PRIMARY.name, "sh", "-c", f"cat >{file}", stdin=before)
        knotc(PRIMARY, "reload", view=view)


@pytest.mark.parametrize("view", [INTERNAL, PUBLIC])
def test_a_change_is_on_every_secondary_within_seconds(view: str) -> None:
    word = f"change-{time.time_ns()}"
    port = names.port_of(PLAN, view)
    with changed(view, word, word) as begun:
        took = {}
        for server in SERVERS.secondaries:
            wait(lambda s=server: ask(s.name, "127.0.0.1", f"{word}.{DOMAIN}", "TXT", port=port)[2] == [f'"{word}"'],
                 20, 0.05)  # fmt: skip
            took[server.name] = round(time.monotonic() - begun, 2)
    record("dns-change", view=view, seconds=took)
    # looked at one after another, the last has waited for the others' looks
    assert max(took.values()) <= WITHIN + 0.5 * len(took)


def test_a_zone_that_did_not_change_keeps_its_serial() -> None:
    zones = [(v, z) for v in SERVERS.views for z in names.zone_names(PLAN, v)]
    # what earlier tests took back has arrived
    wait(lambda: all({serial(s, z, v) for s in SERVERS.secondaries} == {serial(PRIMARY, z, v)} for v, z in zones), 30)
    before = {(v, z): serial(PRIMARY, z, v) for v, z in zones}
    assert all(before.values())
    for view in SERVERS.views:
        knotc(PRIMARY, "reload", view=view)
        run(NAME, PRIMARY.name, "systemctl", "restart", "knot" if view == INTERNAL else "knot-public")
    wait(lambda: {k: serial(PRIMARY, k[1], k[0]) for k in before} == before, 20)
    for server in SERVERS.secondaries:
        assert {k: serial(server, k[1], k[0]) for k in before} == before


# -- the data centre is lost ----------------------------------------------------------------------

STEADY = """
import json, socket, struct, sys, time
options = json.loads(sys.argv[1])
def query(number, name):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return struct.pack("!HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1)
number = 0
while True:
    number += 1
    for label, (server, names) in options["targets"].items():
        # names that exist, another one each time: no cache has them, nor a proof (RFC 8198) that they do not exist
        asked = names[number % len(names)]
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as channel:
            channel.settimeout(1.0)
            begun, result = time.time(), "none"
            try:
                channel.sendto(query(number, asked), (server, 53))
                while True:
                    data = channel.recv(4096)
                    if data[:2] == struct.pack("!H", number & 0xFFFF):
                        code = data[3] & 15
                        result = "ok" if code == 0 and data[6:8] != b"\\0\\0" else "code%d" % code
                        break
            except OSError as error:
                result = type(error).__name__
            print(begun, label, result, flush=True)
    time.sleep(0.2)
"""


@contextmanager
def asking(host: str, targets: dict[str, tuple[str, list[str]]]) -> Iterator[Any]:
    """Ask servers steadily from a host; yields a function that returns (time, label, result) of all up to now."""
    unit, log = "topology-test-asking", "/run/topology-test-asking.log"
    run(NAME, host, "sh", "-c", f"systemctl stop {unit}; systemctl reset-failed {unit}; rm -f {log}; true")
    run(NAME, host, "sh", "-c", "cat >/run/topology-test-asking.py", stdin=STEADY)
    run(NAME, host, "systemd-run", "--quiet", f"--unit={unit}", f"--property=StandardOutput=append:{log}", "python3",
        "/run/topology-test-asking.py", json.dumps({"targets": targets}))  # fmt: skip

    def rows() -> list[tuple[float, str, str]]:
        lines = [line.split() for line in run(NAME, host, "cat", log).splitlines()]
        return [(float(r[0]), r[1], r[2]) for r in lines if len(r) == 3]

    try:
        yield rows
    finally:
        lab.exec_in(NAME, host, ["systemctl", "stop", unit])


def gap(rows: list[tuple[float, str, str]], label: str) -> tuple[float, float]:
    """Return the longest time without an answer, and how long ago the last answer was at the end."""
    good = [at for at, name, result in rows if name == label and result == "ok"]
    assert good, f"{label} was never answered"
    every = [at for at, name, _ in rows if name == label]
    edges = [every[0], *good, every[-1]]
    return max(b - a for a, b in itertools.pairwise(edges)), every[-1] - good[-1]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_without_the_data_centre_names_are_answered_and_its_return_repairs_the_rest(desk: str, stranger: str) -> None:
    """Every host of the primary's site loses power; offices and the internet are answered by the DR site."""
    lost = [h.name for h in PLAN.hosts.values() if h.site == PRIMARY.site and h.managed and h.kind != "internet"]
    left = [(h, a) for h, a in public_servers() if h.site != PRIMARY.site]
    assert left, "no published name server is left"
    every = [f"{owner}.{DOMAIN}" for owner, kinds in names.zones(PLAN, INTERNAL)[0].records.items()
             if "A" in kinds and not owner.endswith(f".{OFFICE.site}")]  # fmt: skip
    assert len(every) > 800
    inside = {"resolver": (RESOLVER[0], every[::2]), "resolver6": (RESOLVER[1], every[1::2])}
    # what earlier questions left is forgotten
    run(NAME, OFFICE.name, "systemctl", "restart", "unbound")
    outside = {h.name: (a, [f"dns1.dc.{DOMAIN}", f"mail.{DOMAIN}"]) for h, a in left}
    word = f"return-{time.time_ns()}"
    with ExitStack() as stack:
        office = stack.enter_context(asking(desk, inside))
        world = stack.enter_context(asking(stranger, outside))
        time.sleep(10)
        try:
            for host in lost:
                lab.kill_host(NAME, host)
            time.sleep(75)
            seen = {"office": office(), "internet": world()}
        finally:
            for host in lost:
                lab.start_host(NAME, host)
        figures = {}
        for rows in seen.values():
            for label in sorted({r[1] for r in rows}):
                longest, last = gap(rows, label)
                figures[label] = round(longest, 2)
                assert last < 5, f"{label}: nothing for {last:.0f} s at the end"
        record("dns-data-centre-lost", hosts=len(lost), longest_gap_seconds=figures)
        assert max(figures.values()) <= 30
        back = wait(lambda: all(serial(PRIMARY, DOMAIN, v) for v in SERVERS.views), 120, 1)
        with changed(INTERNAL, word, word):
            port = names.port_of(PLAN, INTERNAL)
            took = wait(lambda: all(ask(s.name, "127.0.0.1", f"{word}.{DOMAIN}", "TXT", port=port)[2] == [f'"{word}"']
                                    for s in SERVERS.secondaries), 180, 1)  # fmt: skip
        time.sleep(5)
        longest, last = gap(office(), "resolver")
        assert last < 5
        record("dns-data-centre-returned", primary_answers_after=round(back, 1), changes_travel_after=round(took, 1),
               longest_gap_seconds=round(longest, 2))  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_dr_host_becomes_the_primary_and_back(desk: str, tmp_path: Path) -> None:
    """As the runbook says: another order in services/dns.yml, site.yml, new keys; offices validate all the time."""
    new = next(s for s in SERVERS.secondaries if s.site != PRIMARY.site)
    others = [h for h in (PRIMARY, *SERVERS.secondaries) if h != new]
    # the gateway comes after the servers: in between it trusts keys that sign no longer
    hosts = (*(h.name for h in (new, *others)), OFFICE.name)
    copied = copies.copy(tmp_path)
    file = copied.district / "services" / "dns.yml"
    text = file.read_text(encoding="utf-8")
    order = ", ".join(h.name for h in (new, *others))
    file.write_text(re.sub(r"(?m)^hosts: .*$", f"hosts: [{order}]", text), encoding="utf-8")
    port = names.port_of(PLAN, INTERNAL)
    before = serial(new, DOMAIN, INTERNAL)
    try:
        copied.apply(*hosts)
        wait(lambda: serial(new, DOMAIN, INTERNAL) > before, 30)
        wait(lambda: all(serial(h, z, v) == serial(new, z, v) for h in others for v in SERVERS.views
                         for z in names.zone_names(PLAN, v)), 60)  # fmt: skip
        keys = {h.name: ask(h.name, "127.0.0.1", DOMAIN, "DNSKEY", port=port)[2] for h in (new, *others)}
        assert len(set(map(tuple, map(sorted, keys.values())))) == 1
        code, flags, _ = ask(desk, RESOLVER[0], "+dnssec", f"sw1.dinkes.{DOMAIN}", "A")
        assert (code, "ad" in flags) == ("NOERROR", True)
        # the one before is nobody's primary any more
        assert all("slave" in line for line in knotc(PRIMARY, "zone-status").splitlines() if line.strip())
    finally:
        copies.apply(INVENTORY, *(h.name for h in (PRIMARY, *SERVERS.secondaries)), OFFICE.name)
        copied.remove_rendered()
    wait(lambda: all(serial(h, DOMAIN, v) == serial(PRIMARY, DOMAIN, v) > before for h in SERVERS.secondaries
                     for v in SERVERS.views), 60)  # fmt: skip
    wait(lambda: "ad" in ask(desk, RESOLVER[0], "+dnssec", f"sw1.dinkes.{DOMAIN}", "A")[1], 30)


# -- the role -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("entry", "variables", "says"), [
    ("main", {}, "missing required arguments: dns_rendered"),
    ("main", {"dns_rendered": "/nowhere/at/all"}, "topology render"),
    ("key", {"topology_dns": {"views": {}, "secondaries": []}}, "missing required arguments: primary"),
    ("key", {"topology_dns": {"primary": PRIMARY.name, "views": "internal", "secondaries": []}}, "'views' is of type"),
    ("key", {"topology_dns": "dns0"}, "'topology_dns' is of type"),
], ids=["nothing", "a folder that is not there", "no primary", "views are no dict", "no dict"])  # fmt: skip
def test_bad_variables_of_the_role_are_refused(
    tmp_path: Path, entry: str, variables: dict[str, object], says: str
) -> None:
    task = {"include_role": {"name": "dns", "tasks_from": entry}, "vars": variables}
    file = tmp_path / "play.yml"
    file.write_text(json.dumps([{"hosts": PRIMARY.name, "gather_facts": False, "become": True, "tasks": [task]}]))
    done = play.run(file, tmp_path / "report", "--check")
    assert done.code != 0 and says in done.output and "Traceback" not in done.output, done.output[-2000:]
    assert not done.changed
