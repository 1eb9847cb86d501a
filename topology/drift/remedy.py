"""What brings a host back to the plan, from its findings. Pure; playbooks/remediate.yml does it.

Roles place files, install packages and run services by themselves. Two things they cannot know: that something in
memory differs although its files are right (a rule flushed, a peer swapped), and that something is there which nobody
planned. For the first the role's mark is set on the host (`place` applies a marked unit again), the second is taken
away by a command. What has no remedy here is for a person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from shlex import quote

from topology.drift import remedy_services as services
from topology.drift.finding import MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.drift.observed import BY_HAND
from topology.drift.steps import Mark, Run, Step, Steps
from topology.expect.compile import _LISTENERS as LISTENERS
from topology.expect.model import Expected
from topology.expect.units import units


@dataclass(slots=True)
class Remedy:
    """What is to be done on a host."""

    marks: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    """Findings that nothing here and no role mends."""


def remedy(expected: Expected, findings: Iterable[Finding]) -> Remedy:
    """Return what mends a host's findings; no step twice, in the findings' order."""
    found = Remedy()
    marks = _marks(expected)
    for finding in findings:
        steps = None if finding.state == UNOBSERVED else _KINDS.get(finding.kind, _nothing)(expected, finding)
        if steps is None:
            found.by_hand.append(str(finding))
            continue
        for step in steps:
            if isinstance(step, Mark):
                target, text = found.marks, step.unit
                if text not in marks:
                    continue
            else:
                target, text = found.after if step.after else found.before, step.command
            if text not in target:
                target.append(text)
    return found


def as_json(remedies: dict[str, Remedy]) -> str:
    """Return host -> marks, before, after, by_hand."""
    names = ("marks", "before", "after", "by_hand")
    return json.dumps({h: {n: getattr(r, n) for n in names} for h, r in remedies.items()}, indent=1) + "\n"


def _marks(expected: Expected) -> set[str]:
    """Return the units of a host as `place` names them; one of `each` has a name per file."""
    found = {u.name for u in units(expected.platform)}
    return found | {f"wireguard-{e.thing}" for e in expected.of_kind("tunnel")}


def _nothing(expected: Expected, finding: Finding) -> Steps:
    return None


def _roles(expected: Expected, finding: Finding) -> Steps:
    return []


def _file(expected: Expected, finding: Finding) -> Steps:
    known = next((e for e in expected.of_kind("file") if e.thing == finding.thing), None)
    if known is None or "sha256" in known.want or finding.state == MISSING:
        return []  # the roles place it, or remove it
    path = quote(finding.thing)
    group = f":{known.want['group']}" if "group" in known.want else ""
    return [Run(f"chown {known.want['owner']}{group} {path} && chmod {known.want['mode']} {path}")]


def _service(expected: Expected, finding: Finding) -> Steps:
    return [Mark("boot")] if finding.thing in ("topology-filter", "topology-shape", "nftables") else []


def _listen(expected: Expected, finding: Finding) -> Steps:
    if finding.state != UNEXPECTED:
        paths = [path for path, ports in LISTENERS.items() if any(port == finding.thing for port, _ in ports)]
        return [Mark(u.name) for u in units(expected.platform) for path in paths if u.has(path)]
    if expected.platform != "debian":
        return None
    port, _, protocol = finding.thing.partition("/")
    ours = "|".join(sorted(quote(e.thing) for e in expected.of_kind("service")))
    # what the plan runs is never stopped: then the finding stays, for a person
    return [Run(f"""for pid in $(ss -Hlnp{protocol[0]} 'sport = :{port}' | grep -o 'pid=[0-9]*' | cut -d= -f2); do
  unit=$(ps -o unit= -p "$pid" | tr -d ' ')
  case ${{unit%.service}} in
  {ours}|systemd-*|dbus|user@*) ;;
  *) case $unit in *.service) systemctl disable --now "$unit" 2>/dev/null || systemctl stop "$unit" ;;
     *) kill "$pid" ;; esac ;;
  esac
done""")]  # fmt: skip


def _address(expected: Expected, finding: Finding) -> Steps:
    interface, address = finding.thing.split()
    if finding.state == UNEXPECTED:
        if expected.platform == "freebsd":
            family = "inet6" if ":" in address else "inet"
            return [Run(f"ifconfig {quote(interface)} {family} {quote(address.partition('/')[0])} -alias")]
        return [Run(f"ip address delete {quote(address)} dev {quote(interface)}")]
    return _interface(expected, interface)


def _interface(expected: Expected, interface: str) -> list[Step]:
    if expected.platform == "freebsd":
        return [Mark("network")]
    if any(e.thing == interface for e in expected.of_kind("tunnel")):
        return [Mark(f"wireguard-{interface}")]
    return [Run(f"networkctl reconfigure {quote(interface)}", after=True)]


def _route(expected: Expected, finding: Finding) -> Steps:
    if finding.thing.endswith(BY_HAND):
        target = quote(finding.thing.removesuffix(BY_HAND))
        if expected.platform == "freebsd":
            return [Run(f"route -{6 if ':' in target else 4} delete {target}")]
        families = "46" if target == "default" else "6" if ":" in target else "4"
        return [
            Run(f"while ip -{f} route delete {target} proto boot 2>/dev/null; do :; done") for f in families
        ]  # fmt: skip
    if finding.thing.startswith("to "):
        return [Mark("routing")]
    names = {e.thing.split()[0] for e in expected.of_kind("address")} - {"lo", "lo0"}
    return [step for name in sorted(names) for step in _interface(expected, name)]


def _user(expected: Expected, finding: Finding) -> Steps:
    name, bsd = quote(finding.thing), expected.platform == "freebsd"
    if finding.state == UNEXPECTED:  # the home stays: it may be evidence
        if bsd:
            return [Run(f"pkill -KILL -u {name}; pw userdel {name}")]
        return [Run(f"loginctl terminate-user {name} 2>/dev/null; pkill -KILL -u {name}; userdel {name}")]
    if finding.state == MISSING:
        return []
    if finding.field == "administrator" and finding.expected == "False":
        return [Run(f"pw groupmod wheel -d {name}" if bsd else f"gpasswd --delete {name} sudo")]
    if finding.field == "shell":
        shell = quote(finding.expected)
        return [Run(f"pw usermod -n {name} -s {shell}" if bsd else f"usermod --shell {shell} {name}")]
    if finding.field == "password" and finding.expected == "locked":
        return [Run(f"pw lock {name}" if bsd else f"usermod --lock {name}")]
    return []


def _key(expected: Expected, finding: Finding) -> Steps:
    user, _, print_ = finding.thing.partition(" ")
    if finding.state != UNEXPECTED:
        return []
    return [Run(f"""home=$(getent passwd {quote(user)} | cut -d: -f6)
for file in "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2"; do
  [ -f "$file" ] || continue
  kept=$(mktemp)
  while IFS= read -r line || [ -n "$line" ]; do
    case " $line $(printf '%s\\n' "$line" | ssh-keygen -l -f - 2>/dev/null) " in
    *{quote(f" {print_} ")}*) ;;
    *) printf '%s\\n' "$line" ;;
    esac
  done <"$file" >"$kept"
  cat "$kept" >"$file"; rm "$kept"
done""")]  # fmt: skip


def _ruleset(expected: Expected, finding: Finding) -> Steps:
    planned = re.findall(r"^table (\w+ \w+)", expected.texts.get("ruleset", ""), re.MULTILINE)
    patterns = "|".join(f"'table {name}'" for name in sorted(set(planned)))
    return [
        Run(f"""nft list tables | while read -r table; do
  case $table in {patterns}) ;; *) nft delete $table ;; esac
done"""),
        Mark("filter"),
    ]  # fmt: skip


def _peer(expected: Expected, finding: Finding) -> Steps:
    return [Mark(f"wireguard-{finding.thing.split()[0]}")]


def _mount(expected: Expected, finding: Finding) -> Steps:
    if finding.state == UNEXPECTED:
        return [Run(f"umount {quote(finding.thing)}")]
    if finding.state == MISSING:
        return []  # the role's unit mounts it
    return [Run(f"mount {'-u -o rw' if expected.platform == 'freebsd' else '-o remount,rw'} {quote(finding.thing)}")]


def _daemon(expected: Expected, finding: Finding) -> Steps:
    files = [p.lstrip("/") for e in expected.of_kind("daemon") if e.thing == finding.thing for p in e.of]
    marks = [u.name if not u.each else f"{u.name}-{PurePath(p).stem}" for u in units(expected.platform) for p in files
             if u.has(p)]  # fmt: skip
    return [Mark(name) for name in dict.fromkeys(marks)]


def _answer(expected: Expected, finding: Finding) -> Steps:
    # a name server's zone is found as well, and mended as such
    return [] if expected.of_kind("zone") else [Mark("names")]


def _mark(unit: str) -> Callable[[Expected, Finding], Steps]:
    return lambda expected, finding: [Mark(unit)]


_KINDS: dict[str, Callable[[Expected, Finding], Steps]] = {
    "file": _file, "package": _roles, "service": _service, "listen": _listen, "address": _address, "route": _route,
    "sysctl": _mark("kernel"), "user": _user, "key": _key, "ruleset": _ruleset, "shape": _mark("filter"),
    "peer": _peer, "tunnel": _peer, "neighbour": _mark("routing"), "time": _mark("time"), "mount": _mount,
    "daemon": _daemon, "dhcp": _roles, "share": _roles, "table": _ruleset, "answer": _answer,
    "replication": services.replication, "etcd": _roles, "login": services.login, "role": services.role,
    "setting": services.setting, "backup": services.backup,
    "zone": services.zone, "records": services.zone, "right": services.folder,
    "quota": services.people, "account": services.people, "certificate": services.certificate,
}  # fmt: skip


def lines(host: str, found: Remedy) -> Iterator[str]:
    """Yield what would be done on a host, for a person."""
    yield from (f"{host}: apply again: {unit}" for unit in found.marks)
    yield from (f"{host}: run: {command}" for command in (*found.before, *found.after))
    yield from (f"{host}: BY HAND: {text}" for text in found.by_hand)
