"""What a FreeBSD host's own files say of it: services of rc.conf, pf's tables, dummynet's pipes and queues."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from topology.expect.model import Expectation, Near
from topology.render import Files

ROUNDED = 0.001
"""dnctl prints a rate with three decimals of its unit."""
_PROGRAMS = {
    "chronyd": ("chronyd",), "frr": ("zebra", "bgpd", "bfdd", "staticd"), "kea": ("kea-dhcp4",),
    "unbound": ("unbound",), "sshd": ("sshd",), "syslogd": ("syslogd",),
    "rtadvd": ("rtadvd",), "pflog": ("pflogd",), "devd": ("devd",),
}  # fmt: skip
"""rc.d script -> the processes that it starts, by their names in ps(1)."""
_NO_SCRIPT = ("gateway", "ipv6_gateway", "pf_fallback_rules")
"""Variables of rc.conf that end like a service's and have no script of their own (rc.conf(5))."""
_RATE = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def programs(service: str) -> tuple[str, ...]:
    """Return the processes of a service; none when it starts nothing that stays."""
    return _PROGRAMS.get(service, ())


def services(files: Files) -> Iterator[Expectation]:
    """Yield what rc.conf enables: it starts at boot, and what stays runs."""
    text = files.get("etc/rc.conf", "")
    for name, value in re.findall(r'^(\w+)_enable="(\w+)"', text, re.MULTILINE):
        if name in _NO_SCRIPT:
            continue
        if value == "NO":
            yield Expectation("service", name, {"enabled": "disabled"}, optional=True)
            continue
        if value != "YES":
            continue
        want = {"enabled": "enabled"}
        if name == "pf" or programs(name):
            want["active"] = "active"
        yield Expectation("service", name, want)


def tables(files: Files) -> Iterator[Expectation]:
    """Yield pf's constant tables with their addresses; the others are filled while the filter runs."""
    pattern = r"^table <(\w+)> const \{ (.*?) \}"
    for name, members in re.findall(pattern, files.get("etc/pf.conf", ""), re.MULTILINE):
        yield Expectation("table", name, {"addresses": members_of(members.split(", "))})


def members_of(addresses: list[str]) -> str:
    """Return a table's addresses in one order and form, whoever printed them; ValueError for what is none."""
    found = []
    for address in addresses:
        bare = address.removeprefix("!")
        found.append(f"{'!' if bare != address else ''}{ipaddress.ip_network(bare)}")
    return " ".join(sorted(found))


def shape(files: Files) -> Iterator[Expectation]:
    """Yield dummynet's pipes with their rates in bit/s, and queues with pipe and weight."""
    for line in files.get("etc/dnctl.conf", "").splitlines():
        pipe = re.match(r"pipe (\d+) config bw (\d+)([KMG]?)bit/s", line)
        queue = re.match(r"queue (\d+) config pipe (\d+) weight (\d+)", line)
        if pipe:
            yield Expectation(
                "shape", f"pipe {pipe[1]}", {"rate": Near(int(pipe[2]) * _RATE[pipe[3]], ROUNDED, "bit/s")}
            )
        elif queue:
            yield Expectation("shape", f"queue {queue[1]}", {"pipe": int(queue[2]), "weight": int(queue[3])})
