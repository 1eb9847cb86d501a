"""Files of a FreeBSD gateway: rc.conf, hosts, time, and the list of its interfaces."""

from __future__ import annotations

import json

from topology.allocate import Host, Interface
from topology.render.common import Context, fill, lengths
from topology.route import Route

_LENGTHS = {"lan": (24, 64), "host": (24, 64), "loopback": (32, 128)}


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a FreeBSD gateway's files."""
    header = context.header(host)
    place = context.plan.sites[host.site].place
    v6 = place.data.migration != "ipv4-only"
    return {
        "etc/rc.conf": fill(
            "freebsd/rc.conf.j2",
            header=header,
            host=host,
            fqdn=context.fqdn(host),
            trunks=_trunks(host),
            tunnels=[i.name for i in host.of_kind("tunnel")],
            settings=_settings(host, v6),
            routes=_routes(context.routes(host), v6),
            v6=v6,
        ),
        "etc/hosts": fill("freebsd/hosts.j2", header=header, host=host, fqdn=context.fqdn(host)),
        "usr/local/etc/chrony.conf": fill(
            "chrony.conf.j2",
            header=header,
            servers=context.time_servers(host),
            allow=context.plan.district.space.aggregates,
            orphan=host.hub_slot is not None,
            drift="/var/db/chrony/drift",
            rtc=False,
        ),
        "interfaces.json": interfaces_json(host),
    }


def interfaces_json(host: Host) -> str:
    """Return the list of a gateway's interfaces with their groups and addresses (with lengths)."""
    rows = [{"name": i.name, "groups": groups(i), "addresses": _with_lengths(i, host, True)} for i in host.interfaces]
    trunks = [{"name": parent, "groups": ["trunk"], "addresses": []} for parent in _trunks(host)]
    return json.dumps([*rows, *trunks], indent=1) + "\n"


def groups(interface: Interface) -> list[str]:
    """Return the interface groups pf and people may use: its kind, and a LAN's network."""
    return [g for g in (interface.kind, interface.network) if g]


def variable(name: str) -> str:
    """Return an interface's name as rc.conf's variables spell it (rc.conf(5): `.` becomes `_`)."""
    return name.replace(".", "_").replace("-", "_")


def _with_lengths(interface: Interface, host: Host, v6: bool) -> list[str]:
    if interface.kind == "uplink":
        return [interface.uplink.address] if interface.uplink and interface.uplink.address else []
    long4, long6 = _LENGTHS.get(interface.kind, (31, 127))
    return [a for a in lengths(interface.addresses, long4, long6) if v6 or ":" not in a]


def _trunks(host: Host) -> dict[str, list[int]]:
    """Return parent port -> VLAN ids on it."""
    trunks: dict[str, list[int]] = {}
    for interface in host.interfaces:
        if interface.vlan is not None and "." in interface.name:
            trunks.setdefault(interface.name.rsplit(".", 1)[0], []).append(interface.vlan)
    return {parent: sorted(ids) for parent, ids in trunks.items()}


def _settings(host: Host, v6: bool) -> list[tuple[str, str]]:
    """Return rc.conf's ifconfig_* variables in order."""
    found: list[tuple[str, str]] = []
    for interface in host.interfaces:
        name = variable(interface.name)
        addresses = _with_lengths(interface, host, v6)
        v4_addresses = [a for a in addresses if ":" not in a]
        v6_addresses = [a for a in addresses if ":" in a]
        if interface.kind == "loopback":
            found += [(f"ifconfig_{name}_alias{n}", _inet(a)) for n, a in enumerate(addresses)]
            continue
        if interface.kind == "uplink" and not addresses:
            found.append((f"ifconfig_{name}", "DHCP"))
            if v6:
                found.append((f"ifconfig_{name}_ipv6", "inet6 accept_rtadv -auto_linklocal no_prefer_iface"))
            continue
        found.append((f"ifconfig_{name}", _inet(v4_addresses[0]) if v4_addresses else "up"))
        if v6_addresses:
            found.append((f"ifconfig_{name}_ipv6", _inet(v6_addresses[0])))
        rest = [*v4_addresses[1:], *v6_addresses[1:]]
        found += [(f"ifconfig_{name}_alias{n}", _inet(a)) for n, a in enumerate(rest)]
    return found


def _inet(address: str) -> str:
    return f"inet6 {address}" if ":" in address else f"inet {address}"


def _routes(found: tuple[Route, ...], v6: bool) -> list[tuple[int, str, str]]:
    """Return (family, name, arguments of route add): the best route per prefix, as FreeBSD keeps one."""
    best: dict[str, Route] = {}
    for route in found:
        if (v6 or route.family == 4) and (route.prefix not in best or route.metric < best[route.prefix].metric):
            best[route.prefix] = route
    rows = []
    for number, prefix in enumerate(sorted(best), 1):
        route = best[prefix]
        target = route.via if route.via else f"{'::1' if route.family == 6 else '127.0.0.1'} -reject"
        rows.append((route.family, f"t{number}", f"-net {prefix} {target}"))
    return rows
