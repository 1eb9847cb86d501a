"""What the lab changes on the machine itself, written down before it is changed."""

from __future__ import annotations

import json
from pathlib import Path

from topology.lab import commands
from topology.lab.files import mounts_below, write_atomically
from topology.lab.locks import machine_lock, remove_if_empty
from topology.lab.names import NETNS_ROOT, STATE_ROOT

SETTING = "fs.inotify.max_user_instances"
_SETTING_FILE = Path("/proc/sys/fs/inotify/max_user_instances")
_BEFORE = STATE_ROOT / "machine.json"
_PER_HOST = 64
_SPARE = 1024


def prepare(hosts: int) -> str | None:
    """Make room for that many more hosts; return what was changed, in words, if anything was."""
    with machine_lock():
        before = _read_before()
        current = setting()
        if before is None:
            before = {"setting": current, "netns": _netns_is_mounted()}
            write_atomically(_BEFORE, json.dumps(before))
        wanted = max(current, _SPARE + _PER_HOST * (hosts + _hosts_up()))
        if wanted == current:
            return None
        _SETTING_FILE.write_text(str(wanted), encoding="ascii")
        return f"{SETTING} raised from {current} to {wanted}; the last lab to go down restores it"


def restore(lab: str) -> None:
    """Put back what `prepare` changed, unless another lab still needs it."""
    with machine_lock():
        others = [entry for entry in STATE_ROOT.iterdir() if entry.is_dir() and entry.name != lab]
        before = _read_before()
        if others or before is None:
            return
        old = before.get("setting")
        if isinstance(old, int) and setting() != old:
            _SETTING_FILE.write_text(str(old), encoding="ascii")
        if before.get("netns") is False and _netns_is_mounted() and not any(NETNS_ROOT.iterdir()):
            # `ip netns` mounts its directory onto itself; it does so again when needed.
            commands.tool(["umount", str(NETNS_ROOT)], what=f"unmounting {NETNS_ROOT}")
            remove_if_empty(NETNS_ROOT)
        _BEFORE.unlink(missing_ok=True)


def setting() -> int:
    """Return the present value of the one kernel setting the lab raises."""
    return int(_SETTING_FILE.read_text(encoding="ascii"))


def is_changed() -> bool:
    """Say whether the machine is still as a lab needs it."""
    return _BEFORE.exists()


def _netns_is_mounted() -> bool:
    # Not Path.is_mount(): that does not see a directory mounted onto itself.
    return NETNS_ROOT in mounts_below(NETNS_ROOT)


def _hosts_up() -> int:
    return sum(1 for _ in STATE_ROOT.glob("*/hosts/*"))


def _read_before() -> dict[str, object] | None:
    try:
        before = json.loads(_BEFORE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return before if isinstance(before, dict) else {}
