"""What must be so of several hosts together: the same everywhere, or of one of them alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Together:
    """A field of a thing that several hosts have."""

    kind: str
    thing: str
    field: str
    hosts: tuple[str, ...]
    """Whoever comes first is right when they differ."""
    once: object = None
    """A value that exactly one host has; None: all have the same."""
