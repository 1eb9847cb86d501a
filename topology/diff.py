"""What a change does: addresses and rendered files of two plans, compared.

Addresses are compared by name, and everything that moved is said once per host. The same
difference in many hosts' files is shown once, with the hosts it applies to.
"""

from __future__ import annotations

import difflib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from topology.allocate import Plan, sliced
from topology.finding import Finding, Where
from topology.render import Files, render
from topology.schema import DesaLine, LinkLine, NumberLine, RegistryFile, UserLine

_Line = NumberLine | DesaLine | LinkLine | UserLine


class RevisionError(Exception):
    """A revision cannot be read; the text says why."""


@contextmanager
def checkout(inventory: Path, revision: str) -> Iterator[Path]:
    """Give the inventory as it was at a git revision, in a temporary folder.

    The folder beside it is taken along, because a lab names the district it is a slice of.
    Raises RevisionError when git has no such revision or inventory.
    """
    inventory = inventory.resolve()
    top = _git(inventory, "rev-parse", "--show-toplevel").decode().strip()
    relative = inventory.relative_to(Path(top).resolve())
    commit = _git(inventory, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    parent = relative.parent.as_posix()
    archive = _git(Path(top), "archive", "--format=tar", commit, parent)
    with tempfile.TemporaryDirectory(prefix="topology-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
            else:  # Debian 12's Python (3.11.2) has none; git holds no path outside and no file below a link
                tar.extractall(folder)
        old = Path(folder) / relative
        if not old.is_dir():
            raise RevisionError(f"{relative} does not exist at {revision}")
        yield old


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise RevisionError("git is not installed; install it to compare revisions") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
        raise RevisionError(lines[-1].removeprefix("fatal: "))
    return done.stdout


@dataclass(frozen=True, slots=True)
class Change:
    """A thing whose addresses are new, gone or other than before."""

    what: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    def line(self) -> str:
        """Return the change as a line: + new, - gone, ! moved."""
        if not self.before:
            return f"+ {self.what}: {' '.join(self.after)}"
        if not self.after:
            return f"- {self.what}: {' '.join(self.before)}"
        return f"! {self.what}: {' '.join(self.before)} -> {' '.join(self.after)}"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One difference in a file, and every host it is the same for."""

    path: str
    hosts: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that differs between two plans."""

    addresses: tuple[Change, ...]
    files: tuple[FileChange, ...]

    def __bool__(self) -> bool:
        return bool(self.addresses or self.files)


def compare(before: Plan, after: Plan) -> Difference:
    """Return what differs from one plan to the other."""
    old, new = _addresses(before), _addresses(after)
    changes = [
        Change(what, old.get(what, ()), new.get(what, ()))
        for what in sorted(old.keys() | new.keys())
        if old.get(what) != new.get(what)
    ]
    files = _file_changes(dict(render(sliced(before))), dict(render(sliced(after))))
    return Difference(tuple(changes), files)


def _addresses(plan: Plan) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for site in plan.sites.values():
        found[f"site {site.slug}"] = site.prefixes
        for network in site.networks:
            found[f"network {site.slug} {network.name}"] = network.prefixes
        for host in site.hosts:
            for interface in host.interfaces:
                if interface.addresses:
                    found[f"host {host.name} {interface.network or interface.link or interface.name}"] = (
                        interface.addresses
                    )
    for link in plan.links.values():
        found[f"link {link.name}"] = link.prefixes
    return found


def _file_changes(old: Mapping[str, Files], new: Mapping[str, Files]) -> tuple[FileChange, ...]:
    groups: dict[tuple[str, str], list[str]] = {}
    for host in sorted(old.keys() | new.keys()):
        before, after = old.get(host, {}), new.get(host, {})
        for path in sorted(before.keys() | after.keys()):
            a, b = before.get(path), after.get(path)
            if a != b:
                groups.setdefault((path, _hunks(a, b)), []).append(host)
    return tuple(FileChange(path, tuple(hosts), text) for (path, text), hosts in sorted(groups.items()))


def _hunks(a: str | None, b: str | None) -> str:
    if a is None:
        return "new file\n"
    if b is None:
        return "file removed\n"
    lines = difflib.unified_diff(a.splitlines(), b.splitlines(), lineterm="", n=1)
    return "\n".join(list(lines)[2:]) + "\n"


def registry_losses(before: RegistryFile, after: RegistryFile, revision: str) -> list[Finding]:
    """Return a finding for every registry line that is gone or has another number or place.

    A line may be renamed and may get `retired:`; its number stays taken for ever. A village's place is
    its kecamatan's number, so a kecamatan may be renamed too.
    """
    found = []
    blocks, blocks_now = _blocks(before), _blocks(after)
    for section in ("skpd", "kecamatan", "dc", "desa", "links", "vpn_users"):
        now = {identity for line in getattr(after, section) for identity in _identities(line, blocks_now)}
        for line in getattr(before, section):
            if now.isdisjoint(_identities(line, blocks)):
                name = getattr(line, "slug", None) or line.name
                values = {"line": f"{section} {line.number} ({name})", "revision": revision}
                found.append(Finding("RG008", Where("registry.yml", (section,), key=True), values))
    return found


def _blocks(registry: RegistryFile) -> dict[tuple[str, bool], set[int]]:
    """Return the numbers that (a kecamatan's name, whether a live line means it) may stand for.

    A live village is in the live kecamatan; a retired one may be in a retired one of the same name.
    """
    found: dict[tuple[str, bool], set[int]] = {}
    for line in registry.kecamatan:
        found.setdefault((line.slug, False), set()).add(line.number)
        if line.retired is None:
            found.setdefault((line.slug, True), set()).add(line.number)
    return found


def _identities(line: _Line, blocks: Mapping[tuple[str, bool], set[int]]) -> set[tuple[object, int]]:
    """Return what a line may be for ever: (number of its kecamatan, own number); mostly there is one."""
    if not isinstance(line, DesaLine):
        return {(None, line.number)}
    places = blocks.get((line.kecamatan, line.retired is None))
    if places is None:  # a retired village of a kecamatan that is nowhere has only that name
        return {(line.kecamatan, line.number)}
    return {(place, line.number) for place in places}


def as_lines(difference: Difference) -> list[str]:
    """Return a difference as lines for the terminal."""
    lines = [change.line() for change in difference.addresses]
    for change in difference.files:
        hosts = ", ".join(change.hosts[:6]) + (f" and {len(change.hosts) - 6} more" if len(change.hosts) > 6 else "")
        lines += ["", f"{change.path} on {len(change.hosts)} host(s): {hosts}", change.text.rstrip()]
    moved = sum(1 for c in difference.addresses if c.before and c.after)
    lines += ["", f"{len(difference.addresses)} address changes ({moved} moved), {len(difference.files)} file changes"]
    return lines
