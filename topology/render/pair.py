"""A pair of gateways on Linux: keepalived (VRRPv3, RFC 9568) and conntrackd.

All instances move together (one sync group). The member with the lower number is preferred and
takes over again after a delay: BGP prefers it too, so packets of both directions use one box.
An interface without carrier lowers a member's priority by more than what lies between the two; as
nothing ever stops both, a LAN that both have lost costs nothing else.

VRRPv3 has no authentication. Adverts are unicast between the members' own addresses, and what
does not come from the mate with a hop limit of 255, that is from the same wire, is ignored
(RFC 5082); the filter lets protocol 112 in from the mate only.

conntrackd puts the mate's connections straight into the kernel (`DisableExternalCache`): with
nf_conntrack_tcp_loose=0 a connection goes on even if the script at a takeover fails, or while the two directions use
different boxes. `conntrackd -t` must not run then: it would flush what the mate has sent.

FreeBSD's pairs (CARP, pfsync) are made elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from topology.allocate import Host, Interface
from topology.policy import SYNC_PORT, Mate, mate_of
from topology.render.common import Context
from topology.render.lan import has_v6, lans

LINK_LOCAL = "fe80::1"
"""The link-local address a pair shares on every LAN: router advertisements come from it."""
UPLINK_ROUTER_ID = 17
"""VRRP router id of the first uplink; of a LAN it is its role's number + 1 (1 to 16)."""
PRIORITY = {2: 200, 3: 195}
"""VRRP priority by host number in the pair."""
WEIGHT_INTERFACE, WEIGHT_ROUTING = -10, -10
PREEMPT_DELAY = 60
"""Seconds a member that is better again waits: BGP and the connections must be there first."""
ADVERT = 0.5
"""Seconds between adverts: a dead member is noticed after about 3.2 times this (RFC 9568 6.1)."""
SCRIPT = "etc/keepalived/topology.sh"

_NOTIFY = """\
# Called by keepalived when this member's state changes: {usage}
config=/etc/conntrackd/conntrackd.conf

say() {{ logger -t topology-pair "$*"; }}

run() {{ conntrackd -C "$config" "$1" || say "conntrackd $1 failed"; }}

case "$1" in
primary)
    say "this gateway is primary"
    # the kernel's table, with what the mate has sent, becomes ours; then the mate gets all of it
    run -f
    run -R
    run -B
    ;;
backup)
    say "this gateway is backup"
    # ask the primary for everything it has; at boot the way to it may not be there yet, so ask again
    run -n
    (sleep 2; run -n; sleep 8; run -n) >/dev/null 2>&1 &
    ;;
fault)
    say "this gateway cannot take part"
    ;;
*)
    echo "usage: $0 {usage}" >&2
    exit 2
    ;;
esac
# the shared link-local address came or went: radvd looks again at what it may send from
if systemctl -q is-active radvd.service; then
    systemctl --no-block reload radvd.service
fi
exit 0
"""


@dataclass(frozen=True, slots=True)
class Instance:
    """One VRRP instance: shared addresses of one family on one interface."""

    name: str
    interface: str
    router_id: int
    own: str
    far: str
    shared: tuple[str, ...]
    """With lengths."""


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a Linux gateway in a pair; nothing for any other host."""
    mate = mate_of(context.plan, host)
    if mate is None or host.platform != "debian":
        return {}
    head = context.header(host)
    return {
        "etc/keepalived/keepalived.conf": f"# {head}\n" + _keepalived(context, host, tuple(instances(context, host))),
        SCRIPT: f"#!/bin/sh\n# {head}\n" + _NOTIFY.format(usage="primary|backup|fault"),
        "etc/conntrackd/conntrackd.conf": f"# {head}\n" + _conntrackd(host, mate),
    }


def instances(context: Context, host: Host) -> Iterator[Instance]:
    """Yield the VRRP instances of a gateway in a pair: every LAN in each family, then the uplinks."""
    other = _other(context, host)
    if other is None:
        return
    theirs = {i.name: i for i in other.interfaces}
    v6 = has_v6(context, host)
    for lan in lans(context, host):
        far = theirs.get(lan.name)
        if far is None or not lan.interface.shared:
            continue
        number, own = lan.network.role + 1, lan.interface.addresses
        yield Instance(
            f"{lan.network.name}4", lan.name, number, own[0], far.addresses[0], (f"{lan.interface.shared[0]}/32",)
        )  # fmt: skip
        if v6:
            # RFC 9568 5.2.9: the link-local address comes first
            rest = (f"{a}/128" for a in lan.interface.shared[1:])
            yield Instance(
                f"{lan.network.name}6", lan.name, number, own[1], far.addresses[1], (f"{LINK_LOCAL}/128", *rest)
            )  # fmt: skip
    for index, uplink in enumerate(host.of_kind("uplink")):
        far = theirs.get(uplink.name)
        if far and uplink.shared and uplink.static and far.static:
            shared = tuple(f"{a}/32" for a in uplink.shared)
            yield Instance(
                f"uplink{index}", uplink.name, UPLINK_ROUTER_ID + index, _bare(uplink), _bare(far), shared
            )  # fmt: skip


def _other(context: Context, host: Host) -> Host | None:
    if host.kind != "gateway" or host.member is None:
        return None
    return next((g for g in context.plan.gateways(host.site) if g.name != host.name), None)


def _bare(interface: Interface) -> str:
    return interface.static[0].partition("/")[0]


def _keepalived(context: Context, host: Host, found: tuple[Instance, ...]) -> str:
    names = "".join(f"        {i.name}\n" for i in found)
    tracked = "".join(
        f"        {name} weight {WEIGHT_INTERFACE}\n" for name in dict.fromkeys(i.interface for i in found)
    )
    priority = PRIORITY[host.member or 2]
    blocks = "".join(_instance(i, priority) for i in found)
    return f"""global_defs {{
    router_id {host.name}
    vrrp_version 3
    enable_script_security
    script_user root
    vrrp_garp_master_refresh 60
}}

vrrp_script routing {{
    script "/usr/bin/pgrep -x bgpd"
    interval 2
    timeout 2
    rise 2
    fall 2
    weight {WEIGHT_ROUTING}
}}

vrrp_sync_group {host.site} {{
    group {{
{names}    }}
    track_interface {{
{tracked}    }}
    track_script {{
        routing
    }}
    notify_master "/bin/sh /{SCRIPT} primary"
    notify_backup "/bin/sh /{SCRIPT} backup"
    notify_fault "/bin/sh /{SCRIPT} fault"
}}
{blocks}"""


def _instance(found: Instance, priority: int) -> str:
    addresses = "".join(f"        {a}\n" for a in found.shared)
    return f"""
vrrp_instance {found.name} {{
    state BACKUP
    interface {found.interface}
    dont_track_primary
    virtual_router_id {found.router_id}
    priority {priority}
    advert_int {ADVERT}
    preempt_delay {PREEMPT_DELAY}
    unicast_src_ip {found.own}
    unicast_ttl 255
    unicast_peer {{
        {found.far} min_ttl 255 max_ttl 255
    }}
    virtual_ipaddress {{
{addresses}    }}
}}
"""


def _conntrackd(host: Host, mate: Mate) -> str:
    """Return conntrackd.conf(5); connections of the gateway itself are its own affair.

    No filter by protocol: conntrackd looks its names up in /etc/protocols (netbase), and on a box
    without that file the filter is empty and nothing at all is sent to the mate.
    """
    own = dict.fromkeys(("127.0.0.1", "::1"))
    for interface in host.interfaces:
        own.update(dict.fromkeys((*interface.addresses, *interface.shared)))
    ignored = "".join(f"            {'IPv6' if ':' in a else 'IPv4'}_address {a}\n" for a in own)
    return f"""Sync {{
    Mode FTFW {{
        ResendQueueSize 131072
        ACKWindowSize 300
        DisableExternalCache yes
        StartupResync yes
    }}
    UDP {{
        IPv4_address {mate.own[0]}
        IPv4_Destination_Address {mate.far[0]}
        Port {SYNC_PORT}
        Interface {mate.interface}
        SndSocketBuffer 1249280
        RcvSocketBuffer 1249280
        Checksum on
    }}
}}
General {{
    Systemd on
    HashSize 32768
    HashLimit 262144
    Syslog on
    LockFile /run/lock/conntrackd.lock
    UNIX {{
        Path /run/conntrackd.ctl
    }}
    NetlinkBufferSize 2097152
    NetlinkBufferSizeMaxGrowth 8388608
    NetlinkEventsReliable on
    Filter From Userspace {{
        Address Ignore {{
{ignored}        }}
    }}
}}
"""
