"""Devices in `topology drift`: their findings beside those of the hosts."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from topology.allocate import Plan
from topology.devices.cli import Work, chosen, read_all, secrets_of, unobserved_line
from topology.devices.model import devices_of
from topology.devices.wanted import wanted
from topology.drift.finding import Finding
from topology.expect.model import Expected
from topology.render.common import Context


def drift(
    plan: Plan, inventory: Path, options: argparse.Namespace, context: Context
) -> tuple[list[Expected], list[Finding], bool]:
    """Return what is expected of the devices that were read, their findings, and whether any was left unread.

    Without a login nothing is read, and one line on standard error says so.
    """
    devices = [d for d in devices_of(plan) if chosen(d, options.hosts)]
    secrets = secrets_of(os.environ)
    if not devices:
        return [], [], False
    if not {"USER", "PASSWORD"} <= secrets.keys():
        print(unobserved_line(len(devices)), file=sys.stderr)
        return [], [], True
    expected = {d.name: wanted(context, d) for d in devices}
    return list(expected.values()), read_all(Work(devices, expected, secrets, inventory, options)), False
