"""WireGuard: one interface per tunnel, one for a hub's VPN users; read by wg-quick(8).

A gateway has one key. It is made on the box and never leaves it: the files name the file it is
in. Routes are BGP's, so an interface takes every address (`Table = off`, AllowedIPs everything)
and has one peer. Where the kernel has no WireGuard, wg-quick starts wireguard-go by itself.

A tunnel has both families whatever the site's `migration` is: of an ipv4-only site the filter drops
IPv6 and BGP has no session for it. So a site that changes its `migration` restarts no tunnel.
"""

from __future__ import annotations

import datetime

from topology.allocate import USERS_INTERFACE, Host, Link, Plan, VpnUser
from topology.policy import TUNNEL_PORT, endpoint, tunnel_ports
from topology.render.common import Context
from topology.routing import routing_of

TUNNEL_MTU = 1420
"""1500 less an IPv6 header, UDP and WireGuard's own 32 bytes, rounded."""
USER_MTU = 1280
"""The least that IPv6 allows: a user's way to the internet is not known."""
KEEPALIVE = 25
"""Seconds between packets that keep a provider's NAT open; sent by the end behind it."""
FOLDERS = {"debian": "etc/wireguard", "freebsd": "usr/local/etc/wireguard"}
"""Platform -> where wg-quick looks."""
KEY_FILE = "private.key"
KEY_PLACEHOLDER = "PASTE-YOUR-PRIVATE-KEY-HERE"


def files(context: Context, host: Host, today: datetime.date) -> dict[str, str]:
    """Return path -> text of a gateway's WireGuard files; ValueError when the host is no gateway.

    VPN users whose `expires` is before `today` are left out.
    """
    if host.kind != "gateway":
        raise ValueError(f"{host.name} is no gateway")
    plan, folder = context.plan, FOLDERS[host.platform]
    head = f"# {context.header(host, 'keys.yml')}\n"
    v6 = plan.sites[host.site].place.data.migration != "ipv4-only"
    found = {}
    for link in routing_of(plan).links.get(host.name, ()):
        if link.kind == "tunnel":
            found[f"{folder}/{link.end_of(host.name).interface}.conf"] = head + _tunnel(plan, host, link, folder)
    if host.hub_slot is not None:
        found[f"{folder}/{USERS_INTERFACE}.conf"] = head + _users(plan, host, folder, v6, today)
    return found


def private_key_path(platform: str) -> str:
    """Return the file on a box that holds its private key; KeyError for an unknown platform."""
    return f"/{FOLDERS[platform]}/{KEY_FILE}"


def link_local(ula: str) -> str:
    """Return the link-local address of a tunnel's end: the last groups of its ULA behind fe80::.

    WireGuard makes none, and FRR opens no IPv6 session from an interface without one.
    """
    head, _, last = ula.partition("::")
    return f"fe80::{head.rsplit(':', 1)[1]}:{last}"


def _interface(addresses: list[str], port: int, folder: str) -> list[str]:
    return [
        "[Interface]",
        f"Address = {', '.join(addresses)}",
        f"ListenPort = {port}",
        f"MTU = {TUNNEL_MTU}",
        "Table = off",
        f"PostUp = wg set %i private-key /{folder}/{KEY_FILE}",
        # a new interface has no shaper, whoever made it: the role, the boot or somebody's hands
        *(["PostUp = systemctl restart --no-block topology-shape || true"] if folder == FOLDERS["debian"] else []),
    ]


def _tunnel(plan: Plan, host: Host, link: Link, folder: str) -> str:
    near, far = link.end_of(host.name), link.far_end(host.name)
    at_site = link.ends[0].host == host.name
    own_port, far_port = tunnel_ports(link)[:: 1 if at_site else -1]
    addresses = [f"{near.addresses[0]}/31", *(f"{a}/127" for a in near.addresses[1:])]
    addresses.append(f"{link_local(near.addresses[1])}/64")
    lines = _interface(addresses, own_port, folder)
    key = plan.district.keys.wireguard.get(far.host)
    if key is None:
        lines += ["", f"# No peer: the key of {far.host} is not in keys.yml."]
        return "\n".join(lines) + "\n"
    lines += ["", "[Peer]", f"# {far.host}", f"PublicKey = {key}", "AllowedIPs = 0.0.0.0/0, ::/0"]
    if at_site:
        where = endpoint(plan, far.host)
        if where is None:
            lines.append(f"# No Endpoint: {far.host} has no static address; it cannot be called.")
        else:
            lines += [f"Endpoint = {where}:{far_port}", f"PersistentKeepalive = {KEEPALIVE}"]
    return "\n".join(lines) + "\n"


def _users(plan: Plan, host: Host, folder: str, v6: bool, today: datetime.date) -> str:
    interface = next(host.of_kind("vpn"))
    lines = _interface(_hub_addresses(interface.addresses, v6), TUNNEL_PORT, folder)
    for user in plan.vpn_users:
        key = plan.district.keys.vpn_users.get(user.name)
        until = f", until {user.expires.isoformat()}" if user.expires else ""
        if user.expires is not None and user.expires < today:
            lines += ["", f"# {user.name} expired on {user.expires.isoformat()}."]
        elif key is None:
            lines += ["", f"# No peer: the key of {user.name} is not in keys.yml."]
        else:
            own = _single(user.addresses[host.hub_slot or 0], v6)
            lines += ["", "[Peer]", f"# {user.name}{until}", f"PublicKey = {key}", f"AllowedIPs = {', '.join(own)}"]
    return "\n".join(lines) + "\n"


def vpn_client(plan: Plan, user: VpnUser) -> dict[str, str]:
    """Return hub's gateway -> a user's own configuration; one of them is up at a time.

    The private key is made and pasted in by the user. Only the district goes through the
    tunnel; names are asked at the hub's resolver.
    """
    found = {}
    for hub in sorted(plan.district.facts.hubs, key=lambda h: h.slot):
        host = plan.hosts.get(hub.gateway)
        if host is None:
            continue
        lines = [
            f"# {user.name} at {hub.gateway}, {plan.district.facts.name}. Have one hub's tunnel up at a time.",
            "[Interface]",
            f"PrivateKey = {KEY_PLACEHOLDER}",
            f"Address = {', '.join(_single(user.addresses[hub.slot], True))}",
            f"MTU = {USER_MTU}",
        ]
        servers = next(host.of_kind("vpn")).addresses[:2]
        lines.append(f"DNS = {', '.join((*servers, plan.district.facts.domain))}")
        key = plan.district.keys.wireguard.get(hub.gateway)
        where = endpoint(plan, hub.gateway)
        lines += ["", "[Peer]", f"# {hub.gateway}"]
        lines.append(f"PublicKey = {key}" if key else "# The hub's key is not in keys.yml yet: this will not work.")
        lines.append(f"AllowedIPs = {', '.join(plan.district.space.aggregates)}")
        lines.append(f"Endpoint = {where}:{TUNNEL_PORT}" if where else "# The hub has no static address.")
        lines.append(f"PersistentKeepalive = {KEEPALIVE}")
        found[hub.gateway] = "\n".join(lines) + "\n"
    return found


def _hub_addresses(addresses: tuple[str, ...], v6: bool) -> list[str]:
    return [f"{a}/{64 if ':' in a else 24}" for a in addresses if v6 or ":" not in a]


def _single(addresses: tuple[str, ...], v6: bool) -> list[str]:
    return [f"{a}/{128 if ':' in a else 32}" for a in addresses if v6 or ":" not in a]
