"""unbound of a gateway: recursion with DNSSEC for its LANs, and the way to the intranet's own zones.

The district's zone and its reverse zones are asked of the DNS service's hosts and of nobody else.
They are stub zones, not forward zones: those servers are authoritative, and only a stub follows
a delegation inside such a zone. The site's own names are local data as well, made from the same plan, so
that an office that is cut off still finds its printer; types that are not here are asked as usual
(`typetransparent`).

Where the district's prefixes lie in zones that unbound answers with nothing by default (RFC 6303),
10.in-addr.arpa gets `nodefault`; of d.f.ip6.arpa and the like only the district's /48 is opened
(`transparent`), so that other people's private addresses are not asked of the internet.

Until the zones' keys are in keys.yml (or services/dns.yml, `trust_anchors`), its zones are not validated
(`domain-insecure`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from topology.allocate import Host
from topology.names import INTERNAL, PORT, SERVICE, hidden, named, port_of, zone_names
from topology.policy import ANY, GATEWAY, VPN, port, span
from topology.render import nat64
from topology.render.common import Context
from topology.render.lan import Lan, domains, has_v6, lans

PATHS = {"debian": "etc/unbound/unbound.conf.d/60-topology.conf", "freebsd": "usr/local/etc/unbound/unbound.conf"}
_DNS = 53
_IPV4ONLY = ("192.0.0.170", "192.0.0.171")
"""Well-known addresses of ipv4only.arpa (RFC 7050 2.2)."""

_SETTINGS = """\
    ip-freebind: {freebind}
    use-syslog: yes
    hide-identity: yes
    hide-version: yes
    qname-minimisation: yes
    aggressive-nsec: yes
    harden-glue: yes
    harden-dnssec-stripped: yes
    harden-below-nxdomain: yes
    minimal-responses: yes
    rrset-roundrobin: yes
    edns-buffer-size: 1232
    unwanted-reply-threshold: 10000000
    val-log-level: 1
    num-threads: 2
    msg-cache-size: 16m
    rrset-cache-size: 32m
    prefetch: yes
    prefetch-key: yes
    serve-expired: yes
    serve-expired-ttl: 86400
    serve-expired-client-timeout: 1800
"""


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a gateway's resolver."""
    if host.kind != "gateway":
        return {}
    v6 = has_v6(context, host)
    served = listening(context, host)
    rows = ["server:\n", *_listen(served, v6), *_listen_users(context, host, v6)]
    rows.append(_SETTINGS.format(freebind="yes" if host.platform == "debian" else "no"))
    rows += [f'    outgoing-port-avoid: "{span(*ports)}"\n' for ports in context.box(host).tunnel_ports]
    if host.platform == "freebsd":
        rows.append('    auto-trust-anchor-file: "/usr/local/etc/unbound/root.key"\n')
    found = nat64.prefix(context, host)
    if found is not None:
        rows.append(f'    module-config: "dns64 validator iterator"\n    dns64-prefix: {found}\n')
        rows += _discovery(found)
    else:
        rows.append('    module-config: "validator iterator"\n')
    zones = internal_zones(context)
    servers = authoritative(context, v6)
    rows += _private(context, zones)
    rows += _zones(context, zones, bool(servers))
    rows += _local(context, host, v6)
    if servers:
        asked = "".join(f"    stub-addr: {a}\n" for a in servers)
        rows += [f'stub-zone:\n    name: "{zone}"\n{asked}    stub-first: no\n' for zone in zones]
    return {PATHS[host.platform]: f"# {context.header(host)}\n" + "".join(rows)}


def listening(context: Context, host: Host) -> list[Lan]:
    """Return the LANs that the policy lets ask a gateway for names."""
    zones = _asking(context, host)
    policy = context.plan.district.policy
    networks = {n for name, zone in policy.zones.items() if name in zones for n in zone.networks}
    return [lan for lan in lans(context, host) if lan.network.name in networks]


def _asking(context: Context, host: Host) -> set[str]:
    """Return the zones that may ask a gateway for names."""
    policy = context.plan.district.policy
    kind = context.plan.sites[host.site].place.kind
    services = {ANY} | {name for name, texts in policy.services.items() if any(map(_is_dns, texts))}
    return {
        zone
        for flow in policy.flows
        if GATEWAY in flow.targets and (flow.at is None or kind in flow.at) and not services.isdisjoint(flow.services)
        for zone in flow.sources
    }


@cache
def _is_dns(text: str) -> bool:
    found = port(text)
    return found.protocol == "udp" and found.low <= _DNS <= found.high


def internal_zones(context: Context) -> tuple[str, ...]:
    """Return the names, with a final dot, of the zones that only the district's own servers know."""
    return zone_names(context.plan)


def authoritative(context: Context, v6: bool) -> list[str]:
    """Return the addresses (IPv4, then ULA) of the DNS service's hosts that may be asked, with the port if not 53."""
    service = context.plan.district.services.get(SERVICE)
    at = port_of(context.plan, INTERNAL)
    suffix = "" if at == PORT else f"@{at}"
    found: list[str] = []
    for name in service.hosts if service else ():
        other = context.plan.hosts.get(name)
        if other is not None and not hidden(other):
            found += [f"{a}{suffix}" for a in named(other)[: 2 if v6 else 1]]
    return found


def trust_anchors(context: Context) -> tuple[str, ...]:
    """Return the DNS service's trust anchors: `zone DS ...` or `zone DNSKEY ...`, one record each."""
    district = context.plan.district
    service = district.services.get(SERVICE)
    anchors: tuple[str, ...] = getattr(service, "trust_anchors", ())
    own = {zone.rstrip(".") for zone in internal_zones(context)}
    made = (f"{zone}. DS {text}" for zone, text in sorted(district.keys.dnssec.items()) if zone in own)
    return (*anchors, *made)


def _listen(served: list[Lan], v6: bool) -> Iterator[str]:
    if not v6:
        yield "    do-ip6: no\n"
    yield "    interface: 127.0.0.1\n"
    if v6:
        yield "    interface: ::1\n"
    for lan in served:
        old = (legacy.router for legacy in lan.interface.legacy)
        for address in dict.fromkeys((*lan.interface.addresses, *lan.router, *old)):
            if v6 or ":" not in address:
                yield f"    interface: {address}\n"
    for lan in served:
        for prefix in (*lan.network.prefixes, *(old.prefix for old in lan.interface.legacy)):
            if v6 or ":" not in prefix:
                yield f"    access-control: {prefix} allow\n"


def _listen_users(context: Context, host: Host, v6: bool) -> Iterator[str]:
    """Yield what lets a hub's VPN users ask; the tunnel may come up after unbound does."""
    users = next(host.of_kind("vpn"), None)
    if users is None or host.hub_slot is None or VPN not in _asking(context, host):
        return
    if host.platform == "freebsd":
        yield "    ip-transparent: yes\n"
    for address in users.addresses:
        if v6 or ":" not in address:
            yield f"    interface: {address}\n"
    for prefix in context.plan.district.space.vpn_users(host.hub_slot):
        if v6 or ":" not in prefix:
            yield f"    access-control: {prefix} allow\n"


def _discovery(prefix: str) -> Iterator[str]:
    """Yield the name by which clients find the NAT64 prefix (RFC 7050), answered here (RFC 8880 7.1)."""
    yield '    local-zone: "ipv4only.arpa." static\n'
    for address in _IPV4ONLY:
        yield f'    local-data: "ipv4only.arpa. A {address}"\n'
        yield f'    local-data: "ipv4only.arpa. AAAA {nat64.mapped(prefix, address).removesuffix("/128")}"\n'


def _private(context: Context, zones: tuple[str, ...]) -> Iterator[str]:
    """Yield the protection against names of strangers that point into the district."""
    known = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fd00::/8", "fe80::/10")
    for prefix in dict.fromkeys((*known, *context.plan.district.space.aggregates)):
        yield f"    private-address: {prefix}\n"
    yield f'    private-domain: "{zones[0]}"\n'


def _zones(context: Context, zones: tuple[str, ...], asked: bool) -> Iterator[str]:
    anchors = trust_anchors(context)
    secure = {a.split()[0].rstrip(".").lower() + "." for a in anchors}
    for anchor in anchors:
        yield f'    trust-anchor: "{anchor}"\n'
    for zone in zones:
        if zone not in secure:
            yield f'    domain-insecure: "{zone}"\n'
    # without anybody to ask, the district's zones end here instead of leaking
    if not asked:
        yield f'    local-zone: "{zones[0]}" static\n'
        return
    yield f'    local-zone: "{zones[1]}" nodefault\n'
    for zone in zones[2:]:
        yield f'    local-zone: "{zone}" transparent\n'


def _local(context: Context, host: Host, v6: bool) -> Iterator[str]:
    """Yield the names and addresses of the site's gateways and hosts."""
    site, _ = domains(context, host)
    yield f'    local-zone: "{site}." typetransparent\n'
    for other in context.plan.sites[host.site].hosts:
        addresses = named(other)
        if not addresses:
            continue
        name = f"{other.short}.{site}."
        yield f'    local-data: "{name} A {addresses[0]}"\n'
        if v6:
            # the GUA where there is one: against a ULA a client would prefer IPv4 (RFC 6724)
            yield f'    local-data: "{name} AAAA {addresses[-1]}"\n'
        for address in addresses:
            if v6 or ":" not in address:
                yield f'    local-data-ptr: "{address} {name}"\n'
