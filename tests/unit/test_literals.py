"""IP005: which texts of an inventory are addresses that should not have been written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from topology.rules.addresses import literals


def found(file: str, data: Any) -> list[tuple[tuple[object, ...], object]]:
    parts: Any = SimpleNamespace(raw={file: data})
    return [(f.where.path, f.values["address"]) for f in literals(parts)]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.7.32.10", "10.7.32.10"),
        ("at 10.7.32.0/24.", "10.7.32.0/24"),
        ("fd12:3456:789a:720::10", "fd12:3456:789a:720::10"),
        ("see fd12:3456::/32", "fd12:3456::/32"),
        ("at the old address 10.7.32.10.", "10.7.32.10"),
        ("10.32.7.10.in-addr.arpa", None),
        ("10.7.32.10/24x", None),
        ("1.2.3", None),
        ("10.7.32.300", None),
        ("v1.10.7.32.10", None),
        ("10.7.32.10.5", None),
        ("00:11:22:33:44:55", None),
        ("12:30:45", None),
        ("a:b", None),
        ("a.b.c.d", None),
    ],
)
def test_a_text_is_an_address_as_value_in_a_list_and_as_key(text: str, address: str | None) -> None:
    for data, path in (({"notes": text}, ("notes",)), ({"notes": [1, text]}, ("notes", 1)), ({text: 1}, (text,))):
        assert found("apps.yml", data) == ([] if address is None else [(path, address)]), data


def test_two_addresses_in_one_text_are_two_findings() -> None:
    assert [a for _, a in found("apps.yml", {"notes": "10.1.2.3 and 10.1.2.4"})] == ["10.1.2.3", "10.1.2.4"]


@pytest.mark.parametrize(
    ("file", "data", "allowed"),
    [
        ("district.yml", {"prefixes": {"ipv4": "10.0.0.0/8"}}, True),
        ("district.yml", {"other": {"ipv4": "10.0.0.0/8"}}, False),
        ("apps.yml", {"prefixes": {"ipv4": "10.0.0.0/8"}}, False),
        ("lab.yml", {"management": "10.99.0.0/24"}, True),
        ("lab.yml", {"hosts": {"management": "10.99.0.0/24"}}, False),
        ("lab.yml", {"internet": {"prefix": "198.51.100.0/24"}}, True),
        ("district.yml", {"management": "10.99.0.0/24"}, False),
        ("sites/skpd/x.yml", {"legacy_prefixes": [{"prefix": "192.168.1.0/24"}]}, True),
        ("sites/skpd/x.yml", {"legacy_prefixes": [{"router": "192.168.1.1"}]}, True),
        ("sites/skpd/x.yml", {"legacy_prefixes": [{"notes": "192.168.1.1"}]}, False),
        ("sites/skpd/x.yml", {"uplinks": [{"address": "198.51.100.2/29"}]}, True),
        ("sites/skpd/x.yml", {"uplinks": [{"router": "198.51.100.1"}]}, True),
        ("sites/skpd/x.yml", {"uplinks": [{"notes": "198.51.100.1"}]}, False),
        ("sites/skpd/x.yml", {"uplinks": [{"gateways": {"a": "198.51.100.3/29"}}]}, True),
        ("sites/skpd/x.yml", {"more": {"uplinks": [{"gateways": {"a": "198.51.100.3/29"}}]}}, True),
        ("sites/skpd/x.yml", {"uplinks": [{"others": {"a": "198.51.100.3/29"}}]}, False),
        ("sites/skpd/x.yml", {"gateways": [{"gateways": {"a": "198.51.100.3/29"}}]}, False),
    ],
)
def test_what_others_gave_us_may_be_written_in_its_place(file: str, data: dict[str, Any], allowed: bool) -> None:
    assert (found(file, data) == []) is allowed
