"""From an office's legacy LAN to the plan and back: what the gateway carries of the old addresses meanwhile.

While a site's `cutover` is `legacy` or `both`, the gateway also has the old router's address on the staff LAN.
Machines with old addresses may what the zone staff may. To the rest of the district their IPv4 is translated to
the gateway's own address, whether the prefix is routed or not, so no other gateway needs to know it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from topology.schema import LegacyPrefix, Site

NETWORK = "staff"
"""The network whose wire the legacy LAN shares."""
DHCP_SHARE = (100, 250)
"""In 256ths of a legacy prefix: where its DHCP pool begins and ends, as in the plan's own networks."""


@dataclass(frozen=True, slots=True)
class Legacy:
    """An IPv4 prefix from before the plan that a gateway serves on a LAN."""

    prefix: str
    router: str
    """The old router's address, now the gateway's."""
    pool: tuple[str, str] | None = None
    """First and last address that DHCP hands out; None: it hands out the plan's."""

    @property
    def address(self) -> str:
        """Return the router's address with its length."""
        return f"{self.router}/{self.prefix.partition('/')[2]}"


def served(site: Site, network: str) -> tuple[Legacy, ...]:
    """Return what a site's gateway serves of its legacy prefixes on a network."""
    if site.cutover == "plan" or network != NETWORK:
        return ()
    entries = [p for p in site.legacy_prefixes if ":" not in p.prefix]
    return tuple(_legacy(entry, site.cutover == "legacy" and index == 0) for index, entry in enumerate(entries))


def _legacy(entry: LegacyPrefix, dhcp: bool) -> Legacy:
    prefix = ipaddress.IPv4Network(entry.prefix)
    router = entry.router or prefix[1]
    pool = None
    if dhcp:
        first, last = (prefix[prefix.num_addresses * part // 256] for part in DHCP_SHARE)
        pool = (str(first), str(last - 1))
    return Legacy(str(prefix), str(router), pool)
