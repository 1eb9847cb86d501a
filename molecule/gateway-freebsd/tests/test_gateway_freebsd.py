"""FreeBSD gateways after playbooks/site.yml: pf filters and its rules parse, sessions are up, CARP moves, reboot."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from testinfra.host import Host

from topology import lab
from topology.allocate import Plan
from topology.lab.slice import lab_spec


def hosts(plan: Plan) -> list[str]:
    """Return the gateways."""
    return [h.name for h in plan.hosts.values() if h.kind == "gateway"]


def until(what: str, seconds: float, look: Callable[[], bool]) -> None:
    """Wait until `look` is true."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, what
        time.sleep(1)


def carp(box: Host) -> set[str]:
    """Return the states of a gateway's shared addresses."""
    lines = [line.split() for line in box.check_output("ifconfig").splitlines()]
    return {words[1] for words in lines if words[:1] == ["carp:"]}


def test_it_is_freebsd(box: Host) -> None:
    assert box.check_output("uname -s") == "FreeBSD"


def test_its_rules_parse_are_loaded_and_confirmed(box: Host) -> None:
    for rules in ("/etc/pf.conf", "/etc/pf.fallback.conf"):
        box.check_output(f"pfctl -nf {rules}")
    assert "Status: Enabled" in box.check_output("pfctl -s info")
    assert "block drop log all" in box.check_output("pfctl -s rules")
    assert box.check_output("topology-filter status") == "confirmed"


@pytest.mark.parametrize("name", ["frr", "unbound", "kea", "chronyd", "pf", "sshd"])
def test_its_daemons_run_and_start_at_boot(box: Host, name: str) -> None:
    assert box.run(f"service {name} onestatus").rc == 0
    assert box.run(f"service {name} enabled").rc == 0


def test_every_session_of_both_families_is_up(box: Host) -> None:
    def established() -> bool:
        said = json.loads(box.check_output("vtysh -c 'show bgp summary json'"))
        states = [p["state"] for f in ("ipv4Unicast", "ipv6Unicast") for p in said[f]["peers"].values()]
        return bool(states) and set(states) == {"Established"}

    until("sessions are not up", 90, established)


def test_the_pair_shares_addresses_and_one_takes_over(plan: Plan, connect: Callable[[str], Host]) -> None:
    first, second = connect("dc-a"), connect("dc-b")
    name = lab_spec(plan).name
    roles = {h.member: h.name for h in plan.hosts.values() if h.site == "dc" and h.member}
    master = first if carp(first) == {"MASTER"} else second
    other = second if master is first else first
    assert carp(master) == {"MASTER"} and carp(other) == {"BACKUP"}, roles
    dead = "dc-a" if master is first else "dc-b"
    lab.kill_host(name, dead)
    try:
        until(f"nobody takes over from {dead}", 20, lambda: carp(other) == {"MASTER"})
    finally:
        lab.start_host(name, dead)


def test_it_filters_again_after_a_reboot(plan: Plan, connect: Callable[[str], Host]) -> None:
    name, host = lab_spec(plan).name, "diskominfo-gw"
    lab.reboot_host(name, host)
    box = connect(host)
    assert "Status: Enabled" in box.check_output("pfctl -s info")
    assert box.check_output("topology-filter status") == "confirmed"
    # rcorder(8) is the order of the boot: rules first, then interfaces, then forwarding
    order = box.check_output("sh -c 'rcorder /etc/rc.d/* /usr/local/etc/rc.d/*'").split()
    scripts = [path.rpartition("/")[2] for path in order]
    places = [scripts.index(script) for script in ("topology_filter", "netif", "routing")]
    assert places == sorted(places), places
