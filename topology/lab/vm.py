"""Lab hosts that are virtual machines: their disk, QEMU, and the cables to the lab's wires.

A virtual machine is the same host as a container: the same image with a kernel in it, the same files written into it,
the same wires. Its management network is QEMU's own with `restrict=on`, inside the controller's namespace: SSH comes
in, nothing goes out. Its other ports are cables (cables.py) to the wires' bridges; a trunk port has one per VLAN.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from topology.lab import cgroups, commands, freebsd, network
from topology.lab.commands import tool_environment
from topology.lab.errors import LabError
from topology.lab.files import remove_tree
from topology.lab.image import BUILD_LOCK, image_directory, root_of
from topology.lab.locks import waiting_lock
from topology.lab.mirror import mirror_directory
from topology.lab.names import MANAGEMENT_INTERFACE, MIRROR_IN_HOST, NETNS_ROOT, LabNames
from topology.lab.processes import command_line, is_zombie
from topology.lab.spec import LabHost, LabSpec

BOOT_SECONDS = 900.0
"""Longest time a machine may take to answer SSH; without KVM and beside others it takes its time."""
GREETING_SECONDS = 40.0
"""Longest time its SSH server may take to greet, once it listens."""
MEMORY = {"debian": 768, "freebsd": 1024}
"""MB of each machine."""
DISK_SIZE = "4G"
"""What a machine's disk looks like; it takes what is written on it."""
_QEMU = {"amd64": ("qemu-system-x86_64", "q35"), "arm64": ("qemu-system-aarch64", "virt")}
_APPEND = (
    "root=/dev/vda rootfstype=ext4 rw console=ttyS0 quiet net.ifnames=0 systemd.log_color=no panic=10"
    # what takes seconds by emulation and proves nothing here
    " cryptomgr.notests mitigations=off nokaslr audit=0 apparmor=0 selinux=0 nowatchdog fsck.mode=skip"
)
_BUS = """\
<!-- Made for the lab: services by emulation. -->
<busconfig><limit name="service_start_timeout">180000</limit><limit name="auth_timeout">180000</limit></busconfig>
"""
_PROBE_SECONDS = 20.0
_CABLES = "topology.lab.cables"


@dataclass(frozen=True, slots=True)
class Kernel:
    """What QEMU starts."""

    image: Path
    initrd: Path


def check_prerequisites() -> None:
    """Raise LabError when QEMU or the tool that makes disks is missing."""
    program, _ = _machine()
    path = tool_environment()["PATH"]
    if shutil.which(program, path=path) is None:
        raise LabError(f"virtual machines need {program}: apt-get install {_package(program)}")
    if shutil.which("mke2fs", path=path) is None:
        raise LabError("virtual machines need mke2fs: apt-get install e2fsprogs")


def _package(program: str) -> str:
    return {"qemu-system-x86_64": "qemu-system-x86", "qemu-system-aarch64": "qemu-system-arm"}[program]


def _machine() -> tuple[str, str]:
    from topology.lab.debian import debian

    architecture = debian().architecture
    if architecture not in _QEMU:
        raise LabError(f"virtual machines are known for {' and '.join(_QEMU)}, not for {architecture}")
    return _QEMU[architecture]


def kernel() -> Kernel:
    """Return the newest kernel in the image of virtual machines."""
    boot = root_of(image_directory("vm")) / "boot"
    found = sorted(boot.glob("vmlinuz-*"))
    if not found:
        raise LabError(f"{boot} has no kernel; remove {image_directory('vm')} and try again")
    return Kernel(found[-1], boot / found[-1].name.replace("vmlinuz-", "initrd.img-"))


@cache
def accelerator() -> str:
    """Return `kvm` when a kernel really starts with it, else `tcg`: /dev/kvm alone proves nothing."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    program, machine = _machine()
    start = kernel()
    with tempfile.TemporaryDirectory(prefix="topology-kvm-") as folder:
        console = Path(folder, "console")
        command = [
            program, "-machine", f"{machine},accel=kvm", "-cpu", "host", "-m", "256", "-display", "none", "-nodefaults",
            "-no-reboot", "-serial", f"file:{console}", "-kernel", str(start.image),
            "-append", "console=ttyS0 panic=-1",
        ]  # fmt: skip
        probe = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=tool_environment(),
        )  # fmt: skip
        deadline = time.monotonic() + _PROBE_SECONDS
        try:
            # without a disk the kernel panics: that is as far as it has to come
            while time.monotonic() < deadline and probe.poll() is None:
                time.sleep(0.1)
        finally:
            probe.kill()
            probe.wait()
        said = console.read_bytes() if console.exists() else b""
    return "kvm" if b"Kernel panic" in said else "tcg"


def mirror_disk_path() -> Path:
    """Return where the lab's mirror as a disk is, or will be."""
    mirror = mirror_directory()
    return mirror.with_name(f"image-mirror-{mirror.name.removeprefix('mirror-')}") / "mirror.ext4"


def mirror_disk() -> Path:
    """Return the lab's mirror as a disk, making it first if it is not in the cache."""
    mirror, disk = mirror_directory(), mirror_disk_path()
    if disk.exists():
        return disk
    with waiting_lock(BUILD_LOCK, f"{BUILD_LOCK} has been held for ten minutes; fuser says by whom"):
        if not disk.exists():
            new = disk.parent.with_name(f"new-{disk.parent.name}")
            remove_tree(new)
            new.mkdir()
            size = sum(file.stat().st_size for file in mirror.iterdir()) * 11 // 10 // 2**20 + 32
            _make_filesystem(new / disk.name, mirror, f"{size}M", ("-O", "^has_journal", "-m", "0"))
            new.rename(disk.parent)
    return disk


def _make_filesystem(disk: Path, content: Path, size: str, options: Sequence[str] = ()) -> None:
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-d", str(content), *options, str(disk), size]
    commands.tool(command, what=f"making the disk {disk.name}")


def make_disk(names: LabNames, host: str, image: Path) -> None:
    """Make a machine's disk from the image and what was written for this host on top of it."""
    data = names.host_data(host)
    layers = f"lowerdir={root_of(image)},upperdir={data / 'upper'},workdir={data / 'work'}"
    disk = _disk(names, host)
    disk.unlink(missing_ok=True)
    # In a mount namespace of its own: whatever happens, nothing stays mounted.
    script = 'mount -t overlay -o "$1" topology-lab "$2" && exec mke2fs -q -F -t ext4 -d "$2" "$3" "$4"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", layers]
    commands.tool([*command, str(data / "root"), str(disk), DISK_SIZE], what=f"making the disk of {host}")


def own_files(spec: LabSpec, host: LabHost) -> dict[str, str]:
    """Return the files a machine has and a container has not, by path: its ports, mirror, patience and clock."""
    header = "# Made for the lab: the port with this address has this name.\n"
    # 10-* and 20-* are the role network's own: it would remove them, and after a reboot no port had its name.
    # A VLAN has its port's hardware address and is no ether: udev tried to give it the port's name, without end.
    links = {
        f"etc/systemd/network/05-{port}.link": (
            f"{header}[Match]\nType=ether\nMACAddress={network.mac_address(spec.name, host.name, port)}\n\n"
            f"[Link]\nName={port}\n"
        )
        for port in (MANAGEMENT_INTERFACE, *host.ports)
    }
    # Without KVM, and beside others, it takes a while until a disk is seen.
    patience = f"x-systemd.device-timeout={BOOT_SECONDS:.0f}"
    return links | {
        "etc/fstab": f"/dev/vdb {MIRROR_IN_HOST} ext4 ro,nofail,{patience} 0 0\n",
        # the first value counts: the district's own grace of 30 seconds is too short for a login by emulation
        "etc/ssh/sshd_config.d/00-machine.conf": "# Made for the lab: logins by emulation.\nLoginGraceTime 180\n",
        # D-Bus: a call waits 25 seconds by itself; a daemon that has waited in vain for its name is lost to its callers
        "etc/systemd/system.conf.d/00-machine.conf": "[Manager]\nDefaultEnvironment=SYSTEMD_BUS_TIMEOUT=180s\n",
        "etc/dbus-1/system.d/00-machine.conf": _BUS,
        "etc/lab-machine.env": "SYSTEMD_BUS_TIMEOUT=180s\n",
        "etc/sudoers.d/00-machine": "# Made for the lab.\nDefaults env_file=/etc/lab-machine.env\n",
        # its clock is its own, which the image (made for containers) does not know
        "etc/lab-chrony.env": "DAEMON_OPTS=-F 1\n",
    }


def start(spec: LabSpec, host: LabHost) -> None:
    """Switch a machine on; it boots by itself from here on."""
    names = LabNames(spec.name)
    groups = [str(group / "cgroup.procs") for group in cgroups.create(spec.name, host.name)]
    state = names.host_state(host.name)
    (state / "ended").unlink(missing_ok=True)
    log = names.log(host.name)
    log.parent.mkdir(parents=True, exist_ok=True)
    for port in host.ports:
        for side in ("vm", "lab"):
            _socket(names, host.name, port, side).unlink(missing_ok=True)
    join = 'for group in $1; do echo 0 >"$group"; done; shift; exec "$@"'
    inside = ["sh", "-c", join, "sh", " ".join(groups)]
    cables = [sys.executable, "-m", _CABLES]
    for port in host.ports:
        plugs = [
            f"{'' if interface.vlan is None else interface.vlan}={network.cable_end(host.number, index)}"
            for index, interface in enumerate(host.interfaces)
            if interface.port == port
        ]
        ends = (_socket(names, host.name, port, side) for side in ("lab", "vm"))
        cables.append(",".join([*map(str, ends), *plugs]))
    wires = ["nsenter", f"--net={NETNS_ROOT / names.wires_netns}", "--"]
    controller = ["nsenter", f"--net={NETNS_ROOT / names.controller_netns}", "--"]
    environment = tool_environment(
        PYTHONPATH=os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), *sys.path)))
    )
    with log.open("ab") as output:
        running = []
        for command in ([*wires, *cables], [*controller, *_qemu(spec, host)]):
            running.append(
                subprocess.Popen(
                    [*inside, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env=environment,
                    start_new_session=True,
                )
            )
            # QEMU sends to the cables' sockets, which have to be there before it starts
            _wait_for([_socket(names, host.name, port, "lab") for port in host.ports], running, log)


def _wait_for(sockets: Sequence[Path], running: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not all(path.exists() for path in sockets):
        if time.monotonic() > deadline or any(process.poll() is not None for process in running):
            raise LabError(f"the cables of a virtual machine did not start; {log} says why")
        time.sleep(0.02)


def _qemu(spec: LabSpec, host: LabHost) -> list[str]:
    names = LabNames(spec.name)
    program, machine = _machine()
    fast = accelerator()
    kernel_now = kernel()
    address = spec.management_address(host)
    own = spec.management
    if host.system == "freebsd":
        disk, seed = freebsd.disks(names, host.name)
        boots = ["-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe"]
        for cd in (seed, freebsd.packages_disk()):
            boots += ["-drive", f"file={cd},if=virtio,format=raw,readonly=on"]
    else:
        boots = [
            "-kernel", str(kernel_now.image), "-initrd", str(kernel_now.initrd), "-append", _APPEND,
            "-drive", f"file={_disk(names, host.name)},if=virtio,format=raw,cache=unsafe",
            "-drive", f"file={mirror_disk()},if=virtio,format=raw,readonly=on",
        ]  # fmt: skip
    command = [
        program, "-name", names.machine(host.name), "-machine", f"{machine},accel={fast}",
        "-cpu", "host" if fast == "kvm" else "qemu64", "-smp", "1", "-m", str(MEMORY[host.system]),
        "-display", "none", "-nodefaults", "-serial", "stdio", "-monitor", "none",
        "-qmp", f"unix:{names.host_state(host.name) / 'qmp'},server=on,wait=off",
        "-device", "virtio-rng-pci",
        *boots,
        # SSH comes in; with restrict=on the machine cannot begin anything to anywhere through this.
        "-netdev", f"user,id=mgmt,restrict=on,ipv6=off,net={own},host={own[1]},dns={own[-2]},"
                   f"hostfwd=tcp:{address}:22-{address}:22",
        "-device", _card("mgmt", network.mac_address(spec.name, host.name, MANAGEMENT_INTERFACE)),
    ]  # fmt: skip
    for index, port in enumerate(host.ports):
        here, there = (_socket(names, host.name, port, side) for side in ("vm", "lab"))
        command += [
            "-netdev",
            f"dgram,id=n{index},local.type=unix,local.path={here},remote.type=unix,remote.path={there}",
            "-device",
            _card(f"n{index}", network.mac_address(spec.name, host.name, port)),
        ]
    return command


def _card(netdev: str, mac: str) -> str:
    return f"virtio-net-pci,netdev={netdev},mac={mac},romfile="


def _socket(names: LabNames, host: str, port: str, side: str) -> Path:
    return names.host_state(host) / f"{port}.{side}"


def _disk(names: LabNames, host: str) -> Path:
    return names.host_data(host) / "disk.ext4"


def qemu_pid(names: LabNames, host: str) -> int | None:
    """Return the process of a host's QEMU, or None if the machine is off."""
    for group in cgroups.host_groups(names.lab, host):
        for pid in cgroups.pids(group):
            if "qemu-system" in " ".join(command_line(pid)[:1]) and not is_zombie(pid):
                return pid
    return None
