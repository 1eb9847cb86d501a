"""What FreeBSD's programs print. Pure; a host may answer anything at all (ValueError and the like).

Written from the manual pages of 14.3, the programs' sources and published outputs (tests/unit/freebsd/).
It never ran against a real box.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from topology.drift import read_both
from topology.drift.observed import BY_HAND, Things
from topology.expect.freebsd import members_of

Reader = Callable[[str], dict[str, Things]]


def _packages(text: str) -> dict[str, Things]:
    names = [line.strip() for line in text.splitlines() if line.strip()]
    for name in names:
        if not re.fullmatch(r"[\w.+-]+", name):
            raise ValueError(name)
    return {"package": {name: {"installed": True} for name in names}}


def _services(text: str) -> dict[str, Things]:
    """Join what is wanted, enabled (service -e) and running (ps): a service runs when all its programs do."""
    first, _, rest = text.partition("\n")
    now = int(first)
    wanted: dict[str, list[str]] = {}
    enabled: set[str] = set()
    since: dict[str, int] = {}
    pf = ""
    for line in rest.splitlines():
        word, _, value = line.partition(" ")
        if word == "wanted":
            name, *programs = value.split()
            wanted[name] = programs
        elif word == "enabled":
            enabled.add(value.rsplit("/", 1)[1])
        elif word == "process":
            seconds, program = value.split(None, 1)
            since[program] = max(since.get(program, 0), now - int(seconds))
        elif word == "pf":
            pf = value
    if not since:
        raise ValueError("no process at all")
    things: Things = {}
    for name, programs in wanted.items():
        values: dict[str, object] = {"enabled": "enabled" if name in enabled else "disabled"}
        if name == "pf":
            values["active"] = "active" if pf == "Enabled" else "inactive"
        elif programs:
            values["active"] = "active" if all(p in since for p in programs) else "inactive"
            if values["active"] == "active":
                values["started"] = min(since[p] for p in programs)
        things[name] = values
    return {"service": things}


def _listeners(text: str) -> dict[str, Things]:
    head, _, rest = text.partition("\n")
    if head.split()[:5] != ["USER", "COMMAND", "PID", "FD", "PROTO"]:
        raise ValueError(head)
    things: Things = {}
    for line in rest.splitlines():
        _, command, _, _, protocol, local = line.split()[:6]
        protocol = protocol.rstrip("46")
        if protocol not in ("tcp", "udp"):
            continue
        address, _, port = local.rpartition(":")
        if port == "*" or address.split("%")[0] == "::1" or address.startswith(("127.", "fe80::1%lo")):
            continue
        # the kernel's own sockets belong to nobody
        thing, program = f"{int(port)}/{protocol}", "" if command == "?" else command
        if not things.get(thing, {}).get("program"):
            things[thing] = {"program": program}
    return {"listen": things}


def _addresses(text: str) -> dict[str, Things]:
    things: Things = {}
    interface = ""
    for line in text.splitlines():
        head = re.match(r"(\S+): flags=", line)
        found = re.match(r"\s+inet6? (\S+)", line)
        if head:
            interface = head[1]
        elif found:
            address, _, length = found[1].partition("/")
            plain = ipaddress.ip_interface(f"{address.split('%')[0]}/{int(length)}")
            if not interface:
                raise ValueError(line)
            # what a provider's router advertises is no plan's (ifconfig(8): autoconf)
            things[f"{interface} {plain}"] = {"owned": False} if " autoconf" in line else {}
    if not interface:
        raise ValueError("no interface at all")
    return {"address": things}


def _routes(text: str) -> dict[str, Things]:
    """Return default routes, what somebody set by hand, and the way to each address that was asked for.

    Flags (netstat(1)): S set by hand or rc.conf, 1 set by zebra, R and B go nowhere.
    """
    asked, things = [], Things()
    table: list[tuple[str, str, str, str]] = []
    columns: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "to":
            asked.append(str(ipaddress.ip_address(words[1])))
        elif words[:3] == ["Destination", "Gateway", "Flags"]:
            columns = words
        elif columns and len(words) > columns.index("Netif"):
            table.append((words[0], words[1], words[2], words[columns.index("Netif")]))
    if not table:
        raise ValueError("no route at all")
    networks: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str, str]] = []
    for destination, gateway, flags, device in table:
        family = "6" if ":" in gateway or (gateway.startswith("link#") and ":" in destination) else "4"
        if destination == "default":
            networks.append((ipaddress.ip_network("::/0" if family == "6" else "0.0.0.0/0"), flags, device))
            if "S" in flags and "1" not in flags:
                things[f"default{family}"] = {"via": gateway, "owned": False}
            continue
        network = ipaddress.ip_network(re.sub(r"%[^/]*", "", destination), strict=False)
        networks.append((network, flags, device))
        # the system's own: what IPv6 knows no way for is rejected by ::1, and own addresses are reached by lo0
        rejected = "R" in flags and gateway == "::1"
        own = "H" in flags and gateway.startswith("link#") and device == "lo0"
        if "S" in flags and "1" not in flags and not rejected and not own:
            things[f"{destination}{BY_HAND}"] = {"via": gateway, "dev": device}
    for address in asked:
        parsed = ipaddress.ip_address(address)
        covering = [n for n in networks if n[0].version == parsed.version and parsed in n[0]]
        if covering:
            _, flags, device = max(covering, key=lambda n: n[0].prefixlen)
            by_zebra = "1" in flags and not {"R", "B"} & set(flags)
            things[f"to {address}"] = {"dev": device, "protocol": "bgp" if by_zebra else flags, "owned": False}
    return {"route": things}


def _sysctls(text: str) -> dict[str, Things]:
    pairs = (line.split(": ", 1) for line in text.splitlines() if line.strip())
    return {"sysctl": {name: {"value": " ".join(value.split())} for name, value in pairs}}


def _mounts(text: str) -> dict[str, Things]:
    things: Things = {}
    for line in text.splitlines():
        source, target, kind, options = line.split()[:4]
        things[target] = read_both.mount(target, source, kind, options)
    return {"mount": things}


def _tables(text: str) -> dict[str, Things]:
    things: Things = {}
    for part in f"\n{text}".split("\ntable ")[1:]:
        name, *members = part.split()
        things[name] = {"addresses": members_of(members)}
    return {"table": things}


_UNITS = {"bit/s": 1, "Kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}


def _shape(text: str) -> dict[str, Things]:
    things: Things = {}
    for line in text.splitlines():
        pipe = re.match(r"(\d{5}):\s+(?:(\d+\.\d+) (\S+)|unlimited)\s", line)
        queue = re.match(r"q(\d{5}) .* sched (\d+) weight (\d+) ", line)
        if pipe:
            things[f"pipe {int(pipe[1])}"] = {
                "rate": round(float(pipe[2]) * _UNITS[pipe[3]]) if pipe[2] else "unlimited",
            }  # fmt: skip
        elif queue:
            things[f"queue {int(queue[1])}"] = {"pipe": int(queue[2]), "weight": int(queue[3])}
    return {"shape": things}


def _answers(text: str) -> dict[str, Things]:
    """Read drill's answers, one after each question."""
    things: Things = {}
    for part in f"\n{text}".split("\nask ")[1:]:
        thing, _, rest = part.partition("\n")
        status = re.search(r"^;; ->>HEADER<<- .*rcode: (\w+),", rest, re.MULTILINE)
        if status is None:
            continue  # no answer came: it is missing
        _, _, after = rest.partition(";; ANSWER SECTION:\n")
        wanted = thing.split(" ")[1]
        rows = [line.split("\t") for line in after.split("\n\n")[0].splitlines()]
        data = sorted(row[4].rstrip(".") for row in rows if len(row) >= 5 and row[3] == wanted)
        things[thing] = {"status": status[1], "data": " ".join(data)}
    return {"answer": things}


READERS: dict[str, tuple[tuple[str, ...], Reader]] = {
    "bsd-packages": (("package",), _packages), "bsd-services": (("service",), _services),
    "bsd-listeners": (("listen",), _listeners), "bsd-addresses": (("address",), _addresses),
    "bsd-routes": (("route",), _routes), "bsd-sysctls": (("sysctl",), _sysctls), "bsd-mounts": (("mount",), _mounts),
    "bsd-ruleset": (("ruleset",), read_both.ruleset), "bsd-tables": (("table",), _tables),
    "bsd-shape": (("shape",), _shape),
    "bsd-answers": (("answer",), _answers),
}  # fmt: skip
"""Section of the script -> kinds of things read in it, and the reader."""
