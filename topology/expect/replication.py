"""Databases, backups, the NAS, its shares and everybody's certificates: what their configuration promises.

All of it is read from a host's rendered files, so a host that has none of them is expected nothing of.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from topology.allocate import Plan
from topology.drift.read_replication import share_sections
from topology.drift.read_services import CHAIN
from topology.expect.groups import Together
from topology.expect.model import AtMost, Between, Expectation, OneOf
from topology.nas.config import LIVE, ROOT, rights_of_agency, rights_of_user
from topology.render import Files, postgresql

BACKUP_AGE = 26 * 3600
"""Most seconds since the last backup ended: there is one a day, within an hour of the same time."""
BEHIND = 300
"""Most seconds that a NAS may lack: one is sent every minute."""
DAYS = 14
"""Least days that a certificate must be good for; roles renew theirs when 30 are left."""
DATABASE, FILES = "database", "files"
_PATRONI, _REPOSITORY = "etc/patroni/config.yml", "etc/pgbackrest.conf"
_ETCD = "etc/default/etcd"
_NAS, _SAMBA = "etc/topology/nas.json", "etc/samba/smb.conf"
AUTHORITY = "ca.crt"
"""The authority's certificate beside a host's own."""
_CERTIFICATE = re.compile(r"/[\w./-]+/host\.crt\b")


def replication(files: Files) -> Iterator[Expectation]:
    """Yield the state of a member of the database cluster, and of a NAS."""
    if _PATRONI in files:
        settings = yaml.safe_load(files[_PATRONI])
        rest = settings["restapi"]
        want = {"state": OneOf(("running", "streaming")), "maintenance": False, "replay": "going on"}
        yield Expectation("replication", DATABASE, want, of=(rest["connect_address"], rest["cafile"]))
    if _ETCD in files:
        said = dict(line.split("=", 1) for line in files[_ETCD].splitlines() if "=" in line and line[0] != "#")
        members = ", ".join(sorted(m.split("=")[0] for m in said["ETCD_INITIAL_CLUSTER"].split(",")))
        client = said["ETCD_ADVERTISE_CLIENT_URLS"].split(",")[0].removeprefix("https://")
        want = {"health": "true", "members": members}
        yield Expectation("etcd", "member", want, of=(client, said["ETCD_CERT_FILE"].rpartition("/")[0]))
    if _NAS in files:
        yield Expectation("replication", FILES, {"set aside": False})
        nas = _json(files[_NAS])
        for name in nas["nodes"]:
            yield Expectation("replication", f"{FILES} to {name}", {"behind": AtMost(BEHIND, "s")}, optional=True)


def backups(files: Files) -> Iterator[Expectation]:
    """Yield the backups of every database cluster that a repository keeps; a new one has a day to make its first."""
    text = files.get(_REPOSITORY, "")
    path = re.search(r"^repo\d+-path=(\S+)$", text, re.MULTILINE)
    for stanza in re.findall(r"^\[(\w+)\]$", text, re.MULTILINE):
        if stanza != "global" and path:
            want = {"status": OneOf(("ok", "none yet")), "age": AtMost(BACKUP_AGE, "s")}
            yield Expectation("backup", stanza, want, of=(path[1],))


def shares(files: Files, today: datetime.date | None = None) -> Iterator[Expectation]:
    """Yield Samba's shares with who may do what, and on the active NAS rights and quotas of folders, and accounts.

    People who have not left by `today` (default: now) have them.
    """
    if _SAMBA in files:
        for name, values in share_sections(files[_SAMBA]):
            yield Expectation("share", name, values)
    if _NAS in files:
        nas, day = _json(files[_NAS]), (today or datetime.date.today()).isoformat()
        people = [u for u in nas["users"] if not u["left"] or u["left"] > day]
        rights = [r for u in people for r in rights_of_user(u["name"], u["uid"])]
        rights += [r for a in nas["agencies"] for r in rights_of_agency(a["slug"], a["gid"])]
        for right in rights:
            want = {"owner": str(right.uid), "group": str(right.gid), "mode": f"{right.mode:o}"}
            # whoever has a folder beside this one, and is nobody of the plan's, is found
            beside = (str(LIVE / "/".join(right.path.split("/")[:2])),)
            yield Expectation("right", str(LIVE / right.path), want, optional=True, of=beside)
        for user in people:
            yield Expectation("account", user["name"], optional=True)
        limits = [(f"users/{u['name']}", u["quota"]) for u in people]
        limits += [(f"agencies/{a['slug']}", a["quota"]) for a in nas["agencies"]]
        for path, limit in limits:
            yield Expectation("quota", path, {"limit": gib(limit)}, optional=True, of=(str(ROOT),))


def gib(size: int | None) -> str:
    """Return a limit in bytes as people read it."""
    return "none" if size is None else f"{size / 2**30:g} GiB"


def certificates(files: Files, host: str, domain: str) -> Iterator[Expectation]:
    """Yield the certificate that a host's services show each other (role authority)."""
    for path in dict.fromkeys(p for text in files.values() for p in _CERTIFICATE.findall(text)):
        want = {
            "subject": f"CN={host}", "issuer": f"CN={domain} authority", "days": Between(DAYS, None, "days"),
            "key": "matches", "chain": CHAIN,
        }  # fmt: skip
        authority = f"{path.rpartition('/')[0]}/{AUTHORITY}"
        yield Expectation("certificate", path, want, of=(f"{path.removesuffix('.crt')}.key", authority))
        want = {"subject": f"CN={domain} authority", "issuer": f"CN={domain} authority",
                "days": Between(DAYS, None, "days")}  # fmt: skip
        yield Expectation("certificate", authority, want)


def together(plan: Plan) -> Iterator[Together]:
    """Yield what must be so of all members of the cluster, and of all NAS."""
    members = _hosts(plan, "postgresql")
    if members:
        yield Together("replication", DATABASE, "role", members, once="primary")
        yield Together("replication", DATABASE, "timeline", members)
        yield Together("replication", DATABASE, "system", members)
    if len(members) > 1:
        yield Together("replication", DATABASE, "synchronous", members, once=True)
        for name in members:
            # the primary counts as one that has everything
            yield Together("replication", f"{DATABASE} to {name}", "state", members, once="streaming")
    everybody = tuple(dict.fromkeys((*members, *_hosts(plan, postgresql.REPOSITORIES)[: postgresql.KEPT])))
    if len(everybody) > 1:
        yield Together("certificate", f"{postgresql.TLS}/{AUTHORITY}", "fingerprint", everybody)
    nodes = _hosts(plan, "nas")
    if nodes:
        yield Together("replication", FILES, "active", nodes)
        yield Together("replication", FILES, "epoch", nodes)
        yield Together("replication", FILES, "serving", nodes, once=True)
        for name in nodes:
            yield Together("replication", f"{FILES} to {name}", "kept", nodes, once=True)


def _hosts(plan: Plan, service: str) -> tuple[str, ...]:
    entry = plan.district.services.get(service)
    return tuple(n for n in entry.hosts if n in plan.hosts) if entry else ()


def _json(text: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads("\n".join(
        line for line in text.splitlines() if not line.startswith("//")
    ))  # fmt: skip
    return found
