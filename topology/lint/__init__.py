"""Lints of rendered files: what the programs that read them accept, and should not.

Every id is permanent. A problem reads `file:line: ID what; what to do`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong in a rendered file."""

    file: str
    line: int
    id: str
    text: str
    """What; what to do."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.id} {self.text}"
