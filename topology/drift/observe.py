"""From a script's output to what was read. Pure; a host may answer anything at all."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from topology.drift import (
    read_both,
    read_databases,
    read_freebsd,
    read_replication,
    read_seen,
    read_services,
    read_zones,
)
from topology.drift.observed import BY_HAND, Observed, Things
from topology.drift.script import BEGIN, END
from topology.expect.compile import fingerprint

KINDS = {
    "files": ("file",), "packages": ("package",), "services": ("service",), "listeners": ("listen",),
    "addresses": ("address",), "routes": ("route",), "ways": ("route",), "sysctls": ("sysctl",),
    "users": ("user", "key"), "mounts": ("mount",), "ruleset": ("ruleset",),
    "shape": ("shape",),
    "peers": ("peer", "tunnel"), "neighbours": ("neighbour",), "time": ("time",),
}  # fmt: skip
"""Section of the script -> kinds of things read in it."""


def observe(output: str, word: str) -> Observed:
    """Return what a script's output says; a section that is cut off, failed or makes no sense is unobserved."""
    found = Observed()
    sections, broken = _sections(output, word)
    if not sections and not broken:
        found.failed = "the answer makes no sense: " + (_first_line(output) or "nothing came")
        return found
    for name, why in broken.items():
        found.unobserved |= dict.fromkeys(KINDS.get(name, ()), why)
    for name, text in sections.items():
        try:
            for kind, things in _READERS[name](text).items():
                found.kinds.setdefault(kind, {}).update(things)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            why = f"the answer makes no sense ({type(error).__name__}): {_first_line(text)}"
            found.unobserved |= dict.fromkeys(KINDS[name], why)
    return found


def _first_line(text: str) -> str:
    lines = [x.strip() for x in text.splitlines() if x.strip()]
    # what a Python program died of is said at the end
    line = lines[-1] if lines and lines[0].startswith("Traceback ") else next(iter(lines), "")
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= 120 else line[:117] + "..."


def _sections(output: str, word: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return name -> text of whole sections, and name -> what is wrong of others."""
    found: dict[str, str] = {}
    broken: dict[str, str] = {}
    current, lines = "", list[str]()
    for line in output.splitlines():
        if not line.startswith(f"{word} "):
            lines.append(line)
            continue
        _, verb, rest = (*line.split(" ", 2), "", "")[:3]
        name, _, code = rest.partition(" ")
        if verb == BEGIN:
            if current:
                broken[current] = "the answer was cut off"
            current, lines = name, []
        elif verb == END and name == current:
            text = "\n".join(lines).strip("\n")
            if code == "0" and name in _READERS:
                found[name] = text
            else:
                broken[name] = f"reading failed ({code}): {_first_line(text)}"
            current = ""
    if current:
        broken[current] = "the answer was cut off"
    return found, broken


def _files(text: str) -> dict[str, Things]:
    stats, _, rest = text.partition("digests\n")
    digests, _, owned = rest.partition("owned")
    things: Things = {}
    for line in stats.split("\n"):
        if line.strip():
            mode, owner, group, changed, path = line.split(" ", 4)
            things[path] = {"mode": mode, "owner": owner, "group": group, "changed": int(changed)}
    for line in digests.split("\n"):
        if line.strip():
            digest, path = line.split(maxsplit=1)
            things[path]["sha256"] = digest
    for path in owned.split():
        things.setdefault(path, {"owned": True})
    return {"file": things}


def _packages(text: str) -> dict[str, Things]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    # un, rc: not there, or only its configuration is left
    there = (words for words in lines if words[0][:2] not in ("un", "rc"))
    return {"package": {words[-1]: {"installed": words[0].startswith("ii")} for words in there}}


def _services(text: str) -> dict[str, Things]:
    now, up, rest = (*text.split("\n", 2), "", "")[:3]
    booted = float(now) - float(up) if rest.strip() else 0.0
    things: Things = {}
    for block in rest.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if fields and fields["LoadState"] != "not-found":
            name = fields["Id"].removesuffix(".service")
            since = int(fields.get("StateChangeTimestampMonotonic", "0")) / 1e6
            things[name] = {
                "active": fields["ActiveState"], "enabled": fields["UnitFileState"],
                # rounded up: a file's time has no fractions
                "started": math.ceil(booted + since),
            }  # fmt: skip
    return {"service": things}


def _listeners(text: str) -> dict[str, Things]:
    things: Things = {}
    for line in text.splitlines():
        words = line.split()
        protocol, local = words[0], words[4]
        address, _, port = local.rpartition(":")
        if address.strip("[]").split("%")[0] in ("::1", "localhost") or address.startswith("127."):
            continue
        program = re.search(r'\(\("([^"]+)"', line)
        things[f"{int(port)}/{protocol}"] = {"program": program[1] if program else ""}
    return {"listen": things}


def _addresses(text: str) -> dict[str, Things]:
    things: Things = {}
    for interface in json.loads(text):
        for entry in interface["addr_info"]:
            if "local" in entry:
                things[f"{interface['ifname']} {entry['local']}/{entry['prefixlen']}"] = {}
    return {"address": things}


def _routes(text: str) -> dict[str, Things]:
    """Return default routes of ordinary hosts, and all that somebody set by hand (protocol boot)."""
    things: Things = {}
    for family, part in zip("46", text.split("\n", 1), strict=False):
        for route in json.loads(part or "[]"):
            target, protocol = route["dst"], route.get("protocol", "boot")
            via = route.get("gateway", "")
            if target == "default" and protocol == "static":
                things[f"default{family}"] = {"via": via, "owned": False}
            elif protocol == "boot":
                things[f"{target}{BY_HAND}"] = {"via": via, "dev": route.get("dev", "")}
    return {"route": things}


def _ways(text: str) -> dict[str, Things]:
    things: Things = {}
    for address, routes in _parts(text, "to "):
        for route in json.loads(routes or "[]"):
            hop = route if "dev" in route else (route.get("nexthops") or [{}])[0]
            things[f"to {address}"] = {
                "dev": hop.get("dev", ""), "protocol": route.get("protocol", ""), "owned": False,
            }  # fmt: skip
    return {"route": things}


def _parts(text: str, mark: str) -> Iterator[tuple[str, str]]:
    """Yield what follows the mark on a line, and the text up to the next such line."""
    for part in f"\n{text}".split(f"\n{mark}")[1:]:
        name, _, rest = part.partition("\n")
        yield name, rest.strip()


def _sysctls(text: str) -> dict[str, Things]:
    pairs = (line.split(" = ", 1) for line in text.splitlines() if " = " in line)
    return {"sysctl": {name: {"value": " ".join(value.split())} for name, value in pairs}}


_SYSTEM = ("root", "nobody", "systemd-network", "systemd-resolve", "systemd-timesync", "systemd-coredump")


def _users(text: str) -> dict[str, Things]:
    users: Things = {}
    keys: Things = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "user":
            name, uid, shell, admin, password = rest.split(" ")
            # numbers of 900-999 are those of packages; one with a shell is somebody's
            person = int(uid) >= 1000 or not shell.endswith(("nologin", "false"))
            # FreeBSD's second root is nobody's while it has no password
            spare = name == "toor" and password == "locked"
            if name not in _SYSTEM and person and not spare:
                users[name] = {"shell": shell, "administrator": admin == "yes", "password": password}
        elif word == "key":
            name, _, key = rest.partition(" ")
            keys[f"{name} {fingerprint(key)}"] = {}
    return {"user": users, "key": keys}


def _mounts(text: str) -> dict[str, Things]:
    things: Things = {}
    for line in text.splitlines():
        target, source, kind, options = line.split(" ", 3)
        things[target] = read_both.mount(target, source, kind, options)
    return {"mount": things}


_UNITS = {"bit": 1, "Kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9, "Tbit": 10**12}


def _shape(text: str) -> dict[str, Things]:
    things: Things = {}
    for device, classes in _parts(text, "dev "):
        for line in classes.splitlines():
            # tc -json prints these classes as text
            found = re.match(r"class htb (\S+) .*rate (\d+)(\w*bit) ceil (\d+)(\w*bit)", line)
            if found:
                things[f"{device} {found[1]}"] = {
                    "rate": int(found[2]) * _UNITS[found[3]], "ceiling": int(found[4]) * _UNITS[found[5]],
                }  # fmt: skip
    return {"shape": things}


def _peers(text: str) -> dict[str, Things]:
    now, _, rest = text.partition("\n")
    peers: Things = {}
    tunnels: Things = {}
    for line in rest.splitlines():
        words = line.split("\t")
        if len(words) == 5:
            tunnels[words[0]] = {"key": words[2]}
        else:
            interface, key, _, endpoint, allowed, handshake = words[:6]
            age = int(now) - int(handshake) if int(handshake) else "never"
            peers[f"{interface} {key}"] = {
                "allowed": ",".join(sorted(allowed.split(","))), "handshake": age, "endpoint": endpoint,
            }  # fmt: skip
    return {"peer": peers, "tunnel": tunnels}


def _neighbours(text: str) -> dict[str, Things]:
    things: Things = {}
    for name, entry in json.loads(text).items():
        if isinstance(entry, dict):
            bfd: dict[str, Any] = entry.get("peerBfdInfo") or {}
            counts = list((entry.get("addressFamilyInfo") or {}).values())
            things[name] = {
                "state": entry.get("bgpState", ""), "bfd": str(bfd.get("status", "none")).lower(),
                "received": sum(int(c.get("acceptedPrefixCounter", 0)) for c in counts),
                "sent": sum(int(c.get("sentPrefixCounter", 0)) for c in counts),
            }  # fmt: skip
    return {"neighbour": things}


def _time(text: str) -> dict[str, Things]:
    # chronyc(1), tracking -c: id, name, stratum, reference time, system time offset (s), ..., leap status
    words = text.strip().split(",")
    return {"time": {"clock": {"synchronised": words[-1] != "Not synchronised", "offset": abs(float(words[4]))}}}


_READERS: dict[str, Callable[[str], dict[str, Things]]] = {
    "files": _files, "packages": _packages, "services": _services, "listeners": _listeners,
    "addresses": _addresses, "routes": _routes, "ways": _ways, "sysctls": _sysctls, "users": _users,
    "mounts": _mounts, "ruleset": read_both.ruleset, "shape": _shape, "peers": _peers, "neighbours": _neighbours,
    "time": _time,
}  # fmt: skip

for _module in (read_freebsd, read_services, read_seen, read_replication, read_databases, read_zones):
    for _name, (_kinds, _reader) in _module.READERS.items():
        KINDS[_name], _READERS[_name] = _kinds, _reader
