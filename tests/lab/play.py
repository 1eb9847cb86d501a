"""Runs Ansible against the lab under test, and tells what it changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.where import INVENTORY, ROOT

PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
SITE = ROOT / "playbooks" / "site.yml"


@dataclass(frozen=True)
class Run:
    """A finished run."""

    code: int
    output: str
    changed: list[dict[str, Any]]
    """Per changed task: host, task, where, units and files."""

    @property
    def changes(self) -> set[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
        """Return (host, task, units, files) of what changed."""
        return {(c["host"], c["task"], tuple(c["units"]), tuple(c["files"])) for c in self.changed}


def command(playbook: Path, *options: str | Path, inventory: Path = INVENTORY) -> list[str]:
    """Return the command line of a run."""
    return [str(PLAYBOOK), "-i", str(inventory), str(playbook), *map(str, options)]


def environment(report: Path) -> dict[str, str]:
    """Return the environment of a run whose changes are reported to a file."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")}
    return kept | {
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tools" / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "change_report",
        "CHANGE_REPORT": str(report),
    }


def run(playbook: Path, report: Path, *options: str | Path, inventory: Path = INVENTORY, timeout: float = 600) -> Run:
    """Run a playbook from the repository's folder; `report` is a scratch file."""
    report.unlink(missing_ok=True)
    done = subprocess.run(
        command(playbook, *options, inventory=inventory), cwd=ROOT, env=environment(report), capture_output=True,
        text=True, check=False, timeout=timeout,
    )  # fmt: skip
    changed = json.loads(report.read_text(encoding="utf-8"))["changed"] if report.exists() else []
    return Run(done.returncode, done.stdout + done.stderr, changed)


def role_play(path: Path, host: str, role: str, **variables: Any) -> Path:
    """Write a play that runs one role on one host; return its path."""
    play = {"hosts": host, "gather_facts": False, "become": True, "roles": [{"role": role, **variables}]}
    path.write_text(json.dumps([play]), encoding="utf-8")
    return path
