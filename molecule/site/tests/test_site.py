"""The whole district's slice after playbooks/site.yml and two power cuts: every host is what the plan says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from testinfra.host import Host

from topology.allocate import Plan

LAB = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "lab"
PATIENCE = 300.0
"""Seconds until clocks agree and every session is up again."""


def hosts(plan: Plan) -> list[str]:
    """Return every host that playbooks manage."""
    return [h.name for h in plan.hosts.values() if h.managed]


def test_no_unit_has_failed(box: Host) -> None:
    assert box.check_output("systemctl --failed --plain --no-legend") == ""


def test_nothing_waits_to_be_confirmed(box: Host) -> None:
    if box.file("/usr/local/sbin/topology-filter").exists:
        assert box.check_output("topology-filter status") == "confirmed"


@pytest.mark.timeout(PATIENCE + 120)
def test_every_host_is_as_the_plan_says(tmp_path: Path) -> None:
    sweep = [sys.executable, "-m", "topology", "drift", "--quiet", str(LAB)]
    sweep += ["--history", str(tmp_path / "history"), "--json", str(tmp_path / "found.json")]
    until = time.monotonic() + PATIENCE
    while (done := subprocess.run(sweep, capture_output=True, text=True, check=False)).returncode == 3:
        assert time.monotonic() < until, done.stdout
        time.sleep(5)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "found.json").read_text("utf-8"))["findings"] == []
