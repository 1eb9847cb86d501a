"""Ways into a running lab: SSH, a host's namespaces, the controller's place in the network."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from topology.lab.commands import tool_environment
from topology.lab.errors import LabError
from topology.lab.hosts import DROPPED_CAPABILITIES, init_pid
from topology.lab.names import NETNS_ROOT, LabNames

_CLONE_NEWNET = 0x40000000
SSH_WRAPPER = Path(__file__).with_name("ssh-in-lab")
"""For ansible_ssh_executable; sftp-in-lab and scp-in-lab are beside it."""


def ssh_command(names: LabNames, host: str, command: Sequence[str]) -> list[str]:
    """Return the command that opens SSH to a host; without `command` it is a login."""
    login = controller_command(names, ["ssh", "-F", str(names.ssh_config), host])
    return [*login, "--", shlex.join(command)] if command else login


def controller_command(names: LabNames, command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` where the lab's controller is."""
    return ["nsenter", f"--net={NETNS_ROOT / names.controller_netns}", "--", *command]


def network_command(names: LabNames, host: str, command: Sequence[str]) -> list[str]:
    """Return the command that runs `command`, a program of this machine, in the network of a container."""
    return ["nsenter", f"--net={NETNS_ROOT / names.host_netns(host)}", "--", *command]


def call(command: Sequence[str], *, lab: str) -> int:
    """Run a command with this process's input and output; return its exit code."""
    try:
        return subprocess.run(list(command), check=False, env={**os.environ, "TOPOLOGY_LAB": lab}).returncode
    except OSError as error:
        raise LabError(f"cannot run {command[0]}: {error.strerror}") from None


def inside(names: LabNames, host: str, command: Sequence[str], stdin: str | None) -> subprocess.CompletedProcess[str]:
    """Run `command` as root inside a host without SSH, and return what it printed."""
    pid = init_pid(names, host)
    if pid is None:
        raise LabError(f"host {host} of lab {names.lab} is not running; topology lab status says why")
    spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }
    return subprocess.run(
        [*_without_machine_rights(), _which("nsenter"), f"--target={pid}", *spaces, "--", *command],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=environment,
    )


def over_ssh(names: LabNames, host: str, command: Sequence[str], stdin: str | None) -> subprocess.CompletedProcess[str]:
    """Run `command` as root in a virtual machine, and return what it printed."""
    return subprocess.run(
        ssh_command(names, host, ["sudo", *command]),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=tool_environment(),
    )


def _without_machine_rights() -> list[str]:
    """Return what keeps a command from having more rights than its host has.

    Entering a host from outside brings all of root's rights along, and setting the clock would
    set the machine's.
    """
    rights = ",".join(f"-{name.removeprefix('CAP_').lower()}" for name in DROPPED_CAPABILITIES)
    return [_which("setpriv"), f"--bounding-set={rights}"]


def _which(program: str) -> str:
    found = shutil.which(program, path=tool_environment()["PATH"])
    if found is None:
        raise LabError(f"{program} is not installed; apt-get install util-linux")
    return found


def wait_for_ssh(
    names: LabNames,
    addresses: dict[str, str],
    *,
    seconds: float,
    answered: Callable[[str], None],
    still_alive: Callable[[str], str],
    greeting: float = 1.0,
) -> None:
    """Wait until every host's SSH server greets; `addresses` is by host name.

    `still_alive` returns why a host will never answer, or nothing. `greeting` is how many seconds a server may
    take: a virtual machine without KVM would be kept from booting by connections that are given up and begun anew.
    """
    failures: list[LabError] = []
    given_up = threading.Event()

    def work() -> None:
        try:
            _enter_network(NETNS_ROOT / names.controller_netns)
            _poll(addresses, seconds, answered, still_alive, given_up, greeting)
        except LabError as error:
            failures.append(error)

    # A thread of its own: a thread that has entered a namespace cannot come back reliably.
    thread = threading.Thread(target=work, daemon=True)
    try:
        thread.start()
        thread.join()
    finally:
        given_up.set()
    if failures:
        raise failures[0]


def ssh_answers(names: LabNames, addresses: dict[str, str], *, seconds: float = 2.0) -> bool:
    """Say whether the SSH server of every host greets right now."""
    try:
        wait_for_ssh(
            names, addresses, seconds=seconds, answered=lambda _: None, still_alive=lambda _: "", greeting=seconds / 2
        )
    except LabError:
        return False
    return True


def _poll(
    addresses: dict[str, str],
    seconds: float,
    answered: Callable[[str], None],
    still_alive: Callable[[str], str],
    given_up: threading.Event,
    greeting: float,
) -> None:
    deadline = time.monotonic() + seconds

    def wait(host: str) -> None:
        while not _greets(addresses[host], greeting):
            reason = still_alive(host)
            if not reason and time.monotonic() > deadline:
                reason = f"host {host} did not answer SSH within {seconds:.0f} seconds"
            if reason:
                raise LabError(reason)
            if given_up.wait(0.03):
                return
        answered(host)

    # Threads started here are in this thread's namespace.
    with ThreadPoolExecutor(min(len(addresses), 64) or 1) as pool:
        waits = [pool.submit(wait, host) for host in addresses]
        try:
            for each in as_completed(waits):
                each.result()
        finally:
            given_up.set()


def _greets(address: str, greeting: float) -> bool:
    """Say whether an SSH server greets there, within `greeting` seconds once connected.

    A closed port refuses at once; a host without its address yet does not answer at all, so
    the wait is short and the next round tries again.
    """
    try:
        with socket.create_connection((address, 22), timeout=0.2) as connection:
            connection.settimeout(greeting)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _enter_network(path: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LabError(f"cannot open the namespace {path.name}: {error.strerror}") from None
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise LabError(f"cannot enter the namespace {path.name}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)
