"""Databases, backups, NAS and shares as they say of themselves.

Patroni's answers were recorded (GET /patroni), pgBackRest's have the form of its JSON output
(`info --output=json`); the NAS' answers are those of `nas status --json`.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topology.drift import ask_services, read_replication
from topology.drift.finding import DIFFERENT, MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.drift.judge import judge
from topology.drift.observe import observe
from topology.drift.observed import Observed
from topology.drift.together import judge_together
from topology.expect import Expectation, Expected, Whole
from topology.expect.groups import Together
from topology.expect.replication import backups, certificates, replication, shares

WORD = "topology-0123"
MEMBERS = ("dc-pg1", "drc1-pg1", "drc2-pg1")


def answer(**sections: str) -> str:
    return "".join(f"\n{WORD} begin {name}\n{text}\n{WORD} end {name} 0\n" for name, text in sections.items())


def states(findings: list[Finding]) -> list[tuple[str, str, str, str]]:
    return [(f.state, f.kind, f.thing, f.field) for f in findings]


# ---------------------------------------------------------------- the database cluster

PATRONI = """# Generated
scope: district
name: dc-pg1
restapi: {listen: "10.129.128.11:8008", connect_address: "10.129.128.11:8008", cafile: /etc/topology/tls/ca.crt,
  certfile: /etc/topology/tls/host.crt, keyfile: /etc/topology/tls/host.key}
etcd: {hosts: ["10.129.128.11:2379", "10.130.128.11:2379"]}
"""
# recorded from three members (Patroni 3.0.2 of Debian 12)
PRIMARY: dict[str, Any] = json.loads("""
{"state": "running", "postmaster_start_time": "2026-11-26 11:04:23.831438+00:00", "role": "master",
 "server_version": 150018, "xlog": {"location": 134217728}, "timeline": 1, "replication": [
 {"usename": "replicator", "application_name": "drc1-pg1", "client_addr": "10.130.128.11", "state": "streaming",
  "sync_state": "sync", "sync_priority": 1},
 {"usename": "replicator", "application_name": "drc2-pg1", "client_addr": "10.131.128.11", "state": "streaming",
  "sync_state": "async", "sync_priority": 0}],
 "dcs_last_seen": 1795691553, "database_system_identifier": "7712434362069581195",
 "patroni": {"version": "3.0.2", "scope": "district"}}
""")
SYNC: dict[str, Any] = json.loads("""
{"state": "running", "postmaster_start_time": "2026-11-26 11:04:32.553836+00:00", "role": "replica",
 "server_version": 150018, "xlog": {"received_location": 134217728, "replayed_location": 134217728,
 "replayed_timestamp": "2026-11-26 11:07:20.571513+00:00", "paused": false}, "sync_standby": true,
 "timeline": null, "dcs_last_seen": 1795691553, "database_system_identifier": "7712434362069581195",
 "patroni": {"version": "3.0.2", "scope": "district"}}
""")
REPLICA = {k: v for k, v in SYNC.items() if k != "sync_standby"} | {"tags": {"nosync": True}}


def member(name: str, said: dict[str, Any]) -> Observed:
    return observe(answer(cluster=f"{name}\n{json.dumps(said)}"), WORD)


def cluster(first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]) -> list[Finding]:
    files = {"etc/patroni/config.yml": PATRONI}
    expected = {n: Expected(n, n.split("-")[0], "debian", tuple(replication(files)), ()) for n in MEMBERS}
    seen = {n: member(n, said) for n, said in zip(MEMBERS, (first, second, third), strict=True)}
    wanted = [
        Together("replication", "database", "role", MEMBERS, once="primary"),
        Together("replication", "database", "timeline", MEMBERS),
        Together("replication", "database", "system", MEMBERS),
        Together("replication", "database", "synchronous", MEMBERS, once=True),
        *(Together("replication", f"database to {n}", "state", MEMBERS, once="streaming") for n in MEMBERS),
    ]
    found = [f for n in MEMBERS for f in judge(expected[n], seen[n])]
    return sorted((*found, *judge_together(wanted, expected, seen)))


def test_a_cluster_as_it_should_be() -> None:
    assert cluster(PRIMARY, SYNC, REPLICA) == []
    # whoever is primary
    other = PRIMARY | {"replication": [
        {"application_name": "dc-pg1", "state": "streaming", "sync_state": "sync"},
        {"application_name": "drc2-pg1", "state": "streaming", "sync_state": "async"},
    ]}  # fmt: skip
    assert cluster(SYNC, other, REPLICA) == []


@pytest.mark.parametrize(
    ("second", "third", "found"),
    [
        (REPLICA, REPLICA, {(MISSING, "database", "synchronous")}),
        (SYNC | {"timeline": 2}, REPLICA, {(DIFFERENT, "database", "timeline")}),
        (SYNC | {"database_system_identifier": "77"}, REPLICA, {(DIFFERENT, "database", "system")}),
        (SYNC, REPLICA | {"xlog": {"paused": True}}, {(DIFFERENT, "database", "replay")}),
        (SYNC, REPLICA | {"pause": True}, {(DIFFERENT, "database", "maintenance")}),
        (SYNC, REPLICA | {"state": "stopped"}, {(DIFFERENT, "database", "state")}),
        (SYNC, PRIMARY, {(DIFFERENT, "database", "role"), (DIFFERENT, "database to drc1-pg1", "state"),
                         (DIFFERENT, "database to drc2-pg1", "state")}),
    ],
)  # fmt: skip
def test_what_is_wrong_of_a_cluster(
    second: dict[str, Any], third: dict[str, Any], found: set[tuple[str, str, str]]
) -> None:
    assert {(f.state, f.thing, f.field) for f in cluster(PRIMARY, second, third)} == found


def test_a_standby_that_nobody_sends_to_is_missing() -> None:
    alone = PRIMARY | {"replication": PRIMARY["replication"][:1]}  # type: ignore[index]
    found = cluster(alone, SYNC, REPLICA)
    assert [(f.state, f.thing, f.field) for f in found] == [(MISSING, "database to drc2-pg1", "state")]


def test_a_silent_member_hides_no_missing_primary() -> None:
    expected = {n: Expected(n, "dc", "debian", tuple(replication({"etc/patroni/config.yml": PATRONI})), ())
                for n in MEMBERS}  # fmt: skip
    seen = {n: member(n, REPLICA) for n in MEMBERS} | {"dc-pg1": Observed(failed="unreachable")}
    found = judge_together([Together("replication", "database", "role", MEMBERS, once="primary")], expected, seen)
    assert [(f.state, f.found) for f in found] == [(UNOBSERVED, "role primary: dc-pg1 not read")]


def test_hosts_without_the_service_are_not_judged_together() -> None:
    nobody = {n: Expected(n, "dc", "debian", (), ()) for n in MEMBERS}
    seen = {n: Observed() for n in MEMBERS}
    assert judge_together([Together("replication", "database", "role", MEMBERS, once="primary")], nobody, seen) == []


# ---------------------------------------------------------------- backups


def info(*ends: int, code: int = 0, message: str = "ok", made: int = 0) -> str:
    rows = [{"label": f"b{end}", "type": "full", "error": False, "timestamp": {"start": end - 60, "stop": end}}
            for end in ends]  # fmt: skip
    stanza = {"name": "district", "backup": rows, "status": {"code": code, "message": message}, "cipher": "none"}
    return f"1000000\nmade {made} /var/lib/backup/district/backup.info\n\n{json.dumps([stanza])}"


REPOSITORY = {
    "etc/pgbackrest.conf": "# Generated\n[global]\nrepo1-path=/var/lib/pgbackrest\n\n[district]\npg1-host=a\n"
}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (info(990_000), []),
        (info(800_000, 990_000), []),
        (info(900_000), [(DIFFERENT, "backup", "district", "age")]),
        # the first one has a day
        (info(code=2, message="no valid backups"), [(DIFFERENT, "backup", "district", "age")]),
        (info(code=2, message="no valid backups", made=990_000), []),
        (info(990_000, code=99, message="other"), [(DIFFERENT, "backup", "district", "status")]),
        ("1000000\n\n[]", [(MISSING, "backup", "district", "")]),
        ("1000000\n\nERROR: [055]: unable to open", [(UNOBSERVED, "backup", "all", "")]),
    ],
)  # fmt: skip
def test_the_last_backup_is_not_too_old(said: str, found: list[tuple[str, str, str, str]]) -> None:
    expected = Expected("dc-backup1", "dc", "debian", tuple(backups(REPOSITORY)), ())
    assert states(judge(expected, observe(answer(backups=said), WORD))) == found


def test_backups_of_every_repository_are_judged_whatever_its_number() -> None:
    second = {p: text.replace("repo1-path", "repo2-path") for p, text in REPOSITORY.items()}
    assert list(backups(second)) == list(backups(REPOSITORY)) != []


# ---------------------------------------------------------------- NAS

NAS = {"etc/topology/nas.json": "// Generated\n" + json.dumps({
    "host": "dc-nas1", "nodes": {"dc-nas1": "10.129.144.20", "drc1-nas1": "10.130.144.20"},
    "users": [{"name": "ani", "uid": 20001, "quota": 2**30, "left": None},
              {"name": "budi", "uid": 20002, "quota": 2**30, "left": "2026-01-01"}],
    "agencies": [{"slug": "dinkes", "gid": 30001, "quota": 2**30}],
})}  # fmt: skip
NODES = ("dc-nas1", "drc1-nas1")


def nas(host: str, **more: object) -> Observed:
    said = {"host": host, "active": "dc-nas1", "epoch": 4, "forced": False, "serving": host == "dc-nas1",
            "set_aside_pending": False, "behind_seconds": {"drc1-nas1": 20} if host == "dc-nas1" else {},
            "free_bytes": 10**9} | more  # fmt: skip
    return observe(answer(nas=json.dumps(said)), WORD)


def both(first: Observed, second: Observed) -> list[tuple[str, str, str, str]]:
    expected = {n: Expected(n, n.split("-")[0], "debian", tuple(replication(NAS)), ()) for n in NODES}
    seen = dict(zip(NODES, (first, second), strict=True))
    wanted = [
        Together("replication", "files", "active", NODES), Together("replication", "files", "epoch", NODES),
        Together("replication", "files", "serving", NODES, once=True),
        *(Together("replication", f"files to {n}", "kept", NODES, once=True) for n in NODES),
    ]  # fmt: skip
    found = [f for n in NODES for f in judge(expected[n], seen[n])]
    return states(sorted((*found, *judge_together(wanted, expected, seen))))


def test_one_nas_serves_and_the_others_are_not_behind() -> None:
    assert both(nas("dc-nas1"), nas("drc1-nas1")) == []
    assert both(nas("dc-nas1", behind_seconds={"drc1-nas1": 4000}), nas("drc1-nas1")) == [
        (DIFFERENT, "replication", "files to drc1-nas1", "behind")
    ]
    # never sent at all
    assert both(nas("dc-nas1", behind_seconds={}), nas("drc1-nas1")) == [
        (MISSING, "replication", "files to drc1-nas1", "kept")
    ]
    assert both(nas("dc-nas1", serving=False), nas("drc1-nas1")) == [(MISSING, "replication", "files", "serving")]
    assert (DIFFERENT, "replication", "files", "serving") in both(nas("dc-nas1"), nas("drc1-nas1", serving=True))
    assert (DIFFERENT, "replication", "files", "epoch") in both(nas("dc-nas1"), nas("drc1-nas1", epoch=5))


SMB = """# Generated
[global]
    workgroup = LUWUKAB
    map to guest = never
    server smb encrypt = required

[home]
    path = /srv/nas/live/files/users/%u
    read only = no

[dinkes]
    path = /srv/nas/live/files/agencies/dinkes
    read only = no
    valid users = @dinkes
"""
RIGHTS = (
    "755 0 0 /srv/nas/live/files/users/ani\n770 0 20001 /srv/nas/live/files/users/ani/private\n"
    "775 0 20001 /srv/nas/live/files/users/ani/public\n2770 0 30001 /srv/nas/live/files/agencies/dinkes"
)


def looked(smb: str = SMB, rights: str = RIGHTS) -> list[tuple[str, str, str, str]]:
    files = {**NAS, "etc/samba/smb.conf": SMB}
    wanted = tuple(e for e in shares(files) if e.kind in ("share", "right"))
    expected = Expected("dc-nas1", "dc", "debian", wanted, (Whole("share"),))
    return states(judge(expected, observe(answer(shares=f"{smb}\nfolders\n{rights}"), WORD)))


def test_shares_and_rights() -> None:
    assert looked() == []
    # a NAS that does not serve has no live folders
    assert looked(rights="") == []
    opened = SMB.replace("valid users = @dinkes", "guest ok = yes")
    assert looked(opened) == [
        (DIFFERENT, "share", "dinkes", "guest ok"), (DIFFERENT, "share", "dinkes", "valid users"),
    ]  # fmt: skip
    assert looked(SMB.replace("map to guest = never", "map to guest = Bad User")) == [
        (DIFFERENT, "share", "global", "map to guest")
    ]
    assert looked(SMB + "[scans]\n path = /srv/scans\n") == [(UNEXPECTED, "share", "scans", "")]
    assert looked(SMB.split("[dinkes]", maxsplit=1)[0]) == [(MISSING, "share", "dinkes", "")]
    assert looked(rights=RIGHTS.replace("2770 0 30001", "2777 0 30001")) == [
        (DIFFERENT, "right", "/srv/nas/live/files/agencies/dinkes", "mode")
    ]


def test_who_left_has_no_folders_to_look_at() -> None:
    assert not [e for e in shares(NAS) if "budi" in e.thing]


# ---------------------------------------------------------------- certificates, scripts, nonsense


def test_certificates_are_those_that_files_name() -> None:
    found = list(certificates({"etc/patroni/config.yml": PATRONI}, "dc-pg1", "luwukab.go.id"))
    tls = "/etc/topology/tls"
    assert [(e.thing, e.of) for e in found] == [
        (f"{tls}/host.crt", (f"{tls}/host.key", f"{tls}/ca.crt")), (f"{tls}/ca.crt", ())
    ]  # fmt: skip
    assert found[0].want["issuer"] == "CN=luwukab.go.id authority"
    assert list(certificates({"etc/hosts": "127.0.0.1 localhost"}, "x", "y")) == []


def test_the_sections_are_shell_scripts() -> None:
    files = {**NAS, **REPOSITORY, "etc/samba/smb.conf": SMB, "etc/patroni/config.yml": PATRONI}
    wanted = (*replication(files), *backups(files), *shares(files))
    made = dict(ask_services.sections(Expected("x", "x", "debian", tuple(wanted), ())))
    assert set(made) == {"cluster", "nas", "backups", "shares", "quotas", "accounts"}
    for text in made.values():
        assert subprocess.run(["dash", "-n"], input=text, text=True, check=False).returncode == 0


@pytest.mark.parametrize("section", sorted(read_replication.READERS))
@given(text=st.text(max_size=300))
def test_nonsense_is_never_clean(section: str, text: str) -> None:
    kinds, _ = read_replication.READERS[section]
    wanted = tuple(Expectation(kind, "topology thing", {"no such": "value"}) for kind in kinds)
    assert judge(Expected("x", "x", "debian", wanted, ()), observe(answer(**{section: text}), WORD))
