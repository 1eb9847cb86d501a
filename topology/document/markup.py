"""Pieces of Markdown: escaped text, tables, links, notes."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

_SPECIAL = str.maketrans({c: f"&#{ord(c)};" for c in '&<>|*_`[]\\#{}~^$=+!"'})


def text(value: object) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return " ".join(str(value).split()).translate(_SPECIAL)


def code(value: object) -> str:
    """Return a text in a fixed-width face."""
    return f"<code>{html.escape(str(value), quote=False).replace('|', '&#124;')}</code>"


def anchor(name: str, shown: str | None = None) -> str:
    """Return a text that links can point at by `name`."""
    return f'<span id="{name}">{shown if shown is not None else name}</span>'


def lines(values: Iterable[str]) -> str:
    """Return several values of one cell, each on a line of its own."""
    return "<br>".join(values)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return a table; the columns in `right` are aligned to the right."""
    marks = ["---:" if i in right else "---" for i in range(len(head))]
    out = [f"| {' | '.join(head)} |", f"| {' | '.join(marks)} |"]
    out += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(out)


def filterable(markdown: str, kind: str = "filterable") -> str:
    """Return a table that readers can sort and filter."""
    return f'<div class="{kind}" markdown="1">\n\n{markdown}\n\n</div>'


def facts(rows: Iterable[tuple[str, str]], head: tuple[str, str]) -> str:
    """Return a table of a name and a value per line."""
    return f'<div class="facts" markdown="1">\n\n{table(head, rows)}\n\n</div>'


def bullets(items: Iterable[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {item}" for item in items)


def note(kind: str, title: str, body: str) -> str:
    """Return a box with a title."""
    indented = "\n".join(f"    {line}" if line else "" for line in body.split("\n"))
    return f'!!! {kind} "{title.replace(chr(34), "&quot;")}"\n\n{indented}'


def join(*blocks: str) -> str:
    """Return blocks with a blank line between them; empty ones are left out."""
    return "\n\n".join(b for b in blocks if b)
