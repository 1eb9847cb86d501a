"""Steps of a remedy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """Apply a role's unit again."""

    unit: str


@dataclass(frozen=True, slots=True)
class Run:
    """A command for root's sh, before the roles run or after."""

    command: str
    after: bool = False


Step = Mark | Run
Steps = list[Step] | None
"""None: for a person. Empty: the roles do it by themselves."""
