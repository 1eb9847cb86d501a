"""The workbook, read back with another library, equals the plan."""

from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from topology.allocate import Plan, allocate
from topology.document import sheet
from topology.document.book import Book, index_of
from topology.document.language import INDONESIAN
from topology.load import load

NAMES = ["Sites", "Networks", "Hosts", "Links", "VLANs", "Applications", "Registry"]


@pytest.fixture(scope="module")
def plan() -> Plan:
    district, _, _ = load(Path(__file__).parents[2] / "inventories/luwu")
    return allocate(district)


@pytest.fixture(scope="module")
def book(plan: Plan) -> Book:
    return Book(index_of(plan), INDONESIAN, "abc1234 2026-11-24")


@pytest.fixture(scope="module")
def file(book: Book) -> Any:
    return openpyxl.load_workbook(io.BytesIO(sheet.workbook(book)))


def rows_of(file: Any, name: str) -> list[dict[str, Any]]:
    """Return a sheet's rows by their English heading."""
    rows = list(file[name].iter_rows(values_only=True))
    heads = [str(h).split("\n")[-1] for h in rows[sheet.HEAD_ROW]]
    return [dict(zip(heads, row, strict=True)) for row in rows[sheet.HEAD_ROW + 1 :]]


def test_every_sheet_says_what_it_is_made_from_and_can_be_filtered(file: Any) -> None:
    assert file.sheetnames == NAMES
    for name in NAMES:
        page = file[name]
        assert "generated from" in page["A1"].value and ".yml" in page["A1"].value
        assert page.freeze_panes == "C3"
        assert page.auto_filter.ref.startswith("A2:")
        assert all(page.column_dimensions[c].width for c in ("A", "B"))


def test_every_cell_reads_back(file: Any, book: Book) -> None:
    for content in sheet.sheets(book):
        page = file[content.name]
        assert page.max_row == sheet.HEAD_ROW + 1 + len(content.rows)
        read = page.iter_rows(min_row=sheet.HEAD_ROW + 2, values_only=True)
        for row, back in zip(content.rows, read, strict=True):
            for cell, value in zip(row, back, strict=True):
                if isinstance(value, datetime.datetime):
                    value = value.date()
                if isinstance(cell, float):
                    assert value == pytest.approx(cell)
                else:
                    assert value == (cell if cell != "" else None)


def test_sites_and_networks_equal_the_plan(file: Any, plan: Plan) -> None:
    sites = {row["Site"]: row for row in rows_of(file, "Sites")}
    assert set(sites) == set(plan.sites)
    for slug, site in plan.sites.items():
        row = sites[slug]
        assert (row["Name"], row["Kind"], row["Number"]) == (
            site.place.data.name,
            site.place.kind,
            site.place.number,
        )
        assert (row["IPv4"], row["ULA"], row["GUA"]) == site.prefixes[:3]
    networks = {(row["Site"], row["Network"]): row for row in rows_of(file, "Networks")}
    assert len(networks) == sum(len(s.networks) for s in plan.sites.values())
    for slug, site in plan.sites.items():
        for network in site.networks:
            row = networks[slug, network.name]
            assert row["VLAN"] == network.vlan and (row["IPv4"], row["ULA"], row["GUA"]) == network.prefixes


def test_hosts_and_links_equal_the_plan(file: Any, plan: Plan) -> None:
    found = {}
    for row in rows_of(file, "Hosts"):
        key = (row["Host"], row["Interface"] or "", row["Network"], row["Link"], row["Interface kind"])
        assert key not in found
        found[key] = tuple(row[f] for f in ("IPv4", "ULA", "GUA") if row[f] is not None)
    wanted = {
        (h.name, i.name, i.network, i.link, i.kind): i.addresses for h in plan.hosts.values() for i in h.interfaces
    }
    assert found == wanted
    links = {row["Link"]: row for row in rows_of(file, "Links")}
    assert set(links) == set(plan.links)
    for name, link in plan.links.items():
        row = links[name]
        assert (row["IPv4"], row["ULA"], row["GUA"]) == link.prefixes
        assert (row["Host 1"], row["IPv4 1"]) == (link.ends[0].host, link.ends[0].addresses[0])
        assert (row["Host 2"], row["IPv4 2"]) == (link.ends[1].host, link.ends[1].addresses[0])


def test_applications_and_registry_equal_the_plan(file: Any, plan: Plan) -> None:
    apps = plan.district.apps
    assert apps is not None
    rows = rows_of(file, "Applications")
    assert {row["Host"] for row in rows} == {h.name for h in plan.hosts.values() if h.application}
    assert {(row["Application"], row["Year"]) for row in rows} == {(a.slug, a.year) for a in apps.applications}
    registry = plan.district.registry
    wanted = [
        (section, x.number, x.slug) for section in ("skpd", "kecamatan", "dc") for x in getattr(registry, section)
    ]
    wanted += [("desa", x.number, x.slug) for x in registry.desa]
    wanted += [("links", x.number, x.name) for x in registry.links]
    wanted += [("vpn_users", x.number, x.name) for x in registry.vpn_users]
    assert [(r["Section"], r["Number"], r["Name"]) for r in rows_of(file, "Registry")] == wanted


def test_the_same_plan_gives_the_same_bytes(book: Book) -> None:
    first = sheet.workbook(book)
    assert first == sheet.workbook(book)
    properties = zipfile.ZipFile(io.BytesIO(first)).read("docProps/core.xml").decode()
    assert "2026-11-24T00:00:00Z" in properties


@pytest.mark.parametrize(
    ("revision", "date"),
    [
        ("abc 2026-11-24", (2026, 11, 24)),
        ("-", (2000, 1, 1)),
        ("v1 2026-99-99", (2000, 1, 1)),
        ("20261124", (2000, 1, 1)),
    ],
)
def test_the_date_comes_from_the_revision(revision: str, date: tuple[int, int, int]) -> None:
    assert sheet.date_of(revision) == datetime.datetime(*date)
