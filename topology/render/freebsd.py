"""Files of a FreeBSD host: rc.conf, sysctl.conf, hosts, time; of a gateway also its filter, its shaper
and the list of its interfaces.

wg-quick makes the interfaces of tunnels and VPN users, with their addresses, and FRR the routes inside
the district: rc.conf has neither. Until they are up pf lets nothing of the district's out (topology.render.pf).

The pass phrase of a pair's shared addresses (CARP) is on the boxes only: SECRETS defines carp_pass, root
alone may read it, both members have the same. Without it the pair still works, unauthenticated.
"""

from __future__ import annotations

import json

from topology.allocate import Host, Interface
from topology.policy import Box
from topology.render import dnctl, pf
from topology.render.advertise import advertised
from topology.render.common import Context, fill, time_clients, with_lengths

_ELSEWHERE = ("tunnel", "vpn")
"""Kinds of interface that wg-quick makes."""
_GROUPED = ("radio", "leased")
"""Kinds whose interfaces join a group of that name; pf.conf(5) rules name the group."""
SECRETS = "/etc/topology/carp.conf"
"""On a pair's members: `carp_pass=...` (letters and digits), mode 0600, never in git."""
SECOND_MEMBER_SKEW = 100
"""advskew of member 3; member 2 is the master while it lives (carp(4))."""


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a FreeBSD host's files."""
    header = context.header(host)
    gateway = host.kind == "gateway"
    box = context.box(host) if gateway else None
    shaping = dnctl.shaping(context.plan, host, box) if box else None
    found = {
        "etc/rc.conf": rc_conf(context, host, box, shaping),
        "etc/sysctl.conf": fill(
            "freebsd/sysctl.conf.j2",
            header=header,
            gateway=gateway,
            pair=_pair(box),
            tunnel_ports=box.tunnel_ports if box else (),
        ),
        "etc/hosts": fill("freebsd/hosts.j2", header=header, host=host, fqdn=context.fqdn(host)),
        "usr/local/etc/chrony.conf": fill(
            "chrony.conf.j2",
            header=header,
            servers=context.time_servers(host),
            allow=time_clients(context, host),
            orphan=host.hub_slot is not None,
            drift="/var/db/chrony/drift",
            rtc=False,
        ),
        "interfaces.json": interfaces_json(host),
    }
    if box is not None and shaping is not None:
        found |= pf.files(context, host, box, shaping)
        found |= dnctl.files(context, host, shaping)
        if _pair(box) and advertised(context, host):
            first = next(i for i in box.lans if i.shared)
            found["etc/devd/topology-carp.conf"] = fill(
                "freebsd/carp.devd.j2", header=header, vhid=_vhid(context, host, first), interface=first.name
            )
    return found


def rc_conf(context: Context, host: Host, box: Box | None, shaping: dnctl.Shaping | None) -> str:
    """Return rc.conf; `box` and `shaping` are None for a host that is no gateway."""
    v6 = context.plan.sites[host.site].place.data.migration != "ipv4-only"
    routers = _routers(context, host)
    return fill(
        "freebsd/rc.conf.j2",
        header=context.header(host),
        host=host,
        box=box,
        pair=_pair(box),
        secrets=SECRETS,
        trunks=_trunks(host),
        tunnels=[i.name for i in host.of_kind(*_ELSEWHERE)],
        settings=_settings(context, host, v6),
        router=next((r for r in routers if ":" not in r), None),
        router6=next((r for r in routers if ":" in r), None) if v6 else None,
        provider=_provider(host) if v6 else None,
        advertised=[lan.interface.name for lan in advertised(context, host)] if box else [],
        shaped=bool(shaping and shaping.pipes),
        v6=v6,
    )


def _pair(box: Box | None) -> bool:
    return box is not None and box.mate is not None


def _routers(context: Context, host: Host) -> tuple[str, ...]:
    """Return the default routers: a gateway's is its provider's, IPv6 only where that leaves here (a hub)."""
    if host.kind != "gateway":
        return context.router(host)[:2]
    lines = [i.uplink for i in host.of_kind("uplink") if i.uplink is not None]
    found = [line.router for line in lines] + ([line.router6 for line in lines] if host.hub_slot else [])
    return tuple(r for r in found if r)


def _provider(host: Host) -> str | None:
    """Return the uplink on which a hub listens to its provider's router advertisements."""
    if host.hub_slot is None:
        return None
    return next((i.name for i in host.of_kind("uplink") if not any(":" in a for a in i.static)), None)


def interfaces_json(host: Host) -> str:
    """Return the list of a gateway's interfaces with their groups and addresses (with lengths)."""
    rows = [{"name": i.name, "groups": groups(i), "addresses": with_lengths(i)} for i in host.interfaces]
    trunks = [{"name": parent, "groups": ["trunk"], "addresses": []} for parent in _trunks(host)]
    return "[\n" + ",\n".join(json.dumps(row) for row in [*rows, *trunks]) + "\n]\n"


def groups(interface: Interface) -> list[str]:
    """Return the interface groups pf and people may use: its kind, a LAN's network, and if_wg's own."""
    wireguard = pf.WG_GROUP if interface.kind in _ELSEWHERE else None
    return [g for g in (interface.kind, interface.network, wireguard) if g]


def variable(name: str) -> str:
    """Return an interface's name as rc.conf's variables spell it (rc.conf(5): `.` becomes `_`)."""
    return name.replace(".", "_").replace("-", "_")


def _of_families(interface: Interface, v6: bool) -> list[str]:
    return [a for a in with_lengths(interface) if v6 or ":" not in a]


def _trunks(host: Host) -> dict[str, list[int]]:
    """Return parent port -> VLAN ids on it."""
    trunks: dict[str, list[int]] = {}
    for interface in host.interfaces:
        if interface.vlan is not None and "." in interface.name:
            trunks.setdefault(interface.name.rsplit(".", 1)[0], []).append(interface.vlan)
    return {parent: sorted(ids) for parent, ids in trunks.items()}


def _settings(context: Context, host: Host, v6: bool) -> list[tuple[str, str]]:
    """Return rc.conf's ifconfig_* variables in order."""
    found: list[tuple[str, str]] = []
    provider = _provider(host) if v6 else None
    for interface in host.interfaces:
        if interface.kind in _ELSEWHERE:
            continue
        name = variable(interface.name)
        addresses = _of_families(interface, v6)
        if interface.kind == "loopback":
            found += [(f"ifconfig_{name}_alias{n}", _inet(a)) for n, a in enumerate(addresses)]
            continue
        v4_addresses = [a for a in addresses if ":" not in a]
        v6_addresses = [a for a in addresses if ":" in a]
        if interface.kind == "uplink" and not v4_addresses:
            first = "DHCP"
        else:
            first = _inet(v4_addresses[0]) if v4_addresses else "up"
        if interface.kind in _GROUPED:
            first = f"{first} group {interface.kind}"
        found.append((f"ifconfig_{name}", first))
        if v6_addresses:
            found.append((f"ifconfig_{name}_ipv6", _inet(v6_addresses[0])))
        elif interface.name == provider:
            found.append((f"ifconfig_{name}_ipv6", "inet6 accept_rtadv"))
        rest = [_inet(a) for a in (*v4_addresses[1:], *v6_addresses[1:])]
        rest += _shared(context, host, interface, v6)
        found += [(f"ifconfig_{name}_alias{n}", value) for n, value in enumerate(rest)]
    return found


def _shared(context: Context, host: Host, interface: Interface, v6: bool) -> list[str]:
    """Return the aliases of a pair's shared addresses, as /etc/network.subr hands them to ifconfig(8).

    A shared address has the length of a host: the network belongs to the member's own address.
    """
    skew = 0 if host.member == 2 else SECOND_MEMBER_SKEW
    vhid = _vhid(context, host, interface)
    secret = "${carp_pass:+pass ${carp_pass}}"
    return [
        f"{'inet6' if ':' in a else 'inet'} vhid {vhid} advskew {skew} {secret} alias {a}/{128 if ':' in a else 32}"
        for a in interface.shared
        if v6 or ":" not in a
    ]


def _vhid(context: Context, host: Host, interface: Interface) -> int:
    """Return the number (1 to 255) by which the members know each other on a wire.

    A LAN's is its role's; on a provider's wire, where others may be, it is the site's second octet.
    """
    if interface.network is None:
        return context.plan.sites[host.site].place.second_octet
    return context.plan.sites[host.site].network(interface.network).role + 1


def _inet(address: str) -> str:
    return f"inet6 {address}" if ":" in address else f"inet {address}"
