"""Asking the other NAS, and answering them: over SSH, with a key that may do nothing else.

The words of a request are those of `serve`; each answer is one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import disk, lease, manifest, store
from .config import LIVE, ROOT, SNAP, STATE, Config, NasError, dataset, lock, say, snapshot

USER = "nas-peer"
KEY = STATE / "replication_key"
KNOWN = Path("/etc/topology/nas_known_hosts")
ANSWER = 6.0
"""Seconds to wait for an answer to a question about the lease."""
Answer = dict[str, Any]


def ssh(config: Config, peer: str, *request: str) -> list[str]:
    """Return the command line of a request."""
    options = {
        "IdentitiesOnly": "yes", "BatchMode": "yes", "StrictHostKeyChecking": "yes", "UserKnownHostsFile": KNOWN,
        "GlobalKnownHostsFile": "/dev/null", "HostKeyAlias": peer, "ConnectTimeout": 4, "ServerAliveInterval": 5,
        "ServerAliveCountMax": 3, "BindAddress": config.source, "LogLevel": "ERROR", "ControlMaster": "no",
    }  # fmt: skip
    words = [x for name, value in options.items() for x in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "none", "-i", str(KEY), *words, f"{USER}@{config.nodes[peer]}", "--", *request]


def ask(config: Config, peer: str, *request: str, timeout: float = ANSWER) -> Answer:
    """Ask a peer; NasError when it does not answer or refuses."""
    try:
        done = subprocess.run(
            ssh(config, peer, *request), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=timeout,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NasError(f"{peer} does not answer") from None
    return _understood(peer, done.returncode, done.stdout, done.stderr)


def ask_all(config: Config, *request: str, timeout: float = ANSWER) -> dict[str, Answer]:
    """Ask all peers at once; return the answers of those that gave one."""

    def one(peer: str) -> tuple[str, Answer | None]:
        with contextlib.suppress(NasError):
            return peer, ask(config, peer, *request, timeout=timeout)
        return peer, None

    with ThreadPoolExecutor(len(config.peers) or 1) as pool:
        return {peer: found for peer, found in pool.map(one, config.peers) if found is not None}


def send(config: Config, peer: str, name: str, snap: str, parent: str | None, digest: str) -> None:
    """Send a snapshot to a peer, as the difference from one that it has; NasError when it does not arrive whole."""
    base = ["-p", str(SNAP / name / parent)] if parent else []
    with (
        subprocess.Popen(
            ["btrfs", "send", "-q", *base, str(SNAP / name / snap)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as source,
        subprocess.Popen(
            ssh(config, peer, "receive", name, snap, digest), stdin=source.stdout, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        ) as target,
    ):  # fmt: skip
        assert source.stdout is not None and source.stderr is not None
        source.stdout.close()
        out, err = target.communicate()
        said = source.stderr.read().decode(errors="replace").strip()
    _understood(peer, target.returncode, out, err)
    if source.returncode:
        raise NasError(f"btrfs send of {name}: {said.splitlines()[-1] if said else source.returncode}")


def _understood(peer: str, code: int, out: str, err: str) -> Answer:
    if code:
        last = (err.strip() or f"exit code {code}").splitlines()[-1]
        raise NasError(f"{peer}: {last}" if code != 255 else f"{peer} cannot be reached: {last}")
    try:
        answer = json.loads(out)
    except ValueError:
        raise NasError(f"{peer} answers nonsense: {out[:80]!r}") from None
    if not isinstance(answer, dict):
        raise NasError(f"{peer} answers nonsense: {out[:80]!r}")
    return answer


# -- the other side ----------------------------------------------------------------------------


def serve(config: Config, peer: str, request: str) -> Answer:
    """Do what a peer asks and return the answer; NasError when it may not."""
    words = request.split()
    if peer not in config.peers or not words:
        raise NasError("no request of a peer")
    match words:
        case ["state"]:
            return state(config)
        case ["lease", epoch, candidate] if candidate == peer and epoch.isdigit():
            granted, record = lease.ask(int(epoch), candidate)
            return {"granted": granted, "epoch": record.epoch, "holder": record.holder}
        case ["release", epoch] if epoch.isdigit():
            record = lease.read()
            if (record.epoch, record.holder) == (int(epoch), peer):
                lease.release()
            return {}
        case ["list"]:
            return {"snapshots": store.known(), "ready": not disk.datasets(LIVE), "host": config.host}
        case ["receive", name, snap, digest]:
            return receive(config, peer, dataset(name), snapshot(snap), digest)
        case ["promote"]:
            from . import takeover

            takeover.take_over(config, say_to=lambda _: None)
            return {}
    raise NasError(f"{request!r} is not for peers")


def state(config: Config) -> Answer:
    """Return what this NAS knows of the lease."""
    record = lease.read()
    left = max(0.0, lease.GRANT - record.age) if record.holder else 0.0
    return {"epoch": record.epoch, "holder": record.holder, "left": round(left, 1), "host": config.host}


def receive(config: Config, peer: str, name: str, snap: str, digest: str) -> Answer:
    """Take a snapshot from the active NAS; it counts only once its digest is the source's."""
    record = lease.read()
    if record.holder != peer:
        raise NasError(f"{peer} is not the active NAS (epoch {record.epoch}: {record.holder or 'none'})")
    if disk.live(name).exists():
        raise NasError(f"{config.host} has not set its own changes aside yet")
    with lock(f"receive-{name.replace('/', '_')}"):
        folder = SNAP / name
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / snap).exists():  # of a transfer that was cut off, or found corrupted
            store.forget(name, snap)
            disk.delete(folder / snap)
        done = subprocess.run(
            ["btrfs", "receive", "-q", "-E", "0", str(folder)], stdin=sys.stdin.buffer, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            if (folder / snap).exists():
                disk.delete(folder / snap)
            raise NasError(f"btrfs receive: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
        found = manifest.digest(name, folder / snap)
        if found != digest:
            disk.delete(folder / snap)
            raise NasError(f"{name} {snap} arrived with another digest; it was thrown away")
        store.remember(name, snap, digest)
    store.thin(name, keep=())
    return {"digest": found}


def main(config: Config, peer: str) -> int:
    """Answer one request, whose words SSH left in the environment (sudo passes them as the last argument)."""
    request = os.environ.get("NAS_REQUEST", "")
    try:
        print(json.dumps(serve(config, peer, request)))
    except NasError as error:
        say(error)
        return 1
    return 0


def space() -> int:
    """Return the free bytes."""
    return shutil.disk_usage(ROOT).free
