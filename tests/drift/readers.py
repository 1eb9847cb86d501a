"""How the twin reads each kind of thing, by testinfra's modules and commands: never by the sweep's script or parsers.

On Debian things of a kind are asked for in one command where that is possible: a command costs a sudo and a shell
on the host, and a gateway has two hundred things.

A kind has a reader of one thing (`one`: its values, None when it is not there) and, where nothing may be there that
is not expected, a reader of all (`every`). To add a kind, add a function here.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import shlex
import struct
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from posixpath import dirname
from typing import Any

from tests.drift.box import Box
from topology.drift.judge import Things
from topology.drift.read_services import CHAIN
from topology.expect import Expected, freebsd
from topology.expect.daemons import CURRENT

Values = dict[str, Any]
One = Callable[[Box, Expected, str], Values | None]
Every = Callable[[Box, Expected], Things]
ONE: dict[str, One] = {}
EVERY: dict[str, Every] = {}


def one(kind: str) -> Callable[[One], One]:
    """Take a function as the reader of one thing of a kind."""
    return lambda function: ONE.setdefault(kind, function)


def every(kind: str) -> Callable[[Every], Every]:
    """Take a function as the reader of all things of a kind."""
    return lambda function: EVERY.setdefault(kind, function)


# ---------------------------------------------------------------- files, packages, services


@one("file")
def _file(box: Box, expected: Expected, thing: str) -> Values | None:
    if box.platform == "debian":
        return _found(box, expected).get(thing)
    file = box.host.file(thing)
    if not file.exists:
        return None
    return {"sha256": file.sha256sum, "owner": file.user, "group": file.group, "mode": f"{file.mode:o}"}


def _found(box: Box, expected: Expected) -> Things:
    """Return the files that are there, of all that matter; of a link what it leads to, as testinfra does."""
    paths = {e.thing for e in expected.of_kind("file")} | {p for e in expected.of_kind("daemon") for p in e.of}
    names = " ".join(map(shlex.quote, sorted(paths)))
    found: Things = {}
    for line in box.ask(f"find -L {names} -maxdepth 0 -printf '%m\\t%u\\t%g\\t%T@\\t%p\\n'").stdout.splitlines():
        mode, owner, group, changed, path = line.split("\t")
        found[path] = {"mode": mode, "owner": owner, "group": group, "changed": int(changed.partition(".")[0])}
    for line in box.ask(f"sha256sum {names}").stdout.splitlines():
        digest, path = line.split(maxsplit=1)
        found[path]["sha256"] = digest
    return found


@every("file")
def _files(box: Box, expected: Expected) -> Things:
    found: Things = {}
    for folder in {dirname(pattern) for pattern in expected.owned}:
        if box.host.file(folder).is_directory:
            paths = [f"{folder}/{name}" for name in box.host.file(folder).listdir()]
            found |= {p: {} for p in paths if any(_matches(p, pattern) for pattern in expected.owned)}
    return found


def _matches(path: str, pattern: str) -> bool:
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)


@one("package")
def _package(box: Box, expected: Expected, thing: str) -> Values | None:
    if box.platform == "debian":
        lines = [line.split() for line in box.say("dpkg --list").splitlines() if line.startswith("ii")]
        return {"installed": True} if thing in {words[1].partition(":")[0] for words in lines} else None
    return {"installed": True} if box.host.package(thing).is_installed else None


@one("service")
def _service(box: Box, expected: Expected, thing: str) -> Values | None:
    if box.platform == "freebsd":
        # testinfra's `exists` looks in /etc/rc.d only, and packages are in /usr/local/etc/rc.d
        if not any(box.host.file(f"{folder}/{thing}").exists for folder in ("/etc/rc.d", "/usr/local/etc/rc.d")):
            return None
        service = box.host.service(thing)
        active = "active" if service.is_running else "inactive"
        return {"active": active, "enabled": "enabled" if service.is_enabled else "disabled"}
    unit = _units(box, expected)[thing]
    if unit["load"] == "not-found":
        return None
    return {"active": unit["active"], "enabled": unit["enabled"]}


def _units(box: Box, expected: Expected) -> dict[str, dict[str, str]]:
    """Return of every service: load, active, enabled, and since when (seconds of the clock)."""
    names = sorted({e.thing for kind in ("service", "daemon") for e in expected.of_kind(kind)})
    loop = (
        f"for u in {' '.join(map(shlex.quote, names))}; do"
        ' l=$(systemctl show --property LoadState "$u"); t=$(systemctl show --property StateChangeTimestamp "$u");'
        ' t=$(date -d "${t#*=}" +%s 2>/dev/null);'
        ' echo "$u ${l#*=} $(systemctl is-active "$u") $(systemctl is-enabled "$u" 2>/dev/null | head -n 1) ${t:-0}";'
        " done"
    )
    found = {}
    for line in box.say(loop).splitlines():
        name, load, active, *enabled, since = line.split(" ")
        found[name] = {"load": load, "active": active, "enabled": " ".join(enabled), "since": since}
    return found


# ---------------------------------------------------------------- ports


@one("listen")
def _listens(box: Box, expected: Expected, thing: str) -> Values | None:
    return _listening(box).get(thing)


@every("listen")
def _all_that_listens(box: Box, expected: Expected) -> Things:
    return _listening(box)


def _listening(box: Box) -> Things:
    found: Things = {}
    for protocol, address, port, program in _sockstat(box) if box.platform == "freebsd" else _proc_net(box):
        if not (address.startswith("127.") or address == "::1"):
            entry = found.setdefault(f"{port}/{protocol}", {"program": program})
            entry["program"] = entry["program"] or program
    return found


def _sockstat(box: Box) -> Iterator[tuple[str, str, int, str]]:
    """Yield protocol, address, port and program; sockstat(1)."""
    for line in box.say("sockstat -46l -q").splitlines():
        _, program, _, _, protocol, local, _ = line.split()
        address, _, port = local.rpartition(":")
        if port != "*" and protocol[:3] in ("tcp", "udp"):
            yield protocol[:3], address.split("%")[0], int(port), "" if program == "?" else program


def _proc_net(box: Box) -> Iterator[tuple[str, str, int, str]]:
    """Yield the same from the kernel's tables: what ss reads, without ss."""
    owners = {}
    for line in box.say("find /proc/[0-9]*/fd -lname 'socket:*' -printf '%l %h\\n' 2>/dev/null; :").splitlines():
        socket, _, folder = line.partition(" ")
        owners[socket.removeprefix("socket:[").rstrip("]")] = folder.split("/")[2]
    names = {}
    for line in box.say("grep -H '' /proc/[0-9]*/comm 2>/dev/null; :").splitlines():
        path, _, name = line.partition(":")
        names[path.split("/")[2]] = name
    for protocol, states in (("tcp", {"0A"}), ("udp", {"07"})):
        for six in ("", "6"):
            for line in box.say(f"cat /proc/net/{protocol}{six}").splitlines()[1:]:
                words = line.split()
                address, _, port = words[1].partition(":")
                if words[3] in states and int(port, 16):
                    yield protocol, _decoded(address), int(port, 16), names.get(owners.get(words[9], ""), "")


def _decoded(hexadecimal: str) -> str:
    """Return an address of /proc/net, which has words of 32 bits in the machine's order."""
    words = [bytes.fromhex(hexadecimal[i : i + 8])[::-1] for i in range(0, len(hexadecimal), 8)]
    if len(words) == 1:
        return ".".join(map(str, words[0]))
    whole = b"".join(words)
    if whole[:12] == bytes(10) + b"\xff\xff":
        return ".".join(map(str, whole[12:]))
    return "::1" if whole == bytes(15) + b"\x01" else whole.hex(":", 2)


# ---------------------------------------------------------------- addresses and routes


@one("address")
def _address(box: Box, expected: Expected, thing: str) -> Values | None:
    return _addresses(box, expected).get(thing)


@every("address")
def _addresses(box: Box, expected: Expected) -> Things:
    found: Things = {}
    if box.platform == "freebsd":
        interface = ""
        for line in box.say("ifconfig -a -f inet:cidr,inet6:cidr").splitlines():
            words = line.split()
            if line[:1].strip():
                interface = words[0].rstrip(":")
            elif words and words[0] in ("inet", "inet6"):
                address, _, length = words[1].partition("/")
                found[f"{interface} {address.partition('%')[0]}/{length}"] = {}
        return found
    for line in box.say("ip -oneline address").splitlines():
        words = line.split()
        if words[2] in ("inet", "inet6"):
            length = "" if "/" in words[3] else ("/128" if words[2] == "inet6" else "/32")
            address = words[3]
            if "peer" in words:  # a tunnel's: the length is the peer's
                length = "/" + words[words.index("peer") + 1].partition("/")[2]
            found[f"{words[1]} {address}{length}"] = {}
    return found


@one("route")
def _route(box: Box, expected: Expected, thing: str) -> Values | None:
    if thing.startswith("default"):
        family = thing.removeprefix("default")
        if box.platform == "freebsd":
            word = re.search(r"gateway: (\S+)", box.ask(f"route -{family} -n get default").stdout)
            return {"via": word[1]} if word else None
        line = next(iter(box.say(f"ip -{family} route show default proto static").splitlines()), "")
        return {"via": _after(line, "via")} if line else None
    address = thing.removeprefix("to ")
    family = "6" if ":" in address else "4"
    if box.platform == "freebsd":
        # the kernel does not know who made a route
        answer = json.loads(box.say(f"vtysh -c 'show {'ipv6' if family == '6' else 'ip'} route {address} json'"))
        chosen = [r for routes in answer.values() for r in routes if r.get("selected")]
        hops = [h for r in chosen for h in r["nexthops"] if h.get("fib")]
        return {"dev": hops[0]["interfaceName"], "protocol": chosen[0]["protocol"]} if hops else None
    # of all that cover the address, the longest that is no default
    covering = box.say(f"ip -{family} -oneline route show match {address} table main").splitlines()
    kinds = ("blackhole ", "unreachable ", "prohibit ", "throw ")  # a word before the target of some
    targets = [(next((line.removeprefix(k) for k in kinds if line.startswith(k)), line), line) for line in covering]
    ways = [(target.split()[0], line) for target, line in targets if line.strip() and not target.startswith("default")]
    if not ways:
        return None
    way = max(ways, key=lambda way: int(way[0].partition("/")[2] or 128))[1]
    return {"dev": _after(way, "dev"), "protocol": _after(way, "proto")}


@every("route")
def _routes_by_hand(box: Box, expected: Expected) -> Things:
    found: Things = {}
    if box.platform == "freebsd":
        for line in box.say("netstat -rnW").splitlines():
            words = line.split()
            # S: static; 1: a routing daemon's (RTF_PROTO1)
            if len(words) > 3 and "S" in words[2] and "1" not in words[2] and words[0] != "default":
                found[f"{words[0]} by hand"] = {"via": words[1]}
        return found
    for family in "46":
        for line in box.say(f"ip -{family} -oneline route show table main proto boot").splitlines():
            if line.strip():
                found[f"{line.split()[0]} by hand"] = {"via": _after(line, "via"), "dev": _after(line, "dev")}
    return found


def _after(line: str, word: str) -> str:
    words = line.split()
    return words[words.index(word) + 1] if word in words else ""


# ---------------------------------------------------------------- kernel, disks, clock


@one("sysctl")
def _sysctl(box: Box, expected: Expected, thing: str) -> Values | None:
    if box.platform == "freebsd":
        done = box.ask(f"sysctl -n {thing}")
        return {"value": " ".join(done.stdout.split())} if done.rc == 0 else None
    paths = {e.thing: _proc_sys(e.thing) for e in expected.of_kind("sysctl")}
    done = box.ask(f"grep -H '' {' '.join(map(shlex.quote, sorted(set(paths.values()))))}")
    values = dict(line.split(":", 1) for line in done.stdout.splitlines())
    path = paths[thing]
    return {"value": " ".join(values[path].split())} if path in values else None


def _proc_sys(name: str) -> str:
    # names of interfaces may have dots
    return "/proc/sys/" + (name.replace(".", "/") if "/" not in name else name)


@one("mount")
def _mount(box: Box, expected: Expected, thing: str) -> Values | None:
    mount = box.host.mount_point(thing)
    return {"mode": "ro" if {"ro", "read-only"} & set(mount.options) else "rw"} if mount.exists else None


@every("mount")
def _odd_mounts(box: Box, expected: Expected) -> Things:
    """Return what is mounted from a disk, from memory or from elsewhere outside the folders of the system."""
    found: Things = {}
    local = [w[1] for w in map(str.split, box.say("cat /proc/filesystems").splitlines()) if w[0] == "nodev"]
    nobodys = set(local) - {"tmpfs", "overlay", "nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "fuse"}
    for line in box.say("cat /proc/mounts").splitlines():
        source, target, kind = line.split()[:3]
        first = target.split("/")[1]
        remote = ":" in source or source.startswith("//") or kind.startswith("fuse.")
        system = first in ("", "boot", "dev", "home", "proc", "run", "sys", "tmp", "usr", "var")
        if remote or not (system or kind in nobodys):
            found[target] = {"source": source, "type": kind}
    return found


@one("time")
def _time(box: Box, expected: Expected, thing: str) -> Values | None:
    text = box.say("chronyc tracking")
    offset = re.search(r"^System time +: ([0-9.]+) seconds", text, re.MULTILINE)
    leap = re.search(r"^Leap status +: (.+)$", text, re.MULTILINE)
    if not offset or not leap:
        raise ValueError(text)
    return {"synchronised": leap[1] != "Not synchronised", "offset": float(offset[1])}


# ---------------------------------------------------------------- people

_SYSTEM = {"nobody", "systemd-network", "systemd-resolve", "systemd-timesync", "systemd-coredump"}
_NO_LOGIN = re.compile(r"(nologin|false)$")


@one("user")
def _user(box: Box, expected: Expected, thing: str) -> Values | None:
    user = box.host.user(thing)
    if not user.exists:
        return None
    group = "wheel" if box.platform == "freebsd" else "sudo"
    word = user.password
    password = "none" if not word else "locked" if word[0] in "!*" else "set"
    if word.startswith("*LOCKED*"):  # FreeBSD: not even a key lets in
        password = "shut-out"
    return {"shell": user.shell, "administrator": group in user.groups, "password": password}


@every("user")
def _users(box: Box, expected: Expected) -> Things:
    people: Things = {}
    for line in _accounts(box):
        name, _, number, _, _, _, shell = line.split(":")
        packaged = int(number) < 900 or (int(number) < 1000 and _NO_LOGIN.search(shell))
        if not packaged and name not in _SYSTEM:
            people[name] = {"shell": shell}
    return people


def _accounts(box: Box) -> list[str]:
    """Return the lines of passwd(5): the host's own, and those of people that a NAS has besides."""
    lines = box.say("cat /etc/passwd").splitlines()
    more = box.ask("cat /var/lib/extrausers/passwd").stdout.splitlines()
    return [line for line in (*lines, *more) if line and not line.startswith("#")]


@one("key")
def _key(box: Box, expected: Expected, thing: str) -> Values | None:
    return _keys(box, expected).get(thing)


@every("key")
def _keys(box: Box, expected: Expected) -> Things:
    found: Things = {}
    for line in _accounts(box):
        name, _, number, _, _, home, _ = line.split(":")
        if int(number) < 900 and int(number) != 0:
            continue
        # 256 SHA256:... comment (ED25519)
        one = f"ssh-keygen -l -f '{home}/.ssh/authorized_keys' 2>/dev/null"
        text = box.say(f"{one}; {one.replace('_keys', '_keys2')}; :")
        found |= {f"{name} {line.split()[1]}": {} for line in text.splitlines() if "SHA256:" in line}
    return found


# ---------------------------------------------------------------- what a gateway's kernel and daemons have loaded

_IN_A_NETWORK = (
    "f=$(mktemp) && cat >$f <<'TWIN' && unshare --net sh -c \"nft -f $f && nft -j list ruleset\"; "
    "s=$?; rm -f $f; exit $s\n"
)


@one("ruleset")
def _ruleset(box: Box, expected: Expected, thing: str) -> Values | None:
    wanted = _rules(box.say(f"{_IN_A_NETWORK}{expected.texts['ruleset']}\nTWIN"))
    loaded = _rules(box.say("nft -j list ruleset"))
    more, less = sorted(loaded - wanted), sorted(wanted - loaded)
    if wanted == loaded:
        return {"loaded": "as rendered"}
    return {"loaded": " | ".join([*(f"more: {x[:120]}" for x in more[:3]), *(f"less: {x[:120]}" for x in less[:3])])}


def _rules(text: str) -> frozenset[str]:
    """Return nft's objects without what comes and goes by itself; a rule with its place in the chain."""
    found = []
    places: dict[tuple[str, ...], int] = {}
    for entry in json.loads(text)["nftables"]:
        kind, body = next(iter(entry.items()))
        if kind == "metainfo":
            continue
        body.pop("handle", None)
        if kind in ("set", "map") and (
            {"dynamic", "timeout"} & set(body.get("flags", ())) or body["name"].startswith("blocked")
        ):
            body.pop("elem", None)
        if kind == "rule":
            chain = (body["family"], body["table"], body["chain"])
            places[chain] = body["place"] = places.get(chain, 0) + 1
            body["expr"] = [_without_counts(x) for x in body["expr"]]
        elif kind == "counter":
            body = _without_counts(body)
        if isinstance(body.get("elem"), list):
            body["elem"] = sorted(json.dumps(x, sort_keys=True) for x in body["elem"])
        found.append(json.dumps({kind: body}, sort_keys=True))
    return frozenset(found)


def _without_counts(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_counts(v) for k, v in value.items() if k not in ("packets", "bytes")}
    return [_without_counts(v) for v in value] if isinstance(value, list) else value


_BITS = {"bit": 1, "Kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9}


@one("shape")
def _shape(box: Box, expected: Expected, thing: str) -> Values | None:
    device, name = thing.split()
    for line in box.ask(f"tc class show dev {device}").stdout.splitlines():
        if line.split()[2] == name:
            return {"rate": _rate(_after(line, "rate")), "ceiling": _rate(_after(line, "ceil"))}
    return None


def _rate(word: str) -> int:
    digits = word.rstrip("KMGbit")
    return int(digits) * _BITS[word.removeprefix(digits)]


def _shown(box: Box, interface: str, what: str) -> dict[str, str] | None:
    done = box.ask(f"wg show {interface} {what}")
    if done.rc:
        return None
    return dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)


@one("peer")
def _peer(box: Box, expected: Expected, thing: str) -> Values | None:
    interface, key = thing.split()
    allowed = _shown(box, interface, "allowed-ips")
    if allowed is None or key not in allowed:
        return None
    last = int((_shown(box, interface, "latest-handshakes") or {}).get(key, "0"))
    age = int(box.host.check_output("date +%s")) - last if last else "never"
    return {"allowed": ",".join(sorted(allowed[key].split())), "handshake": age}


@every("peer")
def _peers(box: Box, expected: Expected) -> Things:
    names = box.say("wg show interfaces").split()
    return {f"{name} {key}": {} for name in names for key in _shown(box, name, "allowed-ips") or {}}


@one("tunnel")
def _tunnel(box: Box, expected: Expected, thing: str) -> Values | None:
    done = box.ask(f"wg show {thing} public-key")
    return {"key": done.stdout.strip()} if done.rc == 0 else None


@one("neighbour")
def _neighbour(box: Box, expected: Expected, thing: str) -> Values | None:
    return _neighbours(box, expected).get(thing)


@every("neighbour")
def _neighbours(box: Box, expected: Expected) -> Things:
    found: Things = {}
    # not the summary, which leaves out those without an address family
    for part in box.say("vtysh -c 'show bgp neighbors'").split("BGP neighbor is ")[1:]:
        state = re.search(r"BGP state = (\w+)", part)
        found[part.split(",")[0].split()[0]] = {
            "state": state[1] if state else "", "bfd": "none",
            "received": sum(map(int, re.findall(r"^\s+(\d+) accepted prefixes", part, re.MULTILINE))),
            "sent": 0,
        }  # fmt: skip
    for family in ("ipv4", "ipv6"):
        said = json.loads(box.say(f"vtysh -c 'show bgp {family} unicast summary json'"))
        for name, peer in said.get("peers", {}).items():
            if name in found:
                found[name]["sent"] += int(peer.get("pfxSnt", 0))
    for peer in json.loads(box.say("vtysh -c 'show bfd peers json'")):
        if peer["peer"] in found:
            found[peer["peer"]]["bfd"] = peer["status"]
    return found


@one("table")
def _table(box: Box, expected: Expected, thing: str) -> Values | None:
    done = box.ask(f"pfctl -q -t {thing} -T show")
    if done.rc:
        return None
    bare = [(word.startswith("!"), ipaddress.ip_network(word.lstrip("!"))) for word in done.stdout.split()]
    return {"addresses": " ".join(sorted(f"{'!' if no else ''}{network}" for no, network in bare))}


# ---------------------------------------------------------------- services


@one("daemon")
def _daemon(box: Box, expected: Expected, thing: str) -> Values | None:
    files = next(e for e in expected.of_kind("daemon") if e.thing == thing).of
    if box.platform == "freebsd":
        ages = [_age(box, name) for name in freebsd.programs(thing)]
        if None in ages:
            return {"configuration": CURRENT}  # that it does not run is said of the service
        started = int(box.say("date +%s")) - max(age for age in ages if age is not None)
    else:
        unit = _units(box, expected)[thing]
        if unit["active"] != "active":
            return {"configuration": CURRENT}
        started = int(unit["since"])
    late = sorted(p for p, changed in _changed(box, expected, files) if changed > started)
    return {"configuration": f"older than {', '.join(late)}" if late else CURRENT}


def _changed(box: Box, expected: Expected, paths: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Yield of those that are there when they were changed (seconds of the clock)."""
    if box.platform == "debian":
        there = _found(box, expected)
        yield from ((path, there[path]["changed"]) for path in paths if path in there)
        return
    for path in paths:
        file = box.host.file(path)
        if file.exists:
            yield path, file.mtime.timestamp()


def _age(box: Box, program: str) -> int | None:
    """Return for how many seconds the youngest process of a name has run."""
    done = box.ask(f"pgrep -n -x {program}")
    return int(box.say(f"ps -o etimes= -p {done.stdout.strip()}")) if done.rc == 0 else None


@one("dhcp")
def _subnet(box: Box, expected: Expected, thing: str) -> Values | None:
    return _subnets(box, expected).get(thing)


@every("dhcp")
def _subnets(box: Box, expected: Expected) -> Things:
    found: Things = {}
    folder = "/usr/local/etc/kea" if box.platform == "freebsd" else "/etc/kea"
    for version, servers in (("4", "domain-name-servers"), ("6", "dns-servers")):
        done = box.ask(f"cat {folder}/kea-dhcp{version}.conf")
        if done.rc:
            continue
        text = "\n".join(x for x in done.stdout.splitlines() if not re.match(r"\s*(//|#)", x))
        whole = json.loads(text)[f"Dhcp{version}"]
        groups = [{}, *whole.get("shared-networks", ())]
        pairs = [(g, s) for g in groups for s in (g or whole).get(f"subnet{version}", ())]
        for group, subnet in pairs:
            told = {o["name"]: o["data"] for o in (*group.get("option-data", ()), *subnet.get("option-data", ()))}
            kept = [(r["hw-address"], r.get("ip-address") or " ".join(r.get("ip-addresses", ())))
                    for r in subnet.get("reservations", ())]  # fmt: skip
            found[subnet["subnet"]] = {
                "interface": subnet.get("interface", group.get("interface", "")),
                "pools": ", ".join(sorted(p["pool"] for p in subnet.get("pools", ()))) or "none",
                "reservations": ", ".join(sorted(" ".join(pair) for pair in kept)) or "none",
                "routers": told.get("routers", "none"), "names": told.get(servers, "none"),
            }  # fmt: skip
    return found


_ASK = """
import socket, struct, sys
name, kind, server, port = sys.argv[1:]
q = b"".join(bytes([len(x)]) + x.encode() for x in name.rstrip(".").split(".")) + b"\\0"
number = {"A": 1, "PTR": 12, "AAAA": 28}[kind]
s = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.connect((server, int(port)))  # else the socket looks like one that listens
s.send(struct.pack(">6H", 7, 256, 1, 0, 0, 0) + q + struct.pack(">2H", number, 1))
print(s.recv(4096).hex())
"""


@one("answer")
def _answer(box: Box, expected: Expected, thing: str) -> Values | None:
    name, kind, server = thing.split(" ")
    address, _, port = server.removeprefix("@").partition("#")
    if box.platform == "freebsd":  # drill(1) is in the base system
        text = box.host.run("drill -p %s %s %s @%s", port or "53", name, kind, address).stdout
        status = re.search(r"rcode: (\w+)", text)
        part = text.partition("ANSWER SECTION:")[2].partition(";;")[0]
        data = [line.split()[-1].rstrip(".").lower() for line in part.splitlines() if f"\t{kind}\t" in line]
        return {"status": status[1], "data": " ".join(sorted(data))} if status else None
    done = box.host.run("python3 -c %s %s %s %s %s", _ASK, name, kind, address, port or "53")
    return _read_answer(bytes.fromhex(done.stdout.strip())) if done.rc == 0 else None


def _read_answer(data: bytes) -> Values:
    """Return status and data of an answer (RFC 1035, 4.1)."""
    _, flags, _, count = struct.unpack_from(">4H", data)
    at = _after_name(data, 12) + 4
    found = []
    for _ in range(count):
        at = _after_name(data, at)
        kind, _, _, length = struct.unpack_from(">2HIH", data, at)
        at += 10
        if kind in (1, 28):
            found.append(str(ipaddress.ip_address(data[at : at + length])))
        elif kind == 12:
            found.append(_name_at(data, at))
        at += length
    status = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}.get(flags & 15, str(flags & 15))
    return {"status": status, "data": " ".join(sorted(found))}


def _after_name(data: bytes, at: int) -> int:
    while data[at] and data[at] < 192:
        at += 1 + data[at]
    return at + (2 if data[at] >= 192 else 1)


def _name_at(data: bytes, at: int, depth: int = 0) -> str:
    parts = []
    while data[at] and depth < 20:
        if data[at] >= 192:
            parts.append(_name_at(data, (data[at] & 63) << 8 | data[at + 1], depth + 1))
            break
        parts.append(data[at + 1 : at + 1 + data[at]].decode().lower())
        at += 1 + data[at]
    return ".".join(parts)


@one("certificate")
def _certificate(box: Box, expected: Expected, thing: str) -> Values | None:
    done = box.host.run("openssl x509 -noout -subject -issuer -enddate -nameopt RFC2253 -in %s", thing)
    if done.rc:
        return None
    fields = dict(line.split("=", 1) for line in done.stdout.splitlines())
    until = datetime.datetime.strptime(fields["notAfter"], "%b %d %H:%M:%S %Y GMT").replace(tzinfo=datetime.UTC)
    of = next((e.of for e in expected.of_kind("certificate") if e.thing == thing), ())
    same = trusted = False
    if of:
        theirs = box.host.run("openssl pkey -pubout -in %s", of[0])
        same = theirs.rc == 0 and theirs.stdout == box.host.run("openssl x509 -noout -pubkey -in %s", thing).stdout
        trusted = box.host.run("openssl verify -no_check_time -trusted %s %s", of[1], thing).rc == 0
    left = until - datetime.datetime.fromtimestamp(int(box.say("date +%s")), datetime.UTC)
    return {
        "subject": fields["subject"].strip(), "issuer": fields["issuer"].strip(), "days": left.days,
        "key": "matches" if same else "is another's or not there",
        "chain": CHAIN if trusted else "signed by somebody else",
        "fingerprint": box.host.run("openssl x509 -outform DER -in %s | sha256sum", thing).stdout.split()[0],
    }  # fmt: skip
