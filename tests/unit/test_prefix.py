"""The address plan's arithmetic, with the examples of the design."""

from __future__ import annotations

import ipaddress
from itertools import islice

import pytest

from topology import prefix as px
from topology.rules.registry import RANGES, free, free_numbers

SPACE = px.Space(
    ipaddress.IPv4Network("10.0.0.0/8"),
    ipaddress.IPv6Network("fd12:3456:789a::/48"),
    ipaddress.IPv6Network("2001:db8:1::/48"),
)


def test_host_10_7_32_10() -> None:
    assert SPACE.host(7, 32, 10) == ("10.7.32.10", "fd12:3456:789a:720::10", "2001:db8:1:720::10")


def test_lan_is_a_64_whatever_its_reservation() -> None:
    assert SPACE.lan(7, 32) == ("10.7.32.0/24", "fd12:3456:789a:720::/64", "2001:db8:1:720::/64")


@pytest.mark.parametrize(("length", "v6"), [(16, 56), (20, 60), (21, 61), (24, 64)])
def test_a_reservation_is_40_bits_longer_in_ipv6(length: int, v6: int) -> None:
    assert SPACE.reservation(65, 16, length) == (
        f"10.65.16.0/{length}",
        f"fd12:3456:789a:4110::/{v6}",
        f"2001:db8:1:4110::/{v6}",
    )


@pytest.mark.parametrize(
    ("number", "v4", "v6"),
    [
        (1, "10.254.0.2/31", "fd12:3456:789a:fe00::2/127"),
        (5, "10.254.0.10/31", "fd12:3456:789a:fe00::10/127"),
        (127, "10.254.0.254/31", "fd12:3456:789a:fe00::254/127"),
        (129, "10.254.1.2/31", "fd12:3456:789a:fe01::2/127"),
        (32767, "10.254.255.254/31", "fd12:3456:789a:feff::254/127"),
    ],
)
def test_links(number: int, v4: str, v6: str) -> None:
    assert SPACE.link(number)[:2] == (v4, v6)
    assert SPACE.link_end(number, 0)[0] == v4.removesuffix("/31")


@pytest.mark.parametrize("number", [0, 128, 256, 32640, 32768, -1])
def test_links_that_may_not_be(number: int) -> None:
    with pytest.raises(ValueError, match=f"link number {number}"):
        SPACE.link(number)


def test_loopbacks_and_vpn_users() -> None:
    assert SPACE.loopback(65, 17) == ("10.255.65.17", "fd12:3456:789a:ff41::17", "2001:db8:1:ff41::17")
    assert SPACE.vpn_users(3)[:2] == ("10.253.3.0/24", "fd12:3456:789a:fd03::/64")


def test_text_is_in_the_form_of_rfc_5952() -> None:
    for ula in ("fd00::/48", "fd00:0:1::/48", "fd0a:b:0::/48", "fdff:ffff:ffff::/48"):
        space = px.Space(SPACE.ipv4, ipaddress.IPv6Network(ula), None)
        for s, t in ((1, 0), (64, 16), (128, 255), (254, 7)):
            for text in (*space.lan(s, t)[1:], *space.reservation(s, 0, 16)[1:]):
                assert str(ipaddress.IPv6Network(text)) == text
            for h in (1, 9, 10, 99, 254):
                assert str(ipaddress.IPv6Address(space.host(s, t, h)[1])) == space.host(s, t, h)[1]


def test_without_gua_there_are_two_families() -> None:
    space = px.Space(SPACE.ipv4, SPACE.ula, None)
    assert space.host(1, 0, 1) == ("10.1.0.1", "fd12:3456:789a:100::1")
    assert len(space.aggregates) == 2


def test_roles_and_vlans() -> None:
    assert [px.vlan(px.ROLES[name]) for name in ("mgmt", "staff", "application")] == [10, 20, 110]
    assert sorted(px.ROLES.values()) == list(range(11))


@pytest.mark.parametrize(
    ("used", "section", "number"),
    [
        ([], "skpd", 1),
        ([1, 2], "skpd", 3),
        ([1, 3], "skpd", 4),
        ([3, 1], "kecamatan", 4),
        ([63], "skpd", 1),
        ([63, 1, 2], "dc", 3),
        (range(1, 64), "skpd", None),
        ([], "desa", 0),
        ([0], "desa", 1),
        (range(30), "desa", None),
        ([], "links", 1),
        ([127], "links", 129),
        ([], "vpn_users", 10),
        ([250], "vpn_users", 10),
        ([99], "skpd", 1),
    ],
)
def test_next_free_number(used: list[int], section: str, number: int | None) -> None:
    assert free(used, section) == number


def test_two_proposals_differ() -> None:
    assert list(islice(free_numbers([1, 2], "skpd"), 3)) == [3, 4, 5]
    assert list(free_numbers([*range(1, 60), 63], "skpd")) == [60, 61, 62]


def test_ranges_fit_the_plan() -> None:
    assert RANGES["desa"] == (0, 29)
    assert all(first >= 0 for first, _ in RANGES.values())
