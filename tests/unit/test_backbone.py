"""The radio tree: paths, availability, who hangs on what, circles."""

from __future__ import annotations

import pytest

from topology.backbone import backbone_of, circle_of, free_space_loss_db
from topology.schema import BackboneFile


def _file(tree: bool = True, *more: dict[str, object]) -> BackboneFile:
    links: list[dict[str, object]] = [
        {"name": "r--a", "ends": ["r", "a"], "availability_pct": 99.0, "throughput_mbps": 300},
        {"name": "a--b", "ends": ["b", "a"], "availability_pct": 90.0, "throughput_mbps": 100},
        {"name": "b--c", "ends": ["b", "c"], "throughput_mbps": 400},
        {"name": "r--d", "ends": ["d", "r"], "availability_pct": 99.99},
        {"name": "d--a", "ends": ["d", "a"], "kind": "leased"},
        *more,
    ]
    return BackboneFile.model_validate({"links": links} | ({"tree": {"root": "r"}} if tree else {}))


def test_paths_lead_to_the_root() -> None:
    backbone = backbone_of(_file())
    assert backbone.path("c") == ("c", "b", "a", "r")
    assert backbone.path("r") == ("r",)
    assert backbone.path("elsewhere") == ()


def test_availability_is_the_product_of_the_hops() -> None:
    backbone = backbone_of(_file())
    assert backbone.availability("b") == pytest.approx(0.99 * 0.90)
    assert backbone.availability("d") == pytest.approx(0.9999)
    assert backbone.availability("c") is None  # a hop whose availability is not known
    assert backbone.availability("r") is None


def test_throughput_is_that_of_the_narrowest_hop() -> None:
    backbone = backbone_of(_file())
    assert backbone.throughput("c") == 100
    assert backbone.throughput("a") == 300
    assert backbone.throughput("d") is None


def test_below_is_everything_that_hangs_on_a_site() -> None:
    backbone = backbone_of(_file())
    assert set(backbone.below("a")) == {"b", "c"}
    assert set(backbone.below("r")) == {"a", "b", "c", "d"}
    assert backbone.below("c") == ()


def test_order_of_links_and_ends_changes_nothing() -> None:
    one = backbone_of(_file())
    turned = _file().model_dump()
    turned["links"] = [{**x, "ends": x["ends"][::-1]} for x in reversed(turned["links"])]
    assert backbone_of(BackboneFile.model_validate(turned)).parent == one.parent


def test_without_a_declared_tree_there_is_none() -> None:
    backbone = backbone_of(_file(tree=False))
    assert (backbone.root, backbone.parent, backbone.path("a")) == (None, {}, ())


def test_circles() -> None:
    neighbours = {"a": ["b"], "b": ["a", "c"], "c": ["b"]}
    assert circle_of(neighbours, "a", "c") == ["a", "b", "c", "a"]
    assert circle_of(neighbours, "a", "d") == []
    assert circle_of({}, "a", "b") == []
    assert circle_of({"a": ["b"], "b": ["a"]}, "a", "b") == ["a", "b", "a"]


def test_free_space_loss_of_known_figures() -> None:
    assert free_space_loss_db(1, 1000) == pytest.approx(92.44)
    assert free_space_loss_db(10, 5800) == pytest.approx(127.71, abs=0.01)
    assert free_space_loss_db(20, 5800) - free_space_loss_db(10, 5800) == pytest.approx(6.02, abs=0.01)
