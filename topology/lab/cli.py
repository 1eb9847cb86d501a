"""`topology lab up|status|ssh|run|break|slow|heal|down`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from topology import lab
from topology.allocate import Plan
from topology.exits import ERRORS, FINE
from topology.lab.slice import lab_spec


def run(options: argparse.Namespace, load_plan: Callable[[str], Plan]) -> int:
    """Carry out a verb on the lab of an inventory; returns the exit code."""
    try:
        inventory = getattr(options, "lab_inventory", None) or _named_first(options) or options.inventory
        spec = lab_spec(load_plan(inventory))
        return _VERBS[options.verb](options, spec)
    except (lab.LabError, ValueError) as error:
        print(f"topology: {error}", file=sys.stderr)
        return ERRORS


def _named_first(options: argparse.Namespace) -> str | None:
    """Take an inventory that stands before HOST or COMMAND out of the arguments and return it.

    Neither of them can be the folder of an inventory, so `ssh INVENTORY HOST` and `ssh HOST` are told
    apart by what is there. Raises LabError when nothing follows the inventory.
    """
    if options.verb not in ("ssh", "run"):
        return None
    words: list[str] = [*([options.host] if options.verb == "ssh" else []), *options.run]
    if not words or not any(Path(words[0], name).is_file() for name in ("lab.yml", "district.yml")):
        return None
    inventory, *rest = words
    if not rest:
        wanted = "a host, `topology lab status` lists them" if options.verb == "ssh" else "a command"
        raise lab.LabError(f"{inventory} is an inventory; name {wanted}, after it")
    if options.verb == "ssh":
        options.host, *rest = rest
    options.run = rest
    return inventory


def _up(_: argparse.Namespace, spec: lab.LabSpec) -> int:
    started = time.monotonic()
    if lab.up(spec, progress=lab.show_progress):
        print(f"lab {spec.name} is up: {len(spec.hosts)} hosts in {time.monotonic() - started:.1f} s")
    else:
        print(f"lab {spec.name} was up already: {len(spec.hosts)} hosts, nothing to do")
    return FINE


def _down(_: argparse.Namespace, spec: lab.LabSpec) -> int:
    there = lab.down(spec.name)
    print(f"lab {spec.name} is down" if there else f"lab {spec.name} was not up")
    left = lab.leftovers(spec.name)
    for line in left:
        print(f"left behind: {line}", file=sys.stderr)
    return ERRORS if left else FINE


def _status(_: argparse.Namespace, spec: lab.LabSpec) -> int:
    state = lab.status(spec.name)
    print(f"lab {state.name}: {state.condition}" + (f" ({state.holder})" if state.holder else ""))
    for host in state.hosts:
        print(f"  {host.name:<28} {host.address:<14} {host.state} {host.why}".rstrip())
    for wire in state.wires:
        if wire.state != "ok":
            print(f"  {wire.kind} {wire.name} is {wire.state}")
    for line in state.leftovers:
        print(f"  left behind: {line}")
    return FINE if state.condition == "up" else ERRORS


def _ssh(options: argparse.Namespace, spec: lab.LabSpec) -> int:
    return lab.ssh(spec.name, options.host, list(options.run))


def _run(options: argparse.Namespace, spec: lab.LabSpec) -> int:
    return lab.run(spec.name, list(options.run))


def _break(options: argparse.Namespace, spec: lab.LabSpec) -> int:
    lab.break_wire(spec.name, options.link, silent=options.silent)
    print(f"{options.link} is broken; `topology lab heal {options.link}` mends it")
    return FINE


def _slow(options: argparse.Namespace, spec: lab.LabSpec) -> int:
    lab.slow_wire(
        spec.name, options.link, delay=options.delay / 1000, jitter=options.jitter / 1000, loss=options.loss / 100,
        host=options.at or "",
    )  # fmt: skip
    print(
        f"{options.link} takes {options.delay:g} ms each way and loses {options.loss:g} %; "
        f"`topology lab heal {options.link}` mends it"
    )
    return FINE


def _heal(options: argparse.Namespace, spec: lab.LabSpec) -> int:
    lab.heal_wire(spec.name, options.link)
    print(f"{options.link} is whole")
    return FINE


def _kill(options: argparse.Namespace, spec: lab.LabSpec) -> int:
    lab.kill_host(spec.name, options.host)
    print(f"{options.host} has no power; `topology lab start {options.host}` switches it on")
    return FINE


def _start(options: argparse.Namespace, spec: lab.LabSpec) -> int:
    lab.start_host(spec.name, options.host, progress=lab.show_progress)
    print(f"{options.host} runs")
    return FINE


def _reboot(options: argparse.Namespace, spec: lab.LabSpec) -> int:
    lab.reboot_host(spec.name, options.host)
    print(f"{options.host} has rebooted")
    return FINE


_VERBS: dict[str, Callable[[argparse.Namespace, lab.LabSpec], int]] = {
    "up": _up, "down": _down, "status": _status, "ssh": _ssh, "run": _run, "break": _break, "slow": _slow,
    "heal": _heal, "kill": _kill, "start": _start, "reboot": _reboot,
}  # fmt: skip
