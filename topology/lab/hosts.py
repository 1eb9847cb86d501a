"""Lab hosts: their disk, their container, and whether they live."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from topology.lab import cgroups, disks, freebsd, vm
from topology.lab.commands import tool_environment
from topology.lab.errors import LabError
from topology.lab.image import image_directory, root_of
from topology.lab.keys import KeyPair
from topology.lab.names import (
    LAB_UID,
    LAB_USER,
    MANAGEMENT_INTERFACE,
    MIRROR_IN_HOST,
    LabNames,
    lower_path_is_plain,
)
from topology.lab.processes import PROC, command_line, is_zombie, kill_until_gone
from topology.lab.spec import LabHost, LabSpec

HostState = Literal["running", "dead"]
DROPPED_CAPABILITIES = ("CAP_SYS_TIME", "CAP_SYS_MODULE")
"""Rights no host has: the machine's clock and its kernel modules are not a host's own."""
_RESOLVER = """\
# A lab host has no resolver but its own, until a role writes this file.
nameserver 127.0.0.1
options timeout:1 attempts:1
"""
_RUN_HOST = Path(__file__).with_name("run-host")


@dataclass(frozen=True, slots=True)
class HostStatus:
    """A host as it is now."""

    name: str
    address: str
    """On the management network."""
    state: HostState
    why: str
    """Why it is dead; empty if it runs."""


@dataclass(frozen=True, slots=True)
class Disk:
    """What a host's disk is made of."""

    image: Path
    mirror: Path


def prepare_disk(spec: LabSpec, host: LabHost, disk: Disk, host_key: KeyPair, login_key: str) -> None:
    """Write the files that make the shared image this host; the host must not run."""
    names = LabNames(spec.name)
    data = names.host_data(host.name)
    for name in ("upper", "work", "root"):
        (data / name).mkdir(mode=0o755, parents=True, exist_ok=True)
    names.host_state(host.name).mkdir(mode=0o755, parents=True, exist_ok=True)
    image = image_directory("vm") if host.kind == "vm" else disk.image
    if host.system == "freebsd":
        freebsd.make_disk(spec, host, login_key, host_key.private)
        return
    upper = _Upper(root_of(image), data / "upper")
    address = f"{spec.management_address(host)}/{spec.management.prefixlen}"
    upper.write("etc/hostname", f"{host.name}\n")
    upper.write("etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {host.name}\n::1 localhost ip6-localhost\n")
    upper.write("etc/machine-id", _machine_id(spec.name, host.name) + "\n")
    upper.write("etc/resolv.conf", _RESOLVER)
    upper.write("etc/ssh/ssh_host_ed25519_key", host_key.private, mode=0o600)
    upper.write("etc/ssh/ssh_host_ed25519_key.pub", host_key.public)
    upper.write(
        f"etc/systemd/network/10-{MANAGEMENT_INTERFACE}.network",
        "# The lab's management network: no default route, so nothing leaves through it.\n"
        f"[Match]\nName={MANAGEMENT_INTERFACE}\n\n[Network]\nAddress={address}\n"
        "LinkLocalAddressing=no\nIPv6AcceptRA=no\nLLDP=no\n",
    )
    upper.write(f"home/{LAB_USER}/.ssh/authorized_keys", login_key, owner=LAB_UID, mode=0o600)
    upper.own(f"home/{LAB_USER}/.ssh", LAB_UID, 0o700)
    upper.own(f"home/{LAB_USER}", LAB_UID, 0o755)
    upper.age("var/lib/apt/lists")
    if host.kind == "vm":
        for name, text in vm.own_files(spec, host).items():
            upper.write(name, text)
        upper.make(MIRROR_IN_HOST.lstrip("/"))
        vm.make_disk(names, host.name, image)


def _machine_id(lab: str, host: str) -> str:
    """Return an id that is the same at every `up`; with none systemd would run its first-boot setup."""
    return hashlib.sha256(f"{lab}/{host}".encode()).hexdigest()[:32]


class _Upper:
    """The writable layer of a host, filled before the host is mounted."""

    def __init__(self, lower: Path, upper: Path) -> None:
        self._lower = lower
        self._upper = upper

    def write(self, name: str, text: str, *, mode: int = 0o644, owner: int = 0) -> None:
        path = self._upper / name
        self._make_parents(path.parent)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        self._chown(path, owner)

    def own(self, name: str, owner: int, mode: int) -> None:
        path = self._upper / name
        path.chmod(mode)
        self._chown(path, owner)

    def age(self, name: str) -> None:
        """Make a directory look old: package lists of the image are none, and no tool may take them for fresh."""
        self._make_parents(self._upper / name)
        os.utime(self._upper / name, (0, 0))

    def make(self, name: str) -> None:
        """Make a directory."""
        self._make_parents(self._upper / name)

    def _make_parents(self, directory: Path) -> None:
        """Make a directory with the mode it has in the image, which the upper layer would hide."""
        if directory.exists():
            return
        self._make_parents(directory.parent)
        directory.mkdir()
        below = self._lower / directory.relative_to(self._upper)
        directory.chmod(below.stat().st_mode & 0o7777 if below.exists() else 0o755)

    @staticmethod
    def _chown(path: Path, owner: int) -> None:
        os.chown(path, owner, owner)


def start(spec: LabSpec, host: LabHost, disk: Disk, *, fresh_network: bool = False) -> None:
    """Start a host's container or machine; it boots by itself from here on."""
    if host.kind == "vm":
        vm.start(spec, host)
        return
    names = LabNames(spec.name)
    data = names.host_data(host.name)
    layers = {"lowerdir": root_of(disk.image), "upperdir": data / "upper", "workdir": data / "work"}
    for path in layers.values():
        if not lower_path_is_plain(path):
            raise LabError(f"{path} cannot be used for overlayfs: it has a comma, colon or backslash")
    state = names.host_state(host.name)
    (state / "ended").unlink(missing_ok=True)
    log = names.log(host.name)
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        "LAB_HOST": host.name,
        "LAB_STATE": str(state),
        "LAB_NETNS": names.host_netns(host.name),
        "LAB_SPARE_NETNS": names.spare_netns(host.name),
        "LAB_INTERFACES": " ".join([MANAGEMENT_INTERFACE, *(each.name for each in host.interfaces)]),
        "LAB_SUPERVISOR_GROUPS": _words(cgroups.create(spec.name, cgroups.SUPERVISORS)),
        "LAB_HOST_GROUPS": _words(cgroups.create(spec.name, host.name)),
        # volatile: no waiting for the disk; a lab that loses power is built anew.
        "LAB_OVERLAY": ",".join([*(f"{key}={path}" for key, path in layers.items()), "volatile"]),
        "LAB_WORK": str(data / "work"),
        "LAB_ROOT": str(data / "root"),
        "LAB_FRESH": "yes" if fresh_network else "",
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        "SYSTEMD_COLORS": "0",
    }
    with log.open("ab") as output:
        subprocess.Popen(
            [str(_RUN_HOST), *_nspawn(names, host, disk)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=tool_environment(**environment),
            start_new_session=True,
        )


def _nspawn(names: LabNames, host: LabHost, disk: Disk) -> list[str]:
    return [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        f"--directory={names.host_data(host.name) / 'root'}",
        f"--machine={names.machine(host.name)}",
        f"--hostname={host.name}",
        f"--network-namespace-path=/run/netns/{names.host_netns(host.name)}",
        "--settings=no",
        "--register=no",
        "--keep-unit",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=read-only",
        # Everything a router may need, except what is the machine's.
        "--capability=all",
        f"--drop-capability={','.join(DROPPED_CAPABILITIES)}",
        "--bind=/dev/net/tun",
        f"--bind-ro={disk.mirror}:{MIRROR_IN_HOST}",
        *([f"--bind={disks.attach(names.host_data(host.name) / 'data.img')}:{host.disk}"] if host.disk else []),
        "systemd.log_color=no",
        "systemd.show_status=auto",
    ]


def _words(paths: list[Path]) -> str:
    return " ".join(str(path) for path in paths)


def nspawn_pid(names: LabNames, host: str) -> int | None:
    """Return the process that carries a host's container, or None if the host is dead."""
    for group in cgroups.host_groups(names.lab, host):
        for pid in cgroups.pids(group / "supervisor") + cgroups.own_pids(group):
            if "systemd-nspawn" in " ".join(command_line(pid)[:1]) and not is_zombie(pid):
                return pid
    return None


def init_pid(names: LabNames, host: str) -> int | None:
    """Return the machine's pid of a host's own process 1, or None if there is none."""
    for group in cgroups.host_groups(names.lab, host):
        for pid in cgroups.pids(group / "payload" / "init.scope") or cgroups.pids(group / "payload"):
            if _pid_inside(pid) == 1:
                return pid
    return None


def _pid_inside(pid: int) -> int | None:
    try:
        status = (PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    numbers = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
    return int(numbers[-1]) if len(numbers) > 1 else None


def host_status(spec: LabSpec, host: LabHost) -> HostStatus:
    """Return whether a host runs; a host that runs may still be booting."""
    names = LabNames(spec.name)
    address = str(spec.management_address(host))
    if (vm.qemu_pid if host.kind == "vm" else nspawn_pid)(names, host.name) is not None:
        return HostStatus(host.name, address, "running", "")
    try:
        code = (names.host_state(host.name) / "ended").read_text(encoding="ascii").strip()
    except OSError:
        gone = "it was switched off or its QEMU ended" if host.kind == "vm" else "its container is not there"
        return HostStatus(host.name, address, "dead", gone)
    killed = "it was switched off" if host.kind == "vm" else "its container was killed"
    why = {"0": "it was shut down", "137": killed}.get(code, f"it ended with code {code}")
    return HostStatus(host.name, address, "dead", why)


def kill(names: LabNames, host: str) -> None:
    """Cut a host's power: no process of it, its container or its supervisor survives."""
    kill_until_gone(lambda: _supervisors(names, host), f"host {host}")
    cgroups.remove(cgroups.host_groups(names.lab, host))


def _supervisors(names: LabNames, host: str) -> list[int]:
    machine = f"--machine={names.machine(host)}"
    return [
        pid
        for group in cgroups.host_groups(names.lab, cgroups.SUPERVISORS)
        for pid in cgroups.pids(group)
        if machine in command_line(pid)
    ]
