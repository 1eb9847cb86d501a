"""TCP services, names and pollers in running lab hosts, gone again at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topology import lab

AGENT = Path(__file__).with_name("poll_agent.py")
IN_HOST = "/run/topology-poll-agent.py"


def run(name: str, host: str, *command: str, stdin: str | None = None, check: bool = True) -> str:
    """Run a command as root in a lab host."""
    done = lab.exec_in(name, host, command, stdin=stdin)
    assert not check or done.returncode == 0, f"{host}: {' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def ask(name: str, host: str, verb: str, options: dict[str, Any]) -> str:
    """Run one verb of the agent in a host and return what it printed."""
    return run(name, host, "python3", "-", verb, json.dumps(options), stdin=AGENT.read_text()).strip()


@contextmanager
def agent(name: str, host: str, verb: str, options: dict[str, Any], unit: str) -> Iterator[str]:
    """Run a verb of the agent in a host as a unit; yields the file it prints to."""
    log = f"/run/{unit}.log"
    run(name, host, "sh", "-c", f"cat >{IN_HOST}; rm -f {log}; "
        f"systemctl stop {unit}; systemctl reset-failed {unit}; true",  # of a killed run
        stdin=AGENT.read_text())  # fmt: skip
    run(name, host, "systemd-run", "--quiet", f"--unit={unit}", f"--property=StandardOutput=append:{log}",
        "python3", IN_HOST, verb, json.dumps(options))  # fmt: skip
    try:
        yield log
    finally:
        lab.exec_in(name, host, ["systemctl", "stop", unit])
        lab.exec_in(name, host, ["rm", "-f", log, IN_HOST])


@contextmanager
def serving(
    name: str, host: str, tcp: Sequence[tuple[str, int]], names: dict[str, str] | None = None
) -> Iterator[None]:
    """Answer TCP in a host, and with `names` the DNS of both families as an authoritative server."""
    options = {"tcp": list(tcp), "names": names or {}, "dns": ["0.0.0.0", "::"] if names else []}
    with agent(name, host, "serve", options, "topology-test-serve") as log:
        run(name, host, "sh", "-c", f"for i in $(seq 100); do grep -qx ready {log} && exit; sleep .1; done; "
            f"cat {log}; exit 1")  # fmt: skip
        yield


@dataclass(frozen=True)
class Attempt:
    """One poll: when it began, of what, and `ok` or what went wrong."""

    at: float
    label: str
    result: str
    took: float = 0.0


@dataclass
class Poller:
    """A poller that runs in a host."""

    name: str
    host: str
    log: str
    labels: tuple[str, ...]

    def attempts(self) -> list[Attempt]:
        """Return all attempts up to now."""
        rows = [line.split() for line in run(self.name, self.host, "cat", self.log).splitlines()]
        return [Attempt(float(r[0]), r[1], r[2], float(r[3]) if len(r) > 3 else 0.0) for r in rows if len(r) >= 3]


@contextmanager
def polling(
    name: str, host: str, targets: dict[str, tuple[str, int]], sessions: dict[str, tuple[str, int]],
    interval: float = 0.1, patience: float = 0.9,
) -> Iterator[Poller]:  # fmt: skip
    """Poll TCP services from a host. `patience` is below TCP's first repetition (1 s): one lost SYN is a failure."""
    options = {"targets": targets, "sessions": sessions, "interval": interval, "patience": patience}
    with agent(name, host, "poll", options, "topology-test-poll") as log:
        yield Poller(name, host, log, (*targets, *sessions))
