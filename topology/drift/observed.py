"""What was read of a host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Things = dict[str, dict[str, Any]]
"""Name of a thing -> field -> value."""
BY_HAND = " by hand"
"""End of the name of a thing that the plan does not own but that somebody has set on the host."""


@dataclass(slots=True)
class Observed:
    """What was read of a host: kind -> things; what could not be read, and why."""

    kinds: dict[str, Things] = field(default_factory=dict)
    unobserved: dict[str, str] = field(default_factory=dict)
    """Kind -> why it could not be read."""
    failed: str = ""
    """Why nothing could be read at all."""
