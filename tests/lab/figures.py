"""Figures that lab tests measure: printed, and kept as one JSON line each."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.lab.where import ROOT

FILE = ROOT / "build" / "figures.jsonl"


def record(name: str, **values: Any) -> None:
    """Print a figure and append it to build/figures.jsonl."""
    line = json.dumps({"name": name, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **values})
    print(line)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with FILE.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
