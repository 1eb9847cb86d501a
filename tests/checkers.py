"""The real daemons' own checkers, for rendered files.

They are looked for in the folder that TOPOLOGY_CHECKERS names (Debian packages unpacked with
`dpkg -x`: tools/checkers), then on PATH.
A test that needs one which is nowhere is skipped and says so, or fails where the
folder is named.
Some look at the network's interfaces: `run_each` gives them those a gateway has, in a network
namespace of their own.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ENVIRONMENT = "TOPOLOGY_CHECKERS"
_PROGRAMS = ("usr/sbin", "usr/bin", "sbin", "bin")
_LIBRARIES = ("usr/lib/*-linux-gnu", "usr/lib/*-linux-gnu/frr", "lib/*-linux-gnu", "usr/lib", "usr/lib/extra")
_MAKE = 'ip link add "$i" type dummy 2>/dev/null || ip link add "$i" type bridge || exit 99; ip link set "$i" up'


@dataclass(frozen=True)
class Result:
    """What a checker said of one file."""

    file: Path
    code: int
    output: str


@dataclass(frozen=True)
class Checker:
    """A checker's program and what it needs to run from where it is."""

    program: str
    root: Path | None
    """Folder of unpacked packages it is from, None when it is installed."""

    def environment(self) -> dict[str, str]:
        """Return the environment to run it in."""
        found = os.environ | {"KEA_LOCKFILE_DIR": "none"}
        if self.root is not None:
            folders = [str(path) for pattern in _LIBRARIES for path in self.root.glob(pattern)]
            found["LD_LIBRARY_PATH"] = ":".join(folders)
        return found

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it; its messages are in stdout."""
        return subprocess.run(
            [self.program, *arguments], env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=60, check=False,
        )  # fmt: skip

    def run_each(
        self, arguments: Sequence[str], files: Iterable[Path], interfaces: Iterable[str], addresses: Iterable[str] = ()
    ) -> list[Result]:
        """Run it once per file where these interfaces (and `address/length dev name`) exist.

        `{}` in the arguments is the file. Skips the test where no namespace can be made.
        """
        every = list(files)
        # a program that reads a file of its package by name finds it: their /etc above the machine's, where that can be
        etc = f"mount -t overlay -o 'lowerdir={self.root}/etc:/etc' none /etc 2>/dev/null\n" if self.root else ""
        words = " ".join('"$f"' if a == "{}" else f"'{a}'" for a in arguments)
        script = f"{etc}ip link set lo up\nfor i in {' '.join(dict.fromkeys(interfaces))}; do {_MAKE}; done\n"
        script += "".join(f"ip addr add {a} || exit 99\n" for a in addresses)
        script += f'for f in "$@"; do "{self.program}" {words} >"$f.out" 2>&1; echo $? >"$f.code"; done\n'
        done = subprocess.run(
            ["unshare", *namespace(), "--mount", "sh", "-c", script, "sh", *map(str, every)], env=self.environment(),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [
            Result(f, int(Path(f"{f}.code").read_text()), Path(f"{f}.out").read_text(errors="replace")) for f in every
        ]


def find(name: str) -> Checker | None:
    """Return a checker by the name of its program, None when it is nowhere."""
    if folder := os.environ.get(ENVIRONMENT):
        for place in _PROGRAMS:
            program = Path(folder) / place / name
            if os.access(program, os.X_OK):
                return Checker(str(program), Path(folder))
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"))
    found = shutil.which(name, path=path)
    return Checker(found, None) if found else None


def need(name: str) -> Checker:
    """Return a checker or skip the test, saying how to get it."""
    found = find(name)
    if found is None and os.environ.get(ENVIRONMENT):
        pytest.fail(f"no {name} in the folder {ENVIRONMENT} names, nor on PATH")
    if found is None:
        pytest.skip(f"NOT CHECKED: no {name} on PATH nor in the folder {ENVIRONMENT} names")
    return found


@functools.cache
def namespace() -> tuple[str, ...]:
    """Return unshare's options for an own network namespace, or skip the test."""
    for options in (("-n",), ("-rn",)):
        tried = subprocess.run(
            ["unshare", *options, "sh", "-c", "ip link add t0 type dummy || ip link add t0 type bridge"],
            capture_output=True, check=False,
        )  # fmt: skip
        if tried.returncode == 0:
            return options
    pytest.skip("NOT CHECKED: no network namespace can be made here (root or user namespaces)")
