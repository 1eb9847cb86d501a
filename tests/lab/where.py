"""Which lab is tested: inventories/lab, or another one while several people work on one machine."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
INVENTORY = Path(os.environ.get("TOPOLOGY_TEST_LAB") or ROOT / "inventories" / "lab")
