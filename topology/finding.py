"""Findings: what is wrong in an inventory, where, and what to do about it.

Every rule has a permanent id and one text per language in `topology.rules.catalogue`.
A finding names a rule, a place and the values that fill in the text; it is turned into
`file:line: ID what; what to do` only when it is shown, because finding the line number
of a key means reading the file a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Language = Literal["en", "id"]
Severity = Literal["error", "warning"]
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Both:
    """A piece of text in both languages, to fill in a rule's text with."""

    en: str
    id: str


NONE_FREE = Both("none is free", "tidak ada yang bebas")
"""Shown where a rule would propose a free number and there is none."""


@dataclass(frozen=True, slots=True)
class Where:
    """A place in an inventory: a file (relative to the inventory) and a path of keys in it."""

    file: str
    path: KeyPath = ()
    line: int | None = None
    """Line, 1-based, where the reader already knew it."""
    key: bool = False
    """Point at the key itself and not at its value."""

    def at(self, *more: str | int, key: bool = False) -> Where:
        """Return the place further down the same file."""
        return Where(self.file, (*self.path, *more), key=key)


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule at one place."""

    rule: str
    where: Where
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's permanent id, how much it weighs, and its text: `what; what to do`."""

    id: str
    severity: Severity
    en: str
    id_: str

    def text(self, values: Mapping[str, object], lang: Language) -> str:
        """Return the text of a finding in `lang`."""
        template = self.id_ if lang == "id" else self.en
        return template.format(**{k: _shown(v, lang) for k, v in values.items()})


def _shown(value: object, lang: Language) -> str:
    if isinstance(value, Both):
        text = value.id if lang == "id" else value.en
    elif isinstance(value, list | tuple | set | frozenset):
        text = ", ".join(_shown(v, lang) for v in value)
    else:
        text = str(value)
    text = text.encode("unicode_escape").decode() if not text.isprintable() else text
    limit = 160 if isinstance(value, str) else 600
    return text if len(text) <= limit else text[: limit - 3] + "..."


class InventoryError(Exception):
    """The inventory has errors; `findings` has all of them. Nothing was written."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(f"{len(self.findings)} findings")
