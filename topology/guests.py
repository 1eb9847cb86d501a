"""The virtual machines of the rollout: what vSphere is asked for, derived from the plan and vsphere.yml."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from topology.allocate import Host, Plan
from topology.plan_json import table
from topology.schema import GuestSize, Placement, VsphereFile

__all__ = ["Guest", "Nic", "NoVsphere", "as_dict", "as_table", "guests_of", "separate"]


class NoVsphere(ValueError):
    """The inventory has no vsphere.yml."""


@dataclass(frozen=True, slots=True)
class Nic:
    """A network card: its port group, and the addresses that cloud-init gives it (with length)."""

    network: str
    vlan: int
    port_group: str
    addresses: tuple[str, ...]
    routers: tuple[str, ...]
    """Empty on all but the first card."""


@dataclass(frozen=True, slots=True)
class Guest:
    """A virtual machine as vSphere is asked for it."""

    name: str
    site: str
    year: int
    title: str
    application: str | None
    services: tuple[str, ...]
    vcpu: int
    memory_mb: int
    disk_gb: int
    vcenter: str
    datacenter: str
    cluster: str
    datastore: str
    folder: str
    template: str
    template_folder: str
    tags: tuple[str, ...]
    nics: tuple[Nic, ...]
    metadata: str
    """cloud-init's guestinfo metadata: names and network, version 2."""
    userdata: str
    """cloud-init's user data: who may log in."""


def guests_of(plan: Plan, year: int | None = None) -> tuple[Guest, ...]:
    """Return the guests of the rollout up to a year (default: apps.yml's `rollout`), in order of names.

    Raises NoVsphere when the inventory has no vsphere.yml.
    """
    vsphere = plan.district.vsphere
    if vsphere is None:
        raise NoVsphere
    until = rollout(plan, year)
    found = [_guest(plan, vsphere, host, y, size) for host, y, size in _planned(plan, vsphere) if y <= until]
    return tuple(sorted(found, key=lambda g: g.name))


def rollout(plan: Plan, year: int | None = None) -> int:
    """Return the last year whose guests are made: the one asked for, else apps.yml's rollout, else any."""
    until = plan.district.apps.rollout if plan.district.apps else None
    return next((y for y in (year, until) if y is not None), 9999)


def separate(guests: Iterable[Guest]) -> dict[str, tuple[Guest, ...]]:
    """Return the guests that may not share a host, by the name of their rule: one service, one cluster."""
    members: dict[tuple[str, str, str, str], list[Guest]] = {}
    for guest in guests:
        for service in guest.services:
            members.setdefault((service, guest.vcenter, guest.datacenter, guest.cluster), []).append(guest)
    return {
        f"topology-{key[0]}-{key[3]}": tuple(sorted(found, key=lambda g: g.name))
        for key, found in sorted(members.items())
        if len(found) > 1
    }


def _planned(plan: Plan, vsphere: VsphereFile) -> Iterator[tuple[Host, int, GuestSize]]:
    apps = plan.district.apps
    for app in apps.applications if apps else ():
        for site in apps.sites if apps else ():
            host = plan.hosts.get(f"{site}-app-{app.slug}")
            if host is not None and apps is not None:
                yield host, app.year, app.size or apps.size
    for extra in vsphere.guests:
        if extra.host in plan.hosts:
            yield plan.hosts[extra.host], extra.year, extra.size


def _guest(plan: Plan, vsphere: VsphereFile, host: Host, year: int, size: GuestSize) -> Guest:
    place: Placement = vsphere.sites[host.site]
    template = vsphere.templates[place.template]
    services = tuple(sorted(n for n, s in plan.district.services.items() if host.name in s.hosts))
    nics = tuple(_nics(plan, vsphere, host))
    tags = (f"site:{host.site}", f"year:{year}", *(f"network:{n.network}" for n in nics))
    tags += (f"application:{host.application}",) if host.application else ()
    return Guest(
        name=host.name, site=host.site, year=year, title=host.description or host.name, application=host.application,
        services=services, vcpu=size.vcpu, memory_mb=size.memory_gb * 1024, disk_gb=size.disk_gb,
        vcenter=place.vcenter, datacenter=place.datacenter, cluster=place.cluster, datastore=place.datastore,
        folder=f"{vsphere.folder}/{host.site}/{nics[0].network}", template=template.vm, template_folder=template.folder,
        tags=tags + tuple(f"service:{s}" for s in services), nics=nics,
        metadata=_metadata(plan, host, nics), userdata=_userdata(plan),
    )  # fmt: skip


def _nics(plan: Plan, vsphere: VsphereFile, host: Host) -> Iterator[Nic]:
    site = plan.sites[host.site]
    gateways = plan.gateways(host.site)
    for index, interface in enumerate(i for i in host.interfaces if i.network):
        network = site.network(interface.network or "")
        lengths = [ipaddress.ip_network(p).prefixlen for p in network.prefixes]
        routers: tuple[str, ...] = ()
        if index == 0 and gateways:
            port = next(i for i in gateways[0].of_kind("lan") if i.network == network.name)
            routers = (port.shared or port.addresses)[:2]  # IPv4, and ULA: one default route a family
        yield Nic(
            network.name, network.vlan,
            vsphere.port_group.format(site=host.site, network=network.name, vlan=network.vlan),
            tuple(f"{a}/{n}" for a, n in zip(interface.addresses, lengths, strict=True)), routers,
        )  # fmt: skip


def _metadata(plan: Plan, host: Host, nics: tuple[Nic, ...]) -> str:
    cards: dict[str, Any] = {}
    for nic, interface in zip(nics, (i for i in host.interfaces if i.network), strict=True):
        card: dict[str, Any] = {
            "match": {"name": interface.name}, "dhcp4": False, "dhcp6": False, "accept-ra": False,
            "addresses": list(nic.addresses),
        }  # fmt: skip
        if nic.routers:
            card["routes"] = [{"to": "::/0" if ":" in r else "0.0.0.0/0", "via": r} for r in nic.routers]
            card["nameservers"] = {"addresses": list(nic.routers), "search": [plan.district.facts.domain]}
        cards[interface.name] = card
    data = {
        "instance-id": host.name,
        "local-hostname": f"{host.name}.{plan.district.facts.domain}",
        "network": {"version": 2, "ethernets": cards},
    }
    return yaml.safe_dump(data, sort_keys=False, width=200)


def _userdata(plan: Plan) -> str:
    people = [
        {
            "name": a.name, "gecos": a.full_name or a.name, "groups": "sudo", "shell": "/bin/bash",
            "lock_passwd": True, "sudo": "ALL=(ALL) NOPASSWD:ALL", "ssh_authorized_keys": list(a.keys),
        }
        for a in plan.district.admins
    ]  # fmt: skip
    data = {
        "timezone": plan.district.facts.timezone, "ssh_pwauth": False, "disable_root": True, "users": people,
        "growpart": {"mode": "auto", "devices": ["/"]}, "resize_rootfs": True,
    }  # fmt: skip
    return "#cloud-config\n" + yaml.safe_dump(data, sort_keys=False, width=200)


def as_dict(plan: Plan, year: int | None = None) -> dict[str, Any]:
    """Return guests and separation rules as plain data: what playbooks/guests.yml asks vSphere for."""
    guests = guests_of(plan, year)
    assert plan.district.vsphere is not None
    return {
        "year": rollout(plan, year),
        "places": [
            {"site": site} | {k: getattr(p, k) for k in ("vcenter", "datacenter", "cluster")}
            for site, p in plan.district.vsphere.sites.items()
        ],
        "guests": [asdict(g) for g in guests],
        "separate": [
            {
                "name": name,
                "guests": [g.name for g in members],
                **{k: getattr(members[0], k) for k in ("vcenter", "datacenter", "cluster")},
            }
            for name, members in separate(guests).items()
        ],
    }


def as_table(guests: Iterable[Guest]) -> str:
    """Return the guests as a table for the terminal."""
    return table(
        ("guest", "year", "vcpu", "memory", "disk", "address", "port group", "datastore", "folder"),
        (
            (
                g.name, str(g.year), str(g.vcpu), f"{g.memory_mb // 1024} GB", f"{g.disk_gb} GB",
                g.nics[0].addresses[0], ",".join(n.port_group for n in g.nics), g.datastore, g.folder,
            )
            for g in guests
        ),
    )  # fmt: skip
