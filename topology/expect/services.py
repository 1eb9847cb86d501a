"""What a host's services must hand out and answer: subnets of Kea, names of Unbound, certificates."""

from __future__ import annotations

import re
from collections.abc import Iterator

from topology.drift.read_services import subnets
from topology.expect.model import Expectation
from topology.render import Files

_LOCAL = re.compile(r'^\s*local-data: "(\S+) (A|AAAA) (\S+)"', re.MULTILINE)
_REVERSE = re.compile(r'^\s*local-data-ptr: "(\d+\.\d+\.\d+\.\d+) (\S+)"', re.MULTILINE)


def dhcp(files: Files) -> Iterator[Expectation]:
    """Yield every subnet of the rendered Kea files with pools, reservations and what clients are told.

    Kea has no control socket here (topology.render.kea), so it cannot be asked what it has loaded: the
    files on the host are read, and that the servers were started after them is said of each daemon.
    """
    for path, text in files.items():
        if path.endswith(("kea-dhcp4.conf", "kea-dhcp6.conf")):
            for name, values in subnets(text):
                yield Expectation("dhcp", name, values)


def answers(files: Files) -> Iterator[Expectation]:
    """Yield the first and last local name of the gateway's Unbound, both families, and one address's name.

    All of them are in a file whose hash is compared; that the resolver answers them needs a few.
    """
    for path, text in files.items():
        if "unbound" not in path:
            continue
        known: dict[str, dict[str, str]] = {}
        for name, kind, data in _LOCAL.findall(text):
            known.setdefault(name.rstrip("."), {})[kind] = data
        for name in dict.fromkeys((*list(known)[:1], *list(known)[-1:])):
            for kind, data in known[name].items():
                yield Expectation("answer", f"{name} {kind} @127.0.0.1", {"status": "NOERROR", "data": data})
        for address, name in _REVERSE.findall(text)[:1]:
            reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
            want = {"status": "NOERROR", "data": name.rstrip(".")}
            yield Expectation("answer", f"{reverse} PTR @127.0.0.1", want)
