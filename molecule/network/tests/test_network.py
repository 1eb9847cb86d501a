"""A host after the role `network`: the plan's addresses of both families, and forwarding where it is a gateway."""

from __future__ import annotations

import json

from testinfra.host import Host

from topology.allocate import Plan

MADE_ELSEWHERE = ("tunnel", "vpn")


def test_it_has_the_plans_addresses_and_no_others(box: Host, plan: Plan) -> None:
    host = plan.hosts[box.check_output("hostname")]
    links = json.loads(box.check_output("ip -json address"))
    has = {link["ifname"]: {a["local"] for a in link["addr_info"] if a["scope"] == "global"} for link in links}
    for interface in host.interfaces:
        if interface.kind not in MADE_ELSEWHERE:
            assert has[interface.name] == set(interface.addresses), interface.name


def test_only_a_gateway_forwards(box: Host, plan: Plan) -> None:
    forwards = plan.hosts[box.check_output("hostname")].kind == "gateway"
    for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        assert box.sysctl(key) == int(forwards)


def test_routes_that_others_make_are_left_alone(box: Host) -> None:
    box.check_output("ip route replace 10.200.0.0/24 dev lo")
    box.check_output("networkctl reload")
    if "topology" in box.run("cat /etc/systemd/networkd.conf.d/60-topology.conf").stdout:
        assert "10.200.0.0/24" in box.check_output("ip route show")
    box.check_output("ip route delete 10.200.0.0/24 dev lo || true")
