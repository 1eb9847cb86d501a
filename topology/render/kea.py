"""Kea DHCPv4 and DHCPv6 of a gateway, valid for Kea 2.2 (Debian 12) to 2.6 (Debian 13, FreeBSD).

JSON is written as text: it is the same few shapes for every LAN. No control socket is opened.

A pair shares no leases: each member hands out its own half of every pool. Kea's high availability
would need a port between the members that takes commands over HTTP, and a secret for it; halves
need neither, and both members keep answering when the other is gone. For the same reason a member
is not authoritative: it must not refuse a lease that the other one gave.
"""

from __future__ import annotations

from topology import prefix as px
from topology.allocate import Host
from topology.render import nat64
from topology.render.common import Context
from topology.render.lan import Lan, domains, has_v6, lans

LEASE, LEASE_ISOLATED = 43200, 3600
"""Lease times in seconds: ordinary networks, and those of isolated zones (guests come and go)."""
V6ONLY_WAIT = 1800
"""Seconds a client that can do without IPv4 leaves DHCPv4 alone (RFC 8925, default and option 108)."""
FOLDERS = {"debian": "etc/kea", "freebsd": "usr/local/etc/kea"}
_GUA_ID = 10000
"""Subnet ids are VLAN ids; those of the GUA are this much higher."""
_SEPARATOR = ",\n"
_KEACTRL = """\
# FreeBSD's rc.d/kea starts what keactrl is told to: the two servers, and no agent that takes commands.
prefix=/usr/local
exec_prefix=${{prefix}}
kea_dhcp4_config_file=${{prefix}}/etc/kea/kea-dhcp4.conf
kea_dhcp6_config_file=${{prefix}}/etc/kea/kea-dhcp6.conf
kea_dhcp_ddns_config_file=${{prefix}}/etc/kea/kea-dhcp-ddns.conf
kea_ctrl_agent_config_file=${{prefix}}/etc/kea/kea-ctrl-agent.conf
kea_netconf_config_file=${{prefix}}/etc/kea/kea-netconf.conf
dhcp4_srv=${{exec_prefix}}/sbin/kea-dhcp4
dhcp6_srv=${{exec_prefix}}/sbin/kea-dhcp6
dhcp_ddns_srv=${{exec_prefix}}/sbin/kea-dhcp-ddns
ctrl_agent_srv=${{exec_prefix}}/sbin/kea-ctrl-agent
netconf_srv=${{exec_prefix}}/sbin/kea-netconf
dhcp4=yes
dhcp6={v6}
dhcp_ddns=no
ctrl_agent=no
netconf=no
kea_verbose=no
"""


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a gateway's DHCP servers; nothing without a network that has DHCP."""
    served = [lan for lan in lans(context, host) if lan.network.dhcp]
    if not served:
        return {}
    folder = FOLDERS[host.platform]
    found = {f"{folder}/kea-dhcp4.conf": _dhcp4(context, host, served)}
    if has_v6(context, host):
        found[f"{folder}/kea-dhcp6.conf"] = _dhcp6(context, host, served)
    if host.platform == "freebsd":
        v6 = "yes" if len(found) == 2 else "no"
        found[f"{folder}/keactrl.conf"] = f"# {context.header(host)}\n" + _KEACTRL.format(v6=v6)
    return found


def pool(host: Host) -> tuple[int, int]:
    """Return the first and last host number that a gateway hands out: of a pair, its half."""
    if host.member is None:
        return px.DHCP_FIRST, px.DHCP_LAST
    middle = (px.DHCP_FIRST + px.DHCP_LAST) // 2
    return (px.DHCP_FIRST, middle) if host.member == 2 else (middle + 1, px.DHCP_LAST)


def _general(context: Context, host: Host, served: list[Lan], family: int) -> str:
    """Return the file's head: what is the same for every LAN."""
    names = ", ".join(f'"{lan.name}"' for lan in served)
    return f"""// {context.header(host)}
{{
"Dhcp{family}": {{
  "interfaces-config": {{
    "interfaces": [{names}],
    "service-sockets-max-retries": 60,
    "service-sockets-retry-wait-time": 5000
  }},
  "lease-database": {{"type": "memfile", "persist": true, "lfc-interval": 3600}},
  "calculate-tee-times": true,
  "host-reservation-identifiers": ["hw-address"],
  "loggers": [{{
    "name": "kea-dhcp{family}", "severity": "INFO", "output_options": [{{"output": "syslog:kea-dhcp{family}"}}]
  }}],
"""


def _dhcp4(context: Context, host: Host, served: list[Lan]) -> str:
    site, domain = domains(context, host)
    first, last = pool(host)
    short = _isolated(context)
    reserved = _reserved(context, host)
    v6_only = nat64.prefix(context, host) is not None
    subnets = []
    for lan in served:
        head = lan.network.prefixes[0].rpartition(".")[0]
        router = lan.router[0]
        subnet, low, high = lan.network.prefixes[0], f"{head}.{first}", f"{head}.{last}"
        old = next((legacy for legacy in lan.interface.legacy if legacy.pool), None)
        if old is not None and old.pool is not None:  # before the cutover
            subnet, router, (low, high) = old.prefix, old.router, old.pool
        rows = [
            f'{{"hw-address": "{mac}", "hostname": "{name}", "ip-address": "{head}.{number}"}}'
            for mac, name, number in (reserved.get(lan.network.name, ()) if old is None else ())
        ]
        options = [
            ("routers", router),
            ("domain-name-servers", router),
            ("ntp-servers", router),
            ("domain-name", site),
            ("domain-search", f"{site}, {domain}"),
        ]
        if v6_only:
            options.append(("v6-only-preferred", str(V6ONLY_WAIT)))
        subnets.append(f"""    {{
      "id": {lan.network.vlan}, "subnet": "{subnet}", "interface": "{lan.name}",
      "pools": [{{"pool": "{low} - {high}"}}],
      "valid-lifetime": {LEASE_ISOLATED if lan.network.name in short else LEASE},
{_options(options)}{_reservations(rows)}
    }}""")
    authoritative = "true" if host.member is None else "false"
    head = _general(context, host, served, 4)
    return f'{head}  "authoritative": {authoritative},\n  "subnet4": [\n' + ",\n".join(subnets) + "\n  ]\n}\n}\n"


def _dhcp6(context: Context, host: Host, served: list[Lan]) -> str:
    site, domain = domains(context, host)
    first, last = pool(host)
    short = _isolated(context)
    reserved = _reserved(context, host)
    networks = []
    for lan in served:
        subnets = []
        # the GUA's first: a client that asks for one address gets the one that reaches the internet
        for index in range(len(lan.network.prefixes) - 1, 0, -1):
            prefix = lan.network.prefixes[index]
            head = prefix.removesuffix("/64")
            rows = [
                f'{{"hw-address": "{mac}", "hostname": "{name}", "ip-addresses": ["{head}{number}"]}}'
                for mac, name, number in reserved.get(lan.network.name, ())
            ]
            subnets.append(
                f'        {{"id": {lan.network.vlan + _GUA_ID * (index - 1)}, "subnet": "{prefix}",\n'
                f'      "pools": [{{"pool": "{head}{first} - {head}{last}"}}]{_reservations(rows)}}}'
            )
        # names and time from the ULA: it stays when the provider's prefix changes
        options = [
            ("dns-servers", lan.router[1]),
            ("sntp-servers", lan.router[1]),
            ("domain-search", f"{site}, {domain}"),
        ]
        lease = LEASE_ISOLATED if lan.network.name in short else LEASE
        networks.append(f"""    {{
      "name": "{lan.network.name}", "interface": "{lan.name}",
      "valid-lifetime": {lease}, "preferred-lifetime": {lease * 3 // 4},
{_options(options)},
      "subnet6": [
{_SEPARATOR.join(subnets)}
      ]
    }}""")
    return _general(context, host, served, 6) + '  "shared-networks": [\n' + ",\n".join(networks) + "\n  ]\n}\n}\n"


def _options(options: list[tuple[str, str]]) -> str:
    rows = _SEPARATOR.join(f'        {{"name": "{name}", "data": "{data}"}}' for name, data in options)
    return f'      "option-data": [\n{rows}\n      ]'


def _reservations(rows: list[str]) -> str:
    if not rows:
        return ""
    return ',\n      "reservations": [\n        ' + ",\n        ".join(rows) + "\n      ]"


def _reserved(context: Context, host: Host) -> dict[str, list[tuple[str, str, int]]]:
    """Return network -> (MAC, host name, host number) of the site's hosts that have a MAC."""
    found: dict[str, list[tuple[str, str, int]]] = {}
    for other in context.plan.sites[host.site].hosts:
        for i in other.interfaces:
            if i.mac is not None and i.network is not None and i.number is not None:
                found.setdefault(i.network, []).append((i.mac, other.short, i.number))
    return found


def _isolated(context: Context) -> set[str]:
    """Return the networks of isolated zones."""
    return {n for zone in context.plan.district.policy.zones.values() if zone.isolated for n in zone.networks}
