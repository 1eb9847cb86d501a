"""A gateway's LANs as its services see them: interface, network and the router's addresses."""

from __future__ import annotations

from dataclasses import dataclass

from topology.allocate import Host, Interface, Network
from topology.render.common import Context


@dataclass(frozen=True, slots=True)
class Lan:
    """A LAN at a gateway."""

    interface: Interface
    network: Network
    router: tuple[str, ...]
    """The addresses clients use (IPv4, ULA, GUA): those a pair shares, or the gateway's own."""

    @property
    def name(self) -> str:
        """Name of the interface."""
        return self.interface.name


def lans(context: Context, host: Host) -> list[Lan]:
    """Return a gateway's LANs in the order of their roles; none of any other host."""
    if host.kind != "gateway":
        return []
    networks = {n.name: n for n in context.plan.sites[host.site].networks}
    return [Lan(i, networks[i.network or ""], i.shared or i.addresses) for i in host.of_kind("lan")]


def has_v6(context: Context, host: Host) -> bool:
    """Say whether the host's site has IPv6."""
    return context.plan.sites[host.site].place.data.migration != "ipv4-only"


def domains(context: Context, host: Host) -> tuple[str, str]:
    """Return the site's domain and the district's: where clients look up short names."""
    domain = context.plan.district.facts.domain
    return f"{host.site}.{domain}", domain
