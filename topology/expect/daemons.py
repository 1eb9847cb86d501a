"""Daemons that must have read their configuration after it was written.

A role says in its units how a service takes up changed files (`apply`): the same commands tell which
files a running daemon was started with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from topology.expect.model import Expectation
from topology.expect.units import Unit
from topology.render import Files

CURRENT = "as written"
_VERBS = {
    # systemd writes down when a unit was last started or reloaded; of FreeBSD's processes only the start is known
    "debian": re.compile(r"systemctl (?:restart|reload) (\S+)$"),
    "freebsd": re.compile(r"service (\S+) restart$"),
}


def daemons(platform: str, applied: Iterable[Unit], files: Files, services: Iterable[str]) -> Iterator[Expectation]:
    """Yield one expectation per service that runs, judged by the files it was last started with."""
    running, found = set(services), dict[str, list[str]]()
    for unit in applied:
        paths = [path for path in files if unit.has(path)]
        for command in unit.apply:
            said = _VERBS[platform].search(command)
            if said:
                for path in paths:
                    name = said[1].replace("{stem}", path.rsplit("/", 1)[-1].rpartition(".")[0])
                    found.setdefault(name, []).append(f"/{path}")
    for name in sorted(found.keys() & running):
        yield Expectation("daemon", name, {"configuration": CURRENT}, of=tuple(dict.fromkeys(found[name])))
