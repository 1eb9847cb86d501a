"""The drawing of one site's LAN: lines outside, gateway, networks, devices."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from topology.allocate import Host, SitePlan
from topology.document import drawing as d
from topology.document.language import DEVICE_KINDS, LINK_KINDS, Language

NAME, SMALL = 13.0, 11.5
LINE, GAP, PAD, MARGIN = 15.0, 12.0, 9.0, 10.0
MANY = 6
"""More devices of one kind in a network than this are drawn as a number."""
LONGEST = 34
_COLUMN_GAP = 36.0

_Box = tuple[str, list[str]]
"""Heading and lines of a box."""


def layout(site: SitePlan, t: Language) -> tuple[list[list[tuple[float, float, float, float, _Box]]], float, float]:
    """Place the boxes of three columns (outside, gateways, networks with devices); also return the size."""
    columns = [_outside(site, t), _gateways(site), _networks(site, t)]
    placed: list[list[tuple[float, float, float, float, _Box]]] = []
    heights = [sum(_height(b) + GAP for b in column) - GAP for column in columns if column]
    total = max(heights, default=0.0)
    x = MARGIN
    for column in columns:
        width = max((_width(b) for b in column), default=0.0)
        used = sum(_height(b) + GAP for b in column) - GAP if column else 0.0
        y = MARGIN + (total - used) / 2
        boxes = []
        for box in column:
            boxes.append((x, y, width, _height(box), box))
            y += _height(box) + GAP
        placed.append(boxes)
        if column:
            x += width + _COLUMN_GAP
    return placed, x - _COLUMN_GAP + MARGIN, total + 2 * MARGIN


def labels_of(placed: list[list[tuple[float, float, float, float, _Box]]]) -> list[d.Label]:
    """Return the labels of placed boxes."""
    labels = []
    for column in placed:
        for x, y, _, _, (heading, lines) in column:
            labels.append(d.Label(heading, x + PAD, y + PAD + 9, NAME))
            for i, line in enumerate(lines, start=1):
                labels.append(d.Label(line, x + PAD, y + PAD + 9 + LINE * i, SMALL, kind="small"))
    return labels


def lan_drawing(site: SitePlan, t: Language) -> str:
    """Return the drawing of a site's LAN, ready for a page."""
    placed, width, height = layout(site, t)
    elements = []
    for left, right in pairwise(placed):
        for ax, ay, aw, ah, _ in left:
            for bx, by, _, bh, _ in right:
                middle = bx - _COLUMN_GAP / 2
                points = [
                    (ax + aw, ay + ah / 2),
                    (middle, ay + ah / 2),
                    (middle, by + bh / 2),
                    (bx, by + bh / 2),
                ]
                elements.append(d.path(points, "link"))
    for i, column in enumerate(placed):
        for x, y, w, h, _ in column:
            elements.append(d.rectangle(x, y, w, h, "root" if i == 1 else "node"))
    elements += [label.svg() for label in labels_of(placed)]
    title = t(f"Jaringan {site.place.data.name}", f"Network of {site.place.data.name}")
    return '<div class="figure">' + d.document(width, height, title, f"lan-{site.slug}", elements) + "</div>"


def _height(box: _Box) -> float:
    return 2 * PAD + 12 + LINE * len(box[1])


def _width(box: _Box) -> float:
    heading, lines = box
    return max([d.text_width(heading, NAME), *(d.text_width(x, SMALL) for x in lines)]) + 2 * PAD


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _outside(site: SitePlan, t: Language) -> list[_Box]:
    boxes: list[_Box] = [
        (_cut(u.name), [t.word(LINK_KINDS, u.kind)] + ([_cut(u.provider)] if u.provider else []))
        for u in site.place.data.uplinks
    ]
    links = Counter(i.kind for h in site.hosts for i in h.interfaces if i.link is not None)
    for kind in ("radio", "leased", "tunnel"):
        if links[kind]:
            boxes.append((f"{links[kind]} × {t.word(LINK_KINDS, kind)}", []))
    return boxes


def _gateways(site: SitePlan) -> list[_Box]:
    boxes: list[_Box] = []
    for host in site.hosts:
        if host.kind == "gateway":
            loopback = next((i.addresses[0] for i in host.of_kind("loopback") if i.addresses), "")
            boxes.append((_cut(host.name), [host.platform, *([loopback] if loopback else [])]))
    return boxes


def _networks(site: SitePlan, t: Language) -> list[_Box]:
    members: dict[str, list[Host]] = {}
    for host in site.hosts:
        if host.kind == "gateway":
            continue
        for name in dict.fromkeys(i.network for i in host.interfaces if i.network):
            members.setdefault(name, []).append(host)
    boxes: list[_Box] = []
    for network in site.networks:
        heading = f"VLAN {network.vlan} {network.name} {network.prefixes[0]}"
        boxes.append((heading, _members(members.get(network.name, []), t)))
    return boxes


def _members(hosts: list[Host], t: Language) -> list[str]:
    by_kind: dict[str, list[str]] = {}
    for host in hosts:
        by_kind.setdefault(host.kind, []).append(host.short)
    words = []
    for kind, names in by_kind.items():
        words += names if len(names) <= MANY else [f"{len(names)} × {t.word(DEVICE_KINDS, kind)}"]
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 2 + len(word) <= LONGEST + 10:
            lines[-1] += f", {word}"
        else:
            lines.append(_cut(word))
    return lines
