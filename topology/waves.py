"""The order in which hosts are changed: one canary, then in waves, never both halves of a pair at once."""

from __future__ import annotations

from collections.abc import Iterable

from topology.allocate import Host, Plan

CLASSES = ("skpd", "kecamatan", "desa", "drc", "dc")
"""Classes in the order they are changed: those that hurt least come first."""
WIDTH = 8
"""Hosts of a wave at most."""


def members(plan: Plan, kind: str) -> tuple[Host, ...]:
    """Return the managed hosts of a class (a hub's office counts as skpd); ValueError when there is no such class."""
    if kind not in CLASSES:
        raise ValueError(f"{kind} is no class; one of {', '.join(CLASSES)}")
    kinds = ("skpd", "hub") if kind == "skpd" else (kind,)
    return tuple(h for h in plan.hosts.values() if h.managed and plan.sites[h.site].place.kind in kinds)


def waves(hosts: Iterable[Host], canary: str | None = None, width: int = WIDTH) -> tuple[tuple[str, ...], ...]:
    """Return the hosts' names wave by wave: the canary alone, then at most `width` at once.

    Two hosts of a site are never in one wave, so a pair, a cluster and a site's own name servers
    always have one that runs; a second member of a pair comes after all first ones. The canary is
    a gateway if there is one. ValueError when it is not among the hosts.
    """
    rest = sorted(hosts, key=lambda h: (h.member == 3, h.kind != "gateway", h.name))
    if canary is not None and canary not in {h.name for h in rest}:
        raise ValueError(f"the canary {canary} is not among the hosts to change")
    if not rest:
        return ()
    first = next((h for h in rest if h.name == canary), rest[0])
    found: list[tuple[str, ...]] = [(first.name,)]
    rest.remove(first)
    while rest:
        wave: list[Host] = []
        late = rest[0].member == 3
        for host in rest:
            if len(wave) == width:
                break
            if (host.member == 3) == late and all(host.site != other.site for other in wave):
                wave.append(host)
        found.append(tuple(host.name for host in wave))
        rest = [host for host in rest if host not in wave]
    return tuple(found)
