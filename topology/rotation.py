"""A new WireGuard key for a gateway without losing it: tunnel by tunnel, proven or taken back.

The new key is made on the box beside the old one. For one tunnel after the other, the least wanted
hub first: the far end takes the new public key, the box switches that interface and proves it by a
handshake; if there is none the box goes back by itself (it may have lost the way to whoever told it
to). So at most one tunnel is down at a time, and only if all others are up is one begun. When every
tunnel has switched, the new key takes the old one's place and the old public key is gone everywhere.
An interrupted rotation goes on when it is run again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from topology.allocate import Host, Plan
from topology.render.wireguard import FOLDERS, KEY_FILE

Run = Callable[[str, str], str]
"""Runs a shell command as root on the host of this name; returns what it says, RotationError when it fails."""
NEW_FILE = "private.key.next"
PROOF_WITHIN = 30
"""Seconds for a handshake with the new key."""
FRESH = 190
"""A tunnel whose last handshake is older (seconds) is down: rekeying comes after 120, keepalives every 25."""
_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")


class RotationError(Exception):
    """The rotation stopped; the message says where, and what state it left."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A tunnel as the rotating gateway sees it."""

    interface: str
    far_host: str
    far_interface: str
    far_file: str
    """The far end's configuration of it, where the old public key is replaced."""


def tunnels_of(plan: Plan, host: Host) -> tuple[Tunnel, ...]:
    """Return a gateway's tunnels, those to the last hub first."""
    links = [link for link in plan.links_of(host.name) if link.kind == "tunnel"]
    found = []
    for link in sorted(links, key=lambda x: (-(x.slot or 0), x.number)):
        far = link.far_end(host.name)
        folder = FOLDERS[plan.hosts[far.host].platform]
        found.append(
            Tunnel(link.end_of(host.name).interface, far.host, far.interface, f"/{folder}/{far.interface}.conf")
        )
    return tuple(found)


def rotate(run: Run, name: str, platform: str, tunnels: tuple[Tunnel, ...], folder: str | None = None) -> str:
    """Give a gateway a new key; return its public key. RotationError: it has the old one still, or says what it has.

    `folder` is where the box keeps its key, by default its platform's.
    """
    folder = folder or f"/{FOLDERS[platform]}"
    if not tunnels:
        raise RotationError(f"{name} has no tunnel")
    old_file, new_file = f"{folder}/{KEY_FILE}", f"{folder}/{NEW_FILE}"
    old = _public(run(name, f"wg pubkey < {old_file}"))
    new = _public(run(name, f"umask 077; [ -s {new_file} ] || wg genkey > {new_file}; wg pubkey < {new_file}"))
    done: list[Tunnel] = []
    try:
        for tunnel in tunnels:
            _others_up(run, name, tuple(t for t in tunnels if t is not tunnel))
            _switch(run, name, tunnel, (old, old_file), (new, new_file))
            done.append(tunnel)
    except RotationError as fault:
        for tunnel in reversed(done):
            # the same way back, one at a time
            _switch(run, name, tunnel, (new, new_file), (old, old_file))
        run(name, f"rm -f {new_file}")
        raise RotationError(f"{fault}; {name} keeps its old key") from fault
    run(name, f"mv -f {new_file} {old_file}")
    return new


def _public(text: str) -> str:
    key = text.strip()
    if not _KEY.fullmatch(key):
        raise RotationError(f"`{key}` is no WireGuard public key")
    return key


def _others_up(run: Run, name: str, others: tuple[Tunnel, ...]) -> None:
    """Stop unless every other tunnel has had a handshake lately."""
    for tunnel in others:
        said = run(name, f"date +%s; wg show {tunnel.interface} latest-handshakes | cut -f 2").split()
        if len(said) < 2 or int(said[0]) - int(said[1]) > FRESH:
            raise RotationError(f"the tunnel {tunnel.interface} to {tunnel.far_host} is down: one at a time only")


def _switch(run: Run, name: str, tunnel: Tunnel, old: tuple[str, str], new: tuple[str, str]) -> None:
    """Move one tunnel from a key (public, file) to another and prove it; undone, and RotationError, when it fails."""
    far, interface = tunnel.far_host, tunnel.far_interface
    settings = run(far, f"wg showconf {interface}")
    run(far, f"wg set {interface} peer {new[0]} {_peer_settings(settings, old[0])}")
    try:
        run(name, _prove(tunnel.interface, old[1], new[1]))
        seen = run(far, f"wg show {interface} latest-handshakes")
        if not any(line.split()[0] == new[0] and line.split()[1] != "0" for line in seen.splitlines() if line.strip()):
            run(name, f"wg set {tunnel.interface} private-key {old[1]}")
            raise RotationError(f"{far} saw no handshake of {name} with the other key on {interface}")
    except RotationError as fault:
        # the far end takes the key back that the box has again by itself
        run(far, f"wg set {interface} peer {new[0]} remove")
        run(far, f"wg set {interface} peer {old[0]} {_peer_settings(settings, old[0])}")
        raise RotationError(f"{tunnel.interface} to {far}: {fault}") from fault
    file = tunnel.far_file
    run(
        far,
        f"umask 077; sed 's|{old[0]}|{new[0]}|' {file} > {file}.next && cat {file}.next > {file}; rm -f {file}.next; "
        f"wg set {interface} peer {old[0]} remove",
    )


def _peer_settings(configuration: str, key: str) -> str:
    """Return wg(8)'s `set` words for a peer as `wg showconf` states it: addresses, endpoint, keepalive."""
    words, here = "allowed-ips 0.0.0.0/0,::/0", False
    rest = ""
    for line in configuration.splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        if line.startswith("["):
            here = False
        elif name == "PublicKey":
            here = value == key
        elif here and name == "AllowedIPs":
            words = f"allowed-ips {value.replace(' ', '')}"
        elif here and name == "Endpoint":
            rest += f" endpoint {value}"
        elif here and name == "PersistentKeepalive":
            rest += f" persistent-keepalive {value}"
    return words + rest


def _prove(interface: str, old_file: str, new_file: str) -> str:
    """Return the script that switches an interface on the box, waits for a handshake, and else goes back by itself."""
    latest = f"wg show {interface} latest-handshakes | cut -f 2"
    return (
        f"trap '' HUP; before=$({latest}); sleep 1; wg set {interface} private-key {new_file}; n=0; "
        f"while [ $n -lt {PROOF_WITHIN} ]; do sleep 1; "
        f'[ "$({latest})" -gt "${{before:-0}}" ] && exit 0; n=$((n + 1)); done; '
        f"wg set {interface} private-key {old_file}; echo 'no handshake with the other key' >&2; exit 1"
    )
