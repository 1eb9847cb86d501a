"""The generated documentation: complete, the same in both languages, without a dead link, replaced at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from topology import document
from topology.allocate import Plan, allocate
from topology.document import folder, markup, tree
from topology.document.book import Book, index_of
from topology.document.language import ENGLISH, INDONESIAN, LANGUAGES
from topology.load import load

REPOSITORY = Path(__file__).parents[2]
REVISION = "abc1234 2026-11-24"
SPECIAL = "Dinas A|B <b> & *C* [x](y) `d` _e_ #f"


def planned(inventory: Path) -> Plan:
    district, _, _ = load(inventory)
    return allocate(district)


def tiny(root: Path) -> Path:
    """Write a district with one data centre and two offices: no radio tree, kecamatan, applications, GUA."""
    inventory = root / "tiny"
    for name in ("sites/dc", "sites/skpd"):
        (inventory / name).mkdir(parents=True)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    files = {
        "district.yml": {
            "name": "Kabupaten Contoh",
            "domain": "contoh.go.id",
            "prefixes": {"ipv4": "10.0.0.0/8", "ula": "fd12:3456:789a::/48"},
            "hubs": [{"slot": 1, "gateway": "pusat-gw"}],
            "profiles": {"kotak": {"platform": "freebsd", "uplink": "em0", "lan": "em1"}},
            "admins": [{"name": "budi", "keys": [key]}],
        },
        "registry.yml": {
            "skpd": [
                {"number": 1, "slug": "lama", "retired": "2025-01-31", "note": "merged"},
                {"number": 2, "slug": "dinas-a"},
                {"number": 5, "slug": "dinas-b"},
            ],
            "dc": [{"number": 1, "slug": "pusat"}],
            "vpn_users": [{"number": 10, "name": "sari", "expires": "2027-01-01"}],
        },
        "sites/dc/pusat.yml": {
            "name": "Pusat Data",
            "kind": "dc",
            "gateways": [{"profile": "kotak"}],
            "uplinks": [{"name": "isp", "provider": "Penyedia", "down_mbps": 100, "up_mbps": 50}],
        },
        "sites/skpd/dinas-a.yml": {
            "name": SPECIAL,
            "gateways": [{"profile": "kotak", "asset": {"serial": "SN|1", "bought": "2024-05-06"}}],
            "uplinks": [{"name": "isp"}],
            "hosts": [
                {
                    "name": "printer-1",
                    "kind": "printer",
                    "interfaces": {"staff": {"number": 11, "mac": "02:00:00:00:00:11"}},
                    "asset": {"model": "Cetak <3>", "custodian": "Budi"},
                }
            ],
            "notes": ["a | b"],
        },
        "sites/skpd/dinas-b.yml": {"name": "Dinas B", "gateways": [{"profile": "kotak"}]},
    }
    for name, content in files.items():
        text = yaml.safe_dump(content, sort_keys=False).replace("'2025-01-31'", "2025-01-31")
        text = text.replace("'2027-01-01'", "2027-01-01").replace("'2024-05-06'", "2024-05-06")
        (inventory / name).write_text(text)
    return inventory


@pytest.fixture(scope="session")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plan]:
    return {
        "production": planned(REPOSITORY / "inventories/luwu"),
        "tiny": planned(tiny(tmp_path_factory.mktemp("district"))),
    }


@pytest.fixture(scope="session", params=["production", "tiny"])
def plan(request: pytest.FixtureRequest, plans: dict[str, Plan]) -> Plan:
    return plans[request.param]


def pages_of(plan: Plan) -> dict[str, dict[str, str]]:
    """Return the Markdown of every page by language and path below its tree."""
    index = index_of(plan)
    found = {}
    for language in LANGUAGES:
        head = f"docs/{language.code}/"
        files = tree.tree(Book(index, language, REVISION, ("district.yml:1: X001 a | b",)))
        found[language.code] = {k.removeprefix(head): v for k, v in files.items() if k.endswith(".md")}
    return found


def anchors(text: str) -> set[str]:
    return set(re.findall(r"\{ #([^ }]+) \}", text)) | set(re.findall(r'<span id="([^"]+)"', text))


def test_every_host_is_on_exactly_one_site_page(plan: Plan) -> None:
    for pages in pages_of(plan).values():
        where: dict[str, list[str]] = {}
        for path, text in pages.items():
            if path.startswith("sites/"):
                for name in anchors(text):
                    where.setdefault(name, []).append(path)
        assert where == {h.name: [f"sites/{h.site}.md"] for h in plan.hosts.values()}


def test_every_address_is_on_its_site_page(plan: Plan) -> None:
    for pages in pages_of(plan).values():
        for host in plan.hosts.values():
            text = pages[f"sites/{host.site}.md"]
            for interface in host.interfaces:
                for address in interface.addresses + interface.shared:
                    assert f"<code>{address}</code>" in text
                assert interface.mac is None or interface.mac in text


def test_both_trees_have_the_same_pages_and_rows(plan: Plan) -> None:
    pages = pages_of(plan)
    assert list(pages["id"]) == list(pages["en"])

    def shape(text: str) -> list[int]:
        rows = [line for line in text.splitlines() if line.startswith("| ")]
        return [len(re.findall(r" \|(?= |$)", row)) for row in rows]

    for path, text in pages["id"].items():
        assert shape(text) == shape(pages["en"][path]), path
        headings = [[x.split()[0] for x in p.splitlines() if x.startswith("#")] for p in (text, pages["en"][path])]
        assert headings[0] == headings[1], path


def test_every_table_has_as_many_cells_in_every_row(plan: Plan) -> None:
    for pages in pages_of(plan).values():
        for path, text in pages.items():
            for block in re.findall(r"(?:^\| .*\n)+", text, re.MULTILINE):
                widths = {len(re.findall(r"(?<!^)\|", row)) for row in block.splitlines()}
                assert len(widths) == 1, (path, block[:200])


def test_every_internal_link_resolves(plan: Plan) -> None:
    for pages in pages_of(plan).values():
        for path, text in pages.items():
            links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"<svg.*?</svg>", "", text))
            links += [x.replace(".html", ".md") for x in re.findall(r'href="([^"]+)"', text)]
            for link in links:
                target, _, anchor = link.partition("#")
                full = str((Path("/") / path).parent.joinpath(target).resolve())[1:] if target else path
                if full in ("plan.xlsx", "images/backbone.svg"):
                    continue
                assert full in pages, (path, link)
                assert not anchor or anchor in anchors(pages[full]), (path, link)


def test_every_page_begins_with_its_source(plan: Plan) -> None:
    for code, pages in pages_of(plan).items():
        for path, text in pages.items():
            first = text.splitlines()[0]
            assert first.startswith("<!-- ") and first.endswith(" -->")
            assert ("jangan disunting" if code == "id" else "do not edit") in first
            site = plan.sites.get(Path(path).stem) if path.startswith("sites/") else None
            assert site is None or f"/{site.place.where.file}" in first


def test_a_small_district_leaves_pages_out(plans: dict[str, Plan]) -> None:
    pages = pages_of(plans["tiny"])["en"]
    assert not {"backbone.md", "applications.md", "services.md"} & set(pages)
    assert {"index.md", "addresses.md", "links.md", "sites/dinas-a.md", "sites/pusat.md"} <= set(pages)
    assert "GUA" not in pages["addresses.md"]
    assert "Kecamatan" not in pages["sites/index.md"]
    assert "Next free number: **6**" in pages["registry.md"] and "retired on 31 January 2025" in pages["registry.md"]
    everything = pages_of(plans["production"])["en"]
    assert {"backbone.md", "applications.md", "services.md"} <= set(everything)


def test_what_is_not_recorded_is_said_so(plans: dict[str, Plan]) -> None:
    pages = pages_of(plans["tiny"])
    assert "belum dicatat" in pages["id"]["assets.md"] and "not recorded" in pages["en"]["assets.md"]
    row = next(x for x in pages["en"]["assets.md"].splitlines() if x.startswith("| [dinas-a-gw]"))
    assert "SN&#124;1" in row and "2024-05-06" in row and row.count("not recorded") == 3


def test_special_characters_are_shown_as_they_are(plans: dict[str, Plan]) -> None:
    escaped = markup.text(SPECIAL)
    assert not set(escaped) & set("|<>*[]`_")
    page = pages_of(plans["tiny"])["en"]["sites/dinas-a.md"]
    assert f"# {escaped}\n" in page and SPECIAL not in page


def test_the_path_to_the_hub_has_availability_and_throughput(plans: dict[str, Plan]) -> None:
    plan = plans["production"]
    pages = pages_of(plan)
    site = max(plan.backbone.parent, key=lambda s: (len(plan.backbone.path(s)), s))
    available, rate = plan.backbone.availability(site), plan.backbone.throughput(site)
    assert available is not None and rate is not None
    assert f"**{ENGLISH.number(available * 100, 4)} %**" in pages["en"][f"sites/{site}.md"]
    assert f"**{INDONESIAN.number(rate)} Mbit/s**" in pages["id"][f"sites/{site}.md"]


def test_warnings_are_shown_without_the_way_to_this_machine(plans: dict[str, Plan]) -> None:
    plan = plans["production"]
    line = f"{plan.district.root}/district.yml:1: X001 something"
    files = tree.files(plan, warnings={"id": [line], "en": []}, revision=REVISION)
    home = files["docs/id/index.md"].decode()
    assert "luwu/district.yml:1: X001 something" in home and str(REPOSITORY) not in home
    assert "found nothing" in files["docs/en/index.md"].decode()


def test_nothing_in_any_file_names_this_machine(plans: dict[str, Plan]) -> None:
    for name, content in tree.files(plans["tiny"], warnings={"id": [], "en": []}, revision=REVISION).items():
        assert str(REPOSITORY).encode() not in content, name
        assert plans["tiny"].district.root.encode() not in content, name


def test_the_same_plan_gives_the_same_bytes(plan: Plan) -> None:
    first = tree.files(plan, warnings={"id": [], "en": []}, revision=REVISION)
    assert first == tree.files(plan, warnings={"id": [], "en": []}, revision=REVISION)


def test_numbers_and_dates_are_written_as_each_language_does() -> None:
    assert INDONESIAN.number(1234.5, 1) == "1.234,5" and ENGLISH.number(1234.5, 1) == "1,234.5"
    assert INDONESIAN.number(38.659) == "38,659" and ENGLISH.number(40.0) == "40"


def test_no_district_is_named_in_the_code() -> None:
    for file in (REPOSITORY / "topology/document").rglob("*"):
        if file.is_file() and file.suffix != ".pyc":
            assert "luwu" not in file.read_text().lower(), file


# ---------------------------------------------------------------- the folder


def test_write_changes_nothing_the_second_time(plans: dict[str, Plan], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert document.write(plans["tiny"], out, warnings_text=[], revision=REVISION) is True
    (out / "site").mkdir()
    (out / "site/index.html").write_text("built before")
    assert document.write(plans["tiny"], out, warnings_text=[], revision=REVISION) is False
    assert (out / "site/index.html").exists()
    assert document.write(plans["tiny"], out, warnings_text=["w"], revision=REVISION) is True
    assert [x.name for x in tmp_path.iterdir()] == ["out"]


def test_write_leaves_foreign_files_alone(plans: dict[str, Plan], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(FileExistsError, match="not a documentation"):
        document.write(plans["tiny"], tmp_path, warnings_text=[], revision=REVISION)
    assert [x.name for x in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_failed_write_leaves_the_old_documentation(
    plans: dict[str, Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    document.write(plans["tiny"], out, warnings_text=[], revision=REVISION)
    before = {str(x): x.read_bytes() for x in out.rglob("*") if x.is_file()}

    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fails)
    with pytest.raises(OSError, match="disk full"):
        document.write(plans["tiny"], out, warnings_text=["w"], revision=REVISION)
    monkeypatch.undo()
    assert {str(x): x.read_bytes() for x in out.rglob("*") if x.is_file()} == before
    assert [x.name for x in tmp_path.iterdir()] == ["out"]


def test_a_failed_swap_puts_the_old_folder_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder.replace(out, {"mkdocs.yml": b"old"})
    with pytest.raises(OSError):
        folder.swap(tmp_path / "missing", out)
    assert (out / "mkdocs.yml").read_bytes() == b"old"


def test_progress_reaches_the_total(plans: dict[str, Plan], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    document.write(
        plans["tiny"], tmp_path / "out", warnings_text=[], revision="-", progress=lambda a, b: seen.append((a, b))
    )
    assert seen[-1][0] == seen[-1][1] == len(seen)


def test_build_accepts_a_small_district(plans: dict[str, Plan], tmp_path: Path) -> None:
    out = tmp_path / "out"
    document.write(plans["tiny"], out, warnings_text=[], revision=REVISION)
    index = document.build(out)
    assert index == out / "site/index.html"
    for page in (index, out / "site/en/index.html", out / "site/sites/dinas-a.html", out / "site/en/plan.xlsx"):
        assert page.is_file()
    html = (out / "site/en/sites/dinas-a.html").read_text()
    assert 'lang="en"' in html and 'href="../../sites/dinas-a.html"' in html
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', html.replace("http://www.w3.org/2000/svg", ""))
    assert not [x for x in out.iterdir() if x.name.startswith(".")]


def test_build_says_what_mkdocs_refuses(plans: dict[str, Plan], tmp_path: Path) -> None:
    out = tmp_path / "out"
    document.write(plans["tiny"], out, warnings_text=[], revision=REVISION)
    (out / "docs/en/index.md").write_text("[dead](nowhere.md)\n")
    with pytest.raises(document.BuildError, match=r"nowhere\.md"):
        document.build(out)
    assert not (out / "site").exists()
