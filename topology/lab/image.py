"""The base image: a Debian root directory, built once and shared read-only by all hosts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from topology.lab import commands, recipe
from topology.lab.debian import KEYRING, Debian, debian, proxy_options, sources
from topology.lab.errors import LabError
from topology.lab.files import filesystem_of, remove_tree, unmount_below
from topology.lab.locks import waiting_lock
from topology.lab.names import CACHE_ROOT, DATA_ROOT

BUILD_LOCK = CACHE_ROOT / "build.lock"
Kind = Literal["container", "vm"]
_UNFIT = ("overlay", "nfs", "nfs4", "cifs", "vfat", "9p", "fuse", "virtiofs", "ramfs")


def image_key(kind: Kind = "container") -> str:
    """Return a short hash of everything the image is made from."""
    source = debian()
    made_from: list[object] = [
        source.suite,
        source.architecture,
        recipe.PACKAGES,
        recipe.DPKG_OPTIONS,
        recipe.FILES,
        recipe.REMOVED,
        recipe.EMPTIED,
        recipe.STEPS,
    ]
    if kind == "vm":
        made_from += [recipe.vm_packages(source.architecture), recipe.VM_FILES, recipe.VM_STEPS]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:12]


def image_directory(kind: Kind = "container") -> Path:
    """Return where the image of the present recipe is, or will be."""
    return CACHE_ROOT / f"{'image' if kind == 'container' else 'image-vm'}-{image_key(kind)}"


def root_of(image: Path) -> Path:
    """Return the root directory inside an image."""
    return image / "root"


def lists_of(image: Path) -> Path:
    """Return apt's package lists the image was built from."""
    return image / "lists"


def check_filesystems() -> None:
    """Raise LabError if the disks of hosts cannot live where they should."""
    for place in (DATA_ROOT, CACHE_ROOT):
        kind = filesystem_of(place)
        if kind.startswith(_UNFIT):
            raise LabError(
                f"{place} is on {kind}, which cannot carry the hosts' overlayfs;"
                " mount an ext4, xfs, btrfs or tmpfs there"
            )


def ensure_image(kind: Kind = "container") -> Path:
    """Return the image, building it first if it is not in the cache."""
    image = image_directory(kind)
    if image.is_dir():
        return image
    with waiting_lock(BUILD_LOCK, f"{BUILD_LOCK} has been held for ten minutes; fuser says by whom"):
        if not image.is_dir():
            _build(debian(), image, kind)
    return image


def _build(source: Debian, image: Path, kind: Kind) -> None:
    if not KEYRING.exists():
        raise LabError(f"{KEYRING} is missing; apt-get install debian-archive-keyring")
    temporary = CACHE_ROOT / f"new-{image.name}"
    for killed in CACHE_ROOT.glob("new-*"):
        _discard(killed)
    temporary.mkdir(parents=True)
    packages: tuple[str, ...] = recipe.PACKAGES
    files = recipe.FILES
    steps: tuple[tuple[str, ...], ...] = recipe.STEPS
    if kind == "vm":
        packages, files = packages + recipe.vm_packages(source.architecture), files | recipe.VM_FILES
        steps += recipe.VM_STEPS
    root = root_of(temporary)
    try:
        options = [f"--aptopt={line}" for line in proxy_options()]
        options += [f"--dpkgopt={option}" for option in recipe.DPKG_OPTIONS]
        commands.tool(
            [
                "mmdebstrap",
                "--mode=root",
                "--variant=minbase",
                f"--architectures={source.architecture}",
                f"--include={','.join(packages)}",
                f"--keyring={KEYRING}",
                "--skip=cleanup/apt/lists",
                *options,
                source.suite,
                str(root),
                *sources(),
            ],
            what=f"building the base image (Debian {source.suite})",
        )
        _finish(root, files, steps)
        shutil.move(root / "var/lib/apt/lists", lists_of(temporary))
        (root / "var/lib/apt/lists/partial").mkdir(parents=True)
        os.sync()
        temporary.rename(image)
    except BaseException:
        _discard(temporary)
        raise


def _finish(root: Path, files: dict[str, tuple[int, str]], steps: Sequence[Sequence[str]]) -> None:
    """Turn a plain Debian into a lab host's image."""
    for name, (mode, text) in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
    for step in steps:
        commands.tool(["chroot", str(root), *step], what=f"building the base image ({step[0]})")
    for name in recipe.REMOVED:
        (root / name).unlink(missing_ok=True)
    for name in recipe.EMPTIED:
        (root / name).write_text("", encoding="ascii")
    for old in (root / "var/log").rglob("*.log"):
        old.unlink()


def _discard(temporary: Path) -> None:
    """Remove a half-built image, with anything a killed build left mounted in it."""
    unmount_below(temporary)
    remove_tree(temporary)
