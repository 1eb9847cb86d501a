"""docs/errors.md says what the catalogue and the cases say."""

from __future__ import annotations

from tests.rules import errors_page
from topology.rules.catalogue import CATALOGUE


def test_the_page_is_up_to_date() -> None:
    assert errors_page.PAGE.read_text(encoding="utf-8") == errors_page.page(), "run: python -m tests.rules.errors_page"


def test_every_rule_is_on_the_page_once() -> None:
    text = errors_page.page()
    assert all(text.count(f"\n### {rule}\n") == 1 for rule in CATALOGUE)


def test_ids_of_a_group_stand_together() -> None:
    groups = [rule[:2] for rule in CATALOGUE]
    assert len([g for i, g in enumerate(groups) if i == 0 or groups[i - 1] != g]) == len(set(groups))
