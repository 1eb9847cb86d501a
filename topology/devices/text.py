"""The text that makes a device what it must be: all of it (provisioning), or only what differs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from topology.devices.model import Device
from topology.devices.wanted import OBSERVED_ONLY, ORDER
from topology.drift.finding import UNEXPECTED, UNOBSERVED, Finding
from topology.expect.model import Expected
from topology.render.common import Context, environment

FILES = {"routeros": "setup.rsc", "ios": "startup.cfg", "airos": "system.cfg", "epmp": "settings.txt"}
"""Family -> file of its provisioning text in the rendered tree."""
_COMMENT = {"ios": "!"}
VARIABLE = "TOPOLOGY_DEVICE_{}"
"""Environment variable of a device's secret: USER, PASSWORD, ENABLE, SNMP_AUTH, SNMP_PRIV."""


@dataclass(frozen=True, slots=True)
class _Face:
    """What a template may ask of a device."""

    device: Device
    secrets: Mapping[str, str]

    def role(self, port: str) -> str:
        return next((p.role for p in self.device.ports if p.name == port), "")

    def tagged(self, port: str) -> tuple[int, ...]:
        return next((p.tagged for p in self.device.ports if p.name == port), ())

    def secret(self, name: str) -> str:
        """Return a secret, or the variable it comes from where there is none to give (a rendered file)."""
        return self.secrets.get(name, f"<{VARIABLE.format(name)}>")


@cache
def _macros(family: str) -> Any:
    return environment().get_template(f"devices/{family}.j2").module


def _lines(family: str, macro: str, *values: object) -> list[str]:
    template = getattr(_macros(family), macro, None)
    return [x for x in template(*values).splitlines() if x.strip()] if template else []


def provisioning(context: Context, device: Device, expected: Expected) -> dict[str, str]:
    """Return path -> text of a new device's configuration; secrets are named, not written."""
    family = device.profile.family
    if family not in FILES:
        return {}
    face, comment = _Face(device, {}), _COMMENT.get(family, "#")
    head = f"{comment} {context.header(device.host, 'devices.yml', 'backbone.yml')}\n"
    head += f"{comment} {device.profile.model}, {family}; <TOPOLOGY_DEVICE_...> is a secret that `apply` fills in.\n"
    lines = [
        line
        for e in expected.expectations
        if e.kind not in OBSERVED_ONLY
        for line in _lines(family, e.kind, e.thing, e.want, face, True)
    ]
    end = "end\n" if family == "ios" else ""
    return {FILES[family]: head + "\n".join(lines) + "\n" + end}


def changes(
    device: Device, expected: Expected, findings: Iterable[Finding], secrets: Mapping[str, str] | None = None
) -> list[str]:
    """Return the lines that bring a device from what was found to what is expected; a thing is one block."""
    family, face = device.profile.family, _Face(device, secrets or {})
    chosen = [f for f in findings if f.kind not in OBSERVED_ONLY and f.state != UNOBSERVED]
    wants = {(e.kind, e.thing): e.want for e in expected.expectations}
    lines: list[str] = []
    done: set[tuple[str, str]] = set()
    # what goes, goes last: a new server is there before the old one is taken away
    for finding in sorted(chosen, key=lambda f: (f.state == UNEXPECTED, ORDER.index(f.kind), f.thing)):
        key = (finding.kind, finding.thing)
        if key in done:
            continue
        done.add(key)
        if finding.state == UNEXPECTED:
            lines += _lines(family, f"no_{finding.kind}", finding.thing, face)
        else:
            lines += _lines(family, finding.kind, finding.thing, wants[key], face, finding.state == "missing")
    return lines


def settable(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that configuration can mend."""
    return [f for f in findings if f.kind not in OBSERVED_ONLY and f.state != UNOBSERVED]


def needs_secrets(findings: Iterable[Finding], family: str) -> bool:
    """Say whether mending these needs the SNMP passwords."""
    return family != "airos" and any(f.kind == "snmp" and f.state != UNEXPECTED for f in settable(findings))


def management(device: Device, findings: Iterable[Finding]) -> list[str]:
    """Return what a change would touch of the way by which the device is managed, as people say it.

    VLANs that come and go beside the management network's on a trunk do not cut it.
    """
    own, found = str(device.management_vlan), []
    ways = {p.name for p in device.ports if p.trunk}
    for f in settable(findings):
        if f.kind in ("address", "route", "interface", "bridge", "filtering", "wireless"):
            found.append(f"{f.kind} {f.thing}")
        elif f.kind == "port" and f.thing in ways and f.field != "description":
            kept = f.field == "tagged" and all(own in x.split(",") for x in (f.expected, f.found))
            if not kept:
                found.append(f"port {f.thing}")
        elif f.kind == "vlan" and f.thing == own and f.field != "name":
            found.append(f"vlan {f.thing}")
    return sorted(set(found))
