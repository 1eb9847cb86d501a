"""Changes of the services that drift must find: databases, backups, files, names; see tests/lab/seeds.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from shlex import quote

from tests.lab import seeds as base
from tests.lab.seeds import STRANGER, Wanted
from topology import names
from topology.allocate import Plan
from topology.drift.finding import DIFFERENT, MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.expect import expect
from topology.names import INTERNAL, PUBLIC
from topology.render import nas, postgresql
from topology.render.common import context_of
from topology.render.knot import CONFIGURATION, TSIG, key_name

At = tuple[str, str, str, str]
"""Host, state, kind, thing; a thing may end with a star."""


@dataclass(frozen=True, slots=True)
class Seed(base.Seed):
    """A change on a host; of several hosts together something else may be wrong then."""

    found_at: frozenset[At] = field(default_factory=frozenset)
    """What must be found of other hosts."""
    may_at: frozenset[At] = field(default_factory=frozenset)
    """What may be found of other hosts."""
    then: tuple[tuple[str, str], ...] = ()
    """Commands on other hosts after the change."""
    alone: bool = False
    """Nothing else may be changed at the same time."""
    by_hand: bool = False
    """Remediation leaves it to a person."""

    def elsewhere_missed(self, findings: Iterable[Finding]) -> list[At]:
        """Return what should have been found of other hosts."""
        found = list(findings)
        return [w for w in sorted(self.found_at) if not any(f.host == w[0] and base._is(f, w[1:]) for f in found)]

    def explains(self, finding: Finding) -> bool:
        """Say whether a finding follows from the change."""
        if finding.host == self.host and not self.more([finding]):
            return True
        return any(finding.host == w[0] and base._is(finding, w[1:]) for w in self.found_at | self.may_at)


def seed(
    name: str, host: str, change: str, undo: str, *found: Wanted, also: Iterable[Wanted] = (),
    found_at: Iterable[At] = (), may_at: Iterable[At] = (), then: tuple[tuple[str, str], ...] = (),
    alone: bool = False, by_hand: bool = False,
) -> Seed:  # fmt: skip
    """Return a seed."""
    return Seed(name, host, change, undo, frozenset(found), frozenset(also), frozenset(found_at), frozenset(may_at),
                then, alone or bool(found_at) or bool(then), by_hand)  # fmt: skip


def seeds(plan: Plan) -> list[Seed]:
    """Return the seeds of a lab; their names are unique."""
    found = [one for table in TABLES for one in table(plan)]
    assert len({s.name for s in found}) == len(found)
    return found


def rounds(found: Iterable[Seed]) -> list[list[Seed]]:
    """Return seeds in rounds: those that nothing joins by themselves, of others all that do not hide each other."""
    alone, others = [], list[list[Seed]]()
    for one in found:
        if one.alone:
            alone.append([one])
            continue
        free = next((r for r in others if not any(clash(one, s) for s in r)), None)
        if free is None:
            others.append([one])
        else:
            free.append(one)
    return [*others, *alone]


def clash(one: Seed, other: Seed) -> bool:
    """Say whether what one of two changes of a host does may hide what the other does."""
    return one.host == other.host and any(
        _meets(a, b)
        for first, second in ((one, other), (other, one))
        for a in first.found
        for b in second.found | second.consequences
    )


def _meets(one: Wanted, other: Wanted) -> bool:
    """Say whether a thing is another, or of its pattern; a kind that is not read meets everything."""
    (first, kind, thing), (second, other_kind, pattern) = one, other
    if kind != other_kind:
        return False
    return (
        UNOBSERVED in (first, second) or thing == pattern or fnmatchcase(thing, pattern) or fnmatchcase(pattern, thing)
    )


def kept(path: str, change: str) -> tuple[str, str]:
    """Return how a file is changed (%s: its path), and brought back with its time."""
    copy = "/root/seed-" + path.replace("/", "_")
    return f"cp -p {path} {copy} && {{ {change.replace('%s', path)}; }}", f"mv {copy} {path}"


def sql(text: str) -> str:
    """Return a command that runs SQL as the superuser."""
    return f"cd / && runuser -u postgres -- psql -Xqc {quote(text)} postgres >/dev/null"


PATRONICTL = "patronictl -c /etc/patroni/config.yml"
OWN_CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /root/seed-key -subj /CN={host} "
    "-days 400 -out %s 2>/dev/null; rm /root/seed-key"
)
FALSE_AUTHORITY = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /root/seed-ca-key "
    "-subj '/CN={domain} authority' -days 400 -out /root/seed-ca 2>/dev/null; "
    "openssl req -new -key /etc/topology/tls/host.key -subj /CN={host} -out /root/seed-csr; "
    "openssl x509 -req -in /root/seed-csr -CA /root/seed-ca -CAkey /root/seed-ca-key -CAcreateserial -days 5 "
    "-out %s 2>/dev/null; rm /root/seed-ca* /root/seed-csr"
)
"""A certificate for the right key and names, of five days, by somebody who has the authority's name."""


def databases(plan: Plan) -> list[Seed]:
    """Return changes of the database cluster."""
    found = postgresql.cluster(plan)
    if found is None:
        return []
    members = [m.name for m in found.members]
    first, second, last = members[0], members[1], members[-1]
    domain = plan.district.facts.domain
    role = postgresql.databases(plan)[0]
    certificate = "/etc/topology/tls/host.crt"
    haproxy = kept("/etc/haproxy/haproxy.cfg", "sed -i 's/verify required/verify none/' %s; echo '# quick' >>%s")
    hba = f"{postgresql.DATA}/pg_hba.conf"
    login = "host all all 0.0.0.0/0 trust"
    gone = {(MISSING, "listen", f"{p}/tcp") for p in (postgresql.SQL, postgresql.REST)}
    unread = {(UNOBSERVED, kind, "*") for kind in ("login", "role", "setting")}
    # etcd shows and wants the certificate that is there, from the next connection on
    no_etcd = {(UNOBSERVED, "etcd", "all"), (MISSING, "etcd", "member"), (DIFFERENT, "etcd", "member")}
    # the twin asks for settings through etcd, as an operator would, and so does not see who is synchronous
    no_etcd |= {(UNOBSERVED, "setting", "*"), (UNOBSERVED, "replication", "database")}
    unseen = [(first, UNOBSERVED, "replication", t) for t in ("database", *(f"database to {m}" for m in members))]
    database = (DIFFERENT, "replication", "database")
    shared = f"{PATRONICTL} edit-config --force -s synchronous_mode"
    return [
        # without maintenance Patroni ends a pause of PostgreSQL 14 and later at its next look, 3 s later
        seed("replay paused", last,
             f"{PATRONICTL} pause --wait >/dev/null && {sql('select pg_wal_replay_pause()')}",
             f"{sql('select pg_wal_replay_resume()')}; {PATRONICTL} resume --wait >/dev/null",
             database, found_at=[(m, *database) for m in members[:-1]]),
        seed("nobody takes over", last, f"{PATRONICTL} pause --wait >/dev/null",
             f"{PATRONICTL} resume --wait >/dev/null", database, found_at=[(m, *database) for m in members[:-1]]),
        seed("no synchronous standby wanted", second, f"{shared}=false >/dev/null", f"{shared}=true >/dev/null",
             (DIFFERENT, "setting", "synchronous_mode"),
             found_at=[(m, DIFFERENT, "setting", "synchronous_mode") for m in members if m != second],
             may_at=[(first, MISSING, "replication", "database")]),
        seed("the synchronous standby stopped", second, "systemctl stop patroni", "systemctl start patroni",
             (DIFFERENT, "service", "patroni"), (MISSING, "replication", "database"), also=gone | unread | {
                 (MISSING, "setting", "*")},
             found_at=[(first, MISSING, "replication", t) for t in ("database", f"database to {second}")]),
        seed("a login for everybody", last, f"cp -p {hba} /root/seed-hba && echo '{login}' >>{hba}",
             f"cat /root/seed-hba >{hba} && rm /root/seed-hba", (UNEXPECTED, "login", login)),
        seed("a login without a password", second,
             f"cp -p {hba} /root/seed-hba && sed -i 's/^\\(local replication replicator\\) .*/\\1 trust/' {hba}",
             f"cat /root/seed-hba >{hba} && rm /root/seed-hba",
             (UNEXPECTED, "login", "local replication replicator trust"),
             (MISSING, "login", "local replication replicator scram-sha-256")),
        seed("an application that may do anything", first, sql(f"alter role {role} superuser createrole"),
             sql(f"alter role {role} nosuperuser nocreaterole"), (DIFFERENT, "role", role),
             found_at=[(m, DIFFERENT, "role", role) for m in members[1:]]),
        seed("a role added", first, sql("create role stranger login superuser"), sql("drop role stranger"),
             (UNEXPECTED, "role", "stranger"), found_at=[(m, UNEXPECTED, "role", "stranger") for m in members[1:]]),
        seed("a setting by ALTER SYSTEM", first, sql("alter system set log_connections = off"),
             sql("alter system reset log_connections"), (UNEXPECTED, "setting", "log_connections by hand")),
        seed("a member of etcd stopped", last, "systemctl stop etcd", "systemctl start etcd",
             (DIFFERENT, "service", "etcd"), (MISSING, "etcd", "member"), also={
                 (MISSING, "listen", f"{p}/tcp") for p in (postgresql.ETCD, postgresql.ETCD_PEER)}),
        seed("the proxy's configuration", last, *haproxy, (DIFFERENT, "file", "/etc/haproxy/haproxy.cfg")),
        seed("a proxy that has not read its file", first, "touch /etc/haproxy/haproxy.cfg", "systemctl reload haproxy",
             (DIFFERENT, "daemon", "haproxy")),
        seed("no proxy", second, "systemctl stop haproxy", "systemctl start haproxy", (DIFFERENT, "service", "haproxy"),
             (MISSING, "listen", f"{postgresql.PROXY}/tcp")),
        seed("a port opened on a database", first, "systemd-run --quiet --unit stranger python3 -m http.server 8099",
             "systemctl stop stranger", (UNEXPECTED, "listen", "8099/tcp")),
        seed("a certificate of its own", last, *kept(certificate, OWN_CERTIFICATE.replace("{host}", last)),
             (DIFFERENT, "certificate", certificate), also=no_etcd, may_at=unseen),
        seed("a certificate of a false authority that ends soon", second,
             *kept(certificate, FALSE_AUTHORITY.replace("{host}", second).replace("{domain}", domain)),
             (DIFFERENT, "certificate", certificate), also=no_etcd, may_at=unseen),
        seed("another authority", last,
             *kept("/etc/topology/tls/ca.crt", OWN_CERTIFICATE.replace("{host}", f"'{domain} authority'")),
             (DIFFERENT, "certificate", "/etc/topology/tls/ca.crt"), (DIFFERENT, "certificate", certificate),
             also={*no_etcd, (UNOBSERVED, "replication", "*")}, may_at=unseen),
        seed("the host's key readable", first, "chmod 0644 /etc/topology/tls/host.key",
             "chmod 0640 /etc/topology/tls/host.key", (DIFFERENT, "file", "/etc/topology/tls/host.key")),
        seed("the passwords readable", second, "chmod 0644 /etc/topology/postgresql/secrets.json",
             "chmod 0600 /etc/topology/postgresql/secrets.json",
             (DIFFERENT, "file", "/etc/topology/postgresql/secrets.json")),
    ]  # fmt: skip


OLDER = """
import hashlib, json, re, sys
path, seconds = sys.argv[1], int(sys.argv[2])
for file in (path, path + ".copy"):
    text = open(file).read()
    text = re.sub(r'("backup-timestamp-(?:start|stop)":)(\\d+)', lambda m: m[1] + str(int(m[2]) - seconds), text)
    body = re.sub(r'(?m)^backrest-checksum=.*\\n', '', text)
    parts, section = {}, None
    for line in body.splitlines():
        if line.startswith('['):
            section = parts.setdefault(line.strip('[]'), {})
        elif line:
            key, _, value = line.partition('=')
            section[key] = value
    inner = ','.join(
        '"%s":{%s}' % (n, ','.join('"%s":%s' % kv for kv in sorted(p.items()))) for n, p in sorted(parts.items())
    )
    digest = hashlib.sha1(('{' + inner + '}').encode()).hexdigest()
    open(file, 'w').write(re.sub(r'(?m)^backrest-checksum=.*$', 'backrest-checksum="%s"' % digest, text))
"""
"""Makes pgBackRest's list of backups say that all of them are older, with the checksum it wants."""


def backups(plan: Plan) -> list[Seed]:
    """Return changes of the repositories."""
    found = postgresql.cluster(plan)
    if found is None:
        return []
    first, last = found.repositories[0].name, found.repositories[-1].name
    stanza, folder = postgresql.CLUSTER, "/var/lib/pgbackrest"
    info = f"{folder}/backup/{stanza}/backup.info"
    keep = f"cp -p {info} /root/seed-info && cp -p {info}.copy /root/seed-info.copy"
    older = f"{keep} && python3 -c {quote(OLDER)} {info} {2 * 86400}"
    return [
        seed("backups no longer made", first, "systemctl stop postgresql-backup-incr.timer",
             "systemctl start postgresql-backup-incr.timer", (DIFFERENT, "service", "postgresql-backup-incr.timer")),
        seed("backups not at boot", last, "systemctl disable postgresql-backup-full.timer 2>/dev/null",
             "systemctl enable postgresql-backup-full.timer 2>/dev/null",
             (DIFFERENT, "service", "postgresql-backup-full.timer")),
        seed("the last backup too old", first, older,
             f"mv /root/seed-info {info} && mv /root/seed-info.copy {info}.copy", (DIFFERENT, "backup", stanza)),
        seed("backups gone", last, f"mv {folder}/backup/{stanza} {folder}/seed",
             f"rm -rf {folder}/backup/{stanza} && mv {folder}/seed {folder}/backup/{stanza}",
             (MISSING, "backup", stanza), by_hand=True),
        seed("the repository closed", first, "systemctl stop pgbackrest", "systemctl start pgbackrest",
             (DIFFERENT, "service", "pgbackrest"), (MISSING, "listen", f"{postgresql.BACKUP}/tcp")),
        seed("a repository's certificate of its own", last,
             *kept("/etc/topology/tls/host.crt", OWN_CERTIFICATE.replace("{host}", last)),
             (DIFFERENT, "certificate", "/etc/topology/tls/host.crt")),
        seed("no time at a repository", last, "systemctl stop chrony", "systemctl start chrony",
             (DIFFERENT, "service", "chrony"), (UNOBSERVED, "time", "*"), also={(MISSING, "listen", "123/udp")}),
        seed("somebody's folder mounted", first, "mkdir -p /mnt/stranger && mount -t tmpfs stranger /mnt/stranger",
             "umount /mnt/stranger", (UNEXPECTED, "mount", "/mnt/stranger")),
        seed("a key at a repository", last,
             f"install -d -m 700 /root/.ssh && echo '{STRANGER}' >/root/.ssh/authorized_keys", "rm -r /root/.ssh",
             (UNEXPECTED, "key", "root *")),
    ]  # fmt: skip


def files(plan: Plan) -> list[Seed]:
    """Return changes of the NAS. The timer that mends folders every minute stands still meanwhile."""
    nodes = list(nas.nodes(plan))
    if not nodes:
        return []
    active, other, last = nodes[0], nodes[1], nodes[-1]
    users = [u for u in plan.district.users.users if u.left is None]
    agency = next(iter(nas.agencies(plan)))
    live = "/srv/nas/live/files"
    timer = (DIFFERENT, "service", "nas-replicate.timer")
    stop, start = "systemctl stop nas-replicate.timer", "systemctl start nas-replicate.timer"
    still = "while systemctl is-active -q nas-replicate.service; do sleep .2; done"
    conf = "/etc/samba/smb.conf"
    smb = (DIFFERENT, "file", conf)

    def shared(section: str, line: str) -> tuple[str, str]:
        return kept(conf, rf"sed -i 's/^\[{section}\]$/&\n    {line}/' %s")

    def paused(name: str, change: str, undo: str, *wanted: Wanted, also: Iterable[Wanted] = ()) -> Seed:
        return seed(name, active, f"{stop}; {still}; {change}", f"{undo}; {start}", *wanted, also={timer, *also})

    private = f"{live}/users/{users[0].name}/private"
    folder = f"{live}/agencies/{agency}"
    return [
        seed("copies no longer made", active, stop, start, timer),
        seed("a share open to guests", active, *shared("public", "guest ok = yes"), smb,
             (DIFFERENT, "share", "public")),
        seed("a share that may be written", other,
             *kept(conf, r"sed -i '/^\[public\]/,/^\[e/s/read only = yes/read only = no/' %s"), smb,
             (DIFFERENT, "share", "public")),
        seed("a share for more people", last,
             *kept(conf, f"sed -i 's/valid users = @{agency}$/& @{nas.AUXILIARY}/' %s"), smb,
             (DIFFERENT, "share", agency)),
        seed("guests let in", other, *kept(conf, "sed -i 's/map to guest = never/map to guest = bad user/' %s"), smb,
             (DIFFERENT, "share", "global")),
        seed("a share added", last,
             *kept(conf, r"printf '[scans]\n    path = /srv/nas\n    guest ok = yes\n' >>%s"), smb,
             (UNEXPECTED, "share", "scans")),
        paused("a private folder open to all", f"chmod 0777 {private}", f"chmod 0770 {private}",
               (DIFFERENT, "right", private)),
        paused("a private folder's owner", f"chown {users[0].name} {private}", f"chown root {private}",
               (DIFFERENT, "right", private)),
        paused("an agency's folder of another group", f"chgrp {users[0].name} {folder}; chmod 2770 {folder}",
               f"chgrp {agency} {folder}; chmod 2770 {folder}", (DIFFERENT, "right", folder)),
        seed("a quota taken away", active, f"btrfs qgroup limit none {folder}", "nas apply >/dev/null",
             (DIFFERENT, "quota", f"agencies/{agency}")),
        seed("a quota raised", active, f"btrfs qgroup limit 500G {live}/users/{users[0].name}", "nas apply >/dev/null",
             (DIFFERENT, "quota", f"users/{users[0].name}")),
        paused("a user left over",
               f"useradd stranger && printf 'left-Over-1\\nleft-Over-1\\n' | smbpasswd -s -a stranger >/dev/null &&"
               f" btrfs subvolume create {live}/users/stranger >/dev/null",
               f"pdbedit -x -u stranger; userdel stranger; btrfs subvolume delete {live}/users/stranger >/dev/null",
               (UNEXPECTED, "user", "stranger"), (UNEXPECTED, "account", "stranger"),
               (UNEXPECTED, "right", f"{live}/users/stranger")),
        seed("somebody in another agency's group", last,
             *kept("/var/lib/extrausers/group", f"sed -i 's/^{agency}:x:[0-9]*:/&{users[-1].name},/' %s"),
             (DIFFERENT, "file", "/var/lib/extrausers/group")),
        seed("the replication key readable", other, "chmod 0644 /var/lib/nas/replication_key",
             "chmod 0600 /var/lib/nas/replication_key", (DIFFERENT, "file", "/var/lib/nas/replication_key")),
        seed("the agent stopped", last, "systemctl stop nas-agent", "systemctl start nas-agent",
             (DIFFERENT, "service", "nas-agent")),
        seed("Debian's file server may start", last, "systemctl unmask smbd 2>/dev/null",
             "systemctl mask smbd 2>/dev/null", (DIFFERENT, "service", "smbd")),
        seed("the data disk not mounted", last, "systemctl stop nas-replicate.timer nas-agent srv-nas.mount",
             "systemctl start srv-nas.mount nas-agent nas-replicate.timer", (MISSING, "mount", "/srv/nas"),
             (DIFFERENT, "service", "srv-nas.mount"), (DIFFERENT, "service", "nas-agent"), timer, alone=True),
        seed("the data disk only to read", other, "mount -o remount,ro /srv/nas", "mount -o remount,rw /srv/nas",
             (DIFFERENT, "mount", "/srv/nas"), alone=True,
             also={(DIFFERENT, "service", "nas-agent")}),
        seed("a share of elsewhere mounted", other, "mkdir -p /srv/other && mount -t tmpfs other /srv/other",
             "umount /srv/other", (UNEXPECTED, "mount", "/srv/other")),
    ]  # fmt: skip


def zones(plan: Plan) -> list[Seed]:
    """Return changes of the name servers."""
    found = names.servers(plan)
    if found is None:
        return []
    primary, secondaries = found.primary.name, [s.name for s in found.secondaries]
    near, far = secondaries[0], secondaries[-1]
    domain = f"{plan.district.facts.domain}."

    def knotc(view: str, *commands: str) -> str:
        return " && ".join(f"knotc -c /{CONFIGURATION[view]} {c} >/dev/null" for c in commands)

    def edited(view: str, *steps: str) -> tuple[str, str]:
        change = knotc(view, f"zone-begin {domain}", *steps, f"zone-commit {domain}")
        return change, knotc(view, f"-f zone-retransfer {domain}")

    def serial(view: str) -> Wanted:
        return (DIFFERENT, "zone", f"{view} {domain}")

    port = names.port_of(plan, INTERNAL)
    clock = context_of(plan).router(plan.hosts[far])[0]
    answer = next(e for e in expect(plan, plan.hosts[near]).of_kind("answer") if e.thing.endswith(f"#{port}"))
    owner = answer.thing.split(" ")[0]
    files_ = {v: f"/etc/knot/zones/{v}/{domain}zone" for v in (INTERNAL, PUBLIC)}
    key = f"{TSIG}/{key_name(INTERNAL, far)}conf"
    public = kept(files_[PUBLIC], "echo 'intranet A 10.66.66.66' >>%s")
    everywhere = [(s, DIFFERENT, "records", f"{PUBLIC} {domain}") for s in secondaries]
    return [
        seed("an answer changed", near, *edited(INTERNAL, f"zone-unset {domain} {owner}. A",
             f"zone-set {domain} {owner}. 300 A 10.66.66.66"), (DIFFERENT, "answer", answer.thing),
             (DIFFERENT, "records", f"{INTERNAL} {domain}"), serial(INTERNAL)),
        seed("a name added", far, *edited(INTERNAL, f"zone-set {domain} stranger 300 A 10.66.66.66"),
             (DIFFERENT, "records", f"{INTERNAL} {domain}"), serial(INTERNAL)),
        seed("a private address told to the internet", near,
             *edited(PUBLIC, f"zone-set {domain} intranet 3600 A 10.66.66.66"),
             (DIFFERENT, "records", f"{PUBLIC} {domain}"), serial(PUBLIC)),
        seed("a private address published by the primary", primary, f"{public[0]} && {knotc(PUBLIC, 'reload')}",
             f"{public[1]} && {knotc(PUBLIC, 'reload')}", (DIFFERENT, "file", files_[PUBLIC]),
             (DIFFERENT, "records", f"{PUBLIC} {domain}"), found_at=everywhere, may_at=[
                 (s, *serial(PUBLIC)) for s in secondaries]),
        seed("a zone without signatures", far, *edited(PUBLIC, f"zone-unset {domain} @ RRSIG"), serial(PUBLIC)),
        seed("a serial left behind", near, knotc(PUBLIC, f"zone-freeze {domain}"),
             f"{knotc(PUBLIC, f'zone-thaw {domain}')}; sleep 1; {knotc(PUBLIC, f'-f zone-retransfer {domain}')}",
             serial(PUBLIC), then=((primary, knotc(PUBLIC, f"-b zone-sign {domain}")),)),
        seed("a key of transfers readable", far, f"chmod 0644 {key}", f"chmod 0640 {key}", (DIFFERENT, "file", key)),
        seed("signing keys open to all", primary, "chmod 0777 /var/lib/knot/keys", "chmod 0770 /var/lib/knot/keys",
             (DIFFERENT, "file", "/var/lib/knot/keys")),
        seed("transfers to everybody", primary,
             *kept("/etc/knot/knot.conf", r"printf 'acl:\n  - id: everybody\n    action: transfer\n' >>%s"),
             (DIFFERENT, "file", "/etc/knot/knot.conf")),
        seed("no answers for the internet", far, "systemctl stop knot-public", "systemctl start knot-public",
             (DIFFERENT, "service", "knot-public"), (MISSING, "listen", "53/udp"), (MISSING, "listen", "53/tcp"),
             (MISSING, "answer", "*"), (MISSING, "zone", f"{PUBLIC} *"), (MISSING, "records", f"{PUBLIC} *")),
        seed("a clock that is three seconds off", far,
             f"for s in $(chronyc -N sources | awk '/^\\^/ {{print $2}}'); do chronyc delete $s; done >/dev/null; "
             f"chronyc add server {clock} iburst minpoll 2 maxpoll 2 offset 3 >/dev/null; "
             "for i in $(seq 60); do sleep .5; chronyc tracking | grep -Eq '^System time +: [1-9]' && exit; done;"
             " exit 1",
             "systemctl restart chrony", (DIFFERENT, "time", "clock"), also={(UNOBSERVED, "time", "*")}),
        seed("a name server that forwards", near,
             "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.accept_redirects=0",
             "sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.accept_redirects=0",
             (DIFFERENT, "sysctl", "net.ipv4.ip_forward"), also={(DIFFERENT, "sysctl", "*")}),
    ]  # fmt: skip


TABLES: list[Callable[[Plan], list[Seed]]] = [databases, backups, files, zones]
