"""The one error the lab raises."""

from __future__ import annotations


class LabError(Exception):
    """Something the person running the lab can act on, in one line."""
