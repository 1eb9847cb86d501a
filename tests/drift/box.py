"""A host as the twin sees it: testinfra over one SSH connection, which a slow, silent or mad host cannot hold up."""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import testinfra.host
from testinfra.backend.base import CommandResult
from testinfra.backend.ssh import SshBackend

CONNECT, ANSWER = 5, 20
"""Seconds until a connection must stand, and until a command must have been answered."""
BUDGET = 300
"""Seconds of waiting that a host is given for one look."""
MOST = 8 * 1024 * 1024
"""Most bytes of an answer."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Unread(Exception):
    """A host could not be read: it is never clean."""


class Patient(SshBackend):
    """testinfra's SSH backend with limits, and with the inventory's own way to the host.

    Commands of a host share a connection: a login costs fifteen times as much as a command.
    """

    NAME = "patient-ssh"

    def __init__(self, name: str, values: Mapping[str, Any], ssh_config: str | None, folder: Path) -> None:
        super().__init__(name, sudo=True)
        self._encoding = "utf-8"  # else testinfra asks the host's Python
        self.failed = ""
        self.waited = 0.0
        user = values.get("ansible_user")
        # of options given twice ssh takes the first
        self.prefix = [
            str(values.get("ansible_ssh_executable", "ssh")), *(["-F", ssh_config] if ssh_config else []),
            "-o", f"ControlPath={folder}/%C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60",
            # a shared connection may be dead already
            "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2",
            "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT}", "-o", "LogLevel=ERROR", "-T",
            *str(values.get("ansible_ssh_common_args", "")).split(),
            *(["-i", str(values["ansible_ssh_private_key_file"])] if "ansible_ssh_private_key_file" in values else []),
            *(["-l", str(user)] if user else []), name if ssh_config else str(values["ansible_host"]),
        ]  # fmt: skip

    def get_sudo_command(self, command: str, sudo_user: str | None) -> str:
        """Return a command for root, who needs no sudo; nobody is asked for a password."""
        inner = self.quote("env LC_ALL=C PATH=%s /bin/sh -c %s", PATH, command)
        # ssh says 255 itself when the connection fails
        run = f'if [ "$(id -u)" = 0 ]; then {inner}; else sudo -n {inner}; fi'
        return f"{run}; r=$?; [ $r != 255 ] || r=254; exit $r"

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """Run a command; Unread when the host does not answer in time, in size or at all."""
        if self.failed:
            raise Unread(self.failed)
        text = self.get_command(command, *args)
        begun = time.monotonic()
        try:
            code, out, err = limited([*self.prefix, text], CONNECT + ANSWER, MOST)
        except Unread as unread:
            self.failed = str(unread)
            raise
        self.waited += time.monotonic() - begun
        if self.waited > BUDGET:
            self.failed = f"took more than {BUDGET} s to answer everything"
        if code == 255:
            said = err.decode(errors="replace").strip().splitlines()
            self.failed = "unreachable: " + (said[-1] if said else "ssh ended with 255")
            raise Unread(self.failed)
        # a host may answer bytes that are no text
        said = (part.decode(errors="replace") for part in (out, err))
        return self.result(code, self.encode(text), *said)

    def close(self) -> None:
        """End the shared connection."""
        command = [*self.prefix[:-1], "-O", "exit", self.prefix[-1]]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10)


def limited(argv: list[str], seconds: float, most: int) -> tuple[int, bytes, bytes]:
    """Run a program; Unread when it takes longer or says more."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    until = time.monotonic() + seconds
    said = {process.stdout: bytearray(), process.stderr: bytearray()}
    try:
        with selectors.DefaultSelector() as ready:
            for stream in said:
                ready.register(stream, selectors.EVENT_READ)
            while ready.get_map():
                left = until - time.monotonic()
                if left <= 0:
                    raise Unread(f"no answer within {seconds:g} s")
                for key, _ in ready.select(left):
                    part = os.read(key.fd, 65536)
                    if not part:
                        ready.unregister(key.fileobj)
                    said[key.fileobj] += part  # type: ignore[index]
                    if sum(map(len, said.values())) > most:
                        raise Unread(f"answered more than {most // 1024 // 1024} MB")
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Unread(f"no answer within {seconds:g} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()
    return process.returncode, bytes(said[process.stdout]), bytes(said[process.stderr])


class Box:
    """A host, its platform and what it has said already."""

    def __init__(self, name: str, platform: str, values: Mapping[str, Any], ssh_config: str | None = None) -> None:
        self.name, self.platform = name, platform
        # a socket's path may be 100 characters long
        self._folder = tempfile.TemporaryDirectory(prefix="twin-", dir="/tmp")
        self.backend = Patient(name, values, ssh_config, Path(self._folder.name))
        self.host = testinfra.host.Host(self.backend)
        self.backend.set_host(self.host)
        self._said: dict[str, CommandResult] = {}
        self._asking: dict[str, threading.Lock] = {}
        self._greeted = False

    def greet(self) -> None:
        """Make sure, once, that the host does what it is told, as root, and says that and nothing else."""
        if self._greeted:
            return
        word = secrets.token_hex(8)
        done = self.host.run("echo %s $(id -u)", word)
        if done.stdout.strip() != f"{word} 0":
            text = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
            self.backend.failed = "could not be read: " + "".join(c if c.isprintable() else "?" for c in text[:120])
            raise Unread(self.backend.failed)
        self._greeted = True

    def say(self, command: str) -> str:
        """Return what a command prints, asked once; it must work."""
        done = self.ask(command)
        if done.rc:
            raise ValueError(f"{command}: {(done.stderr or done.stdout).strip()[:200] or f'ended with {done.rc}'}")
        return done.stdout

    def ask(self, command: str) -> CommandResult:
        """Return what a command, asked once, has done."""
        with self._asking.setdefault(command, threading.Lock()):
            if command not in self._said:
                self._said[command] = self.host.run(command)
            return self._said[command]

    def forget(self) -> None:
        """Ask everything anew from here on."""
        self._said.clear()
        self._greeted = False
        self.backend.failed, self.backend.waited = "", 0.0

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(subprocess.SubprocessError):
            self.backend.close()
        self._folder.cleanup()
