"""What the side effects of scenarios are made of: the scenario's lab, its power, and patience."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from topology import lab
from topology.inventory import plan_of

PLAN = plan_of(Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "lab")
assert PLAN.district.lab is not None
NAME = PLAN.district.lab.name


def sh(host: str, command: str) -> str:
    """Run a command as root in a host; return what it printed. RuntimeError when it fails."""
    done = lab.exec_in(NAME, host, ["sh", "-c", command])
    if done.returncode:
        raise RuntimeError(f"{host}: {command}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def off(*hosts: str) -> None:
    """Cut the power of hosts."""
    for host in hosts:
        lab.kill_host(NAME, host)


def on(*hosts: str) -> None:
    """Switch hosts on again and wait until they answer."""
    for host in hosts:
        lab.start_host(NAME, host)


def until(what: str, seconds: float, true: Callable[[], object]) -> float:
    """Wait until something is so, and say how many seconds that took; SystemExit when it does not come."""
    began = time.monotonic()
    while True:
        with suppress(RuntimeError, lab.LabError, ValueError, KeyError, StopIteration):
            if true():
                took = time.monotonic() - began
                print(f"{what}: after {took:.1f} s")
                return took
        if time.monotonic() - began > seconds:
            raise SystemExit(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.5)
