"""Shaping on a Linux gateway: HTB classes (tc-htb(8)) and the nftables rules that choose them.

`etc/topology/tc.batch` is for `tc -force -batch`: it puts every shaped interface's tree in place
anew, so it can be applied again at any time. `etc/topology/shape.nft` is for `nft -f`: it writes
the class into the packet's priority, which HTB takes as it is, so no tc filter is needed (kernels
differ in those) and both families are chosen in the same way.

Every link interface has one class per site that is reached through it, in the direction that
leaves there: at the upper end of a link towards the sites below (by destination), at the lower end
towards the hubs (by source). A class's rate is the site's guarantee, its ceiling the site's
ceiling; what is left over is borrowed in equal parts. A zone with a limit has a class of its own
on its LAN and wherever its traffic leaves the site.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from topology import bandwidth, policy
from topology import prefix as px
from topology.allocate import Host
from topology.policy import Box
from topology.render.common import Context, fill

ROOT, CONTROL, DEFAULT, FIRST_ZONE, FIRST_SITE = 1, 2, 3, 4, 0x100
"""Minor numbers of classes: all, the gateways' routing, the rest, limited zones, sites by their number."""
UNLIMITED = 10_000.0
"""Rate in Mbit/s of an interface of which nothing is known."""
SPARE = 0.02
"""Part of an interface that routing, and what belongs to no site, is guaranteed each."""
DELAY = 0.1
"""Seconds that a full queue of a class holds at its ceiling."""
QUANTUM = 65_536
"""Bytes a class sends per turn while it borrows.

HTB sends at least one packet a turn, however large, and on Linux one "packet" in a forwarder is up to 64 KiB of
a TCP stream (GSO, GRO). With a smaller turn the site whose packets are larger gets more: 6.4 to 4.5 was measured.
"""
_PACKET = 1500 * 8


@dataclass(frozen=True, slots=True)
class Leaf:
    """A class: its minor number, rates in Mbit/s, and priority (0 is served first)."""

    minor: int
    rate: float
    ceiling: float
    priority: int
    comment: str


@dataclass(slots=True)
class Device:
    """A shaped interface: what it may send in all, in Mbit/s, and its classes."""

    name: str
    rate: float
    leaves: list[Leaf] = field(default_factory=list)
    default: int = DEFAULT


def files(context: Context, host: Host, scale: float = 1.0) -> dict[str, str]:
    """Return path -> text of a Debian gateway's shaper; nothing where nothing is to be shaped.

    All rates are multiplied by `scale`: a lab carries less than the district's lines.
    """
    box = context.box(host)
    found = devices(context, box, scale)
    if not found:
        return {}
    header = context.header(host, "backbone.yml", "policy.yml")
    return {
        "etc/topology/tc.batch": f"# {header}\n" + "".join(_batch(device) for device in found),
        "etc/topology/shape.nft": _marks(context, box, header),
    }


def devices(context: Context, box: Box, scale: float = 1.0) -> list[Device]:
    """Return a gateway's shaped interfaces with their classes, rates multiplied by `scale`."""
    plan, host = context.plan, box.host
    capacities = bandwidth.capacities(plan, host)
    found: dict[str, Device] = {}
    for one in bandwidth.classes(plan, host):
        if one.guaranteed is None or one.ceiling is None or one.site not in plan.sites:
            continue
        capacity = capacities.get(one.interface)
        device = found.setdefault(one.interface, Device(one.interface, (capacity or 0.0) * scale))
        if capacity is None:  # nothing limits the interface: as much as its sites are guaranteed
            device.rate += one.guaranteed * scale / (1 - 2 * SPARE)
        leaf = Leaf(
            minor(context, one.site), one.guaranteed * scale, one.ceiling * scale, 1, f"{one.site} {one.direction}"
        )
        device.leaves.append(leaf)
    for device in found.values():
        device.rate = max(
            device.rate, *(leaf.ceiling for leaf in device.leaves if capacities.get(device.name) is None), 0.0
        )
        device.leaves = _spare(device)
    for uplink in box.uplinks if _limited(box) else ():
        rate = bandwidth.line(plan, host.site, "up") if uplink is box.uplinks[0] else None
        device = Device(uplink.name, (rate * scale) if rate else UNLIMITED)
        device.leaves = _spare(device)
        found[uplink.name] = device
    for number, (zone, interfaces, limit) in enumerate(_limited(box), FIRST_ZONE):
        leaf = Leaf(number, limit * scale, limit * scale, 1, zone)
        for name in interfaces:
            found[name] = Device(name, limit * scale, [leaf], number)
        for name in (*(u.name for u in box.uplinks), *_ways_out(box)):
            if name not in found:
                found[name] = Device(name, UNLIMITED)
                found[name].leaves = _spare(found[name])
            most = min(limit * scale, found[name].rate)
            found[name].leaves.append(Leaf(number, most * SPARE, most, 2, zone))
    return [found[name] for name in sorted(found)]


def minor(context: Context, site: str) -> int:
    """Return the minor number of a site's class: from its permanent number, the same on every gateway."""
    place = context.plan.district.places[site]
    return FIRST_SITE + px.identity(place.second_octet, place.village)


def _ways_out(box: Box) -> Iterable[str]:
    """Return the links by which a limited zone's IPv6 leaves for the internet."""
    zone = box.zones.get(policy.INTERNET)
    found = {n for a in (zone.attachments if zone else ()) for n in a.interfaces if n in box.links}
    return sorted(found) if box.v6 else ()


def _limited(box: Box) -> list[tuple[str, tuple[str, ...], float]]:
    return [
        (zone.name, tuple(n for a in zone.attachments for n in a.interfaces), zone.limit_mbps)
        for zone in box.zones.values()
        if zone.limit_mbps is not None and zone.attachments
    ]


def _spare(device: Device) -> list[Leaf]:
    """Return a device's classes with those of routing and of the rest; guarantees never exceed the device."""
    spare = device.rate * SPARE
    promised = sum(leaf.rate for leaf in device.leaves)
    factor = min(1.0, (device.rate - 2 * spare) / promised) if promised else 1.0
    return [
        Leaf(CONTROL, spare, device.rate, 0, "routing"),
        Leaf(DEFAULT, spare, device.rate, 1, "the rest"),
        *(
            Leaf(x.minor, x.rate * factor, min(x.ceiling, device.rate), x.priority, x.comment)
            for x in device.leaves
        ),
    ]  # fmt: skip


def _batch(device: Device) -> str:
    name = device.name
    lines = [
        f"# {name}",
        f"qdisc replace dev {name} root pfifo",
        f"qdisc replace dev {name} root handle 1: htb default {device.default:x}",
        f"class add dev {name} parent 1: classid 1:{ROOT:x} htb rate {_rate(device.rate)} quantum {QUANTUM}",
    ]
    for leaf in device.leaves:
        limit = max(20, round(leaf.ceiling * 1e6 * DELAY / _PACKET))
        lines += [
            f"# {leaf.comment}",
            f"class add dev {name} parent 1:{ROOT:x} classid 1:{leaf.minor:x} htb rate {_rate(leaf.rate)} "
            f"ceil {_rate(leaf.ceiling)} prio {leaf.priority} quantum {QUANTUM}",
            f"qdisc add dev {name} parent 1:{leaf.minor:x} pfifo limit {min(limit, 1000)}",
        ]
    return "\n".join(lines) + "\n"


def _rate(mbps: float) -> str:
    """Return a rate as tc's text, in whole bit/s and at least 8 kbit/s."""
    return f"{max(8_000, round(mbps * 1e6))}bit"


def _marks(context: Context, box: Box, header: str) -> str:
    plan = context.plan
    directions: dict[str, list[str]] = {"up": [], "down": []}
    sites: list[str] = []
    for one in bandwidth.classes(plan, box.host):
        if one.guaranteed is None or one.site not in plan.sites:
            continue
        if one.interface not in directions[one.direction]:
            directions[one.direction].append(one.interface)
        if one.site not in sites:
            sites.append(one.site)
    elements: dict[int, list[str]] = {4: [], 6: []}
    for slug in sites:
        # the networks, not the site's prefix: a kecamatan's villages are inside it and have classes of their own
        for prefix in (p for n in plan.sites[slug].networks for p in n.reserved):
            elements[6 if ":" in prefix else 4].append(f"{prefix} : 1:{minor(context, slug):x}")
    return fill(
        "debian/shape.nft.j2",
        header=header,
        elements=elements,
        up=_names(directions["up"]),
        down=_names(directions["down"]),
        links=_names(sorted({*directions["up"], *directions["down"], *(_ways_out(box) if _limited(box) else ())})),
        zones=[
            (_names(interfaces), f"1:{number:x}")
            for number, (_, interfaces, _limit) in enumerate(_limited(box), FIRST_ZONE)
        ],
        control=f"1:{CONTROL:x}",
        bgp=policy.BGP_PORT,
        bfd=policy.BFD_PORT,
    )


def _names(names: Iterable[str]) -> str:
    found = [f'"{n}"' for n in names]
    return f"{{ {', '.join(found)} }}" if found else ""
