"""Who may log in to databases and with what rights, records of zones, accounts and quotas of a NAS, odd mounts.

Knot's answers were recorded (`knotc zone-read`, Knot 3.2); psql's have the form of
topology.drift.read_databases.QUERIES, etcd's that of its v2 interface, btrfs' and Samba's those of their tools.
"""

from __future__ import annotations

import datetime
import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topology.drift import ask_services, read_both, read_databases, read_zones
from topology.drift.finding import DIFFERENT, MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.drift.judge import judge
from topology.drift.observe import observe
from topology.drift.remedy import remedy
from topology.expect import Expectation, Expected, Whole
from topology.expect.databases import databases
from topology.expect.model import MOST, Lines
from topology.expect.replication import replication, shares

WORD = "topology-0123"
State = tuple[str, str, str, str]


def answer(**sections: str) -> str:
    return "".join(f"\n{WORD} begin {name}\n{text}\n{WORD} end {name} 0\n" for name, text in sections.items())


def states(findings: list[Finding]) -> list[State]:
    return [(f.state, f.kind, f.thing, f.field) for f in findings]


# ---------------------------------------------------------------- databases

FILES = {
    "etc/patroni/config.yml": """# Generated
name: dc-pg1
restapi: {connect_address: "10.129.128.11:8008", cafile: /etc/topology/tls/ca.crt}
postgresql:
  authentication: {superuser: {username: postgres}, replication: {username: replicator}, rewind: {username: rewind}}
  pg_hba:
  - local all postgres peer
  - hostssl replication replicator 10.130.128.11/32 scram-sha-256
  - hostssl sameuser +applications 2001:db8::/64 scram-sha-256
""",
    "etc/patroni/dynamic.yml": (
        "# Generated\nttl: 15\nsynchronous_mode: true\npostgresql: {parameters: {wal_level: replica}}\n"
    ),
    "etc/topology/postgresql/databases": "# Generated\nsi_penggajian\n",
}
ROWS = """login\t\tlocal\tall\tpostgres\t\t\tpeer\t
login\t\thostssl\treplication\treplicator\t10.130.128.11\t255.255.255.255\tscram-sha-256\t
login\t\thostssl\tsameuser\t+applications\t2001:db8::\tffff:ffff:ffff:ffff::\tscram-sha-256\t
role\tapplications\t\t
role\tpostgres\tbypass RLS, create databases, create roles, log in, replicate, superuser\t
role\treplicator\tlog in, replicate\t
role\trewind\tlog in\t
role\tsi_penggajian\tlog in\tapplications"""
SHARED = {"ttl": 15, "synchronous_mode": True, "pause": False, "postgresql": {"parameters": {"wal_level": "replica"}}}
MEMBER = Expected("dc-pg1", "dc", "debian", tuple(databases(FILES)), (Whole("login"), Whole("role"), Whole("setting")))


def member(rows: str = ROWS, shared: object = SHARED) -> list[Finding]:
    return judge(MEMBER, observe(answer(databases=rows, settings=json.dumps(shared)), WORD))


def test_a_member_that_lets_in_whom_it_should() -> None:
    assert member() == []


LOGIN = "login\t\thost\tall\tall\t0.0.0.0\t0.0.0.0\ttrust\t"
PEER = "login\t\tlocal\tall\tpostgres\t\t\tpeer\t"


@pytest.mark.parametrize(
    ("rows", "shared", "found"),
    [
        (f"{ROWS}\n{LOGIN}", SHARED, [(UNEXPECTED, "login", "host all all 0.0.0.0/0 trust", "")]),
        (f"{ROWS}\nlogin\t\thost\tall\tall\tall\t\tmd5\t", SHARED, [(UNEXPECTED, "login", "host all all all md5", "")]),
        (f"{ROWS}\nlogin\tinvalid connection type\t\t\t\t\t\t\t", SHARED,
         [(UNEXPECTED, "login", "line that is wrong: invalid connection type", "")]),
        (ROWS.replace(PEER, PEER.replace("peer", "trust")), SHARED,
         [(MISSING, "login", "local all postgres peer", ""), (UNEXPECTED, "login", "local all postgres trust", "")]),
        (ROWS.replace("si_penggajian\tlog in", "si_penggajian\tlog in, superuser"), SHARED,
         [(DIFFERENT, "role", "si_penggajian", "may")]),
        (ROWS.removesuffix("applications") + "applications, replicator", SHARED,
         [(DIFFERENT, "role", "si_penggajian", "member of")]),
        (f"{ROWS}\nrole\tstranger\tlog in\t", SHARED, [(UNEXPECTED, "role", "stranger", "")]),
        (f"{ROWS}\nsetting\tssl\toff", SHARED, [(UNEXPECTED, "setting", "ssl by hand", "")]),
        (ROWS, SHARED | {"synchronous_mode": False}, [(DIFFERENT, "setting", "synchronous_mode", "value")]),
        (ROWS, {k: v for k, v in SHARED.items() if k != "ttl"}, [(MISSING, "setting", "ttl", "")]),
        # what only etcd has is an operator's
        (ROWS, SHARED | {"pause": True}, []),
    ],
)  # fmt: skip
def test_who_is_let_in_besides(rows: str, shared: object, found: list[State]) -> None:
    assert states(member(rows, shared)) == found


def test_a_server_that_does_not_answer_is_never_clean() -> None:
    broken = f"\n{WORD} begin databases\npsql: error: connection failed\n{WORD} end databases 2\n"
    found = judge(MEMBER, observe(broken + answer(settings=json.dumps(SHARED)), WORD))
    assert {(f.state, f.kind) for f in found} == {(UNOBSERVED, k) for k in ("login", "role", "setting")}
    # Patroni does not run: nothing is set
    assert (MISSING, "setting", "ttl", "") in states(judge(MEMBER, observe(answer(databases=ROWS, settings=""), WORD)))


def test_etcd_of_itself() -> None:
    files = {
        "etc/default/etcd": "# Generated\nETCD_INITIAL_CLUSTER=b=https://10.2.0.1:2380,a=https://10.1.0.1:2380\n"
        "ETCD_ADVERTISE_CLIENT_URLS=https://10.1.0.1:2379\nETCD_CERT_FILE=/etc/topology/tls/host.crt\n"
    }
    expected = Expected("a", "x", "debian", tuple(replication(files)), ())
    assert expected.expectations[0].of == ("10.1.0.1:2379", "/etc/topology/tls")

    def said(health: str, *names: str) -> list[State]:
        lines = [json.dumps({"health": health}), json.dumps({"members": [{"name": n} for n in names]})]
        return states(judge(expected, observe(answer(etcd="\n".join(lines)), WORD)))

    assert said("true", "a", "b") == []
    assert said("false", "a", "b") == [(DIFFERENT, "etcd", "member", "health")]
    assert said("true", "a", "b", "c") == [(DIFFERENT, "etcd", "member", "members")]
    assert states(judge(expected, observe(answer(etcd=""), WORD))) == [(MISSING, "etcd", "member", "")]


# ---------------------------------------------------------------- names

ZONE = "internal luwukab.go.id."
READ = """zone internal luwukab.go.id.
[luwukab.go.id.] luwukab.go.id. 300 NS dns1.dc.luwukab.go.id.
[luwukab.go.id.] luwukab.go.id. 300 SOA dns1.dc.luwukab.go.id. hostmaster.luwukab.go.id. 1795701202 60 10 3024000 60
[luwukab.go.id.] luwukab.go.id. 300 RRSIG NS 13 3 300 20270204135323 20261126122323 63451 luwukab.go.id. ry3+
[luwukab.go.id.] luwukab.go.id. 300 TXT "v=spf1 mx -all"
[luwukab.go.id.] luwukab.go.id. 300 CAA 0 issue "letsencrypt.org" \n\
[luwukab.go.id.] gw.bajo.luwukab.go.id. 300 AAAA 2001:db8:7317:ff41::1
[luwukab.go.id.] gw.bajo.luwukab.go.id. 60 NSEC luwukab.go.id. AAAA RRSIG NSEC"""
RECORDS = frozenset({
    read_zones.line("luwukab.go.id.", "NS", "dns1.dc.luwukab.go.id."),
    read_zones.line("luwukab.go.id.", "TXT", '"v=spf1 mx -all"'),
    read_zones.line("luwukab.go.id.", "CAA", '0 issue "letsencrypt.org"'),
    read_zones.line("GW.bajo.luwukab.go.id.", "AAAA", "2001:db8:7317:ff41:0::1"),
})  # fmt: skip


def zone(text: str) -> list[Finding]:
    wanted = Expectation("records", ZONE, {"content": Lines(RECORDS, "records")}, of=("/etc/knot/knot.conf",))
    return judge(Expected("dc-dns1", "dc", "debian", (wanted,), ()), observe(answer(records=text), WORD))


def test_records_are_the_plans() -> None:
    assert zone(READ) == []
    assert states(zone("zone internal luwukab.go.id.\nerror: [luwukab.go.id.] (no such zone found)")) == [
        (MISSING, "records", ZONE, "")
    ]


def test_a_zone_of_which_only_the_beginning_was_read_is_not_judged() -> None:
    assert states(zone(f"{READ.rsplit(chr(10), 1)[0]}\n{read_zones.CUT}")) == [(UNOBSERVED, "records", "all", "")]
    # a zone that is not there has no beginning
    assert states(zone(f"zone {ZONE}\n{read_zones.CUT}")) == [(MISSING, "records", ZONE, "")]


def test_a_record_that_differs_is_named() -> None:
    (found,) = zone(READ.replace("7317:ff41::1", "bad::1") + "\n[luwukab.go.id.] x.luwukab.go.id. 300 A 10.66.66.66")
    assert (found.state, found.field, found.expected) == (DIFFERENT, "content", "the plan's 4 records")
    assert found.found == (
        "besides: gw.bajo.luwukab.go.id. AAAA 2001:db8:bad::1 | besides: x.luwukab.go.id. A 10.66.66.66 | "
        "without: gw.bajo.luwukab.go.id. AAAA 2001:db8:7317:ff41::1"
    )


def test_a_great_difference_is_cut() -> None:
    shown = Lines(frozenset()).shown(tuple(f"x{i}" for i in range(MOST + 3)))
    assert shown.count("besides") == MOST and shown.endswith("and 3 more")
    assert not Lines(frozenset({"a"})).holds("a")


# ---------------------------------------------------------------- files

NAS = {"etc/topology/nas.json": "// Generated\n" + json.dumps({
    "host": "dc-nas1", "nodes": {"dc-nas1": "10.129.144.20"},
    "users": [{"name": "ani", "uid": 20001, "quota": 2**30, "left": None},
              {"name": "budi", "uid": 20002, "quota": 2**26, "left": "2026-01-01"},
              {"name": "citra", "uid": 20003, "quota": 2**26, "left": "2026-12-31"}],
    "agencies": [{"slug": "dinkes", "gid": 30001, "quota": 2**31}],
})}  # fmt: skip
VOLUMES = """ID 256 gen 30 top level 5 path live/accounts
ID 257 gen 31 top level 5 path live/files/users/ani
ID 258 gen 31 top level 5 path live/files/users/citra
ID 259 gen 32 top level 5 path live/files/agencies/dinkes
ID 300 gen 32 top level 5 path snap/files/agencies/dinkes/@GMT-2026.11.26-13.00.00
limits
qgroupid         rfer         excl     max_rfer
--------         ----         ----     --------
0/5             16384        16384         none
0/257           16384        16384   1073741824
0/258           16384        16384     67108864
0/259           16384        16384   2147483648"""


def nas(volumes: str = VOLUMES, accounts: str = "ani:20001:Ani", rights: str = "") -> list[State]:
    today = datetime.date(2026, 11, 26)
    wanted = tuple(e for e in shares(NAS, today) if e.kind != "share")
    expected = Expected("dc-nas1", "dc", "debian", wanted, (Whole("account"), Whole("right")))
    smb = f"[global]\nmap to guest = never\n\nfolders\n{rights}"
    return states(judge(expected, observe(answer(quotas=volumes, accounts=accounts, shares=smb), WORD)))


def test_a_nas_with_the_plans_people() -> None:
    assert nas() == []
    # a NAS that does not serve has neither accounts nor folders; one without its disk is said by the mount
    assert nas("", "") == []
    # quotas are off: of no account on a NAS that does not serve
    assert nas("ID 256 gen 24 top level 5 path snap/accounts/@GMT-2026.11.26-13.55.01\nlimits", "") == []


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"volumes": VOLUMES.replace("2147483648", "none")}, [(DIFFERENT, "quota", "agencies/dinkes", "limit")]),
        ({"volumes": VOLUMES.partition("limits")[0] + "limits"},
         [(DIFFERENT, "quota", t, "limit") for t in ("agencies/dinkes", "users/ani", "users/citra")]),
        ({"volumes": VOLUMES.replace("1073741824", "5368709120")}, [(DIFFERENT, "quota", "users/ani", "limit")]),
        ({"accounts": "ani:20001:Ani\nbudi:20002:Budi"}, [(UNEXPECTED, "account", "budi", "")]),
        ({"accounts": "citra:20003:Citra"}, []),
        ({"rights": "755 0 0 /srv/nas/live/files/users/budi"},
         [(UNEXPECTED, "right", "/srv/nas/live/files/users/budi", "")]),
        ({"rights": "777 0 20001 /srv/nas/live/files/users/ani/private"},
         [(DIFFERENT, "right", "/srv/nas/live/files/users/ani/private", "mode")]),
    ],
)  # fmt: skip
def test_who_is_left_over_and_what_is_too_much(more: dict[str, str], found: list[State]) -> None:
    assert nas(**more) == found


@pytest.mark.parametrize(
    ("target", "source", "kind", "ours"),
    [
        ("/", "overlay", "overlay", False),
        ("/var/lib/docker", "/dev/sda3", "ext4", False),
        ("/boot/efi", "/dev/sda1", "vfat", False),
        ("/sys/fs/bpf", "bpf", "bpf", False),
        ("/srv/nas", "/dev/sdb1", "btrfs", True),
        ("/mnt", "tmpfs", "tmpfs", True),
        ("/home/lab/x", "somewhere:/x", "nfs4", True),
        ("/tmp/x", "me@somewhere:", "fuse.sshfs", True),
    ],
)
def test_what_is_mounted_by_somebody(target: str, source: str, kind: str, ours: bool) -> None:
    assert read_both.mount(target, source, kind, "rw,noatime")["owned"] is ours


# ---------------------------------------------------------------- remedies, scripts, nonsense


def test_remedies_are_commands_for_what_is_wrong_and_for_nothing_else() -> None:
    def commands(kind: str, thing: str, state: str = UNEXPECTED, *more: str) -> str:
        made = remedy(MEMBER, [Finding("dc", "dc-pg1", state, kind, thing, *more)])
        assert not made.by_hand
        for text in (*made.before, *made.after):
            assert subprocess.run(["dash", "-n"], input=text, text=True, check=False).returncode == 0, text
        return "\n".join((*made.before, *made.after))

    assert "hostssl sameuser +applications 2001:db8::/64 scram-sha-256\n" in commands("login", "host all all all trust")
    assert "drop role" in commands("role", "stranger")
    altered = commands("role", "si_penggajian", DIFFERENT, "may", "log in", "log in, superuser")
    assert "nosuperuser" in altered and " login" in altered and "nocreaterole" in altered
    moved = commands("role", "si_penggajian", DIFFERENT, "member of", "applications", "replicator")
    assert 'revoke "replicator"' in moved and 'grant "applications"' in moved
    assert "alter system reset" in commands("setting", "ssl by hand")
    assert commands("setting", "ttl", DIFFERENT, "value", "15", "20") == ""
    assert "umount /mnt" in commands("mount", "/mnt")
    assert "zone-retransfer" in commands("records", ZONE, DIFFERENT, "content")
    assert "postgresql-backup-incr" in commands("backup", "district", DIFFERENT, "age", "at most 93600 s", "200000")


def test_a_files_group_is_brought_back_with_its_owner() -> None:
    wanted = Expectation("file", "/etc/knot/tsig/x.conf", {"owner": "root", "group": "knot", "mode": "640"})
    expected = Expected("x", "x", "debian", (wanted,), ())
    made = remedy(expected, [Finding("x", "x", DIFFERENT, "file", wanted.thing, "mode", "640", "644")])
    assert made.before == ["chown root:knot /etc/knot/tsig/x.conf && chmod 640 /etc/knot/tsig/x.conf"]


def test_the_sections_are_shell_scripts() -> None:
    wanted = (*databases(FILES), *shares(NAS), Expectation("records", ZONE, of=("/etc/knot/knot.conf",)))
    expected = Expected("x", "x", "debian", wanted, ())
    made = dict(ask_services.sections(expected)) | {"records": ask_services.records(expected)}
    assert made.keys() >= {"databases", "settings", "quotas", "accounts", "shares", "records"}
    for text in made.values():
        assert subprocess.run(["dash", "-n"], input=text, text=True, check=False).returncode == 0


READERS = read_databases.READERS | read_zones.READERS


@pytest.mark.parametrize("section", [*sorted(READERS), "quotas", "accounts"])
@given(text=st.text(max_size=300))
def test_nonsense_is_never_clean(section: str, text: str) -> None:
    kinds = READERS[section][0] if section in READERS else (section.removesuffix("s"),)
    wanted = tuple(Expectation(kind, "topology thing", {"no such": "value"}) for kind in kinds)
    assert judge(Expected("x", "x", "debian", wanted, ()), observe(answer(**{section: text}), WORD))
