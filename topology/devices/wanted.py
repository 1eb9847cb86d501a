"""What a device must be, as expectations that topology.drift judges. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from topology.devices.model import Device
from topology.expect.model import Expectation, Expected, Whole
from topology.render import syslog
from topology.render.common import Context

ORDER = (
    "identity", "bridge", "vlan", "port", "link", "wireless", "interface", "address", "route", "filtering", "ntp",
    "syslog", "snmp", "firmware", "file",
)  # fmt: skip
"""Kinds in the order in which they are set: what carries the management comes before what cuts off the rest."""
OBSERVED_ONLY = frozenset({"firmware", "link", "file"})
"""Kinds that no configuration sets: a firmware is brought by hand, a link by a cable."""
_WHOLES = {
    "routeros": (
        Whole("vlan", ("1",)), Whole("port"), Whole("address"), Whole("ntp"), Whole("syslog"),
        Whole("snmp", ("public",)),
    ),
    "ios": (
        Whole("vlan", ("1", "1002", "1003", "1004", "1005")), Whole("port"), Whole("address"), Whole("ntp"),
        Whole("syslog"), Whole("snmp"),
    ),
    "airos": (Whole("ntp"), Whole("syslog")),
    "epmp": (Whole("ntp"), Whole("syslog")),
    "sftp": (),
}  # fmt: skip


def wanted(context: Context, device: Device) -> Expected:
    """Return all that is expected of a device, in the order in which it is set."""
    makers = {"routeros": _routeros, "ios": _ios, "airos": _radio, "epmp": _radio, "sftp": _files}
    family = device.profile.family
    found = list(makers[family](context, device))
    if device.profile.firmware and family != "sftp":
        found.append(Expectation("firmware", "running", {"version": device.profile.firmware}))
    found.sort(key=lambda e: ORDER.index(e.kind))
    return Expected(device.name, device.site.slug, family, tuple(found), _WHOLES[family])


def _common(context: Context, device: Device) -> Iterator[Expectation]:
    yield Expectation("identity", "name", {"is": device.name})
    yield Expectation("route", "default", {"gateway": device.router})
    for server in ntp_servers(context, device):
        yield Expectation("ntp", server)
    number = syslog.port(context, "udp") or 514
    servers = syslog.servers(context)
    for _, address in servers if device.host.kind == "switch" else servers[:1]:  # a radio has room for one
        yield Expectation("syslog", address, {"port": number})


def ntp_servers(context: Context, device: Device) -> tuple[str, ...]:
    """Return where a device takes the time from: its site's gateway, which has it from the centre."""
    return (device.router,)


def _routeros(context: Context, device: Device) -> Iterator[Expectation]:
    yield from _common(context, device)
    yield Expectation("snmp", device.snmp_user, {"security": "private"})
    yield Expectation("bridge", "bridge")
    yield Expectation("filtering", "bridge", {"vlan": "yes"})
    management = device.management_vlan
    yield Expectation("interface", "mgmt", {"vlan": management})
    yield Expectation("address", f"{device.address}/24", {"interface": "mgmt"})
    for vlan in device.vlans:
        members = [p.name for p in device.ports if vlan in p.tagged]
        if vlan == management:
            members.append("bridge")
        yield Expectation("vlan", str(vlan), {"name": device.vlans[vlan], "tagged": ",".join(sorted(members))})
    for port in device.ports:
        want: dict[str, object] = {"enabled": "yes" if port.enabled else "no"}
        if port.enabled:
            want |= {"untagged": port.untagged or "none", "description": port.description}
        yield Expectation("port", port.name, want)
    yield from _links(device)


def _ios(context: Context, device: Device) -> Iterator[Expectation]:
    yield from _common(context, device)
    yield Expectation("snmp", device.snmp_user, {"security": "private"})
    yield Expectation("address", f"{device.address}/24", {"interface": f"Vlan{device.management_vlan}"})
    for vlan, name in device.vlans.items():
        yield Expectation("vlan", str(vlan), {"name": name})
    for port in device.ports:
        want: dict[str, object] = {"enabled": "yes" if port.enabled else "no"}
        if port.enabled:
            tagged = ",".join(str(v) for v in port.tagged) or "none"
            want |= {"untagged": port.untagged or "none", "tagged": tagged, "description": port.description}
        yield Expectation("port", port.name, want)
    yield from _links(device)


def _links(device: Device) -> Iterator[Expectation]:
    """What must have a carrier: the ways to the gateway, and the radios."""
    for port in device.ports:
        if port.enabled and port.role in ("uplink", "radios", "radio"):
            yield Expectation("link", port.name, {"state": "up"})


def _radio(context: Context, device: Device) -> Iterator[Expectation]:
    yield from _common(context, device)
    yield Expectation("address", f"{device.address}/24", {"interface": "br0"})
    if device.link is not None:
        yield Expectation("wireless", "link", {"ssid": device.link.name[:32], "mode": device.mode})
        yield Expectation("link", "link", {"state": "up"})
    if device.profile.family == "epmp":
        yield Expectation("snmp", device.snmp_user, {"security": "private"})
    else:
        # airOS speaks SNMP v1 only, whose password is readable on the wire: it stays off
        yield Expectation("snmp", "v1", {"enabled": "no"})


def _files(context: Context, device: Device) -> Iterator[Expectation]:
    for path in device.profile.files:
        yield Expectation("file", path)
