"""Gateways of the repository's districts, for tests of what is rendered for them."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

from topology.allocate import Host, Plan
from topology.inventory import plan_of
from topology.render.common import Context, context_of

ROOT = Path(__file__).parents[1]
INVENTORIES = {
    "luwu": ROOT / "inventories" / "luwu",
    "lab": ROOT / "inventories" / "lab",
    "lab-services": ROOT / "inventories" / "lab-services",
    "sawah": ROOT / "tests" / "districts" / "sawah",
}


@functools.cache
def context(inventory: str) -> Context:
    """Return the context of one of INVENTORIES."""
    return context_of(plan_of(INVENTORIES[inventory]))


def gateways(inventory: str) -> list[Host]:
    """Return its gateways."""
    return [h for h in context(inventory).plan.hosts.values() if h.kind == "gateway"]


def shapes() -> list[Any]:
    """Return (inventory, gateways) per distinct set of interfaces; every gateway is in one."""
    import pytest

    found: dict[tuple[str, ...], list[str]] = {}
    for inventory in INVENTORIES:
        for host in gateways(inventory):
            key = (inventory, host.platform, *sorted(i.name for i in host.of_kind("lan", "uplink")))
            found.setdefault(key, []).append(host.name)
    return [pytest.param(key[0], tuple(names), id=f"{key[0]}-{names[0]}-{len(names)}") for key, names in found.items()]


def changed(plan: Plan, site: str, *, platform: str | None = None, **data: Any) -> Context:
    """Return a context in which a site's facts are `data` and its gateways are of another platform."""
    before = plan.sites[site]
    place = replace(before.place, data=before.place.data.model_copy(update=data))
    hosts = tuple(replace(h, platform=platform) if platform and h.kind == "gateway" else h for h in before.hosts)
    after = replace(before, place=place, hosts=hosts)
    return context_of(
        replace(plan, sites=plan.sites | {site: after}, hosts=plan.hosts | {h.name: h for h in hosts})
    )  # fmt: skip
