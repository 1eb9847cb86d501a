"""The drawing of the radio tree: root at the left, one column per hop, figures on the links."""

from __future__ import annotations

from dataclasses import dataclass

from topology.allocate import Plan
from topology.document import drawing as d
from topology.document.language import Language
from topology.schema import RadioEntry

NODE_SIZE, FIGURE_SIZE = 14.0, 12.0
ROW, MARGIN, PAD, NODE_HEIGHT = 46.0, 12.0, 10.0, 28.0
LONGEST = 26
"""Longest name in a box; what is longer is cut."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A laid-out tree: boxes, links and labels."""

    width: float
    height: float
    boxes: dict[str, tuple[float, float, float, float]]
    """Site -> x, y, width, height."""
    edges: tuple[tuple[str, str], ...]
    """Parent and child of every link drawn."""
    labels: tuple[d.Label, ...]


def layout(plan: Plan, t: Language) -> Tree | None:
    """Place the sites of the radio tree; None when no tree is declared."""
    backbone = plan.backbone
    if backbone.root is None:
        return None
    levels: dict[str, int] = {backbone.root: 0}
    rows: dict[str, float] = {}
    _place(plan, backbone.root, levels, rows, [0])
    depth = max(levels.values())
    name_widths = [0.0] * (depth + 1)
    gaps = [0.0] * (depth + 1)
    for site, level in levels.items():
        name_widths[level] = max(name_widths[level], d.text_width(_name(plan, site), NODE_SIZE) + 2 * PAD)
        if site in backbone.uplink:
            longest = max(d.text_width(x, FIGURE_SIZE) for x in figures(backbone.uplink[site], t))
            gaps[level] = max(gaps[level], longest + 34)
    lefts = [MARGIN]
    for level in range(1, depth + 1):
        lefts.append(lefts[-1] + name_widths[level - 1] + gaps[level])
    boxes = {}
    labels = []
    for site, level in levels.items():
        x, y = lefts[level], MARGIN + rows[site] * ROW
        boxes[site] = (x, y, name_widths[level], NODE_HEIGHT)
        labels.append(
            d.Label(_name(plan, site), x + name_widths[level] / 2, y + NODE_HEIGHT / 2 + 5, NODE_SIZE, "middle")
        )
        if site in backbone.uplink:
            over, under = figures(backbone.uplink[site], t)
            middle = y + NODE_HEIGHT / 2
            labels.append(d.Label(over, x - 8, middle - 5, FIGURE_SIZE, "end", "value"))
            labels.append(d.Label(under, x - 8, middle + 14, FIGURE_SIZE, "end", "value"))
    width = lefts[-1] + name_widths[-1] + MARGIN
    height = 2 * MARGIN + max(rows.values()) * ROW + NODE_HEIGHT + 8
    edges = tuple((backbone.parent[s], s) for s in levels if s in backbone.parent)
    return Tree(width, height, boxes, edges, tuple(x for x in labels if x.text))


def _place(plan: Plan, root: str, levels: dict[str, int], rows: dict[str, float], next_row: list[int]) -> None:
    """Give every leaf a row of its own and every other site the middle of its children."""
    pending = [(root, False)]
    while pending:
        site, done = pending.pop()
        children = [c for c in plan.backbone.children.get(site, ()) if c in plan.sites]
        if done:
            rows[site] = (rows[children[0]] + rows[children[-1]]) / 2
        elif not children:
            rows[site] = float(next_row[0])
            next_row[0] += 1
        else:
            pending.append((site, True))
            for child in reversed(children):
                levels[child] = levels[site] + 1
                pending.append((child, False))


def _name(plan: Plan, site: str) -> str:
    name = plan.sites[site].place.data.name
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def figures(link: RadioEntry, t: Language) -> tuple[str, str]:
    """Return the two lines on a link: range and throughput, availability."""
    over = []
    if link.range_km is not None:
        over.append(f"{t.number(link.range_km, 1)} km")
    if link.throughput_mbps is not None:
        over.append(f"{t.number(link.throughput_mbps, 0)} Mbit/s")
    under = f"{t.number(link.availability_pct, 4)} %" if link.availability_pct is not None else ""
    return " · ".join(over), under


def tree_drawing(plan: Plan, t: Language, up: str = "") -> str | None:
    """Return the drawing as SVG whose boxes lead to the sites' pages; None when there is no tree."""
    tree = layout(plan, t)
    if tree is None:
        return None
    elements = []
    for parent, child in tree.edges:
        px, py, pw, ph = tree.boxes[parent]
        cx, cy, _, ch = tree.boxes[child]
        bend = px + pw + 16
        line = [(px + pw, py + ph / 2), (bend, py + ph / 2), (bend, cy + ch / 2), (cx, cy + ch / 2)]
        elements.append(d.path(line, "link"))
    for site, (x, y, w, h) in tree.boxes.items():
        kind = "root" if site == plan.backbone.root else "node"
        name = plan.sites[site].place.data.name
        elements.append(d.link(f"{up}sites/{site}.html", d.rectangle(x, y, w, h, kind), name))
    elements += [label.svg() for label in tree.labels]
    title = t("Pohon tautan radio", "Tree of radio links")
    return d.document(tree.width, tree.height, title, "backbone", elements)
