"""A gateway after playbooks/site.yml: it filters, its tunnels and sessions are up, its daemons answer."""

from __future__ import annotations

import json
import time

import pytest
from testinfra.host import Host

from topology.allocate import Plan


def hosts(plan: Plan) -> list[str]:
    """Return the gateways."""
    return [h.name for h in plan.hosts.values() if h.kind == "gateway"]


def test_the_filter_is_confirmed_and_drops_what_nobody_permits(box: Host) -> None:
    assert box.check_output("topology-filter status") == "confirmed"
    loaded = json.loads(box.check_output("nft -j list table inet topology"))["nftables"]
    policies = {c["chain"]["hook"]: c["chain"]["policy"] for c in loaded if c.get("chain", {}).get("hook")}
    assert {policies[hook] for hook in ("input", "forward", "output")} == {"drop"}


def test_it_filters_again_after_a_reboot_before_it_forwards(box: Host) -> None:
    order = box.check_output("systemctl show --property=Before topology-filter")
    assert "network-pre.target" in order and "systemd-sysctl.service" in order
    assert box.service("topology-filter").is_enabled
    assert box.run("systemctl is-enabled nftables").stdout.strip() == "masked"


@pytest.mark.parametrize("name", ["frr", "unbound", "kea-dhcp4-server", "kea-dhcp6-server", "radvd", "chrony"])
def test_its_daemons_run_and_start_at_boot(box: Host, name: str) -> None:
    assert box.service(name).is_running and box.service(name).is_enabled


def test_every_session_of_both_families_is_up(box: Host) -> None:
    until = time.monotonic() + 60
    while True:
        said = json.loads(box.check_output("vtysh -c 'show bgp summary json'"))
        states = [p["state"] for f in ("ipv4Unicast", "ipv6Unicast") for p in said[f]["peers"].values()]
        if states and set(states) == {"Established"}:
            return
        assert time.monotonic() < until, states
        time.sleep(1)


def test_no_private_key_is_readable_by_others_or_written_twice(box: Host) -> None:
    key = box.file("/etc/wireguard/private.key")
    assert key.mode == 0o600 and key.user == "root"
    assert box.run("grep -rlF -f /etc/wireguard/private.key /etc /var/lib/topology").stdout.split() == [
        "/etc/wireguard/private.key"
    ]


def test_names_are_answered_to_its_own_networks(box: Host) -> None:
    name = box.check_output("hostname")
    assert box.check_output("getent hosts %s", name)
    assert box.socket("udp://127.0.0.1:53").is_listening
