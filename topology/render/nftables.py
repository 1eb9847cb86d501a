"""nftables of a Linux gateway: the filter, and the fallback that leaves management only.

`etc/nftables.conf` replaces its own two tables in one transaction (`nft -f`): `inet topology`
holds the filter, `inet topology_block` the addresses blocked at every gateway, whose sets keep
their elements when the file is loaded again. Other tables are left alone.

Every rule that lets a connection through counts in a counter named by the policy's label; every
drop counts in `drop-<reason>`. Interface names are matched as text, so the file loads whatever
interfaces there are.

Checked at arrival (before the routing decision, for established connections as well): sources
that do not belong to the interface. Then, in input, forward and output: answers by connection
tracking, hand rules (chain `site`), and the zone matrix: `from_<zone>` jumps to
`<zone>_to_<zone>`. Zones behind the links are told apart by address and add up.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from topology import policy
from topology.allocate import Host, Interface
from topology.policy import Box, Port, Rule, Zone, span
from topology.render import nat64
from topology.render.common import Context, fill

TUNNEL_MSS = (1380, 1360)
"""Largest TCP segment in a tunnel of MTU 1420, IPv4 and IPv6 (RFC 9293, 3.7.1)."""
_MARTIANS4 = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "198.18.0.0/15", "224.0.0.0/3")
_PRIVATE4 = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
_MARTIANS6 = ("::/8", "100::/64", "fc00::/7", "fec0::/10", "ff00::/8")
_BY_ADDRESS = (policy.HUB, policy.VPN, policy.ADMIN)
"""Zones that are addresses behind the same links as the intranet."""
_DHCP4, _DHCP6 = Port("udp", 67, 67), Port("udp", 547, 547)
_SSH = Port("tcp", 22, 22)
_OWN = (_DHCP4, _DHCP6, _SSH)
"""Services of the gateway that have rules of their own form."""
_COUNTER = re.compile(r"counter name ([^ \n]+)")
_DROP = re.compile(r"(?:goto|jump) drop_([a-z0-9_]+)")
_SET = re.compile(r"@([a-z0-9_]+)")
_QUIET = frozenset({"invalid", "echo"})
"""Drops that are counted and not logged: noise of the internet and of closed connections."""


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a Debian gateway's filter and fallback; ValueError when it is no gateway."""
    box = context.box(host)
    header = context.header(host, "policy.yml")
    return {
        "etc/nftables.conf": ruleset(context, box, header),
        "etc/topology/fallback.nft": fallback(context, box, header),
    }


def ruleset(context: Context, box: Box, header: str) -> str:
    """Return the text of /etc/nftables.conf."""
    here = _Here(context, box)
    pairs = _Pairs(box, here)
    mate = _Mate(context, box)
    body = fill(
        "debian/nftables.conf.j2",
        box=box,
        arrival=list(_arrival(box, here)),
        lan_set=_names(i.name for i in box.lans),
        dhcp_uplinks=_names(i.name for i in box.uplinks if not i.static),
        listens=list(_listens(box)),
        answers=list(_tunnel_answers(box)),
        mate=mate,
        isolated=list(_isolated(box)),
        input=list(pairs.to_gateway()),
        forward=list(pairs.forward()),
        output=list(pairs.from_gateway()),
        chains=pairs.chains(),
        published=list(_published(box)),
        redirects=list(_redirects(box)),
        translations=list(_translations(box, here)),
        nat64=here.nat64,
        nat64_pool=here.pool,
        nat64_device=nat64.DEVICE,
        nat64_district=here.mapped(box.aggregates),
        cutover=sorted({name for name, _ in here.legacy}),
        transit=_stateless_transit(box),
        tunnels=_names(n for n in box.links if n.startswith("wg")),
        mss=TUNNEL_MSS,
        bgp=policy.BGP_PORT,
        bfd=policy.BFD_PORT,
        sync=policy.SYNC_PORT,
    )
    drops = "".join(_drop_chain(name) for name in sorted(set(_DROP.findall(body))))
    counters = sorted(set(_COUNTER.findall(body + drops)))
    known = _sets(box, here, mate)
    used = set(_SET.findall(body))
    return fill(
        "debian/nftables.table.j2",
        header=header,
        counters=counters,
        sets=[known[name] for name in known if name in used],
        body=body,
        drops=drops,
    )


def fallback(context: Context, box: Box, header: str) -> str:
    """Return the text of the ruleset that lets management in and nothing else.

    SSH from where administrators come (and the lab's controller), what keeps the links up
    (WireGuard, BGP, BFD), and neighbour discovery.
    """
    admin = box.zones.get(policy.ADMIN)
    body = fill(
        "debian/fallback.nft.j2",
        box=box,
        admins=[(_names(a.interfaces), a.of(4), a.of(6)) for a in (admin.attachments if admin else ())],
        listens=list(_listens(box)),
        answers=list(_tunnel_answers(box)),
        bgp=policy.BGP_PORT,
        bfd=policy.BFD_PORT,
        lan_set=_names(i.name for i in box.lans),
        dhcp_uplinks=_names(i.name for i in box.uplinks if not i.static),
    )
    drops = "".join(_drop_chain(name) for name in sorted(set(_DROP.findall(body))))
    known = _sets(box, _Here(context, box), None)
    used = set(_SET.findall(body))
    return fill(
        "debian/nftables.table.j2",
        header=header,
        counters=sorted(set(_COUNTER.findall(body + drops))),
        sets=[known[name] for name in known if name in used],
        body=body,
        drops=drops,
        fallback=True,
    )


class _Here:
    """What a gateway's own site has that the policy does not say."""

    def __init__(self, context: Context, box: Box) -> None:
        site, slot = context.plan.sites[box.host.site], box.host.hub_slot
        self.dhcp = frozenset(i.name for i in box.lans if site.network(i.network or "").dhcp)
        """LAN interfaces with a DHCP server."""
        self.legacy = [(lan.name, p.prefix) for lan in box.lans for p in lan.legacy]
        """(interface, prefix) from before the plan, during a cutover."""
        before = tuple(p for _, p in self.legacy)
        self.prefixes = {n.name: n.prefixes for n in site.networks}
        for lan in box.lans:
            if lan.legacy:
                self.prefixes[lan.network or ""] += tuple(p.prefix for p in lan.legacy)
        self.lans = (*(p for n in site.networks for p in n.prefixes), *before)
        self.users = () if slot is None else context.plan.district.space.vpn_users(slot)
        """Prefixes of a hub's VPN users."""
        # not the site's whole prefix: a kecamatan's villages are inside it and come over the links
        self.own = (*(p for n in site.networks for p in n.reserved), *self.users, *before)
        self.nat64 = nat64.prefix(context, box.host) if box.v6 else None
        self.pool = nat64.pool(context) if self.nat64 else ""
        self.loopback4 = next(box.host.of_kind("loopback")).addresses[0]

    def mapped(self, prefixes: Iterable[str]) -> str:
        """Return where IPv4 prefixes are behind the NAT64, as nft's text; empty without one."""
        return _list(nat64.mapped(self.nat64, p) for p in _of(prefixes, 4)) if self.nat64 else ""


class _Pairs:
    """The zone matrix: a chain per pair of zones that has rules, and how packets get there."""

    def __init__(self, box: Box, here: _Here) -> None:
        self.box = box
        self.here = here
        self.rules: dict[tuple[str, str], list[Rule]] = {}
        for rule in box.rules:
            self.rules.setdefault((rule.source, rule.target), []).append(rule)

    def chains(self) -> list[tuple[str, list[str]]]:
        """Return (chain, lines) of every pair of zones."""
        found = []
        for (source, target), rules in self.rules.items():
            lines = []
            for rule in rules:
                lines += _permit(self.box, rule, self.here.dhcp)
            found.append((_chain(source, target), lines))
        return found

    def to_gateway(self) -> Iterator[str]:
        """Yield the lines of chain input that send a packet to its zones' chains."""
        for zone in self.box.zones.values():
            if (zone.name, policy.GATEWAY) in self.rules:
                for where in self._behind(zone, "iifname", "saddr"):
                    yield f"{where} jump {_chain(zone.name, policy.GATEWAY)}"

    def from_gateway(self) -> Iterator[str]:
        """Yield the lines of chain output."""
        for zone in self.box.zones.values():
            if (policy.GATEWAY, zone.name) in self.rules:
                for where in self._behind(zone, "oifname", "daddr"):
                    yield f"{where} jump {_chain(policy.GATEWAY, zone.name)}"

    def forward(self) -> Iterator[tuple[str, list[str]]]:
        """Yield (chain from_<zone>, its lines); `ways` says how a packet gets there."""
        for source in self.box.zones.values():
            lines = []
            for target in self.box.zones.values():
                if target.name != policy.GATEWAY and (source.name, target.name) in self.rules:
                    for where in (*self._behind(target, "oifname", "daddr"), *self._through_nat64(target)):
                        lines.append(f"{where} jump {_chain(source.name, target.name)}")
            ways = list(self._behind(source, "iifname", "saddr", source=True))
            if lines and ways:
                yield f"from_{source.name}", [*ways, "-", *lines]

    def _behind(self, zone: Zone, interface: str, address: str, source: bool = False) -> Iterator[str]:
        """Yield the matches of a zone's packets: interfaces, and addresses where those tell zones apart."""
        for attachment in zone.attachments:
            names = _where(self.box, attachment.interfaces)
            if zone.kind == policy.INTERNET:
                uplink = attachment.interfaces[0] not in self.box.links
                if not uplink and (source or address == "saddr"):
                    continue  # what the internet opens never comes over a link
                if 4 in attachment.families:
                    yield f"{interface} {names} meta nfproto ipv4"
                if 6 in attachment.families and self.box.v6:
                    yield f"{interface} {names} ip6 {address} 2000::/3 ip6 {address} != @district6"
            elif attachment.interfaces[0] not in self.box.links:
                yield f"{interface} {names}"
            else:
                base = "district" if zone.name == policy.INTRANET else zone.name
                if attachment.of(4):
                    yield f"{interface} {names} ip {address} @{base}4"
                if attachment.of(6) and self.box.v6:
                    yield f"{interface} {names} ip6 {address} @{base}6"

    def _through_nat64(self, zone: Zone) -> Iterator[str]:
        """Yield the matches of IPv6 packets on their way to a zone's IPv4 addresses."""
        here = self.here
        if not here.nat64:
            return
        head = f'oifname "{nat64.DEVICE}" ip6 daddr'
        if zone.kind == policy.INTERNET:
            yield f"{head} {here.nat64} ip6 daddr != {here.mapped(self.box.aggregates)}"
        elif zone.kind == policy.INTRANET:
            yield f"{head} {here.mapped(self.box.aggregates)} ip6 daddr != {here.mapped(here.own)}"
        else:
            yield f"{head} {here.mapped(p for a in zone.attachments for p in a.prefixes)}"


class _Mate:
    """The other member of a pair: where VRRP announcements and keeping in step come from."""

    def __init__(self, context: Context, box: Box) -> None:
        self.interface = box.mate.interface if box.mate else None
        self.own = box.mate.own if box.mate else ()
        self.far = box.mate.far if box.mate else ()
        self.vrrp: dict[int, list[str]] = {4: [], 6: []}
        """Elements of the set of announcers by family: keepalived speaks to its mate's own addresses."""
        if box.mate is None:
            return
        other = context.plan.hosts[box.mate.host]
        shared = [i for i in (*box.lans, *box.uplinks) if i.shared]
        place = {(i.network, i.uplink.name if i.uplink else None): i for i in other.of_kind("lan", "uplink")}
        for near in shared:
            far = place[near.network, near.uplink.name if near.uplink else None]
            for address in far.addresses:
                self.vrrp[6 if ":" in address else 4].append(f'"{near.name}" . {address}')


def _chain(source: str, target: str) -> str:
    return f"{source}_to_{target}"


def _names(names: Iterable[str]) -> str:
    """Return interface names as nft's text: one name or a set, empty for none."""
    quoted = [f'"{n}"' for n in names]
    return quoted[0] if len(quoted) == 1 else f"{{ {', '.join(quoted)} }}" if quoted else ""


def _where(box: Box, interfaces: tuple[str, ...]) -> str:
    if interfaces == box.links:
        return "@links"
    if interfaces == tuple(i.name for i in box.uplinks):
        return "@uplinks"
    return _names(interfaces)


def _list(values: Iterable[str]) -> str:
    """Return values as nft's text: one value or an anonymous set."""
    found = list(values)
    return found[0] if len(found) == 1 else f"{{ {', '.join(found)} }}"


def _of(prefixes: Iterable[str], family: int) -> list[str]:
    return [p for p in prefixes if (":" in p) == (family == 6)]


def _elements(prefixes: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(prefixes))


def _sets(box: Box, here: _Here, mate: _Mate | None) -> dict[str, str]:
    """Return name -> declaration of the sets that rules may use."""
    found: dict[str, str] = {}

    def addresses(name: str, prefixes: Iterable[str]) -> None:
        every = tuple(prefixes)
        for family, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
            if chosen := _of(every, family):
                found[f"{name}{family}"] = (
                    f"set {name}{family} {{ type {kind}; flags interval; auto-merge; "
                    f"elements = {{ {_elements(chosen)} }}; }}"
                )

    def interfaces(name: str, names: Iterable[str]) -> None:
        if text := ", ".join(f'"{n}"' for n in names):
            found[name] = f"set {name} {{ type ifname; elements = {{ {text} }}; }}"

    interfaces("links", box.links)
    interfaces("uplinks", (i.name for i in box.uplinks))
    addresses("district", box.aggregates)
    addresses("own", here.own)
    for name in _BY_ADDRESS:
        zone = box.zones.get(name)
        addresses(
            name, (p for a in (zone.attachments if zone else ()) if a.interfaces == box.links for p in a.prefixes)
        )
    peers: dict[int, list[str]] = {4: [], 6: []}
    for peer in box.peers:
        for own, far in zip(peer.own, peer.far, strict=True):
            peers[6 if ":" in own else 4].append(f'"{peer.interface}" . {own} . {far}')
    if mate is not None and mate.interface:
        for own, far in zip(mate.own, mate.far, strict=True):
            peers[6 if ":" in own else 4].append(f'"{mate.interface}" . {own} . {far}')
    for family, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        if peers[family]:
            found[f"peers{family}"] = (
                f"set peers{family} {{ type ifname . {kind} . {kind}; elements = {{ {', '.join(peers[family])} }}; }}"
            )
        for name in ("wireguard_rate", "ssh_rate"):
            found[f"{name}{family}"] = (
                f"set {name}{family} {{ type {kind}; size 65535; flags dynamic,timeout; timeout 2m; }}"
            )
        if mate is not None and mate.vrrp[family]:
            elements = ", ".join(mate.vrrp[family])
            found[f"mates{family}"] = f"set mates{family} {{ type ifname . {kind}; elements = {{ {elements} }}; }}"
    return found


def _drop_chain(name: str) -> str:
    """Return the chain that logs (at a limited rate), counts and drops for one reason."""
    said = name.replace("_", "-")
    log = "" if name in _QUIET else f'    limit rate 5/second burst 10 packets log prefix "topology {said}: "\n'
    return f"  chain drop_{name} {{\n{log}    counter name drop-{said} drop\n  }}\n\n"


def _permit(box: Box, rule: Rule, dhcp: frozenset[str]) -> list[str]:
    """Return the accepting lines of a rule, one per protocol; all count in the rule's label."""
    families = rule.families if box.v6 else tuple(f for f in rule.families if f == 4)
    counted = f"counter name {rule.label} accept"
    if not rule.ports:
        return [f"{_family(families)}{counted}"] if families else []
    lines: list[str] = []
    for protocol in ("tcp", "udp"):
        ports = [p for p in rule.ports if p.protocol == protocol]
        if rule.target == policy.GATEWAY:
            lines += _special(box, rule, [p for p in ports if p in _OWN], families, counted, dhcp)
            ports = [p for p in ports if p not in _OWN]
        if ports and families:
            text = _list(span(p.low, p.high) for p in ports)
            lines.append(f"{_family(families)}{protocol} dport {text} {counted}")
    if any(p.protocol == "icmp" for p in rule.ports):
        limit = "limit rate 200/second burst 400 packets " if rule.target == policy.GATEWAY else ""
        if 4 in families:
            lines.append(f"icmp type echo-request {limit}{counted}")
        if 6 in families:
            lines.append(f"icmpv6 type echo-request {limit}{counted}")
    return lines


def _special(
    box: Box, rule: Rule, ports: list[Port], families: tuple[int, ...], counted: str, dhcp: frozenset[str]
) -> Iterator[str]:
    """Yield the lines of the gateway's DHCP servers (where a network has one) and SSH (limited per source)."""
    if _SSH in ports:
        for family, word in ((4, "ip"), (6, "ip6")):
            if family in families:
                yield (
                    f"tcp dport 22 add @ssh_rate{family} {{ {word} saddr limit rate over 30/minute burst 40 packets }} "
                    "goto drop_ssh_rate"
                )
        yield f"{_family(families)}tcp dport 22 {counted}"
    zone = box.zones[rule.source]
    serving = _names(n for a in zone.attachments for n in a.interfaces if n in dhcp)
    if serving and zone.kind == "local":
        if _DHCP4 in ports and 4 in families:
            yield f"iifname {serving} meta nfproto ipv4 udp sport 68 udp dport 67 {counted}"
        if _DHCP6 in ports and 6 in families:
            yield f"iifname {serving} ip6 saddr fe80::/10 udp sport 546 udp dport 547 {counted}"


def _family(families: tuple[int, ...]) -> str:
    return "" if len(families) == 2 else f"meta nfproto ipv{families[0]} "


def _arrival(box: Box, here: _Here) -> Iterator[tuple[str, str, list[str]]]:
    """Yield (match, chain, lines): per interface, the sources that may come; the rest is dropped."""
    for lan in box.lans:
        prefixes = here.prefixes[lan.network or ""]
        yield f'"{lan.name}"', f"arrival_lan_{_word(lan.name)}", list(_arrival_lan(box, lan, prefixes))
    for users in box.host.of_kind("vpn"):
        yield f'"{users.name}"', "arrival_users", list(_only(here.users, box.v6))
    if here.nat64:
        yield f'"{nat64.DEVICE}"', "arrival_nat64", list(_only((here.pool, here.nat64), True))
    if box.links:
        yield "@links", "arrival_link", list(_arrival_link(box))
    for uplink in box.uplinks:
        yield f'"{uplink.name}"', f"arrival_uplink_{_word(uplink.name)}", list(_arrival_uplink(box, uplink))


def _only(prefixes: tuple[str, ...], v6: bool) -> Iterator[str]:
    yield f"ip saddr {_list(_of(prefixes, 4))} return"
    if v6 and _of(prefixes, 6):
        yield f"ip6 saddr {_list(_of(prefixes, 6))} return"
    yield "goto drop_spoofed"


def _word(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def _arrival_lan(box: Box, lan: Interface, prefixes: tuple[str, ...]) -> Iterator[str]:
    yield f"ip saddr {_list(_of(prefixes, 4))} return"
    yield "ip saddr 0.0.0.0 udp sport 68 udp dport 67 return"
    yield "ip saddr 0.0.0.0 ip protocol igmp return"
    if box.v6:
        yield f"ip6 saddr {_list([*_of(prefixes, 6), 'fe80::/10'])} return"
        yield "ip6 saddr :: icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld2-listener-report } return"
    if box.mate is not None and lan.name == box.mate.interface:
        # the other member passes on answers that reached it for connections this one knows
        yield "ct state established,related return"
    yield "goto drop_spoofed"


def _arrival_link(box: Box) -> Iterator[str]:
    yield "ip saddr @own4 goto drop_own_source"
    yield "ip saddr @district4 return"
    if box.v6:
        yield "ip6 saddr @own6 goto drop_own_source"
        yield "ip6 saddr @district6 return"
        yield "ip6 saddr fe80::/10 return"
        yield "ip6 saddr :: icmpv6 type { nd-neighbor-solicit, mld2-listener-report } return"
        if not box.hub:
            # the hubs are this site's way to the IPv6 internet: its answers, nothing that it opens
            yield "ip6 saddr 2000::/3 ct state established,related return"
    yield "goto drop_foreign_source"


def _arrival_uplink(box: Box, uplink: Interface) -> Iterator[str]:
    static = [str(ipaddress.ip_interface(a).network) for a in uplink.static]
    near4, near6 = _of(static, 4), _of(static, 6)
    yield "udp sport 67 udp dport 68 return"
    if near4:
        yield f"ip saddr {_list(near4)} return"
    martians = _martians(box.aggregates, bool(near4))
    yield f"ip saddr {{ {', '.join(_of(martians, 4))} }} goto drop_martian"
    if box.v6:
        yield f"ip6 saddr {_list([*near6, 'fe80::/10'])} return"
        yield "ip6 saddr :: icmpv6 type { nd-neighbor-solicit, mld2-listener-report } return"
        yield f"ip6 saddr {{ {', '.join(_of(martians, 6))} }} goto drop_martian"


@lru_cache(maxsize=8)
def _martians(aggregates: tuple[str, ...], known: bool) -> tuple[str, ...]:
    """Return the prefixes that are no source on the internet.

    Where the uplink's own subnet is not known (DHCP), private and shared addresses that are not
    the district's pass: lines are often behind a provider's NAT.
    """
    found = [*_MARTIANS4, *_MARTIANS6, *aggregates, *(_PRIVATE4 if known else ())]
    v4 = ipaddress.collapse_addresses(ipaddress.IPv4Network(p) for p in found if ":" not in p)
    v6 = ipaddress.collapse_addresses(ipaddress.IPv6Network(p) for p in found if ":" in p)
    return (*map(str, v4), *map(str, v6))


def _listens(box: Box) -> Iterator[str]:
    """Yield the lines for WireGuard's ports on the uplinks."""
    if not box.uplinks:
        return
    for listen in box.listens:
        ports = span(listen.port, listen.last)
        label = f"wireguard-{listen.port}"
        for family, word in ((4, "ip"), (6, "ip6")):
            if family == 6 and not box.v6:
                continue
            if listen.sources:
                if near := _of(listen.sources, family):
                    yield f"iifname @uplinks {word} saddr {_list(near)} udp dport {ports} counter name {label} accept"
            else:
                yield (
                    f"iifname @uplinks udp dport {ports} add @wireguard_rate{family} "
                    f"{{ {word} saddr limit rate over 20/second burst 60 packets }} goto drop_wireguard_rate"
                )
        if not listen.sources:
            yield f"iifname @uplinks udp dport {ports} counter name {label} accept"


def _tunnel_answers(box: Box) -> Iterator[str]:
    """Yield the lines of chain output for what WireGuard sends."""
    if not box.uplinks:
        return
    for listen in box.listens:
        ports = span(listen.port, listen.last)
        for word, family in (("ip", 4), ("ip6", 6)):
            if near := _of(listen.sources, family):
                yield (
                    f"oifname @uplinks {word} daddr {_list(near)} udp sport {ports} counter name wireguard-sent accept"
                )
        if not listen.sources:
            yield f"oifname @uplinks udp sport {ports} counter name wireguard-sent accept"


def _isolated(box: Box) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (interfaces, addresses of the gateway there by family) of zones that reach the internet only."""
    for zone in box.zones.values():
        if not zone.isolated:
            continue
        for attachment in zone.attachments:
            near = [i for i in box.lans if i.name in attachment.interfaces]
            own = [a for i in near for a in (*i.addresses, *i.shared)]
            yield _names(attachment.interfaces), _of(own, 4), _of(own, 6)


def _stateless_transit(box: Box) -> Rule | None:
    """Return the rule by which a gateway on the way passes whatever the ends permit, if there is one."""
    found = box.between(policy.INTRANET, policy.INTRANET)
    return next((r for r in found if not r.ports), None)


def _published(box: Box) -> Iterator[str]:
    for entry in box.published:
        ports = _ports(entry.port)
        both = f'iifname "{entry.uplink}" oifname "{entry.interface}"'
        yield f"{both} ct status dnat ip daddr {entry.address4} {ports} counter name {entry.label} accept"
        if entry.address6 and box.v6:
            yield f"{both} ip6 daddr {entry.address6} {ports} counter name {entry.label} accept"


def _ports(port: Port) -> str:
    if port.protocol == "icmp":
        return "meta l4proto { icmp, ipv6-icmp }"
    return f"{port.protocol} dport {span(port.low, port.high)}"


def _redirects(box: Box) -> Iterator[str]:
    for entry in box.published:
        if entry.port.protocol != "icmp":  # an echo request is the gateway's own to answer
            match = f'iifname "{entry.uplink}" fib daddr type local'
            yield f"{match} {_ports(entry.port)} dnat ip to {entry.address4}"


def _translations(box: Box, here: _Here) -> Iterator[str]:
    """Yield the lines of source translation: IPv4 only, own networks only, never towards the intranet."""
    near = [*_of(here.lans, 4), f"{here.loopback4}/32", *([here.pool] if here.pool else [])]
    for uplink in box.uplinks:
        shared = [a for a in uplink.shared if ":" not in a]
        # a pair answers to its shared address, so a connection outlives a takeover
        way = f"snat ip to {shared[0]}" if shared else "masquerade"
        yield f'oifname "{uplink.name}" ip saddr {_list(near)} ip daddr != @district4 {way}'
    if here.legacy and box.links:
        # nobody else in the district knows the prefix
        old = _list(p for _, p in here.legacy)
        yield f"oifname @links ip saddr {old} snat ip to {here.loopback4}"
    if here.pool:
        inside = _names((*box.links, *(i.name for i in box.lans)))
        yield f"oifname {inside} ip saddr {here.pool} snat ip to {here.loopback4}"
