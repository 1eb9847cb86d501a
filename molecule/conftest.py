"""Testinfra reaches a scenario's hosts by the lab's own SSH configuration, one connection per host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from topology.allocate import Plan
from topology.inventory import plan_of
from topology.lab.names import LabNames

LAB = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "lab"
PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
PLAN = plan_of(LAB)


def _connect(name: str) -> Host:
    """Return a host of the scenario's lab."""
    assert PLAN.district.lab is not None
    names = LabNames(PLAN.district.lab.name)
    options = f"ssh_config={names.ssh_config}&controlpersist=30"
    return testinfra.get_host(f"ssh://{name}?{options}", sudo=True)


@pytest.fixture(scope="session")
def plan() -> Plan:
    """Return the plan of the scenario's slice."""
    return PLAN


@pytest.fixture(scope="session")
def connect() -> Callable[[str], Host]:
    """Return what opens a host of the scenario's lab by its name."""
    return _connect


@pytest.fixture(scope="session")
def checked() -> subprocess.CompletedProcess[str]:
    """Return a run of site.yml in check mode that insists on nothing to do."""
    return subprocess.run(
        [PROJECT / "tools/assert-unchanged", "-i", LAB, PROJECT / "playbooks/site.yml", "--check"],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `box` on every host its module names in `hosts` (all by default)."""
    if "box" in metafunc.fixturenames:
        chosen = getattr(metafunc.module, "hosts", lambda plan: list(plan.hosts))(PLAN)
        metafunc.parametrize("box", [_connect(n) for n in chosen], ids=chosen, scope="module")
