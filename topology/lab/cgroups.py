"""Control groups: one per host, below one per lab, in every hierarchy systemd uses.

On a pure version 2 machine that is one hierarchy, on a hybrid machine two: systemd's own
(name=systemd) and the unified one. Version 1 controllers are left alone.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from topology.lab.errors import LabError
from topology.lab.processes import kill_until_gone

CGROUP_ROOT = Path("/sys/fs/cgroup")
_PARENT = "topology-lab"
SUPERVISORS = "_run"
"""The group of the scripts that restart hosts; no host has that name."""


@cache
def hierarchies() -> tuple[Path, ...]:
    """Return where the hierarchies that systemd uses are mounted."""
    pure, found = False, []
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2":
            pure = pure or place == str(CGROUP_ROOT)
            found.append(Path(place))
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            found.append(Path(place))
    if pure:
        return (CGROUP_ROOT,)
    if not found:
        raise LabError(f"no control groups that systemd can use are mounted below {CGROUP_ROOT}")
    return tuple(dict.fromkeys(found))


def lab_groups(lab: str) -> list[Path]:
    """Return the group of a lab in every hierarchy."""
    return [root / _PARENT / lab for root in hierarchies()]


def host_groups(lab: str, host: str) -> list[Path]:
    """Return the group of a host in every hierarchy."""
    return [group / host for group in lab_groups(lab)]


def create(lab: str, host: str) -> list[Path]:
    """Make the group of a host and return it."""
    groups = host_groups(lab, host)
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    return groups


def pids(group: Path) -> list[int]:
    """Return the processes in a group and all groups below it."""
    return [pid for directory in (group, *_below(group)) for pid in own_pids(directory)]


def own_pids(group: Path) -> list[int]:
    """Return the processes in a group itself."""
    try:
        text = (group / "cgroup.procs").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(pid) for pid in text.split() if pid != "0"]


def remove(groups: list[Path]) -> None:
    """Kill everything in these groups and remove them."""
    deadline = time.monotonic() + 15
    while True:
        for group in groups:
            _kill(group)
        left = [group for group in groups if not _remove_tree(group)]
        if not left:
            break
        if time.monotonic() > deadline:
            raise LabError(f"control group {left[0]} cannot be removed; something keeps using it")
        time.sleep(0.01)


def remove_lab(lab: str) -> None:
    """Kill everything in a lab's groups and remove them, and the parent if no lab is left."""
    groups = lab_groups(lab)
    remove(groups)
    for group in groups:
        with suppress(OSError):
            group.parent.rmdir()


def _kill(group: Path) -> None:
    with suppress(OSError):  # version 1 has no such file
        (group / "cgroup.kill").write_text("1", encoding="ascii")
    kill_until_gone(lambda: pids(group), f"control group {group}")


def _below(group: Path) -> list[Path]:
    try:
        children = [entry for entry in group.iterdir() if entry.is_dir()]
    except OSError:
        return []
    return [below for child in children for below in (child, *_below(child))]


def _remove_tree(group: Path) -> bool:
    """Remove a group and those below it; say whether it is gone."""
    for directory in (*reversed(_below(group)), group):
        try:
            directory.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
