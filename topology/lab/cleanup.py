"""Removing a lab, whatever state it is in, and finding what was left of it.

Nothing here trusts a state file: leftovers are found by their names.
"""

from __future__ import annotations

from pathlib import Path

from topology.lab import cgroups, disks, machine, network
from topology.lab.files import mounts_below, remove_tree, unmount_below
from topology.lab.locks import remove_if_empty
from topology.lab.names import DATA_ROOT, STATE_ROOT, LabNames
from topology.lab.processes import (
    all_pids,
    command_line,
    in_network_namespaces,
    is_zombie,
    kill_until_gone,
    own_line,
)

_NSPAWN_RUN = Path("/run/systemd/nspawn")


def remove_lab(names: LabNames) -> None:
    """Remove everything of a lab. The caller holds its lock."""
    nspawn_locks = _nspawn_locks(names)
    cgroups.remove_lab(names.lab)
    spared = own_line()
    inodes = network.namespace_inodes(names)
    if inodes:
        # For example a controller's SSH connections that stay open for the next command.
        kill_until_gone(lambda: [pid for pid in in_network_namespaces(inodes) if pid not in spared], f"lab {names.lab}")
    unmount_below(names.state, names.data)
    network.remove(names)
    disks.detach(names.data)
    remove_tree(names.data)
    remove_if_empty(DATA_ROOT)
    for path in [*nspawn_locks, *_nspawn_directories(names)]:
        remove_tree(path)
    for name in ("locks", "propagate", "unix-export", "."):
        remove_if_empty(_NSPAWN_RUN / name)
    if STATE_ROOT.exists():
        machine.restore(names.lab)
    remove_tree(names.state)


def leftovers(names: LabNames, *, locked: bool = False) -> list[str]:
    """Return everything of a lab that is still there, in words; nothing when it is down.

    With `locked` the lock file is not counted: somebody (the caller, say) holds it.
    """
    found = [f"network namespace {name}" for name in network.namespaces(names)]
    found += [f"mount {place}" for place in mounts_below(names.state, names.data)]
    found += [f"loop device {d} of {f}" for d, f in disks.devices() if Path(f).is_relative_to(names.data)]
    for group in cgroups.lab_groups(names.lab):
        if group.exists():
            found.append(f"control group {group}")
    found += [f"process {pid}: {' '.join(command)}" for pid, command in _processes(names)]
    paths = [names.state, names.data, *_nspawn_directories(names), *_nspawn_locks(names)]
    if not locked:
        paths.append(names.lock)
    found += [f"file {path}" for path in paths if path.exists()]
    if machine.is_changed() and not [entry for entry in STATE_ROOT.iterdir() if entry.is_dir()]:
        found.append(f"kernel setting {machine.SETTING} = {machine.setting()}, not restored")
    return found


def _processes(names: LabNames) -> list[tuple[int, list[str]]]:
    machine_prefix = f"--machine={names.lab}-"
    places = (f"{names.state}/", f"{names.data}/")
    spared = own_line()
    found: list[tuple[int, list[str]]] = []
    for pid in all_pids():
        command = command_line(pid)
        text = "\0".join(["", *command])
        ours = f"\0{machine_prefix}" in text or any(place in text for place in places)
        if ours and pid not in spared and not is_zombie(pid):
            found.append((pid, command))
    return found


def _nspawn_directories(names: LabNames) -> list[Path]:
    directories = (_NSPAWN_RUN / "propagate", _NSPAWN_RUN / "unix-export")
    return [path for directory in directories for path in directory.glob(f"{names.lab}-*")]


def _nspawn_locks(names: LabNames) -> list[Path]:
    """Return systemd-nspawn's lock files of the lab's disks, which it leaves behind when killed."""
    found: list[Path] = []
    for note in names.state.glob("hosts/*/nspawn-lock"):
        name = note.read_text(encoding="ascii").strip()
        if name.startswith("inode-") and (_NSPAWN_RUN / "locks" / name).exists():
            found.append(_NSPAWN_RUN / "locks" / name)
    return found
