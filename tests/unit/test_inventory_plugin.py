"""What Ansible says of an inventory: the findings of a broken one once, and others as ever."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARSER_ERROR = 4
"""Ansible's exit code for what it cannot parse."""


def inventory(*arguments: str | Path, program: str = "ansible-inventory") -> subprocess.CompletedProcess[str]:
    """Run Ansible as a person does, in the folder with ansible.cfg."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [program, *map(str, arguments)],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")} | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Return a copy of the district with two faults."""
    target = tmp_path / "broken"
    shutil.copytree(ROOT / "inventories/luwu", target)
    registry = (target / "registry.yml").read_text()
    (target / "registry.yml").write_text(registry.replace("{number: 6, slug: dinkes}", "{number: 5, slug: dinkes}"))
    (target / "services/dns.yml").write_text("description: [\n")
    return target


@pytest.mark.parametrize("name", ["", "inventory.yml"], ids=["folder", "file"])
def test_findings_are_shown_once_and_nothing_else(broken: Path, name: str) -> None:
    done = inventory("-i", broken / name, "--graph")
    assert (done.returncode, done.stdout) == (PARSER_ERROR, "")
    lines = done.stderr.strip().splitlines()
    assert lines[0] == "[ERROR]: the inventory has errors:"
    assert all(line.startswith(f"{broken}/") for line in lines[1:]), done.stderr
    assert len(lines) == len(set(lines))
    assert sum(" RG001 " in line for line in lines) == 1
    assert sum(" YA001 " in line for line in lines) == 1


def test_a_play_stops_too(broken: Path) -> None:
    done = inventory("-i", broken, "all", "-m", "ansible.builtin.ping", program="ansible")
    assert done.returncode == PARSER_ERROR
    assert "plugin" not in done.stderr and done.stderr.count("RG001") == 1


def test_the_district_is_read() -> None:
    done = inventory("-i", "inventories/luwu", "--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "dc-a" in json.loads(done.stdout)["_meta"]["hostvars"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ansible_inventory.yml", "all:\n  hosts:\n    one:\n      ansible_connection: local\n"),
        ("inventory.yml", "all:\n  hosts:\n    one:\n      ansible_connection: local\n"),
        ("hosts", "[all]\none ansible_connection=local\n"),
    ],
    ids=["molecule", "same-name", "ini"],
)
def test_other_inventories_are_ansibles_own(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    done = inventory("-i", tmp_path / name, "--list")
    assert (done.returncode, done.stderr) == (0, "")
    hostvars = json.loads(done.stdout)["_meta"]["hostvars"]
    assert {host: values["ansible_connection"] for host, values in hostvars.items()} == {"one": "local"}


def test_hosts_on_the_command_line_are_ansibles_own() -> None:
    done = inventory("-i", "one,two,", "--graph")
    assert (done.returncode, done.stderr) == (0, "")
    assert "one" in done.stdout and "two" in done.stdout
