"""Hosts, groups and variables for Ansible and pyinfra, from a plan.

A host carries its own data only; what it is configured with lies in its rendered files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from topology import names
from topology.allocate import Host, Plan, allocate, sliced
from topology.load import load
from topology.render import postgresql
from topology.render.common import context_of

_DEVICE_GROUPS = {
    "gateway": "gateways", "switch": "switches", "radio": "radios", "hypervisor": "hypervisors", "guest": "guests",
    "server": "servers", "nas": "nas", "ups": "power", "cctv": "cameras", "door": "doors",
    "printer": "printers", "phone": "phones", "access-point": "access_points", "pc": "computers",
    "internet": "outside",
}  # fmt: skip


def plan_of(inventory: str | Path) -> Plan:
    """Return the plan of an inventory folder (a lab's slice); raises topology.load.LoadError."""
    return sliced(allocate(load(inventory)[0]))


def variables(plan: Plan, host: Host) -> dict[str, Any]:
    """Return a host's own variables: how to reach it and what it is."""
    place = plan.sites[host.site].place
    return (
        {
            "ansible_host": own_address(host),
            "topology_site": host.site,
            "topology_kind": place.kind,
            "topology_device": host.kind,
            "topology_platform": host.platform,
            "topology_features": features(plan, host),
        }
        | _gateway(plan, host)
        | _name_server(plan, host)
        | _certificate(plan, host)
        | _lab_access(plan, host)
    )


def _gateway(plan: Plan, host: Host) -> dict[str, Any]:
    if host.kind != "gateway":
        return {}
    far = [link.far_end(host.name).host for link in plan.links_of(host.name) if link.kind == "tunnel"]
    return {"topology_reach": reach(plan, host), "topology_tunnels": sorted(set(far))}


def _name_server(plan: Plan, host: Host) -> dict[str, Any]:
    """Return what a name server makes keys for: who the primary is, the views and their zones."""
    found = names.servers(plan)
    if found is None or host.name not in {h.name for h in (found.primary, *found.secondaries)}:
        return {}
    secondaries = found.secondaries if host.name == found.primary.name else (host,)
    return {
        "topology_dns": {
            "primary": found.primary.name,
            "views": {view: list(names.zone_names(plan, view)) for view in found.views},
            "secondaries": [h.name for h in secondaries],
        }
    }


def _certificate(plan: Plan, host: Host) -> dict[str, Any]:
    """Return the names for a host's certificate, for hosts of services."""
    found = postgresql.names(context_of(plan), host) if host.managed else ()
    return {"topology_names": list(found)} if found else {}


def reach(plan: Plan, host: Host) -> list[str]:
    """Return the hubs' loopbacks that prove a gateway's new rules: those at other sites, which it needs tunnels for."""
    return [next(h.of_kind("loopback")).addresses[0] for h in plan.hubs if h.site != host.site]


def features(plan: Plan, host: Host) -> list[str]:
    """Return what a host needs packages for besides the ordinary.

    Of a gateway pair, nat64, userspace-wireguard; of others database, repository (of databases' backups).
    """
    if host.kind != "gateway":
        cluster = postgresql.cluster(plan)
        if cluster is None:
            return []
        return ["database"] * (host in cluster.members) + ["repository"] * (host in cluster.repositories)
    found = []
    if host.member is not None:
        found.append("pair")
    if plan.sites[host.site].place.data.migration == "ipv6-mostly":
        found.append("nat64")
    if plan.district.lab is not None and plan.district.lab.instances == "container":
        found.append("userspace-wireguard")
    return found


def own_address(host: Host) -> str:
    """Return the address people and playbooks use: a gateway's loopback, else mgmt, else the first."""
    order = {"loopback": 0, "mgmt": 1}
    ranked = sorted(host.interfaces, key=lambda i: order.get(i.network or i.kind, 2))
    return next((i.addresses[0] for i in ranked if i.addresses), host.name)


def _lab_access(plan: Plan, host: Host) -> dict[str, Any]:
    if plan.district.lab is None:
        return {}
    from topology.lab import SSH_WRAPPER
    from topology.lab.names import LAB_USER, LabNames
    from topology.lab.slice import lab_spec

    spec = lab_spec(plan)
    names = LabNames(spec.name)
    instance = next(h for h in spec.hosts if h.name == host.name)
    address = spec.management_address(instance)
    # Without KVM a session may take half a minute to open.
    patience = {"ansible_ssh_timeout": 120, "filter_confirm_seconds": 180} if instance.kind == "vm" else {}
    return patience | {
        "ansible_host": str(address),
        # Labs share addresses: with connections and host keys of its own, none is taken for another.
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={names.known_hosts} -o ControlPath={names.state}/cp-%C",
        "ansible_ssh_executable": str(SSH_WRAPPER),
        "ansible_ssh_private_key_file": str(names.private_key),
        "ansible_ssh_transfer_method": "piped",
        "ansible_user": LAB_USER,
        "topology_authority": str(names.state / "authority"),
        "topology_known_hosts": str(names.known_hosts),
    }


def groups(plan: Plan) -> dict[str, list[str]]:
    """Return groups by name: site kinds, sites, devices, platforms, services, `managed`."""
    found: dict[str, list[str]] = {}
    for host in plan.hosts.values():
        names = [
            plan.sites[host.site].place.kind,
            f"site_{host.site.replace('-', '_')}",
            _DEVICE_GROUPS[host.kind],
            host.platform,
        ]
        if host.managed:
            names.append("managed")
        if host.application:
            names.append("applications")
        for name in names:
            found.setdefault(name, []).append(host.name)
    for name, service in plan.district.services.items():
        hosts = [h for h in service.hosts if h in plan.hosts]
        if hosts:
            found[f"service_{name.replace('-', '_')}"] = hosts
    return dict(sorted(found.items()))


def pyinfra_groups(inventory: str | Path) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Return groups of (host, data) as a pyinfra inventory file wants them; only managed hosts."""
    plan = plan_of(inventory)
    data = {h.name: _pyinfra_data(variables(plan, h), plan) for h in plan.hosts.values() if h.managed}
    return {
        group: [(host, data[host]) for host in hosts if host in data]
        for group, hosts in groups(plan).items()
        if any(host in data for host in hosts)
    }


def connection(plan: Plan, host: Host, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables by which a host is reached that pyinfra, with its data of the host, reaches."""
    theirs = {
        "ssh_hostname": "ansible_host", "ssh_port": "ansible_port", "ssh_user": "ansible_user",
        "ssh_key": "ansible_ssh_private_key_file",
    }  # fmt: skip
    return variables(plan, host) | {theirs[key]: data[key] for key in theirs if data.get(key)}


def _pyinfra_data(values: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Return a host's variables as pyinfra calls them; a lab is reached through `topology lab run`."""
    found = {"ssh_hostname": values["ansible_host"]}
    if plan.district.lab is not None:
        from topology.lab.names import LabNames

        found["ssh_user"] = values["ansible_user"]
        found["ssh_key"] = values["ansible_ssh_private_key_file"]
        found["ssh_known_hosts_file"] = str(LabNames(plan.district.lab.name).known_hosts)
    return found | {k: v for k, v in values.items() if not k.startswith("ansible_")}
