"""Whom a gateway sees: neighbour tables of both platforms and Kea's leases. Pure."""

from __future__ import annotations

import csv
import ipaddress
import json
import re
from collections.abc import Callable

from topology.drift.observed import Things

Reader = Callable[[str], dict[str, Things]]
_GONE = {"FAILED", "INCOMPLETE", "NOARP", "NONE"}
"""States of entries that nobody has answered for (ip-neighbour(8))."""
_MAC = r"[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}"


def _linux(text: str) -> dict[str, Things]:
    first, _, rest = text.partition("\n")
    now, things = int(first), Things()
    for entry in json.loads(rest):
        if "lladdr" in entry and not _GONE & set(entry.get("state", ())):
            address = str(ipaddress.ip_address(entry["dst"]))
            at = now - int(entry["confirmed"]) if "confirmed" in entry else None
            things[f"{entry['dev']} {address}"] = {"mac": entry["lladdr"].lower(), "at": at}
    return {"seen": things}


def _freebsd(text: str) -> dict[str, Things]:
    """Read `arp -an` and `ndp -an`; of an ARP entry the time that is left tells when it was seen."""
    first, second, rest = text.split("\n", 2)
    now, most, things = int(first), int(second), Things()
    for line in rest.splitlines():
        v4 = re.match(rf"\S+ \(([\d.]+)\) at ({_MAC}) on (\S+)(?: expires in (-?\d+) seconds)?", line)
        v6 = re.match(rf"([0-9a-f:.]+)(?:%\S+)?\s+({_MAC})\s+(\S+)\s", line)
        if v4:
            at = now - (most - int(v4[4])) if v4[4] else None
            things[f"{v4[3]} {ipaddress.ip_address(v4[1])}"] = {"mac": _padded(v4[2]), "at": at}
        elif v6:
            things[f"{v6[3]} {ipaddress.ip_address(v6[1])}"] = {"mac": _padded(v6[2]), "at": None}
    return {"seen": things}


def _padded(mac: str) -> str:
    return ":".join(part.zfill(2) for part in mac.split(":"))


def _leases(text: str) -> dict[str, Things]:
    """Read Kea's lease files (memfile), oldest first: the last line of an address counts; state 0 is in use."""
    things: Things = {}
    for part in f"\n{text}".split("\nleases ")[1:]:
        _, _, table = part.partition("\n")
        for row in csv.DictReader(line for line in table.splitlines() if line.strip()):
            address = str(ipaddress.ip_address(row["address"]))
            lifetime, expires = int(row["valid_lifetime"]), int(row["expire"])
            things.pop(address, None)
            # a lease that was given back has no lifetime
            if row["state"] == "0" and lifetime:
                things[address] = {"mac": (row.get("hwaddr") or "").lower(), "at": expires - lifetime}
    return {"lease": things}


READERS: dict[str, tuple[tuple[str, ...], Reader]] = {
    "seen": (("seen",), _linux), "bsd-seen": (("seen",), _freebsd), "leases": (("lease",), _leases),
}  # fmt: skip
"""Section of the script -> kinds of things read in it, and the reader."""
