"""Drawings: every site and link is there, no two texts overlap, nothing leaves the paper."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from topology.allocate import Plan, allocate
from topology.document import drawing, lan_drawing, tree_drawing
from topology.document.language import LANGUAGES, Language
from topology.load import load

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def plan() -> Plan:
    district, _, _ = load(Path(__file__).parents[2] / "inventories/luwu")
    return allocate(district)


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda x: x.code)
def test_the_tree_has_every_site_and_link(plan: Plan, language: Language) -> None:
    tree = tree_drawing.layout(plan, language)
    assert tree is not None and plan.backbone.root is not None
    assert set(tree.boxes) == {plan.backbone.root, *plan.backbone.parent}
    assert set(tree.edges) == {(parent, site) for site, parent in plan.backbone.parent.items()}
    svg = tree_drawing.tree_drawing(plan, language)
    assert svg is not None
    root = ET.fromstring(svg)
    assert len(root.findall(f".//{SVG}rect")) == len(tree.boxes)
    assert len(root.findall(f".//{SVG}path")) == len(tree.edges)
    texts = [x.text or "" for x in root.findall(f".//{SVG}text")]
    for site, link in plan.backbone.uplink.items():
        assert plan.sites[site].place.data.name in texts
        over, under = tree_drawing.figures(link, language)
        assert over in texts and under in texts
        assert language.number(link.range_km or 0, 1) in over and "Mbit/s" in over and "%" in under
    targets = {x.get("href") for x in root.findall(f".//{SVG}a")}
    assert targets == {f"sites/{site}.html" for site in tree.boxes}


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda x: x.code)
def test_no_two_texts_of_the_tree_overlap(plan: Plan, language: Language) -> None:
    tree = tree_drawing.layout(plan, language)
    assert tree is not None
    assert drawing.overlaps(tree.labels) == []
    for label in tree.labels:
        left, top, right, bottom = label.box
        assert left >= 0 and top >= 0 and right <= tree.width and bottom <= tree.height, label
        for site, (x, y, w, h) in tree.boxes.items():
            if label.kind == "value":
                assert right <= x or left >= x + w or bottom <= y or top >= y + h, (label, site)
            elif label.text == plan.sites[site].place.data.name:
                assert x <= left and right <= x + w


def test_overlaps_are_found() -> None:
    a, b = drawing.Label("one", 0, 10, 12), drawing.Label("two", 5, 12, 12)
    assert drawing.overlaps([a, b]) == [(a, b)]
    assert drawing.overlaps([a, drawing.Label("two", 0, 40, 12)]) == []


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda x: x.code)
def test_every_office_drawing_is_legible(plan: Plan, language: Language) -> None:
    for site in plan.sites.values():
        placed, width, height = lan_drawing.layout(site, language)
        labels = lan_drawing.labels_of(placed)
        assert drawing.overlaps(labels) == []
        assert all(x.box[0] >= 0 and x.box[2] <= width and x.box[3] <= height for x in labels)
        headings = [x.text for x in labels]
        assert all(any(f"VLAN {n.vlan} {n.name} {n.prefixes[0]}" == h for h in headings) for n in site.networks)
        ET.fromstring(lan_drawing.lan_drawing(site, language))


def test_a_drawing_alone_carries_its_style(plan: Plan) -> None:
    svg = tree_drawing.tree_drawing(plan, LANGUAGES[0])
    assert svg is not None
    alone = drawing.alone(svg)
    assert "prefers-color-scheme:dark" in alone
    ET.fromstring(alone)
