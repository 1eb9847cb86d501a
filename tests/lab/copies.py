"""Copies of the lab's inventory that a test may change, applied to the running lab."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.lab.where import INVENTORY, ROOT

OLD_LAN = "\ncutover: legacy\nlegacy_prefixes:\n  - {prefix: 192.168.77.0/24}  # kestrel\n"


@dataclass(frozen=True)
class Applied:
    """What a run of site.yml did."""

    changed: dict[str, int]
    output: str


@dataclass(frozen=True)
class Copy:
    """A lab's inventory and the district's beside it."""

    lab: Path
    district: Path

    def apply(self, *hosts: str) -> Applied:
        """Run site.yml on some hosts; the test fails when it does."""
        return apply(self.lab, *hosts)

    def add_old_lan_and_service(self, office: str) -> None:
        """Give an office its old LAN back, and staff everywhere one more service: every role then has work."""
        site, policy = self.district / f"sites/skpd/{office}.yml", self.district / "policy.yml"
        text = site.read_text(encoding="utf-8")
        assert "\nhosts:" in text
        site.write_text(text.replace("\nhosts:", f"{OLD_LAN}hosts:", 1), encoding="utf-8")
        text = policy.read_text(encoding="utf-8")
        text = text.replace("services:\n", "services:\n  kestrel: [4747/tcp]\n", 1)
        flow = "  - {from: [staff], to: [server], services: [kestrel], why: a test}\n"
        policy.write_text(text.replace("flows:\n", f"flows:\n{flow}", 1), encoding="utf-8")

    def remove_rendered(self) -> None:
        """Remove the tree that site.yml has rendered of it."""
        shutil.rmtree(ROOT / "build" / "render" / rendered_name(self.lab), ignore_errors=True)


def rendered_name(inventory: Path) -> str:
    """Return the name of the folder in build/render, as site.yml makes it."""
    return os.path.relpath(inventory, ROOT).replace("/", "-")


def copy(folder: Path) -> Copy:
    """Copy the lab's inventory and its district; the lab keeps its name, so the copy applies to the running one."""
    text = (INVENTORY / "lab.yml").read_text(encoding="utf-8")
    district = (INVENTORY / yaml.safe_load(text)["district"]).resolve()
    made = Copy(folder / "lab", folder / "district")
    shutil.copytree(INVENTORY, made.lab)
    shutil.copytree(district, made.district)
    (made.lab / "lab.yml").write_text(re.sub(r"(?m)^district: .*$", "district: ../district", text), encoding="utf-8")
    return made


def apply(inventory: Path, *hosts: str, options: Sequence[str] = ()) -> Applied:
    """Run site.yml on some hosts of an inventory (all when none is named); the test fails when it does."""
    limit = ["--limit", ",".join(("localhost", *hosts))] if hosts else []
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-i", str(inventory), "playbooks/site.yml", *limit, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    changed = {m[1]: int(m[2]) for m in re.finditer(r"(?m)^(\S+)\s+: ok=\d+\s+changed=(\d+)", done.stdout)}
    return Applied({h: n for h, n in changed.items() if h != "localhost"}, done.stdout)
