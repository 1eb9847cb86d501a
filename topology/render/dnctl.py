"""dnctl.conf of a FreeBSD gateway: dummynet pipes and queues, and which traffic goes through them.

/etc/rc.d/dnctl runs `dnctl FILE`, and every line is the arguments of one dnctl(8) command. pf hands
packets over with `dnqueue (there, back)` and `dnpipe (there, back)` on match rules (pf.conf(5)).

- A provider's line has one pipe each way at its own rate, with FQ-CoDel, so that the queue is here
  and short. Without a rate in the inventory it has none.
- A radio or leased link has one pipe each way at what the link carries, and in it one queue per
  site, served by weight (WF2Q+): under contention every site has its guaranteed rate, and what others
  leave is shared out. What arrives is counted the same way as what leaves.
- A zone with a limit has one pipe each way.
"""

from __future__ import annotations

from dataclasses import dataclass

from topology.allocate import Host, Plan
from topology.policy import Box
from topology.render.common import Context

LINE_BASE, ZONE_BASE, LINK_BASE, SITE_BASE = 1, 101, 201, 1001
"""First numbers of lines' pipes and queues, zones' pipes, links' pipes and sites' queues; two each."""


@dataclass(frozen=True, slots=True)
class Match:
    """Traffic that goes through a pipe or queue: out of `interface` first, or into it.

    `source` and `target` are a site's slug or None (anything); numbers are for the direction of
    the rule and for the answers.
    """

    direction: str
    interface: str
    source: str | None
    target: str | None
    kind: str
    """dnpipe or dnqueue."""
    there: int
    back: int
    label: str


@dataclass(frozen=True, slots=True)
class Shaping:
    """A gateway's dnctl commands, the numbers they configure, and what pf sends there."""

    commands: tuple[str, ...]
    matches: tuple[Match, ...]
    sites: tuple[str, ...]
    """Slugs of the sites that have queues, in order."""

    @property
    def pipes(self) -> frozenset[int]:
        """Numbers of all pipes and queues."""
        return frozenset(int(c.split()[1]) for c in self.commands if c.startswith(("pipe ", "queue ")))


def shaping(plan: Plan, host: Host, box: Box) -> Shaping:
    """Return what a gateway shapes."""
    commands: list[str] = []
    matches: list[Match] = []
    sites: dict[str, None] = {}
    _lines(box, commands, matches)
    _zones(box, commands, matches)
    if any(True for _ in host.of_kind("radio", "leased")):
        _links(plan, host, commands, matches, sites)
    return Shaping(tuple(commands), tuple(matches), tuple(sites))


def rate(mbps: float) -> str:
    """Return a rate as dnctl takes it: whole kilobits per second, at least one."""
    return f"{max(1, round(mbps * 1000))}Kbit/s"


def _lines(box: Box, commands: list[str], matches: list[Match]) -> None:
    for index, interface in enumerate(box.uplinks):
        line = interface.uplink
        if line is None or line.up_mbps is None or line.down_mbps is None:
            continue
        up = LINE_BASE + 2 * index
        for number, mbps in ((up, line.up_mbps), (up + 1, line.down_mbps)):
            commands += [
                f"pipe {number} config bw {rate(mbps)}",
                f"sched {number} config pipe {number} type fq_codel",
                f"queue {number} config pipe {number}",
            ]
        name = interface.name
        matches += [
            Match("out", name, None, None, "dnqueue", up, up + 1, f"shape-{line.name}-out"),
            Match("in", name, None, None, "dnqueue", up + 1, up, f"shape-{line.name}-in"),
        ]


def _zones(box: Box, commands: list[str], matches: list[Match]) -> None:
    number = ZONE_BASE
    for zone in box.zones.values():
        if zone.limit_mbps is None:
            continue
        up, down = number, number + 1
        number += 2
        commands += [f"pipe {n} config bw {rate(zone.limit_mbps)}" for n in (up, down)]
        for name in dict.fromkeys(i for a in zone.attachments for i in a.interfaces):
            matches += [
                Match("in", name, None, None, "dnpipe", up, down, f"limit-{zone.name}-up"),
                Match("out", name, None, None, "dnpipe", down, up, f"limit-{zone.name}-down"),
            ]


def _links(plan: Plan, host: Host, commands: list[str], matches: list[Match], sites: dict[str, None]) -> None:
    from topology import bandwidth

    capacity = bandwidth.capacities(plan, host)
    classes: dict[str, list[bandwidth.Class]] = {}
    for entry in bandwidth.classes(plan, host):
        if entry.guaranteed is not None:
            classes.setdefault(entry.interface, []).append(entry)
    pipe, queue = LINK_BASE, SITE_BASE
    for interface in host.of_kind("radio", "leased"):
        mbps, found = capacity.get(interface.name), classes.get(interface.name)
        if mbps is None or not found:
            continue
        commands += [f"pipe {n} config bw {rate(mbps)}" for n in (pipe, pipe + 1)]
        most = max(c.guaranteed or 0.0 for c in found) or 1.0
        for entry in found:
            weight = min(100, max(1, round(100 * (entry.guaranteed or 0.0) / most)))
            commands += [f"queue {queue + n} config pipe {pipe + n} weight {weight}" for n in (0, 1)]
            sites[entry.site] = None
            down = entry.direction == "down"
            near, far = (None, entry.site) if down else (entry.site, None)
            number = pipe - LINK_BASE
            matches += [
                Match("out", interface.name, near, far, "dnqueue", queue, queue + 1, f"link{number}-{entry.site}-out"),
                Match("in", interface.name, far, near, "dnqueue", queue + 1, queue, f"link{number}-{entry.site}-in"),
            ]
            queue += 2
        pipe += 2


def files(context: Context, host: Host, found: Shaping) -> dict[str, str]:
    """Return dnctl.conf; without anything to shape it holds its header only."""
    header = context.header(host, "policy.yml", "backbone.yml")
    return {"etc/dnctl.conf": "\n".join((f"# {header}", *found.commands)) + "\n"}
