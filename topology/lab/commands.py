"""Running the tools the lab is built from."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from topology.lab.errors import LabError

_inherited: set[int] = set()


def inherit(descriptor: int) -> None:
    """Hand an open file (a lock) to every tool started from now on.

    A tool that outlives a killed `up` then still holds the lock, so that nobody cleans up
    under its feet.
    """
    _inherited.add(descriptor)


def disinherit(descriptor: int) -> None:
    """Take back what `inherit` gave."""
    _inherited.discard(descriptor)


def tool_environment(**more: str) -> dict[str, str]:
    """Return the environment for tools: system directories in PATH, plain C messages."""
    path = os.environ.get("PATH", "")
    environment = dict(os.environ)
    environment.update(PATH=f"{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", LC_ALL="C.UTF-8", **more)
    return environment


def tool(
    command: Sequence[str],
    *,
    what: str,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run `command` and return what it printed; raise LabError saying `what` failed and why."""
    try:
        done = subprocess.run(
            list(command),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=dict(environment) if environment is not None else tool_environment(),
            pass_fds=tuple(_inherited),
        )
    except OSError as error:
        raise LabError(f"{what} failed: cannot run {command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        raise LabError(f"{what} failed: {last_words(done.stderr or done.stdout, done.returncode)}")
    return done.stdout


def last_words(output: str, code: int) -> str:
    """Return the most telling line of a failed command's output."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "Error", "RTNETLINK", "dpkg: error"))]
    if errors:
        return "; ".join(dict.fromkeys(errors[:3]))
    return lines[-1] if lines else f"exit code {code}"
