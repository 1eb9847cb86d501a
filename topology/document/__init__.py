"""The network documentation of a district: pages, drawings and a workbook, generated from its plan.

`write` makes the Markdown of both languages and the workbook, `build` the site from it. Pages are
pure functions of the plan: one module per page, named for what it makes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from topology.allocate import Plan
from topology.document import folder, tree
from topology.document.language import LANGUAGES
from topology.document.site_config import file_of
from topology.drift.history import Standing

SITE = "site"

__all__ = ["BuildError", "build", "write"]


class BuildError(RuntimeError):
    """MkDocs did not accept the pages; the text has its last lines."""


def write(
    plan: Plan,
    out: Path,
    *,
    warnings_text: Sequence[str] | Mapping[str, Sequence[str]],
    revision: str,
    standing: Standing | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Write the documentation of a plan to the folder `out`; say whether anything changed.

    `warnings_text` are the check's warnings as lines, or such lines per language (`id`, `en`).
    `standing` is what differs on the hosts since when (`topology.drift.history`).
    `revision` names the inventory's revision; a date in it (YYYY-MM-DD) dates the workbook.
    Everything is made in memory first and put in place at once. A folder that holds anything
    but a documentation is left alone (FileExistsError).
    """
    out = Path(out).resolve()
    folder.check(out)
    warnings: Mapping[str, Sequence[str]]
    if isinstance(warnings_text, Mapping):
        warnings = warnings_text
    else:
        warnings = {language.code: warnings_text for language in LANGUAGES}
    files = tree.files(plan, warnings=warnings, revision=revision, standing=standing)
    if folder.same(out, files, SITE):
        return False
    folder.replace(out, files, lambda done: progress(done, len(files)) if progress else None)
    return True


def build(out: Path) -> Path:
    """Build the site of a written documentation and return its first page.

    Both languages are built side by side, each by `mkdocs build --strict`; the site of the
    last build stays in place until both are ready. Raises BuildError when MkDocs refuses.
    """
    out = Path(out).resolve()
    fresh = Path(tempfile.mkdtemp(prefix=".site.", dir=out))
    try:
        running = [_mkdocs(out, file_of(x), fresh / x.code) for x in LANGUAGES]
        outputs = [process.communicate()[0] for process in running]
        failed = [text for process, text in zip(running, outputs, strict=True) if process.returncode]
        if failed:
            lines = [x for text in failed for x in text.splitlines() if x.strip() and not x.startswith("INFO")]
            raise BuildError("mkdocs: " + "\n".join(lines[-20:]))
        first, *others = LANGUAGES
        site = fresh / first.code
        for language in LANGUAGES:
            _index_as_script(fresh / language.code)
        for language in others:
            (fresh / language.code).rename(site / language.code)
        folder.swap(site, out / SITE)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return out / SITE / "index.html"


def _mkdocs(out: Path, config: str, into: Path) -> subprocess.Popen[str]:
    """Start `mkdocs build` of the same Python."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    return subprocess.Popen(
        [*command, "-f", str(out / config), "-d", str(into)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=out,
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    quiet = {"NO_MKDOCS_2_WARNING": "true", "PYTHONWARNINGS": "ignore", "PYTHONIOENCODING": "utf-8"}
    return {**os.environ, **quiet}


def _index_as_script(site: Path) -> None:
    """Add the search index as a script: a page opened from disk may not fetch it."""
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    (site / "search" / "search_index.js").write_text(f"var __index = {index}", encoding="utf-8")
