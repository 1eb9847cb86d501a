"""The agent: the only thing that starts and stops the file server, by the lease."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from . import accounts, disk, lease, peers, takeover
from .config import LIVE, RUN, SMB, Config, NasError, load, lock, say

STEP = lease.RENEW


def main() -> None:
    """Run until stopped."""
    RUN.mkdir(parents=True, exist_ok=True)
    takeover.HANDING.unlink(missing_ok=True)
    config = load()
    valid = 0.0
    serve(False)
    notify("READY=1")
    said = ""
    while True:
        began = time.monotonic()
        try:
            config = load()
            valid = turn(config, valid)
            now = "serving" if serving() else "standing by"
        except NasError as error:
            now = str(error)
        if time.monotonic() > valid:
            serve(False)
        if now != said:
            say(now)
            said = now
        notify("WATCHDOG=1")
        time.sleep(max(0.2, STEP - (time.monotonic() - began)))


def turn(config: Config, valid: float) -> float:
    """Renew the lease, or see whose it is; return until when (monotonic) this NAS may serve."""
    record = lease.read()
    if record.holder != config.host:
        serve(False)
        if record.holder:
            takeover.demote(config, record)
        else:
            _begin(config)
        return 0.0
    if takeover.HANDING.exists():
        return 0.0
    began = time.monotonic()
    granted = 1
    with ThreadPoolExecutor(len(config.peers) or 1) as pool:
        for answer in pool.map(lambda peer: _renew(config, peer, record), config.peers):
            if answer is None:
                continue
            if answer["granted"]:
                granted += 1
            elif answer["epoch"] > record.epoch:
                serve(False)
                lease.put(lease.Record(answer["epoch"], answer["holder"]))
                raise NasError(f"{answer['holder']} has taken over (epoch {answer['epoch']})")
    if granted >= config.majority or record.forced:
        with lock("serving"):
            if lease.read().epoch != record.epoch or takeover.HANDING.exists():
                return 0.0
            lease.put(replace(record, forced=record.forced and granted < config.majority))
        valid = began + lease.HOLD
        if not serving():
            takeover.promote(config)
            accounts.apply(config)
            serve(True)
    elif time.monotonic() > valid:
        raise NasError("no other NAS grants the lease: nothing is served")
    return valid


def _renew(config: Config, peer: str, record: lease.Record) -> peers.Answer | None:
    try:
        return peers.ask(config, peer, "lease", str(record.epoch), config.host)
    except NasError:
        return None


def _begin(config: Config) -> None:
    """Take the first lease of all, when nobody has ever had one; or learn who has it."""
    answers = peers.ask_all(config, "state")
    epoch = max((a["epoch"] for a in answers.values()), default=0)
    if epoch:
        holder = next(a["holder"] for a in answers.values() if a["epoch"] == epoch)
        lease.put(lease.Record(epoch, holder))
    elif config.first == config.host and not disk.datasets(LIVE):
        takeover.take_over(config, say_to=say)


def serving() -> bool:
    """Say whether the file server runs."""
    return subprocess.run(["systemctl", "is-active", "--quiet", SMB], check=False).returncode == 0


def serve(wanted: bool) -> None:
    """Start or stop the file server; what does not stop within three seconds is killed (its unit says so)."""
    if serving() != wanted or not wanted:
        subprocess.run(["systemctl", "start" if wanted else "stop", SMB], check=False)


def notify(text: str) -> None:
    """Tell systemd."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.connect("\0" + path[1:] if path.startswith("@") else path)
            to.send(text.encode())
