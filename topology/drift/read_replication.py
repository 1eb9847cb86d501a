"""What databases, backups and NAS say of themselves. Pure; a host may answer anything at all.

Patroni's REST interface (GET /patroni), `pgbackrest info --output=json`, `nas status --json`, smb.conf.
"""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from topology.drift.observed import Things

Reader = Callable[[str], dict[str, Things]]
_RIGHTS = ("path", "read only", "writeable", "writable", "guest ok", "public", "valid users", "invalid users",
           "write list", "admin users", "force user", "force group", "create mask", "directory mask",
           "browseable", "hosts allow")  # fmt: skip
"""Settings of a share that say who may do what (smb.conf(5))."""


def share_sections(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the shares of a Samba configuration, with `global`, from which they start; ValueError when it is none."""
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",), comment_prefixes=("#", ";"))
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error).splitlines()[0]) from error
    if not parser.has_section("global"):
        raise ValueError("no [global]")
    for name in parser.sections():
        own = dict(parser.items(name))
        if name == "global":
            yield name, {k: own.get(k, "not set") for k in ("map to guest", "server min protocol", "smb encrypt",
                                                            "server smb encrypt", "hosts allow")}  # fmt: skip
        else:
            yield name, {k: own.get(k, "not set") for k in _RIGHTS}


def _shares(text: str) -> dict[str, Things]:
    configuration, mark, folders = f"{text}\n".partition("\nfolders\n")
    if not mark:
        raise ValueError("cut off")
    rights: Things = {}
    for line in folders.splitlines():
        if line.strip():
            mode, owner, group, path = line.split(" ", 3)
            rights[path] = {"mode": mode, "owner": owner, "group": group}
    return {"share": dict(share_sections(configuration)), "right": rights}


_SUBVOLUME = re.compile(r"ID (\d+) .*? path live/files/((?:users|agencies)/.+)")


def _quotas(text: str) -> dict[str, Things]:
    """Read `btrfs subvolume list` and `btrfs qgroup show -r --raw`; nothing where the disk is not mounted.

    Where quotas are off the second is empty, and nobody has one.
    """
    if not text.strip():
        return {"quota": {}}
    volumes, mark, groups = f"\n{text}\n".partition("\nlimits\n")
    if not mark:
        raise ValueError("cut off")
    limits = {}
    for row in groups.splitlines():
        words = row.split()
        if words and words[0].startswith("0/"):
            limits[words[0][2:]] = words[3]
    things: Things = {}
    for row in volumes.splitlines():
        found = _SUBVOLUME.match(row)
        if found:
            size = limits.get(found[1], "none")
            things[found[2]] = {"limit": f"{int(size) / 2**30:g} GiB" if size.isdigit() else "none"}
    return {"quota": things}


def _accounts(text: str) -> dict[str, Things]:
    """Read `pdbedit -L`: name:number:full name."""
    things: Things = {}
    for row in text.splitlines():
        name, number, _ = row.split(":", 2)
        things[name] = {"uid": int(number)}
    return {"account": things}


_ROLES = {"master": "primary", "primary": "primary", "replica": "replica", "standby_leader": "standby leader"}


def _cluster(text: str) -> dict[str, Things]:
    first, _, rest = text.partition("\n")
    if not rest.strip():
        return {"replication": {}}  # Patroni does not run
    said: dict[str, Any] = json.loads(rest)
    role, positions = _ROLES.get(said["role"], str(said["role"])), said.get("xlog") or {}
    things: Things = {
        "database": {
            "state": said["state"], "role": role,
            "maintenance": bool(said.get("pause", False)), "synchronous": bool(said.get("sync_standby", False)),
            "replay": "paused" if positions.get("paused") else "going on",
        }
    }  # fmt: skip
    # Patroni 3.0 says null of a standby's timeline; a member that does not run knows neither
    for field, name in (("timeline", "timeline"), ("system", "database_system_identifier")):
        if said.get(name) is not None:
            things["database"][field] = said[name]
    if role == "primary":
        things[f"database to {first.strip()}"] = {"state": "streaming", "sync": "itself"}
        for stream in said.get("replication", ()):
            name = str(stream["application_name"])
            things[f"database to {name}"] = {"state": stream["state"], "sync": stream["sync_state"]}
    return {"replication": things}


def _backups(text: str) -> dict[str, Things]:
    head, _, rest = text.partition("\n\n")
    first, *lines = head.splitlines()
    # made TIME FOLDER/NAME/backup.info
    made = {line.split("/")[-2]: int(line.split(" ")[1]) for line in lines if line.startswith("made ")}
    now, things = int(first), Things()
    for stanza in json.loads(rest):
        name, status = stanza["name"], stanza["status"]
        ends = [int(b["timestamp"]["stop"]) for b in stanza["backup"] if not b.get("error")]
        empty = status["code"] == 2 and name in made  # no valid backups (pgBackRest, command info)
        since = [*ends, *([made[name]] if empty else [])]
        things[name] = {
            "status": "none yet" if empty else status["message"] if status["code"] else "ok",
            "age": now - max(since) if since else "never", "backups": len(ends),
        }  # fmt: skip
    return {"backup": things}


def _nas(text: str) -> dict[str, Things]:
    said: dict[str, Any] = json.loads(text)
    host, active = str(said["host"]), str(said["active"])
    things: Things = {
        "files": {
            "active": active or "none", "epoch": int(said["epoch"]), "serving": bool(said["serving"]),
            "set aside": bool(said["set_aside_pending"]), "free": int(said["free_bytes"]),
        }
    }  # fmt: skip
    if active == host:
        for name, seconds in {host: 0, **said["behind_seconds"]}.items():
            things[f"files to {name}"] = {"behind": int(seconds), "kept": True}
    return {"replication": things}


READERS: dict[str, tuple[tuple[str, ...], Reader]] = {
    "cluster": (("replication",), _cluster), "backups": (("backup",), _backups), "nas": (("replication",), _nas),
    "shares": (("share", "right"), _shares), "quotas": (("quota",), _quotas), "accounts": (("account",), _accounts),
}  # fmt: skip
"""Section of the script -> kinds of things read in it, and the reader."""
