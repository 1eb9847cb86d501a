"""`topology device render|plan|apply|check|backup`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from topology.allocate import Plan
from topology.devices.model import Device, devices_of
from topology.devices.text import VARIABLE, changes, management, needs_secrets, provisioning, settable
from topology.devices.wanted import wanted
from topology.drift.finding import DIFFERENT as _DIFFERENT
from topology.drift.finding import MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.drift.judge import Observed, judge
from topology.exits import DIFFERENT, ERRORS, FINE, UNREACHED, USAGE
from topology.expect.model import Expected
from topology.render.common import Context, context_of

_SECRETS = ("USER", "PASSWORD", "ENABLE", "SNMP_AUTH", "SNMP_PRIV")


def run(plan: Plan, inventory: Path, options: argparse.Namespace) -> int:
    """Do one of the verbs and return the exit code: 3 differences, 4 devices that could not be read."""
    if any(not re.fullmatch(r"[^=]+=[^=]+:\d{1,5}", x) for x in getattr(options, "at", None) or ()):
        print("topology: --at is NAME=HOST:PORT", file=sys.stderr)
        return USAGE
    every = devices_of(plan)
    devices = [d for d in every if chosen(d, options.hosts)]
    if not devices:
        print("topology: no switch or radio matches; `topology plan --csv` lists hosts", file=sys.stderr)
        return USAGE
    options.all_devices = [d.name for d in every]
    context = context_of(plan)
    expected = {d.name: wanted(context, d) for d in devices}
    if options.verb == "render":
        return _render(context, devices, expected, Path(options.out))
    secrets = secrets_of(os.environ)
    if not {"USER", "PASSWORD"} <= secrets.keys():
        print(unobserved_line(len(devices)), file=sys.stderr)
        return UNREACHED
    verbs: dict[str, Callable[..., int]] = {"plan": _plan, "apply": _apply, "check": _check, "backup": _backup}
    return verbs[options.verb](Work(devices, expected, secrets, inventory, options))


def chosen(device: Device, patterns: list[str] | None) -> bool:
    """Say whether one of the patterns names a device or its site."""
    return not patterns or any(fnmatchcase(device.name, p) or fnmatchcase(device.site.slug, p) for p in patterns)


def target_of(device: Device, at: dict[str, str]) -> tuple[str, int]:
    """Return address and port of a device: the plan's, or where a forwarded port leads to it."""
    host, _, port = at.get(device.name, f"{device.address}:22").rpartition(":")
    return host, int(port)


def secrets_of(environment: object) -> dict[str, str]:
    """Return the secrets that the environment gives, by their short names."""
    values = environment if isinstance(environment, dict | os._Environ) else {}
    return {name: values[VARIABLE.format(name)] for name in _SECRETS if values.get(VARIABLE.format(name))}


def unobserved_line(count: int) -> str:
    """Return the one line that says why no device was looked at."""
    names = f"{VARIABLE.format('USER')} and {VARIABLE.format('PASSWORD')}"
    return f"{count} switches and radios unobserved: {names} are not set"


def _render(context: Context, devices: list[Device], expected: dict[str, Expected], out: Path) -> int:
    from topology.render import write_some

    tree = {d.name: files for d in devices if (files := provisioning(context, d, expected[d.name]))}
    try:
        done = write_some(tree, out)
    except (OSError, ValueError) as error:
        print(f"topology: {error}", file=sys.stderr)
        return USAGE
    print(f"{out}: {done.hosts} devices, {done.files} files, {done.changed} changed")
    return FINE


class Work:
    """Everything a verb that talks to devices needs."""

    def __init__(
        self, devices: list[Device], expected: dict[str, Expected], secrets: dict[str, str], inventory: Path,
        options: argparse.Namespace,
    ) -> None:  # fmt: skip
        from topology.devices.connect import Keys, Target
        from topology.devices.run import LIMIT

        self.devices = {d.name: d for d in devices}
        self.expected, self.secrets, self.options = expected, secrets, options
        at = dict(x.split("=", 1) for x in getattr(options, "at", None) or ())
        self.targets = [Target(d, *target_of(d, at)) for d in devices]
        path = getattr(options, "known_hosts", None)
        self.keys = Keys(Path(path) if path else Path("build/devices") / f"{inventory.resolve().name}.known_hosts")
        self.limit = float(getattr(options, "limit", None) or LIMIT)

    def each(self, work: Callable[..., object], only: list[str] | None = None) -> dict[str, object]:
        """Do a piece of work with every device, and say which host keys are new."""
        from topology.devices.run import run_all
        from topology.progress import Progress

        targets = [t for t in self.targets if only is None or t.device.name in only]
        progress = Progress("devices")
        try:
            found = run_all(targets, self.secrets, self.keys, work, progress, self.limit)
        finally:
            progress.close()
        for name, print_ in sorted(self.keys.new.items()):
            print(f"topology: new host key of {name} kept: {print_}", file=sys.stderr)
        self.keys.new.clear()
        return dict(found)

    def judged(self, found: dict[str, object]) -> list[Finding]:
        """Return the findings of what was read; an error is unobserved, a changed host key a finding of its own."""
        from topology.devices.connect import DeviceError
        from topology.devices.read import observe

        findings: list[Finding] = []
        for name, result in found.items():
            expected = self.expected[name]
            if isinstance(result, DeviceError):
                if result.kind == "host key":
                    kept = ("key", "host", "", "the key that was kept", str(result))
                    findings.append(Finding(expected.site, name, _DIFFERENT, *kept))
                findings += judge(expected, Observed(failed=str(result)))
            elif isinstance(result, dict):
                findings += judge(expected, observe(self.devices[name], result))
        return sorted(findings)


def read_all(work: Work) -> list[Finding]:
    """Read all devices and judge them."""
    return work.judged(work.each(lambda session: session.answers()))


def _shown(finding: Finding) -> list[str]:
    """Return a finding as lines of a diff."""
    head = f"  {finding.kind} {finding.thing}" + (f" {finding.field}" if finding.field else "")
    if finding.state == MISSING:
        return [f"+{head}" + (f": {finding.expected}" if finding.expected else "")]
    if finding.state == UNEXPECTED:
        return [f"-{head}" + (f": {finding.found}" if finding.found else "")]
    return [f"-{head}: {finding.found}", f"+{head}: {finding.expected}"]


def _report(work: Work, findings: list[Finding]) -> int:
    silent = {f.host for f in findings if f.state == UNOBSERVED}
    wrong = {f.host for f in findings} - silent
    total = len(work.devices)
    print(
        f"{total} devices: {total - len(silent | wrong)} as planned, {len(wrong)} differ, {len(silent)} unobserved"
    )  # fmt: skip
    return DIFFERENT if wrong else UNREACHED if silent else FINE


def _check(work: Work) -> int:
    findings = read_all(work)
    for finding in findings:
        print(finding)
    _report(work, findings)
    return DIFFERENT if findings else FINE


def _plan(work: Work) -> int:
    findings = read_all(work)
    for name in work.devices:
        own = [f for f in findings if f.host == name]
        if own:
            _print_plan(work, name, own)
    return _report(work, findings)


def _print_plan(work: Work, name: str, own: list[Finding]) -> None:
    from topology.devices.redact import redacted

    device = work.devices[name]
    print(f"{name} ({device.profile.model}, {device.address})")
    for finding in own:
        if finding.state == UNOBSERVED or finding.kind == "key":
            print(f"!  {finding.found}")
            continue
        for line in _shown(finding):
            print(line)
    lines = changes(device, work.expected[name], own)
    if lines:
        print("  would push:")
        print("".join(f"    {line}\n" for line in redacted("\n".join(lines)).splitlines()), end="")
    for way in management(device, own):
        print(f"  would touch its own management path: {way}")


def _apply(work: Work) -> int:
    """Push what differs, prove it over a new session, save; what is not proven goes back by itself."""
    from topology.devices.connect import DeviceError, Session
    from topology.devices.read import observe

    may_cut = bool(work.options.management)

    def mend(session: Session) -> list[str]:
        device = session.target.device
        expected = work.expected[device.name]
        if device.profile.family == "sftp":
            raise DeviceError("refused", "it has only files: it is set by hand")
        before = judge(expected, observe(device, session.answers()))
        if any(f.state == UNOBSERVED for f in before):
            raise DeviceError("answer", next(f.found for f in before if f.state == UNOBSERVED))
        todo = settable(before)
        if not todo:
            return []
        ways = management(device, todo)
        if ways and not may_cut:
            raise DeviceError(
                "refused", f"this would change its own management path ({', '.join(ways)}); "
                "be at the site, then --management",
            )  # fmt: skip
        if needs_secrets(todo, device.profile.family) and not {"SNMP_AUTH", "SNMP_PRIV"} <= work.secrets.keys():
            names = ", ".join(VARIABLE.format(n) for n in ("SNMP_AUTH", "SNMP_PRIV"))
            raise DeviceError("refused", f"its SNMP user is wrong and {names} are not set; nothing was pushed")
        armed = device.profile.family in ("routeros", "ios")
        session.push(changes(device, expected, todo, work.secrets), armed)
        _prove(work, session, armed, expected)
        session.keep(armed)
        return [str(f) for f in todo]

    results = work.each(mend)
    failed = 0
    for name in sorted(results):
        result = results[name]
        if isinstance(result, DeviceError):
            failed += 1
            print(f"{name}: not changed: {result}" if result.kind != "kept" else f"{name}: {result}")
        elif isinstance(result, list):
            print(f"{name}: {len(result)} changed" if result else f"{name}: unchanged")
            for line in result:
                print(f"  {line.removeprefix(f'{name}: ')}")
    return ERRORS if failed else FINE


def _prove(work: Work, session: object, armed: bool, expected: Expected) -> None:
    """Read the device over a new session: the way to it still stands, and it is what it must be."""
    from topology.devices.connect import DeviceError, Session
    from topology.devices.read import observe

    assert isinstance(session, Session)
    back = "it goes back by itself" if armed else "look at it by hand"
    second = Session(session.target, work.secrets, work.keys)
    try:
        second.open()
        after = judge(expected, observe(session.target.device, second.answers()))
    except DeviceError as error:
        raise DeviceError("answer", f"after the change: {error}; {back}") from None
    finally:
        second.close()
    left = settable(after) + [f for f in after if f.state == UNOBSERVED]
    if left:
        raise DeviceError("answer", f"after the change still: {str(left[0]).split(': ', 1)[1]}; {back}")


def _backup(work: Work) -> int:
    from topology.devices.backup import GitError, kept, write
    from topology.devices.connect import DeviceError
    from topology.devices.read import observe

    found = work.each(lambda session: session.answers())
    files: dict[str, str] = {}
    silent: dict[str, str] = {}
    for name, result in found.items():
        device = work.devices[name]
        if isinstance(result, DeviceError):
            silent[name] = str(result)
        elif isinstance(result, dict):
            seen = observe(device, result)
            why = seen.failed or seen.unobserved.get("identity", "")
            missing = [p for p in device.profile.files if p not in result]
            if why or missing:
                # half an answer must not overwrite a whole one
                silent[name] = why or f"no file {', '.join(missing)}"
            else:
                files |= kept(device, result)
    message = f"{len(files)} configurations"
    if silent:
        message += f"\n\nNot read: {', '.join(sorted(silent))}"
    try:
        diff = write(Path(work.options.repository), files, frozenset(work.options.all_devices), message)
    except (GitError, OSError) as error:
        print(f"topology: {work.options.repository}: {error}", file=sys.stderr)
        return ERRORS
    sys.stdout.write(diff)
    for name in sorted(silent):
        print(f"{name}: not read: {silent[name]}", file=sys.stderr)
    changed = diff.count("\ndiff --git ") + diff.startswith("diff --git ")
    print(f"{len(files)} files kept, {changed} changed, {len(silent)} devices not read")
    return UNREACHED if silent else FINE
