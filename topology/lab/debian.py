"""Which Debian the lab hosts run and where its packages come from: the same as this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from topology.lab import commands
from topology.lab.errors import LabError

SUITE_VARIABLE = "TOPOLOGY_LAB_SUITE"
MIRROR_VARIABLE = "TOPOLOGY_LAB_DEBIAN_MIRROR"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TARGET = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)"
_DEFAULT_MIRROR = "http://deb.debian.org/debian"
_SECURITY_MIRROR = "http://deb.debian.org/debian-security"


@dataclass(frozen=True, slots=True)
class Debian:
    """A Debian release."""

    suite: str
    architecture: str


@cache
def debian() -> Debian:
    """Return the Debian to build lab hosts from."""
    suite = os.environ.get(SUITE_VARIABLE) or _suite_of_this_machine()
    architecture = commands.tool(["dpkg", "--print-architecture"], what="asking dpkg").strip()
    return Debian(suite, architecture)


def proxy_options() -> list[str]:
    """Return this machine's apt proxy settings as apt.conf lines."""
    dump = commands.tool(["apt-config", "dump"], what="reading apt's configuration")
    return [
        line
        for line in dump.splitlines()
        if line.lower().startswith(("acquire::http::proxy", "acquire::https::proxy")) and '""' not in line
    ]


def _suite_of_this_machine() -> str:
    facts: dict[str, str] = {}
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        facts[key] = value.strip('"')
    if facts.get("ID") != "debian" or "VERSION_CODENAME" not in facts:
        raise LabError(
            f"this machine is {facts.get('PRETTY_NAME', 'unknown')}, not Debian 12 or 13;"
            f" set {SUITE_VARIABLE}=trixie to say what lab hosts should run"
        )
    return facts["VERSION_CODENAME"]


@cache
def sources() -> tuple[str, ...]:
    """Return the lines of sources.list to build from: this machine's own, if it runs the same release."""
    suite = debian().suite
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror:
        return (f"deb {mirror} {suite} main",)
    targets = commands.tool(
        ["apt-get", "indextargets", "--format", _TARGET, "Created-By: Packages"],
        what="asking apt where packages come from",
    )
    suites = (suite, f"{suite}-updates", f"{suite}-security")
    found: set[tuple[int, str]] = set()
    for line in targets.splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[1] in suites and fields[2] == "main" and fields[3] == "Debian":
            found.add((suites.index(fields[1]), f"deb {fields[0]} {fields[1]} main"))
    if not any(rank == 0 for rank, _ in found):
        return (
            f"deb {_DEFAULT_MIRROR} {suite} main",
            f"deb {_DEFAULT_MIRROR} {suite}-updates main",
            f"deb {_SECURITY_MIRROR} {suite}-security main",
        )
    return tuple(line for _, line in sorted(found))
