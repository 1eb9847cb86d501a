"""Address arithmetic: from permanent numbers to prefixes and addresses of both families.

Every IPv4 place is two octets below the district's /8: S (second octet) and T (third).
IPv6 follows by rule, for every /48 P the district has (ULA and GUA alike):

=====================  =======================
10.S.T.0/24            P:SSTT::/64 (S, T in hex)
a reservation of /p    /(p+40)
host .h                ::h with the same digits (10.7.32.10 is P:720::10)
link l, 10.254.T.H/31  P:feTT::H/127, the same digits (256 T + H = 2 l, H >= 2, RFC 6164)
loopback 10.255.X.Y    P:ffXX::Y/128, the same digits
=====================  =======================

All functions are pure; addresses are text, built without parsing because there are many.
S is never 0, so the fourth group is not zero and the text is in RFC 5952 form as it stands.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cached_property

OFFICE_BASE, KECAMATAN_BASE, CENTRE_BASE = 0, 64, 128
"""Second octet of number 0 of each class (DESIGN 4)."""
SECTION_BASE = {"skpd": OFFICE_BASE, "kecamatan": KECAMATAN_BASE, "dc": CENTRE_BASE}
"""Section of the registry -> second octet of its number 0."""
SECTION_OF = {"skpd": "skpd", "hub": "skpd", "kecamatan": "kecamatan", "dc": "dc", "drc": "dc"}
"""Kind of site -> section of the registry that numbers it."""
MAX_NUMBER = 63
"""Largest number of an office, kecamatan or data centre."""
MAX_VILLAGES = 30
"""Villages that fit in a kecamatan's /16."""
LINK_OCTET, LOOPBACK_OCTET, VPN_OCTET = 254, 255, 253
ROLES: dict[str, int] = {
    "mgmt": 0, "staff": 1, "server": 2, "voice": 3, "cctv": 4, "guest": 5, "iot": 6, "dmz": 7, "database": 8,
    "storage": 9, "application": 10,
}  # fmt: skip
"""Network roles and their fixed numbers; 11 to 15 are free for a site's own networks."""
VILLAGE_ROLES = ("mgmt", "staff", "guest", "cctv")
"""A village's networks: its first four /24s, in this order."""

DEVICE_NUMBERS = range(4, 10)
FIXED_NUMBERS = range(10, 100)
DHCP_FIRST, DHCP_LAST = 100, 249

MAX_REGISTERED_LINK = 3071
"""Radio and leased links take 1 to 3071, which leaves 1000 + number a VLAN id; 3072 to 8191 are not
used; tunnels take the rest, from their site's number."""


def vlan(role: int) -> int:
    """Return the VLAN id of network role number `role`."""
    return 10 * (role + 1)


def hexa(address: ipaddress.IPv6Network) -> str:
    """Return the text of a /48 up to where its fourth group goes, e.g. `fd00:1:2:`."""
    packed = address.network_address.packed
    groups = [f"{packed[i] << 8 | packed[i + 1]:x}" for i in (0, 2, 4)]
    return ":".join(groups) + ":"


@dataclass(frozen=True, slots=True)
class Family6:
    """One IPv6 /48 of the district."""

    name: str
    """ula or gua."""
    prefix: ipaddress.IPv6Network


@dataclass(frozen=True)
class Space:
    """The district's prefixes and the rule from numbers to addresses."""

    ipv4: ipaddress.IPv4Network
    ula: ipaddress.IPv6Network
    gua: ipaddress.IPv6Network | None

    @cached_property
    def first_octet(self) -> int:
        """First octet of the district's IPv4 /8."""
        return self.ipv4.network_address.packed[0]

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """Text of each /48 up to the fourth group: ULA first, then GUA."""
        return tuple(hexa(p) for p in (self.ula, self.gua) if p is not None)

    @cached_property
    def aggregates(self) -> tuple[str, ...]:
        """The whole district, one prefix per family."""
        return tuple(str(p) for p in (self.ipv4, self.ula, self.gua) if p is not None)

    def reservation(self, s: int, t: int, length: int) -> tuple[str, ...]:
        """Return 10.s.t.0/length and the IPv6 prefixes of length + 40 that go with it."""
        group = s << 8 | t
        v6 = [f"{head}{group:x}::/{length + 40}" for head in self.heads]
        return (f"{self.first_octet}.{s}.{t}.0/{length}", *v6)

    def lan(self, s: int, t: int) -> tuple[str, ...]:
        """Return the /24 and the /64s of a LAN."""
        return self.reservation(s, t, 24)

    def host(self, s: int, t: int, h: int) -> tuple[str, ...]:
        """Return the addresses of host number h in the LAN at s, t: IPv4, ULA, GUA."""
        group = s << 8 | t
        return (f"{self.first_octet}.{s}.{t}.{h}", *[f"{head}{group:x}::{h}" for head in self.heads])

    def link(self, number: int) -> tuple[str, ...]:
        """Return the /31 and /127s of link `number`; ValueError if it may not be used."""
        if not usable_link(number):
            raise ValueError(f"link number {number}")
        t, h = divmod(2 * number, 256)
        group = LINK_OCTET << 8 | t
        v6 = [f"{head}{group:x}::{h}/127" for head in self.heads]
        return (f"{self.first_octet}.{LINK_OCTET}.{t}.{h}/31", *v6)

    def link_end(self, number: int, end: int) -> tuple[str, ...]:
        """Return the addresses of end 0 or 1 of link `number`."""
        t, h = divmod(2 * number, 256)
        return self.host(LINK_OCTET, t, h + end)

    def loopback(self, x: int, y: int) -> tuple[str, ...]:
        """Return the loopback addresses 10.255.x.y and their IPv6 counterparts."""
        return self.host(LOOPBACK_OCTET, x, y)

    def vpn_users(self, slot: int) -> tuple[str, ...]:
        """Return the prefixes of the VPN users of the hub in `slot`."""
        return self.lan(VPN_OCTET, slot)


def usable_link(number: int) -> bool:
    """Say whether a link number has addresses: 1..32767, and H >= 2 (not a multiple of 128)."""
    return 1 <= number <= 32767 and number % 128 != 0


def identity(s: int, village: int | None) -> int:
    """Return 32 S + v: a site's second octet, and its village's number + 1 or 0. Every site has its own."""
    return (s << 5) + (0 if village is None else village + 1)


def tunnel_number(s: int, village: int | None, slot: int) -> int:
    """Return the link number of the tunnel from a site to the hub in `slot` (1 to 3).

    It follows from numbers that never move: s is the site's second octet (0 to 191), village
    its number k (0 to 29) or None. Every pair has its own number in 8193..32767.
    """
    return 8192 + identity(s, village) * 4 + slot
