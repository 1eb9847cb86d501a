"""A session with one device: netmiko for those with a command line, paramiko where there are only files.

Nothing here trusts the device: bytes are counted, host keys are kept and compared, and every session can be
cut from another thread.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko
from netmiko.exceptions import NetmikoAuthenticationException, NetmikoTimeoutException, ReadTimeout
from netmiko.ssh_dispatcher import CLASS_MAPPER

from topology.devices.model import Device
from topology.devices.read import QUESTIONS

CONNECT, ANSWER = 8, 20
"""Seconds until a connection stands, and until one question is answered."""
MOST = 4 * 1024 * 1024
"""Most bytes of a session; a running configuration of 48 ports has 20 kB."""
CONFIRM_MINUTES = 5
"""After so many minutes a device that was cut off goes back by itself."""
_TYPES = {"routeros": "mikrotik_routeros", "ios": "cisco_ios", "airos": "linux", "epmp": "generic"}
_SAFE = "\x18"
"""Ctrl-X: RouterOS enters and leaves its safe mode."""


class DeviceError(Exception):
    """What a device did, for people. `kind` is host key, login, unreachable, answer or refused."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Target:
    """How a device is reached."""

    device: Device
    host: str
    port: int = 22


@dataclass(slots=True)
class Keys:
    """Host keys as OpenSSH keeps them: who is new is written down, who changed is refused."""

    path: Path
    new: dict[str, str] = field(default_factory=dict)
    """Name -> fingerprint of keys that were not known."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, client: paramiko.SSHClient) -> None:
        """Tell a client what is known."""
        with self.lock:
            if self.path.exists():
                client.load_host_keys(str(self.path))
        client.set_missing_host_key_policy(_Keep(self))


class _Keep(paramiko.MissingHostKeyPolicy):
    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        with self.keys.lock:
            known = paramiko.HostKeys(str(self.keys.path)) if self.keys.path.exists() else paramiko.HostKeys()
            if known.lookup(hostname) is not None:
                # another kind of key than the one it had: as good as a changed one
                raise paramiko.SSHException(f"host key changed: {fingerprint(key)}")
            self.keys.path.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(self.keys.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as file:
                file.write(f"{hostname} {key.get_name()} {key.get_base64()}\n")
            self.keys.new[hostname] = fingerprint(key)


def fingerprint(key: paramiko.PKey) -> str:
    """Return a key's fingerprint as OpenSSH prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


@dataclass(slots=True)
class Session:
    """An open session; `cut` ends it from any thread, also while it is being opened."""

    target: Target
    secrets: Mapping[str, str]
    keys: Keys
    link: Any = None
    client: paramiko.SSHClient | None = None
    over: bool = False

    def open(self) -> None:
        """Log in; DeviceError says what went wrong."""
        try:
            if self.target.device.profile.family == "sftp":
                self.client = self._client()
                self.client.connect(
                    self.target.host, self.target.port, self.secrets["USER"], self.secrets["PASSWORD"],
                    timeout=CONNECT, banner_timeout=CONNECT, auth_timeout=CONNECT, look_for_keys=False,
                    allow_agent=False,
                )  # fmt: skip
            else:
                self.link = _driver(self)
            if self.target.device.profile.family == "ios" and not self.link.check_enable_mode():
                self._privileged()
        except Exception as error:
            self.close()
            raise _explained(error) from None

    def _privileged(self) -> None:
        try:
            self.link.enable()
        except (ValueError, ReadTimeout):
            raise DeviceError("login", "it gives no privileged mode; set TOPOLOGY_DEVICE_ENABLE") from None

    def _client(self) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        self.keys.load(client)
        self.client = client
        if self.over:
            raise DeviceError("answer", "the session was cut")
        return client

    def close(self) -> None:
        """End the session."""
        self.over = True
        if self.client is not None:
            self.client.close()

    cut = close

    def answers(self) -> dict[str, str]:
        """Ask everything; return question -> answer (of family sftp: path -> text)."""
        family = self.target.device.profile.family
        try:
            if family == "sftp":
                return self._files()
            return {name: self._ask(command) for name, command in QUESTIONS[family].items()}
        except DeviceError:
            raise
        except Exception as error:
            raise _explained(error) from None

    def _files(self) -> dict[str, str]:
        assert self.client is not None
        found = {}
        files = self.client.open_sftp()
        files.get_channel().settimeout(ANSWER)  # type: ignore[union-attr]
        for path in self.target.device.profile.files:
            try:
                with files.open(path) as file:
                    data = file.read(MOST + 1)
            except FileNotFoundError:
                continue
            if len(data) > MOST:
                raise DeviceError("answer", f"{path} is larger than {MOST // 1024 // 1024} MB")
            found[path] = data.decode("utf-8", errors="replace")
        return found

    def _ask(self, command: str, **more: Any) -> str:
        return str(self.link.send_command(command, read_timeout=ANSWER, **more))

    # -------------------------------------------------------------------------- changing

    def push(self, lines: Sequence[str], armed: bool) -> None:
        """Push lines; `armed`: the device takes them back by itself unless `keep` follows."""
        if not lines:
            return
        family = self.target.device.profile.family
        try:
            getattr(self, f"_push_{family}")(list(lines), armed)
        except DeviceError:
            raise
        except Exception as error:
            raise _explained(error) from None

    def _push_routeros(self, lines: list[str], armed: bool) -> None:
        prompt = r"\][^\n]*(?:<SAFE>\s*>?|>)\s*$"
        if armed:
            self.link.write_channel(_SAFE)
            said = self.link.read_until_pattern(pattern=r"<SAFE>|[Hh]ijack", read_timeout=ANSWER)
            if "<SAFE>" not in said:
                self.link.write_channel("d")  # somebody else is in safe mode: leave it to them
                raise DeviceError("refused", "somebody else is in its safe mode")
        for line in lines:
            said = self._ask(line, expect_string=prompt, strip_prompt=False)
            said = said.replace(line, "")
            if re.search(r"failure|bad command|expected|no such item|invalid|syntax error|input does not match", said):
                raise DeviceError("answer", f"`{_shown(line)}` was refused: {_last(said)}")

    def _push_ios(self, lines: list[str], armed: bool) -> None:
        if armed:
            self.link.write_channel(f"reload in {CONFIRM_MINUTES}\n")
            said = self.link.read_until_pattern(pattern=r"\[yes/no\]:|\[confirm\]|Invalid", read_timeout=ANSWER)
            if "yes/no" in said:
                self.link.write_channel("no\n")
                said = self.link.read_until_pattern(pattern=r"\[confirm\]|Invalid", read_timeout=ANSWER)
            if "Invalid" in said:
                raise DeviceError("refused", "it cannot go back by itself (no `reload in`)")
            self.link.write_channel("\n")
            self.link.read_until_prompt(read_timeout=ANSWER)
        said = self.link.send_config_set(
            lines, read_timeout=ANSWER, error_pattern=r"% ?(?:Invalid|Incomplete|Ambiguous|Bad)"
        )
        if "% " in said and re.search(r"^% ?(?:Invalid|Incomplete|Error)", said, re.M):
            raise DeviceError("answer", f"a line was refused: {_last(said)}")

    def _push_airos(self, lines: list[str], armed: bool) -> None:
        for line in lines:
            key = line.split("=", 1)[0]
            pattern = key.replace(".", r"\.")
            self._ask(f"sed -i '/^{pattern}=/d' /tmp/system.cfg && echo {_quoted(line)} >>/tmp/system.cfg")

    def _push_epmp(self, lines: list[str], armed: bool) -> None:
        for line in lines:
            said = self._ask(f"config set {line}")
            if re.search(r"[Ee]rror|[Ii]nvalid|[Uu]nknown", said):
                raise DeviceError("answer", f"`{_shown(line)}` was refused: {_last(said)}")

    def keep(self, armed: bool) -> None:
        """Make what was pushed last: for good, over a restart."""
        family = self.target.device.profile.family
        try:
            if family == "routeros" and armed:
                self.link.write_channel(_SAFE)
                self.link.read_until_pattern(pattern=r"released", read_timeout=ANSWER)
            elif family == "ios":
                # saved first: a session that ends between the two reloads into what was proven
                said = self._ask("write memory", expect_string=r"#\s*$", strip_prompt=False)
                if "OK" not in said:
                    raise DeviceError("answer", f"it could not save: {_last(said)}")
                if armed:
                    self._ask("reload cancel", expect_string=r"#\s*$")
            elif family == "airos":
                said = self._ask("cfgmtd -w -p /etc/ && echo kept")
                if "kept" not in said.replace("echo kept", ""):
                    raise DeviceError("answer", f"it could not save: {_last(said)}")
                self._ask("/usr/etc/rc.d/rc.softrestart save")
            elif family == "epmp":
                self._ask("config save")
                self._ask("config apply")
        except DeviceError:
            raise
        except Exception as error:
            raise _explained(error) from None


def _driver(session: Session) -> Any:
    """Return an open netmiko connection that counts what it reads and keeps host keys."""
    target = session.target
    base = CLASS_MAPPER[_TYPES[target.device.profile.family]]

    class Counted(base):  # type: ignore[misc, valid-type]
        read_bytes = 0

        def _get_ssh_client_instance(self) -> paramiko.SSHClient:
            return session._client()

        def _build_ssh_client(self) -> paramiko.SSHClient:
            return self._get_ssh_client_instance()

        def read_channel(self) -> str:
            data = str(super().read_channel())
            self.read_bytes += len(data)
            if self.read_bytes > MOST:
                raise DeviceError("answer", f"answered more than {MOST // 1024 // 1024} MB")
            return data

    return Counted(
        host=target.host, port=target.port, username=session.secrets["USER"], password=session.secrets["PASSWORD"],
        secret=session.secrets.get("ENABLE", ""), device_type=_TYPES[target.device.profile.family],
        conn_timeout=CONNECT, banner_timeout=CONNECT, auth_timeout=CONNECT, read_timeout_override=None,
        use_keys=False, allow_agent=False,
    )  # fmt: skip


def _explained(error: Exception) -> DeviceError:
    """Return a library's error as what the device did."""
    inner = error.__context__ if isinstance(error, NetmikoTimeoutException) else None
    for cause in (error, inner):
        if isinstance(cause, DeviceError):
            return cause
        if isinstance(cause, paramiko.BadHostKeyException):
            return DeviceError(
                "host key", f"its host key changed: {fingerprint(cause.expected_key)} was kept, "
                f"{fingerprint(cause.key)} came",
            )  # fmt: skip
        if isinstance(cause, paramiko.SSHException) and "host key changed" in str(cause):
            return DeviceError("host key", f"its {cause}")
        if isinstance(cause, NetmikoAuthenticationException | paramiko.AuthenticationException):
            return DeviceError("login", "it refuses the user or password")
    if isinstance(error, ReadTimeout | TimeoutError):
        return DeviceError("answer", f"no answer within {ANSWER} s, or one that makes no sense")
    if isinstance(error, NetmikoTimeoutException | OSError | paramiko.SSHException | EOFError):
        said = str(inner or error).strip().splitlines() or [type(error).__name__]
        return DeviceError("unreachable", f"unreachable: {said[0]}")
    said = str(error).strip().splitlines() or [""]
    return DeviceError("answer", f"its answers make no sense ({type(error).__name__}: {said[0][:80]})")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _last(text: str) -> str:
    lines = [x.strip() for x in text.splitlines() if x.strip()]
    said = next((x for x in reversed(lines) if not re.search(r"[>#]\s*$", x)), "nothing")
    return "".join(c if c.isprintable() else "?" for c in said)[:100]


def _shown(line: str) -> str:
    from topology.devices.redact import redacted

    return redacted(line).strip()
