"""Tunnels between hubs: every two have one, and taking a hub away takes no other tunnel along."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests import generate
from topology import load, report
from topology.allocate import allocate

Tunnels = dict[int, tuple[str, str]]
"""Number -> (gateway where the tunnel starts, hub where it ends)."""
Hubs = dict[int, str]
"""Slot -> gateway."""

GATEWAYS = ("dc-a", "dc-b", "drc1-gw", "drc2-gw")
LUWU: Hubs = {1: "dc-a", 2: "dc-b", 3: "drc1-gw"}


def every_choice() -> Iterator[Hubs]:
    """Yield every way to give up to three hubs their slots."""
    for count in (1, 2, 3):
        for slots in itertools.combinations((1, 2, 3), count):
            for gateways in itertools.permutations(GATEWAYS, count):
                yield dict(zip(slots, gateways, strict=True))


CHOICES = list(every_choice())


def site(gateway: str) -> str:
    return gateway.partition("-")[0]


def tunnels(hubs: Hubs, *, alone: bool = False) -> Tunnels:
    """Return the tunnels of one office and three centres; `alone`: dc-b's partner was taken out."""
    documents = generate.generate(offices=1, kecamatan=0, villages=0, radio=False, centres=3, services=False)
    if alone:
        documents["sites/dc/dc.yml"]["gateways"] = [{"name": "b", "profile": "box"}]
    documents["district.yml"]["hubs"] = [{"slot": slot, "gateway": name} for slot, name in hubs.items()]
    tree = generate.tree(documents)
    district, findings = load.check(tree)
    assert district is not None, report.lines(findings, tree, "en")
    links = [x for x in allocate(district).links.values() if x.kind == "tunnel"]
    found = {x.number: (x.ends[0].host, x.ends[1].host) for x in links}
    assert len(found) == len(links)
    return found


@pytest.fixture(scope="module")
def every() -> dict[tuple[tuple[int, str], ...], Tunnels]:
    return {tuple(hubs.items()): tunnels(hubs) for hubs in CHOICES}


def test_the_choices_are_all_there() -> None:
    assert len(CHOICES) == 3 * 4 + 3 * 12 + 24
    assert LUWU in CHOICES


def test_any_two_hubs_have_one_tunnel_and_hubs_of_one_site_none(
    every: dict[tuple[tuple[int, str], ...], Tunnels],
) -> None:
    for hubs in CHOICES:
        joined = [frozenset(ends) for ends in every[tuple(hubs.items())].values()]
        for a, b in itertools.combinations(hubs.values(), 2):
            assert joined.count(frozenset((a, b))) == (0 if site(a) == site(b) else 1), (hubs, a, b)
        assert len(joined) == len(set(joined)), hubs


def test_a_hub_that_goes_takes_its_own_tunnels_only(every: dict[tuple[tuple[int, str], ...], Tunnels]) -> None:
    for hubs in CHOICES:
        before = every[tuple(hubs.items())]
        for gone in hubs if len(hubs) > 1 else ():
            after = every[tuple((slot, name) for slot, name in hubs.items() if slot != gone)]
            kept = {number: ends for number, ends in before.items() if ends[1] != hubs[gone]}
            assert kept.items() <= after.items(), (hubs, gone)


def test_a_new_hub_in_the_next_slot_moves_no_tunnel(every: dict[tuple[tuple[int, str], ...], Tunnels]) -> None:
    for hubs in CHOICES:
        *others, last = sorted(hubs)
        if others:
            before = every[tuple((slot, name) for slot, name in hubs.items() if slot != last)]
            assert before.items() <= every[tuple(hubs.items())].items(), hubs


def test_every_other_site_starts_at_its_first_gateway_to_every_hub() -> None:
    found = tunnels(LUWU)
    assert {ends for ends in found.values() if site(ends[0]) == "dinas"} == {
        ("dinas-01-gw", hub) for hub in LUWU.values()
    }
    assert {ends for ends in found.values() if site(ends[0]) == "drc1"} == {("drc1-gw", "dc-a"), ("drc1-gw", "dc-b")}
    assert not [ends for ends in found.values() if site(ends[0]) == "dc"]


def test_the_second_gateway_takes_over_what_the_first_one_began(
    every: dict[tuple[tuple[int, str], ...], Tunnels],
) -> None:
    seen = 0
    for hubs in CHOICES:
        left = {slot: name for slot, name in hubs.items() if name != "dc-a"}
        slots = {name: slot for slot, name in left.items()}
        if not left:
            continue
        after = tunnels(left, alone=True)
        joined = [frozenset(ends) for ends in after.values()]
        assert len(joined) == len(set(joined)), hubs
        for number, (start, end) in every[tuple(hubs.items())].items():
            if end == "dc-a":
                continue
            ends = ("dc-b" if start == "dc-a" else start, end)
            assert frozenset(ends) in joined, (hubs, number)
            if "dc-b" in slots and "dc-b" in ends and ends[0] in slots and after.get(number) != ends:
                # both hubs, and the other of their two numbers is the one that counts now
                assert slots[ends[0]] < slots[ends[1]], (hubs, number)
                seen += 1
            else:
                assert after[number] == ends, (hubs, number)
    assert seen > 0


def test_without_its_first_gateway_the_district_keeps_its_other_tunnels() -> None:
    left = {slot: name for slot, name in LUWU.items() if name != "dc-a"}
    before = {number: ends for number, ends in tunnels(LUWU).items() if ends[1] != "dc-a"}
    assert tunnels(left, alone=True) == before
