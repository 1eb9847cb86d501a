"""Files of a Debian host: systemd-networkd, sysctl, names, time.

The same for guests and for gateways on Linux (the lab and spare boxes).
"""

from __future__ import annotations

from topology.allocate import Host, Interface
from topology.render.common import Context, fill, lengths
from topology.route import Route

_LENGTHS = {"lan": (24, 64), "host": (24, 64), "loopback": (32, 128)}


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a Debian host's files."""
    header = context.header(host)
    found = {
        "etc/hostname": f"{host.name}\n",
        "etc/hosts": fill("debian/hosts.j2", header=header, host=host, fqdn=context.fqdn(host)),
        "etc/sysctl.d/60-topology.conf": fill("debian/sysctl.j2", header=header, gateway=host.kind == "gateway"),
        "etc/chrony/chrony.conf": fill(
            "chrony.conf.j2",
            header=header,
            servers=context.time_servers(host),
            allow=context.plan.district.space.aggregates if host.kind == "gateway" else (),
            orphan=host.hub_slot is not None,
            drift="/var/lib/chrony/chrony.drift",
            rtc=True,
        ),
    }
    found.update(_networks(context, host, header))
    return found


def _networks(context: Context, host: Host, header: str) -> dict[str, str]:
    migration = context.plan.sites[host.site].place.data.migration
    routes: dict[str, list[Route]] = {}
    for route in context.routes(host):
        routes.setdefault(route.interface or "lo", []).append(route)
    router = context.router(host)
    found: dict[str, str] = {}
    parents: dict[str, list[str]] = {}
    for interface in host.interfaces:
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
            addresses=_addresses(interface, host, migration),
            routes=[r for r in routes.get(interface.name, ()) if migration != "ipv4-only" or r.family == 4],
            routers=_routers(interface, host, router, migration),
            dhcp=interface.kind == "uplink" and not interface.addresses,
        )
    for parent, names in parents.items():
        found[f"etc/systemd/network/10-{parent}.network"] = fill(
            "debian/trunk.network.j2", header=header, parent=parent, names=names
        )
    return found


def _addresses(interface: Interface, host: Host, migration: str) -> list[str]:
    v4, v6 = _LENGTHS.get(interface.kind, (31, 127))
    if interface.kind == "uplink":
        return [interface.uplink.address] if interface.uplink and interface.uplink.address else []
    shared = interface.shared if host.member == 2 else ()
    found = lengths((*interface.addresses, *shared), v4, v6)
    return [a for a in found if ":" not in a] if migration == "ipv4-only" else found


def _routers(interface: Interface, host: Host, router: tuple[str, ...], migration: str) -> list[str]:
    if interface.kind == "uplink" and interface.uplink and interface.uplink.router:
        return [interface.uplink.router]
    first = next(host.of_kind("host"), None)
    if first is None or interface.name != first.name:
        return []
    chosen = router[:2]  # one per family: the ULA's router serves the GUA as well
    return [r for r in chosen if ":" not in r] if migration == "ipv4-only" else list(chosen)
