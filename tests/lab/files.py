"""The NAS of the lab under test, and smbclient on its clients."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.lab.services import run
from tests.lab.where import INVENTORY, desks, network
from topology import lab
from topology.inventory import plan_of
from topology.render.nas import nodes

PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
NAS = list(nodes(PLAN))
HERE = {n: next(i for i in PLAN.hosts[n].of_kind("host") if i.network == "server").addresses[0] for n in NAS}
"""NAS -> its address for clients."""
SERVICE = PLAN.district.services["nas"]
STABLE = f"{SERVICE.name}.{PLAN.district.facts.domain}"
_STAFF = [h for h in desks(PLAN) if network(h) == "staff"]
FAR, NEAR = (next(h.name for h in _STAFF if (h.site == "dc") is near) for near in (False, True))
"""A desk of an office, and one at the data centre."""


@dataclass(frozen=True)
class Said:
    """What smbclient said."""

    code: int
    text: str

    @property
    def ok(self) -> bool:
        """Whether everything was done: with several commands smbclient's exit code is the last one's only."""
        return self.code == 0 and "NT_STATUS_" not in self.text


class Person:
    """A person with a password at a desk."""

    def __init__(self, name: str, password: str, desk: str = FAR) -> None:
        self.name, self.password, self.desk = name, password, desk

    def smb(self, share: str, *commands: str, server: str = STABLE, options: tuple[str, ...] = ()) -> Said:
        """Run smbclient's commands on a share (`home`: the own one), from the desk."""
        share = self.name if share == "home" else share
        done = lab.exec_in(NAME, self.desk, [
            "timeout", "40", "smbclient", "--user", f"{self.name}%{self.password}", "--max-protocol=SMB3", *options,
            f"//{server}/{share}", "-c", ";".join(commands),
        ])  # fmt: skip
        return Said(done.returncode, done.stdout + done.stderr)

    def put(self, share: str, path: str, text: str, **where: Any) -> Said:
        """Write a file."""
        run(NAME, self.desk, "sh", "-c", "cat >/tmp/to-put", stdin=text)
        return self.smb(share, f"put /tmp/to-put {path}", **where)

    def get(self, share: str, path: str, **where: Any) -> str | None:
        """Return a file's content; None when it cannot be read."""
        run(NAME, self.desk, "rm", "-f", "/tmp/got")
        said = self.smb(share, f'get "{path}" /tmp/got', **where)
        return run(NAME, self.desk, "cat", "/tmp/got") if said.ok else None


def nas(host: str, *words: str, check: bool = True) -> str:
    """Run `nas` on a NAS."""
    return run(NAME, host, "nas", *words, check=check)


def status(host: str) -> dict[str, Any]:
    """Return what a NAS says of itself."""
    found: dict[str, Any] = json.loads(nas(host, "status", "--json", check=False))
    return found


def active() -> str:
    """Return the NAS that serves."""
    serving = [n for n in NAS if status(n)["serving"]]
    assert len(serving) == 1, serving
    return serving[0]


def until(what: str, seconds: float, true: Callable[[], object]) -> float:
    """Wait until something is so; return how many seconds that took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.3)
    return time.monotonic() - began


def listens(host: str) -> bool:
    """Say whether a NAS takes connections of clients, asked on itself."""
    return bool(run(NAME, host, "ss", "-Hlnt", "sport", "=", f":{SERVICE.ports[0].port}").strip())
