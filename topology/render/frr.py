"""FRR's files of a gateway: frr.conf and, on Debian, the list of daemons.

Valid in FRR 8.4 (Debian 12) and 10 (Debian 13, FreeBSD). What is not said in topology.routing:

* BGP finds a dead neighbour by BFD (RFC 5882). Graceful restart is off: every site has other
  ways, and keeping stale routes towards a box that is gone costs more than moving at once.
* The members of a pair find each other dead by BGP's hold time. FRR takes iBGP's BFD for one over
  several hops until it has seen a connection; where only one member has, as after both began at
  the same moment, FRR 10.3 starts neither session ever again.
* Other hubs hear of all that a pair has from both members, and between two equal ways FRR keeps
  the older one. What a member has from its mate alone would be lost in the LAN between the two,
  whose filters let nothing of others pass; so it has a metric (MED), which other hubs are told.
* IPv6 next hops are the link's ULA addresses, also for the GUA prefixes (prefer-global):
  WireGuard interfaces have no link-local address.
* The gateway's own traffic leaves from its loopback, where zebra can tell the kernel
  (on Linux; FreeBSD's routing socket takes no source, so hubs also know the links' prefixes).
* No password and no TCP port: vtysh speaks through its socket.
* What is FRR's default is not written (a session without a policy passes nothing, RFC 8212; a
  `network` needs a route; BFD at 300 ms x 3): FRR does not show it either, so that
  `frr-reload.py --test` of an unchanged box finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from topology.allocate import Host
from topology.render.common import Context
from topology.routing import DEFAULT, GLOBAL, HUBS, LINKS, MATE, PER_SITE, Entry, Session, Speaker, speaker

BFD_PROFILES = {"radio": (300, 3), "tunnel": (500, 4)}
"""Interval in ms and lost packets until a neighbour is down.

A radio link (and a leased line) has no queue of strangers: 0.9 s.
A tunnel crosses the internet, renews its keys every two minutes and is a user process where the
kernel has no WireGuard: 2 s. 280 sites of two families make 1,120 packets/s at a hub.
"""
_BFD_DEFAULT = (300, 3)
TIMERS = (10, 30)
"""BGP keepalive and hold time in s: the safety net below BFD."""
MATE_TIMERS = (1, 3)
"""Between the members of a pair, in s; three is the least hold time that there is (RFC 4271, 4.2)."""
REJECT_DISTANCE = 250
"""Of the district's prefixes where BGP brings none; BGP's own are 20 and 200."""
_MATE_METRIC = 10
"""MED of what a member of a pair has from the other; its own has none, and the least is taken (RFC 4271, 9.1.2.2)."""

_DAEMONS = """\
# {header}
# A busy machine reads its configuration in more than watchfrr's 20 s, and then ran without any.
watchfrr_options="-T 300"
bgpd=yes
bfdd=yes
vtysh_enable=yes
zebra_options="-P 0 -s 90000000"
mgmtd_options="-P 0"
staticd_options="-P 0"
bgpd_options="-P 0"
bfdd_options="-P 0"
"""


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a gateway's files; ValueError when the host is no gateway."""
    header = context.header(host, "backbone.yml")
    text = conf(speaker(context.plan, host), host, header)
    if host.platform == "freebsd":
        return {"usr/local/etc/frr/frr.conf": text}
    return {"etc/frr/frr.conf": text, "etc/frr/daemons": _DAEMONS.format(header=header)}


def conf(part: Speaker, host: Host, header: str) -> str:
    """Return the text of frr.conf."""
    sections = (
        [f"! {header}", "frr defaults traditional", f"hostname {host.name}", "log syslog informational",
         "service integrated-vtysh-config"],
        _statics(part),
        _lists(part),
        _maps(part, host),
        _bfd(part),
        _bgp(part),
    )  # fmt: skip
    return "\n!\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _statics(part: Speaker) -> list[str]:
    return [f"{_ip(_family(p))} route {p} reject {REJECT_DISTANCE}" for p in part.protected]


def _lists(part: Speaker) -> list[str]:
    found = []
    for name, entries in part.lists.items():
        for family in part.families:
            mine = [e for e in entries if e.family == family]
            if not mine and name in (DEFAULT, GLOBAL):
                continue
            head = f"{_ip(family)} prefix-list {name} "
            # of a list without an entry everything would pass
            found += [f"{head}{_entry(e)}" for e in mine] or [f"{head}seq 5 deny any"]
    return found


def _entry(entry: Entry) -> str:
    bounds = f" ge {entry.shortest}" if entry.shortest is not None else ""
    bounds += f" le {entry.longest}" if entry.longest is not None else ""
    return f"seq {entry.number} permit {entry.prefix}{bounds}"


def _maps(part: Speaker, host: Host) -> list[str]:
    found = []
    for family, preference in dict.fromkeys((s.family, s.preference) for s in part.sessions):
        found.append(f"route-map {_incoming(family, preference)} permit 10")
        if preference is not None:
            found.append(f" set local-preference {preference}")
        if family == 6:
            found.append(" set ipv6 next-hop prefer-global")
        found.append("exit")
        if preference is None:
            found += [f"route-map {_to_mate(family)} permit 10", f" set metric {_MATE_METRIC}"]
            if family == 6:
                # next-hop-self leaves alone what prefer-global has touched
                own = next(s.local for s in part.sessions if s.family == 6 and s.role == MATE)
                found.append(f" set ipv6 next-hop global {own}")
            found.append("exit")
    if part.hub:
        found += _hub_maps(part)
    if host.platform != "freebsd":
        found += _source_maps(part)
    return found


def _hub_maps(part: Speaker) -> list[str]:
    found = []
    for family in part.families:
        found += [
            f"route-map links{family} permit 10", f" match {_ip(family)} address prefix-list {LINKS}", "exit",
        ]  # fmt: skip
    if 6 in part.families:
        found += ["route-map default6 permit 10", f" match ipv6 address prefix-list {DEFAULT}", "exit"]  # fmt: skip
    return found


def _source_maps(part: Speaker) -> list[str]:
    found = ["route-map source4 permit 10", f" set src {part.sources[0]}", "exit", "ip protocol bgp route-map source4"]
    if 6 not in part.families:
        return found
    ula, *gua = part.sources[1:]
    for address in gua[:1]:
        # the internet, and the district's own GUA, are asked from the GUA
        found += [
            "route-map source6 permit 10",
            f" match ipv6 address prefix-list {GLOBAL}",
            f" set src {address}",
            "exit",
        ]
    return [*found, "route-map source6 permit 20", f" set src {ula}", "exit", "ipv6 protocol bgp route-map source6"]


def _bfd(part: Speaker) -> list[str]:
    found = ["bfd"]
    for name in dict.fromkeys(_profile(s) for s in part.sessions):
        if name is None:
            continue
        interval, lost = BFD_PROFILES[name]
        found.append(f" profile {name}")
        if lost != _BFD_DEFAULT[1]:
            found.append(f"  detect-multiplier {lost}")
        if interval != _BFD_DEFAULT[0]:
            found += [f"  transmit-interval {interval}", f"  receive-interval {interval}"]
        found.append(" exit")
    return [*found, "exit"]


_Key = tuple[str, int | None, str | None, str]


@dataclass(frozen=True, slots=True)
class _Group:
    """Neighbours that differ in their address and what they may announce only."""

    name: str
    first: Session


def _groups(part: Speaker) -> dict[_Key, _Group]:
    found: dict[_Key, _Group] = {}
    for session in part.sessions:
        key = _key(session)
        if key not in found:
            found[key] = _Group("-".join(str(word) for word in key if word is not None), session)
    return found


def _key(session: Session) -> _Key:
    return session.role, session.preference, _profile(session), f"v{session.family}"


def _bgp(part: Speaker) -> list[str]:
    groups = _groups(part)
    found = [
        f"router bgp {part.autonomous_system}",
        f" bgp router-id {part.router_id}",
        " bgp log-neighbor-changes",
        " no bgp default ipv4-unicast",
        " bgp graceful-restart-disable",
        f" timers bgp {TIMERS[0]} {TIMERS[1]}",
    ]
    for group in groups.values():
        profile = _profile(group.first)
        if profile is None:
            finds = [f"timers {MATE_TIMERS[0]} {MATE_TIMERS[1]}"]
        else:
            finds = ["bfd", f"bfd profile {profile}"]
        found += [f" neighbor {group.name} {words}" for words in ("peer-group", *finds, "timers connect 5")]
    for s in part.sessions:
        found += [
            f" neighbor {s.remote} remote-as {s.remote_as}",
            f" neighbor {s.remote} peer-group {groups[_key(s)].name}",
            f" neighbor {s.remote} description {s.host} by {s.interface}",
            f" neighbor {s.remote} update-source {s.local}",
        ]
    for family in part.families:
        found += _address_family(part, family, groups.values())
    return [*found, "exit"]


def _address_family(part: Speaker, family: int, groups: Iterable[_Group]) -> Iterator[str]:
    yield " !"
    yield f" address-family ipv{family} unicast"
    yield "  maximum-paths 1"
    for prefix in part.originates:
        if _family(prefix) == family:
            yield f"  network {prefix}"
    if part.hub:
        yield f"  redistribute connected route-map links{family}"
        if family == 6:
            yield "  redistribute kernel route-map default6"
    for group in groups:
        session = group.first
        if session.family != family:
            continue
        yield f"  neighbor {group.name} activate"
        if session.role == MATE:
            yield f"  neighbor {group.name} next-hop-self"
            yield f"  neighbor {group.name} route-map {_to_mate(family)} out"
        if session.role == HUBS:
            yield f"  neighbor {group.name} attribute-unchanged med"
        if not session.accepts.startswith(PER_SITE):
            yield f"  neighbor {group.name} prefix-list {session.accepts} in"
        yield f"  neighbor {group.name} prefix-list {session.announces} out"
        yield f"  neighbor {group.name} route-map {_incoming(family, session.preference)} in"
    for session in part.sessions:
        if session.family == family and session.accepts.startswith(PER_SITE):
            yield f"  neighbor {session.remote} prefix-list {session.accepts} in"
    yield " exit-address-family"


def _ip(family: int) -> str:
    return "ipv6" if family == 6 else "ip"


def _family(prefix: str) -> int:
    return 6 if ":" in prefix else 4


def _profile(session: Session) -> str | None:
    """Return the name of a session's BFD profile; None when it has no BFD."""
    if session.role == MATE:
        return None
    return "tunnel" if session.kind == "tunnel" else "radio"


def _to_mate(family: int) -> str:
    return f"to-mate-v{family}"


def _incoming(family: int, preference: int | None) -> str:
    return f"from-v{family}" if preference is None else f"prefer-{preference}-v{family}"
