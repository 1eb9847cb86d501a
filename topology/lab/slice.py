"""From a plan to the lab that boots a slice of it."""

from __future__ import annotations

import ipaddress
from typing import Literal

from topology.allocate import Interface, Plan, sliced
from topology.lab.spec import LabHost, LabInterface, LabSpec, LabWire
from topology.render import nas


def lab_spec(plan: Plan) -> LabSpec:
    """Return the hosts and wires of the lab that `plan` is for; ValueError when it is for none.

    Every LAN with a host in it is a wire, and so is every radio or leased link; all uplinks are
    plugged into one wire, the internet. Tunnels are WireGuard's and run over that.
    """
    lab = plan.district.lab
    if lab is None:
        raise ValueError("this inventory has no lab.yml")
    cut = sliced(plan)
    numbers = {line.host: line.number for line in lab.hosts}
    numbers |= {f"{c.site}-{c.name}": c.number for c in lab.clients}
    if lab.internet is not None:
        numbers["internet"] = lab.internet.number
    wires: dict[str, LabWire] = {}
    hosts = []
    for name, host in cut.hosts.items():
        interfaces = []
        for interface in host.interfaces:
            if interface.kind == "tunnel":
                continue  # WireGuard makes it, over the uplinks
            if interface.kind == "uplink":
                if lab.internet is None:
                    continue
                wire = LabWire("internet", "underlay")
            elif interface.link is not None:
                wire = LabWire(interface.link, cut.links[interface.link].kind)
            elif interface.network is not None:
                wire = LabWire(f"{host.site}.{interface.network}", "lan")
            else:
                continue
            wires.setdefault(wire.name, wire)
            interfaces.append(LabInterface(interface.name, wire.name, _tag(interface)))
        disk = nas.DEVICE if host.kind == "nas" else ""
        kind = lab.instances if host.kind == "gateway" else "container"
        system: Literal["debian", "freebsd"] = "freebsd" if host.platform == "freebsd" else "debian"
        hosts.append(LabHost(name, numbers[name], tuple(interfaces), kind, system, disk))
    return LabSpec(lab.name, tuple(hosts), tuple(wires.values()), ipaddress.IPv4Network(lab.management))


def _tag(interface: Interface) -> int | None:
    """Return an interface's VLAN id on its trunk: a LAN's own, or a radio link's, which is in its name."""
    if interface.vlan is not None:
        return interface.vlan
    _, dot, tag = interface.name.rpartition(".")
    return int(tag) if dot and tag.isdigit() and interface.link is not None else None
