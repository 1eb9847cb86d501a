"""keys.yml is edited line by line: order, comments and other sections stay."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from topology.keys import set_keys

A, B, C = (letter * 42 + "A=" for letter in "abc")
TEXT = f"""\
# head
wireguard:
  # the data centre
  dc-a: {A}
  dinkes-gw: {B}  # replaced in May

vpn_users: {{}}
"""


def test_a_new_key_goes_to_its_place_in_the_order() -> None:
    text = set_keys(TEXT, "wireguard", {"dc-b": C})
    assert text == TEXT.replace(f"  dinkes-gw: {B}", f"  dc-b: {C}\n  dinkes-gw: {B}")


def test_a_changed_key_keeps_its_comment() -> None:
    assert set_keys(TEXT, "wireguard", {"dinkes-gw": C}) == TEXT.replace(B, C)


def test_a_key_is_removed() -> None:
    assert set_keys(TEXT, "wireguard", {"dinkes-gw": None}) == TEXT.replace(
        f"  dinkes-gw: {B}  # replaced in May\n", ""
    )


def test_an_empty_section_and_a_new_one_are_filled() -> None:
    assert yaml.safe_load(set_keys(TEXT, "vpn_users", {"ani": A}))["vpn_users"] == {"ani": A}
    assert yaml.safe_load(set_keys("", "wireguard", {"dc-a": A})) == {"wireguard": {"dc-a": A}}


def test_the_last_key_leaves_an_empty_section() -> None:
    text = set_keys(f"wireguard:\n  dc-a: {A}\n", "wireguard", {"dc-a": None})
    assert yaml.safe_load(text) == {"wireguard": {}}


def test_a_zones_digest_is_written_in_quotes() -> None:
    one, other = '"20326 13 2 ABCD"', '"20327 13 2 DCBA"'
    text = set_keys(TEXT, "dnssec", {"luwukab.go.id": one, "10.in-addr.arpa": one})
    assert yaml.safe_load(text)["dnssec"] == {"10.in-addr.arpa": one.strip('"'), "luwukab.go.id": one.strip('"')}
    again = set_keys(text, "dnssec", {"luwukab.go.id": other, "10.in-addr.arpa": None})
    assert yaml.safe_load(again)["dnssec"] == {"luwukab.go.id": other.strip('"')}
    assert again.startswith(TEXT.rstrip("\n"))


def test_what_is_not_a_plain_line_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2"):
        set_keys("wireguard:\n  dc-a:\n    key: x\n", "wireguard", {"dc-b": A})


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.sampled_from([A, B, C])),
    st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.sampled_from([A, B, C, None])),
)
def test_it_says_what_a_dictionary_would(before: dict[str, str], change: dict[str, str | None]) -> None:
    text = set_keys("", "wireguard", dict(before))
    text = set_keys(text, "wireguard", change)
    expected = {k: v for k, v in {**before, **change}.items() if v is not None}
    found = yaml.safe_load(text)["wireguard"]
    assert found == expected
    assert list(found) == sorted(found)
