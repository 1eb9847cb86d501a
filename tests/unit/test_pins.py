"""The pins: hashes for every Python, and no address."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "requirements"
FILES = sorted(FOLDER.glob("*.txt"))


def hashes(file: Path) -> dict[str, int]:
    """Return how many hashes each package has."""
    found: dict[str, int] = {}
    name = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if pinned := re.match(r"([A-Za-z0-9._-]+)==\S", line):
            name = pinned[1]
            found[name] = 0
        elif "--hash=sha256:" in line:
            found[name] += 1
    return found


def is_compiled(name: str) -> bool:
    """Say whether a package that is installed here was built for one kind of machine or one Python."""
    try:
        return "Root-Is-Purelib: false" in (distribution(name).read_text("WHEEL") or "")
    except PackageNotFoundError:
        return False


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.name)
def test_every_package_has_a_hash_and_a_compiled_one_those_of_every_python(file: Path) -> None:
    """A compiled package has a file for each Python and machine: with few hashes it was pinned from a partial index."""
    found = hashes(file)
    assert found and all(found.values()), [name for name, count in found.items() if not count]
    assert [name for name, count in found.items() if count < 8 and is_compiled(name)] == []


def test_both_packages_and_tools_are_pinned() -> None:
    assert {"bootstrap.txt", "dev.txt", "runtime.txt", "bench.txt"} <= {file.name for file in FILES}
    assert sum(is_compiled(name) for name in hashes(FOLDER / "dev.txt")) > 10


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.name)
def test_no_pin_names_an_address(file: Path) -> None:
    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links", file.read_text(encoding="utf-8"))
