"""A secondary misses a change, and then the primary is lost: the others answer, signed, what they last heard."""

from __future__ import annotations

from losses import PLAN, off, on, sh, until

from topology import names
from topology.names import INTERNAL

FOUND = names.servers(PLAN)
assert FOUND is not None
PRIMARY, (AWAY, STAYS) = FOUND.primary.name, (s.name for s in FOUND.secondaries)
PORT = names.port_of(PLAN, INTERNAL)
ZONE = PLAN.district.facts.domain
RESOLVER = next(
    i.addresses[0] for h in PLAN.hosts.values() if h.kind == "gateway" and h.site == PLAN.hosts[STAYS].site
    for i in h.of_kind("lan") if i.network == "server"
)  # fmt: skip


def serial(host: str) -> int:
    """Return the serial of the district's zone at a server."""
    return int(sh(host, f"kdig @127.0.0.1 -p {PORT} +short {ZONE} SOA").split()[2])


off(AWAY)
before = serial(PRIMARY)
sh(PRIMARY, f"knotc --blocking zone-sign {ZONE}")
now = serial(PRIMARY)
assert now > before, f"signing anew left the serial at {now}"
until(f"{STAYS} has the change", 30, lambda: serial(STAYS) == now)
off(PRIMARY)
assert "RRSIG" in sh(STAYS, f"kdig @127.0.0.1 -p {PORT} +dnssec {ZONE} SOA")


def validated() -> bool:
    """Say whether a resolver that has lost the primary and a secondary answers what it can have nowhere else."""
    said = sh(STAYS, f"kdig @{RESOLVER} +dnssec +retry=0 +timeout=5 www.dinkes.{ZONE} A")
    return "status: NOERROR" in said and " ad" in said.partition("Flags: ")[2].partition(";")[0]


until("a resolver answers and validates without them", 30, validated)
on(PRIMARY, AWAY)
