"""Addresses in use that the plan does not know, from the gateways' neighbour tables and DHCP leases.

What a client may take by itself is not listed: an address of the pool that was leased, and IPv6 addresses that
a host makes of its own (RFC 4862, 8981).
"""

from __future__ import annotations

import datetime
import ipaddress
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from topology import prefix as px
from topology.allocate import Host, Interface, Plan
from topology.drift.observed import Observed
from topology.drift.script import wrap
from topology.expect.model import Expected

LEASES = {"debian": "/var/lib/kea", "freebsd": "/var/db/kea"}
"""Where Kea keeps its leases."""
_LARGEST_NUMBER = 0xFFFF
"""An IPv6 address whose last 64 bits are greater is no number of the plan's: a host made it."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An address in use that the plan does not know."""

    site: str
    network: str
    address: str
    mac: str
    """Empty when only a lease tells of it."""
    why: str
    gateways: tuple[str, ...]
    interface: str
    by: tuple[str, ...]
    """neighbour, lease."""
    seen: str
    """ISO 8601, UTC; empty when the gateway does not say."""


@dataclass(frozen=True, slots=True)
class Found:
    """What discovery has found, and who could not be asked."""

    unknown: tuple[Unknown, ...]
    asked: tuple[str, ...]
    silent: Mapping[str, str] = field(default_factory=dict)
    """Gateway -> why it could not be read."""


def script(expected: Expected, word: str) -> str:
    """Return the script that asks a gateway whom it sees; it changes nothing."""
    folder = LEASES[expected.platform]
    # Kea goes on in a new file while it tidies the old ones: the newest is the last
    leases = [
        f"for file in {folder}/kea-leases{f}.csv.2 {folder}/kea-leases{f}.csv.1 {folder}/kea-leases{f}.csv; do"
        f' [ -f "$file" ] && {{ echo leases {f}; cat "$file"; echo; }}; done'
        for f in (4, 6)
    ]
    seen = {
        "debian": ("seen", "date +%s; ip -json -s neighbour show"),
        "freebsd": ("bsd-seen", "date +%s; sysctl -n net.link.ether.inet.max_age; arp -an; ndp -an"),
    }[expected.platform]
    return wrap([seen, ("leases", "\n".join((*leases, ":")))], word)


def find(plan: Plan, observed: Mapping[str, Observed]) -> Found:
    """Return what the plan does not know, in order of site and address."""
    silent = {name: _why(seen) for name, seen in observed.items() if _why(seen)}
    known = _known(plan)
    leased = {
        (plan.hosts[name].site, address): values
        for name, seen in observed.items() if name not in silent
        for address, values in seen.kinds["lease"].items()
    }  # fmt: skip
    rows: dict[tuple[str, str, str], Unknown] = {}
    for name, seen in observed.items():
        if name in silent:
            continue
        gateway = plan.hosts[name]
        whole = not any(g.name in silent or g.name not in observed for g in plan.gateways(gateway.site))
        for row in _of_gateway(gateway, seen, known, leased, pool_known=whole):
            key = (row.site, row.network, row.address)
            rows[key] = _joined(rows[key], row) if key in rows else row
    ordered = sorted(rows.values(), key=lambda r: (r.site, r.network, _sortable(r.address)))
    return Found(tuple(ordered), tuple(sorted(observed)), silent)


def _why(seen: Observed) -> str:
    if seen.failed:
        return seen.failed
    return next((seen.unobserved.get(k, "was not read") for k in ("seen", "lease") if k not in seen.kinds
                 or k in seen.unobserved), "")  # fmt: skip


def _sortable(address: str) -> tuple[int, int]:
    parsed = ipaddress.ip_address(address)
    return parsed.version, int(parsed)


def _known(plan: Plan) -> dict[str, tuple[Host, Interface]]:
    found: dict[str, tuple[Host, Interface]] = {}
    for host in plan.hosts.values():
        for interface in host.interfaces:
            own = (*interface.addresses, *interface.shared, *interface.static)
            for address in (*own, *(x.address for x in interface.legacy)):
                found[address.split("/")[0]] = (host, interface)
    return found


def _of_gateway(
    gateway: Host, seen: Observed, known: Mapping[str, tuple[Host, Interface]],
    leased: Mapping[tuple[str, str], Mapping[str, object]], *, pool_known: bool,
) -> Iterator[Unknown]:  # fmt: skip
    interfaces = {i.name: i for i in gateway.of_kind("lan", "radio", "leased")}
    for thing, values in seen.kinds["seen"].items():
        name, address = thing.split(" ")
        if name not in interfaces:
            continue
        interface = interfaces[name]
        mac = str(values["mac"])
        lease = leased.get((gateway.site, address))
        why = _judged(address, mac, interface, known, lease is not None or not pool_known)
        if why:
            yield Unknown(
                gateway.site, interface.network or interface.link or "", address, mac, why, (gateway.name,), name,
                ("neighbour", "lease") if lease else ("neighbour",), _time(values.get("at")),
            )  # fmt: skip
    for address, values in seen.kinds["lease"].items():
        lan = next((i for i in interfaces.values() if _inside(address, i)), None)
        why = _judged(address, str(values["mac"]), lan, known, True) if lan else "leased, but in no network of the site"
        if why:
            yield Unknown(
                gateway.site, lan.network or "" if lan else "", address, str(values["mac"]), why, (gateway.name,),
                lan.name if lan else "", ("lease",), _time(values.get("at")),
            )  # fmt: skip


def _judged(
    address: str, mac: str, interface: Interface, known: Mapping[str, tuple[Host, Interface]], leased: bool
) -> str:
    """Return why an address is listed; nothing when it is the plan's or a client's own."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified:
        return ""
    if address in known:
        host, own = known[address]
        if not _inside(address, interface):
            return f"belongs to {host.name}, in another network"
        if mac and own.mac and own.mac.lower() != mac.lower():
            return f"belongs to {host.name}, whose MAC address is {own.mac.lower()}"
        return ""
    if interface.kind != "lan":
        return "on a link between two gateways"
    for legacy in interface.legacy:
        if parsed in ipaddress.ip_network(legacy.prefix):
            inside = legacy.pool and _between(address, legacy.pool)
            return "" if inside and leased else "in the network before the cutover, not in the plan"
    if not _inside(address, interface):
        return "outside the network"
    if parsed.version == 6 and int(parsed) & (2**64 - 1) > _LARGEST_NUMBER:
        return ""
    # an IPv6 host number has the same digits (topology.prefix)
    text = address.rsplit("." if parsed.version == 4 else ":", 1)[1]
    if not text.isdigit():
        return "no number of the plan's"
    number = int(text)
    if px.DHCP_FIRST <= number <= px.DHCP_LAST:
        return "" if leased else "in the pool, but no gateway has leased it"
    kind = "for fixed hosts" if number in px.FIXED_NUMBERS else "for gateways and devices"
    return f"a number {kind} that the plan does not give"


def _inside(address: str, interface: Interface) -> bool:
    parsed = ipaddress.ip_address(address)
    for own in (*interface.addresses, *(x.address for x in interface.legacy)):
        length = "" if "/" in own else ("/64" if ":" in own else "/24") if interface.kind == "lan" else "/31"
        if "/" not in own and interface.kind != "lan" and ":" in own:
            length = "/127"
        network = ipaddress.ip_interface(own + length).network
        if network.version == parsed.version and parsed in network:
            return True
    return False


def _between(address: str, pool: tuple[str, str]) -> bool:
    low, high = (ipaddress.ip_address(a) for a in pool)
    parsed = ipaddress.ip_address(address)
    return parsed.version == low.version and int(low) <= int(parsed) <= int(high)


def _time(at: object) -> str:
    if not isinstance(at, int):
        return ""
    try:
        return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return ""


def _joined(one: Unknown, other: Unknown) -> Unknown:
    """Join what two gateways, or a neighbour and a lease, say of an address: whoever saw it last leads."""
    first, second = (one, other) if one.seen >= other.seen else (other, one)
    return replace(
        first, mac=first.mac or second.mac, interface=first.interface or second.interface,
        gateways=tuple(dict.fromkeys(sorted((*one.gateways, *other.gateways)))),
        by=tuple(dict.fromkeys(sorted((*one.by, *other.by), reverse=True))),
    )  # fmt: skip


def as_text(found: Found) -> str:
    """Return a line per address, then who could not be asked and a summary."""
    lines = []
    for row in found.unknown:
        where = f"{row.site} {row.network}".strip()
        who = f"{row.mac or 'no MAC'} at {'/'.join(row.gateways)} {row.interface}".strip()
        seen = row.seen or "not told"
        lines.append(f"{where}: {row.address}: {row.why} ({who}, last seen {seen}, {' and '.join(row.by)})")
    lines += [f"{name}: unobserved: {why}" for name, why in sorted(found.silent.items())]
    lines.append(
        f"{len(found.asked)} gateways: {len(found.unknown)} addresses that the plan does not know; "
        f"{len(found.silent)} gateways unobserved"
    )
    return "\n".join(lines) + "\n"


def as_json(found: Found, at: str) -> str:
    """Return one JSON object: at, gateways, unknown, unobserved."""
    value = {
        "at": at, "gateways": list(found.asked), "unknown": [asdict(row) for row in found.unknown],
        "unobserved": dict(found.silent),
    }  # fmt: skip
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def wanted(hosts: Sequence[Host]) -> list[Host]:
    """Return those that are asked: gateways."""
    return [h for h in hosts if h.kind == "gateway"]
