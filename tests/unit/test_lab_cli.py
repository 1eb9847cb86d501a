"""Which lab is meant: by the inventory that is named, and by what Ansible hands to the wrapper of ssh."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from topology import inventory as hosts
from topology import lab
from topology.cli import ERRORS, FINE, main
from topology.lab.access import SSH_WRAPPER

ROOT = Path(__file__).parents[2]
SSH_ARGUMENTS = ("-o", "BatchMode=yes", "198.18.0.11", "/bin/sh -c 'true'")


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a lab called `other` and go to the folder above its inventory; return how it is named there."""
    shutil.copytree(ROOT / "inventories", tmp_path / "inventories")
    (tmp_path / "inventories/lab").rename(tmp_path / "inventories/lain")
    file = tmp_path / "inventories/lain/lab.yml"
    file.write_text(file.read_text().replace("\nname: lab\n", "\nname: other\n"))
    shutil.copytree(ROOT / "inventories/lab", tmp_path / "inventories/lab")
    monkeypatch.chdir(tmp_path)
    return "inventories/lain"


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return what would have been run: (lab, host, command) of ssh, (lab, command) of run."""
    calls: list[tuple[Any, ...]] = []

    def ssh(name: str, host: str, command: Sequence[str] = ()) -> int:
        calls.append((name, host, list(command)))
        return FINE

    def run(name: str, command: Sequence[str]) -> int:
        calls.append((name, list(command)))
        return FINE

    monkeypatch.setattr(lab, "ssh", ssh)
    monkeypatch.setattr(lab, "run", run)
    return calls


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["ssh", "dc-a"], ("lab", "dc-a", [])),
        (["ssh", "dc-a", "ip", "-6", "route"], ("lab", "dc-a", ["ip", "-6", "route"])),
        (["ssh", "inventories/lain", "dc-a"], ("other", "dc-a", [])),
        (["ssh", "inventories/lain/", "dc-a", "ip", "route"], ("other", "dc-a", ["ip", "route"])),
        (["ssh", "-i", "inventories/lain", "dc-a", "id"], ("other", "dc-a", ["id"])),
        (["ssh", "inventories/lab", "dc-a", "ls", "inventories/lain"], ("lab", "dc-a", ["ls", "inventories/lain"])),
        (["run", "ip", "-6", "route"], ("lab", ["ip", "-6", "route"])),
        (["run", "inventories/lain", "ansible", "all", "-m", "ping"], ("other", ["ansible", "all", "-m", "ping"])),
        (["run", "-i", "inventories/lain", "true"], ("other", ["true"])),
    ],
)
def test_the_lab_is_that_of_the_inventory(
    other: str, called: list[tuple[Any, ...]], arguments: list[str], expected: tuple[Any, ...]
) -> None:
    assert main(["lab", *arguments]) == FINE
    assert called == [expected]


def test_a_folder_that_is_no_inventory_is_not_taken_for_one(other: str, called: list[tuple[Any, ...]]) -> None:
    Path("dc-a").mkdir()
    assert main(["lab", "ssh", "dc-a", "id"]) == FINE
    assert called == [("lab", "dc-a", ["id"])]


@pytest.mark.parametrize(("verb", "wanted"), [("ssh", "name a host"), ("run", "name a command")])
def test_an_inventory_alone_is_not_enough(
    other: str, called: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str], verb: str, wanted: str
) -> None:
    assert main(["lab", verb, other]) == ERRORS
    assert called == []
    error = capsys.readouterr().err
    assert wanted in error and len(error.splitlines()) == 1


def test_an_inventory_without_a_lab_says_so(
    other: str, called: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "ssh", "inventories/luwu", "dc-a"]) == ERRORS
    assert called == []
    assert capsys.readouterr().err == "topology: this inventory has no lab.yml\n"


# -- the wrapper ------------------------------------------------------------------------------------


def answer(arguments: Sequence[str], **environment: str) -> str:
    """Return what the wrapper says; no lab of these names is up, so it says which one it looked for."""
    clean = {k: v for k, v in os.environ.items() if k != "TOPOLOGY_LAB"} | environment
    done = subprocess.run([SSH_WRAPPER, *arguments], capture_output=True, text=True, check=False, env=clean)
    assert (done.returncode, done.stdout) == (255, "")
    return done.stderr


def refusal(name: str) -> str:
    return f"lab {name} is not up; topology lab up starts it\n"


@pytest.fixture
def common(other: str) -> list[str]:
    """Return the arguments that Ansible adds for a host of the lab `other`."""
    plan = hosts.plan_of(other)
    return shlex.split(hosts.variables(plan, plan.hosts["dc-a"])["ansible_ssh_common_args"])


def test_ansible_needs_no_environment_to_reach_another_lab(common: list[str]) -> None:
    assert answer([*common, *SSH_ARGUMENTS]) == refusal("other")


def test_a_host_is_reached_in_its_own_lab_whatever_the_environment_says(common: list[str]) -> None:
    assert answer([*common, *SSH_ARGUMENTS], TOPOLOGY_LAB="nosuch") == refusal("other")


@pytest.mark.parametrize("option", ["-oUserKnownHostsFile={}", "-o UserKnownHostsFile={}"])
def test_the_option_may_be_one_word(option: str) -> None:
    words = shlex.split(option.format("/run/topology-lab/other/known_hosts"))
    assert answer([*words, *SSH_ARGUMENTS]) == refusal("other")


@pytest.mark.parametrize(
    "argument",
    [
        "echo UserKnownHostsFile=/run/topology-lab/other/known_hosts",
        "UserKnownHostsFile=/root/.ssh/known_hosts",
        "UserKnownHostsFile=/run/topology-lab/known_hosts",
    ],
)
def test_other_arguments_name_no_lab(argument: str) -> None:
    assert answer([*SSH_ARGUMENTS[:-1], argument], TOPOLOGY_LAB="nosuch") == refusal("nosuch")
