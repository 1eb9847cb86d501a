"""Drift in the lab: nothing is found after `site.yml`, and every seeded change is, no more and no less."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.lab.figures import record
from tests.lab.where import INVENTORY
from topology import lab, routing
from topology.drift.finding import DIFFERENT, MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.drift.judge import judge
from topology.drift.sweep import login_of, sweep
from topology.expect import Expected, expect
from topology.inventory import plan_of, variables
from topology.render.common import context_of

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(420)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
SETTLES = 90.0
"""Most seconds until a host is as planned again: BGP's connect timer and a handshake."""
CLOCKS = 300.0
"""Most seconds until the clocks of a lab that was just booted are together: the hubs agree among themselves first."""


def _office_gateway() -> str:
    return next(
        h.name for h in PLAN.hosts.values() if h.kind == "gateway" and PLAN.sites[h.site].place.kind == "kecamatan"
    )


def _server() -> str:
    """Return an ordinary host whose Python may listen."""
    return next(h.name for h in PLAN.hosts.values() if h.kind == "guest" and h.managed)


GATEWAY, SERVER = _office_gateway(), _server()
TUNNEL = next(i.name for i in PLAN.hosts[GATEWAY].of_kind("tunnel"))
LAN = next(i.name for i in PLAN.hosts[GATEWAY].of_kind("lan") if i.network == "staff")
SPEAKER = routing.speaker(PLAN, PLAN.hosts[GATEWAY])
NEIGHBOUR = next(s for s in SPEAKER.sessions if s.interface == TUNNEL and s.family == 4)
ROUTER = context_of(PLAN).router(PLAN.hosts[SERVER])[0]
PORT = next(i.name for i in PLAN.hosts[SERVER].of_kind("host"))
GUA = next(a for a in next(PLAN.hosts[SERVER].of_kind("host")).addresses if a.startswith("2"))
STRANGER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1aWx0LWJ5LXRlc3RzLW5vdC1hLXJlYWwta2V5LS0h stranger"
"""Looks like a key; nobody has its private part."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A change, how it is undone, and exactly what must be found: (state, kind, thing)."""

    name: str
    host: str
    change: str
    undo: str
    found: frozenset[tuple[str, str, str]]
    consequences: frozenset[tuple[str, str, str]] = field(default_factory=frozenset)
    """What may be found as well, since it follows from the change."""


def seed(name: str, host: str, change: str, undo: str, *found: tuple[str, str, str], also: object = ()) -> Seed:
    return Seed(name, host, change, undo, frozenset(found), frozenset(also))  # type: ignore[call-overload]


def _tunnel_down() -> set[tuple[str, str, str]]:
    """Return what follows when a tunnel is dead: its sessions end."""
    return {(DIFFERENT, "neighbour", s.remote) for s in SPEAKER.sessions if s.interface == TUNNEL}


KEY_OF_THE_PEER = f"$(wg show {TUNNEL} peers)"
SEEDS = [
    seed("a key added", SERVER,
         f"cp ~lab/.ssh/authorized_keys /root/k && echo '{STRANGER}' >>~lab/.ssh/authorized_keys",
         "cat /root/k >~lab/.ssh/authorized_keys && rm /root/k", (UNEXPECTED, "key", "lab *")),
    seed("a person added", SERVER, "useradd --create-home --shell /bin/bash stranger", "userdel --remove stranger",
         (UNEXPECTED, "user", "stranger")),
    seed("a person made administrator", SERVER, "gpasswd --add lab sudo", "gpasswd --delete lab sudo",
         (DIFFERENT, "user", "lab")),
    seed("a chain flushed", GATEWAY, "nft flush chain inet topology forward", "nft -f /etc/nftables.conf",
         (DIFFERENT, "ruleset", "filter")),
    seed("a rule added", GATEWAY, "nft insert rule inet topology input counter accept", "nft -f /etc/nftables.conf",
         (DIFFERENT, "ruleset", "filter")),
    seed("a set widened", GATEWAY, "nft add element inet topology admin4 '{ 198.51.100.200/32 }'",
         "nft -f /etc/nftables.conf", (DIFFERENT, "ruleset", "filter")),
    seed("a route replaced", SERVER, f"ip route replace default via {ROUTER} metric 5",
         f"ip route delete default via {ROUTER} metric 5", (UNEXPECTED, "route", "default by hand")),
    seed("a route added", GATEWAY, f"ip route add 10.191.0.0/16 dev {LAN}", f"ip route delete 10.191.0.0/16 dev {LAN}",
         (UNEXPECTED, "route", "10.191.0.0/16 by hand")),
    seed("a mode changed", GATEWAY, "chmod 0644 /etc/frr/frr.conf", "chmod 0640 /etc/frr/frr.conf",
         (DIFFERENT, "file", "/etc/frr/frr.conf")),
    seed("an owner changed", GATEWAY, "chown nobody /etc/kea/kea-dhcp4.conf", "chown root /etc/kea/kea-dhcp4.conf",
         (DIFFERENT, "file", "/etc/kea/kea-dhcp4.conf")),
    seed("a lease pool widened", GATEWAY,
         "cp -p /etc/kea/kea-dhcp4.conf /root/k && sed -i 's/\\.249/.253/' /etc/kea/kea-dhcp4.conf",
         "mv /root/k /etc/kea/kea-dhcp4.conf", (DIFFERENT, "file", "/etc/kea/kea-dhcp4.conf")),
    seed("a file removed", GATEWAY, "mv /etc/radvd.conf /root/k", "mv /root/k /etc/radvd.conf",
         (MISSING, "file", "/etc/radvd.conf")),
    seed("a file added", SERVER, "touch /etc/systemd/network/20-more.network",
         "rm /etc/systemd/network/20-more.network",
         (UNEXPECTED, "file", "/etc/systemd/network/20-more.network")),
    seed("the private key readable", GATEWAY, "chmod 0644 /etc/wireguard/private.key",
         "chmod 0600 /etc/wireguard/private.key", (DIFFERENT, "file", "/etc/wireguard/private.key")),
    seed("a service stopped", GATEWAY, "systemctl stop radvd", "systemctl start radvd",
         (DIFFERENT, "service", "radvd")),
    seed("a service that will not start", GATEWAY, "systemctl disable radvd", "systemctl enable radvd",
         (DIFFERENT, "service", "radvd")),
    seed("names not answered", GATEWAY, "systemctl stop unbound", "systemctl start unbound",
         (DIFFERENT, "service", "unbound"),
         also={(MISSING, "listen", "53/udp"), (MISSING, "listen", "53/tcp")}),
    seed("no time", GATEWAY, "systemctl stop chrony", "systemctl start chrony", (DIFFERENT, "service", "chrony"),
         also={(UNOBSERVED, "time", "all"), (MISSING, "listen", "123/udp")}),
    seed("a peer swapped", GATEWAY,
         f"wg show {TUNNEL} peers >/root/k; wg set {TUNNEL} peer $(cat /root/k) remove;"
         f" wg set {TUNNEL} peer $(wg genkey | wg pubkey) allowed-ips 0.0.0.0/0,::/0",
         f"systemctl restart wg-quick@{TUNNEL} && systemctl restart topology-shape; rm /root/k",
         (MISSING, "peer", f"{TUNNEL} *"), (UNEXPECTED, "peer", f"{TUNNEL} *"), also=_tunnel_down()),
    seed("a setting of the kernel", GATEWAY, "sysctl -qw net.ipv4.conf.all.accept_redirects=1",
         "sysctl -qw net.ipv4.conf.all.accept_redirects=0",
         (DIFFERENT, "sysctl", "net.ipv4.conf.all.accept_redirects")),
    seed("an address added", GATEWAY, f"ip address add 10.191.7.7/24 dev {LAN}",
         f"ip address delete 10.191.7.7/24 dev {LAN}", (UNEXPECTED, "address", f"{LAN} 10.191.7.7/24")),
    seed("an address removed", SERVER, f"ip address delete {GUA}/64 dev {PORT}",
         f"ip address add {GUA}/64 dev {PORT} nodad", (MISSING, "address", f"{PORT} {GUA}/64")),
    seed("something listens", SERVER, "systemd-run --quiet --unit stranger python3 -m http.server 8099",
         "systemctl stop stranger", (UNEXPECTED, "listen", "8099/tcp")),
    seed("a class of the shaper", GATEWAY,
         "tc class change dev guest parent 1:1 classid 1:4 htb rate 50mbit ceil 50mbit",
         "systemctl restart topology-shape", (DIFFERENT, "shape", "guest 1:4")),
    seed("a neighbour shut", GATEWAY,
         f"vtysh -c 'configure terminal' -c 'router bgp {SPEAKER.autonomous_system}'"
         f" -c 'neighbor {NEIGHBOUR.remote} shutdown'",
         f"vtysh -c 'configure terminal' -c 'router bgp {SPEAKER.autonomous_system}'"
         f" -c 'no neighbor {NEIGHBOUR.remote} shutdown'", (DIFFERENT, "neighbour", NEIGHBOUR.remote)),
    seed("a package removed", GATEWAY, "dpkg --remove --force-depends dns-root-data >/dev/null 2>&1",
         "apt-get install -qq --yes dns-root-data >/dev/null 2>&1", (MISSING, "package", "dns-root-data")),
]  # fmt: skip


def run(host: str, command: str) -> None:
    done = lab.exec_in(NAME, host, ["sh", "-c", command])
    assert done.returncode == 0, f"{host}: {command}: {done.stdout}{done.stderr}"


def expected(names: list[str]) -> list[Expected]:
    return [expect(PLAN, PLAN.hosts[name]) for name in names]


def look(*names: str) -> list[Finding]:
    """Sweep some hosts and return all findings."""
    hosts = expected(list(names))
    seen = asyncio.run(sweep([(login_of(e.host, variables(PLAN, PLAN.hosts[e.host])), e) for e in hosts]))
    return sorted(f for e in hosts for f in judge(e, seen[e.host]))


def told(findings: list[Finding]) -> str:
    return "\n".join(map(str, findings))


@pytest.fixture(scope="module", autouse=True)
def clean() -> Iterator[None]:
    """Begin on a lab that is as planned; right after the first `site.yml` clocks are not together yet."""
    managed = [h.name for h in PLAN.hosts.values() if h.managed]
    begun = time.monotonic()
    while found := look(*managed):
        assert time.monotonic() - begun < CLOCKS, told(found)
        time.sleep(2)
    record("drift: until nothing is found", hosts=len(managed), seconds=round(time.monotonic() - begun, 1))
    yield


def test_nothing_is_found_five_times_in_a_row() -> None:
    managed = [h.name for h in PLAN.hosts.values() if h.managed]
    took = []
    for _ in range(5):
        begun = time.monotonic()
        assert not (found := look(*managed)), told(found)
        took.append(round(time.monotonic() - begun, 2))
    record("drift: sweeps without a finding", hosts=len(managed), seconds=took)


def _is(finding: Finding, wanted: tuple[str, str, str]) -> bool:
    state, kind, thing = wanted
    same = finding.thing.startswith(thing[:-1]) if thing.endswith("*") else finding.thing == thing
    return (finding.state, finding.kind) == (state, kind) and same


@pytest.mark.parametrize("one", SEEDS, ids=lambda s: s.name)
def test_a_seeded_change_is_found_and_nothing_else(one: Seed) -> None:
    run(one.host, one.change)
    try:
        found = look(one.host)
    finally:
        run(one.host, one.undo)
    for wanted in one.found:
        assert any(_is(f, wanted) for f in found), f"{wanted} is not among:\n{told(found)}"
    more = [f for f in found if not any(_is(f, w) for w in one.found | one.consequences)]
    assert not more, told(more)
    assert all(f.host == one.host for f in found)
    begun = time.monotonic()
    while left := look(one.host):
        assert time.monotonic() - begun < SETTLES, told(left)
        time.sleep(1)


def test_a_host_that_cannot_be_read_is_never_clean() -> None:
    run(SERVER, "chmod a-x /usr/bin/sudo")
    try:
        found = look(SERVER, GATEWAY)
    finally:
        run(SERVER, "chmod a+x /usr/bin/sudo")
    assert [(f.host, f.state, f.kind) for f in found] == [(SERVER, UNOBSERVED, "host")], told(found)
