"""Two kecamatan on one radio link: what each gets while both want all, and what one gets alone, is what was computed.

The lab carries less than the district's lines, so all rates are scaled by one factor: it is chosen here by what
goes through unshaped, and printed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import pytest

from tests.lab import stream
from tests.lab.figures import record
from tests.lab.stream import Plugged, Stream, addresses, netns, plugged
from tests.lab.where import INVENTORY, desks
from topology import bandwidth, lab
from topology.allocate import Host
from topology.inventory import plan_of
from topology.render import tc
from topology.render.common import context_of

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(420)]
Direction = Literal["up", "down"]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
HUB = bandwidth.hub_sites(PLAN)[0]
PORT = 443
SECONDS = 20.0
WARM = 4.0
"""Seconds before the measured ones, in which TCP finds its rate."""
WITHIN = 0.10
HEADROOM = 3.0
"""How many times the shaped rate the lab must carry: shaping is measured then, not the machine."""


def pair_of_sites() -> tuple[str, str]:
    """Return two sites with a client each, the second below the first: they share the first's radio link."""
    with_client = {h.site for h in desks(PLAN)}
    return next(
        (above, below)
        for above in PLAN.sites
        for below in PLAN.backbone.below(above)
        if {above, below} <= with_client and PLAN.backbone.parent.get(above) and PLAN.sites[above].place.kind != "hub"
    )


SITES = pair_of_sites()
LINK = PLAN.backbone.uplink[SITES[0]].name


def client(site: str) -> Host:
    return next(h for h in desks(PLAN) if h.site == site)


def gateways() -> list[str]:
    return [h.name for h in PLAN.hosts.values() if h.kind == "gateway"]


def load(scale: float | None) -> None:
    """Load every gateway's shaper: scaled, or as provisioned."""
    context = context_of(PLAN)
    for name in gateways():
        if scale is None:
            done = lab.exec_in(NAME, name, ["topology-filter", "shape"])
        else:
            text = tc.files(context, PLAN.hosts[name], scale).get("etc/topology/tc.batch")
            if text is None:
                continue
            done = lab.exec_in(NAME, name, ["tc", "-force", "-batch", "-"], stdin=text)
        assert done.returncode == 0, f"{name}: {done.stderr}"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Plugged, Stream]]:
    """A server at the data centre, in the network whose web every desk may use."""
    with plugged(PLAN, HUB, "server", 92) as probe:
        listen = [(probe.addresses[family], PORT) for family in (4, 6)]
        with stream.listening(probe.netns, "serve", listen) as said:
            yield probe, said


@dataclass
class Flow:
    """A site's flow, and what its receiver heard."""

    site: str
    said: Stream
    label: str

    def rate(self, begin: float, end: float) -> float:
        """Return Mbit/s of TCP's payload between two moments."""
        marks = [(x.at, int(x.rest[0])) for x in self.said.lines() if x.label == self.label and begin <= x.at <= end]
        assert len(marks) > end - begin, f"{self.site}: less than one mark a second"
        (t0, n0), (t1, n1) = marks[0], marks[-1]
        return (n1 - n0) * 8 / (t1 - t0) / 1e6


def run(server: tuple[Plugged, Stream], wanted: dict[str, tuple[Direction, ...]], family: int, seconds: float,
        warm: float = WARM) -> dict[tuple[str, Direction], float]:  # fmt: skip
    """Let sites send and receive as fast as they can, all at once; return Mbit/s by site and direction."""
    probe, heard = server
    with ExitStack() as stack:
        flows: dict[tuple[str, Direction], Flow] = {}
        for site, directions in wanted.items():
            host = client(site)
            for direction in directions:
                options = {
                    "server": [probe.addresses[family], PORT], "direction": direction[0], "label": "here",
                    "seconds": seconds + warm + 30,
                }  # fmt: skip
                own = stack.enter_context(stream.agent(netns(PLAN, host.name), "flow", options))
                stream.until(lambda own=own: bool(own.times("begun")), 25, f"a connection from {site}: {own.errors()}")  # type: ignore[misc]
                said, label = (own, "here") if direction == "down" else (heard, addresses(host)[family])
                flows[site, direction] = Flow(site, said, label)
        begin = time.monotonic() + warm
        time.sleep(warm + seconds)
        return {key: flow.rate(begin, begin + seconds) for key, flow in flows.items()}


@pytest.fixture(scope="module")
def factor(server: tuple[Plugged, Stream]) -> Iterator[float]:
    """Load the shapers scaled to what this machine carries; those provisioned are back afterwards."""
    try:
        load(100.0)
        carried = run(server, dict.fromkeys(SITES, ("up", "down")), 4, 4, 1)
        total = min(sum(v for (_, d), v in carried.items() if d == way) for way in ("up", "down"))
        ceiling = bandwidth.shares(PLAN)[SITES[0]].ceiling_up
        assert ceiling is not None
        scale = min(1.0, max(0.02, math.floor(total / HEADROOM / ceiling * 50) / 50))
        record("shares: factor", link=LINK, carried_mbps=round(total, 1), ceiling_mbps=ceiling, factor=scale)
        load(scale)
        yield scale
    finally:
        load(None)


@pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_two_sites_in_contention_get_their_shares(
    server: tuple[Plugged, Stream], factor: float, direction: Direction, family: int
) -> None:
    computed = bandwidth.shares(PLAN, active=SITES)
    measured = run(server, dict.fromkeys(SITES, (direction,)), family, SECONDS)
    compare("shares: two sites in contention", computed, measured, factor, family, guaranteed=True)


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("site", SITES)
def test_one_site_alone_reaches_its_ceiling(
    server: tuple[Plugged, Stream], factor: float, site: str, direction: Direction
) -> None:
    measured = run(server, {site: (direction,)}, 4, SECONDS)
    compare("shares: one site alone", bandwidth.shares(PLAN), measured, factor, 4, guaranteed=False)


def compare(name: str, computed: dict[str, bandwidth.Share], measured: dict[tuple[str, Direction], float],
            factor: float, family: int, *, guaranteed: bool) -> None:  # fmt: skip
    rows = []
    for (site, direction), rate in measured.items():
        share = computed[site]
        due = share.guaranteed(direction) if guaranteed else share.ceiling(direction)
        assert due is not None
        rows.append((site, direction, rate, due * factor))
    record(
        name, link=LINK, factor=factor, family=f"IPv{family}", seconds=SECONDS,
        mbps={f"{s} {d}": {"computed": round(due, 2), "measured": round(rate, 2),
                           "percent": round(100 * rate / due, 1)} for s, d, rate, due in rows},
    )  # fmt: skip
    wrong = [(s, d, rate, due) for s, d, rate, due in rows if abs(rate / due - 1) > WITHIN]
    assert not wrong, wrong
