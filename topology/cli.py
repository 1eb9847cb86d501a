"""The command line: `topology check|plan|diff|render|next|impact|drift|document|keys|vpn|lab ...`.

Exit codes: 0 fine, 1 errors found, 2 bad usage or unreadable input, 3 differences found.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from topology.exits import DIFFERENT, ERRORS, FINE, USAGE

if TYPE_CHECKING:
    from topology.allocate import Plan
    from topology.finding import Finding, Language
    from topology.source import Tree


_DESCRIPTION = """\
The network of a district, from its inventory files: addresses, configuration,
documentation. INVENTORY is a folder such as inventories/luwu or inventories/lab.
"""
_EPILOG = """\
exit codes: 0 fine, 1 errors found, 2 bad usage or unreadable input, 3 differences found

daily work:
  topology check INVENTORY                      is the inventory right?
  topology next INVENTORY host --site X --network staff --name printer-1 --mac ...
                                                what do I paste for a new device?
  topology diff INVENTORY                       what does my change do?
  topology render INVENTORY --out build/        the files of every host
"""


_WIREGUARD_KEY = (
    re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="), "a WireGuard public key (`wg pubkey` prints one)"
)  # fmt: skip
_SSH_KEY = (
    re.compile(r"AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}"), "the middle part of an ssh-ed25519 public key"
)  # fmt: skip
_KEYS = {
    "wireguard": _WIREGUARD_KEY,
    "vpn_users": _WIREGUARD_KEY,
    "dnssec": (
        re.compile(r"[0-9]{1,5} [0-9]{1,3} [0-9] [0-9A-F]{40,96}"), "a DS record's data (`keymgr ZONE ds` prints one)"
    ),
    "nas": _SSH_KEY,
    "nas_hosts": _SSH_KEY,
    "readers": _SSH_KEY,
}  # fmt: skip
"""Section of keys.yml -> the form of its keys, and what that is called."""


class _Parser(argparse.ArgumentParser):
    """A parser that says where help is, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser() -> _Parser:
    """Return the command line's parser."""
    raw = argparse.RawDescriptionHelpFormatter
    top = _Parser("topology", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=raw)
    common = _Parser(add_help=False)
    common.add_argument(
        "--lang", choices=("en", "id"), default=_language(), help="language of findings (default: TOPOLOGY_LANG or en)"
    )
    common.add_argument("-q", "--quiet", action="store_true", help="no warnings, no summary")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def add(name: str, text: str, description: str) -> _Parser:
        sub = commands.add_parser(name, help=text, description=description, parents=[common], formatter_class=raw)
        sub.add_argument("inventory", metavar="INVENTORY", help="folder of the inventory")
        return sub

    check = add("check", "read everything, show every finding", "Read the whole inventory and show all findings.")
    check.add_argument("--against", metavar="REV", help="also refuse registry lines that are gone since a git revision")
    plan = add("plan", "print what follows from the numbers", "Print sites, networks and addresses of both families.")
    form = plan.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object (stable)")
    form.add_argument("--csv", action="store_true", help="one row per interface")
    guests = add(
        "guests", "the virtual machines of the rollout",
        "Show the guests that vSphere is asked for, with all that is derived for them.",
    )  # fmt: skip
    guests.add_argument("--json", action="store_true", help="everything, as JSON (what playbooks/guests.yml reads)")
    guests.add_argument("--year", type=int, metavar="Y", help="up to this year (default: apps.yml's rollout)")
    diff = add(
        "diff", "what a change does to addresses and files",
        "Compare the addresses and rendered files of two git revisions, or of a revision\n"
        "and the files as they are now. Both are rendered by the code that is here.",
    )  # fmt: skip
    diff.add_argument("revision", nargs="?", default="HEAD", metavar="REV", help="before (default: HEAD)")
    diff.add_argument("until", nargs="?", metavar="REV2", help="after (default: the files as they are)")
    render = add("render", "write every host's files", "Write a tree DIR/<host>/<path on the host>.")
    render.add_argument("--out", metavar="DIR", default="build", help="folder to write (default: build)")
    render.add_argument("--host", action="append", metavar="NAME", help="only this host (may be repeated)")
    _add_next(add(
        "next", "propose the line to paste for something new",
        "Propose the registry line or the entry for something new, with the addresses it\n"
        "will have. Nothing is written. WHAT: skpd, kecamatan, desa, host, network, link, vpn-user.",
    ))  # fmt: skip
    impact = add(
        "impact", "who is cut off when a link or site is lost",
        "Name the sites that are cut off and the paths the others take when a link or a\nsite is lost.",
    )  # fmt: skip
    impact.add_argument("what", metavar="LINK|SITE", help="name of a link or site")
    impact.add_argument("--json", action="store_true", help="as JSON")
    flows = add(
        "flows", "what may pass between two zones, and why",
        "Show what the policy lets pass at a gateway, or follow one connection through every\n"
        "gateway. A place is ZONE (at --site) or SITE.ZONE.",
    )  # fmt: skip
    flows.usage = "topology flows INVENTORY [FROM [TO]] [--site SLUG] [--service NAME] [--family 4|6]"
    flows.add_argument("source", nargs="?", metavar="FROM", help="zone, or SITE.ZONE")
    flows.add_argument("target", nargs="?", metavar="TO", help="zone, or SITE.ZONE")
    flows.add_argument("--site", metavar="SLUG", help="whose gateway (default: the first)")
    flows.add_argument("--service", metavar="NAME", help="follow one service or port (web, 443/tcp, ping)")
    flows.add_argument("--family", type=int, choices=(4, 6), help="4 or 6 (default: both)")
    _add_drift(add(
        "drift", "what differs from the plan on the hosts",
        "Read every managed host in one SSH session each and show what is missing, unexpected, different or\n"
        "could not be read. Changes nothing. Exit code 3 when there is anything to show.",
    ))  # fmt: skip
    _add_device(commands, common)
    document = add("document", "write the network documentation", "Write the documentation site and build it.")
    document.add_argument("--out", metavar="DIR", default="build/documentation", help="folder to write")
    document.add_argument("--history", metavar="FILE", help="drift's history (default: build/drift/INVENTORY.sqlite)")
    document.add_argument("--no-build", action="store_true", help="Markdown only, no HTML")
    keys = add(
        "keys", "write public keys into keys.yml",
        "Write public keys that boxes made into INVENTORY/keys.yml; NAME= removes one.",
    )  # fmt: skip
    keys.add_argument("keys", nargs="+", metavar="NAME=KEY", help="gateway (or VPN user) and its public key")
    keys.add_argument("--section", choices=tuple(_KEYS), default="wireguard", help="whose keys")
    vpn = add(
        "vpn", "print a VPN user's own configuration",
        "Print the WireGuard configuration of a VPN user, one per hub; the user pastes in the private key\n"
        "(`wg genkey`) and has one hub's tunnel up at a time. A new user: `topology next INVENTORY vpn-user`,\n"
        "then `topology keys INVENTORY --section vpn_users NAME=KEY`, then playbooks/site.yml on the hubs.",
    )  # fmt: skip
    vpn.add_argument("user", metavar="USER", help="name in registry.yml")
    vpn.add_argument("--hub", metavar="GATEWAY", help="only this hub's, as a file for wg-quick")
    _add_lab(commands, common)
    schema = commands.add_parser("schema", help="write JSON Schemas for editors", parents=[common])
    schema.add_argument("--out", metavar="DIR", default="build/schemas", help="folder to write")
    completion = commands.add_parser("completion", help="print a shell completion script", parents=[common])
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return top


def _add_next(sub: _Parser) -> None:
    sub.add_argument("what", metavar="WHAT", help="kind of thing")
    for option, text in (
        ("slug", "short name of a new site"), ("name", "name of the new thing"), ("site", "site it belongs to"),
        ("kecamatan", "kecamatan of a new village"), ("network", "network of a new host, or new network"),
        ("kind", "kind of device (printer, pc, cctv, ...) or link (radio, leased)"),
        ("mac", "reserve its DHCP lease for this MAC address"), ("from", "one end of a link"),
        ("to", "other end of a link"), ("expires", "last day of a VPN user (YYYY-MM-DD)"),
    ):  # fmt: skip
        sub.add_argument(f"--{option}", help=text)


def _add_drift(sub: _Parser) -> None:
    sub.add_argument("--hosts", metavar="PATTERN", action="append", help="only these hosts or sites (may be repeated)")
    sub.add_argument("--since", action="store_true", help="show what changed since the previous sweep, no more")
    sub.add_argument("--unknown", action="store_true", help="list addresses in use that the plan does not know")
    sub.add_argument("--json", metavar="FILE", help="also as JSON (- for standard output, instead of the text)")
    sub.add_argument("--junit", metavar="FILE", help="also as JUnit XML")
    sub.add_argument("--html", metavar="FILE", help="also as a page")
    sub.add_argument("--limit", metavar="SECONDS", type=float, help="most time for one host's answer (default: 20)")
    sub.add_argument("--ssh-config", metavar="FILE", help="reach hosts at their own addresses, by this configuration")
    sub.add_argument("--remedies", metavar="FILE", help="also what would mend it, for playbooks/remediate.yml")
    sub.add_argument("--history", metavar="FILE", help="SQLite file (default: build/drift/INVENTORY.sqlite)")


def _add_device(commands: argparse._SubParsersAction[_Parser], common: _Parser) -> None:
    device = commands.add_parser(
        "device", help="switches and radios: provision, check, back up", parents=[common],
        description="Switches and radios. Logins are TOPOLOGY_DEVICE_USER and TOPOLOGY_DEVICE_PASSWORD.",
    )  # fmt: skip
    verbs = device.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    for verb, text in (
        ("render", "write the configuration of new devices"), ("plan", "show what apply would push; changes nothing"),
        ("apply", "push what differs, prove it, save it"), ("check", "what differs from the plan"),
        ("backup", "keep all configurations in a git repository"),
    ):  # fmt: skip
        sub = verbs.add_parser(verb, help=text, description=text, parents=[common])
        sub.add_argument("inventory", metavar="INVENTORY", help="folder of the inventory")
        sub.add_argument(
            "--hosts", metavar="PATTERN", action="append", help="only these devices or sites (may be repeated)"
        )
        if verb == "render":
            sub.add_argument("--out", metavar="DIR", default="build/devices/files", help="folder to write")
            continue
        sub.add_argument("--at", metavar="NAME=HOST:PORT", action="append", help="where a forwarded port leads to it")
        sub.add_argument("--known-hosts", metavar="FILE", help="default: build/devices/INVENTORY.known_hosts")
        sub.add_argument("--limit", metavar="SECONDS", type=float, help="most time for one device")
        if verb == "apply":
            sub.add_argument("--management", action="store_true", help="also what may cut the device off")
        if verb == "backup":
            sub.add_argument("--repository", metavar="DIR", required=True, help="git repository, made when missing")


def _add_lab(commands: argparse._SubParsersAction[_Parser], common: _Parser) -> None:
    lab = commands.add_parser(
        "lab", help="boot a slice of the district on this machine", parents=[common],
        description="Boot the slice of a district that INVENTORY/lab.yml names, with real daemons.",
    )  # fmt: skip
    verbs = lab.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    default = _Parser(add_help=False)
    default.add_argument("-i", "--inventory", default="inventories/lab", help="default: inventories/lab")
    for verb, text in (("up", "boot it"), ("down", "remove it without a trace"), ("status", "say what runs")):
        sub = verbs.add_parser(verb, help=text, parents=[common, default])
        sub.add_argument("lab_inventory", nargs="?", metavar="INVENTORY", help="instead of -i")
    ssh = verbs.add_parser("ssh", help="log in to a host, or run a command there", parents=[common, default])
    ssh.add_argument("host", metavar="HOST")
    ssh.add_argument("run", nargs=argparse.REMAINDER, metavar="COMMAND", help="command with its arguments")
    run = verbs.add_parser("run", help="run a command of this machine inside the lab's network",
                           parents=[common, default])  # fmt: skip
    run.add_argument("run", nargs=argparse.REMAINDER, metavar="COMMAND", help="command with its arguments")
    for verb, text in (("break", "cut a link"), ("slow", "make a link long and bad"), ("heal", "mend a link")):
        sub = verbs.add_parser(verb, help=text, parents=[common, default])
        sub.add_argument("link", metavar="LINK")
        if verb == "break":
            sub.add_argument("--silent", action="store_true", help="drop packets, keep the carrier")
        elif verb == "slow":
            sub.add_argument("--delay", type=float, default=0.0, metavar="MS", help="milliseconds each way")
            sub.add_argument("--jitter", type=float, default=0.0, metavar="MS", help="give or take so many of them")
            sub.add_argument(
                "--loss", type=float, default=0.0, metavar="PERCENT", help="share of frames lost, each way"
            )
            sub.add_argument("--at", metavar="HOST", help="whose end of a link with more than two")
    for verb, text in (
        ("kill", "cut a host's power"),
        ("start", "switch a host on again"),
        ("reboot", "reboot a host"),
    ):
        verbs.add_parser(verb, help=text, parents=[common, default]).add_argument("host", metavar="HOST")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(_COMMANDS[options.command](options))
    except _Stop as stop:
        return stop.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except KeyboardInterrupt:
        return _fail("interrupted", 130)


def _language() -> str:
    return "id" if os.environ.get("TOPOLOGY_LANG", "").startswith("id") else "en"


def _fail(text: str, code: int = USAGE) -> int:
    print(f"topology: {text}", file=sys.stderr)
    return code


class _Stop(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _plan(inventory: str | Path, options: argparse.Namespace) -> tuple[Plan, tuple[Finding, ...], Tree]:
    """Load, check and allocate; on errors all findings are shown and _Stop is raised."""
    from topology import report
    from topology.allocate import allocate
    from topology.load import LoadError, load

    if not Path(inventory).is_dir():
        _fail(f"{inventory} is not a folder; name an inventory such as inventories/luwu")
        raise _Stop(USAGE)
    lang: Language = options.lang
    try:
        district, warnings, tree = load(inventory)
    except LoadError as error:
        for line in report.lines(error.findings, error.tree, lang):
            print(line, file=sys.stderr)
        errors = sum(report.is_error(f) for f in error.findings)
        if not options.quiet:
            words = "kesalahan; tidak ada yang ditulis" if lang == "id" else "errors; nothing was written"
            print(f"{errors} {words}", file=sys.stderr)
        raise _Stop(ERRORS) from None
    if not options.quiet:
        for line in report.lines(warnings, tree, lang):
            print(line, file=sys.stderr)
    return allocate(district), warnings, tree


def _check(options: argparse.Namespace) -> int:
    from topology import diff, report
    from topology.load import LoadError, load

    plan, warnings, tree = _plan(options.inventory, options)
    errors = 0
    if options.against:
        try:
            with diff.checkout(Path(options.inventory), options.against) as old:
                before = load(old)[0].registry
        except (diff.RevisionError, LoadError) as error:
            return _fail(f"cannot read the inventory at {options.against}: {error}")
        lost = diff.registry_losses(before, plan.district.registry, options.against)
        errors = len(lost)
        for line in report.lines(lost, tree, options.lang):
            print(line, file=sys.stderr)
    if not options.quiet:
        print(report.summary(errors, len(warnings), len(plan.sites), len(plan.hosts), options.lang))
    return ERRORS if errors else FINE


def _print_plan(options: argparse.Namespace) -> int:
    from topology import plan_json
    from topology.allocate import sliced

    plan = sliced(_plan(options.inventory, options)[0])
    if options.json:
        json.dump(plan_json.as_dict(plan), sys.stdout, indent=1)
        print()
    elif options.csv:
        sys.stdout.write(plan_json.as_csv(plan))
    else:
        print(plan_json.as_table(plan))
    return FINE


def _guests(options: argparse.Namespace) -> int:
    from topology import guests

    plan = _plan(options.inventory, options)[0]
    try:
        found = guests.as_dict(plan, options.year) if options.json else None
        text = json.dumps(found, indent=1) if found else guests.as_table(guests.guests_of(plan, options.year))
    except guests.NoVsphere:
        return _fail(f"{options.inventory} has no vsphere.yml, so no guests (docs/guests.md)")
    print(text)
    return FINE


def _diff(options: argparse.Namespace) -> int:
    from topology import diff

    options.quiet = True
    inventory = Path(options.inventory)
    try:
        with ExitStack() as checkouts:
            before = _plan(checkouts.enter_context(diff.checkout(inventory, options.revision)), options)[0]
            until = checkouts.enter_context(diff.checkout(inventory, options.until)) if options.until else inventory
            found = diff.compare(before, _plan(until, options)[0])
    except diff.RevisionError as error:
        return _fail(str(error))
    print("\n".join(diff.as_lines(found)).strip())
    return DIFFERENT if found else FINE


def _render(options: argparse.Namespace) -> int:
    from topology import render
    from topology.allocate import sliced
    from topology.progress import Progress

    plan = sliced(_plan(options.inventory, options)[0])
    out = Path(options.out)
    managed = {host.name for host in plan.hosts.values() if host.managed}
    for name in options.host or ():
        if name not in managed:
            return _fail(f"there is no managed host `{name}`; `topology plan --csv` lists hosts")
    progress = Progress("rendering")
    try:
        if options.host:
            done = render.write_some({n: render.render_host(plan, plan.hosts[n]) for n in options.host}, out)
        else:
            done = render.write(dict(render.render(plan)), out, progress)
    except (OSError, ValueError) as error:
        return _fail(str(error))
    finally:
        progress.close()
    if not options.quiet:
        print(f"{options.out}: {done.hosts} hosts, {done.files} files, {done.changed} changed, {done.removed} removed")
    return FINE


def _next(options: argparse.Namespace) -> int:
    from topology import proposal

    inventory, what = options.inventory, options.what
    if inventory in proposal.KINDS and what not in proposal.KINDS:
        inventory, what = what, inventory
    if what not in proposal.KINDS:
        return _fail(f"`{what}` is not one of {', '.join(proposal.KINDS)}")
    options.quiet = True
    plan = _plan(inventory, options)[0]
    try:
        result = proposal.propose(plan, what, vars(options))
    except proposal.ProposalError as error:
        return _fail(str(error))
    sys.stdout.write(proposal.as_text(result, str(inventory)))
    return FINE


def _drift(options: argparse.Namespace) -> int:
    from topology.allocate import sliced
    from topology.drift.cli import run

    inventory = Path(options.inventory)
    options.quiet = True
    return run(sliced(_plan(inventory, options)[0]), inventory, options)


def _device(options: argparse.Namespace) -> int:
    from topology.allocate import sliced
    from topology.devices.cli import run

    options.quiet = True
    return run(sliced(_plan(options.inventory, options)[0]), Path(options.inventory), options)


def _impact(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from topology import impact

    options.quiet = True
    plan = _plan(options.inventory, options)[0]
    try:
        result = impact.impact(plan, options.what)
    except KeyError:
        return _fail(f"there is no link or site `{options.what}`; `topology plan --json` lists both")
    if options.json:
        print(json.dumps(asdict(result) | {"cut_off": result.cut_off}, indent=1))
    else:
        print("\n".join(impact.as_lines(plan, result)))
    return FINE


def _flows(options: argparse.Namespace) -> int:
    from topology import flows

    options.quiet = True
    return flows.run(_plan(options.inventory, options)[0], options)


def _document(options: argparse.Namespace) -> int:
    from topology import document, report
    from topology.progress import Progress

    plan, warnings, tree = _plan(options.inventory, options)
    out = Path(options.out)
    from topology.drift.cli import standing_of

    progress = Progress("documentation")
    languages: tuple[Language, ...] = ("id", "en")
    try:
        changed = document.write(
            plan,
            out,
            warnings_text={lang: report.lines(warnings, tree, lang) for lang in languages},
            revision=_revision(options.inventory),
            standing=standing_of(Path(options.inventory), options.history),
            progress=progress,
        )
        index = out / "site" / "index.html"
        if options.no_build:
            index = out / "docs"
        elif changed or not index.exists():
            index = document.build(out)
    except (OSError, ValueError, RuntimeError) as error:
        return _fail(str(error))
    finally:
        progress.close()
    if not changed:
        print("unchanged")
    print(index)
    return FINE


def _revision(inventory: str) -> str:
    import subprocess

    try:
        done = subprocess.run(
            ["git", "-C", inventory, "log", "-1", "--format=%h %cs"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "-"
    return done.stdout.strip() or "-"


def _lab(options: argparse.Namespace) -> int:
    from topology.lab import cli as lab_cli

    options.quiet = True
    return lab_cli.run(options, lambda inventory: _plan(inventory, options)[0])


def _keys(options: argparse.Namespace) -> int:
    """Write public keys into keys.yml; what it holds already stays."""
    from topology import names
    from topology.keys import set_keys

    options.quiet = True
    plan = _plan(options.inventory, options)[0]
    pattern, form = _KEYS[options.section]
    kind = "nas" if options.section.startswith("nas") else "gateway"
    known = {h.name for h in plan.hosts.values() if h.kind == kind}
    if options.section == "readers":
        known = {h.name for h in plan.hosts.values() if h.managed}
    elif options.section == "vpn_users":
        known = {u.name for u in plan.vpn_users}
    elif options.section == "dnssec":
        known = {zone.rstrip(".") for zone in names.zone_names(plan)}
    given: dict[str, str | None] = {}
    for entry in options.keys:
        name, _, key = entry.partition("=")
        if name not in known:
            return _fail(f"`{name}` is not one of the {options.section} that may have a key")
        if key and not pattern.fullmatch(key):
            return _fail(f"`{name}`: `{key}` is not {form}")
        given[name] = (f'"{key}"' if " " in key else key) or None
    path = Path(options.inventory) / "keys.yml"
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        after = set_keys(before, options.section, given)
        if after != before:
            new = path.with_suffix(".new")
            new.write_text(after, encoding="utf-8")
            new.replace(path)
    except (OSError, ValueError) as error:
        return _fail(str(error))
    print(f"{path}: {'changed' if after != before else 'unchanged'}")
    return FINE


def _vpn(options: argparse.Namespace) -> int:
    import datetime

    from topology.allocate import sliced
    from topology.render.wireguard import vpn_client

    options.quiet = True
    plan = sliced(_plan(options.inventory, options)[0])
    user = next((u for u in plan.vpn_users if u.name == options.user), None)
    if user is None:
        return _fail(f"there is no VPN user `{options.user}` in registry.yml")
    if user.expires is not None and user.expires < datetime.date.today():
        return _fail(f"`{user.name}` expired on {user.expires}; no hub lets this user in")
    found = vpn_client(plan, user)
    if options.hub and options.hub not in found:
        return _fail(f"`{options.hub}` is no hub; hubs are {', '.join(found)}")
    print("\n".join(text for hub, text in found.items() if options.hub in (None, hub)), end="")
    return FINE


def _schema(options: argparse.Namespace) -> int:
    from topology.schema import json_schemas

    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    for name, schema in json_schemas().items():
        path = out / f"{name}.json"
        path.with_suffix(".new").write_text(json.dumps(schema, indent=1) + "\n")
        path.with_suffix(".new").replace(path)
    return FINE


def _completion(options: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(parser(), shell=options.shell))
    return FINE


_COMMANDS = {
    "check": _check, "plan": _print_plan, "diff": _diff, "render": _render, "next": _next, "impact": _impact,
    "drift": _drift, "document": _document, "lab": _lab, "keys": _keys, "vpn": _vpn, "flows": _flows, "schema": _schema,
    "completion": _completion, "device": _device, "guests": _guests,
}  # fmt: skip
