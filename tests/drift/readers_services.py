"""How the twin reads services: by other interfaces than the sweep's wherever a service has a second one.

Knot is asked by its control program instead of by questions, PostgreSQL by SQL instead of Patroni's interface, the NAS
by what it tells people.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import shlex
from typing import Any

import yaml

from tests.drift.box import Box
from tests.drift.readers import Values, every, one
from topology.drift.judge import Things
from topology.expect import Expected
from topology.render.knot import CONFIGURATION

# ---------------------------------------------------------------- names


def _asked(box: Box, command: str) -> list[str]:
    """Return what a control program says; nothing when its daemon is not there. ValueError if it stopped half-way."""
    done = box.ask(command)
    if done.rc and any(row.startswith("[") for row in done.stdout.splitlines()):
        raise ValueError(f"{command}: only the beginning came")
    return done.stdout.splitlines() if done.rc == 0 else []


@one("zone")
def _zone(box: Box, expected: Expected, thing: str) -> Values | None:
    view, zone = thing.split(" ")
    signatures = _asked(box, f"knotc -c /{CONFIGURATION[view]} zone-read {zone} @ RRSIG")
    ends = [re.search(r"RRSIG SOA (?:\S+ ){3}(\d{14}) ", row) for row in signatures]
    until = [datetime.datetime.strptime(m[1], "%Y%m%d%H%M%S").replace(tzinfo=datetime.UTC) for m in ends if m]
    soa = " ".join(_asked(box, f"knotc -c /{CONFIGURATION[view]} zone-read {zone} @ SOA")).split()
    if not soa:
        return None
    days = (min(until) - datetime.datetime.now(datetime.UTC)).days if until else "none"
    return {"status": "NOERROR", "signatures": days, "serial": int(soa[6]) if len(soa) > 6 else "none"}


@one("records")
def _records(box: Box, expected: Expected, thing: str) -> Values | None:
    view, zone = thing.split(" ")
    lines = set()
    for row in _asked(box, f"knotc -c /{CONFIGURATION[view]} zone-read {zone}"):
        found = re.fullmatch(r"\[\S+\] (\S+) \d+ ([A-Z0-9]+) (.+)", row.strip())
        if found and found[2] not in ("SOA", "RRSIG", "NSEC", "DNSKEY", "CDS", "CDNSKEY", "NSEC3", "NSEC3PARAM"):
            data = found[3] if found[2] in ("TXT", "CAA") else found[3].lower()
            if found[2] in ("A", "AAAA"):
                data = ipaddress.ip_address(data).compressed
            lines.add(f"{found[1].lower()} {found[2]} {data}")
    return {"content": tuple(lines)} if lines else None


# ---------------------------------------------------------------- databases, backups, files


@one("replication")
def _replication(box: Box, expected: Expected, thing: str) -> Values | None:
    if thing == "database":
        sql = "select case when pg_is_in_recovery() then pg_is_wal_replay_paused() else false end"
        if box.ask(_psql("select 1")).rc:
            return None
        paused = box.say(_psql(sql)).strip() == "t"
        shared = box.say("timeout 12 patronictl -c /etc/patroni/config.yml show-config")
        return {
            "state": "running", "replay": "paused" if paused else "going on",
            "maintenance": bool(re.search(r"^pause: true$", shared, re.MULTILINE)),
        }  # fmt: skip
    lines = box.ask("/usr/local/sbin/nas status").stdout
    if thing == "files":
        return {"set aside": "changes of its own to set aside" in lines} if lines else None
    behind = re.search(r"^behind .*", lines, re.MULTILINE)
    name = thing.removeprefix("files to ")
    if name == box.name and f"active    {name} " in lines:
        return {"behind": 0}
    seconds = re.search(rf"\b{re.escape(name)} (\d+) s", behind[0]) if behind else None
    return {"behind": int(seconds[1])} if seconds else None


def _psql(sql: str) -> str:
    return f"cd / && runuser -u postgres -- psql -XAt -F '|' -c {shlex.quote(sql)} postgres"


@one("etcd")
def _etcd(box: Box, expected: Expected, thing: str) -> Values | None:
    address, folder = next(e.of for e in expected.of_kind("etcd"))
    client = (
        f"ETCDCTL_API=3 timeout 8 etcdctl --dial-timeout=3s --command-timeout=5s --endpoints=https://{address}"
        f" --cacert={folder}/ca.crt --cert={folder}/host.crt --key={folder}/host.key"
    )
    members = box.ask(f"{client} member list")
    if members.rc:
        return None
    health = box.ask(f"{client} endpoint health").rc == 0
    names = sorted(line.split(", ")[2] for line in members.stdout.splitlines() if line.strip())
    return {"health": "true" if health else "false", "members": ", ".join(names)}


def group(box: Box, expected: Expected) -> Things:
    """Return what a member or a NAS says of its place among the others: judged together, see tests/drift/groups.py."""
    found: Things = {}
    if any(e.thing == "database" for e in expected.of_kind("replication")):
        standby = box.ask(_psql("select pg_is_in_recovery()"))
        if standby.rc == 0:
            control = box.say(_psql("select system_identifier from pg_control_system()")).strip()
            found["database"] = {"role": "replica" if standby.stdout.strip() == "t" else "primary", "system": control}
            # whom the primary has named: Patroni keeps it where all members see it
            chosen = box.say("timeout 12 patronictl -c /etc/patroni/config.yml list --format json")
            own = next((m for m in json.loads(chosen) if m["Member"] == box.name), {})
            found["database"]["synchronous"] = own.get("Role") == "Sync Standby"
            if found["database"]["role"] == "primary":
                found["database"]["timeline"] = int(box.say(_psql("select timeline_id from pg_control_checkpoint()")))
                found[f"database to {box.name}"] = {"state": "streaming"}
                for line in box.say(_psql("select application_name, state from pg_stat_replication")).splitlines():
                    name, state = line.split("|")
                    found[f"database to {name}"] = {"state": state}
    if any(e.thing == "files" for e in expected.of_kind("replication")):
        lines = box.ask("/usr/local/sbin/nas status").stdout
        holder = re.search(r"^active +(\S+) \(epoch (\d+)", lines, re.MULTILINE)
        if holder:
            serving = bool(re.search(r"^here +\S+ serving$", lines, re.MULTILINE))
            found["files"] = {"active": holder[1], "epoch": int(holder[2]), "serving": serving}
            behind = re.search(r"^behind (.*)", lines, re.MULTILINE)
            for name in (box.name, *re.findall(r"(\S+) \d+ s", behind[1] if behind else "")):
                if holder[1] == box.name:
                    found[f"files to {name}"] = {"kept": True}
    return found


@one("login")
def _login(box: Box, expected: Expected, thing: str) -> Values | None:
    return _logins(box, expected).get(thing)


@every("login")
def _logins(box: Box, expected: Expected) -> Things:
    """Read the file that the server names, not the server's view of it."""
    path = box.say(_psql("show hba_file")).strip()
    lines = (line.partition("#")[0].split() for line in box.say(f"cat {shlex.quote(path)}").splitlines())
    return {" ".join(words): {} for words in lines if words}


@one("role")
def _role(box: Box, expected: Expected, thing: str) -> Values | None:
    return _roles(box, expected).get(thing)


@every("role")
def _roles(box: Box, expected: Expected) -> Things:
    """Read psql's own table of roles, and from psql 16 on the one of members, which its first no longer has."""
    said = {"Superuser": "superuser", "Create role": "create roles", "Create DB": "create databases",
            "Replication": "replicate", "Bypass RLS": "bypass RLS"}  # fmt: skip
    found: Things = {}
    members_of: dict[str, set[str]] = {}
    for line in box.ask(_psql(r"\drg")).stdout.splitlines():
        name, group, *_ = line.split("|")
        members_of.setdefault(name, set()).add(group)
    for line in box.say(_psql(r"\du")).splitlines():
        name, attributes, *groups = line.split("|")
        may = {said[a.strip()] for a in attributes.split(",") if a.strip() in said}
        if "Cannot login" not in attributes:
            may.add("log in")
        members = set(groups[0].strip("{}").split(",")) - {""} if groups else members_of.get(name, set())
        found[name] = {
            "may": ", ".join(sorted(may, key=str.lower)) or "none", "member of": ", ".join(sorted(members)) or "none",
        }  # fmt: skip
    return found


@one("setting")
def _setting(box: Box, expected: Expected, thing: str) -> Values | None:
    values: Any = yaml.safe_load(box.say("timeout 12 patronictl -c /etc/patroni/config.yml show-config"))
    for part in thing.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    if values is None:
        return None
    return {"value": str(values).lower() if isinstance(values, bool) else str(values)}


@every("setting")
def _settings_by_hand(box: Box, expected: Expected) -> Things:
    folder = box.say(_psql("show data_directory")).strip()
    text = box.say(f"cat {shlex.quote(folder)}/postgresql.auto.conf")
    pairs = re.findall(r"^\s*(\w+)\s*=\s*'?(.*?)'?\s*$", text, re.MULTILINE)
    return {f"{name} by hand": {"value": value} for name, value in pairs}


@one("backup")
def _backup(box: Box, expected: Expected, thing: str) -> Values | None:
    said = box.say("runuser -u postgres -- pgbackrest info")
    part = f"\n{said}".partition(f"\nstanza: {thing}\n")[2].partition("\nstanza: ")[0]
    if not part:
        return None
    status = re.search(r"^\s+status: (.*)$", part, re.MULTILINE)
    ends = re.findall(r"timestamp start/stop: .* / (\S+ \S+)$", part, re.MULTILINE)
    now = float(box.say("date +%s"))
    times = [float(box.say(f"date -d {shlex.quote(end)} +%s")) for end in ends]
    if not times:
        folder = next(e.of for e in expected.of_kind("backup") if e.thing == thing)[0]
        made = box.ask(f"stat -c %Y {shlex.quote(f'{folder}/backup/{thing}/backup.info')}")
        if made.rc:
            return {"status": status[1] if status else "", "age": "never"}
        return {"status": "none yet", "age": now - float(made.stdout)}
    return {"status": status[1] if status else "", "age": now - max(times)}


@one("share")
def _share(box: Box, expected: Expected, thing: str) -> Values | None:
    return _shares(box, expected).get(thing)


@every("share")
def _shares(box: Box, expected: Expected) -> Things:
    fields = {e.thing: e.want for e in expected.of_kind("share")}
    usual = max(fields.values(), key=len)
    found: Things = {}
    name = ""
    for line in box.host.file("/etc/samba/smb.conf").content_string.splitlines():
        line = line.strip()
        if line.startswith("["):
            name = line.strip("[]")
            found[name] = dict.fromkeys(fields.get(name, usual), "not set")
        elif name and "=" in line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            if key.strip() in found[name]:
                found[name][key.strip()] = value.strip()
    return found


@one("quota")
def _quota(box: Box, expected: Expected, thing: str) -> Values | None:
    done = box.ask(f"btrfs subvolume show {shlex.quote(f'/srv/nas/live/files/{thing}')}")
    if done.rc:
        return None
    limit = re.search(r"Limit referenced:\s+([\d.]+)([KMGT]iB|B)", done.stdout)
    if not limit:
        return {"limit": "none"}
    power = {"B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[limit[2]]
    return {"limit": f"{float(limit[1]) * 2**power / 2**30:g} GiB"}


@one("account")
def _account(box: Box, expected: Expected, thing: str) -> Values | None:
    return _accounts(box, expected).get(thing)


@every("account")
def _accounts(box: Box, expected: Expected) -> Things:
    if box.ask("test -f /srv/nas/live/accounts/passdb.tdb").rc:
        return {}
    return {name: {} for name in re.findall(r"^Unix username: +(\S+)$", box.say("pdbedit -Lv"), re.MULTILINE)}


@every("right")
def _folders(box: Box, expected: Expected) -> Things:
    folders = sorted({folder for e in expected.of_kind("right") for folder in e.of})
    there = [f for f in folders if box.host.file(f).is_directory]
    return {f"{folder}/{name}": {} for folder in there for name in box.host.file(folder).listdir()}


@one("right")
def _right(box: Box, expected: Expected, thing: str) -> Values | None:
    file = box.host.file(thing)
    return {"mode": f"{file.mode:o}", "owner": str(file.uid), "group": str(file.gid)} if file.exists else None
