"""Readings that Debian and FreeBSD hosts have in common: their scripts print them in the same form."""

from __future__ import annotations

import re

from topology.drift.observed import Things

_SYSTEMS = frozenset({
    "proc", "sysfs", "devtmpfs", "devpts", "mqueue", "hugetlbfs", "debugfs", "tracefs", "securityfs", "pstore", "bpf",
    "configfs", "fusectl", "efivarfs", "autofs", "binfmt_misc", "cgroup", "cgroup2", "nsfs", "ramfs", "rpc_pipefs",
    "selinuxfs",
})  # fmt: skip
"""File systems of the kernel: they hold nothing of anybody's."""
_SYSTEM = ("/boot", "/dev", "/home", "/proc", "/run", "/sys", "/tmp", "/usr", "/var")
"""Folders of the system, which whoever installs a host may have put on disks of their own (FHS 3.0)."""
_REMOTE = re.compile(r"nfs|cifs|smb|fuse\.|9p|ceph|glusterfs|davfs")


def mount(target: str, source: str, kind: str, options: str) -> dict[str, object]:
    """Say how a file system is mounted, from where and of what kind; options are joined by commas.

    One that is neither the kernel's nor in a folder of the system is somebody's (`owned`); so is one from elsewhere.
    """
    system = target == "/" or any(target == f or target.startswith(f"{f}/") for f in _SYSTEM)
    ours = bool(_REMOTE.match(kind)) or not (system or kind in _SYSTEMS)
    mode = "ro" if "ro" in options.split(",") else "rw"
    return {"mode": mode, "source": source, "type": kind, "owned": ours}


def ruleset(text: str) -> dict[str, Things]:
    """Return whether the kernel has the rendered rules: `same` or `differs`, then how; ValueError for anything else."""
    first, _, rest = text.partition("\n")
    if first not in ("same", "differs"):
        raise ValueError(first)
    shown = "as rendered" if first == "same" else " | ".join(" ".join(x.split()) for x in rest.splitlines()[:6])
    return {"ruleset": {"filter": {"loaded": shown}}}
