"""The database cluster: etcd, Patroni, PostgreSQL, HAProxy and pgBackRest of members, and their repositories.

The order of hosts in services/postgresql.yml says where the primary belongs, which member is its synchronous
standby, and which are asynchronous. The first two hosts of services/backup.yml keep the backups. Passwords are
no part of what is rendered: members make them (see templates/postgresql/postgresql-member).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

import yaml

from topology.allocate import Host, Plan
from topology.render.common import TEMPLATES, Context, fill

SERVICE, REPOSITORIES = "postgresql", "backup"
"""Services (services/) whose hosts are members, and repositories."""
KEPT = 2
"""Number of repositories that keep the databases' backups."""
CLUSTER = "district"
"""Name of the cluster in Patroni and etcd, and of its stanza in pgBackRest."""
DATA = f"/var/lib/postgresql/{CLUSTER}"
"""The data folder. It has no version in its name: a major upgrade keeps every file that names it."""
TLS = "/etc/topology/tls"
"""Folder of the host's key and certificate and of the authority's (role `authority`)."""
PROGRAMS = (
    "usr/local/sbin/postgresql-member", "usr/local/sbin/postgresql-restore",
    "usr/local/sbin/postgresql-restore-wal", "usr/local/sbin/postgresql-backup",
)  # fmt: skip
"""Paths of rendered files that need mode 0755."""
SQL, PROXY, REST, ETCD, ETCD_PEER, BACKUP = 5432, 5433, 8008, 2379, 2380, 8432
"""Ports of PostgreSQL, of HAProxy in front of it, of Patroni's API, etcd, etcd between members, pgBackRest."""
TTL, LOOP_WAIT, RETRY = 15, 3, 4
"""Seconds: a leader's key lives; between two looks of Patroni; until etcd is given up. TTL >= LOOP_WAIT + 2 RETRY.

Patroni 3.3 and later raise a ttl below 20 to 20, also within the bar.
"""
CONNECTIONS = 200
"""Most connections; the same on all members, as a standby may not have fewer than its primary."""
LAB_MEMORY_MB = 1024
"""In a lab, hosts share one machine's memory."""
ASSUMED_MEMORY_MB = 4096
"""Of a member whose memory nobody has entered."""


@dataclass(frozen=True, slots=True)
class Database:
    """The cluster as one plan sees it."""

    members: tuple[Host, ...]
    repositories: tuple[Host, ...]


def cluster(plan: Plan) -> Database | None:
    """Return the members and repositories that a plan has; None without members."""
    members = _hosts(plan, SERVICE)
    return Database(members, _hosts(plan, REPOSITORIES)[:KEPT]) if members else None


def _hosts(plan: Plan, service: str) -> tuple[Host, ...]:
    entry = plan.district.services.get(service)
    return tuple(plan.hosts[n] for n in entry.hosts if n in plan.hosts) if entry else ()


def address(host: Host) -> str:
    """Return the address by which members and repositories reach each other: IPv4, which no site is without."""
    return next(a for i in host.of_kind("host") for a in i.addresses if ":" not in a)


def names(context: Context, host: Host) -> tuple[str, ...]:
    """Return the names and addresses for a host's certificate; empty for a host of no service.

    A member has the service's stable name too, and one by which members know each other at etcd.
    """
    found: list[str] = []
    domain = context.plan.district.facts.domain
    for key, service in context.plan.district.services.items():
        if host.name in service.hosts:
            found += [f"DNS:{service.name}.{domain}"] if service.name else []
            found += [f"DNS:{_peer_name(domain)}"] if key == SERVICE else []
    if host.name not in {h for s in context.plan.district.services.values() for h in s.hosts}:
        return ()
    addresses = [a for i in host.of_kind("host") for a in i.addresses]
    own = [f"DNS:{host.name}", f"DNS:{context.fqdn(host)}", "DNS:localhost", "IP:127.0.0.1"]
    return (*own, *found, *(f"IP:{a}" for a in addresses))


def _peer_name(domain: str) -> str:
    return f"etcd.{CLUSTER}.{domain}"


def peers(context: Context, host: Host) -> tuple[tuple[str, str], ...]:
    """Return (address, name) of the cluster's other hosts, for /etc/hosts of a member or a repository.

    pgBackRest 2.45 finds no address in a certificate, only names; and backups should not wait for DNS.
    """
    found = cluster(context.plan)
    if found is None or host not in (*found.members, *found.repositories):
        return ()
    return tuple((address(h), h.name) for h in (*found.members, *found.repositories) if h != host)


def databases(plan: Plan) -> tuple[str, ...]:
    """Return the databases that are due: those of applications of the rollout's year and before. Also their roles."""
    apps = plan.district.apps
    if apps is None:
        return ()
    due = (a for a in apps.applications if a.database and (apps.rollout is None or a.year <= apps.rollout))
    return tuple(sorted(a.slug.replace("-", "_") for a in due))


def tuned(memory_mb: int) -> dict[str, str]:
    """Return PostgreSQL's settings that follow from a host's memory (MiB)."""
    cache_mb = memory_mb // 4
    return {
        "shared_buffers": f"{cache_mb}MB",
        "effective_cache_size": f"{memory_mb * 3 // 4}MB",
        "maintenance_work_mem": f"{min(memory_mb // 16, 2048)}MB",
        # every connection may sort twice at once, in a quarter of the memory
        "work_mem": f"{max(1, memory_mb // 4 // (2 * CONNECTIONS))}MB",
        "max_wal_size": f"{max(1024, min(memory_mb // 2, 16384))}MB",
    }


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a member's or a repository's files; empty for other hosts."""
    found = cluster(context.plan)
    if found is None or host.platform != "debian":
        return {}
    if host in found.members:
        return _member(context, host, found)
    return _repository(context, host, found) if host in found.repositories else {}


def _member(context: Context, host: Host, database: Database) -> dict[str, str]:
    plan = context.plan
    header = context.header(host, "services/postgresql.yml", "services/backup.yml", "apps.yml")
    mark = f"# {header}\n"
    nearest = sorted(enumerate(database.repositories, 1), key=lambda r: (r[1].site != host.site, r[0]))
    return {
        "etc/postgresql-common/createcluster.d/topology.conf": f"{mark}create_main_cluster = false\n",
        "etc/default/etcd": fill(
            "postgresql/etcd.j2", header=header, host=host, own=address(host),
            members=[(m.name, address(m)) for m in database.members], cluster=CLUSTER, tls=TLS,
            client=ETCD, peer=ETCD_PEER, peer_name=_peer_name(plan.district.facts.domain),
        ),
        "etc/patroni/config.yml": mark + _yaml(_patroni(context, host, database)),
        "etc/patroni/dynamic.yml": mark + _yaml(_dynamic(plan)),
        "etc/systemd/system/patroni.service.d/60-topology.conf": fill("postgresql/patroni.override.j2", header=header),
        "etc/systemd/system/pgbackrest.service.d/60-topology.conf": fill(
            "postgresql/pgbackrest.override.j2", header=header
        ),
        "etc/pgbackrest/pgbackrest.conf": fill(
            "postgresql/pgbackrest.member.j2", header=header, cluster=CLUSTER, data=DATA, tls=TLS, port=BACKUP,
            repositories=[(n, r.name) for n, r in enumerate(database.repositories, 1)],
            clients=[r.name for r in database.repositories],
        ),
        "etc/haproxy/haproxy.cfg": fill(
            "postgresql/haproxy.cfg.j2", header=header, tls=TLS, port=PROXY, rest=REST, sql=SQL,
            members=[(m.name, address(m)) for m in database.members],
        ),
        "etc/topology/postgresql/databases": mark + "".join(f"{name}\n" for name in databases(plan)),
        PROGRAMS[0]: _program("postgresql-member", header, cluster=CLUSTER),
        PROGRAMS[1]: _program(
            "postgresql-restore", header, cluster=CLUSTER, data=DATA, connections=str(CONNECTIONS)
        ),
        PROGRAMS[2]: _program(
            "postgresql-restore-wal", header, cluster=CLUSTER, repositories=" ".join(str(n) for n, _ in nearest)
        ),
    }  # fmt: skip


def _repository(context: Context, host: Host, database: Database) -> dict[str, str]:
    header = context.header(host, "services/postgresql.yml", "services/backup.yml")
    index = database.repositories.index(host)
    found = {
        "etc/pgbackrest.conf": fill(
            "postgresql/pgbackrest.repository.j2", header=header, number=index + 1, cluster=CLUSTER, data=DATA, tls=TLS,
            port=BACKUP, members=[(n, m.name) for n, m in enumerate(database.members, 1)],
        ),
        PROGRAMS[3]: _program("postgresql-backup", header, cluster=CLUSTER),
    }  # fmt: skip
    # one after the other: two backups at once would ask the primary twice
    times = {"full": f"Sun 0{1 + 2 * index}:00", "incr": f"Mon..Sat 0{1 + 2 * index}:00",
             "verify": f"Sat 0{5 + 2 * index}:00"}  # fmt: skip
    for verb, calendar in times.items():
        for kind in ("service", "timer"):
            found[f"etc/systemd/system/postgresql-backup-{verb}.{kind}"] = fill(
                f"postgresql/backup.{kind}.j2", header=header, verb=verb, calendar=calendar
            )
    return found


def _patroni(context: Context, host: Host, database: Database) -> dict[str, object]:
    own = address(host)
    members = [f"{address(m)}/32" for m in database.members]
    key = {"certfile": f"{TLS}/host.crt", "keyfile": f"{TLS}/host.key", "cafile": f"{TLS}/ca.crt"}
    verified = {"sslmode": "verify-full", "sslrootcert": f"{TLS}/ca.crt"}
    asynchronous = host in database.members[2:]
    return {
        "scope": CLUSTER,
        "name": host.name,
        "restapi": {
            "listen": f"{own}:{REST}", "connect_address": f"{own}:{REST}", **key,
            # anybody in the district may ask how it is; orders need a certificate and come from members
            "verify_client": "optional", "allowlist": members,
        },
        "ctl": {"cacert": key["cafile"], "certfile": key["certfile"], "keyfile": key["keyfile"]},
        # v2: with etcd3 Patroni 3.0 lets a primary that was cut off take its key back (docs/decisions)
        "etcd": {
            "hosts": [f"{address(m)}:{ETCD}" for m in database.members], "protocol": "https",
            "cacert": key["cafile"], "cert": key["certfile"], "key": key["keyfile"],
        },
        "bootstrap": {
            "dcs": _dynamic(context.plan),
            "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
        },
        "postgresql": {
            "listen": f"*:{SQL}",
            "connect_address": f"{own}:{SQL}",
            "data_dir": DATA,
            "use_unix_socket": True,
            "use_unix_socket_repl": True,
            "authentication": {
                "superuser": {"username": "postgres"},
                "replication": {"username": "replicator", **verified},
                "rewind": {"username": "rewind", **verified},
            },
            "pg_hba": _hba(context.plan, members),
            "parameters": tuned(_memory_mb(context.plan, host)) | {
                "unix_socket_directories": "/var/run/postgresql",
                "ssl": "on", "ssl_cert_file": key["certfile"], "ssl_key_file": key["keyfile"],
                "ssl_ca_file": key["cafile"], "ssl_min_protocol_version": "TLSv1.2",
                "password_encryption": "scram-sha-256",
                # never longer than 12 s, whatever became of a repository; what was refused stays and is tried again
                "archive_command": f'timeout --kill-after=2 10 pgbackrest --stanza={CLUSTER} archive-push "%p"',
                "log_line_prefix": "%m [%p] %q%u@%d %h ", "log_connections": "on", "log_disconnections": "on",
                "log_lock_waits": "on", "log_checkpoints": "on",
            },
            "recovery_conf": {"restore_command": f"/{PROGRAMS[2]} %f \"%p\""},
            "basebackup": [{"checkpoint": "fast"}],
            # what a dead peer holds is let go within 10 s
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
        },
        "watchdog": {"mode": "off"},
        "tags": {"nosync": asynchronous, "nofailover": False, "noloadbalance": False, "clonefrom": False},
    }  # fmt: skip


def _hba(plan: Plan, members: list[str]) -> list[str]:
    """Return who may log in from where; what is not here is refused, and so is everything without TLS."""
    # Patroni looks at its own timeline as the replicator before it decides whether to rewind
    found = ["local all postgres peer", "local replication replicator scram-sha-256"]
    for member in members:
        found.append(f"hostssl replication replicator {member} scram-sha-256")
        found.append(f"hostssl postgres rewind {member} scram-sha-256")
    # an application's role reaches the database of its own name; through HAProxy it comes from a member
    return found + [f"hostssl sameuser +applications {source} scram-sha-256" for source in (*sources(plan), *members)]


def sources(plan: Plan) -> tuple[str, ...]:
    """Return the prefixes that applications run in."""
    apps = plan.district.apps
    if apps is None:
        return ()
    return tuple(
        prefix
        for slug in apps.sites
        if slug in plan.sites
        for network in plan.sites[slug].networks
        if network.name == apps.network
        for prefix in network.prefixes
    )


def _dynamic(plan: Plan) -> dict[str, object]:
    """Return what all members share, kept by Patroni in etcd."""
    lab = plan.district.lab is not None
    return {
        "ttl": TTL,
        "loop_wait": LOOP_WAIT,
        "retry_timeout": RETRY,
        "maximum_lag_on_failover": 1048576,
        "synchronous_mode": True,
        # without its standby the primary goes on alone, and no other member may then take over by itself
        "synchronous_mode_strict": False,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": {
                "max_connections": CONNECTIONS,
                "max_wal_senders": 10,
                "max_replication_slots": 10,
                "wal_level": "replica",
                "wal_log_hints": "on",
                "wal_keep_size": "128MB" if lab else "2GB",
                "archive_mode": "on",
                "archive_timeout": 300,
                "synchronous_commit": "on",
                "wal_sender_timeout": "10s",
                "wal_receiver_timeout": "10s",
                "tcp_keepalives_idle": 10,
                "tcp_keepalives_interval": 5,
                "tcp_keepalives_count": 3,
                "tcp_user_timeout": 20000,
            },
        },
    }


def _memory_mb(plan: Plan, host: Host) -> int:
    if plan.district.lab is not None:
        return LAB_MEMORY_MB
    return host.memory_gb * 1024 if host.memory_gb else ASSUMED_MEMORY_MB


def _yaml(data: dict[str, object]) -> str:
    # through JSON: a value that stands twice would become a YAML alias
    return yaml.safe_dump(json.loads(json.dumps(data)), sort_keys=False, width=1000)


def _program(name: str, header: str, **values: str) -> str:
    """Return a program with the header as its second line; words in @ are filled in."""
    first, _, rest = _text(name).partition("\n")
    for key, value in values.items():
        rest = rest.replace(f"@{key}@", value)
    return f"{first}\n# {header}\n{rest}"


@cache
def _text(name: str) -> str:
    return (TEMPLATES / "postgresql" / name).read_text(encoding="utf-8")
