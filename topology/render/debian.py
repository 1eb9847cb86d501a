"""Files of a Debian host: systemd-networkd, sysctl, names, time.

The same for guests and for gateways on Linux (the lab and spare boxes).
"""

from __future__ import annotations

from topology.allocate import Host, Interface
from topology.policy import span
from topology.render import nas, postgresql
from topology.render.common import Context, fill, time_clients, with_lengths


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a Debian host's files."""
    header = context.header(host)
    found = {
        "etc/hostname": f"{host.name}\n",
        "etc/hosts": fill(
            "debian/hosts.j2",
            header=header,
            host=host,
            fqdn=context.fqdn(host),
            peers=postgresql.peers(context, host),
        ),
        "etc/sysctl.d/60-topology.conf": fill(
            "debian/sysctl.j2",
            header=header,
            gateway=host.kind == "gateway",
            pair=host.member is not None,
            tunnel_ports=[span(*p) for p in context.box(host).tunnel_ports] if host.kind == "gateway" else (),
        ),
        "etc/chrony/chrony.conf": fill(
            "chrony.conf.j2",
            header=header,
            servers=context.time_servers(host),
            allow=time_clients(context, host),
            orphan=host.hub_slot is not None,
            drift="/var/lib/chrony/chrony.drift",
            rtc=True,
        ),
    }
    found["etc/systemd/journald.conf.d/10-topology.conf"] = fill("debian/journald.conf.j2", header=header)
    found.update(_networks(context, host, header))
    for service in _mortal(host):
        found[f"etc/systemd/system/{service}.service.d/60-topology.conf"] = fill(
            "debian/restart.override.j2", header=header
        )
    return found


def _mortal(host: Host) -> tuple[str, ...]:
    """Return the services that a host has and that their packages do not start again."""
    gateway = ("kea-dhcp4-server", "kea-dhcp6-server", "radvd") if host.kind == "gateway" else ()
    pair = ("keepalived", "conntrackd") if host.kind == "gateway" and host.member is not None else ()
    return ("chrony", *gateway, *pair)


_ELSEWHERE = ("tunnel", "vpn")
"""Interfaces that wg-quick makes, with their addresses."""


def _networks(context: Context, host: Host, header: str) -> dict[str, str]:
    migration = context.plan.sites[host.site].place.data.migration
    found: dict[str, str] = {}
    if host.kind == "gateway":
        found["etc/systemd/networkd.conf.d/60-topology.conf"] = fill("debian/networkd.conf.j2", header=header)
        found["etc/systemd/system/frr.service.d/60-topology.conf"] = fill("debian/frr.override.j2", header=header)
    parents: dict[str, list[str]] = {}
    for interface in host.interfaces:
        if interface.kind in _ELSEWHERE:
            continue
        if interface.vlan is not None and "." in interface.name:
            parent = interface.name.rsplit(".", 1)[0]
            parents.setdefault(parent, []).append(interface.name)
            found[f"etc/systemd/network/20-{interface.name}.netdev"] = fill(
                "debian/vlan.netdev.j2", header=header, interface=interface
            )
        found[f"etc/systemd/network/20-{interface.name}.network"] = fill(
            "debian/network.j2",
            header=header,
            interface=interface,
            paired=host.member is not None,  # VRRP's addresses are keepalived's
            addresses=_addresses(interface, migration),
            routers=_routers(context, interface, host, migration),
            routes=_internet_routes(context, host) if host.kind == "internet" else (),
            via_hubs=host.kind == "gateway" and host.hub_slot is None,
            dhcp=interface.kind == "uplink" and not interface.static,
        ) + nas.routing(context, host, interface)
    for parent, names in parents.items():
        found[f"etc/systemd/network/10-{parent}.network"] = fill(
            "debian/trunk.network.j2", header=header, parent=parent, names=names
        )
    return found


def _addresses(interface: Interface, migration: str) -> list[str]:
    found = with_lengths(interface)
    # an uplink keeps both families: networkd would take IPv4 off for a moment, and NAT forget its sessions
    return [a for a in found if ":" not in a or interface.kind == "uplink" or migration != "ipv4-only"]


def _routers(context: Context, interface: Interface, host: Host, migration: str) -> list[str]:
    if interface.kind == "uplink" and interface.uplink:
        # IPv6 to the internet goes by way of the hubs: only they have a default route of their own
        own = (interface.uplink.router, interface.uplink.router6 if host.hub_slot else None)
        found = [r for r in own if r]
    else:
        first = next(host.of_kind("host"), None)
        if first is None or interface.name != first.name:
            return []
        found = list(context.router(host)[:2])  # one per family: the ULA's router serves the GUA as well
    return [r for r in found if ":" not in r] if migration == "ipv4-only" else found


def _internet_routes(context: Context, host: Host) -> list[tuple[str, str]]:
    """Return (prefix, router): the provider sends the district's own IPv6 prefix to the first hub."""
    gua = context.plan.district.space.gua
    hubs = sorted((h for h in context.plan.hosts.values() if h.hub_slot is not None), key=lambda h: h.hub_slot or 0)
    if gua is None or not hubs:
        return []
    far = next(hubs[0].of_kind("uplink")).addresses
    return [(str(gua), a) for a in far if ":" in a]
