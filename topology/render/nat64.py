"""NAT64 of an ipv6-mostly site: tayga on Debian.

The prefix is the site's own (RFC 6052 2.2): 64:ff9b::/96 may not carry private IPv4 addresses
(RFC 6052 3.1), and the intranet's IPv4-only hosts have those. It is a /96 in the /64 of the site's
loopbacks, `P:ffSS:64:T::/96` (P the ULA /48; S, T the site's octets, DESIGN 4): no new number, no
LAN is ever there, and it is the ULA's so that a host which has IPv4 still prefers it (RFC 6724).

tayga gives every IPv6 host an IPv4 address of a pool, number 0 of the offices, which no site ever
has. The pool never leaves the gateway: the filter hides it behind the gateway's own addresses.

FreeBSD 14.3 gets nothing: pf's `af-to` came after 14, and ipfw's nat64lsn would need ipfw beside pf.
An ipv6-mostly site with a FreeBSD gateway therefore is dual-stack (no DNS64, no DHCP option 108).
"""

from __future__ import annotations

import ipaddress

from topology import prefix as px
from topology.allocate import Host
from topology.render.common import Context

DEVICE = "nat64"
"""Name of the tunnel device between kernel and tayga."""


def prefix(context: Context, host: Host) -> str | None:
    """Return the NAT64 /96 that a gateway serves, or None when it does none."""
    place = context.plan.sites[host.site].place
    if host.kind != "gateway" or host.platform != "debian" or place.data.migration != "ipv6-mostly":
        return None
    group = px.LOOPBACK_OCTET << 8 | place.second_octet
    third = f":{place.third_octet:x}" if place.third_octet else ""
    return f"{context.plan.district.space.heads[0]}{group:x}:64{third}::/96"


def pool(context: Context) -> str:
    """Return the IPv4 prefix that IPv6 hosts appear with between tayga and the filter."""
    return f"{context.plan.district.space.first_octet}.0.0.0/18"


def mapped(nat64: str, ipv4: str) -> str:
    """Return the IPv6 prefix that an IPv4 prefix (or address) has behind a NAT64 /96 (RFC 6052 2.2).

    ValueError when either is no prefix.
    """
    inner, outer = ipaddress.IPv4Network(ipv4), ipaddress.IPv6Network(nat64)
    base = int(outer.network_address) | int(inner.network_address)
    return str(ipaddress.IPv6Network((base, outer.prefixlen + inner.prefixlen)))


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a gateway's NAT64; nothing where there is none."""
    found = prefix(context, host)
    if found is None:
        return {}
    head, space = f"# {context.header(host)}\n", pool(context)
    own = f"{context.plan.district.space.first_octet}.0.0.1"
    return {
        "etc/tayga.conf": f"""{head}tun-device {DEVICE}
ipv4-addr {own}
prefix {found}
dynamic-pool {space}
data-dir /var/lib/tayga
""",
        # in place of the package's init script, which cannot tell a tayga that died from one that runs; the
        # device comes and goes with it, its routes are systemd-networkd's, address translation is the filter's
        "etc/systemd/system/tayga.service": f"""{head}[Unit]
Description=NAT64 of this site
After=systemd-networkd.service

[Service]
StateDirectory=tayga
ExecStartPre=/usr/sbin/tayga --mktun
ExecStart=/usr/sbin/tayga --nodetach
ExecStopPost=/usr/sbin/tayga --rmtun
Restart=on-failure
RestartSec=1
CapabilityBoundingSet=CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes

[Install]
WantedBy=multi-user.target
""",
        f"etc/systemd/network/20-{DEVICE}.network": f"""{head}[Match]
Name={DEVICE}

[Link]
RequiredForOnline=no

[Network]
ConfigureWithoutCarrier=yes
LinkLocalAddressing=no
IPv6AcceptRA=no

[Route]
Destination={space}

[Route]
Destination={found}
""",
    }
