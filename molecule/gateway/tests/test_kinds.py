"""What carries a gateway's networks and tunnels, by the kind of its instance."""

from __future__ import annotations

import json

from topology import lab
from topology.allocate import Plan
from topology.lab.slice import lab_spec


def test_its_networks_and_tunnels_are_what_its_kind_has(plan: Plan) -> None:
    """In a virtual machine 802.1Q and WireGuard of its own kernel; in a container one port per network."""
    spec = lab_spec(plan)
    for host in (h for h in spec.hosts if plan.hosts[h.name].kind == "gateway"):
        links = json.loads(lab.exec_in(spec.name, host.name, ["ip", "-json", "-details", "link"]).stdout)
        kinds = {link["ifname"]: link.get("linkinfo", {}) for link in links}
        networks = [i for i in host.interfaces if plan_network(plan, host.name, i.name)]
        assert networks
        if host.kind == "container":
            assert {kinds[i.name]["info_kind"] for i in networks} == {"veth"}
            continue
        for interface in networks:
            vlan = kinds[interface.name]
            assert vlan["info_kind"] == "vlan" and vlan["info_data"]["id"] == interface.vlan, interface.name
        tunnels = [i.name for i in plan.hosts[host.name].interfaces if i.kind == "tunnel" and i.name in kinds]
        assert tunnels and all(kinds[t]["info_kind"] == "wireguard" for t in tunnels), tunnels
        assert lab.exec_in(spec.name, host.name, ["pgrep", "wireguard-go"]).returncode == 1


def plan_network(plan: Plan, host: str, interface: str) -> str | None:
    """Return the network that an interface of a host is in."""
    return next(i.network for i in plan.hosts[host].interfaces if i.name == interface)
