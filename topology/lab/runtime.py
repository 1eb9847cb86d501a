"""The lab as a whole: up, down, status, and what can be done to a lab that is up."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from topology.lab import access, cleanup, freebsd, hosts, locks, machine, network, state, vm
from topology.lab.errors import LabError, as_lab_errors
from topology.lab.hosts import Disk, HostStatus
from topology.lab.image import check_filesystems, ensure_image, image_directory
from topology.lab.keys import make_host_key, make_keys
from topology.lab.mirror import ensure_mirror, mirror_directory
from topology.lab.names import LabNames, check_spec
from topology.lab.network import WireStatus
from topology.lab.prerequisites import check_prerequisites
from topology.lab.spec import LabHost, LabSpec

Progress = Callable[[str, int, int], None]
"""Called as (text, done, total)."""
LabCondition = Literal["down", "up", "degraded", "leftovers", "changing"]
BOOT_SECONDS = 90.0
_QEMU_STARTS = 20.0
"""Seconds after which a machine that boots has a QEMU."""
_BOOT_AND_REBOOT = {
    "debian": (["cat", "/proc/sys/kernel/random/boot_id"], ["systemctl", "--no-block", "reboot"]),
    "freebsd": (["sysctl", "-n", "kern.boottime"], ["shutdown", "-r", "now"]),
}
"""What tells one boot of a machine from another, and what begins the next."""
_STEPS = 4
"""Steps of `up` before hosts boot: image, mirror, network, disks."""


@dataclass(frozen=True, slots=True)
class LabStatus:
    """A lab as it is now."""

    name: str
    condition: LabCondition
    """down; up; degraded (a host is dead); leftovers (crashed or half up); changing (see `holder`)."""
    hosts: tuple[HostStatus, ...]
    wires: tuple[WireStatus, ...]
    holder: str
    """Pid and purpose of the process that is changing the lab; empty if none is."""
    leftovers: tuple[str, ...]
    """What a lab that is not properly up has left; `down` removes it."""


def no_progress(text: str, done: int, total: int) -> None:
    """Say nothing."""


def up(spec: LabSpec, *, progress: Progress = no_progress) -> bool:
    """Bring a lab up; return whether anything had to be done.

    A lab that is up with the same specification is left alone. Anything else of that name,
    such as another specification or a crashed lab, is removed first.
    """
    check_prerequisites()
    check_spec(spec)
    check_filesystems()
    if _machines(spec):
        vm.check_prerequisites()
    names = LabNames(spec.name)
    total = len(spec.hosts) + _STEPS
    with as_lab_errors("topology lab up"), locks.lab_lock(names, "topology lab up"):
        if _is_up(spec):
            progress(f"lab {spec.name} is already up", total, total)
            return False
        if cleanup.leftovers(names, locked=True):
            progress(f"removing what was there of the lab {spec.name}", 0, total)
            cleanup.remove_lab(names)
        disk = _ensure_disk(progress, total)
        if _machines(spec):
            _ensure_machines(spec, progress, total)
        try:
            _boot(spec, disk, progress, total)
        except _BootError:
            raise
        except BaseException:
            cleanup.remove_lab(names)
            raise
    return True


class _BootError(LabError):
    """A host did not come up; the lab is left as it is, to be looked at."""


def _ensure_disk(progress: Progress, total: int) -> Disk:
    if not image_directory().is_dir():
        progress("building the base image, once; about a minute", 0, total)
    image = ensure_image()
    if not mirror_directory().is_dir():
        progress("downloading packages for the lab's mirror, once per list", 1, total)
    return Disk(image, ensure_mirror())


def _machines(spec: LabSpec) -> bool:
    return any(host.kind == "vm" for host in spec.hosts)


def _ensure_machines(spec: LabSpec, progress: Progress, total: int) -> None:
    if not image_directory("vm").is_dir():
        progress("building the image of virtual machines, once; about two minutes", 0, total)
    ensure_image("vm")
    if any(host.system == "freebsd" for host in spec.hosts):
        freebsd.image()
        freebsd.packages_disk()
    vm.mirror_disk()
    said = {"kvm": "KVM", "tcg": "emulation (no KVM here): minutes, not seconds"}[vm.accelerator()]
    progress(f"virtual machines use {said}", 1, total)


def _boot(spec: LabSpec, disk: Disk, progress: Progress, total: int) -> None:
    names = LabNames(spec.name)
    state.write(state.LabState(spec, disk, complete=False))
    changed = machine.prepare(len(spec.hosts))
    progress(changed or "making the network", 2, total)
    network.build(spec)
    progress("making keys and disks", 3, total)
    own, keys = make_keys(spec)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda host: hosts.prepare_disk(spec, host, disk, keys[host.name], own.public), spec.hosts))
    progress(f"booting {len(spec.hosts)} hosts", _STEPS, total)
    for host in spec.hosts:
        hosts.start(spec, host, disk)
    _wait(spec, list(spec.hosts), progress, total)
    state.write(state.LabState(spec, disk, complete=True))
    progress(f"lab {names.lab} is up", total, total)


def _wait(spec: LabSpec, waited_for: list[LabHost], progress: Progress, total: int) -> None:
    """Wait until these hosts answer SSH."""
    names = LabNames(spec.name)
    done = total - len(waited_for)

    def answered(host: str) -> None:
        nonlocal done
        done += 1
        progress(f"{host} answers", done, total)

    machines = {host.name for host in waited_for if host.kind == "vm"}
    begun = time.monotonic()

    def still_alive(host: str) -> str:
        if host in machines and time.monotonic() - begun > _QEMU_STARTS and vm.qemu_pid(names, host) is None:
            return f"QEMU of host {host} ended while booting; its console is in {names.log(host)}"
        if (names.host_state(host) / "ended").exists():
            return f"host {host} stopped while booting; its console is in {names.log(host)}"
        return ""

    addresses = {host.name: str(spec.management_address(host)) for host in waited_for}
    patience = max(map(_patience, waited_for))
    try:
        access.wait_for_ssh(
            names,
            addresses,
            seconds=patience,
            answered=answered,
            still_alive=still_alive,
            greeting=vm.GREETING_SECONDS if _machines(spec) else 1.0,
        )
    except LabError as error:
        raise _BootError(f"{error}; `topology lab down` removes the lab") from None


def _patience(host: LabHost) -> float:
    return vm.BOOT_SECONDS if host.kind == "vm" else BOOT_SECONDS


def _is_up(spec: LabSpec) -> bool:
    """Say whether exactly this lab is up and every host answers."""
    names = LabNames(spec.name)
    known = state.read(names)
    if known is None or not known.complete or known.spec != spec:
        return False
    if known.disk != Disk(image_directory(), mirror_directory()):
        return False
    if any(hosts.host_status(spec, host).state != "running" for host in spec.hosts):
        return False
    addresses = {host.name: str(spec.management_address(host)) for host in spec.hosts}
    return access.ssh_answers(names, addresses, seconds=2 * vm.GREETING_SECONDS if _machines(spec) else 2.0)


def down(name: str, *, progress: Progress = no_progress) -> bool:
    """Remove a lab and everything of it; return whether there was anything."""
    check_prerequisites()
    names = LabNames(name)
    with as_lab_errors("topology lab down"), locks.lab_lock(names, "topology lab down"):
        if not cleanup.leftovers(names, locked=True):
            progress(f"lab {name} is down", 1, 1)
            return False
        progress(f"removing the lab {name}", 0, 1)
        cleanup.remove_lab(names)
        progress(f"lab {name} is down", 1, 1)
    return True


def status(name: str) -> LabStatus:
    """Return how a lab is, looking at the kernel and not only at what was written down."""
    check_prerequisites()
    names = LabNames(name)
    holder = locks.holder(names) or ""
    known = state.read(names)
    found = tuple(cleanup.leftovers(names, locked=bool(holder)))
    if known is None:
        condition: LabCondition = "changing" if holder else "leftovers" if found else "down"
        return LabStatus(name, condition, (), (), holder, found)
    now = tuple(hosts.host_status(known.spec, host) for host in known.spec.hosts)
    wires: tuple[WireStatus, ...] = ()
    if names.wires_netns in network.namespaces(names):
        wires = network.wire_status(known.spec)
    if not known.complete or (not wires and known.spec.wires):
        return LabStatus(name, "changing" if holder else "leftovers", now, wires, holder, found)
    condition = "up" if all(host.state == "running" for host in now) else "degraded"
    return LabStatus(name, condition, now, wires, holder, ())


def leftovers(name: str) -> list[str]:
    """Return everything of a lab that is on the machine, in words; nothing when it is down."""
    return cleanup.leftovers(LabNames(name))


def ssh(name: str, host: str, command: Sequence[str] = ()) -> int:
    """Log in to a host, or run a command there; input and output pass through."""
    known = _known(name)
    return access.call(access.ssh_command(LabNames(name), _host(known.spec, host).name, command), lab=name)


def run(name: str, command: Sequence[str]) -> int:
    """Run a command of the controller (Ansible, a test) where it can reach the lab's hosts."""
    _known(name)
    return access.call(access.controller_command(LabNames(name), command), lab=name)


def exec_in(
    name: str, host: str, command: Sequence[str], *, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as root inside a host without SSH (a virtual machine: with it), and return what it printed.

    A command that runs when its host shuts down holds it up for 10 seconds.
    """
    known = _known(name)
    if _host(known.spec, host).kind == "vm":
        return access.over_ssh(LabNames(name), host, command, stdin)
    return access.inside(LabNames(name), host, command, stdin)


def break_wire(name: str, wire: str, *, silent: bool = False) -> None:
    """Cut a wire: hosts lose carrier, or (silent) keep it and just hear nothing more."""
    network.break_wire(_known(name).spec, wire, silent=silent)


def slow_wire(name: str, wire: str, *, delay: float, jitter: float = 0.0, loss: float = 0.0, host: str = "") -> None:
    """Make a wire long and bad, or one host's line to it: seconds, seconds, 0 to 1, each way. `heal_wire` undoes it."""
    network.slow_wire(_known(name).spec, wire, delay=delay, jitter=jitter, loss=loss, host=host)


def heal_wire(name: str, wire: str) -> None:
    """Mend a wire that `break_wire` cut or `slow_wire` made slow."""
    network.heal_wire(_known(name).spec, wire)


def kill_host(name: str, host: str) -> None:
    """Cut a host's power."""
    known = _known(name)
    with locks.lab_lock(LabNames(name), f"topology lab kill {host}"):
        # first the cables: nothing may be heard of processes that die, not even that their connections end
        if _host(known.spec, host).kind == "container":
            network.unplug(LabNames(name), host)
        hosts.kill(LabNames(name), host)
        (LabNames(name).host_state(host) / "ended").write_text("137\n", encoding="ascii")


def start_host(name: str, host: str, *, progress: Progress = no_progress) -> None:
    """Switch a dead host on again, with its disk as it was, and wait until it answers."""
    known = _known(name)
    found = _host(known.spec, host)
    with locks.lab_lock(LabNames(name), f"topology lab start {host}"):
        if hosts.host_status(known.spec, found).state == "running":
            raise LabError(f"host {host} of lab {name} is running already")
        hosts.kill(LabNames(name), host)
        hosts.start(known.spec, found, known.disk, fresh_network=True)
        _wait(known.spec, [found], progress, 1)


def replace_host(name: str, host: str, *, progress: Progress = no_progress) -> str:
    """Put a bare machine in a dead host's place: an empty disk, a host key of its own; return that public key.

    The lab's known_hosts still has the old key, so nobody takes the new machine for the old one before
    somebody has said so.
    """
    known = _known(name)
    found = _host(known.spec, host)
    names = LabNames(name)
    with locks.lab_lock(names, f"topology lab replace {host}"):
        if hosts.host_status(known.spec, found).state == "running":
            raise LabError(f"host {host} of lab {name} runs; kill_host first")
        hosts.kill(names, host)
        key = make_host_key(known.spec, host)
        shutil.rmtree(names.host_data(host))
        login = names.private_key.with_name(f"{names.private_key.name}.pub").read_text(encoding="ascii")
        hosts.prepare_disk(known.spec, found, known.disk, key, login)
        hosts.start(known.spec, found, known.disk, fresh_network=True)
        _wait(known.spec, [found], progress, 1)
    return key.public.strip()


def reboot_host(name: str, host: str) -> None:
    """Reboot a host from inside, and wait until it answers again."""
    known = _known(name)
    names = LabNames(name)
    if _host(known.spec, host).kind == "vm":
        _reboot_machine(name, _host(known.spec, host))
        return
    before = hosts.init_pid(names, host)
    exec_in(name, host, ["systemctl", "reboot"])
    # Looked at from outside, because a look from inside would hold up the shutdown.
    deadline = time.monotonic() + BOOT_SECONDS
    while hosts.init_pid(names, host) in (None, before):
        if time.monotonic() > deadline:
            raise LabError(f"host {host} did not reboot; its console is in {names.log(host)}")
        time.sleep(0.02)
    wait_for(name, host)


def _reboot_machine(name: str, host: LabHost) -> None:
    boot, reboot = _BOOT_AND_REBOOT[host.system]
    before = exec_in(name, host.name, boot).stdout
    if not before:
        raise LabError(f"host {host.name} of lab {name} does not say which boot this is; it was not rebooted")
    exec_in(name, host.name, reboot)
    deadline = time.monotonic() + vm.BOOT_SECONDS
    while (now := exec_in(name, host.name, boot).stdout) == before or not now:
        if time.monotonic() > deadline:
            raise LabError(f"host {host.name} did not reboot; its console is in {LabNames(name).log(host.name)}")
        time.sleep(1)


def wait_for(name: str, host: str, *, seconds: float | None = None) -> None:
    """Wait until a host (one that reboots, say) answers SSH."""
    known = _known(name)
    found = _host(known.spec, host)
    seconds = seconds or _patience(found)
    address = str(known.spec.management_address(found))
    access.wait_for_ssh(
        LabNames(name),
        {host: address},
        seconds=seconds,
        answered=lambda _: None,
        still_alive=lambda _: "",
        greeting=vm.GREETING_SECONDS if found.kind == "vm" else 1.0,
    )


def logs(name: str, host: str) -> Path:
    """Return the file with a host's console."""
    return LabNames(name).log(_host(_known(name).spec, host).name)


def show_progress(text: str, done: int, total: int) -> None:
    """Print one line per step."""
    print(f"[{done}/{total}] {text}", file=sys.stderr, flush=True)


def _known(name: str) -> state.LabState:
    check_prerequisites()
    known = state.read(LabNames(name))
    if known is None or LabNames(name).controller_netns not in network.namespaces(LabNames(name)):
        raise LabError(f"lab {name} is not up; topology lab up starts it")
    return known


def _host(spec: LabSpec, name: str) -> LabHost:
    for host in spec.hosts:
        if host.name == name:
            return host
    known = ", ".join(host.name for host in spec.hosts)
    raise LabError(f"lab {spec.name} has no host {name!r}; its hosts are {known}")
