"""How the roles place rendered files: owner, mode, service and packages, read from their own variables.

A role's vars/PLATFORM.yml says how its files lie on a host (`<role>_units`, see the module `place`) and which
packages it installs. They are read here, not written again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2.nativetypes import NativeEnvironment

ROLES = Path(__file__).parents[2] / "roles"
_FILES = {"debian": "Debian.yml", "freebsd": "FreeBSD.yml"}
_OWNER = {"debian": ("root", "root"), "freebsd": ("root", "wheel")}


@dataclass(frozen=True, slots=True)
class Unit:
    """Files of a role that belong together."""

    role: str
    name: str
    files: tuple[str, ...]
    owned: tuple[str, ...]
    keep: tuple[str, ...]
    owner: str
    group: str
    mode: str
    service: str
    each: bool
    apply: tuple[str, ...] = ()
    """Commands by which changed files are taken up; `{stem}` stands for a file's name without its suffix."""

    def has(self, path: str) -> bool:
        """Say whether a file (without the leading slash) is of this unit."""
        return _has(self.files, path)

    def services(self, paths: tuple[str, ...]) -> Iterator[str]:
        """Yield the names of the services that run while these files of the unit are there."""
        if self.service and not self.each:
            yield self.service
        elif self.service:
            yield from (self.service.replace("{stem}", Path(path).stem) for path in paths)


@cache
def _has(patterns: tuple[str, ...], path: str) -> bool:
    # hosts have mostly the same paths
    return any(_matches(path, pattern) for pattern in patterns)


def _matches(path: str, pattern: str) -> bool:
    """Like `place`: a star does not cross a slash."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


@cache
def variables(platform: str) -> dict[str, dict[str, Any]]:
    """Return role -> its variables of a platform, defaults below them."""
    found = {}
    for folder in sorted(p for p in ROLES.iterdir() if p.is_dir()):
        own = folder / "vars" / _FILES[platform]
        if own.exists():
            defaults = folder / "defaults" / "main.yml"
            values = (yaml.safe_load(defaults.read_text()) or {}) if defaults.exists() else {}
            found[folder.name] = values | (yaml.safe_load(own.read_text()) or {})
    return found


@cache
def units(platform: str) -> tuple[Unit, ...]:
    """Return every role's units on a platform; KeyError for a platform without roles."""
    owner, group = _OWNER[platform]
    found = []
    for role, values in variables(platform).items():
        for unit in values.get(f"{role}_units", ()):
            keep = unit.get("keep", ())
            if isinstance(keep, str):  # the name of a default: "{{ network_keep }}"
                keep = values[keep.strip("{} ")]
            found.append(Unit(
                role, unit["name"], tuple(unit["files"]), tuple(unit.get("owned", ())), tuple(keep),
                unit.get("owner", owner), unit.get("group", unit.get("owner", group)), unit.get("mode", "0644"),
                unit.get("service", ""), bool(unit.get("each", False)), tuple(unit.get("apply", ())),
            ))  # fmt: skip
    return tuple(found)


@cache
def units_of(platform: str, path: str) -> tuple[Unit, ...]:
    """Return the units that have a file (without the leading slash)."""
    return tuple(u for u in units(platform) if u.has(path))


def packages(platform: str, role: str, features: tuple[str, ...]) -> tuple[str, ...]:
    """Return the packages that a role installs on a host with these features."""
    value = variables(platform).get(role, {}).get(f"{role}_packages", ())
    if isinstance(value, str):
        value = NativeEnvironment().from_string(value).render(topology_features=list(features))
    return tuple(value)
