"""The lab's network: namespaces, the management bridge, and one bridge per wire.

Nothing of it is in the machine's own network namespace, so a packet for a lab address can
not leave the machine, whether the lab is up or down.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from topology.lab import commands
from topology.lab.errors import LabError
from topology.lab.names import MANAGEMENT_INTERFACE, NETNS_ROOT, LabNames
from topology.lab.processes import command_line, in_network_namespaces, kill_until_gone
from topology.lab.spec import LabSpec

WireState = Literal["ok", "broken", "silent", "slow"]
_MANAGEMENT_BRIDGE = "mgmt"
_RELAY = "topology.lab.relay"


@dataclass(frozen=True, slots=True)
class WireStatus:
    """A wire as it is now."""

    name: str
    kind: str
    state: WireState
    """ok; broken (hosts see no carrier); silent (carrier, and frames are dropped); slow (`slow_wire`)."""
    ends: tuple[str, ...]
    """host:interface, in the order of the lab's hosts."""


def namespaces(names: LabNames) -> list[str]:
    """Return the names of the lab's network namespaces that are there."""
    try:
        entries = sorted(os.listdir(NETNS_ROOT))
    except FileNotFoundError:
        return []
    return [entry for entry in entries if names.owns_netns(entry)]


def namespace_inodes(names: LabNames) -> set[tuple[int, int]]:
    """Return what identifies the lab's network namespaces in the kernel."""
    found: set[tuple[int, int]] = set()
    for name in namespaces(names):
        path = NETNS_ROOT / name
        if _is_namespace(path):
            there = path.stat()
            found.add((there.st_dev, there.st_ino))
    return found


def build(spec: LabSpec) -> None:
    """Make all namespaces, bridges and cables of a lab; nothing of it may be there before."""
    names = LabNames(spec.name)
    every = [
        names.controller_netns,
        names.wires_netns,
        *(names.host_netns(host.name) for host in spec.hosts if host.kind == "container"),
    ]
    _batch(None, [f"netns add {name}" for name in every], "making network namespaces")
    for name in (names.controller_netns, names.wires_netns):
        _write_settings(name)
    _batch(names.controller_netns, _management(spec), "making the management network")
    _batch(names.wires_netns, _wires(spec), "making the wires")


def remove(names: LabNames) -> None:
    """Remove the lab's network namespaces, and with them every interface in them."""
    for name in namespaces(names):
        path = NETNS_ROOT / name
        if _is_namespace(path):
            commands.tool(["ip", "netns", "delete", name], what=f"removing the namespace {name}")
        path.unlink(missing_ok=True)


def break_wire(spec: LabSpec, wire: str, *, silent: bool) -> None:
    """Cut a wire: without carrier, or (silent) with carrier but without any frame arriving."""
    ports = _ports(spec, wire)
    if silent:
        lines = [f"link set dev {port} up" for port in ports]
        lines += [f"link set dev {port} type bridge_slave isolated on" for port in ports]
    else:
        lines = [f"link set dev {port} down" for port in ports]
    _batch(LabNames(spec.name).wires_netns, lines, f"breaking the wire {wire}")


def heal_wire(spec: LabSpec, wire: str) -> None:
    """Undo `break_wire` and `slow_wire`, whatever kind of break it was."""
    ports = _ports(spec, wire)
    _end_relays(spec, wire, ports)
    lines = [f"link set dev {port} type bridge_slave isolated off" for port in ports]
    lines += [f"link set dev {port} up" for port in ports]
    _batch(LabNames(spec.name).wires_netns, lines, f"healing the wire {wire}")


def slow_wire(
    spec: LabSpec, wire: str, *, delay: float, jitter: float = 0.0, loss: float = 0.0, host: str = ""
) -> None:
    """Put a long, bad line (relay.py) between a wire and one host's end of it: seconds, seconds, 0 to 1, each way.

    Without `host` it is the wire's first end, which is right for a wire of two ends. A second call replaces the first.
    """
    ends = dict(_ends(spec, wire))
    ports = _ports(spec, wire)
    if host:
        ports = [port for end, port in ends.items() if end.partition(":")[0] == host]
        if not ports:
            at = ", ".join(end.partition(":")[0] for end in ends)
            raise LabError(f"{host} is not at the wire {wire}; there are {at}")
    elif len(ports) > 2:
        at = ", ".join(end.partition(":")[0] for end in ends)
        raise LabError(f"the wire {wire} has {len(ports)} ends; name the host whose line is slow: {at}")
    names, port = LabNames(spec.name), ports[0]
    _end_relays(spec, wire, [port])
    bridge, near, far = (f"{kind}{port}" for kind in "bnf")
    _batch(
        names.wires_netns,
        [
            f"link add {bridge} type bridge stp_state 0 mcast_snooping 0 group_fwd_mask 0x4000",
            f"link set {bridge} alias slow:{wire} up",
            f"tuntap add dev {near} mode tap",
            f"tuntap add dev {far} mode tap",
        ],
        f"slowing the wire {wire}",
    )
    command = [sys.executable, "-m", _RELAY, near, far, str(delay), str(jitter), str(loss)]
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), *sys.path)))
    relay = subprocess.Popen(
        ["nsenter", f"--net={NETNS_ROOT / names.wires_netns}", "--", *command], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/",
        env=commands.tool_environment(PYTHONPATH=path), start_new_session=True,
    )  # fmt: skip
    assert relay.stdout is not None
    said = relay.stdout.readline()
    relay.stdout.close()
    if said != "carrying\n":
        _end_relays(spec, wire, [port])
        raise LabError(f"the relay of the wire {wire} did not start: {said.strip() or 'it said nothing'}")
    index = [known.name for known in spec.wires].index(wire)
    lines = [
        f"link set {near} master {bridge} up",
        f"link set {far} master w{index} up",
        f"link set {port} master {bridge}",
    ]
    _batch(names.wires_netns, lines, f"slowing the wire {wire}")


def _end_relays(spec: LabSpec, wire: str, ports: list[str]) -> None:
    """Put ports back into the wire's own bridge, and end what was between."""
    netns = LabNames(spec.name).wires_netns
    out = commands.tool(["ip", "-netns", netns, "-json", "link", "show"], what="looking at the wires")
    links = {link["ifname"] for link in json.loads(out)}
    slow = [port for port in ports if f"b{port}" in links]
    if not slow:
        return
    index = [known.name for known in spec.wires].index(wire)
    there = NETNS_ROOT / netns
    inode = {(there.stat().st_dev, there.stat().st_ino)}
    taps = {f"n{port}" for port in slow}

    def relays() -> list[int]:
        return [p for p in in_network_namespaces(inode) if _RELAY in (line := command_line(p)) and taps & set(line)]

    kill_until_gone(relays, f"the relay of the wire {wire}")
    lines = [f"link set {port} master w{index}" for port in slow]
    lines += [f"link delete {kind}{port}" for port in slow for kind in "nfb"]
    _batch(netns, lines, f"healing the wire {wire}")


def unplug(names: LabNames, host: str) -> None:
    """Take down all that is in a host's namespace: without processes it would still forward and answer ARP."""
    netns = names.host_netns(host)
    known = commands.tool(["ip", "-netns", netns, "-json", "link", "show"], what=f"looking at {netns}")
    _batch(netns, [f"link set dev {link['ifname']} down" for link in json.loads(known)], f"unplugging {host}")


def wire_status(spec: LabSpec) -> tuple[WireStatus, ...]:
    """Return the state of every wire, read from the kernel."""
    netns = LabNames(spec.name).wires_netns
    out = commands.tool(["ip", "-netns", netns, "-json", "-details", "link", "show"], what="looking at the wires")
    links = {link["ifname"]: link for link in json.loads(out)}
    found: list[WireStatus] = []
    for wire in spec.wires:
        ends = _ends(spec, wire.name)
        ports = [links[port] for _, port in ends if port in links]
        state: WireState = "ok"
        if any("UP" not in port["flags"] for port in ports) or len(ports) < len(ends):
            state = "broken"
        elif any(port["linkinfo"]["info_slave_data"].get("isolated") for port in ports):
            state = "silent"
        elif any(f"b{port}" in links for _, port in ends):
            state = "slow"
        found.append(WireStatus(wire.name, wire.kind, state, tuple(end for end, _ in ends)))
    return tuple(found)


def mac_address(lab: str, host: str, interface: str) -> str:
    """Return the hardware address of an interface: always the same for the same names."""
    digest = hashlib.sha256(f"{lab}/{host}/{interface}".encode()).hexdigest()
    return "02:" + ":".join(digest[i : i + 2] for i in range(0, 10, 2))


def _management(spec: LabSpec) -> list[str]:
    names = LabNames(spec.name)
    network = spec.management
    lines = [
        "link set lo up",
        f"link add {_MANAGEMENT_BRIDGE} type bridge stp_state 0 mcast_snooping 0 group_fwd_mask 0x4000",
        f"address add {network[1]}/{network.prefixlen} broadcast + dev {_MANAGEMENT_BRIDGE}",
        f"link set {_MANAGEMENT_BRIDGE} up",
    ]
    for host in spec.hosts:
        if host.kind == "vm":
            # QEMU listens here for SSH to the machine, which sees it come from the controller.
            address = spec.management_address(host)
            lines += [
                f"address add {address}/32 dev {_MANAGEMENT_BRIDGE}",
                f"route replace local {address} dev {_MANAGEMENT_BRIDGE} table local src {network[1]}",
            ]
            continue
        port = f"m{host.number}"
        lines += [
            _cable(port, names.host_netns(host.name), MANAGEMENT_INTERFACE, names.lab, host.name),
            f"link set {port} alias {host.name} master {_MANAGEMENT_BRIDGE} up",
            # Hosts reach the controller, not each other: what passes between hosts uses the wires.
            f"link set dev {port} type bridge_slave isolated on",
        ]
    return lines


def _wires(spec: LabSpec) -> list[str]:
    names = LabNames(spec.name)
    lines: list[str] = []
    bridges = {wire.name: f"w{index}" for index, wire in enumerate(spec.wires)}
    for wire in spec.wires:
        bridge = bridges[wire.name]
        lines += [
            f"link add {bridge} type bridge stp_state 0 mcast_snooping 0 group_fwd_mask 0x4000",
            f"link set {bridge} alias {wire.kind}:{wire.name} up",
        ]
    for host in spec.hosts:
        for index, interface in enumerate(host.interfaces):
            cable = cable_end(host.number, index)
            port_of = f"{host.name}:{interface.name} master {bridges[interface.wire]} up"
            if host.kind == "vm":
                lines += [f"tuntap add dev {cable} mode tap", f"link set {cable} alias {port_of}"]
                continue
            lines += [
                _cable(cable, names.host_netns(host.name), interface.name, names.lab, host.name),
                f"link set {cable} alias {port_of}",
            ]
    return lines


def _cable(port: str, netns: str, interface: str, lab: str, host: str) -> str:
    mac = mac_address(lab, host, interface)
    return f"link add {port} type veth peer name {interface} address {mac} netns {netns}"


def cable_end(number: int, index: int) -> str:
    """Return the name of a host's end of a cable, among the wires: `index` counts the host's interfaces."""
    return f"p{number}.{index}"


def _ends(spec: LabSpec, wire: str) -> list[tuple[str, str]]:
    return [
        (f"{host.name}:{interface.name}", cable_end(host.number, index))
        for host in spec.hosts
        for index, interface in enumerate(host.interfaces)
        if interface.wire == wire
    ]


def _ports(spec: LabSpec, wire: str) -> list[str]:
    if wire not in {known.name for known in spec.wires}:
        known_names = ", ".join(sorted(known.name for known in spec.wires)) or "none"
        raise LabError(f"lab {spec.name} has no wire {wire!r}; its wires are {known_names}")
    return [port for _, port in _ends(spec, wire)]


def _batch(netns: str | None, lines: list[str], what: str) -> None:
    """Run many `ip` commands at once, in a namespace."""
    if lines:
        where = ["-netns", netns] if netns else []
        commands.tool(["ip", *where, "-batch", "-"], what=what, stdin="\n".join(lines) + "\n")


def _write_settings(netns: str) -> None:
    """Make sure a helper namespace forwards nothing, speaks no IPv6 of its own and has room for frames."""
    script = (
        "echo 0 > /proc/sys/net/ipv4/ip_forward;"
        # a machine's cable holds that many frames while it computes; 10 are lost in the first burst
        " echo 512 > /proc/sys/net/unix/max_dgram_qlen;"
        " for scope in all default; do"
        " [ ! -e /proc/sys/net/ipv6 ] || echo 1 > /proc/sys/net/ipv6/conf/$scope/disable_ipv6; done"
    )
    command = ["nsenter", f"--net={NETNS_ROOT / netns}", "sh", "-c", script]
    commands.tool(command, what=f"setting up the namespace {netns}")


def _is_namespace(path: Path) -> bool:
    """Say whether a namespace is mounted there; a killed `ip netns add` leaves a plain file."""
    return path.stat().st_dev != NETNS_ROOT.stat().st_dev
