"""Every minute on the active NAS: a snapshot of what changed, sent to both others and compared there."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from . import disk, lease, manifest, peers, store
from .config import LIVE, SNAP, STATE, Config, NasError, lock, read_json, say, write_json

_FILE = STATE / "replication.json"


@dataclass(slots=True)
class Outcome:
    """What a round did."""

    snapshots: dict[str, str] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    """Peer -> snapshots it took."""
    wrong: list[str] = field(default_factory=list)


def replicate(config: Config, *, wait: bool = True) -> Outcome:
    """Make and send snapshots; NasError when this is not the active NAS."""
    done = Outcome()
    with lock("replicate", wait=wait) as mine:
        if not mine:
            return done
        if lease.read().holder != config.host:
            raise NasError(f"{config.host} is not the active NAS")
        began = time.time()
        done.snapshots = take()
        with ThreadPoolExecutor(len(config.peers) or 1) as pool:
            for peer, sent, wrong in pool.map(lambda p: _to(config, p, began), config.peers):
                done.sent[peer] = sent
                done.wrong += wrong
        tidy(config)
    return done


def take() -> dict[str, str]:
    """Snapshot every dataset that changed since its newest snapshot; return name -> snapshot."""
    disk.sync()
    there, vouched = disk.subvolumes(), store.known()
    made = {}
    for name in disk.datasets(LIVE):
        now = there.get(f"live/{name}")
        if now is None:
            continue
        newest = next(reversed(disk.snapshots(name)), None)
        before = there.get(f"snap/{name}/{newest}")
        known = vouched.get(name, {})
        if before is not None and newest in known and now.generation <= before.generation:
            continue
        snap = disk.new_snapshot(name)
        digest = manifest.digest(name, SNAP / name / snap)
        if newest is not None and known.get(newest) == digest:
            disk.delete(SNAP / name / snap)  # touched, and the same
            continue
        store.remember(name, snap, digest)
        made[name] = snap
    return made


def plan(mine: dict[str, str], theirs: dict[str, str]) -> tuple[str, str | None] | None:
    """Return the snapshot to send and the one to send it as a difference from; None when nothing is missing. Pure.

    Both map snapshot -> digest.
    """
    if not mine:
        return None
    newest = max(mine)
    if theirs.get(newest) == mine[newest]:
        return None
    common = [s for s, d in mine.items() if theirs.get(s) == d and s < newest]
    return newest, max(common, default=None)


def _to(config: Config, peer: str, began: float) -> tuple[str, int, list[str]]:
    """Bring one peer up to date; return it, how many snapshots it took and what went wrong."""
    wrong, sent = [], 0
    try:
        theirs = peers.ask(config, peer, "list", timeout=60)
        if not theirs["ready"]:
            raise NasError(f"{peer} has not set its own changes aside yet")
    except (NasError, KeyError) as error:
        return peer, 0, [str(error)]
    has = theirs["snapshots"]
    for name, mine in store.known().items():
        todo = plan(mine, has.get(name, {}))
        if todo is None:
            continue
        try:
            peers.send(config, peer, name, todo[0], todo[1], mine[todo[0]])
            has.setdefault(name, {})[todo[0]] = mine[todo[0]]
            sent += 1
        except NasError as error:
            wrong.append(f"{peer}: {name}: {error}")
    with lock("replication"):
        state = read_json(_FILE, {})
        newest = {n: max(set(mine) & set(has.get(n, {})), default="") for n, mine in store.known().items()}
        entry = {"newest": newest, "complete": state.get(peer, {}).get("complete", 0.0)}
        if not wrong:
            entry["complete"] = began
        write_json(_FILE, state | {peer: entry})
    return peer, sent, wrong


def ages() -> dict[str, float]:
    """Return per peer how old what it lacks may be, in seconds."""
    return {peer: time.time() - entry["complete"] for peer, entry in read_json(_FILE, {}).items()}


def tidy(config: Config) -> None:
    """Remove superfluous snapshots, never one that a peer's next difference starts from, and old recycled files."""
    state = read_json(_FILE, {})
    for name in store.known():
        keep = {entry["newest"].get(name, "") for peer, entry in state.items() if peer in config.peers}
        store.thin(name, keep)
    disk.forget_quotas()


def check(config: Config, *, everything: bool = False, full: bool = True) -> list[str]:
    """Compare snapshots with the digests they had; return what is wrong. What is wrong is vouched for no longer.

    The newest of every dataset, or all of them.
    """
    wrong = []
    for name, snaps in store.known().items():
        for snap in snaps if everything else sorted(snaps)[-1:]:
            try:
                found = manifest.digest(name, SNAP / name / snap, full=full)
            except OSError as error:
                found = str(error)
            if found != snaps[snap]:
                store.forget(name, snap)
                wrong.append(f"{config.host}: {name} {snap} is not what it was ({found[:12]}, not {snaps[snap][:12]})")
    return wrong


def report(done: Outcome) -> None:
    """Say what a round did."""
    for peer, count in done.sent.items():
        if count:
            say(f"{peer}: {count} snapshots sent and compared")
    for line in done.wrong:
        say(line)
