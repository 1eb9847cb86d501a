"""The role device_backup on a lab host, with simulated switches and radios on its loopback."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devices.conftest import NAMES
from tests.devices.simulators import PASSWORD, USER
from tests.lab import play
from tests.lab.figures import record
from tests.lab.where import INVENTORY, ROOT
from topology import lab
from topology.inventory import groups, plan_of
from topology.lab.access import network_command
from topology.lab.names import LabNames

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(600)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
HOST = next(iter(groups(PLAN).get("service_management", [])), "")
OPT = "/opt/topology-test"
ENVIRONMENT = "/etc/topology/device-backup.env"
REPOSITORY = "/var/lib/device-backup/configurations"
PLAY = "backup.json"


def run(*command: str, stdin: str | None = None, code: int | None = 0) -> str:
    done = lab.exec_in(NAME, HOST, command, stdin=stdin)
    assert code is None or done.returncode == code, f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


class Devices:
    """The simulators, in the network of the host."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            network_command(LabNames(NAME), HOST, [sys.executable, "-m", "tests.lab.device_agent"]),
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdin and self.process.stdout
        self.ports: dict[str, int] = json.loads(self.process.stdout.readline())

    def tell(self, *words: str) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


@pytest.fixture(scope="module")
def devices() -> Iterator[Devices]:
    made = Devices()
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, devices: Devices) -> Iterator[Path]:
    """Bring the command as the monitoring archive has it, and write the play."""
    if not HOST:
        pytest.fail(f"{INVENTORY} has no host of the service `management`")
    folder = tmp_path_factory.mktemp("backup")
    python = run("python3", "-c", "import platform as p; print('.'.join(p.python_version_tuple()[:2]), p.machine())")
    bundle = subprocess.run(
        [sys.executable, "tools/drift-bundle", "build/drift/bundle", "inventories/luwu", *python.split()],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    packed = base64.b64encode((ROOT / bundle).read_bytes()).decode()
    run("sh", "-c", f"mkdir -p {OPT} && base64 -d | tar -xzf - -C {OPT}", stdin=packed)
    run("sh", "-c", f"cat >{OPT}/topology-command && chmod 755 {OPT}/topology-command", stdin=(
        f"#!/bin/sh\nexport PYTHONPATH={OPT}:{OPT}/packages PYTHONDONTWRITEBYTECODE=1\n"
        'exec python3 -m topology "$@"\n'))  # fmt: skip
    words = [w for n, p in devices.ports.items() for w in (f"--hosts={n}", f"--at={n}=127.0.0.1:{p}")]
    play.role_play(
        folder / PLAY, HOST, "device_backup", device_backup_command=f"{OPT}/topology-command",
        device_backup_inventory=f"{OPT}/inventories/luwu", device_backup_options=[*words, "--limit=60"],
    )  # fmt: skip
    yield folder
    run("sh", "-c", "systemctl disable --now device-backup.timer; userdel device-backup; "
        f"rm -rf {OPT} {ENVIRONMENT} {REPOSITORY.rsplit('/', 1)[0]} /etc/systemd/system/device-backup.*; "
        "systemctl daemon-reload; systemctl reset-failed", code=None)  # fmt: skip


def role(folder: Path, *options: str) -> play.Run:
    """Run the role on the host."""
    return play.run(folder / PLAY, folder / "r", *options)


def state() -> str:
    """Return all that the role makes."""
    return run("sh", "-c", "getent passwd device-backup; ls -ld /var/lib/device-backup; dpkg -s git | grep Status; "
               "cat /etc/systemd/system/device-backup.*; systemctl is-enabled device-backup.timer; :")  # fmt: skip


def test_check_mode_says_what_would_be_and_changes_nothing(folder: Path) -> None:
    before = state()
    done = role(folder, "--check")
    assert done.code == 0, done.output[-4000:]
    assert {"Make the user that runs the backup", "Place the units"} <= {
        c["task"].rpartition(" : ")[2] for c in done.changed
    }
    assert state() == before


def test_the_second_run_changes_nothing(folder: Path) -> None:
    first = role(folder)
    assert first.code == 0, first.output[-4000:]
    assert f"{ENVIRONMENT} is missing" in first.output
    again = role(folder)
    assert again.code == 0, again.output[-4000:]
    assert not again.changed
    checked = role(folder, "--check")
    assert checked.code == 0, checked.output[-4000:]
    assert not checked.changed
    assert run("systemctl", "is-active", "device-backup.timer").strip() == "active"


def test_without_a_login_it_waits(folder: Path) -> None:
    run("systemctl", "start", "device-backup.service")
    assert "ConditionResult=no" in run("systemctl", "show", "device-backup.service", "--property=ConditionResult")
    run("test", "!", "-e", REPOSITORY)


def test_a_login_that_others_can_read_is_refused(folder: Path) -> None:
    text = f"TOPOLOGY_DEVICE_USER={USER}\nTOPOLOGY_DEVICE_PASSWORD={PASSWORD}\n"
    run("sh", "-c", f"mkdir -p /etc/topology && cat >{ENVIRONMENT} && chmod 644 {ENVIRONMENT}", stdin=text)
    done = role(folder)
    assert done.code != 0
    assert "must belong to root with mode 0600" in done.output
    run("chmod", "600", ENVIRONMENT)
    assert role(folder).code == 0


def git(*words: str) -> str:
    return run("runuser", "-u", "device-backup", "--", "git", "-C", REPOSITORY, *words)


def test_a_night_is_a_commit_without_secrets_and_only_when_something_changed(folder: Path, devices: Devices) -> None:
    run("systemctl", "start", "device-backup.service")
    first = git("rev-parse", "HEAD").strip()
    files = git("ls-files").split()
    assert {name.partition(".")[0] for name in files} == set(NAMES.values())
    kept = "".join(git("show", f"HEAD:{name}") for name in files)
    for secret in (PASSWORD, "sandi-snmp", "rahasia"):
        assert secret not in kept
    assert run("stat", "-c", "%U %a", REPOSITORY.rsplit("/", 1)[0]).strip() == "device-backup 700"
    run("systemctl", "start", "device-backup.service")
    assert git("rev-parse", "HEAD").strip() == first
    devices.tell("change", NAMES["routeros"])
    run("systemctl", "start", "device-backup.service")
    change = git("show", "--format=%s", "HEAD")
    assert "+" in change
    assert "changed-by-hand" in change
    assert [line for line in change.splitlines() if line.startswith("diff ")] == [
        f"diff --git a/{NAMES['routeros']}.rsc b/{NAMES['routeros']}.rsc"
    ]
    spent = run("systemctl", "show", "device-backup.service", "--property=ExecMainStartTimestampMonotonic",
                "--property=ExecMainExitTimestampMonotonic")  # fmt: skip
    values = dict(line.split("=") for line in spent.splitlines())
    seconds = (int(values["ExecMainExitTimestampMonotonic"]) - int(values["ExecMainStartTimestampMonotonic"])) / 1e6
    record("device backup: a night", devices=len(NAMES), seconds=round(seconds, 1))


def test_a_device_that_does_not_answer_keeps_its_file_and_is_said(folder: Path, devices: Devices) -> None:
    name = NAMES["ios"]
    devices.tell("stop", name)
    before = git("show", f"HEAD:{name}.cfg")
    run("systemctl", "start", "device-backup.service", code=1)
    assert git("show", f"HEAD:{name}.cfg") == before
    said = run("journalctl", "--unit", "device-backup.service", "--output=cat", "--lines=60")
    assert name in said
    assert PASSWORD not in said
