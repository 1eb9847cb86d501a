"""Progress of anything that takes over a second, on standard error."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_PATIENCE, _EVERY = 1.0, 0.1
_LINE_EVERY = 10.0


class Progress:
    """A bar on a terminal, a line now and then elsewhere; nothing at all for the first second."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self.what = what
        self.stream = stream or sys.stderr
        self.started = self.shown = time.monotonic()
        self.visible = False

    def __call__(self, done: int, total: int, what: str | None = None) -> None:
        """Say that `done` of `total` steps are behind us."""
        now = time.monotonic()
        terminal = self.stream.isatty()
        if now - self.started < _PATIENCE or now - self.shown < (_EVERY if terminal else _LINE_EVERY):
            return
        self.shown, self.visible = now, True
        share = done / total if total else 1.0
        text = f"{what or self.what}: {done}/{total}"
        if terminal:
            filled = round(24 * share)
            self.stream.write(f"\r\033[K{text} [{'#' * filled}{'.' * (24 - filled)}] {share:4.0%}")
        else:
            self.stream.write(f"{text}\n")
        self.stream.flush()

    def close(self) -> None:
        """Clear the bar."""
        if self.visible and self.stream.isatty():
            self.stream.write("\r\033[K")
            self.stream.flush()
