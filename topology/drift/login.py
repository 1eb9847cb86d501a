"""How a host is reached over SSH: by the variables Ansible uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONNECT = 5
"""Seconds until a connection must stand."""


@dataclass(frozen=True, slots=True)
class Login:
    """How a host is reached."""

    host: str
    address: str
    command: tuple[str, ...]
    """ssh and its options, without the address."""
    user: str | None = None


def login_of(name: str, values: Mapping[str, Any]) -> Login:
    """Return how to reach a host, from its inventory variables (those Ansible uses)."""
    # no multiplexing: the session ends with the reading, and a master of somebody's may be stuck. Before the
    # inventory's own options, for of two ssh takes the first
    command = [
        str(values.get("ansible_ssh_executable", "ssh")),
        "-o", "ControlPath=none", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT}", "-T",
        *str(values.get("ansible_ssh_common_args", "")).split(),
    ]  # fmt: skip
    if key := values.get("ansible_ssh_private_key_file"):
        command += ["-i", str(key)]
    if port := values.get("ansible_port"):
        command += ["-p", str(port)]
    user = values.get("ansible_user")
    return Login(name, str(values["ansible_host"]), tuple(command), str(user) if user else None)
