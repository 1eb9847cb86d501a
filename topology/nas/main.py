"""The command `nas`."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path

from . import accounts, agent, disk, lease, peers, replicate, restore, store, takeover
from .config import LIVE, Config, NasError, load, moment, say, words


def parser() -> argparse.ArgumentParser:
    """Return the command's grammar."""
    top = argparse.ArgumentParser(prog="nas", description="Files of the district: people, snapshots, take-over.")
    add = top.add_subparsers(dest="command", required=True, metavar="COMMAND").add_parser
    one = add("status", help="who is active, how old what the others lack is, how full everything is")
    one.add_argument("--json", action="store_true")
    one = add("password", help="make a person's password and print it, once")
    one.add_argument("user")
    one.add_argument("--again", action="store_true", help="also when there is one, which ends")
    one = add("restore", help="bring a folder or file back as it was")
    one.add_argument("who", metavar="USER|AGENCY")
    one.add_argument("path", help="inside the person's folder (private/..., public/...) or the agency's")
    one.add_argument("--at", required=True, metavar="TIME", help="like '2026-11-26 10:30' or 10:30, district time")
    one.add_argument("--replace", action="store_true", help="in place of the present one, which is renamed")
    one.add_argument("--into", type=Path, metavar="FOLDER", help="copy to a folder of this host instead")
    one = add("snapshots", help="list a person's or an agency's previous versions")
    one.add_argument("who", metavar="USER|AGENCY")
    one = add("take-over", help="make this NAS the active one, when the active one is lost")
    one.add_argument("--force", action="store_true", help="without a majority; the others must be switched off")
    one = add("hand-over", help="give the active part to another NAS, nothing lost")
    one.add_argument("peer")
    one = add("verify", help="compare snapshots with their digests, reading every file")
    one.add_argument("--all", action="store_true", help="all snapshots, not the newest of everything")
    add("replicate", help="snapshot what changed and send it now")
    add("apply", help="bring folders, quotas and accounts to the configuration")
    add("agent", help="(systemd) keep the lease, start and stop the file server")
    one = add("peer", help="(SSH) answer another NAS")
    one.add_argument("peer")
    return top


def main() -> int:
    """Run the command; 0 well, 1 not done, 3 something is not as it should be."""
    options = parser().parse_args()
    try:
        return run(options, load())
    except NasError as error:
        say(f"nas {options.command}: {error}")
    except PermissionError as error:
        say(f"nas {options.command}: {error.filename or error}: only root may (sudo nas ...)")
    return 1


def run(options: argparse.Namespace, config: Config) -> int:
    """Run one command."""
    match options.command:
        case "status":
            return status(config, as_json=options.json)
        case "password":
            print(accounts.password(config, options.user, again=options.again))
        case "restore":
            print(restore.restore(
                config, options.who, options.path, options.at, replace=options.replace, into=options.into
            ))  # fmt: skip
        case "snapshots":
            for name in disk.snapshots(restore.find(config, options.who)):
                print(moment(name).astimezone(_zone(config)).strftime("%Y-%m-%d %H:%M:%S"))
        case "take-over":
            takeover.take_over(config, force=options.force)
        case "hand-over":
            takeover.hand_over(config, options.peer)
        case "verify":
            wrong = replicate.check(config, everything=options.all)
            for line in wrong:
                say(line)
            return 3 if wrong else 0
        case "replicate":
            return _replicate(config)
        case "apply":
            for name in _apply(config):
                print(f"changed: {name}")
        case "agent":
            agent.main()
        case "peer":
            return peers.main(config, options.peer)
    return 0


def _zone(config: Config) -> datetime.tzinfo:
    from .config import zone

    return zone(config.timezone)


def _apply(config: Config) -> list[str]:
    """Apply where people's folders are worked on; the others get them by replication."""
    if lease.read().holder != config.host or not disk.datasets(LIVE):
        return accounts.identity(config)
    takeover.promote(config)  # folders of people who came back
    return accounts.apply(config)


def _replicate(config: Config) -> int:
    """What the timer does every minute; nothing on a NAS that is not active."""
    if lease.read().holder != config.host:
        return 0
    accounts.leave(config)
    accounts.folders(config)
    done = replicate.replicate(config, wait=True)
    replicate.report(done)
    return 3 if done.wrong else 0


def facts(config: Config) -> dict[str, object]:
    """Return what `status` shows."""
    record = lease.read()
    active = record.holder == config.host
    return {
        "host": config.host, "active": record.holder, "epoch": record.epoch, "forced": record.forced,
        "serving": agent.serving(), "set_aside_pending": not active and bool(disk.datasets(LIVE)),
        "behind_seconds": {p: round(a) for p, a in replicate.ages().items()} if active else {},
        "snapshots": {n: max(s) for n, s in store.known().items() if s},
        "usage": accounts.usage(config) if active else [], "free_bytes": peers.space(),
    }  # fmt: skip


def status(config: Config, *, as_json: bool) -> int:
    """Show how things are; 3 when another NAS lacks more than five minutes or this one should serve and does not."""
    found = facts(config)
    behind: dict[str, int] = found["behind_seconds"]  # type: ignore[assignment]
    active = found["active"] == config.host
    bad = active and (not found["serving"] or any(v > 300 for v in behind.values()) or len(behind) < len(config.peers))
    if as_json:
        print(json.dumps(found))
        return 3 if bad else 0
    print(f"active    {found['active'] or 'none'} (epoch {found['epoch']}{', forced' if found['forced'] else ''})")
    print(f"here      {config.host}: {'serving' if found['serving'] else 'not serving'}")
    if found["set_aside_pending"]:
        print("          has changes of its own to set aside, and waits for the active NAS")
    if active:
        print(f"behind    {words([f'{p} {v} s' for p, v in behind.items()])}")
        for name, used, quota in found["usage"]:  # type: ignore[attr-defined]
            print(f"{name:<24} {used / 2**30:8.2f} of {quota / 2**30:.0f} GB")
    print(f"free      {peers.space() / 2**30:.1f} GB")
    return 3 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
