"""A gateway after the role `filter`: confirmed rules, and the way back for rules that nobody confirms."""

from __future__ import annotations

import time

from testinfra.host import Host

from topology.allocate import Plan


def hosts(plan: Plan) -> list[str]:
    """Return the gateways."""
    return [h.name for h in plan.hosts.values() if h.kind == "gateway"]


def rules(box: Host) -> str:
    """Return the rules in force, without what counts."""
    return box.check_output("nft --stateless list table inet topology")


def test_the_rules_are_confirmed(box: Host) -> None:
    assert box.check_output("topology-filter status") == "confirmed"


def test_what_does_not_parse_changes_nothing(box: Host) -> None:
    before = rules(box)
    box.check_output("cp -p /etc/nftables.conf /root/kept && echo nonsense >> /etc/nftables.conf")
    assert box.run("topology-filter load").rc == 1
    assert rules(box) == before
    box.check_output("mv /root/kept /etc/nftables.conf")
    assert box.check_output("topology-filter status") == "confirmed"


def test_rules_that_nobody_confirms_go_away_by_themselves(box: Host) -> None:
    before = rules(box)
    box.check_output("echo 'add chain inet topology unconfirmed' >> /etc/nftables.conf")
    box.check_output("TOPOLOGY_CONFIRM_SECONDS=4 topology-filter load")
    assert "unconfirmed" in rules(box)
    until = time.monotonic() + 15
    while "unconfirmed" in rules(box):
        assert time.monotonic() < until
        time.sleep(0.5)
    assert rules(box) == before
    assert box.check_output("topology-filter status").startswith("restored not confirmed")
    assert "unconfirmed" not in box.file("/etc/nftables.conf").content_string
