"""What a lab is made of: hosts, the interfaces they have, and the wires these are plugged into.

Plain data between the model (topology.lab.slice makes it from a plan) and the runtime
(topology.lab boots it). Nothing in here knows a district.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class LabInterface:
    """One network interface of a lab host."""

    name: str
    """Name inside the host, at most 15 characters."""
    wire: str
    """Name of the wire it is plugged into."""
    vlan: int | None = None
    """Id on the trunk port that `name` is made on (`lan.20`), None for a port of its own."""

    @property
    def port(self) -> str:
        """Return the name of the port that carries it."""
        return self.name if self.vlan is None else self.name.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class LabHost:
    """One machine with systemd and SSH: a container in a network namespace, or a virtual machine."""

    name: str
    number: int
    """Host number (>= 2) on the management network; .1 is the controller."""
    interfaces: tuple[LabInterface, ...]
    kind: Literal["container", "vm"] = "container"
    system: Literal["debian", "freebsd"] = "debian"
    disk: str = ""
    """Path in the host of a data disk of its own; empty: it has none."""

    @property
    def ports(self) -> tuple[str, ...]:
        """Return the ports that carry the interfaces, in order."""
        return tuple(dict.fromkeys(interface.port for interface in self.interfaces))


@dataclass(frozen=True, slots=True)
class LabWire:
    """A layer-2 segment: a bridge with one port per plugged interface."""

    name: str
    kind: str
    """lan, radio, tunnel or underlay."""


@dataclass(frozen=True, slots=True)
class LabSpec:
    """A whole lab."""

    name: str
    """Short name, [a-z0-9]{1,8}: prefixes every namespace, mount and cgroup of the lab."""
    hosts: tuple[LabHost, ...]
    wires: tuple[LabWire, ...]
    management: ipaddress.IPv4Network

    def management_address(self, host: LabHost) -> ipaddress.IPv4Address:
        """Return the address of `host` on its mgmt0 interface."""
        return self.management[host.number]
