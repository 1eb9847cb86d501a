"""How the twin reads services: by other interfaces than the sweep's wherever a service has a second one.

Knot is asked by its control program instead of by questions, PostgreSQL by SQL instead of Patroni's interface, the NAS
by what it tells people.
"""

from __future__ import annotations

import datetime
import re
import shlex

from tests.drift.box import Box
from tests.drift.readers import Values, every, one
from topology.drift.judge import Things
from topology.expect import Expected
from topology.render.knot import CONFIGURATION

# ---------------------------------------------------------------- names


def _asked(box: Box, command: str) -> list[str]:
    """Return what a control program says; nothing when its daemon is not there."""
    done = box.ask(command)
    return done.stdout.splitlines() if done.rc == 0 else []


@one("zone")
def _zone(box: Box, expected: Expected, thing: str) -> Values | None:
    view, zone = thing.split(" ")
    signatures = _asked(box, f"knotc -c /{CONFIGURATION[view]} zone-read {zone} @ RRSIG")
    ends = [re.search(r"RRSIG SOA (?:\S+ ){3}(\d{14}) ", row) for row in signatures]
    until = [datetime.datetime.strptime(m[1], "%Y%m%d%H%M%S").replace(tzinfo=datetime.UTC) for m in ends if m]
    if not signatures:
        return None
    days = (min(until) - datetime.datetime.now(datetime.UTC)).days if until else "none"
    return {"status": "NOERROR", "signatures": days}


# ---------------------------------------------------------------- databases, backups, files


@one("replication")
def _replication(box: Box, expected: Expected, thing: str) -> Values | None:
    if thing == "database":
        sql = "select case when pg_is_in_recovery() then pg_is_wal_replay_paused() else false end"
        paused = box.say(f"runuser -u postgres -- psql -XAtc {shlex.quote(sql)}").strip() == "t"
        shared = box.say("patronictl -c /etc/patroni/config.yml show-config")
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
        made = float(box.say(f"stat -c %Y {shlex.quote(f'{folder}/backup/{thing}/backup.info')}"))
        return {"status": "none yet", "age": now - made}
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


@one("right")
def _right(box: Box, expected: Expected, thing: str) -> Values | None:
    file = box.host.file(thing)
    return {"mode": f"{file.mode:o}", "owner": str(file.uid), "group": str(file.gid)} if file.exists else None
