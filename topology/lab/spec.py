"""What a lab is made of: hosts, the interfaces they have, and the wires these are plugged into.

Plain data between the model (topology.lab.slice makes it from a plan) and the runtime
(topology.lab boots it). Nothing in here knows a district.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabInterface:
    """One network interface of a lab host."""

    name: str
    """Name inside the host, at most 15 characters."""
    wire: str
    """Name of the wire it is plugged into."""


@dataclass(frozen=True, slots=True)
class LabHost:
    """One container with systemd, SSH and its own network namespace."""

    name: str
    number: int
    """Host number (>= 2) on the management network; .1 is the controller."""
    interfaces: tuple[LabInterface, ...]
    disk: str = ""
    """Path in the host of a data disk of its own; empty: it has none."""


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
