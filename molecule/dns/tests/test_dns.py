"""Name servers after playbooks/site.yml: signed zones on the primary, the same on the others, nothing for strangers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest
from testinfra.host import Host

from topology import names
from topology.allocate import Plan
from topology.names import INTERNAL, PUBLIC


def hosts(plan: Plan) -> list[str]:
    """Return the name servers."""
    found = names.servers(plan)
    assert found is not None
    return [h.name for h in (found.primary, *found.secondaries)]


@pytest.mark.parametrize("name", ["knot", "knot-public"])
def test_both_instances_run_and_start_at_boot(box: Host, name: str) -> None:
    assert box.service(name).is_running and box.service(name).is_enabled


@pytest.mark.parametrize("view", [INTERNAL, PUBLIC])
def test_every_zone_is_there_and_signed(box: Host, plan: Plan, view: str) -> None:
    for zone in names.zone_names(plan, view):
        said = box.check_output("kdig @127.0.0.1 -p %s +dnssec %s SOA", str(names.port_of(plan, view)), zone)
        assert "status: NOERROR" in said and "RRSIG" in said and "Flags: qr aa" in said


@pytest.mark.parametrize("view", [INTERNAL, PUBLIC])
def test_it_has_the_primarys_zones(connect: Callable[[str], Host], box: Host, plan: Plan, view: str) -> None:
    """Also a server that was away when they changed."""
    found = names.servers(plan)
    assert found is not None
    for zone in names.zone_names(plan, view):
        ask = f"kdig @127.0.0.1 -p {names.port_of(plan, view)} +short {zone} SOA"
        until = time.monotonic() + 60
        while not (own := box.check_output(ask)) or own != connect(found.primary.name).check_output(ask):
            assert time.monotonic() < until, (zone, own)
            time.sleep(1)


def test_the_views_differ(box: Host, plan: Plan) -> None:
    inside = box.check_output("kdig @127.0.0.1 -p %s +short dns1.dc.%s A", str(names.port_of(plan, INTERNAL)),
                              plan.district.facts.domain)  # fmt: skip
    outside = box.check_output("kdig @127.0.0.1 +short dns1.dc.%s A", plan.district.facts.domain)
    assert inside == names.named(plan.hosts["dc-dns1"])[0]
    assert outside and outside != inside


def test_nobody_takes_a_zone_without_a_key(box: Host, plan: Plan) -> None:
    said = box.run("kdig @127.0.0.1 +tcp %s AXFR", plan.district.facts.domain)
    assert "SOA" not in said.stdout.partition("ANSWER")[2] and "NOTAUTH" in said.stdout + said.stderr


def test_private_keys_are_the_daemons_alone(box: Host, plan: Plan) -> None:
    found = names.servers(plan)
    assert found is not None
    tsig = box.check_output("find /etc/knot/tsig -type f -printf '%m %u %g\\n' | sort -u").split("\n")
    assert tsig == ["640 root knot"]
    keys = box.run("find /var/lib/knot/keys/keys -type f -name '*.pem' -perm /007").stdout
    assert keys == ""
    if box.check_output("hostname") != found.primary.name:
        assert box.run("find /var/lib/knot /var/lib/knot-public -name '*.pem'").stdout == ""


def test_check_mode_finds_nothing_to_do(checked: subprocess.CompletedProcess[str]) -> None:
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr
