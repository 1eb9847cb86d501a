"""The lab's package mirror: a directory of .deb files with an index, made once and shared read-only."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from pathlib import Path

from topology.lab import commands
from topology.lab.debian import KEYRING, Debian, debian, proxy_options, sources
from topology.lab.errors import LabError
from topology.lab.files import remove_tree
from topology.lab.image import BUILD_LOCK, image_directory, image_key, lists_of, root_of
from topology.lab.locks import waiting_lock
from topology.lab.names import CACHE_ROOT

PACKAGE_LIST = Path(__file__).with_name("packages.txt")
_FORMAT = 2
_PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")


def wanted_packages(path: Path = PACKAGE_LIST) -> tuple[str, ...]:
    """Return the package names in a list file, without comments, sorted."""
    names: set[str] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        if not _PACKAGE_NAME.fullmatch(name):
            raise LabError(f"{path}:{number}: {name!r} is not the name of a Debian package")
        names.add(name)
    return tuple(sorted(names))


def mirror_directory() -> Path:
    """Return where the mirror of the present package list is, or will be."""
    made_from = "\n".join((str(_FORMAT), image_key(), *wanted_packages()))
    return CACHE_ROOT / f"mirror-{hashlib.sha256(made_from.encode()).hexdigest()[:12]}"


def ensure_mirror() -> Path:
    """Return the mirror, making it first if it is not in the cache. The image must be there."""
    mirror = mirror_directory()
    if mirror.is_dir():
        return mirror
    with waiting_lock(BUILD_LOCK, f"{BUILD_LOCK} has been held for ten minutes; fuser says by whom"):
        if not mirror.is_dir():
            _build(mirror)
    return mirror


def _build(mirror: Path) -> None:
    new = CACHE_ROOT / f"new-{mirror.name}"
    for killed in CACHE_ROOT.glob("new-mirror-*"):
        remove_tree(killed)
    try:
        apt = _Apt(debian(), image_directory(), new / "apt")
        apt.reuse(CACHE_ROOT.glob("mirror-*"))
        apt.update()
        groups = apt.choose(wanted_packages())
        for group in groups:
            apt.download(group)
        public = new / "public"
        public.mkdir()
        _publish(apt, sorted({item for group in groups for item in group}), public)
        os.sync()
        public.rename(mirror)
    finally:
        remove_tree(new)


class _Apt:
    """apt-get that takes the base image as the system it installs into."""

    def __init__(self, source: Debian, image: Path, work: Path) -> None:
        self.archives = work / "archives"
        (self.archives / "partial").mkdir(parents=True)
        shutil.copytree(lists_of(image), work / "lists")
        (work / "lists/partial").mkdir(exist_ok=True)
        (work / "etc/preferences.d").mkdir(parents=True)
        (work / "sources.list").write_text(
            "".join(line.replace("deb ", f"deb [signed-by={KEYRING}] ", 1) + "\n" for line in sources()),
            encoding="utf-8",
        )
        status = work / "status"
        shutil.copyfile(root_of(image) / "var/lib/dpkg/status", status)
        config = work / "apt.conf"
        settings = {
            "APT::Architecture": source.architecture,
            "APT::Architectures": source.architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Dir": str(root_of(image)),
            "Dir::Etc::sourcelist": str(work / "sources.list"),
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": str(work / "etc/preferences.d"),
            "Dir::State": str(work),
            "Dir::State::lists": str(work / "lists"),
            "Dir::State::status": str(status),
            "Dir::State::extended_states": str(work / "extended_states"),
            "Dir::Cache": str(work),
            "Dir::Cache::archives": str(self.archives),
            "Dir::Log": str(work),
            "Dir::Bin::methods": "/usr/lib/apt/methods",
            "Dir::Bin::dpkg": "/usr/bin/dpkg",
            "Debug::NoLocking": "true",
        }
        lines = [f'{key} "{value}";' for key, value in settings.items()]
        config.write_text("\n".join([*lines, *proxy_options()]) + "\n", encoding="utf-8")
        self._environment = commands.tool_environment(APT_CONFIG=str(config))

    def _run(self, *arguments: str, what: str) -> str:
        return commands.tool(arguments, what=what, environment=self._environment)

    def update(self) -> None:
        """Read the present package lists of Debian."""
        self._run("apt-get", "--quiet", "update", what="reading Debian's package lists")

    def choose(self, wanted: tuple[str, ...]) -> list[list[str]]:
        """Return "package=version" of all that has to be there, in groups that apt can install together.

        Normally that is one group. If some packages exclude each other (two mail servers, say)
        the wanted ones are halved until each group fits together.
        """
        known = set(self._run("apt-cache", "pkgnames", what="listing packages").split())
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise LabError(f"{PACKAGE_LIST}: Debian {debian().suite} has no package {', '.join(unknown)}")
        return self._groups(wanted)

    def _groups(self, wanted: tuple[str, ...]) -> list[list[str]]:
        if len(wanted) < 2:
            chosen = self._simulate(*wanted, may_remove=True) if wanted else None
            return [chosen] if chosen else []
        try:
            together = self._simulate(*wanted)
        except LabError:
            together = None
        if together is not None:
            return [together] if together else []
        middle = len(wanted) // 2
        return self._groups(wanted[:middle]) + self._groups(wanted[middle:])

    def _simulate(self, *packages: str, may_remove: bool = False) -> list[str] | None:
        what = f"choosing {packages[0] if len(packages) == 1 else 'packages'} for the lab's mirror"
        plan = self._run("apt-get", "install", "--simulate", *packages, what=what)
        if not may_remove and re.search(r"(?m)^Remv ", plan):
            return None
        found = re.findall(r"(?m)^Inst (\S+?)(?::\S+)? (?:\[\S+\] )?\((\S+) ", plan)
        return [f"{package}={version}" for package, version in found]

    def download(self, group: list[str]) -> None:
        """Download a group that `choose` returned; what `reuse` found is not downloaded again."""
        self._run(
            "apt-get", "--quiet", "--yes", "--download-only", "install", *group,
            what="downloading packages for the lab's mirror",
        )  # fmt: skip

    def reuse(self, mirrors: Iterator[Path]) -> None:
        """Put the files of earlier mirrors where apt finds them; it checks their hashes itself."""
        for mirror in mirrors:
            try:
                index = (mirror / "Packages").read_text(encoding="utf-8")
            except OSError:
                continue
            for stanza in _stanzas(index):
                fields = _fields(stanza)
                archive = self.archives / _archive_name(fields)
                if not archive.exists():
                    os.link(mirror / fields["Filename"], archive)

    def described(self, chosen: Sequence[str]) -> Iterator[tuple[Path, str]]:
        """Yield the file of every chosen "package=version" with its paragraph of Debian's index."""
        if not chosen:
            return
        text = self._run("apt-cache", "show", *chosen, what="indexing the lab's mirror")
        seen: set[str] = set()
        for stanza in _stanzas(text):
            archive = self.archives / _archive_name(_fields(stanza))
            if archive.name not in seen:
                seen.add(archive.name)
                yield archive, stanza


def _publish(apt: _Apt, chosen: Sequence[str], public: Path) -> None:
    """Move the downloaded files to `public` and write the indexes apt wants."""
    index: list[str] = []
    for archive, stanza in apt.described(chosen):
        name = re.sub(r"_\d+%3a", "_", archive.name)
        archive.rename(public / name)
        index.append(re.sub(r"(?m)^Filename: .*$", f"Filename: ./{name}", stanza))
    text = "\n\n".join(index) + "\n"
    (public / "Packages").write_text(text, encoding="utf-8")
    raw = text.encode()
    (public / "Release").write_text(
        f"Origin: Debian\nLabel: Debian\nSuite: stable\nCodename: {debian().suite}\n"
        f"Date: {formatdate(usegmt=True)}\n"
        f"SHA256:\n {hashlib.sha256(raw).hexdigest()} {len(raw)} Packages\n",
        encoding="utf-8",
    )


def _stanzas(text: str) -> list[str]:
    return [stanza.strip() for stanza in text.split("\n\n") if stanza.strip()]


def _fields(stanza: str) -> dict[str, str]:
    pairs = (line.partition(": ") for line in stanza.splitlines() if not line.startswith(" "))
    return {key: value for key, _, value in pairs}


def _archive_name(fields: dict[str, str]) -> str:
    """Return the name apt gives a downloaded package."""
    version = fields["Version"].replace(":", "%3a")
    return f"{fields['Package']}_{version}_{fields['Architecture']}.deb"
