"""Router advertisements of a gateway: radvd on Debian, rtadvd on FreeBSD.

Both /64s of every network with DHCP are advertised. The autonomous flag is on beside DHCPv6
(managed and other flags): Android has no DHCPv6 client, and a client with SLAAC has an address of
each prefix. Networks without DHCP get none: their hosts have a static router.

In a Linux pair both members run radvd with the shared link-local address as source; who does not
hold it sends nothing (radvd.conf(5), AdvRASrcAddress). On FreeBSD rtadvd cannot choose its source:
it must run on the CARP master only, and short lifetimes let clients forget a dead one.

NAT64's prefix is not advertised (RFC 8781): radvd knows it from 2.20 only (Debian 12 has 2.19) and
rtadvd has nothing to serve. Clients find it through DNS64 (RFC 7050).
"""

from __future__ import annotations

from topology.allocate import Host
from topology.render.common import Context
from topology.render.lan import Lan, domains, has_v6, lans
from topology.render.pair import LINK_LOCAL

VALID, PREFERRED = 86400, 14400
"""Lifetimes of addresses in seconds: a provider's new prefix is everywhere within a day."""
_INTERVAL, _INTERVAL_PAIR = 300, 30
_LIFETIME, _LIFETIME_PAIR = 1800, 90
"""Longest interval between advertisements and the router's lifetime, in seconds (RFC 4861 6.2.1)."""
MTU = 1500


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a gateway's advertisements; nothing where no network gets any."""
    served = advertised(context, host)
    if not served:
        return {}
    names = domains(context, host)
    head = f"# {context.header(host)}\n"
    if host.platform == "freebsd":
        return {"etc/rtadvd.conf": head + "".join(_rtadvd(lan, host, names) for lan in served)}
    return {"etc/radvd.conf": head + "".join(_radvd(lan, host, names) for lan in served)}


def advertised(context: Context, host: Host) -> list[Lan]:
    """Return the LANs on which a gateway advertises itself (rc.conf's rtadvd_interfaces)."""
    if not has_v6(context, host):
        return []
    return [lan for lan in lans(context, host) if lan.network.dhcp]


def _radvd(lan: Lan, host: Host, names: tuple[str, str]) -> str:
    prefixes = "".join(
        f"    prefix {p} {{\n        AdvOnLink on;\n        AdvAutonomous on;\n"
        f"        AdvValidLifetime {VALID};\n        AdvPreferredLifetime {PREFERRED};\n    }};\n"
        for p in lan.network.prefixes[1:]
    )
    source = f"    AdvRASrcAddress {{ {LINK_LOCAL}; }};\n" if host.member else ""
    return f"""interface {lan.name} {{
    AdvSendAdvert on;
    IgnoreIfMissing on;
    AdvManagedFlag on;
    AdvOtherConfigFlag on;
    MaxRtrAdvInterval {_INTERVAL};
    AdvDefaultLifetime {_LIFETIME};
    AdvLinkMTU {MTU};
{source}{prefixes}    RDNSS {lan.router[1]} {{ AdvRDNSSLifetime {2 * _INTERVAL}; }};
    DNSSL {" ".join(names)} {{ AdvDNSSLLifetime {2 * _INTERVAL}; }};
}};
"""


def _rtadvd(lan: Lan, host: Host, names: tuple[str, str]) -> str:
    interval, lifetime = (_INTERVAL_PAIR, _LIFETIME_PAIR) if host.member else (_INTERVAL, _LIFETIME)
    prefixes = "".join(
        f'\t:addr{n}="{p.removesuffix("/64")}":prefixlen{n}#64:pinfoflags{n}="la":vltime{n}#{VALID}:pltime{n}#{PREFERRED}:\\\n'
        for n, p in enumerate(lan.network.prefixes[1:])
    )
    return (
        f"{lan.name}:\\\n"
        f'\t:maxinterval#{interval}:rltime#{lifetime}:raflags="mo":mtu#{MTU}:noifprefix:\\\n'
        f"{prefixes}"
        f'\t:rdnss="{lan.router[1]}":rdnssltime#{2 * _INTERVAL}:\\\n'
        f'\t:dnssl="{",".join(names)}":dnsslltime#{2 * _INTERVAL}:\n'
    )
