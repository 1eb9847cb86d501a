"""Linux pairs: both members agree, and keepalived and conntrackd take their files."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import checkers
from tests.gateways import changed, context, gateways
from topology.allocate import Host
from topology.policy import SYNC_PORT
from topology.render import debian, pair


@pytest.fixture
def members() -> tuple[Host, Host]:
    a, b = (h for h in gateways("lab") if h.member)
    return a, b


def test_only_linux_pairs_have_it() -> None:
    assert {h.name for h in gateways("lab") if pair.files(context("lab"), h)} == {"dc-a", "dc-b"}
    assert not any(pair.files(context("luwu"), h) for h in gateways("luwu"))
    assert not any(pair.files(context("sawah"), h) for h in gateways("sawah"))


def test_members_are_each_others_mirror(members: tuple[Host, Host]) -> None:
    a, b = ({i.name: i for i in pair.instances(context("lab"), m)} for m in members)
    assert a.keys() == b.keys()
    for name, mine in a.items():
        theirs = b[name]
        assert (mine.own, mine.far) == (theirs.far, theirs.own)
        assert mine.own != mine.far
        assert (mine.interface, mine.router_id, mine.shared) == (theirs.interface, theirs.router_id, theirs.shared)
        families = {":" in a for a in (mine.own, mine.far, *mine.shared)}
        assert len(families) == 1
    # a router id is unique per wire and family
    keys = [(i.interface, ":" in i.own, i.router_id) for i in a.values()]
    assert len(set(keys)) == len(keys)


def test_every_shared_address_moves(members: tuple[Host, Host]) -> None:
    host = members[0]
    moved = {a.split("/")[0] for i in pair.instances(context("lab"), host) for a in i.shared}
    shared = {a for i in host.interfaces for a in i.shared}
    assert moved == shared | {pair.LINK_LOCAL}
    assert "198.51.100.1" in moved
    for instance in pair.instances(context("lab"), host):
        if ":" in instance.own:
            assert instance.shared[0] == f"{pair.LINK_LOCAL}/128"


def test_an_interface_weighs_more_than_the_difference_and_nothing_stops_both(members: tuple[Host, Host]) -> None:
    first, second = (pair.PRIORITY[m.member or 0] for m in members)
    assert 0 < first - second < -pair.WEIGHT_INTERFACE
    assert first - second < -pair.WEIGHT_ROUTING
    text = pair.files(context("lab"), members[0])["etc/keepalived/keepalived.conf"]
    assert text.count("dont_track_primary") == text.count("vrrp_instance ")
    worst = text.count(f"weight {pair.WEIGHT_INTERFACE}\n") * pair.WEIGHT_INTERFACE + pair.WEIGHT_ROUTING
    assert second + worst > 0


def test_an_ipv4_only_pair_has_no_ipv6() -> None:
    found = changed(context("lab").plan, "dc", migration="ipv4-only")
    host = found.plan.hosts["dc-a"]
    assert not [i for i in pair.instances(found, host) if ":" in i.own or any(":" in a for a in i.shared)]


def test_conntrackd_speaks_to_the_mate_only(members: tuple[Host, Host]) -> None:
    a, b = (pair.files(context("lab"), m)["etc/conntrackd/conntrackd.conf"] for m in members)

    def ends(text: str) -> tuple[str, str]:
        own = re.search(r"^        IPv4_address (\S+)$", text, re.MULTILINE)
        far = re.search(r"^        IPv4_Destination_Address (\S+)$", text, re.MULTILINE)
        assert own
        assert far
        return own[1], far[1]

    assert ends(a) == ends(b)[::-1] == ("10.129.0.2", "10.129.0.3")
    assert f"Port {SYNC_PORT}\n" in a
    assert "DisableExternalCache yes" in a
    ignored = set(re.findall(r"^            IPv[46]_address (\S+)$", a, re.MULTILINE))
    assert {x for i in members[0].interfaces for x in (*i.addresses, *i.shared)} <= ignored


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A PATH with programs that only write down how they were called."""
    for name in ("conntrackd", "systemctl", "logger"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{tmp_path}/calls"\n')
        program.chmod(0o755)
    yield {"PATH": f"{tmp_path}:/usr/bin:/bin", "CALLS": f"{tmp_path}/calls"}


def test_no_filter_by_protocol_names_that_a_small_system_lacks(members: tuple[Host, Host]) -> None:
    for member in members:
        assert "Protocol Accept" not in pair.files(context("lab"), member)["etc/conntrackd/conntrackd.conf"]


def test_members_bind_addresses_that_come_later() -> None:
    for host in gateways("lab"):
        text = debian.files(context("lab"), host)["etc/sysctl.d/60-topology.conf"]
        for family in ("ipv4", "ipv6"):
            assert (f"net.{family}.ip_nonlocal_bind = 1" in text) == (host.member is not None), host.name


@pytest.mark.parametrize(
    ("state", "calls"),
    [("primary", ["-f", "-R", "-B"]), ("backup", ["-n"]), ("fault", [])],
)
def test_the_script_never_flushes_what_the_mate_has_sent(
    state: str, calls: list[str], members: tuple[Host, Host], fake: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text(pair.files(context("lab"), members[0])[pair.SCRIPT])
    subprocess.run(["sh", str(script), state], env=fake, check=True)
    rows = Path(fake["CALLS"]).read_text().splitlines()
    head = "conntrackd -C /etc/conntrackd/conntrackd.conf "
    assert [r.removeprefix(head) for r in rows if r.startswith("conntrackd")] == calls
    assert "systemctl --no-block reload radvd.service" in rows


def test_the_script_refuses_other_words(members: tuple[Host, Host], fake: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(pair.files(context("lab"), members[0])[pair.SCRIPT])
    assert subprocess.run(["sh", str(script), "x"], env=fake, check=False, stderr=subprocess.DEVNULL).returncode == 2


def _interfaces(host: Host) -> list[str]:
    return [i.name for i in host.of_kind("lan", "uplink")]


@pytest.mark.checkers
def test_keepalived_takes_it(members: tuple[Host, Host], tmp_path: Path) -> None:
    checker = checkers.need("keepalived")
    files = []
    for member in members:
        files.append(tmp_path / f"{member.name}.conf")
        files[-1].write_text(pair.files(context("lab"), member)["etc/keepalived/keepalived.conf"])
    broken = tmp_path / "broken.conf"
    broken.write_text(files[0].read_text().replace("preempt_delay", "preempt_dely"))
    results = checker.run_each(["-t", "-f", "{}"], [*files, broken], _interfaces(members[0]))
    assert [(r.code, r.output) for r in results[:2]] == [(0, ""), (0, "")]
    assert results[2].code != 0


@pytest.mark.checkers
def test_conntrackd_takes_it(members: tuple[Host, Host], tmp_path: Path) -> None:
    """conntrackd has no check: it is asked for statistics, which it refuses only after reading its file."""
    checker = checkers.need("conntrackd")
    files = []
    for member in members:
        files.append(tmp_path / f"{member.name}.conf")
        files[-1].write_text(
            pair.files(context("lab"), member)["etc/conntrackd/conntrackd.conf"].replace("/run/", f"{tmp_path}/")
        )
    broken = tmp_path / "broken.conf"
    broken.write_text(files[0].read_text().replace("FTFW", "FTFX"))
    results = checker.run_each(["-C", "{}", "-s"], [*files, broken], _interfaces(members[0]))
    assert ["can't connect" in r.output for r in results] == [True, True, False]
    assert ["parsing config file" in r.output or "WARNING" in r.output for r in results] == [False, False, True]


def test_routing_does_not_wait_for_what_waits_for_the_network() -> None:
    """frr.service is before network.target, tunnels are after network-online.target: a cycle loses tunnels at boot."""
    for host in gateways("lab"):
        text = debian.files(context("lab"), host)["etc/systemd/system/frr.service.d/60-topology.conf"]
        waits = [word for line in text.splitlines() if line.startswith("After=") for word in line[6:].split()]
        assert not [w for w in waits if w.startswith("wg-quick@") or w in ("network.target", "network-online.target")]
