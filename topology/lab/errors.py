"""The one error the lab raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class LabError(Exception):
    """Something the person running the lab can act on, in one line."""


@contextmanager
def as_lab_errors(what: str) -> Iterator[None]:
    """Turn what the operating system refuses (a full disk, say) into a LabError."""
    try:
        yield
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        raise LabError(f"{what} failed: {error.strerror or error}{place}") from None
