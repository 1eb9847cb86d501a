"""Each family: provision, plan, apply, check, back up, against its simulator."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.devices.conftest import NAMES, Run, simulator
from tests.devices.simulators import Fleet, RouterOS
from topology.devices.model import Device

FAMILIES = tuple(NAMES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_device_becomes_what_the_plan_says(
    family: str, devices: dict[str, Device], fleet: Fleet, run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = NAMES[family]
    device: Any = simulator(devices[name])
    fleet.add(name, device)
    # the dry run says everything and changes nothing
    assert run("plan") == 3
    planned = capsys.readouterr().out
    assert "would push" in planned and name in planned and "sandi-snmp" not in planned
    assert device.changes == 0
    # a new device's own management path changes: refused without the word
    assert run("apply") == 1
    assert "own management path" in capsys.readouterr().out
    assert device.changes == 0
    assert run("apply", "--management") == 0, capsys.readouterr()
    assert "changed" in capsys.readouterr().out
    assert device.changes > 0
    before = device.changes
    if not isinstance(device, RouterOS):  # whose changes are saved as they are made
        device.restart()
    assert run("check") == 0, capsys.readouterr().out
    assert run("apply") == 0
    assert f"{name}: unchanged" in capsys.readouterr().out
    assert device.changes == before
    repository = tmp_path / "backup"
    assert run("backup", "--repository", str(repository)) == 0
    capsys.readouterr()
    assert run("backup", "--repository", str(repository)) == 0
    assert "1 files kept, 0 changed" in capsys.readouterr().out
    log = subprocess.run(["git", "-C", str(repository), "log", "--oneline"], capture_output=True, text=True, check=True)
    assert len(log.stdout.splitlines()) == 1
    kept = "".join(p.read_text() for p in repository.glob(f"{name}.*"))
    assert name in kept
    for secret in ("sandi-snmp", "rahasia", "kata-sandi"):
        assert secret not in kept
