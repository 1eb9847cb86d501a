"""Road warriors: WireGuard from the internet to a hub, what zone vpn may and nothing else, until the last day."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import copies, probe, services
from tests.lab.figures import record
from tests.lab.where import INVENTORY, ROOT
from topology.allocate import Plan
from topology.inventory import plan_of
from topology.render.wireguard import KEY_PLACEHOLDER

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(1200)]
SERVER, DATABASE = "dc-mon1", "dc-database"
WEB, SSH, SQL = 443, 22, 5432
USER, ADMIN, GUEST = "vpn-ani", "vpn-budi", "vpn-citra"
TOOLS = ROOT / "build" / "checkers"


def tools() -> str:
    """Return the folder with wg, wg-quick and wireguard-go, unpacked from the lab's package mirror."""
    subprocess.run([ROOT / "tools" / "checkers", TOOLS], check=True, capture_output=True)
    return str(TOOLS / "usr" / "bin")


def wg(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run([f"{tools()}/wg", *arguments], input=stdin, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def topology(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("topology")), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Office:
    """The lab with three VPN users, and what it takes to change them."""

    copied: copies.Copy
    private: dict[str, str]
    hubs: list[str]

    @property
    def plan(self) -> Plan:
        return plan_of(self.copied.lab)

    @property
    def name(self) -> str:
        assert self.plan.district.lab is not None
        return self.plan.district.lab.name

    def set_users(self, expires: datetime.date) -> None:
        """Write the three users into the registry; the third one has a last day."""
        file = self.copied.district / "registry.yml"
        numbered = enumerate((USER, ADMIN, GUEST), 10)
        lines = [
            f"  - {{number: {n}, name: {u}{f', expires: {expires}' if u == GUEST else ''}}}\n" for n, u in numbered
        ]
        text = re.sub(r"(?ms)^vpn_users:.*?(?=^\S|\Z)", "", file.read_text(encoding="utf-8"))
        file.write_text(f"{text.rstrip()}\nvpn_users:\n{''.join(lines)}", encoding="utf-8")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    copied = copies.copy(tmp_path_factory.mktemp("vpn"))
    real = plan_of(INVENTORY)
    hubs = [h.name for h in real.hosts.values() if h.hub_slot is not None]
    made = Office(copied, {user: wg("genkey") for user in (USER, ADMIN, GUEST)}, hubs)
    made.set_users(datetime.date.today() + datetime.timedelta(days=1))
    policy = copied.district / "policy.yml"
    text = policy.read_text(encoding="utf-8")
    policy.write_text(re.sub(r"(?m)^  vpn_users: .*$", f"  vpn_users: [{ADMIN}]", text), encoding="utf-8")
    topology("keys", str(copied.lab), "--section", "vpn_users",
             *(f"{user}={wg('pubkey', stdin=key)}" for user, key in made.private.items()))  # fmt: skip
    try:
        copied.apply(*hubs)
        with services.serving(made.name, SERVER, [("0.0.0.0", WEB), ("::", WEB)]):
            yield made
    finally:
        copies.apply(INVENTORY, *hubs)
        copied.remove_rendered()


@dataclass(frozen=True)
class Traveller:
    """A road warrior's machine: a probe on the lab's internet with a tunnel to one hub."""

    probe: probe.Probe
    hub: str

    def agent(self, verb: str, **options: object) -> list[str]:
        return self.probe.run(sys.executable, str(services.AGENT), verb, json.dumps(options)).splitlines()

    def connect(self, *to: tuple[str, int]) -> list[str]:
        """Return per (address, port): ok, timeout (dropped), or what else."""
        return [line.split(" ")[0] for line in self.agent("connect", to=to, patience=4)]

    def pings(self, address: str) -> bool:
        return self.agent("ping", address=address) == ["ok"]


@contextmanager
def travelling(office: Office, user: str, hub: str, folder: Path) -> Iterator[Traveller]:
    """Bring up a user's own configuration, as `topology vpn` prints it, by wg-quick and wireguard-go."""
    plan, lab = office.plan, office.plan.district.lab
    assert lab is not None and lab.internet is not None
    wire, wire6 = ipaddress.IPv4Network(lab.internet.prefix), ipaddress.IPv6Network(lab.internet.prefix6)
    used = {a for h in plan.hosts.values() for i in h.interfaces for a in (*i.addresses, *i.shared)}
    number = next(n for n in range(250, 1, -1) if str(wire[n]) not in used)
    own = [f"{wire[number]}/{wire.prefixlen}", f"{wire6[0] + int(str(number), 16)}/{wire6.prefixlen}"]
    text = topology("vpn", str(office.copied.lab), user, "--hub", hub)
    interface = f"road-{office.name}"[:15]
    conf, names = folder / f"{interface}.conf", folder / "names"
    conf.touch(mode=0o600)
    conf.write_text(text.replace(KEY_PLACEHOLDER, office.private[user]))
    # wg-quick hands DNS to resolvconf, which this machine may lack and whose names are not to change
    stub = folder / "resolvconf"
    stub.write_text(f'#!/bin/sh\n[ "$1" = -d ] || cat >{names}\n')
    stub.chmod(0o755)
    path = f"PATH={folder}:{tools()}:{os.environ['PATH']}"
    with probe.plugged(plan, "road", "internet", own, []) as machine:
        machine.run("nft", "flush", "ruleset")  # probes are deaf
        machine.run("env", path, "wg-quick", "up", str(conf))
        try:
            assert f"nameserver {vpn_address(plan, hub, 4)}" in names.read_text()
            yield Traveller(machine, hub)
        finally:
            machine.run("env", path, "wg-quick", "down", str(conf))


def vpn_address(plan: Plan, hub: str, family: int) -> str:
    found = next(plan.hosts[hub].of_kind("vpn")).addresses
    return next(a for a in found if (":" in a) == (family == 6))


def at(plan: Plan, host: str) -> list[str]:
    """Return a host's addresses: IPv4, ULA, GUA."""
    return list(next(plan.hosts[host].of_kind("host")).addresses)


def peers(office: Office, hub: str) -> set[str]:
    return set(services.run(office.name, hub, "wg", "show", "wg0", "peers").split())


def key(office: Office, user: str) -> str:
    return wg("pubkey", stdin=office.private[user])


def hub_gateways(plan: Plan) -> list[str]:
    """Return one hub per site: where the first and the second configuration lead."""
    hubs = sorted((h for h in plan.hosts.values() if h.hub_slot is not None), key=lambda h: h.hub_slot or 0)
    return list({h.site: h.name for h in reversed(hubs)}.values())[::-1]


@pytest.mark.parametrize("which", [0, 1], ids=["first hub", "second hub"])
def test_a_user_reaches_what_zone_vpn_may_and_nothing_else(office: Office, tmp_path: Path, which: int) -> None:
    plan = office.plan
    hub = hub_gateways(plan)[which]
    server, database = at(plan, SERVER), at(plan, DATABASE)
    with travelling(office, USER, hub, tmp_path) as traveller:
        for family in (4, 6):
            resolver = vpn_address(plan, hub, family)
            assert traveller.pings(resolver), f"{hub} in family {family}"
            host = plan.hosts[hub]
            own = f"{host.short}.{host.site}.{plan.district.facts.domain}"
            loopback = next(host.of_kind("loopback")).addresses
            found = [traveller.agent("resolve", server=resolver, name=own, type=t)[0] for t in ("A", "AAAA")]
            assert found == [loopback[0], loopback[-1]]
        allowed = [(a, WEB) for a in server]
        assert traveller.connect(*allowed) == ["ok"] * len(allowed)
        assert all(traveller.pings(a) for a in server)
        forbidden = [(a, SSH) for a in server] + [(a, SQL) for a in database]
        forbidden += [(vpn_address(plan, hub, f), SSH) for f in (4, 6)]
        assert traveller.connect(*forbidden) == ["timeout"] * len(forbidden)
        record("vpn-user", hub=hub, allowed=len(allowed), dropped=len(forbidden))


def test_an_administrator_reaches_ssh(office: Office, tmp_path: Path) -> None:
    plan = office.plan
    hub = hub_gateways(plan)[0]
    with travelling(office, ADMIN, hub, tmp_path) as traveller:
        wanted = [(a, SSH) for a in (vpn_address(plan, hub, 4), vpn_address(plan, hub, 6), *at(plan, SERVER))]
        assert traveller.connect(*wanted) == ["ok"] * len(wanted)
        assert traveller.connect(*[(a, SQL) for a in at(plan, DATABASE)]) == ["timeout"] * len(at(plan, DATABASE))


def test_an_expired_user_is_out_after_the_next_apply(office: Office, tmp_path: Path) -> None:
    plan = office.plan
    hub = hub_gateways(plan)[0]
    resolver = vpn_address(plan, hub, 4)
    today = datetime.date.today()
    with travelling(office, GUEST, hub, tmp_path) as traveller:
        assert traveller.pings(resolver)
        assert key(office, GUEST) in peers(office, hub)
        try:
            office.set_users(today - datetime.timedelta(days=1))
            assert office.copied.apply(*office.hubs).changed[hub] > 0
            for gateway in office.hubs:
                assert peers(office, gateway) == {key(office, USER), key(office, ADMIN)}
            assert not traveller.pings(resolver)
            refused = subprocess.run(
                [Path(sys.executable).with_name("topology"), "vpn", office.copied.lab, GUEST],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert refused.returncode != 0 and "expired" in refused.stderr
            again = office.copied.apply(*office.hubs)
            assert set(again.changed.values()) == {0}
        finally:
            office.set_users(today + datetime.timedelta(days=1))
            office.copied.apply(*office.hubs)


def test_a_source_that_is_not_the_users_own_is_dropped(office: Office, tmp_path: Path) -> None:
    """WireGuard's own check: a user may not send as another one, who may do more."""
    plan = office.plan
    hub = hub_gateways(plan)[0]
    slot = plan.hosts[hub].hub_slot or 0
    admin = next(u for u in plan.vpn_users if u.name == ADMIN).addresses[slot][0]
    with travelling(office, USER, hub, tmp_path) as traveller:
        assert traveller.pings(vpn_address(plan, hub, 4))
        interface = f"road-{office.name}"[:15]
        traveller.probe.run("ip", "address", "add", f"{admin}/32", "dev", interface)
        traveller.probe.run("ip", "route", "replace", f"{at(plan, SERVER)[0]}/32", "dev", interface, "src", admin)
        assert traveller.connect((at(plan, SERVER)[0], SSH), (at(plan, SERVER)[0], WEB)) == ["timeout"] * 2
