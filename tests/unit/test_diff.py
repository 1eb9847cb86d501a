"""Registry lines that are gone, and those that only have another name."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from topology.diff import registry_losses
from topology.schema import RegistryFile

RETIRED = datetime.date(2026, 1, 2)


def registry(kecamatan: list[dict[str, Any]], desa: list[dict[str, Any]]) -> RegistryFile:
    return RegistryFile.model_validate({"kecamatan": kecamatan, "desa": desa})


def lost(before: RegistryFile, after: RegistryFile) -> list[object]:
    return [finding.values["line"] for finding in registry_losses(before, after, "HEAD")]


def village(kecamatan: str, number: int, slug: str, **more: Any) -> dict[str, Any]:
    return {"kecamatan": kecamatan, "number": number, "slug": slug, **more}


HULU, HILIR = {"number": 1, "slug": "hulu"}, {"number": 2, "slug": "hilir"}
BEFORE = registry([HULU, HILIR], [village("hulu", 0, "batu"), village("hilir", 1, "pasir")])


def test_a_renamed_kecamatan_loses_no_village() -> None:
    after = registry([{"number": 1, "slug": "baru"}, HILIR], [village("baru", 0, "batu"), village("hilir", 1, "pasir")])
    assert lost(BEFORE, after) == []


def test_two_kecamatan_may_swap_their_names() -> None:
    swapped = [{"number": 1, "slug": "hilir"}, {"number": 2, "slug": "hulu"}]
    assert lost(BEFORE, registry(swapped, [village("hilir", 0, "batu"), village("hulu", 1, "pasir")])) == []
    # the lines as they were now stand for the other kecamatan
    assert lost(BEFORE, registry(swapped, [village("hulu", 0, "batu"), village("hilir", 1, "pasir")])) == [
        "desa 0 (batu)",
        "desa 1 (pasir)",
    ]


def test_a_village_in_another_kecamatan_has_lost_its_number() -> None:
    after = registry([HULU, HILIR], [village("hilir", 0, "batu"), village("hilir", 1, "pasir")])
    assert lost(BEFORE, after) == ["desa 0 (batu)"]


def test_a_renamed_kecamatan_whose_village_is_gone_is_told() -> None:
    after = registry([{"number": 1, "slug": "baru"}, HILIR], [village("hilir", 1, "pasir")])
    assert lost(BEFORE, after) == ["desa 0 (batu)"]


@pytest.mark.parametrize("kept", ["hulu", "baru"])
def test_a_retired_kecamatan_keeps_its_villages_whoever_has_its_name_now(kept: str) -> None:
    """The name goes to a new kecamatan; the village's line keeps the old one's name or follows it."""
    after = registry(
        [{"number": 1, "slug": kept, "retired": RETIRED}, HILIR, {"number": 3, "slug": "hulu"}],
        [village(kept, 0, "batu", retired=RETIRED), village("hilir", 1, "pasir")],
    )
    assert lost(BEFORE, after) == []


def test_a_line_that_names_a_kecamatan_nowhere_is_compared_by_that_name() -> None:
    before = registry([HULU], [village("dulu", 0, "batu", retired=RETIRED)])
    assert lost(before, before) == []
    assert lost(before, registry([HULU], [])) == ["desa 0 (batu)"]
