"""An office walks from ipv4-only to dual-stack to ipv6-mostly and back while a client keeps polling services."""

from __future__ import annotations

import ipaddress
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.lab import copies, services
from tests.lab.figures import record
from tests.lab.where import INVENTORY
from topology.allocate import Host, Plan
from topology.inventory import plan_of
from topology.render import nat64
from topology.render.common import context_of

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(900)]
OFFICE, CLIENT, VISITOR, SERVER = "diskominfo", "diskominfo-client", "diskominfo-visitor", "dc-mon1"
GATEWAY = "diskominfo-gw"
WEB4, WEB = 80, 443
"""Ports of the service that has IPv4 only, and of the one with both families."""
SSH, SQL = 22, 5432
LOST = 5
"""IPv4 polls (of 10 a second) that one step may lose.

systemd-networkd takes the addresses off an interface whose file has changed and puts the new ones on. That is the
office's LAN: half a second at most. Tunnels, BGP's IPv4 sessions and the filter's states are not touched.
"""
SETTLED = 3.0
"""Seconds at the end of a step in which every family that it has must be without a failure."""
NETWORK = """[Match]
Name={interface}

[Network]
DHCP={dhcp}
IPv6AcceptRA=yes
LinkLocalAddressing=ipv6

[DHCPv4]
UseDNS=no
{more}
"""
NETWORK_FILE = "/run/systemd/network/05-topology-test.network"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(INVENTORY)


@pytest.fixture(scope="module")
def name(plan: Plan) -> str:
    assert plan.district.lab is not None
    return plan.district.lab.name


def addresses(plan: Plan, host: str) -> tuple[str, ...]:
    return next(plan.hosts[host].of_kind("host", "uplink")).addresses


def beyond(plan: Plan) -> str:
    """Return an IPv6 address of the internet that is on no gateway's own wire, and so behind the hubs."""
    assert plan.district.lab is not None and plan.district.lab.internet is not None
    return str(ipaddress.IPv6Network(plan.district.lab.internet.prefix6)[-1] + 1)


@contextmanager
def further(plan: Plan, name: str) -> Iterator[None]:
    """Give that address to the host that plays the internet."""
    place = (f"{beyond(plan)}/128", "dev", "lo")
    services.run(name, "internet", "ip", "address", "replace", *place)
    try:
        yield
    finally:
        services.run(name, "internet", "ip", "address", "del", *place)


@contextmanager
def configured_by_the_network(plan: Plan, name: str, host: str) -> Iterator[None]:
    """Let a client take its addresses from DHCP and router advertisements, by systemd-networkd."""
    try:
        take_addresses(plan, name, host, "yes")
        yield
    finally:
        services.run(name, host, "rm", "-f", NETWORK_FILE)
        services.run(name, host, "systemctl", "restart", "systemd-networkd")
        # a restart alone keeps what was leased
        services.run(name, host, "networkctl", "reconfigure", next(plan.hosts[host].of_kind("host")).name)


def take_addresses(plan: Plan, name: str, host: str, dhcp: str, more: str = "") -> None:
    text = NETWORK.format(interface=lan(plan, host), dhcp=dhcp, more=more)
    services.run(name, host, "sh", "-c", f"mkdir -p /run/systemd/network; cat >{NETWORK_FILE}", stdin=text)
    # anew: networkd 252 may stay in `configuring`, without its lease's address, when it reconfigures a live interface
    services.run(name, host, "ip", "address", "flush", "dev", lan(plan, host), "scope", "global")
    services.run(name, host, "systemctl", "restart", "systemd-networkd")


def lan(plan: Plan, host: str) -> str:
    return next(plan.hosts[host].of_kind("host")).name


def has(plan: Plan, name: str, host: str) -> list[str]:
    """Return the global addresses of a client."""
    shown = services.run(name, host, "ip", "-brief", "address", "show", "scope", "global", lan(plan, host))
    return [a.split("/")[0] for a in shown.split()[2:] if "/" in a]


def wait_until(what: str, seconds: float, missing: Callable[[], object]) -> None:
    """Wait until nothing is missing any more."""
    until = time.monotonic() + seconds
    while wanting := missing():
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}: {wanting}"
        time.sleep(0.3)


def set_migration(copied: copies.Copy, plan: Plan, step: str) -> None:
    file = copied.district / plan.sites[OFFICE].place.where.file
    text = re.sub(r"(?m)^migration:.*\n", "", file.read_text(encoding="utf-8"))
    file.write_text(f"{text.rstrip()}\nmigration: {step}\n", encoding="utf-8")


def hubs(plan: Plan) -> list[str]:
    return [h.name for h in plan.hosts.values() if h.hub_slot is not None]


def counter(name: str, host: str, which: str) -> int:
    shown = services.run(name, host, "nft", "list", "counter", "inet", "topology", which)
    found = re.search(r"packets (\d+)", shown)
    assert found, shown
    return int(found[1])


@pytest.fixture(scope="module")
def names(plan: Plan) -> dict[str, str]:
    """Names that have an A record only, as the district's DNS would answer them."""
    domain = plan.district.facts.domain
    return {f"four.dc.{domain}": addresses(plan, SERVER)[0], f"four.net.{domain}": addresses(plan, "internet")[0]}


@pytest.fixture(scope="module")
def targets(plan: Plan) -> dict[str, tuple[str, int]]:
    near, far = addresses(plan, SERVER), addresses(plan, "internet")
    return {
        "dc-only-ipv4": (near[0], WEB4), "dc-ipv4": (near[0], WEB), "internet-ipv4": (far[0], WEB),
        "dc-ipv6": (near[-1], WEB), "internet-ipv6": (beyond(plan), WEB),
    }  # fmt: skip


@pytest.fixture
def served(plan: Plan, name: str, names: dict[str, str]) -> Iterator[None]:
    ports = [("0.0.0.0", WEB4), ("0.0.0.0", WEB), ("::", WEB)]
    with (
        further(plan, name),
        services.serving(name, SERVER, [*ports, ("0.0.0.0", SQL)], names),
        services.serving(name, "internet", ports),
    ):
        yield


@pytest.mark.timeout(1200)
def test_the_walk_there_and_back(
    plan: Plan, name: str, served: None, targets: dict[str, tuple[str, int]], names: dict[str, str], tmp_path: Path
) -> None:
    copied = copies.copy(tmp_path)
    touched = (GATEWAY, *hubs(plan))
    sessions = {"session-dc": targets["dc-ipv4"], "session-internet": targets["internet-ipv4"]}
    with ExitStack() as undo:
        undo.callback(copied.remove_rendered)
        undo.enter_context(configured_by_the_network(plan, name, CLIENT))
        undo.callback(copies.apply, INVENTORY, *touched)
        wait_until("DHCPv4 and RA", 60, lambda: {True, False} - {":" in a for a in has(plan, name, CLIENT)})
        poller = undo.enter_context(services.polling(name, CLIENT, targets, sessions))
        lost = {}
        for number, step in enumerate(("ipv4-only", "dual-stack", "ipv6-mostly", "dual-stack"), 1):
            begun = time.time()
            set_migration(copied, plan, step)
            copied.apply(*touched)
            wait_until(f"{step} at the client", 60, partial(unsettled, poller, step))
            lost[f"{number} {step}"] = count(poller, begun, time.time(), step)
            if step == "ipv4-only":
                assert offers_v6_only(plan, name) == "none"
            if step == "ipv6-mostly":
                without_ipv4(plan, name, names)
        again = copied.apply(*touched)
        assert set(again.changed.values()) == {0}, again.output[-8000:]
        for label, failures in lost.items():
            record("migration", step=label, **failures)
    four = {f"{step} {t}": n for step, found in lost.items() for t, n in found["failed"].items() if t.endswith("ipv4")}
    assert four and all(n <= LOST for n in four.values()), four
    assert not any(found["broken_sessions"] for found in lost.values()), lost


def unsettled(poller: services.Poller, step: str) -> str:
    """Say what is not yet as the step will have it: every poll answered, and no IPv6 one where there is no IPv6."""
    found: dict[str, Counter[str]] = {}
    for attempt in poller.attempts():
        if time.time() - SETTLED < attempt.at < time.time() - 1:
            found.setdefault(attempt.label, Counter())[attempt.result] += 1
    wrong = []
    for label in poller.labels:
        results = found.get(label, Counter())
        wanted = not (step == "ipv4-only" and label.endswith("ipv6"))
        if not results or (results["ok"] != results.total() if wanted else results["ok"]):
            wrong.append(f"{label} {dict(results)}")
    return ", ".join(wrong)


def count(poller: services.Poller, begun: float, ended: float, step: str) -> dict[str, dict[str, int]]:
    """Return polls and failures by target during a step."""
    mine = [a for a in poller.attempts() if begun <= a.at < ended - 1]
    polls = Counter(a.label for a in mine if not a.label.startswith("session"))
    failed = Counter(a.label for a in mine if a.result != "ok" and not a.label.startswith("session"))
    slowest = {s: round(max(a.took for a in mine if a.label == s) * 1000) for s in ("session-dc", "session-internet")}
    return {
        "seconds": {"step": round(ended - begun)}, "polls": dict(polls), "failed": {t: failed[t] for t in polls},
        "broken_sessions": Counter(a.label for a in mine if a.result == "broken"), "slowest_echo_ms": slowest,
    }  # fmt: skip


def offers_v6_only(plan: Plan, name: str) -> str:
    """Return what the office's DHCP server answers a client that asks for option 108."""
    return services.ask(name, VISITOR, "v6only", {"interface": lan(plan, VISITOR)})


def answered(name: str, to: tuple[str, int]) -> bool:
    return connect(name, CLIENT, to)[0].startswith("ok")


def connect(name: str, host: str, *to: tuple[str, int]) -> list[str]:
    return services.ask(name, host, "connect", {"to": list(to)}).splitlines()


def without_ipv4(plan: Plan, name: str, names: dict[str, str]) -> None:
    """A client without IPv4 reaches what has nothing else, and nothing that the zone matrix forbids."""
    assert offers_v6_only(plan, name) == "1800"
    mostly = nat64_of(plan)
    # systemd-networkd heeds option 108 itself from 255 on; an older one is told what that would do
    heeds = int(services.run(name, CLIENT, "networkctl", "--version").split()[1]) >= 255
    take_addresses(plan, name, CLIENT, *(("yes", "IPv6OnlyMode=yes") if heeds else ("ipv6", "")))
    resolver = plan.district.space.host(*office_lan(plan), 1)[1]
    before = services.run(name, CLIENT, "cat", "/etc/resolv.conf", check=False)
    services.run(name, CLIENT, "sh", "-c", "cat >/etc/resolv.conf", stdin=f"nameserver {resolver}\n")
    try:
        wait_until("IPv6 and no IPv4", 30, lambda: {True} ^ {":" in a for a in has(plan, name, CLIENT)})
        near, far = names
        wait_until("names of the data centre", 30, lambda: not answered(name, (near, WEB4)))
        expected = [f"ok {nat64.mapped(mostly, names[n]).removesuffix('/128')}" for n in (near, far)]
        assert connect(name, CLIENT, (near, WEB4), (far, WEB4)) == expected
        record("migration-client-without-ipv4", addresses=len(has(plan, name, CLIENT)), reached=len(expected))

        def mapped(host: str) -> str:
            return nat64.mapped(mostly, addresses(plan, host)[0]).removesuffix("/128")

        dropped = counter(name, GATEWAY, "drop-forward")
        assert connect(name, CLIENT, (mapped(SERVER), SQL), (mapped(SERVER), SSH)) == ["timeout"] * 2
        assert counter(name, GATEWAY, "drop-forward") >= dropped + 2, "not dropped where it begins"
        # visitors: the internet behind the NAT64, and nothing of the district
        assert connect(name, VISITOR, (mapped("internet"), WEB4))[0].startswith("ok")
        dropped = counter(name, GATEWAY, "drop-isolated")
        assert connect(name, VISITOR, (mapped(SERVER), WEB4), (mapped(CLIENT), WEB4)) == ["timeout"] * 2
        assert counter(name, GATEWAY, "drop-isolated") >= dropped + 2
    finally:
        services.run(name, CLIENT, "sh", "-c", "cat >/etc/resolv.conf", stdin=before)
        take_addresses(plan, name, CLIENT, "yes")
    wait_until("IPv4 again", 30, lambda: {False} - {":" in a for a in has(plan, name, CLIENT)})


def office_lan(plan: Plan) -> tuple[int, int]:
    network = plan.sites[OFFICE].network(next(plan.hosts[CLIENT].of_kind("host")).network or "")
    return network.second_octet, network.third_octet


def nat64_of(plan: Plan) -> str:
    """Return the prefix that the office's gateway has once the office is ipv6-mostly."""
    site = plan.sites[OFFICE]
    place = replace(site.place, data=site.place.data.model_copy(update={"migration": "ipv6-mostly"}))
    moved = replace(plan, sites=plan.sites | {OFFICE: replace(site, place=place)})
    gateway: Host = moved.hosts[GATEWAY]
    found = nat64.prefix(context_of(moved), gateway)
    assert found is not None
    return found
