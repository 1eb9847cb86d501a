"""What lab tests share: they need root, and say so when they cannot run."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="NOT TESTED: the lab needs root; run this again with sudo")
    for item in items:
        if item.get_closest_marker("lab"):
            item.add_marker(skip)
