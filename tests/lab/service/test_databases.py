"""The database cluster in the lab: who gets in, what a loss costs, and what comes back from the backups."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.lab import figures
from tests.lab.play import Run
from tests.lab.play import run as play
from tests.lab.where import INVENTORY, ROOT, network
from topology import lab
from topology.allocate import Host, Plan
from topology.inventory import plan_of
from topology.lab.names import LabNames
from topology.render import postgresql as pg

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900), pytest.mark.journal("patroni", "etcd")]

AGENT = Path(__file__).with_name("write_agent.py")
UNIT = "topology-test-writes"
PATRONI = "patronictl -c /etc/patroni/config.yml"
RESUMED, TTL_BAR = 30.0, 20
PLAN: Plan = plan_of(INVENTORY)
FOUND = pg.cluster(PLAN)
assert FOUND is not None, f"{INVENTORY} has no member of the database cluster"
MEMBERS, REPOSITORIES = FOUND.members, FOUND.repositories
APPLICATIONS = [h for h in PLAN.hosts.values() if h.kind == "pc" and network(h) == "application"]
PRIMARY, STANDBY, THIRD = MEMBERS
NEAR, FAR = (next(h for h in APPLICATIONS if h.site == m.site) for m in (PRIMARY, STANDBY))
MINE, OTHER = pg.databases(PLAN)[:2]
DISTRICT = PLAN.district
assert DISTRICT.lab is not None
LAB = DISTRICT.lab.name
SERVICE = f"{DISTRICT.services[pg.SERVICE].name}.{DISTRICT.facts.domain}"


def sh(host: Host, command: str, *, check: bool = True, stdin: str | None = None) -> str:
    """Run a command as root in a host, and return what it printed."""
    done = lab.exec_in(LAB, host.name, ["sh", "-c", command], stdin=stdin)
    assert not check or done.returncode == 0, f"{host.name}: {command}: {done.stdout}{done.stderr}"
    return (done.stdout + ("" if check else done.stderr)).strip()


def sql(host: Host, query: str, database: str = "postgres") -> str:
    """Ask a member as postgres over its local socket."""
    return sh(host, f"cd / && runuser -u postgres -- psql -XqAt -d {database} -c {shlex.quote(query)}")


def until(what: str, true: Callable[[], bool], seconds: float) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while True:
        with suppress(AssertionError, lab.LabError, ValueError, KeyError):
            if true():
                return
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.5)


def cluster(asked: Host) -> dict[str, dict[str, object]]:
    """Return what Patroni says of each member."""
    return {m["Member"]: m for m in json.loads(sh(asked, f"{PATRONI} list -f json"))}


def leader(asked: Host) -> str:
    """Return the primary's name."""
    return next(n for n, m in cluster(asked).items() if m["Role"] == "Leader")


def healthy(asked: Host = PRIMARY) -> bool:
    """Say whether all members run on one timeline, the first is the primary and the second its synchronous standby."""
    found = cluster(asked)
    roles = {n: m["Role"] for n, m in found.items()}
    states = {m["State"] for m in found.values()}
    lags = {m["Lag in MB"] for n, m in found.items() if n != PRIMARY.name}
    return (
        roles == {PRIMARY.name: "Leader", STANDBY.name: "Sync Standby", THIRD.name: "Replica"}
        and states <= {"running", "streaming"} and len({m["TL"] for m in found.values()}) == 1 and lags == {0}
    )  # fmt: skip


def bring_home() -> None:
    """Make the first member the primary again, as docs/databases.md says."""
    until("all members are back", lambda: len([m for m in cluster(STANDBY).values() if m["State"] in
          ("running", "streaming")]) == len(MEMBERS), 180)  # fmt: skip
    if leader(STANDBY) != PRIMARY.name:
        until(f"{PRIMARY.name} is the synchronous standby",
              lambda: cluster(STANDBY)[PRIMARY.name]["Role"] == "Sync Standby", 120)  # fmt: skip
        now = leader(STANDBY)
        word = "--leader" if "--leader" in sh(STANDBY, f"{PATRONI} switchover --help") else "--master"
        sh(STANDBY, f"{PATRONI} switchover {word} {now} --candidate {PRIMARY.name} --force")
    until("the cluster is healthy", healthy, 120)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return PLAN


@pytest.fixture(scope="module", autouse=True)
def applications() -> Iterator[None]:
    """Give the application hosts a client and the authority's certificate, and a table to the application."""
    root = sh(PRIMARY, f"cat {pg.TLS}/ca.crt")
    for host in (NEAR, FAR):
        sh(host, "command -v psql >/dev/null && python3 -c 'import psycopg2' 2>/dev/null || "
           "{ apt-get -qq update && apt-get -qq install -y postgresql-client python3-psycopg2; } >/dev/null"
        )  # fmt: skip
        sh(host, "cat >/run/topology-test-ca.crt", stdin=root + "\n")
        sh(host, "cat >/run/topology-test-write.py", stdin=AGENT.read_text())
    bring_home()
    yield
    for host in (NEAR, FAR):
        sh(host, f"systemctl stop {UNIT}; rm -f /run/topology-test-*", check=False)


def password(database: str) -> str:
    """Return an application's password, which only members have."""
    kept = json.loads(sh(PRIMARY, "cat /etc/topology/postgresql/secrets.json"))
    return str(kept[f"app:{database}"])


def connection(database: str = MINE, role: str | None = None, *, hosts: tuple[Host, ...] = MEMBERS, **more: str) -> str:
    """Return the connection string of the documentation; addresses are given as the lab's clients have no resolver."""
    values = {
        "host": ",".join([SERVICE] * len(hosts)), "hostaddr": ",".join(pg.address(h) for h in hosts),
        "dbname": database, "user": role or database, "password": password(role or database),
        "target_session_attrs": "read-write", "sslmode": "verify-full", "sslrootcert": "/run/topology-test-ca.crt",
        "connect_timeout": "2", "keepalives_idle": "2", "keepalives_interval": "1", "keepalives_count": "2",
        "tcp_user_timeout": "4000",
    } | more  # fmt: skip
    return " ".join(f"{k}='{v}'" for k, v in values.items())


def ask(host: Host, link: str, query: str = "select current_user") -> str:
    """Ask from an application's host; return the answer or the error."""
    return sh(host, f"psql -XqAt -d {shlex.quote(link)} -c {shlex.quote(query)} 2>&1", check=False)


@dataclass(frozen=True)
class Row:
    """One line of a writer: acknowledged or not, when, and by whom."""

    acknowledged: bool
    number: int
    at: float
    rest: str


@dataclass(frozen=True)
class Writer:
    """A steady load from an application's host."""

    host: Host

    @property
    def log(self) -> str:
        return "/run/topology-test-writes.log"

    def rows(self) -> list[Row]:
        """Return what it noted up to now."""
        lines = [x.split(" ", 3) for x in sh(self.host, f"cat {self.log}").splitlines()]
        return [Row(x[0] == "ok", int(x[1]), float(x[2]), x[3]) for x in lines if len(x) == 4]

    def acknowledged(self) -> list[Row]:
        """Return the rows that the database said it has."""
        return [r for r in self.rows() if r.acknowledged]


@contextmanager
def writing(*hosts: Host) -> Iterator[list[Writer]]:
    """Write steadily from hosts."""
    link = connection(hosts=MEMBERS)
    owner = connection()
    ask(NEAR, owner, "create table if not exists steady(writer text, number bigint, primary key (writer, number))")
    ask(NEAR, owner, "truncate steady")
    for host in hosts:
        sh(host, f"systemctl stop {UNIT}; systemctl reset-failed {UNIT}; rm -f {Writer(host).log}; true", check=False)
        sh(host, f"systemd-run --quiet --unit={UNIT} python3 /run/topology-test-write.py {shlex.quote(link)} "
           f"{host.name} 0.05 {Writer(host).log}")  # fmt: skip
    try:
        until("all writers write", lambda: all(len(Writer(h).acknowledged()) > 20 for h in hosts), 30)
        yield [Writer(h) for h in hosts]
    finally:
        for host in hosts:
            with suppress(lab.LabError):
                sh(host, f"systemctl stop {UNIT}", check=False)


def missing(asked: Host, writers: list[Writer]) -> list[Row]:
    """Return the acknowledged rows that the database does not have."""
    # in this order: writers go on
    said = [(w.host.name, row) for w in writers for row in w.acknowledged()]
    kept = {tuple(x.split("|")) for x in sql(asked, "select writer, number from steady", MINE).splitlines()}
    return [row for name, row in said if (name, str(row.number)) not in kept]


# -- who gets in -------------------------------------------------------------------------------


def test_the_cluster_is_healthy_and_ttl_is_within_the_bar() -> None:
    assert healthy()
    shared = json.loads(sh(PRIMARY, f"curl -s --cacert {pg.TLS}/ca.crt "
                                    f"https://{pg.address(PRIMARY)}:{pg.REST}/config"))  # fmt: skip
    assert shared["ttl"] <= TTL_BAR and shared["ttl"] >= shared["loop_wait"] + 2 * shared["retry_timeout"]
    assert shared["synchronous_mode"] is True
    assert sql(PRIMARY, "show password_encryption") == "scram-sha-256"
    states = sql(PRIMARY, "select application_name, sync_state from pg_stat_replication order by 1").splitlines()
    assert states == [f"{STANDBY.name}|sync", f"{THIRD.name}|async"]


def test_replication_uses_tls() -> None:
    count = sql(PRIMARY, "select count(*) from pg_stat_replication join pg_stat_ssl using (pid) where ssl")
    assert count == str(len(MEMBERS) - 1)


@pytest.mark.parametrize("host", [NEAR, FAR], ids=lambda h: h.name)
def test_an_application_finds_the_primary_by_the_stable_name(host: Host) -> None:
    answer = ask(host, connection(), "select current_user, host(inet_server_addr()), pg_is_in_recovery()")
    assert answer == f"{MINE}|{pg.address(PRIMARY)}|f"


def test_a_client_that_cannot_find_it_goes_through_haproxy() -> None:
    for member in MEMBERS:
        # not a matter of time: the first packets of a quiet tunnel may be sent twice, here and from the proxy on
        patient = {"connect_timeout": "20", "tcp_user_timeout": "0"}
        link = connection(hosts=(member,), port=str(pg.PROXY), target_session_attrs="any", **patient)
        assert ask(NEAR, link, "select pg_is_in_recovery()") == "f", member.name


def test_nobody_gets_in_without_tls_or_with_a_wrong_password() -> None:
    refused = ask(NEAR, connection(sslmode="disable", sslrootcert=""))
    assert "no encryption" in refused, refused
    refused = ask(NEAR, connection(password="wrong"))
    assert "password authentication failed" in refused, refused


def test_an_application_reaches_its_own_database_and_no_other() -> None:
    for database in (OTHER, "postgres", "template1"):
        refused = ask(NEAR, connection(database, MINE))
        assert "no pg_hba.conf entry" in refused or "permission denied" in refused, (database, refused)
    for statement in ("create role intruder", "create database intruder", "copy (select 1) to program 'true'"):
        assert "permission denied" in ask(NEAR, connection(), statement) or "must be" in ask(
            NEAR, connection(), statement
        ), statement


def test_passwords_are_kept_for_root_alone_and_hashed_in_the_server() -> None:
    for member in MEMBERS:
        for name in ("secrets.json", "member.env"):
            assert sh(member, f"stat -c '%a %U' /etc/topology/postgresql/{name}") == "600 root"
    kept = sql(PRIMARY, "select distinct left(rolpassword, 14) from pg_authid where rolpassword is not null")
    assert kept == "SCRAM-SHA-256$"


def test_etcd_and_orders_to_patroni_want_a_members_certificate() -> None:
    url = f"https://{pg.address(STANDBY)}"
    bare = sh(PRIMARY, f"curl -s -m 5 --cacert {pg.TLS}/ca.crt {url}:{pg.ETCD}/v2/keys; echo rc $?", check=False)
    assert "rc 0" not in bare, bare
    mine = f"--cacert {pg.TLS}/ca.crt --cert {pg.TLS}/host.crt --key {pg.TLS}/host.key"
    assert '"dir":true' in sh(PRIMARY, f"curl -s -m 5 {mine} {url}:{pg.ETCD}/v2/keys")
    other = next((r for r in REPOSITORIES if r.site == PRIMARY.site), None)
    assert other is not None, "no repository beside the primary: a certificate of another host cannot be tried"
    pair = sh(other, f"cat {pg.TLS}/host.crt {pg.TLS}/host.key")
    stranger = asked_etcd(url, pair)
    assert "rc 0" not in stranger, stranger
    order = sh(PRIMARY, f"curl -s --cacert {pg.TLS}/ca.crt -X POST {url}:{pg.REST}/restart")
    assert "certificate" in order, order


# -- losses ------------------------------------------------------------------------------------


@pytest.mark.long
def test_losing_the_data_centre_stops_writes_for_half_a_minute_and_loses_nothing() -> None:
    """Gateways, member, repository: everything of the first site is switched off under a steady load."""
    gone = [h for h in PLAN.sites[PRIMARY.site].hosts if h.kind in ("gateway", "guest", "nas", "server")]
    bring_home()
    with writing(NEAR, FAR) as writers:
        far = writers[1]
        time.sleep(5)
        began = time.time()
        try:
            for host in sorted(gone, key=lambda h: h.kind != "gateway"):
                lab.kill_host(LAB, host.name)
            lost = time.time()

            def again() -> bool:
                return any(r.at > lost and r.rest != pg.address(PRIMARY) for r in far.acknowledged())

            until("writes resume", again, 90)
            time.sleep(5)
            rows = [r.at for r in far.acknowledged()]
            before = max(at for at in rows if at <= lost)
            after = min(at for at in rows if at > lost)
            now = leader(STANDBY)
            assert now == STANDBY.name
            lost_rows = missing(STANDBY, writers)
            acknowledged = sum(len(w.acknowledged()) for w in writers)
        finally:
            for host in gone:
                with suppress(lab.LabError):
                    lab.start_host(LAB, host.name)
        figures.record("databases: data centre lost", seconds_without_writes=round(after - before, 1),
                       acknowledged=acknowledged, lost=len(lost_rows), killed_within=round(lost - began, 1),
                       primary=now)  # fmt: skip
        assert not lost_rows
        assert after - before <= RESUMED

        # failback, with the load still on
        back = time.time()
        bring_home()
        until("writes go to the first member again",
              lambda: any(r.at > back and r.rest == pg.address(PRIMARY) for r in far.acknowledged()), 60)  # fmt: skip
        time.sleep(3)
        rows = [r.at for r in far.acknowledged() if r.at > back - 5]
        pause = max(b - a for a, b in pairwise(rows))
        lost_rows, acknowledged = missing(PRIMARY, writers), sum(len(w.acknowledged()) for w in writers)
        figures.record("databases: failback", longest_pause_s=round(pause, 1), seconds_until_home=round(
            time.time() - back, 1), acknowledged=acknowledged, lost=len(lost_rows))  # fmt: skip
        assert not lost_rows


@pytest.mark.long
def test_a_primary_that_is_cut_off_acknowledges_nothing_and_there_is_never_a_second() -> None:
    """The first site keeps its own clients and loses all lines: its member may not go on alone."""
    gateways = PLAN.gateways(PRIMARY.site)
    uplinks = [(g, i.name) for g in gateways for i in g.of_kind("uplink", "radio", "leased")]
    bring_home()
    with writing(NEAR, FAR) as writers:
        near, far = writers
        time.sleep(5)
        try:
            for gateway, name in uplinks:
                sh(gateway, f"ip link set {name} down")
            cut = time.time()

            def beyond() -> bool:
                return any(r.at > cut + 2 and r.rest == pg.address(STANDBY) for r in far.acknowledged())

            until("writes resume beyond the cut", beyond, 90)
            time.sleep(max(0.0, cut + 45 - time.time()))
            alone = [r for r in near.acknowledged() if r.at > cut]
            there = [r for r in far.acknowledged() if r.at > cut and r.rest == pg.address(STANDBY)]
            recovery = (
                sql(PRIMARY, "select pg_is_in_recovery()")
                if sh(PRIMARY, "runuser -u postgres -- pg_isready -q; echo $?") == "0"
                else "stopped"
            )
            assert recovery in ("t", "stopped"), "the member that was cut off still is a primary"
        finally:
            for gateway, name in uplinks:
                sh(gateway, f"ip link set {name} up", check=False)
        bring_home()
        lost_rows = missing(PRIMARY, writers)
        last = max((r.at - cut for r in alone), default=0.0)
        figures.record("databases: primary cut off", acknowledged_alone=len(alone), last_alone_s=round(last, 1),
                       acknowledged_there=len(there), first_there_s=round(min(r.at for r in there) - cut, 1),
                       lost=len(lost_rows), ttl=pg.TTL)  # fmt: skip
        assert there
        assert last <= TTL_BAR, f"the member that was cut off acknowledged a write {last:.1f} s later"
        assert not lost_rows, f"rows acknowledged by either side are missing: {lost_rows}"


@pytest.mark.long
def test_losing_the_synchronous_standby_holds_writes_up_and_loses_nothing() -> None:
    bring_home()
    with writing(NEAR) as writers:
        time.sleep(3)
        lab.kill_host(LAB, STANDBY.name)
        lost = time.time()
        try:
            until("writes go on", lambda: any(r.at > lost + 3 for r in writers[0].acknowledged()), 60)
            rows = [r.at for r in writers[0].acknowledged()]
            pause = max(b - a for a, b in pairwise(rows))
        finally:
            lab.start_host(LAB, STANDBY.name)
        until("the standby is synchronous again", healthy, 120)
        figures.record("databases: synchronous standby lost", longest_pause_s=round(pause, 1))
        assert pause <= RESUMED
        assert not missing(PRIMARY, writers)


# -- backups -----------------------------------------------------------------------------------


def backups(repository: Host) -> list[dict[str, object]]:
    """Return a repository's backups."""
    told = json.loads(sh(repository, f"runuser -u postgres -- pgbackrest --stanza={pg.CLUSTER} info --output=json"))
    assert told[0]["status"]["code"] in (0, 2), told[0]["status"]
    return list(told[0]["backup"])


@pytest.mark.parametrize("repository", REPOSITORIES, ids=lambda h: h.name)
def test_full_and_incremental_backups_and_wal_reach_both_repositories(repository: Host) -> None:
    sh(repository, "runuser -u postgres -- postgresql-backup full")
    ask(NEAR, connection(), "create table if not exists kept(line text); insert into kept select md5(i::text) "
        "from generate_series(1, 2000) i")  # fmt: skip
    sh(repository, "runuser -u postgres -- postgresql-backup incr")
    kinds = [b["type"] for b in backups(repository)]
    assert "full" in kinds and kinds[-1] == "incr", kinds
    # where nothing was written since the last switch there is none, and PostgreSQL 17 names the next segment
    sql(PRIMARY, "select pg_logical_emit_message(false, 'topology-test', 'x')")
    segment = sql(PRIMARY, "select pg_walfile_name(pg_switch_wal())")
    folder = f"/var/lib/pgbackrest/archive/{pg.CLUSTER}"
    until("WAL is archived", lambda: segment in sh(repository, f"find {folder} -name '{segment}*'"), 60)
    for verb in ("full", "incr", "verify"):
        assert sh(repository, f"systemctl is-enabled postgresql-backup-{verb}.timer") == "enabled"


@pytest.mark.parametrize("repository", REPOSITORIES, ids=lambda h: h.name)
def test_a_backup_restored_to_an_empty_folder_equals_the_source(repository: Host, tmp_path: Path) -> None:
    sh(repository, "runuser -u postgres -- postgresql-backup incr")
    done = play(ROOT / "playbooks" / "restore_database.yml", tmp_path / "report",
                "--extra-vars", f"restore_from={repository.name}")  # fmt: skip
    assert done.code == 0, done.output
    compared = re.search(r"(\d+) tables in (\d+) databases equal the source", done.output)
    assert compared and int(compared[1]) >= 1 and int(compared[2]) >= len(pg.databases(PLAN)), done.output


def test_a_damaged_backup_is_found_and_not_restored(tmp_path: Path) -> None:
    repository = REPOSITORIES[-1]
    sh(repository, "runuser -u postgres -- postgresql-backup full")
    label = backups(repository)[-1]["label"]
    sh(repository, "runuser -u postgres -- postgresql-backup verify")
    folder = f"/var/lib/pgbackrest/backup/{pg.CLUSTER}/{label}"
    file = sh(repository, f"find {folder} -type f -size +3k ! -name 'backup.manifest*' | sort | head -n 1")
    assert file
    sh(repository, f"cp -p {file} /run/topology-test-kept && "
       f"printf 'damage' | dd of={file} bs=1 seek=2000 conv=notrunc status=none")  # fmt: skip
    try:
        said = sh(repository, "runuser -u postgres -- postgresql-backup verify; echo rc $?", check=False)
        assert "damaged" in said and "rc 3" in said, said
        done = play(ROOT / "playbooks" / "restore_database.yml", tmp_path / "report",
                    "--extra-vars", f"restore_from={repository.name}")  # fmt: skip
        assert done.code != 0 and "damaged" in done.output, done.output
    finally:
        sh(repository, f"cp -p /run/topology-test-kept {file}; rm -f /run/topology-test-kept")
    sh(repository, "runuser -u postgres -- postgresql-backup verify")


@pytest.mark.long
def test_all_databases_go_back_to_a_moment_and_every_member_has_it(tmp_path: Path) -> None:
    """playbooks/restore_cluster.yml as its head says it: refused without the sentence, then to a moment."""
    repository, book = REPOSITORIES[0], ROOT / "playbooks" / "restore_cluster.yml"
    bring_home()
    ask(NEAR, connection(), "drop table if exists moments; create table moments(line text)")
    sh(repository, "runuser -u postgres -- postgresql-backup incr")
    ask(NEAR, connection(), "insert into moments values ('before')")
    time.sleep(2)
    moment = sql(PRIMARY, "select now()")
    time.sleep(2)
    ask(NEAR, connection(), "insert into moments values ('the mistake')")
    segment = sql(PRIMARY, "select pg_walfile_name(pg_switch_wal())")
    folder = f"/var/lib/pgbackrest/archive/{pg.CLUSTER}"
    until("WAL is archived", lambda: segment in sh(repository, f"find {folder} -name '{segment}*'"), 60)

    options = ["-e", f"restore_from={repository.name}", "-e", json.dumps({"restore_time": moment})]
    refused = play(book, tmp_path / "report", *options)
    assert refused.code != 0 and "nothing was done" in refused.output, refused.output
    began = time.monotonic()
    sentence = {"restore_confirm": f"replace all databases of {DISTRICT.facts.domain}"}
    done = play(book, tmp_path / "report", *options, "-e", json.dumps(sentence))
    assert done.code == 0, done.output
    took = time.monotonic() - began
    until("the cluster is healthy", healthy, 120)
    for member in MEMBERS:
        assert sql(member, "select string_agg(line, ',') from moments", MINE) == "before", member.name
    assert ask(NEAR, connection(), "insert into moments values ('after') returning line").startswith("after")
    figures.record("databases: all restored to a moment", seconds=round(took, 1))

    # what the documentation says to do next, and a backup of the new timeline that can be restored as well
    for one in REPOSITORIES:
        sh(one, "runuser -u postgres -- postgresql-backup full")
    done = play(ROOT / "playbooks" / "restore_database.yml", tmp_path / "report",
                "--extra-vars", f"restore_from={repository.name}")  # fmt: skip
    assert done.code == 0 and "equal the source" in done.output, done.output
    for member in MEMBERS:
        assert sh(member, "ls -d /var/lib/postgresql/district.before-*")
        sh(member, "rm -rf /var/lib/postgresql/district.before-*")


# -- certificates ------------------------------------------------------------------------------


def shown(asked: Host, port: int, *options: str) -> str:
    """Return the serial number of the certificate that a member shows at a port."""
    start = " ".join(["openssl s_client", f"-connect {pg.address(asked)}:{port}", f"-CAfile {pg.TLS}/ca.crt",
                      f"-cert {pg.TLS}/host.crt -key {pg.TLS}/host.key -verify_return_error", *options])  # fmt: skip
    return sh(STANDBY, f"{start} </dev/null 2>/dev/null | openssl x509 -noout -serial")


def asked_etcd(url: str, pair: str) -> str:
    """Return what etcd at a URL tells the primary with somebody's certificate and key, and curl's exit code."""
    sh(PRIMARY, "umask 077; cat >/run/topology-test-pair.pem", stdin=pair + "\n")
    try:
        return sh(PRIMARY, f"curl -s -m 5 --cacert {pg.TLS}/ca.crt --cert /run/topology-test-pair.pem "
                  f"{url}:{pg.ETCD}/v2/keys; echo rc $?", check=False)  # fmt: skip
    finally:
        sh(PRIMARY, "rm -f /run/topology-test-pair.pem")


def serials(member: Host) -> set[str]:
    """Return the serial numbers of all that a member shows, and of the file."""
    ports = {pg.ETCD: (), pg.ETCD_PEER: (), pg.REST: (), pg.BACKUP: (), pg.SQL: ("-starttls", "postgres")}
    kept = sh(member, f"openssl x509 -noout -serial -in {pg.TLS}/host.crt")
    return {kept, *(shown(member, port, *options) for port, options in ports.items())}


def apply(report: Path, *options: str) -> Run:
    """Run site.yml on the members and repositories."""
    hosts = ",".join(h.name for h in (*MEMBERS, *REPOSITORIES))
    return play(ROOT / "playbooks" / "site.yml", report, "--limit", f"localhost,{hosts}", *options)


@pytest.mark.long
def test_certificates_that_end_soon_are_renewed_and_nothing_stops(tmp_path: Path) -> None:
    bring_home()
    before = {m.name: serials(m) for m in MEMBERS}
    assert all(len(found) == 1 for found in before.values()), before
    started = [sql(m, "select pg_postmaster_start_time()") for m in MEMBERS]
    with writing(NEAR) as writers:
        done = apply(tmp_path / "report", "-e", "authority_renew_days=398", "-e", "authority_days=399")
        assert done.code == 0, done.output
        rows = [r.at for r in writers[0].acknowledged()]
    until("all show the new certificate",
          lambda: all(len(serials(m)) == 1 and serials(m) != before[m.name] for m in MEMBERS), 30)  # fmt: skip
    assert [sql(m, "select pg_postmaster_start_time()") for m in MEMBERS] == started
    pause = max(b - a for a, b in pairwise(rows))
    figures.record("databases: certificates renewed", longest_pause_s=round(pause, 1))
    assert pause < 2 and healthy()
    again = apply(tmp_path / "report")
    assert again.code == 0 and not again.changed, again.changed


@pytest.mark.long
def test_a_new_authority_takes_the_old_ones_place(tmp_path: Path) -> None:
    """docs/runbooks/authority.md, "The key is in other hands": the old authority's certificates end at once."""
    folder = LabNames(LAB).state / "authority"
    bring_home()
    old = sh(PRIMARY, f"cat {pg.TLS}/ca.crt {pg.TLS}/host.crt {pg.TLS}/host.key")
    folder.rename(folder.with_name("authority.old"))
    try:
        began = time.monotonic()
        done = apply(tmp_path / "report")
        assert done.code == 0, done.output
        figures.record("databases: a new authority", seconds=round(time.monotonic() - began, 1))
    finally:
        shutil.rmtree(folder.with_name("authority.old"))
    until("the cluster runs", lambda: {m["State"] for m in cluster(STANDBY).values()} <= {"running", "streaming"}, 120)
    bring_home()
    root = sh(PRIMARY, f"cat {pg.TLS}/ca.crt")
    assert root not in old and all(len(serials(m)) == 1 for m in MEMBERS)
    for host in (NEAR, FAR):
        sh(host, "cat >/run/topology-test-ca.crt", stdin=root + "\n")
        assert ask(host, connection()) == MINE
    # who holds a certificate of the old one gets nowhere
    said = asked_etcd(f"https://{pg.address(STANDBY)}", old)
    assert "rc 0" not in said, said
    for repository in REPOSITORIES:
        sh(repository, "runuser -u postgres -- postgresql-backup incr")
    again = apply(tmp_path / "report")
    assert again.code == 0 and not again.changed, again.changed


# -- the role ----------------------------------------------------------------------------------


def test_bad_variables_are_refused_with_a_readable_message(tmp_path: Path) -> None:
    for role, variables, word in (
        ("postgresql", {}, "postgresql_rendered"),
        ("postgresql", {"postgresql_rendered": "/nowhere/at/all"}, "topology render"),
        ("postgresql_backup", {}, "postgresql_backup_rendered"),
        ("postgresql_backup", {"postgresql_backup_rendered": "/nowhere/at/all"}, "topology render"),
        ("authority", {"authority_days": "many"}, "authority_days"),
        ("authority", {"authority_renew_days": 500}, "authority_renew_days must be less than authority_days"),
        ("authority", {"authority_passphrase_required": True}, "authority_passphrase must have 20 characters"),
    ):
        file = tmp_path / "play.yml"
        file.write_text(json.dumps([{
            "hosts": PRIMARY.name, "gather_facts": False, "become": True, "roles": [{"role": role, **variables}],
        }]))  # fmt: skip
        done = play(file, tmp_path / "report")
        assert done.code != 0 and word in done.output and "Traceback" not in done.output, (role, variables, done.output)
