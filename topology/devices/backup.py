"""Configurations in a git repository: one file per device, secrets and times taken out, one commit a night."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from topology.devices.model import Device
from topology.devices.read import Answers
from topology.devices.redact import redacted

_ENDS = {"routeros": "rsc", "ios": "cfg", "airos": "cfg", "epmp": "json"}


def kept(device: Device, answers: Answers) -> dict[str, str]:
    """Return path in the repository -> text of a device's configuration."""
    family = device.profile.family
    if family == "sftp":
        return {f"{device.name}/{path.lstrip('/')}": redacted(text) for path, text in sorted(answers.items())}
    text = answers["configuration"]
    if family == "airos":
        # the order of its lines means nothing and changes
        text = "\n".join(sorted(x for x in text.splitlines() if x.strip()))
    return {f"{device.name}.{_ENDS[family]}": redacted(text)}


class GitError(Exception):
    """What git said."""


def _git(repository: Path, *words: str) -> str:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "TOPOLOGY_DEVICE_"))}
    own |= {"LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}
    names = ("-c", "user.name=topology", "-c", "user.email=topology@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", str(repository), *names, *words],
        capture_output=True,
        text=True,
        check=False,
        env=own,
        timeout=120,
    )
    if done.returncode:
        raise GitError(f"git {words[0]}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def write(repository: Path, files: Mapping[str, str], known: frozenset[str], message: str) -> str:
    """Write and commit; return the diff, empty when nothing changed.

    `known` are the names of all devices: files of devices that the plan no longer has go (their history stays);
    files of devices that did not answer stay as they are. Raises GitError or OSError.
    """
    repository.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (repository / ".git").exists():
        _git(repository, "init", "--quiet", "--initial-branch=main")
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for name in _git(repository, "ls-files").splitlines():
        if name.split("/")[0].rsplit(".", 1)[0] not in known and name.split("/")[0] not in known:
            (repository / name).unlink(missing_ok=True)
    _git(repository, "add", "--all", ".")
    diff = _git(repository, "diff", "--cached", "--no-color", "--no-ext-diff")
    if diff or not _git(repository, "rev-list", "--all", "--max-count=1"):
        _git(repository, "commit", "--quiet", "--allow-empty", "--message", message)
    return diff
