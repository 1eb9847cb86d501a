"""A lab on one machine: containers with systemd, joined by wires, from a LabSpec.

The state of a lab is what the kernel says; files only remember what was asked for.
Every function raises LabError, one line that says what to do, and nothing else.
"""

from topology.lab.access import SSH_WRAPPER
from topology.lab.cache import clean_cache
from topology.lab.errors import LabError
from topology.lab.hosts import HostStatus
from topology.lab.network import WireStatus
from topology.lab.prerequisites import missing_prerequisites
from topology.lab.runtime import (
    LabStatus,
    Progress,
    break_wire,
    down,
    exec_in,
    heal_wire,
    kill_host,
    leftovers,
    logs,
    reboot_host,
    replace_host,
    run,
    show_progress,
    slow_wire,
    ssh,
    start_host,
    status,
    up,
    wait_for,
)
from topology.lab.spec import LabHost, LabInterface, LabSpec, LabWire

__all__ = [
    "SSH_WRAPPER",
    "HostStatus",
    "LabError",
    "LabHost",
    "LabInterface",
    "LabSpec",
    "LabStatus",
    "LabWire",
    "Progress",
    "WireStatus",
    "break_wire",
    "clean_cache",
    "down",
    "exec_in",
    "heal_wire",
    "kill_host",
    "leftovers",
    "logs",
    "missing_prerequisites",
    "reboot_host",
    "replace_host",
    "run",
    "show_progress",
    "slow_wire",
    "ssh",
    "start_host",
    "status",
    "up",
    "wait_for",
]
