"""Pieces of SVG: measured text, boxes, and a document that is legible on light and dark paper."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass

WIDE = 0.62
"""Width of a character as a share of the size of the face, on the safe side for Latin text."""


@dataclass(frozen=True, slots=True)
class Label:
    """A line of text and where it stands: x, y of its baseline."""

    text: str
    x: float
    y: float
    size: float
    anchor: str = "start"
    """start, middle or end."""
    kind: str = "name"

    @property
    def width(self) -> float:
        """Estimated width in pixels."""
        return text_width(self.text, self.size)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Estimated left, top, right and bottom."""
        left = self.x - {"start": 0.0, "middle": self.width / 2, "end": self.width}[self.anchor]
        return left, self.y - 0.8 * self.size, left + self.width, self.y + 0.25 * self.size

    def svg(self) -> str:
        """Return the element."""
        return (
            f'<text class="{self.kind}" x="{trim(self.x)}" y="{trim(self.y)}" font-size="{trim(self.size)}" '
            f'text-anchor="{self.anchor}">{html.escape(self.text)}</text>'
        )


def text_width(text: str, size: float) -> float:
    """Return the estimated width of a text."""
    return len(text) * size * WIDE


def trim(value: float) -> str:
    """Return a coordinate without needless digits."""
    return f"{value:.1f}".removesuffix(".0")


def rectangle(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Return a box with rounded corners."""
    size = f'width="{trim(width)}" height="{trim(height)}"'
    return f'<rect class="{kind}" x="{trim(x)}" y="{trim(y)}" {size} rx="5"/>'


def path(points: Iterable[tuple[float, float]], kind: str) -> str:
    """Return a line through points."""
    steps = " ".join(("M" if i == 0 else "L") + f"{trim(x)} {trim(y)}" for i, (x, y) in enumerate(points))
    return f'<path class="{kind}" d="{steps}"/>'


def link(target: str | None, inner: str, title: str = "") -> str:
    """Return elements that lead to a page when there is one."""
    tip = f"<title>{html.escape(title)}</title>" if title else ""
    if target is None:
        return f"<g>{tip}{inner}</g>"
    return f'<a href="{html.escape(target)}">{tip}{inner}</a>'


def document(width: float, height: float, title: str, name: str, elements: Iterable[str]) -> str:
    """Return an SVG of this size; its colours follow the page, or the reader's choice when alone."""
    w, h = trim(width), trim(height)
    body = "".join(elements)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing" role="img" aria-labelledby="{name}-title" '
        f'viewBox="0 0 {w} {h}" width="{w}" height="{h}" style="min-width:{trim(0.72 * width)}px">'
        f'<title id="{name}-title">{html.escape(title)}</title>{body}</svg>'
    )


STYLE = (
    "<style>"
    "svg.drawing{--d-text:#1b1f24;--d-soft:#57606a;--d-line:#6e7781;--d-box:#f3f5f8;--d-root:#dbe7fb;--d-paper:#fff;"
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu "
    "Sans',sans-serif;background:var(--d-paper)}"
    "@media (prefers-color-scheme:dark){svg.drawing{--d-text:#e6e9ef;--d-soft:#b3bac5;--d-line:#8b949e;"
    "--d-box:#2a303b;--d-root:#27406b;--d-paper:#1b1f27}}"
    ".drawing text{fill:var(--d-text)}.drawing .value,.drawing .small{fill:var(--d-soft)}"
    ".drawing .name{font-weight:600}.drawing rect{fill:var(--d-box);stroke:var(--d-line)}"
    ".drawing rect.root{fill:var(--d-root)}.drawing path{fill:none;stroke:var(--d-line);stroke-width:1.5}"
    ".drawing path.wide{stroke-width:3}"
    "</style>"
)
"""The look of a drawing that stands alone; on a page the site's style sheet has the same rules."""


def alone(svg: str) -> str:
    """Return a drawing as a file of its own."""
    start = svg.index(">") + 1
    return svg[:start] + STYLE + svg[start:] + "\n"


def overlaps(labels: Iterable[Label]) -> list[tuple[Label, Label]]:
    """Return the pairs of labels whose boxes overlap."""
    ordered = sorted(labels, key=lambda x: x.box[0])
    found = []
    for i, a in enumerate(ordered):
        for b in ordered[i + 1 :]:
            if b.box[0] >= a.box[2]:
                break
            if a.box[1] < b.box[3] and b.box[1] < a.box[3]:
                found.append((a, b))
    return found
