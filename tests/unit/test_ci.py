"""The CI definitions call targets that the Makefile has, and nothing cleverer; Makefile and pins say how."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
GITLAB = ROOT / ".gitlab-ci.yml"
TARGETS = set(re.findall(r"(?m)^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8")))
PREPARATION = re.compile(r"(apt-get|git config|mkdir|chmod|mv|sudo mkdir|sudo chmod)\b")


def github(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (job, command) of a workflow."""
    jobs: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    for name, job in jobs.items():
        for step in job["steps"]:
            if "run" in step:
                yield name, step["run"]


def gitlab() -> Iterator[tuple[str, str]]:
    """Yield (job, command) of the GitLab pipeline."""
    for name, job in yaml.safe_load(GITLAB.read_text(encoding="utf-8")).items():
        if isinstance(job, dict):
            for line in [*job.get("before_script", ()), *job.get("script", ())]:
                yield name, line


def targets(commands: Iterator[tuple[str, str]]) -> set[str]:
    """Return the Makefile's targets that are called; what is neither one nor preparation is a mistake."""
    found: set[str] = set()
    for job, command in commands:
        for part in re.split(r"\s*&&\s*|\n", command.strip()):
            called = re.fullmatch(r"(?:sudo (?:--preserve-env=\S+ )?)?make ([a-z-]+)", part)
            assert called or PREPARATION.match(part), f"{job}: {part}"
            if called:
                found.add(called[1])
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.name)
def test_a_workflow_calls_the_makefile(path: Path) -> None:
    called = targets(github(path))
    assert called and called <= TARGETS


def test_github_and_gitlab_run_the_same_targets() -> None:
    both = set().union(*(targets(github(path)) for path in WORKFLOWS))
    assert targets(gitlab()) == both
    assert {"lint", "test-without-lab", "test-lab", "molecule", "test-all", "molecule-freebsd", "docs"} <= both


def test_both_debian_releases_are_in_every_matrix() -> None:
    ci, nightly = (yaml.safe_load((ROOT / ".github/workflows" / n).read_text()) for n in ("ci.yml", "nightly.yml"))
    assert ci["jobs"]["fast"]["strategy"]["matrix"]["debian"] == ["12", "13"]
    for job in (ci["jobs"]["lab"], nightly["jobs"]["all"]):
        assert {line["suite"] for line in job["strategy"]["matrix"]["include"]} == {"bookworm", "trixie"}
