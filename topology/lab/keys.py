"""SSH keys of a lab: made at every `up`, gone with it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from topology.lab import commands
from topology.lab.files import write_atomically
from topology.lab.names import LAB_USER, NETNS_ROOT, LabNames
from topology.lab.spec import LabSpec


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An Ed25519 key pair as OpenSSH writes it."""

    private: str
    public: str


def make_keys(spec: LabSpec) -> tuple[KeyPair, dict[str, KeyPair]]:
    """Make the lab's own key and one key per host, and write what an SSH client needs to use them."""
    names = LabNames(spec.name)
    names.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = [names.private_key, *(names.state / f".{host.name}.key" for host in spec.hosts)]
    comments = [f"lab {spec.name}", *(host.name for host in spec.hosts)]
    with ThreadPoolExecutor(4) as pool:
        own, *of_hosts = pool.map(_make, paths, comments)
    for path in paths[1:]:
        path.unlink()
        path.with_name(f"{path.name}.pub").unlink()
    by_host = {host.name: pair for host, pair in zip(spec.hosts, of_hosts, strict=True)}
    write_atomically(names.known_hosts, "".join(_known(spec, by_host)))
    write_atomically(names.ssh_config, _client_configuration(spec))
    return own, by_host


def make_host_key(spec: LabSpec, host: str) -> KeyPair:
    """Return a new key for one host; no client knows it yet."""
    path = LabNames(spec.name).state / f".{host}.key"
    pair = _make(path, host)
    path.unlink()
    path.with_name(f"{path.name}.pub").unlink()
    return pair


def _make(path: Path, comment: str) -> KeyPair:
    public = path.with_name(f"{path.name}.pub")
    for old in (path, public):
        old.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    commands.tool(command, what="making an SSH key")
    return KeyPair(path.read_text(encoding="ascii"), public.read_text(encoding="ascii"))


def _known(spec: LabSpec, keys: dict[str, KeyPair]) -> Sequence[str]:
    lines = []
    for host in spec.hosts:
        kind, blob, *_ = keys[host.name].public.split()
        lines.append(f"{host.name},{spec.management_address(host)} {kind} {blob}\n")
    return lines


def _client_configuration(spec: LabSpec) -> str:
    names = LabNames(spec.name)
    blocks = [f"# Hosts of the lab {spec.name}: `ssh -F` this file as root. No packet leaves the lab's namespaces.\n"]
    inside = f"nsenter --net={NETNS_ROOT / names.controller_netns}"
    for host in spec.hosts:
        address = spec.management_address(host)
        blocks.append(f"Host {host.name} {address}\n    HostName {address}\n")
        if host.kind == "vm":
            blocks.append("    ConnectTimeout 60\n    ServerAliveInterval 30\n")
    blocks.append(
        "Host *\n"
        f"    User {LAB_USER}\n"
        f"    IdentityFile {names.private_key}\n"
        "    IdentitiesOnly yes\n"
        "    IdentityAgent none\n"
        f"    UserKnownHostsFile {names.known_hosts}\n"
        "    GlobalKnownHostsFile /dev/null\n"
        "    StrictHostKeyChecking yes\n"
        "    UpdateHostKeys no\n"
        "    PreferredAuthentications publickey\n"
        # The quickest key exchange first; a login would take twice as long otherwise.
        "    KexAlgorithms ^curve25519-sha256\n"
        # The way into the lab's network; a namespace that is gone is an error, not a packet to somewhere else.
        f"    ProxyCommand {inside} bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3' 2>/dev/null\n"
        "    ConnectTimeout 5\n"
        "    ServerAliveInterval 5\n"
        "    ServerAliveCountMax 3\n"
        "    LogLevel ERROR\n"
    )
    return "".join(blocks)
