"""Throwing away images and mirrors that nothing uses any more."""

from __future__ import annotations

from topology.lab import state, vm
from topology.lab.files import remove_tree
from topology.lab.image import BUILD_LOCK, image_directory
from topology.lab.locks import waiting_lock
from topology.lab.mirror import mirror_directory
from topology.lab.names import CACHE_ROOT, STATE_ROOT, LabNames
from topology.lab.prerequisites import check_prerequisites


def clean_cache(*, everything: bool = False) -> list[str]:
    """Remove old images and mirrors; with `everything` the present ones too. Return what was removed.

    What a lab that is up stands on is always kept.
    """
    check_prerequisites()
    if not CACHE_ROOT.is_dir():
        return []
    with waiting_lock(BUILD_LOCK, f"{BUILD_LOCK} has been held for ten minutes; fuser says by whom"):
        kept = set() if everything else {
            image_directory(), image_directory("vm"), mirror_directory(), vm.mirror_disk_path().parent,
        }  # fmt: skip
        if STATE_ROOT.is_dir():
            labs = [LabNames(entry.name) for entry in STATE_ROOT.iterdir() if entry.is_dir()]
            known = [found for found in map(state.read, labs) if found is not None]
            kept |= {path for found in known for path in (found.disk.image, found.disk.mirror)}
        removed = [
            entry
            for entry in sorted(CACHE_ROOT.iterdir())
            if entry.name.startswith(("image-", "mirror-", "new-")) and entry not in kept
        ]
        for entry in removed:
            remove_tree(entry)
    return [str(entry) for entry in removed]
