"""The rules: functions that look at the parts of an inventory and yield findings.

A rule never raises and never stops another one. Where a file could not be read, rules about
things that are missing keep quiet, so that one cause gives one finding.
"""

from __future__ import annotations

from topology.district import Parts
from topology.finding import Finding
from topology.rules import (
    addresses,
    backbone,
    devices,
    lab,
    people,
    policy,
    references,
    registry,
    sites,
    uplinks,
    vsphere,
)

_ALL = (
    registry.numbers, registry.lines_and_sites, registry.villages, registry.links, registry.vpn_users,
    sites.names, sites.gateways, sites.networks, sites.ports, sites.counts, sites.subdomains,
    addresses.district_prefixes, addresses.host_numbers, addresses.legacy, addresses.literals,
    addresses.macs,
    references.hubs, references.guests, references.services, references.applications, references.operator,
    backbone.ends, backbone.tree, backbone.losses,
    uplinks.written, uplinks.usable, uplinks.unique, uplinks.documentation,
    policy.names, policy.networks, policy.flows, policy.services, policy.published, policy.admins,
    policy.hub_addresses, policy.keys,
    vsphere.names, vsphere.sizes,
    devices.profiles, devices.choices, devices.hosts, devices.ends,
    lab.slice_exists, lab.internet, people.users,
)  # fmt: skip


def run(parts: Parts, findings: list[Finding]) -> None:
    """Run every rule on `parts` and add what they find."""
    for rule in _ALL:
        findings.extend(rule(parts))
