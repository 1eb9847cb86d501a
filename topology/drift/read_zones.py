"""What a name server has in its zones, as its control program prints them. Pure; a host may answer anything at all."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from topology.drift.observed import Things
from topology.drift.read_services import split

Reader = Callable[[str], dict[str, Things]]
SIGNED_TYPES = frozenset({"SOA", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY"})
"""Types that the primary makes itself; the SOA is judged by its serial."""
_NAMES = frozenset({"NS", "CNAME", "PTR", "MX"})
CUT = "not to its end"
"""The script's line after a zone that was not told to its end."""


def line(owner: str, kind: str, data: str) -> str:
    """Return a record as it is compared: names in small letters, addresses in their one form."""
    words = data.split()
    if kind in ("A", "AAAA"):
        words = [str(ipaddress.ip_address(word)) for word in words]
    elif kind in _NAMES:
        words = [word.lower() for word in words]
    return f"{owner.lower()} {kind} {' '.join(words)}"


def _records(text: str) -> dict[str, Things]:
    """Read `knotc zone-read`: [zone] owner ttl type data. A zone that the server does not have is not there.

    ValueError for a zone of which the server told only the beginning.
    """
    things: Things = {}
    for thing, said in split(text, "zone"):
        rows = [row.split(None, 4) for row in said.splitlines() if row.startswith("[")]
        if rows and said.rstrip().endswith(CUT):
            raise ValueError(f"{thing}: only its beginning was read")
        if rows:
            kept = (row for row in rows if row[3] not in SIGNED_TYPES)
            things[thing] = {"content": tuple(line(row[1], row[3], row[4]) for row in kept)}
    return {"records": things}


READERS: dict[str, tuple[tuple[str, ...], Reader]] = {"records": (("records",), _records)}
"""Section of the script -> kinds of things read in it, and the reader."""
