"""Settings that all tests share."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "repeatable",
    derandomize=True,
    max_examples=50,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # `make fuzz` also shrinks what it finds
    suppress_health_check=[HealthCheck.too_slow],
)


def pytest_configure(config: pytest.Config) -> None:
    """Draw the same examples in every run, unless a profile is named (`make fuzz`)."""
    if not config.getoption("--hypothesis-profile", default=None):
        settings.load_profile("repeatable")
