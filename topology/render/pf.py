"""pf.conf of a FreeBSD gateway, and the rules that let management in when it does not load.

Syntax is that of FreeBSD 14.3's pf.conf(5). What shapes the file:

- It loads with all interfaces and with lo0 only: addresses of interfaces are written `(if)`, and
  interfaces that come and go are named by their group: `wg` (every WireGuard interface is in it by
  itself), `radio` and `leased` (rc.conf adds them).
- A connection is matched twice: on the way in by interface, source, destination and port, where it
  gets the tag of its target zone; on the way out by interface and that tag. Every matching rule is
  `quick`: permissions add up, so their order means nothing. What must not pass is blocked above them.
- States are bound to their interface, but float among radios and tunnels: a session outlives the
  move of its route. A floating state would also match on the uplink; that nothing for the district
  goes there without a route is the routing's part (reject routes).
- Labels are the policy's (`source-target-service`): `pfctl -s labels` counts per flow.

The flows' text depends on the policy and on which zones a gateway has, not on its addresses, and is
made once per kind of gateway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from topology.allocate import Host
from topology.policy import ADMIN, BFD_PORT, BGP_PORT, GATEWAY, INTERNET, INTRANET, Attachment, Box, Port, Rule
from topology.render import dnctl
from topology.render.common import Context
from topology.schema import PolicyFile

MARTIANS = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3", "::/8", "100::/64", "2001:2::/48", "fc00::/7", "fec0::/10",
    "ff00::/8",
)  # fmt: skip
"""Sources that cannot come from the internet (RFC 6890, RFC 5737 and 3849 apart: an inventory has
documentation addresses until the providers' are known). The district's own prefixes are added."""
MAX_MSS = 1360
"""MTU 1420 of WireGuard less the headers of IPv6 (40) and TCP (20)."""
DHCP = (Port("udp", 67, 67), Port("udp", 547, 547))
"""Ports of DHCP servers (RFC 2131, RFC 8415): clients without an address need rules of their own."""
SSH_PORT = 22
WG_GROUP = "wg"
"""The interface group if_wg(4) puts its interfaces in."""

_SSH = "max-src-conn 20, max-src-conn-rate 20/60, overload <abusers> flush global"
_PING = "max-src-states 50"
_TUNNELS = "max 20000, max-src-nodes 4096, max-src-states 64"
"""A hub's tunnels: CGNAT puts many offices behind one address, no honest one has more."""
_LOCAL = "local"
_NAME = re.compile(r"\$[a-z0-9_]+|<[a-z0-9_]+>")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a zone is, as rules name it: interfaces, a source or destination, families."""

    on: str
    host: str
    """Address part of a rule."""
    families: tuple[int, ...]
    link: bool
    """Behind radios and tunnels: states float."""


Places = tuple[tuple[str, tuple[Place, ...]], ...]
"""Zone -> where it is."""

_texts: dict[tuple[int, str, bool, bool, Places], tuple[PolicyFile, str, frozenset[str]]] = {}
_MOST_TEXTS = 256


def files(context: Context, host: Host, box: Box | None = None, shaping: dnctl.Shaping | None = None) -> dict[str, str]:
    """Return pf.conf and pf.fallback.conf of a gateway; ValueError when the host is no gateway."""
    box = box or context.box(host)
    shaping = shaping if shaping is not None else dnctl.shaping(context.plan, host, box)
    header = context.header(host, "policy.yml")
    gateway = _Gateway(context, box)
    return {
        "etc/pf.conf": f"# {header}\n{gateway.whole(shaping)}",
        "etc/pf.fallback.conf": f"# {header}\n{gateway.fallback()}",
    }


class _Gateway:
    """One gateway's names: macros, tables and the text that uses them."""

    def __init__(self, context: Context, box: Box) -> None:
        self.context, self.box = context, box
        self.macros: dict[str, str] = {}
        self.tables: dict[str, str] = {}
        self.ula = str(context.plan.district.space.ula)
        self.own = self._families(p for lan in box.lans for p in context.plan.sites[box.host.site]
                                  .network(lan.network or "").prefixes)  # fmt: skip
        self.legacy = [(lan.name, p.prefix) for lan in box.lans for p in lan.legacy]
        self.district = self._families(box.aggregates)
        for index, uplink in enumerate(box.uplinks):
            self.macros["ext_if" if index == 0 else f"ext{index + 1}_if"] = uplink.name
        self.ext = tuple(f"${name}" for name in self.macros)
        if len(self.ext) > 1:
            self.macros["uplinks"] = _braces(u.name for u in box.uplinks)
        self.uplinks = "$uplinks" if len(self.ext) > 1 else "".join(self.ext)
        kinds = {i.kind for i in box.host.interfaces}
        groups = [WG_GROUP] if kinds & {"tunnel", "vpn"} else []
        groups += [k for k in ("radio", "leased") if k in kinds]
        self.macros["links"] = _braces(groups)
        self.wg = bool(kinds & {"tunnel", "vpn"})
        self.lans = "$lans" if box.lans else ""
        self.macros["lans"] = _braces(i.name for i in box.lans)
        self.mate = box.mate
        self.places = self._places()

    def _families(self, prefixes: Iterable[str]) -> list[str]:
        return [p for p in dict.fromkeys(prefixes) if self.box.v6 or ":" not in p]

    # ------------------------------------------------------------ the whole file

    def whole(self, shaping: dnctl.Shaping) -> str:
        box = self.box
        kind = self.context.plan.sites[box.host.site].place.kind
        flows, names = _flows(self.context.plan.district.policy, box, kind, self.places)
        body = [
            _OPTIONS.format(ext=self.ext[0] if self.ext else "none"),
            *self._scrub(), *self._translation(), *self._first(), *self._neighbours(), *self._dhcp(),
            *self._pair(), *self._spoofed(), *self._icmp_errors(), *self._leak(), *self._hub_tunnels(),
            '\n# ---- rules of this place, loaded by hand: pfctl -a site/NAME -f FILE\nanchor "site/*"',
            *self._shaping(shaping), *self._routing(),
            *self._cutover(), *self._published(),
        ]  # fmt: skip
        text = "\n".join(body)
        return f"{self._definitions(_names(text) | names)}{text}\n{flows}"

    def _definitions(self, names: frozenset[str]) -> str:
        """Return the macros and tables with these names: what nothing uses is not defined."""
        lines = ["\n# ---- interfaces"]
        lines += [f'{name} = "{value}"' for name, value in self.macros.items() if f"${name}" in names]
        lines.append("\n# ---- tables")
        lines += [f"table <{name}> {value}" for name, value in self.tables.items() if f"<{name}>" in names]
        return "\n".join(lines) + "\n"

    def _table(self, name: str, members: Iterable[str]) -> str:
        """Define a table that does not change and return how rules name it."""
        self.tables[name] = f"const {{ {', '.join(dict.fromkeys(members))} }}"
        return f"<{name}>"

    def _places(self) -> Places:
        """Return where every zone is, and define its macro and table."""
        box = self.box
        found: list[tuple[str, tuple[Place, ...]]] = []
        self._table("district", self.district)
        for name, zone in box.zones.items():
            if name == GATEWAY:
                continue
            if zone.kind == _LOCAL:
                self.macros[f"{name}_if"] = _braces(dict.fromkeys(i for a in zone.attachments for i in a.interfaces))
                table = self._table(f"{name}_net", self._families(p for a in zone.attachments for p in a.prefixes))
                found.append((name, (Place(f"${name}_if", table, (4, 6), False),)))
            elif name == INTERNET:
                found.append((name, tuple(
                    Place("$links" if a.interfaces == box.links else self.uplinks, "! <district>", a.families,
                          a.interfaces == box.links)
                    for a in zone.attachments
                )))  # fmt: skip
            elif name == INTRANET:
                table = self._table("intranet_net", [*self.district, *(f"!{p}" for p in self.own)])
                found.append((name, (Place("$links", table, (4, 6), True),)))
            else:
                found.append((name, tuple(self._behind(name, zone.attachments))))
        return tuple(found)

    def _behind(self, name: str, attachments: Iterable[Attachment]) -> Iterator[Place]:
        """Yield where hub, vpn and admin are: behind the links, and administrators also on a LAN here."""
        for attachment in attachments:
            if attachment.interfaces == self.box.links:
                table = self._table(f"{name}_net" if name != ADMIN else "admins", self._families(attachment.prefixes))
                yield Place("$links", table, (4, 6), True)
            else:
                lan = attachment.interfaces[0]
                self.macros["admin_if"] = lan
                table = self._table("admins_here", self._families(attachment.prefixes))
                yield Place("$admin_if", table, (4, 6), False)

    # ------------------------------------------------------------ normalization and translation

    def _scrub(self) -> Iterator[str]:
        yield "\n# ---- fragments are put together; sessions through a tunnel get segments that fit"
        if self.wg:
            yield f"scrub on {WG_GROUP} all fragment reassemble max-mss {MAX_MSS}"
        yield "scrub in all fragment reassemble"

    def _translation(self) -> Iterator[str]:
        """Yield NAT and redirections: IPv4 only, IPv6 is never translated."""
        if not self.ext:
            return
        yield "\n# ---- IPv4 leaves with the uplink's address; inside the district nothing is translated"
        for ext, uplink in zip(self.ext, self.box.uplinks, strict=True):
            shared = next((a for a in uplink.shared if ":" not in a), None)
            yield f"no nat on {ext} inet from any to <district>"
            yield f"no nat on {ext} inet from ({ext}) to any"
            yield f"nat on {ext} inet from <district> to any -> {shared or f'({ext}:0)'}"
            if self.legacy:
                yield f"nat on {ext} inet from {self._before_the_plan()} to any -> {shared or f'({ext}:0)'}"
        if self.legacy and self.macros["links"]:
            yield "# nobody else in the district knows what the addresses here were before the plan"
            loopback = next(self.box.host.of_kind("loopback")).addresses[0]
            yield f"nat on $links inet from {self._before_the_plan()} to <district> -> {loopback}"
        seen: set[tuple[str, str, tuple[int, ...]]] = set()
        for entry in self.box.published:
            uplink = next(u for u in self.box.uplinks if u.name == entry.uplink)
            ext = self.ext[self.box.uplinks.index(uplink)]
            shared = next((a for a in uplink.shared if ":" not in a), None)
            port = entry.port
            key = (ext, port.protocol, (port.low, port.high))
            if port.protocol not in ("tcp", "udp") or key in seen:
                continue
            seen.add(key)
            yield (
                f"rdr on {ext} inet proto {port.protocol} from any to {shared or f'({ext})'} "
                f"port {_port(port)} -> {entry.address4}"
            )

    # ------------------------------------------------------------ before everything else

    def _first(self) -> Iterator[str]:
        self.tables["blocked"] = "persist"
        self.tables["abusers"] = "persist"
        yield "\n# ---- nothing passes that no rule below lets through"
        yield 'block log all label "default-deny"'
        yield "\n# ---- blocked at every gateway at once, and who knocked too often"
        yield 'block in log quick from <blocked> to any label "blocked-in"'
        yield 'block out log quick from any to <blocked> label "blocked-out"'
        yield 'block in log quick from <abusers> to any label "abusers"'
        if not self.box.v6:
            yield "\n# ---- this place has no IPv6 yet"
            yield 'block log quick inet6 all label "no-ipv6"'

    def _neighbours(self) -> Iterator[str]:
        if not self.box.v6:
            return
        yield "\n# ---- IPv6 on the wire (RFC 4890): neighbours, also those without an address yet, and multicast"
        yield "pass quick inet6 proto icmp6 all icmp6-type { neighbrsol, neighbradv } no state allow-opts " \
              'label "neighbours"'  # fmt: skip
        yield "pass quick inet6 proto icmp6 all icmp6-type { 130, 131, 132, 143 } no state allow-opts " \
              'label "multicast-listeners"'  # fmt: skip
        if self.lans:
            yield "# routers here are this gateway: others' advertisements are dropped"
            yield f'block in log quick on {self.lans} inet6 proto icmp6 all icmp6-type routeradv label "rogue-router"'
            yield f"pass in quick on {self.lans} inet6 proto icmp6 from {{ fe80::/10, :: }} to any " \
                  'icmp6-type routersol no state label "router-solicitations"'  # fmt: skip
            yield f"pass out quick on {self.lans} inet6 proto icmp6 from fe80::/10 to any " \
                  'icmp6-type routeradv no state label "router-advertisements"'  # fmt: skip
        if self.uplinks:
            yield f"pass in quick on {self.uplinks} inet6 proto icmp6 from fe80::/10 to any " \
                  'icmp6-type routeradv no state label "provider-router"'  # fmt: skip
            yield f"pass out quick on {self.uplinks} inet6 proto icmp6 from fe80::/10 to any " \
                  'icmp6-type routersol no state label "provider-solicitation"'  # fmt: skip

    def _dhcp(self) -> Iterator[str]:
        yield "\n# ---- DHCP: this gateway serves, nobody else; clients have no address yet"
        if self.lans:
            yield f'block in log quick on {self.lans} inet proto udp from any port 67 to any label "rogue-dhcp"'
            if self.box.v6:
                yield f'block in log quick on {self.lans} inet6 proto udp from any port 547 to any label "rogue-dhcp6"'
        for family, server in zip((4, 6), DHCP, strict=True):
            lans = [
                i for r in self.box.rules if r.target == GATEWAY and server in r.ports and family in r.families
                for a in self.box.zones[r.source].attachments for i in a.interfaces
                if self.box.zones[r.source].kind == _LOCAL
            ]  # fmt: skip
            if not lans:
                continue
            if family == 4:
                self.macros["dhcp_if"] = _braces(dict.fromkeys(lans))
                yield 'pass in quick on $dhcp_if inet proto udp from any port 68 to any port 67 no state label "dhcp"'
                yield 'pass out quick on $dhcp_if inet proto udp from (self) port 67 to any port 68 no state ' \
                      'label "dhcp"'  # fmt: skip
            else:
                self.macros["dhcp6_if"] = _braces(dict.fromkeys(lans))
                yield "pass in quick on $dhcp6_if inet6 proto udp from fe80::/10 port 546 " \
                      'to { fe80::/10, ff02::1:2 } port 547 no state label "dhcp6"'  # fmt: skip
                yield "pass out quick on $dhcp6_if inet6 proto udp from fe80::/10 port 547 " \
                      'to fe80::/10 port 546 no state label "dhcp6"'  # fmt: skip
        yield from self._dhcp_client()

    def _dhcp_client(self) -> Iterator[str]:
        for ext, uplink in zip(self.ext, self.box.uplinks, strict=True):
            if not uplink.static:
                yield f"# {ext[1:]} has its address from the provider"
                yield f"pass out quick on {ext} inet proto udp from any port 68 to any port 67 no state " \
                      'label "dhcp-client"'  # fmt: skip
                yield f"pass in quick on {ext} inet proto udp from any port 67 to any port 68 no state " \
                      'label "dhcp-client"'  # fmt: skip

    def _pair(self) -> Iterator[str]:
        if self.mate is None:
            return
        shared = [i for i in (*self.box.uplinks, *self.box.lans) if i.shared]
        self.macros["pair_if"] = _braces(i.name for i in shared)
        self.macros["sync_if"] = self.mate.interface
        own, far = self._mates()
        yield f"\n# ---- the pair: shared addresses (CARP) and states (pfsync) with {self.mate.host}"
        yield 'pass quick on $pair_if proto carp all no state label "carp"'
        yield f'pass in quick on $sync_if proto pfsync from {far} to {own} no state label "pfsync"'
        yield f'pass out quick on $sync_if proto pfsync from {own} to {far} no state label "pfsync"'

    def _before_the_plan(self) -> str:
        """Return the table of the site's prefixes from before the plan."""
        return self._table("legacy_net", (p for _, p in self.legacy))

    def _cutover(self) -> Iterator[str]:
        """Yield what keeps old and new addresses of one wire beside each other."""
        for name in dict.fromkeys(n for n, _ in self.legacy):
            yield f"\n# ---- cutover: {name} has addresses from before the plan and the plan's"
            self.macros["cutover_if"] = name
            own = self._table("cutover_net", [
                *(p for n, p in self.legacy if n == name),
                *(p for lan in self.box.lans if lan.name == name for p in self._families(
                    self.context.plan.sites[self.box.host.site].network(lan.network or "").prefixes) if ":" not in p),
            ])  # fmt: skip
            for way in ("in", "out"):
                yield f'pass {way} quick on $cutover_if inet from {own} to {own} keep state label "cutover"'

    def _mates(self) -> tuple[str, str]:
        assert self.mate is not None
        own = self._table("mate_own", self._families(self.mate.own))
        return own, self._table("mate_far", self._families(self.mate.far))

    # ------------------------------------------------------------ what must not pass

    def _spoofed(self) -> Iterator[str]:
        yield "\n# ---- sources that cannot be where they come from"
        lans = ", ".join(f"({i.name})" for i in self.box.lans)
        if lans:
            for family in ("inet", "inet6") if self.box.v6 else ("inet",):
                yield f'antispoof log quick for {{ {lans} }} {family} label "antispoof"'
            yield f'block in log quick on {self.lans} from urpf-failed to any label "urpf"'
        if self.macros["links"]:
            yield "# paths over links may differ by direction: no urpf there, but nobody else has our addresses"
            self._table("own_net", [*self.own, *(p for _, p in self.legacy)])
            if self.own:
                yield 'block in log quick on $links from <own_net> to any label "spoofed"'
        yield from self._site_tunnels()
        self._table("martians", self._families((*MARTIANS, *self.district)))
        for ext in self.ext:
            yield f"# {ext[1:]}: providers number their lines from private ranges, so its own subnet is spared"
            yield f'match in on {ext} from ({ext}:network) to any tag NEAR label "near"'
            yield f'block in log quick on {ext} from <martians> to any ! tagged NEAR label "martians"'
        for zone in self.box.zones.values():
            if zone.isolated:
                table = self._table(f"not_{zone.name}", [
                    *self.district, *(f"!{p}" for a in zone.attachments for p in self._families(a.prefixes))
                ])  # fmt: skip
                yield f"# {zone.name} is isolated: nothing of the district but its own gateway"
                yield f'block in log quick on ${zone.name}_if from any to {table} label "{zone.name}-isolated"'

    def _icmp_errors(self) -> Iterator[str]:
        yield "\n# ---- errors that connections need (RFC 4890: never drop packet-too-big)"
        yield 'pass quick inet proto icmp all icmp-type { unreach, timex, paramprob } no state label "icmp-errors"'
        if self.box.v6:
            yield "pass quick inet6 proto icmp6 all icmp6-type { unreach, toobig, timex, paramprob } no state " \
                  'label "icmp6-errors"'  # fmt: skip

    def _site_tunnels(self) -> Iterator[str]:
        """Yield a site's WireGuard ports: only from and to the hubs."""
        ports = [p for p in self.box.listens if p.sources]
        if not ports or not self.ext:
            return
        self._table("wg_hubs", (f"{s}/128" if ":" in s else s for p in ports for s in p.sources))
        yield "# WireGuard with the hubs, and with nobody else"
        listed = _port_list(Port("udp", p.port, p.last) for p in ports)
        for ext in self.ext:
            yield f'pass in quick on {ext} inet proto udp from <wg_hubs> to ({ext}) port {listed} label "wireguard-in"'
            yield f"pass out quick on {ext} inet proto udp from ({ext}) port {listed} to <wg_hubs> " \
                  'label "wireguard-out"'  # fmt: skip

    def _hub_tunnels(self) -> Iterator[str]:
        """Yield a hub's WireGuard ports: from anywhere, with a limit per source."""
        ports = [p for p in self.box.listens if not p.sources]
        if not ports or not self.ext:
            return
        yield "\n# ---- WireGuard from anywhere: offices are on dynamic lines"
        listed = _port_list(Port("udp", p.port, p.last) for p in ports)
        for ext in self.ext:
            yield f"pass in quick on {ext} inet proto udp from any to ({ext}) port {listed} " \
                  f'keep state ({_TUNNELS}) label "wireguard-in"'  # fmt: skip
            yield f'pass out quick on {ext} inet proto udp from ({ext}) port {listed} to any label "wireguard-out"'

    def _leak(self) -> Iterator[str]:
        if not self.uplinks:
            return
        yield "\n# ---- nothing of the district's own leaves by a provider's line, also while routes are missing"
        yield f'block out log quick on {self.uplinks} from any to <district> label "leak"'
        if self.box.v6:
            yield f'block out log quick on {self.uplinks} inet6 from {self.ula} to any label "leak-ula"'

    # ------------------------------------------------------------ what passes

    def _shaping(self, shaping: dnctl.Shaping) -> Iterator[str]:
        if not shaping.matches:
            return
        tables: dict[str, str] = {}
        for slug in shaping.sites:
            site = self.context.plan.sites[slug]
            name = f"site_{site.place.second_octet}_{site.place.third_octet}"
            tables[slug] = self._table(name, self._families(site.prefixes))
        yield "\n# ---- bandwidth: numbers are dnctl.conf's, there and back"
        for m in shaping.matches:
            near = tables[m.source] if m.source else "any"
            far = tables[m.target] if m.target else "any"
            yield f"match {m.direction} on {m.interface} from {near} to {far} {m.kind} ({m.there}, {m.back}) " \
                  f'label "{m.label[:63]}"'  # fmt: skip

    def _routing(self) -> Iterator[str]:
        """Yield BGP and BFD with the other ends of the links, and BGP with the pair's other member."""
        peers = self.box.peers
        if peers:
            own = self._table("links_own", self._families(a for p in peers for a in p.own))
            far = self._table("links_far", self._families(a for p in peers for a in p.far))
            yield "\n# ---- routing with the other ends of the links"
            yield from _both("$links", own, far, (("tcp", BGP_PORT, "bgp"), ("udp", BFD_PORT, "bfd")))
        if self.mate is not None:
            own, far = self._mates()
            yield "\n# ---- routing with the pair's other member"
            yield from _both("$sync_if", own, far, (("tcp", BGP_PORT, "mate-bgp"),))

    def _published(self) -> Iterator[str]:
        if not self.box.published:
            return
        yield "\n# ---- what the internet may open"
        grouped: dict[tuple[str, str, str, str | None, str], list[Port]] = {}
        for entry in self.box.published:
            ext = self.ext[[u.name for u in self.box.uplinks].index(entry.uplink)]
            key = (ext, entry.zone, entry.address4, entry.address6 if self.box.v6 else None, entry.label)
            grouped.setdefault(key, []).append(entry.port)
        for (ext, zone, address4, address6, label), ports in grouped.items():
            for family, address in ((4, address4), (6, address6)):
                if address is None:
                    continue
                for protocol in _protocols(tuple(ports), family):
                    yield f"pass in quick on {ext} {protocol.af(family)}{protocol.text}from ! <district> to {address}" \
                          f'{protocol.ports} tag {_tag(zone)} label "{label}"'  # fmt: skip
            if address6 is None and self.box.v6:
                yield f"# IPv4 only: {address4} has no global IPv6 address"

    # ------------------------------------------------------------ when pf.conf does not load

    def fallback(self) -> str:
        """Return rules that let management in and nothing else."""
        lines = [
            "\n# Loaded when pf.conf does not load: management only (rc.conf: pf_fallback_rules_file).",
            "set block-policy drop", "set skip on lo", "", 'block log all label "default-deny"',
        ]  # fmt: skip
        if not self.box.v6:
            lines.append('block log quick inet6 all label "no-ipv6"')
        else:
            neighbours = list(self._neighbours())
            lines += [*neighbours[1:3], *(line for line in neighbours if "provider-" in line)]
        lines += self._icmp_errors()
        lines += self._dhcp_client()
        if self.mate is not None:
            lines += self._pair()
        lines += ["", *self._site_tunnels(), *self._hub_tunnels(), *self._routing(), "\n# ---- administrators"]
        ssh = f"port {SSH_PORT}"
        if ADMIN in self.box.zones:
            for place in dict(self.places)[ADMIN]:
                lines.append(f'pass in quick on {place.on} proto tcp from {place.host} to (self) {ssh} label "ssh"')
        if self.box.peers:
            lines.append(f'pass in quick on $links proto tcp from <links_far> to (self) {ssh} label "ssh-links"')
        management = next((i for i in self.box.lans if i.network == "mgmt"), None)
        if management is not None:
            site = self.context.plan.sites[self.box.host.site]
            self.macros["mgmt_lan"] = management.name
            table = self._table("mgmt_lan_net", self._families(site.network("mgmt").prefixes))
            lines.append(f'pass in quick on $mgmt_lan proto tcp from {table} to (self) {ssh} label "ssh-mgmt"')
        text = "\n".join(lines) + "\n"
        return self._definitions(_names(text)) + text


# ---------------------------------------------------------------- flows, made once per kind of gateway


def _flows(policy: PolicyFile, box: Box, kind: str, places: Places) -> tuple[str, frozenset[str]]:
    """Return the text of the policy's flows, and the macros and tables in it.

    It follows from the policy, the kind of site, whether it has IPv6, where its zones are and
    whether hosts here are published (that text is not kept).
    """
    key = (id(policy), kind, box.v6, box.hub, places)
    found = _texts.get(key)
    if found is not None and found[0] is policy and not box.published:
        return found[1], found[2]
    text = "\n".join(_flow_lines(box, dict(places))) + "\n"
    names = _names(text)
    if not box.published:
        if len(_texts) >= _MOST_TEXTS:
            _texts.clear()
        _texts[key] = (policy, text, names)
    return text, names


def _names(text: str) -> frozenset[str]:
    """Return the macros (`$name`) and tables (`<name>`) that a text uses."""
    return frozenset(_NAME.findall(text))


def _flow_lines(box: Box, places: dict[str, tuple[Place, ...]]) -> Iterator[str]:
    to_gateway = [r for r in box.rules if r.target == GATEWAY]
    from_gateway = [r for r in box.rules if r.source == GATEWAY]
    forwarded = [r for r in box.rules if GATEWAY not in (r.source, r.target)]
    tags: dict[str, set[int]] = {}
    for entry in box.published:
        tags.setdefault(entry.zone, set()).update((4, 6) if entry.address6 and box.v6 else (4,))

    yield "\n# ---- the gateway's own services"
    yield from _whys(to_gateway, lambda rule: _to_gateway(rule, box, places))
    yield 'block in log quick from any to (self) label "gateway-closed"'
    yield "\n# ---- what the gateway itself opens"
    yield from _whys(from_gateway, lambda rule: _from_gateway(rule, box, places))
    for source in dict.fromkeys(r.source for r in forwarded):
        yield f"\n# ---- from {source}"
        yield from _whys([r for r in forwarded if r.source == source], lambda rule: _inward(rule, box, places, tags))
    yield "\n# ---- out again, to the zone that was let through on the way in"
    for name, families in tags.items():
        yield from _outward(name, tuple(sorted(families)), box, places[name])


def _whys(rules: Iterable[Rule], lines: Callable[[Rule], Iterator[str]]) -> Iterator[str]:
    """Yield every rule's lines below its reason, once per run of rules with the same reason."""
    before = None
    for rule in rules:
        found = list(lines(rule))
        if found and rule.why != before:
            before = rule.why
            yield f"# {' '.join(rule.why.split())}"[:118]
        yield from found


def _to_gateway(rule: Rule, box: Box, places: dict[str, tuple[Place, ...]]) -> Iterator[str]:
    ports = tuple(p for p in rule.ports if p not in DHCP or box.zones[rule.source].kind != _LOCAL)
    if rule.ports and not ports:
        return
    for place in places[rule.source]:
        for families in _split(rule, place, box.v6):
            for protocol in _protocols(ports, *families):
                limits = []
                if protocol.protocol == "tcp" and any(p.low <= SSH_PORT <= p.high for p in ports):
                    limits.append(_SSH)
                elif protocol.protocol == "icmp":
                    limits.append(_PING)
                yield f"pass in quick on {place.on} {protocol.af(*families)}{protocol.text}from {place.host} " \
                      f'to (self){protocol.ports}{_state(place.link, *limits)} label "{rule.label}"'  # fmt: skip


def _from_gateway(rule: Rule, box: Box, places: dict[str, tuple[Place, ...]]) -> Iterator[str]:
    for place in places[rule.target]:
        for families in _split(rule, place, box.v6):
            for protocol in _protocols(rule.ports, *families):
                yield f"pass out quick on {place.on} {protocol.af(*families)}{protocol.text}from (self) " \
                      f'to {place.host}{protocol.ports}{_state(place.link)} label "{rule.label}"'  # fmt: skip


def _inward(rule: Rule, box: Box, places: dict[str, tuple[Place, ...]], tags: dict[str, set[int]]) -> Iterator[str]:
    targets = {p.host: None for p in places[rule.target]}
    reached = {f for p in places[rule.target] for f in p.families}
    for place in places[rule.source]:
        for families in _split(rule, place, box.v6):
            families = tuple(f for f in families if f in reached)
            if not families:
                continue
            tags.setdefault(rule.target, set()).update(families)
            for host in targets:
                for protocol in _protocols(rule.ports, *families):
                    yield f"pass in quick on {place.on} {protocol.af(*families)}{protocol.text}from {place.host} " \
                          f"to {host}{protocol.ports} tag {_tag(rule.target)}{_state(place.link)} " \
                          f'label "{rule.label}"'  # fmt: skip


def _outward(name: str, families: tuple[int, ...], box: Box, places: tuple[Place, ...]) -> Iterator[str]:
    by_interface: dict[str, tuple[Place, set[int]]] = {}
    for place in places:
        by_interface.setdefault(place.on, (place, set()))[1].update(f for f in place.families if f in families)
    for on, (place, found) in by_interface.items():
        for family in sorted(found) if name == INTERNET else [0]:
            af = {0: "", 4: "inet ", 6: "inet6 "}[family] if box.v6 or family else "inet "
            source = "from (self) to any " if name == INTERNET and family == 4 else ""
            yield f"pass out quick on {on} {af}{source}tagged {_tag(name)}{_state(place.link)} " \
                  f'label "out-{name}"'  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Protocol:
    """A rule's protocol: `proto tcp ` and ` port ...`."""

    protocol: str
    text: str
    ports: str
    icmp: int = 0

    def af(self, *families: int) -> str:
        """Return the family a rule must name: where it has one, and of ICMP always."""
        if self.icmp:
            return "inet " if self.icmp == 4 else "inet6 "
        if len(families) == 1:
            return "inet " if families[0] == 4 else "inet6 "
        return ""


def _protocols(ports: tuple[Port, ...], *families: int) -> Iterator[_Protocol]:
    if not ports:
        yield _Protocol("", "", "")
        return
    lists = {name: _port_list(p for p in ports if p.protocol == name) for name in ("tcp", "udp")}
    if lists["tcp"] and lists["tcp"] == lists["udp"]:
        yield _Protocol("tcp", "proto { tcp, udp } ", f" port {lists['tcp']}")
    else:
        for name, listed in lists.items():
            if listed:
                yield _Protocol(name, f"proto {name} ", f" port {listed}")
    if any(p.protocol == "icmp" for p in ports):
        if 4 in families:
            yield _Protocol("icmp", "proto icmp ", " icmp-type echoreq", 4)
        if 6 in families:
            yield _Protocol("icmp", "proto icmp6 ", " icmp6-type echoreq", 6)


def _split(rule: Rule, place: Place, v6: bool) -> Iterator[tuple[int, ...]]:
    """Yield the families a rule has at a place: none, one, or both."""
    found = tuple(f for f in rule.families if f in place.families and (v6 or f == 4))
    if found:
        yield found


def _both(on: str, own: str, far: str, flows: Iterable[tuple[str, int, str]]) -> Iterator[str]:
    for protocol, port, label in flows:
        yield f'pass in quick on {on} proto {protocol} from {far} to {own} port {port} label "{label}-in"'
        yield f'pass out quick on {on} proto {protocol} from {own} to {far} port {port} label "{label}-out"'


def _state(link: bool, *limits: str) -> str:
    options = ", ".join((*(("floating",) if link else ()), *limits))
    return f" keep state ({options})" if options else ""


def _tag(zone: str) -> str:
    return f"TO_{zone.upper()}"


def _port(port: Port) -> str:
    return str(port.low) if port.low == port.high else f"{port.low}:{port.high}"


def _port_list(ports: Iterable[Port]) -> str:
    return _braces(dict.fromkeys(_port(p) for p in sorted(ports, key=lambda p: (p.low, p.high))))


def _braces(values: Iterable[str]) -> str:
    """Return one value as it is, several as a list."""
    found = list(values)
    return found[0] if len(found) == 1 else f"{{ {', '.join(found)} }}" if found else ""


_OPTIONS = """
# ---- options
set block-policy drop
set state-policy if-bound
set optimization normal
set ruleset-optimization basic
set limit {{ states 200000, src-nodes 50000, frags 10000, table-entries 200000 }}
set timeout {{ interval 10, frag 30 }}
set loginterface {ext}
set syncookies adaptive (start 25%, end 12%)
set skip on lo"""
