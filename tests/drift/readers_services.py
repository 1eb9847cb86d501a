"""How the twin reads services: by other interfaces than the sweep's wherever a service has a second one.

Unbound and Knot are asked by their control programs instead of by questions, PostgreSQL by SQL instead of Patroni's
interface, the NAS by what it tells people.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import shlex
import time

from tests.drift.box import Box
from tests.drift.readers import Values, every, one
from topology.drift.judge import Things
from topology.expect import Expected
from topology.expect.daemons import CURRENT
from topology.render.kea import FOLDERS
from topology.render.knot import CONFIGURATION

# ---------------------------------------------------------------- daemons and what they serve


@one("daemon")
def _daemon(box: Box, expected: Expected, thing: str) -> Values | None:
    if not box.host.service(thing).is_running:
        return {"configuration": CURRENT}
    if box.platform == "freebsd":
        rows = [line.split() for line in box.say("ps -axo etimes,comm").splitlines()[1:]]
        program = {"kea": "kea-dhcp4"}.get(thing, thing)
        started = time.time() - max(int(seconds) for seconds, name in rows if name == program)
    else:
        said = box.say(f"systemctl show --value --property=StateChangeTimestamp --timestamp=unix {shlex.quote(thing)}")
        started = int(said.strip().lstrip("@"))
    paths = next(e.of for e in expected.of_kind("daemon") if e.thing == thing)
    changed = {p: box.host.file(p).mtime for p in paths if box.host.file(p).exists}
    late = [p for p, at in sorted(changed.items()) if at.replace(tzinfo=datetime.UTC).timestamp() > started + 1]
    return {"configuration": f"older than {', '.join(late)}" if late else CURRENT}


@one("dhcp")
def _subnet(box: Box, expected: Expected, thing: str) -> Values | None:
    return _subnets(box, expected).get(thing)


@every("dhcp")
def _subnets(box: Box, expected: Expected) -> Things:
    found: Things = {}
    for path in (f"/{FOLDERS[box.platform]}/kea-dhcp{family}.conf" for family in (4, 6)):
        if not box.host.file(path).exists:
            continue
        text = re.sub(r"^\s*(//|#).*$", "", box.host.file(path).content_string, flags=re.MULTILINE)
        whole = next(iter(json.loads(text).values()))
        shared = [(n, s) for n in whole.get("shared-networks", ()) for s in n["subnet6"]]
        for network, subnet in [({}, s) for s in (*whole.get("subnet4", ()), *whole.get("subnet6", ()))] + shared:
            told = {o["name"]: o["data"] for x in (network, subnet) for o in x.get("option-data", ())}
            reserved = [
                f"{r['hw-address']} {r.get('ip-address') or ' '.join(r['ip-addresses'])}"
                for r in subnet.get("reservations", ())
            ]
            found[subnet["subnet"]] = {
                "interface": subnet.get("interface") or network.get("interface"),
                "pools": ", ".join(sorted(p["pool"] for p in subnet["pools"])) or "none",
                "reservations": ", ".join(sorted(reserved)) or "none",
                "routers": told.get("routers", "none"),
                "names": told.get("domain-name-servers") or told.get("dns-servers") or "none",
            }
    return found


# ---------------------------------------------------------------- names


def _knot(port: str, box: Box) -> str:
    """Return the configuration of the Knot that answers at a port."""
    for path in CONFIGURATION.values():
        file = box.host.file(f"/{path}")
        if file.exists and f'"127.0.0.1@{port}"' in file.content_string:
            return f"knotc -c /{path}"
    raise ValueError(f"no name server at port {port}")


@one("answer")
def _answer(box: Box, expected: Expected, thing: str) -> Values | None:
    name, kind, server = thing.split(" ")
    _, _, port = server.partition("#")
    if port:
        zones = (x.thing.split(" ")[1] for x in expected.of_kind("zone"))
        zone = next(z for z in zones if f"{name}.".endswith(f".{z}"))
        rows = [r.split(" ", 4) for r in _asked(box, f"{_knot(port, box)} zone-read {zone} {name}. {kind}")]
        data = [r[-1] for r in rows if len(r) == 5]
    else:
        rows = [r.split() for r in _asked(box, "unbound-control list_local_data")]
        data = [r[4].rstrip(".") for r in rows if len(r) >= 5 and r[0] == f"{name}." and r[3] == kind]
    if not data:
        return None
    return {"status": "NOERROR", "data": " ".join(sorted(map(_address, data)))}


def _asked(box: Box, command: str) -> list[str]:
    """Return what a control program says; nothing when its daemon is not there."""
    done = box.ask(command)
    return done.stdout.splitlines() if done.rc == 0 else []


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


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


# ---------------------------------------------------------------- certificates


@one("certificate")
def _certificate(box: Box, expected: Expected, thing: str) -> Values | None:
    if not box.host.file(thing).exists:
        return None
    path = shlex.quote(thing)
    key = shlex.quote(next(e.of for e in expected.of_kind("certificate") if e.thing == thing)[0])

    def field(name: str) -> str:
        return box.say(f"openssl x509 -in {path} -noout -{name} -nameopt RFC2253").strip().partition("=")[2].strip()

    until = datetime.datetime.strptime(field("enddate"), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=datetime.UTC)
    same = box.say(f"openssl x509 -in {path} -noout -pubkey") == box.say(f"openssl pkey -in {key} -pubout")
    return {
        "subject": field("subject"), "issuer": field("issuer"),
        "days": (until - datetime.datetime.now(datetime.UTC)).days, "key": "matches" if same else "is another's",
    }  # fmt: skip


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


# ---------------------------------------------------------------- FreeBSD


@one("table")
def _table(box: Box, expected: Expected, thing: str) -> Values | None:
    done = box.ask(f"pfctl -q -t {shlex.quote(thing)} -T show")
    if done.rc:
        return None
    rows = [row.strip() for row in done.stdout.splitlines() if row.strip()]
    found = [f"{'!' if r[0] == '!' else ''}{ipaddress.ip_network(r.lstrip('!'))}" for r in rows]
    return {"addresses": " ".join(sorted(found))}
