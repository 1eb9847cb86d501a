"""What this NAS was told: its name, its peers, the people; and where things lie on it."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import functools
import json
import os
import re
import subprocess
import sys
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path("/srv/nas")
"""The btrfs file system: live/, snap/, aside/."""
LIVE, SNAP, ASIDE = ROOT / "live", ROOT / "snap", ROOT / "aside"
STATE = Path("/var/lib/nas")
"""What this host knows by itself and no other needs."""
RUN = Path("/run/nas")
"""What a reboot forgets."""
CONFIG = Path("/etc/topology/nas.json")
SMB = "nas-smb.service"
ACCOUNTS = "accounts"
"""Dataset with the password database; no share leads there."""
USERS, AGENCIES = "files/users", "files/agencies"
_DATASET = re.compile(r"accounts|files/(users|agencies)/[a-z][a-z0-9_-]*")
_SNAPSHOT = re.compile(r"@GMT-\d{4}\.\d\d\.\d\d-\d\d\.\d\d\.\d\d")
FORMAT = "@GMT-%Y.%m.%d-%H.%M.%S"
"""A snapshot's name: what Windows calls a previous version, in UTC."""


class NasError(Exception):
    """Something a person can act on; one line."""


class Right(NamedTuple):
    """Whose a folder is, and what others may."""

    path: str
    """Below LIVE."""
    uid: int
    gid: int
    mode: int


def rights_of_user(name: str, uid: int) -> tuple[Right, ...]:
    """Return the rights of a person's folders, the outer one first; `uid` is also the number of the person's group.

    The person owns neither the folder nor the two in it: nobody can rename them or open them to others.
    """
    outer = f"{USERS}/{name}"
    return (
        Right(outer, 0, 0, 0o755),
        Right(f"{outer}/private", 0, uid, 0o770),
        Right(f"{outer}/public", 0, uid, 0o775),
    )


def rights_of_agency(slug: str, gid: int) -> tuple[Right, ...]:
    """Return the rights of an agency's share: what is made in it is the agency's."""
    return (Right(f"{AGENCIES}/{slug}", 0, gid, 0o2770),)


@dataclass(frozen=True, slots=True)
class User:
    """A person with folders."""

    name: str
    uid: int
    """Of the person and of the group that is the person's own."""
    quota: int
    """Bytes."""
    left: datetime.date | None


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency's group share."""

    slug: str
    gid: int
    quota: int


@dataclass(frozen=True, slots=True)
class Config:
    """The rendered configuration."""

    host: str
    first: str
    """The NAS that begins when none was active before."""
    nodes: dict[str, str]
    """Every NAS's address in the storage network."""
    source: str
    """This host's own address there."""
    sid: str
    timezone: str
    users: dict[str, User]
    agencies: dict[str, Agency]

    @property
    def peers(self) -> tuple[str, ...]:
        """The other NAS."""
        return tuple(n for n in self.nodes if n != self.host)

    @property
    def majority(self) -> int:
        """How many NAS, this one counted, must agree."""
        return len(self.nodes) // 2 + 1

    def current(self) -> dict[str, User]:
        """People who have not left by today."""
        today = datetime.datetime.now(zone(self.timezone)).date()
        return {n: u for n, u in self.users.items() if u.left is None or u.left > today}

    def datasets(self) -> list[str]:
        """Everything that is to be there, by name."""
        return [ACCOUNTS, *(f"{USERS}/{n}" for n in self.current()), *(f"{AGENCIES}/{a}" for a in self.agencies)]


def zone(name: str) -> datetime.tzinfo:
    """Return a time zone; UTC where the host does not know it."""
    try:
        return zoneinfo.ZoneInfo(name)
    except zoneinfo.ZoneInfoNotFoundError:
        return datetime.UTC


def load(path: Path = CONFIG) -> Config:
    """Read the configuration; NasError when it is not there."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NasError(f"{path}: {error.strerror}; playbooks/site.yml places it") from None
    data = json.loads("".join(line for line in text.splitlines(keepends=True) if not line.startswith("//")))
    users = {
        u["name"]: User(u["name"], u["uid"], u["quota"], datetime.date.fromisoformat(u["left"]) if u["left"] else None)
        for u in data["users"]
    }
    agencies = {a["slug"]: Agency(a["slug"], a["gid"], a["quota"]) for a in data["agencies"]}
    return Config(
        data["host"], data["first"], data["nodes"], data["source"], data["sid"], data["timezone"], users, agencies
    )


def dataset(name: str) -> str:
    """Return a dataset's name that came from elsewhere; NasError when it is none."""
    if not _DATASET.fullmatch(name):
        raise NasError(f"{name!r} is no dataset")
    return name


def snapshot(name: str) -> str:
    """Return a snapshot's name that came from elsewhere; NasError when it is none."""
    if not _SNAPSHOT.fullmatch(name):
        raise NasError(f"{name!r} is no snapshot")
    return name


@functools.lru_cache(maxsize=4096)
def moment(name: str) -> datetime.datetime:
    """Return when a snapshot was made."""
    return datetime.datetime.strptime(name, FORMAT).replace(tzinfo=datetime.UTC)


def run(*argv: str | Path, stdin: str | None = None, timeout: float | None = None) -> str:
    """Run a command and return what it printed; NasError with what it said when it fails."""
    try:
        done = subprocess.run(
            [str(a) for a in argv], input=stdin, capture_output=True, text=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        raise NasError(f"{argv[0]}: no answer within {timeout:g} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise NasError(f"{' '.join(map(str, argv[:3]))}: {said}")
    return done.stdout


def read_json(path: Path, default: Any) -> Any:
    """Return a state file's content; the default where there is none or it was cut off."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return default


def write_json(path: Path, data: object) -> None:
    """Write a state file so that it survives a power cut whole, as it was or as it is to be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def lock(name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock of this host; yields False when somebody has it and `wait` is off."""
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def say(*words: object) -> None:
    """Write a line to the journal or to whoever runs the command."""
    print(*words, file=sys.stderr, flush=True)


def words(values: Sequence[str]) -> str:
    """Return names in a row, or `none`."""
    return ", ".join(values) or "none"
