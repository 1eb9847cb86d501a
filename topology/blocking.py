"""Addresses blocked at every gateway: which may be, and the text of the boxes' files.

A gateway keeps the list in a file of its own, so that a reboot or a new ruleset keeps it. Linux:
/etc/topology/blocked.nft, elements of the sets in table `inet topology_block`. FreeBSD:
/etc/topology/blocked, the file of pf's table <blocked>. Both carry one entry a line.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable

from topology import prefix as px
from topology.allocate import Plan
from topology.policy import admin_prefixes

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LINUX_FILE, FREEBSD_FILE = "/etc/topology/blocked.nft", "/etc/topology/blocked"
HEAD = "# Written by deploys/block.py: dropped from and to, at every gateway. One entry a line."
SHORTEST = {4: 8, 6: 19}
"""A shorter prefix than these is a slip of the hand."""


def entries(text: object) -> tuple[str, ...]:
    """Return what a command line names: one or more entries, separated by commas; a list is taken as one."""
    if text is None:
        return ()
    words = text if isinstance(text, list | tuple) else str(text).split(",")
    return tuple(str(word).strip() for word in words if str(word).strip())


def parse(text: str) -> Network:
    """Return an address or prefix; ValueError says what is wrong with it."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        wide = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text} is neither an address nor a prefix") from None
    raise ValueError(f"{text} has host bits set; write {wide} or the address alone")


def blockable(plan: Plan, text: str) -> Network:
    """Return an entry that may be blocked; ValueError says why another may not.

    Refused are what would cut the district or its administrators off: its own prefixes whole, its
    links, tunnels and loopbacks, the hubs' addresses, where administrators come from.
    """
    found = parse(text)
    if found.is_loopback or found.is_multicast or found.is_link_local or found.is_unspecified:
        raise ValueError(f"{text} is no address of another host (loopback, link-local, multicast or unspecified)")
    if found.prefixlen < SHORTEST[found.version]:
        raise ValueError(f"{text} is too wide; the widest is /{SHORTEST[found.version]}")
    for what, prefixes in _protected(plan).items():
        for prefix in prefixes:
            other = ipaddress.ip_network(prefix)
            if other.version != found.version:
                continue
            if found.supernet_of(other) if what == "the district's own prefix" else found.overlaps(other):  # type: ignore[arg-type]
                raise ValueError(f"{text} is or holds {what} {prefix}")
    return found


def _protected(plan: Plan) -> dict[str, tuple[str, ...]]:
    space, lab = plan.district.space, plan.district.lab
    hubs = [h for h in plan.hosts.values() if h.hub_slot is not None]
    return {
        "the district's own prefix": space.aggregates,
        "the district's infrastructure": tuple(
            p for octet in (px.LINK_OCTET, px.LOOPBACK_OCTET) for p in space.reservation(octet, 0, 16)
        ),
        "a hub's own address": tuple(
            a for h in hubs for i in h.of_kind("uplink", "lan") for a in (*i.addresses, *i.shared)
        ),
        "where administrators come from,": (*admin_prefixes(plan), *((lab.management,) if lab else ())),
    }


def listed(text: str) -> tuple[Network, ...]:
    """Return the entries of a box's file (either platform's), sorted; unknown lines are passed over."""
    found = set()
    for line in text.splitlines():
        word = line.removeprefix("# entry ").strip()
        try:
            found.add(ipaddress.ip_network(word))
        except ValueError:
            continue
    return tuple(_sorted(found))


def changed(now: Iterable[Network], block: Iterable[Network], lift: Iterable[Network]) -> tuple[Network, ...]:
    """Return the entries after blocking and lifting."""
    return tuple(_sorted((set(now) | set(block)) - set(lift)))


def pf_file(nets: Iterable[Network]) -> str:
    """Return the text of FreeBSD's table file (pfctl(8): one address or prefix a line)."""
    return "".join(f"{line}\n" for line in (HEAD, *map(shown, nets)))


def nft_file(nets: Iterable[Network]) -> str:
    """Return a batch that gives both sets these elements and no others, in one transaction (nft(8))."""
    nets = tuple(nets)
    lines = [HEAD, *(f"# entry {shown(n)}" for n in nets), "add table inet topology_block"]
    for version in (4, 6):
        name = f"inet topology_block blocked{version}"
        lines += [
            f"add set {name} {{ type ipv{version}_addr; flags interval; auto-merge; }}",
            f"flush set {name}",
        ]
        if elements := ", ".join(shown(n) for n in collapsed(nets) if n.version == version):
            lines.append(f"add element {name} {{ {elements} }}")
    return "".join(f"{line}\n" for line in lines)


def collapsed(nets: Iterable[Network]) -> tuple[Network, ...]:
    """Return the same addresses as few prefixes."""
    nets = tuple(nets)
    v4 = ipaddress.collapse_addresses(n for n in nets if isinstance(n, ipaddress.IPv4Network))
    v6 = ipaddress.collapse_addresses(n for n in nets if isinstance(n, ipaddress.IPv6Network))
    return tuple(_sorted({*v4, *v6}))


def nft_elements(text: str) -> tuple[Network, ...]:
    """Return what `nft -j list table inet topology_block` says its sets hold, as few prefixes."""
    found: set[Network] = set()
    for item in json.loads(text or "{}").get("nftables", ()):
        for element in item.get("set", {}).get("elem", ()) if "set" in item else ():
            if isinstance(element, str):
                found.add(ipaddress.ip_network(element))
            elif "prefix" in element:
                found.add(ipaddress.ip_network(f"{element['prefix']['addr']}/{element['prefix']['len']}"))
            else:
                first, last = (ipaddress.ip_address(a) for a in element["range"])
                found |= set(ipaddress.summarize_address_range(first, last))
    return collapsed(found)


def shown(net: Network) -> str:
    """Return an entry as people write it: an address without its length."""
    return str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net)


def _sorted(nets: Iterable[Network]) -> list[Network]:
    return sorted(nets, key=lambda n: (n.version, int(n.network_address), n.prefixlen))


def forget_linux(net: Network) -> str:
    """Return the command that ends an entry's connections (conntrack(8) fails when there is none)."""
    family = f"-f ipv{net.version}"
    return (
        f"if command -v conntrack >/dev/null; then conntrack -D {family} -s {net} 2>/dev/null; "
        f"conntrack -D {family} -d {net} 2>/dev/null; fi; true"
    )


def forget_freebsd(net: Network) -> str:
    """Return the command that ends an entry's connections: as source, then as destination (pfctl(8), -k)."""
    anywhere = "0.0.0.0/0" if net.version == 4 else "::/0"
    return f"pfctl -q -k {shown(net)} 2>/dev/null; pfctl -q -k {anywhere} -k {shown(net)} 2>/dev/null; true"
