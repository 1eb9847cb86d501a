"""What differs from the plan: one reading of every host, judged here."""

from __future__ import annotations
