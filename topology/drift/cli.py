"""`topology drift`: read every host, judge, report."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import sqlite3
import sys
import time
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from topology.allocate import Host, Plan
from topology.devices.drift import drift as device_drift
from topology.devices.model import KINDS
from topology.drift import history, report, unknown
from topology.drift.judge import judge
from topology.drift.script import PLATFORMS
from topology.drift.sweep import ANSWER, Login, login_of, sweep
from topology.drift.together import judge_together
from topology.exits import DIFFERENT, FINE, USAGE
from topology.expect import Expected, expect, together
from topology.expect.groups import Together
from topology.inventory import own_address, variables
from topology.progress import Progress
from topology.render.common import context_of

MOST_SECONDS = 3600
"""The longest answer that is waited for (--limit)."""


def run(plan: Plan, inventory: Path, options: argparse.Namespace) -> int:
    """Sweep and report; return 0 when everything is as planned, 3 when not, 2 when nobody was to be asked."""
    chosen = [h for h in plan.hosts.values() if h.managed and _wanted(h, options.hosts)]
    if not chosen and not any(h.kind in KINDS and _wanted(h, options.hosts) for h in plan.hosts.values()):
        print("topology: no managed host matches; `topology plan --csv` lists hosts", file=sys.stderr)
        return USAGE
    limit = ANSWER if options.limit is None else options.limit
    if not 0 < limit <= MOST_SECONDS:
        print(f"topology: --limit {limit:g} is not between 0 and {MOST_SECONDS} seconds", file=sys.stderr)
        return USAGE
    if options.unknown:
        return _unknown(plan, chosen, options, limit)
    unread = [h.name for h in chosen if h.platform not in PLATFORMS]
    context = context_of(plan)
    groups = together(plan)
    everybody = [
        (_login(plan, h, options.ssh_config), expect(plan, h, context))
        for h in (*chosen, *beside(plan, groups, chosen))
        if h.platform in PLATFORMS
    ]
    names = {h.name for h in chosen}
    hosts = [(login, expected) for login, expected in everybody if expected.host in names]
    at, begun = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), time.monotonic()
    progress = Progress("reading")
    try:
        observed = asyncio.run(sweep(everybody, progress, limit))
    finally:
        progress.close()
    devices, more, blind = device_drift(plan, inventory, options, context)
    findings = [*more, *(f for login, expected in hosts for f in judge(expected, observed[login.host]))]
    among = judge_together(groups, {e.host: e for _, e in everybody}, observed)
    findings = sorted((*findings, *(f for f in among if f.host in names)))
    path = Path(options.history) if options.history else _history(inventory)
    change = None
    try:
        change = history.record(path, at, [e.host for e in (*devices, *(e for _, e in hosts))], findings)
    except (OSError, sqlite3.Error) as error:
        print(f"topology: {path}: {error}; since when findings stand is not known", file=sys.stderr)
    if change is not None and change.damaged is not None:
        print(
            f"topology: {path} was damaged and is kept as {change.damaged}; findings are counted from this sweep on",
            file=sys.stderr,
        )
    done = report.Report(
        at, time.monotonic() - begun, {e.host: e.site for e in (*devices, *(e for _, e in hosts))},
        {e.host: len(e.expectations) for e in (*devices, *(e for _, e in hosts))}, tuple(findings), change,
    )  # fmt: skip
    if options.remedies:
        from topology.drift.remedy import as_json, remedy

        mended = {e.host: remedy(e, [f for f in findings if f.host == e.host]) for _, e in hosts}
        Path(options.remedies).write_text(as_json(mended), encoding="utf-8")
    for file, text in ((options.junit, report.as_junit), (options.html, report.as_html)):
        if file:
            Path(file).write_text(text(done), encoding="utf-8")
    if options.json == "-":
        sys.stdout.write(report.as_json(done))
    else:
        if options.json:
            Path(options.json).write_text(report.as_json(done), encoding="utf-8")
        sys.stdout.write(report.text(done, only_changes=options.since))
    if unread:
        print(f"not read, no reading of their platform yet: {', '.join(unread)}", file=sys.stderr)
    return DIFFERENT if findings or unread or blind else FINE


def beside(plan: Plan, groups: Iterable[Together], chosen: Iterable[Host]) -> list[Host]:
    """Return who is read beside the chosen hosts: those with which something of theirs is to be the same.

    A secondary that was left behind is seen beside its primary only. Nothing is reported of them.
    """
    names = {h.name for h in chosen}
    wanted = {n for g in groups if names & set(g.hosts) for n in g.hosts} - names
    return [h for h in plan.hosts.values() if h.name in wanted and h.managed]


def _unknown(plan: Plan, chosen: list[Host], options: argparse.Namespace, limit: float) -> int:
    """Say which addresses are in use that the plan does not know: 0 when none, 3 when some or a gateway is silent."""
    gateways = unknown.wanted(chosen)
    if not gateways:
        print("topology: no gateway matches; gateways see who is in a network", file=sys.stderr)
        return USAGE
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    hosts = [(_login(plan, h, options.ssh_config), Expected(h.name, h.site, h.platform, (), ())) for h in gateways]
    progress = Progress("asking")
    try:
        found = unknown.find(plan, asyncio.run(sweep(hosts, progress, limit, make=unknown.script)))
    finally:
        progress.close()
    if options.json:
        text = unknown.as_json(found, at)
        if options.json == "-":
            sys.stdout.write(text)
        else:
            Path(options.json).write_text(text, encoding="utf-8")
    if options.json != "-":
        sys.stdout.write(unknown.as_text(found))
    return DIFFERENT if found.unknown or found.silent else FINE


def standing_of(inventory: Path, path: str | None = None) -> history.Standing | None:
    """Return what differs since when, of an inventory's history; a history that cannot be read is said."""
    file = Path(path) if path else _history(inventory)
    try:
        return history.standing(file)
    except sqlite3.Error as error:
        print(f"topology: {file}: {error}; the documentation has no page of drift", file=sys.stderr)
        return None


def _login(plan: Plan, host: Host, ssh_config: str | None) -> Login:
    """Return how to reach a host: as Ansible does, or at its own address by an SSH configuration."""
    if ssh_config is None:
        return login_of(host.name, variables(plan, host))
    return login_of(host.name, {"ansible_host": own_address(host), "ansible_ssh_common_args": f"-F {ssh_config}"})


def _wanted(host: Host, patterns: list[str] | None) -> bool:
    return not patterns or any(fnmatchcase(host.name, p) or fnmatchcase(host.site, p) for p in patterns)


def _history(inventory: Path) -> Path:
    return Path("build/drift") / f"{inventory.resolve().name}.sqlite"
