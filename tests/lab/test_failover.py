"""What breaks is gone round without a hand: a radio link, one data-centre gateway, both. Both families, measured."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.lab import stream
from tests.lab.figures import record
from tests.lab.stream import PING_INTERVAL, Plugged, Stream, addresses, longest_silence, netns, plugged, until
from tests.lab.where import INVENTORY, desks, network
from topology import bandwidth, lab
from topology.allocate import Host, Link
from topology.inventory import plan_of
from topology.render.pair import PREEMPT_DELAY

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(420)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
HUBS = sorted((h for h in PLAN.hosts.values() if h.hub_slot is not None), key=lambda h: h.hub_slot or 0)
PAIR = [h for h in HUBS if h.site == bandwidth.hub_sites(PLAN)[0]]
DR = next(h for h in HUBS if h.site != PAIR[0].site)
MOVES = 10.0
"""Most seconds that a move may take: BFD's (topology.render.frr), not BGP's hold time of 30."""
RETURNS = 90.0
"""Most seconds until everything is back on its usual way after healing; a pair's preference takes longer."""


def on(host: str, *command: str) -> str:
    done = lab.exec_in(NAME, host, command)
    assert done.returncode == 0, f"{host}: {' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def client(site: str) -> str:
    """Return a site's ordinary client in the lab."""
    return next(h.name for h in desks(PLAN) if h.site == site)


def database(site: str) -> Host:
    """Return a host in the databases' network, which may be pinged from everywhere."""
    return next(h for h in PLAN.hosts.values() if h.site == site and network(h) == "database")


def gateway(site: str) -> str:
    return PLAN.gateways(site)[0].name


def offices() -> list[str]:
    """Return the sites that are no hub and have a client in the lab."""
    hubs = {h.site for h in HUBS}
    with_client = {h.site for h in desks(PLAN)}
    return [s for s in PLAN.sites if s not in hubs and s in with_client]


def way(host: str, address: str) -> str:
    """Return the interface by which a gateway sends to an address; nothing when it has no route."""
    done = lab.exec_in(NAME, host, ["ip", "-json", "route", "get", address])
    return str(json.loads(done.stdout)[0].get("dev", "")) if done.returncode == 0 else ""


def tunnels(site: str, hubs: list[Host]) -> set[str]:
    """Return a site's interfaces that are tunnels to these hubs."""
    own, wanted = gateway(site), {h.name for h in hubs}
    links = (x for x in PLAN.links_of(own) if x.kind == "tunnel" and x.far_end(own).host in wanted)
    return {x.end_of(own).interface for x in links}


def running(host: str) -> bool:
    return next(h.state for h in lab.status(NAME).hosts if h.name == host) == "running"


def owner(address: str) -> str:
    """Return the member of the pair that has a shared address; nothing while none or both have it."""
    found = []
    for member in PAIR:
        if running(member.name) and on(member.name, "ip", "-o", "address", "show", "to", address):
            found.append(member.name)
    return found[0] if len(found) == 1 else ""


SHARED = next(i.shared[0] for i in PAIR[0].of_kind("lan") if i.shared)


def owned_by_first() -> bool:
    return all(running(m.name) for m in PAIR) and owner(SHARED) == PAIR[0].name


def usual() -> bool:
    """Say whether the pair is whole, its first member owns what is shared, and every office sends to the first."""
    if not owned_by_first():
        return False
    target = addresses(database(PAIR[0].site))
    return all(
        way(gateway(site), target[family]) in {*tunnels(site, PAIR[:1]), *_up(site)}
        for site in offices() for family in target
    )  # fmt: skip


def _up(site: str) -> set[str]:
    """Return the interface of a site's own radio link towards the root."""
    link = PLAN.backbone.uplink.get(site)
    return {PLAN.links[link.name].end_of(gateway(site)).interface} if link and link.name in PLAN.links else set()


@pytest.fixture(autouse=True)
def whole() -> Iterator[None]:
    """Begin with the lab in its usual state and bring it back there."""
    until(usual, PREEMPT_DELAY + RETURNS, "the lab's usual state")
    try:
        yield
    finally:
        for member in PAIR:
            if not running(member.name):
                lab.start_host(NAME, member.name)
        for member in PAIR:
            on(member.name, "systemctl", "start", "conntrackd")
        until(usual, PREEMPT_DELAY + RETURNS, "the lab's usual state after the test")


@contextmanager
def pinging(sources: dict[str, dict[str, str]]) -> Iterator[dict[str, Stream]]:
    """Ping from hosts to {label: address} until the end; begins when every label answers."""
    with ExitStack() as stack:
        found = {
            host: stack.enter_context(
                stream.agent(netns(PLAN, host), "ping", {"targets": targets, "interval": PING_INTERVAL})
            )
            for host, targets in sources.items()
        }
        labels = {host: list(targets) for host, targets in sources.items()}
        until(lambda: stream.steady(found, labels), 30, f"answers to {labels}")
        yield found


def settled(streams: dict[str, Stream], sources: dict[str, dict[str, str]], seconds: float) -> float:
    return until(
        lambda: stream.steady(streams, {h: list(t) for h, t in sources.items()}), seconds, "answers everywhere"
    )


def silences(streams: dict[str, Stream], sources: dict[str, dict[str, str]], since: float) -> dict[str, float]:
    return {
        f"{host} {label}": round(longest_silence(streams[host].times(label), since), 2)
        for host, targets in sources.items()
        for label in targets
    }


def to(host: Host) -> dict[str, str]:
    return {f"{host.name}-v{family}": address for family, address in addresses(host).items()}


def _trunks() -> list[Link]:
    """Return the radio links by which something hangs on the root of the tree."""
    return [
        x for x in PLAN.links.values()
        if x.kind == "radio" and PLAN.backbone.parent.get(_lower(x)) in {e.site for e in x.ends}
        and PLAN.backbone.parent.get(str(PLAN.backbone.parent.get(_lower(x)))) is None
    ]  # fmt: skip


def _lower(link: Link) -> str:
    a, b = (e.site for e in link.ends)
    return b if PLAN.backbone.parent.get(b) == a else a


@pytest.mark.parametrize("link", _trunks(), ids=lambda x: x.name)
def test_a_silent_radio_moves_what_hangs_on_it_to_tunnels(link: Link) -> None:
    top = _lower(link)
    moved = [s for s in (top, *PLAN.backbone.below(top)) if s in offices()]
    target = database(PAIR[0].site)
    sources = {client(site): to(target) for site in moved}
    port = link.end_of(gateway(top)).interface
    assert all(way(gateway(top), a) == port for a in addresses(target).values())
    with pinging(sources) as streams:
        try:
            cut = time.monotonic()
            lab.break_wire(NAME, link.name, silent=True)
            time.sleep(3)
            settled(streams, sources, 30)
            lost = silences(streams, sources, cut)
            used = {way(gateway(top), a) for a in addresses(target).values()}
            assert used <= tunnels(top, PAIR), used
        finally:
            lab.heal_wire(NAME, link.name)
        healed = time.monotonic()
        back = until(
            lambda: all(way(gateway(top), a) == port for a in addresses(target).values()), RETURNS, "the radio's routes"
        )
        time.sleep(3)
        settled(streams, sources, 30)
        record(
            "failover: radio cut silently", link=link.name, seconds_lost=lost,
            seconds_until_back=round(back, 1), seconds_lost_on_return=silences(streams, sources, healed),
        )  # fmt: skip
    assert max(lost.values()) < MOVES


def test_both_data_centre_gateways_die_and_every_office_moves_to_the_dr_hub() -> None:
    spare, centre = database(DR.site), database(PAIR[0].site)
    sources = {client(site): to(spare) for site in offices()}
    # and from office to office, over the hub that is left
    a = next(s for s in offices() if PLAN.sites[s].place.kind == "skpd")
    b = next(s for s in offices() if PLAN.sites[s].place.kind == "kecamatan")
    sources[client(a)] |= to(PLAN.hosts[client(b)])
    with pinging(sources) as streams:
        begun = time.monotonic()
        for member in reversed(PAIR):
            lab.kill_host(NAME, member.name)
        killing = time.monotonic() - begun
        time.sleep(3)
        settled(streams, sources, 60)
        lost = silences(streams, sources, begun)
        for site in offices():
            for address in addresses(spare).values():
                assert way(gateway(site), address) in tunnels(site, [DR]) | _up(site), site
        # seconds without a hub are counted from the first power cut; the second came a little later
        assert max(lost.values()) < MOVES + killing
    back = {client(site): to(centre) for site in offices()}
    begun = time.monotonic()
    for member in PAIR:
        lab.start_host(NAME, member.name)
    with pinging_at_last(back) as streams:
        until(usual, RETURNS + PREEMPT_DELAY, "the routes to the data centre")
        settled(streams, back, 30)
        record(
            "failover: both data-centre gateways killed", hub=DR.name, seconds_lost=lost,
            seconds_of_killing=round(killing, 2), seconds_until_all_is_usual=round(time.monotonic() - begun, 1),
        )  # fmt: skip


@contextmanager
def pinging_at_last(sources: dict[str, dict[str, str]]) -> Iterator[dict[str, Stream]]:
    """Ping without waiting for answers first."""
    with ExitStack() as stack:
        yield {
            host: stack.enter_context(
                stream.agent(netns(PLAN, host), "ping", {"targets": targets, "interval": PING_INTERVAL})
            )
            for host, targets in sources.items()
        }


# ---------------------------------------------------------------- sessions through the pair


@contextmanager
def sessions() -> Iterator[tuple[dict[str, Stream], Plugged, Plugged]]:
    """Keep TCP sessions of both families through the pair: inside the data centre, and from an office to a server.

    The policy lets servers ask databases (5432) and every desk the servers' web (443).
    """
    site, office = PAIR[0].site, next(s for s in offices() if PLAN.sites[s].place.kind == "skpd")
    with ExitStack() as stack:
        server = stack.enter_context(plugged(PLAN, site, "server"))
        # on the databases' hosts that port is the databases' own
        target = stack.enter_context(plugged(PLAN, site, "database", 92))
        served = [(server.addresses[family], 443) for family in (4, 6)]
        stack.enter_context(stream.listening(server.netns, "echo", served))
        stack.enter_context(stream.listening(target.netns, "echo", [(a, 5432) for a in target.addresses.values()]))
        inside = {f"inside-v{f}": (a, 5432) for f, a in target.addresses.items()}
        remote = {f"office-v{f}": (a, 443) for f, (a, _) in zip((4, 6), served, strict=True)}
        streams: dict[str, Stream] = {}
        for where, wanted in ((server.netns, inside), (netns(PLAN, client(office)), remote)):
            found = stack.enter_context(stream.agent(where, "session", {"sessions": wanted, "interval": 0.1}))
            streams |= dict.fromkeys(wanted, found)
        until(
            lambda: all(len(s.times(label)) > 20 for label, s in streams.items()),
            30,
            "sessions of both families, in and out of the data centre",
        )
        yield streams, server, target


def broken(streams: dict[str, Stream]) -> list[str]:
    """Return what was said of sessions that ended."""
    every = [x for s in {id(s): s for s in streams.values()}.values() for x in s.lines()]
    return [f"{x.label} {' '.join(x.rest)}" for x in every if "broken" in x.rest]


def alive(streams: dict[str, Stream], since: float) -> dict[str, bool]:
    """Return which sessions had an answer after a moment."""
    return {label: any(t > since for t in s.times(label)) for label, s in streams.items()}


def fresh(server: Plugged, target: Plugged) -> bool:
    """Say whether a new connection of either family passes the pair."""
    return all(
        subprocess.run(
            ["ip", "netns", "exec", server.netns, "timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{a}/5432"],
            capture_output=True, check=False,
        ).returncode == 0
        for a in target.addresses.values()
    )  # fmt: skip


def test_tcp_sessions_survive_a_takeover_and_the_return() -> None:
    first, second = PAIR
    assert on(second.name, "sysctl", "-n", "net.netfilter.nf_conntrack_tcp_loose").strip() == "0"
    with sessions() as (streams, _, _):
        time.sleep(1)
        cut = time.monotonic()
        lab.kill_host(NAME, first.name)
        until(lambda: owner(SHARED) == second.name, 30, "the takeover")
        taken = time.monotonic()
        until(lambda: all(alive(streams, taken + 1).values()) or bool(broken(streams)), 60, "the sessions to go on")
        assert not broken(streams)
        gaps = {label: round(longest_silence(s.times(label), cut), 2) for label, s in streams.items()}
        started = time.monotonic()
        lab.start_host(NAME, first.name)
        returned = until(usual, PREEMPT_DELAY + RETURNS, "the first member's return")
        now = time.monotonic()
        until(lambda: all(alive(streams, now + 1).values()) or bool(broken(streams)), 60, "the sessions to go on")
        assert not broken(streams)
        back = {label: round(longest_silence(s.times(label), started), 2) for label, s in streams.items()}
        record(
            "failover: TCP through the pair", seconds_of_silence=gaps, seconds_until_primary_again=round(returned, 1),
            seconds_of_silence_on_return=back,
        )  # fmt: skip


def test_without_conntrackd_no_tcp_session_survives() -> None:
    first, second = PAIR
    for member in PAIR:
        on(member.name, "systemctl", "stop", "conntrackd")
    with sessions() as (streams, server, target):  # begun afterwards: the second member knows nothing of them
        lab.kill_host(NAME, first.name)
        until(lambda: owner(SHARED) == second.name, 30, "the takeover")
        until(lambda: fresh(server, target), 30, "new connections through the second member")
        time.sleep(3)
        after = time.monotonic()
        time.sleep(30)  # TCP repeats meanwhile, at least twice
        lived = [label for label, yes in alive(streams, after).items() if yes]
        record("failover: TCP through the pair without conntrackd", sessions=list(streams), survived=lived)
        assert not lived
