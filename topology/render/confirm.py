"""Commit-confirm on a gateway: the program, what starts it at boot, and where administrators come from.

The program is one text for both platforms (topology/templates/common/topology-filter); it must be
placed executable, as must the rc.d script of FreeBSD.
"""

from __future__ import annotations

from functools import cache

from topology.allocate import Host, Plan
from topology.policy import admin_prefixes
from topology.render.common import TEMPLATES, Context

PROGRAM = "usr/local/sbin/topology-filter"
SERVICE = "usr/local/etc/rc.d/topology_filter"
EXECUTABLE = (PROGRAM, SERVICE)
"""Paths of rendered files that need mode 0755 (all others are configuration)."""
MANAGEMENT = "etc/topology/management"
"""Prefixes that the emergency rules let in to SSH, one a line."""


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of what a gateway needs to load its filter safely (see the program's head)."""
    header = context.header(host, "policy.yml")
    found = {
        PROGRAM: _script("common/topology-filter", header),
        MANAGEMENT: "".join(f"{line}\n" for line in (f"# {header}", *sources(context.plan))),
    }
    if host.platform == "freebsd":
        found[SERVICE] = f"#!/bin/sh\n# {header}\n{_text('freebsd/topology_filter')}"
    else:
        for unit in ("topology-filter.service", "topology-shape.service"):
            found[f"etc/systemd/system/{unit}"] = f"# {header}\n{_text(f'debian/{unit}')}"
    return found


def sources(plan: Plan) -> tuple[str, ...]:
    """Return the prefixes from which administrators log in: the policy's, and a lab's management network."""
    lab = plan.district.lab
    return (*admin_prefixes(plan), *((lab.management,) if lab else ()))


def _script(template: str, header: str) -> str:
    """Return a script with the header as its second line: the first must be the interpreter's."""
    first, _, rest = _text(template).partition("\n")
    return f"{first}\n# {header}\n{rest}"


@cache
def _text(template: str) -> str:
    return (TEMPLATES / template).read_text(encoding="utf-8")
