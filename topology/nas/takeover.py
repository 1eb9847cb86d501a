"""Who is active: take-over, hand-over, what an old active NAS sets aside."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable

from . import disk, lease, manifest, peers, replicate, store
from .config import ASIDE, FORMAT, LIVE, RUN, SMB, SNAP, Config, NasError, lock, run, say
from .lease import Record

HANDING = RUN / "handing-over"
"""While this is there the agent serves nothing."""
_Say = Callable[[str], None]


def take_over(config: Config, *, force: bool = False, say_to: _Say = say) -> None:
    """Make this NAS the active one. It serves as soon as its agent sees it, within seconds.

    NasError when the lease is still alive, when no majority agrees, and when nothing was ever replicated here.
    """
    while True:
        own, answers = lease.read(), peers.ask_all(config, "state")
        if own.holder == config.host and not force:
            raise NasError(f"{config.host} is the active NAS already")
        epoch = max([own.epoch, *(a["epoch"] for a in answers.values())])
        holder = next((a["holder"] for a in answers.values() if a["epoch"] == epoch), own.holder)
        if own.epoch == epoch:
            holder = own.holder
        left = [a["left"] for a in answers.values() if a["epoch"] == epoch]
        left += [lease.GRANT - own.age] if own.holder and own.epoch == epoch else []
        rest = max([0.0, *left])
        if holder != config.host and rest > 0 and holder in answers and answers[holder]["holder"] == holder:
            raise NasError(f"{holder} is alive and holds the lease; there: nas hand-over {config.host}")
        if holder == config.host or rest <= 0:
            break
        if rest > lease.GRANT - 2 * lease.RENEW and left and _renewed(config, holder):
            raise NasError(f"{holder} does not answer here but renews its lease at others; it is still serving")
        say_to(f"the lease of {holder} runs out in {rest:.0f} s; waiting")
        time.sleep(rest + 0.2)
    if len(answers) + 1 < config.majority and not force:
        raise NasError("no other NAS answers, so nobody can say that the old one has stopped; if it is switched off "
                       "for sure: nas take-over --force")  # fmt: skip
    if not any(store.known().values()) and epoch:
        raise NasError(f"nothing was ever replicated to {config.host}")
    epoch += 1
    granted = [a for a in peers.ask_all(config, "lease", str(epoch), config.host).values() if a.get("granted")]
    if len(granted) + 1 < config.majority and not force:
        raise NasError("the other NAS do not grant the lease")
    lease.put(Record(epoch, config.host, forced=len(granted) + 1 < config.majority))
    say_to(f"{config.host} is the active NAS (epoch {epoch})")


def _renewed(config: Config, holder: str) -> bool:
    """Say whether a lease is renewed while we look."""
    before = {p: a["left"] for p, a in peers.ask_all(config, "state").items() if a["holder"] == holder}
    time.sleep(lease.RENEW + 1)
    after = {p: a["left"] for p, a in peers.ask_all(config, "state").items() if a["holder"] == holder}
    return any(after.get(p, 0) >= before[p] for p in before)


def hand_over(config: Config, peer: str) -> None:
    """Stop serving, send the rest to a peer, and let it serve; NasError, and this one serves on, when it cannot."""
    record = lease.read()
    if record.holder != config.host:
        raise NasError(f"{config.host} is not the active NAS ({record.holder or 'none'} is)")
    if peer not in config.peers:
        raise NasError(f"{peer} is no other NAS")
    with lock("hand-over"):
        round_ = replicate.replicate(config)  # the bulk, while people still work
        wrong = [w for w in round_.wrong if w.startswith(peer)]
        if wrong:
            raise NasError(wrong[0])
        HANDING.touch()
        try:
            run("systemctl", "stop", SMB)
            round_ = replicate.replicate(config)
            wrong = [w for w in round_.wrong if w.startswith(peer)]
            if wrong:
                raise NasError(wrong[0])
            lease.release()
            peers.ask_all(config, "release", str(record.epoch))
            peers.ask(config, peer, "promote", timeout=120)
        except BaseException:
            with lock("serving"):
                if lease.read() == record or lease.read().holder == config.host:
                    lease.put(record)
            raise
        finally:
            HANDING.unlink(missing_ok=True)


def promote(config: Config) -> None:
    """Make what is worked on from the newest sound snapshots. The agent does it before it serves."""
    disk.quotas_on()
    vouched = store.known()
    for name in config.datasets():
        if disk.live(name).exists():
            continue
        for snap in sorted(vouched.get(name, {}), reverse=True):
            if manifest.digest(name, SNAP / name / snap) == vouched[name][snap]:
                disk.clone(SNAP / name / snap, disk.live(name), readonly=False)
                break
            say(f"{name} {snap} is not what it was when it came; an older one is used")
            store.forget(name, snap)


def demote(config: Config, record: Record) -> None:
    """Set aside what the new active NAS does not have, and give up what was worked on; NasError when it is away."""
    names = disk.datasets(LIVE)
    if not names:
        return
    theirs = peers.ask(config, record.holder, "list", timeout=60)["snapshots"]
    with lock("replicate"):
        replicate.take()  # on disk, whatever it is
        stamp = datetime.datetime.now(datetime.UTC).strftime(FORMAT)[5:]
        for name in names:
            mine = store.known().get(name, {})
            common = max((s for s, d in mine.items() if theirs.get(name, {}).get(s) == d), default="")
            newest = max(mine, default="")
            if newest > common:
                disk.clone(SNAP / name / newest, ASIDE / f"{stamp}-epoch{record.epoch}" / name, readonly=True)
                say(f"{name}: changes that {record.holder} does not have are in {ASIDE}/{stamp}-epoch{record.epoch}")
            for snap in [s for s in disk.snapshots(name) if s > common]:
                store.forget(name, snap)
                disk.delete(SNAP / name / snap)
            disk.delete(disk.live(name))
        disk.sync()
