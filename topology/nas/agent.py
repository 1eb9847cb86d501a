"""The agent: the only thing that starts and stops the file server, by the lease."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Thread

from . import accounts, disk, lease, peers, takeover
from .config import LIVE, RUN, SMB, Config, NasError, load, lock, say

STEP = lease.RENEW
STUCK = 60.0
"""Seconds after which renewals that do not go round are given up and begun anew."""


class Agent:
    """The state of a run. What takes long is done beside the renewals, which must not wait for it."""

    def __init__(self) -> None:
        self.config = load()
        self.valid = 0.0
        """Until when (monotonic) this NAS may serve."""
        self.alive = time.monotonic()
        """When the renewals last went round."""
        self._job: tuple[str, Future[None]] | None = None
        self._pool = ThreadPoolExecutor(1)
        self._ready = 0
        """The epoch for which everything is in place."""

    def turn(self) -> None:
        """Renew the lease, or see whose it is, and act on it; NasError with what is in the way."""
        config = self.config
        record = lease.read()
        if record.holder != config.host:
            self.valid, self._ready = 0.0, 0
            serve(False)
            if not record.holder:
                _begin(config)
            elif disk.datasets(LIVE):
                self._beside(f"give up {record.epoch}", lambda: takeover.demote(config, record))
                raise NasError(f"setting aside what {record.holder} does not have")
            return
        if takeover.HANDING.exists():
            self.valid = 0.0
            return
        if self._renew(record) and not serving():
            if self._ready == record.epoch:
                serve(True)
            elif self._beside(f"serve {record.epoch}", lambda: _prepare(config)):
                self._ready = record.epoch
                serve(True)

    def _renew(self, record: lease.Record) -> bool:
        """Ask the others for the lease; say whether this NAS may serve."""
        config, began, granted = self.config, time.monotonic(), 1
        with ThreadPoolExecutor(len(config.peers) or 1) as pool:
            for answer in pool.map(lambda peer: _ask(config, peer, record), config.peers):
                if answer is None:
                    continue
                if answer["granted"]:
                    granted += 1
                elif answer["epoch"] > record.epoch:
                    self.valid = 0.0
                    serve(False)
                    lease.put(lease.Record(answer["epoch"], answer["holder"]))
                    raise NasError(f"{answer['holder']} has taken over (epoch {answer['epoch']})")
        enough = granted >= config.majority
        if enough or record.forced:
            with lock("serving"):
                if not takeover.HANDING.exists() and lease.renewed(record, forced=not enough):
                    self.valid = began + lease.HOLD
        if time.monotonic() > self.valid:
            raise NasError("no other NAS grants the lease: nothing is served")
        return True

    def _beside(self, name: str, job: Callable[[], None]) -> bool:
        """Begin a job, or look at the one that runs; True once this very job is done, NasError when it failed."""
        if self._job is None:
            self._job = (name, self._pool.submit(job))
        running, future = self._job
        done, _ = wait([future], timeout=1.0)
        if not done:
            return False
        self._job = None
        if running != name:  # one of another role, whose end nobody has asked for
            return False
        future.result()
        return True


def main() -> None:
    """Run until stopped."""
    RUN.mkdir(parents=True, exist_ok=True)
    takeover.HANDING.unlink(missing_ok=True)
    agent = Agent()
    serve(False)
    notify("READY=1")
    Thread(target=guard, args=(agent,), daemon=True).start()
    said = ""
    while True:
        began = time.monotonic()
        try:
            agent.config = load()
            agent.turn()
            now = "serving" if serving() else "standing by"
        except NasError as error:
            now = str(error)
        if now != said:
            say(now)
            said = now
        agent.alive = time.monotonic()
        time.sleep(max(0.2, STEP - (time.monotonic() - began)))


def guard(agent: Agent) -> None:
    """End serving at the moment the lease runs out, whatever the renewals wait for.

    systemd's watchdog is fed from here: a process that hangs as a whole is killed, and the file server with it.
    """
    while True:
        now = time.monotonic()
        if now > agent.valid and serving():
            serve(False)
        if now - agent.alive < STUCK:
            notify("WATCHDOG=1")
        time.sleep(0.5)


def _prepare(config: Config) -> None:
    """Have everything in place that is served."""
    takeover.promote(config)
    accounts.apply(config)


def _ask(config: Config, peer: str, record: lease.Record) -> peers.Answer | None:
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
