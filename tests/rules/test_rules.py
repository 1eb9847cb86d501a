"""One broken inventory per rule; the whole output is compared, in both languages.

A case is a folder `<ID>-<words>/` with the files that differ from `base/` (a correct district),
a file DELETE with the names that go, and the expected lines. Below `lab/` lie the files that
differ from `base-lab/`; such a case is read as that lab. What git cannot hold is made by the
functions in `BUILT`. `RULES_WRITE=1 pytest tests/rules` writes the expected lines anew.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import string
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from topology import load, report, source
from topology.finding import Finding, Language
from topology.rules.catalogue import CATALOGUE

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LANGUAGES: tuple[Language, ...] = ("en", "id")
BASES = ("base", "base-lab")


def _dangling(district: Path) -> None:
    (district / "services/dns.yml").unlink()
    (district / "services/dns.yml").symlink_to("nowhere.yml")


def _fifo(district: Path) -> None:
    os.mkfifo(district / "sites/skpd/pipa.yml")


def _no_folder(district: Path) -> None:
    shutil.rmtree(district)


def _root_is_a_file(district: Path) -> None:
    shutil.rmtree(district)
    district.write_text("name: x\n")


def _too_large(district: Path) -> None:
    with (district / "apps.yml").open("ab") as file:
        file.write(b"# " + b"x" * source.MAX_BYTES + b"\n")


def _loop_of_folders(district: Path) -> None:
    (district / "sites/skpd/lagi").symlink_to("../skpd")


def _loop_of_files(district: Path) -> None:
    (district / "apps.yml").unlink()
    (district / "apps.yml").symlink_to("apps.yml")


def _nul(district: Path) -> None:
    with (district / "sites/kecamatan/hilir.yml").open("ab") as file:
        file.write(b"notes: [a\0b]\n")


def _control_character(district: Path) -> None:
    with (district / "sites/kecamatan/hilir.yml").open("ab") as file:
        file.write("notes: [é\x07]\n".encode())


def _utf16(district: Path) -> None:
    path = district / "sites/kecamatan/hilir.yml"
    path.write_bytes(path.read_text().encode("utf-16"))


def _brackets(district: Path) -> None:
    (district / "services/dns.yml").write_bytes(b"description: " + b"[" * 50_000)


def _hidden_brackets(district: Path) -> None:
    (district / "services/dns.yml").write_bytes(b"description:\n" + b"  [ #]\n" * 50_000)


def _dashes(district: Path) -> None:
    (district / "services/dns.yml").write_bytes(b"- " * 50_000)


def _stairs(district: Path) -> None:
    (district / "services/dns.yml").write_bytes(b"".join(b" " * i + b"a:\n" for i in range(1_300)))


def _bomb(district: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (district / "services/dns.yml").write_text("\n".join(lines))


BUILT: dict[str, Callable[[Path], None]] = {
    "IO001-dangling-link": _dangling,
    "IO001-fifo": _fifo,
    "IO001-no-folder": _no_folder,
    "IO001-root-is-a-file": _root_is_a_file,
    "IO002-utf-16": _utf16,
    "IO003-too-large": _too_large,
    "IO004-loop-of-folders": _loop_of_folders,
    "IO004-loop-of-files": _loop_of_files,
    "YA001-nul": _nul,
    "YA001-control-character": _control_character,
    "YA004-alias-bomb": _bomb,
    "YA006-brackets": _brackets,
    "YA006-hidden-brackets": _hidden_brackets,
    "YA006-dashes": _dashes,
    "YA006-stairs": _stairs,
}
CASES = sorted({p.name for p in HERE.iterdir() if p.is_dir() and p.name not in (*BASES, "__pycache__")} | set(BUILT))
WITHOUT_DISTRICT = ("IO001-lab-without-its-district", "SC003-lab-names-no-district", "YA001-lab-file")
"""Labs whose district cannot be read at all."""
STORED = [name for name in CASES if name not in BUILT and name != "RG008-line-gone"]


@pytest.fixture(autouse=True)
def _fixed_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    """IP008 proposes a random prefix."""
    monkeypatch.setattr("topology.rules.addresses.secrets.randbits", lambda bits: 0x123456789A)


def make(case: str, folder: Path) -> Path:
    """Put a case together below `folder` and return the inventory to read."""
    district = folder / "district"
    shutil.copytree(HERE / "base", district)
    own = HERE / case
    files = sorted(p.relative_to(own) for p in own.rglob("*") if p.is_file()) if own.exists() else []
    is_lab = any(f.parts[0] == "lab" for f in files)
    if is_lab:
        shutil.copytree(HERE / "base-lab", folder / "lab")
    for file in files:
        if file.name == "DELETE":
            for name in (own / file).read_text().split():
                (district / name).unlink()
        elif not file.name.startswith("expected."):
            target = folder / file if file.parts[0] == "lab" else district / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(own / file, target)
    if case in BUILT:
        BUILT[case](district)
    return folder / "lab" if is_lab else district


def findings(inventory: Path) -> tuple[tuple[Finding, ...], source.Tree]:
    tree = load.read(inventory)
    if inventory.name == "district":  # paths are shown relative to it; a lab's relative to what holds both
        tree.root = "."
    else:
        tree.root = os.path.relpath(tree.root, inventory.parent)
        tree.elsewhere = {n: os.path.relpath(p, inventory.parent) for n, p in tree.elsewhere.items()}
    district, found = load.check(tree)
    assert (district is None) == any(report.is_error(f) for f in found)
    return found, tree


def _lines(case: str, folder: Path, lang: Language) -> list[str]:
    if case == "RG008-line-gone":
        return _lines_of_a_lost_registry(lang)
    found, tree = findings(make(case, folder))
    return report.lines(found, tree, lang)


def _lines_of_a_lost_registry(lang: Language) -> list[str]:
    """RG008 compares two revisions, so its case has a registry of its own."""
    from topology.diff import registry_losses

    before = source.read(HERE / "base")
    after = source.read(HERE / "base")
    text = (HERE / "RG008-line-gone" / "registry.yml").read_bytes()
    source.add(after, "registry.yml", text)
    after.root = "."
    old, new = (load.shape(tree, []).registry for tree in (before, after))
    assert old is not None and new is not None
    return report.lines(registry_losses(old, new, "HEAD"), after, lang)


@pytest.mark.parametrize("case", CASES)
def test_case_gives_exactly_the_expected_lines(case: str, tmp_path: Path) -> None:
    start = time.process_time()
    shown = {lang: _lines(case, tmp_path / lang, lang) for lang in LANGUAGES}
    assert time.process_time() - start < 4
    for lang, lines in shown.items():
        file = HERE / case / f"expected.{lang}.txt"
        if os.environ.get("RULES_WRITE"):
            file.parent.mkdir(exist_ok=True)
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        assert file.read_text(encoding="utf-8").splitlines() == lines
        named = case.partition("-")[0]
        assert not re.fullmatch(r"[A-Z]{2}\d{3}", named) or any(f" {named} " in line for line in lines)


def test_base_has_no_finding(tmp_path: Path) -> None:
    assert findings(make("none", tmp_path))[0] == ()


def test_base_lab_has_no_finding(tmp_path: Path) -> None:
    shutil.copytree(HERE / "base", tmp_path / "district")
    shutil.copytree(HERE / "base-lab", tmp_path / "lab")
    assert findings(tmp_path / "lab")[0] == ()


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    named = {name.split("-")[0] for name in CASES if not name.startswith("many-")}
    assert named == set(CATALOGUE)


def _used_ids() -> set[str]:
    """Return the rule ids that stand in the library's code as text, the catalogue left out."""
    found: set[str] = set()
    for file in (ROOT / "topology").rglob("*.py"):
        if file.name != "catalogue.py" and file.parent.name != "lint":  # rendered rulesets have rules of their own
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found |= set(re.findall(r"^[A-Z]{2}\d{3}$", node.value))
    return found


def test_every_rule_is_used_and_no_other() -> None:
    assert _used_ids() == set(CATALOGUE)


@pytest.mark.parametrize("rule", CATALOGUE.values(), ids=lambda rule: rule.id)
def test_text_says_what_and_what_to_do_in_both_languages(rule: object) -> None:
    from topology.finding import Rule

    assert isinstance(rule, Rule)
    fields = [[f[1] for f in string.Formatter().parse(text) if f[1]] for text in (rule.en, rule.id_)]
    assert set(fields[0]) == set(fields[1])
    for text in (rule.en, rule.id_):
        what, separator, todo = text.partition("; ")
        assert separator and what and todo
        assert not text.endswith(".") and "\n" not in text and "  " not in text


def test_nothing_untranslated_is_left_in_indonesian() -> None:
    english = re.compile(
        r"\b(the|is|not|and|must|expected|should|with|village|a|an|of|found|file|such|keep|either)\b", re.IGNORECASE
    )
    quoted = re.compile(r"`[^`]*`|: - \{.*?\}|\b[\w-]+:")
    for case in CASES:
        for line in (HERE / case / "expected.id.txt").read_text(encoding="utf-8").splitlines():
            text = quoted.sub("", line.partition(" ")[2])
            assert not english.search(text), line


# -- one cause, one finding -----------------------------------------------------------------------

BASE_FILES = sorted(p.relative_to(HERE / "base").as_posix() for p in (HERE / "base").rglob("*.yml"))


def _replace_by_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


FAULTS: dict[str, Callable[[Path], object]] = {
    "unreadable": _replace_by_dangling_link,
    "syntax": lambda path: path.write_text("a: [\n"),
    "shape": lambda path: path.write_text("42\n"),
    "unknown-key": lambda path: path.write_text("unknown_key: 1\n" + path.read_text()),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("file", [f for f in BASE_FILES if f != "inventory.yml"])
def test_a_broken_file_gives_findings_of_its_own_only(file: str, fault: str, tmp_path: Path) -> None:
    district = make("none", tmp_path)
    FAULTS[fault](district / file)
    found, tree = findings(district)
    assert [f.where.file for f in found] == [file], report.lines(found, tree, "en")


@pytest.mark.parametrize("folder", ["services", "sites", "sites/skpd", "sites/kecamatan", "sites/dc"])
def test_an_unreadable_folder_gives_one_finding(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    district = make("none", tmp_path)
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path) == district / folder:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("topology.source.os.scandir", refuse)
    found, tree = findings(district)
    assert [(f.rule, f.where.file) for f in found] == [("IO001", folder)], report.lines(found, tree, "en")


@pytest.mark.parametrize("case", STORED)
def test_a_broken_file_hides_nothing(case: str, tmp_path: Path) -> None:
    """The findings of every case stay when another service and another office are broken too."""
    inventory = make(case, tmp_path)
    before = _shown(inventory)
    district = tmp_path / "district"
    (district / "services/broken.yml").write_text("a: [\n")
    (district / "sites/skpd/broken.yml").write_text("a: [\n")
    after = _shown(inventory)
    counted = {line for line in before if re.search(r" ST0(09|10) .*(skpd|kecamatan|desa|villages) ?", line)}
    assert set(before) - set(after) <= counted
    new = set(after) - set(before)
    assert len(new) == (0 if case in WITHOUT_DISTRICT else 2), new


def _shown(inventory: Path) -> list[str]:
    found, tree = findings(inventory)
    return report.lines(found, tree, "en")


def test_every_case_at_once_is_read_without_an_exception(tmp_path: Path) -> None:
    """All cases laid over each other: only files that can be there together, so the last one wins."""
    district = tmp_path / "district"
    shutil.copytree(HERE / "base", district)
    for case in STORED:
        for path in (HERE / case).rglob("*.yml"):
            name = path.relative_to(HERE / case)
            if name.parts[0] != "lab":
                (district / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, district / name)
    found, tree = findings(district)
    assert len({f.rule for f in found}) > 5
    assert all(report.lines(found, tree, lang) for lang in LANGUAGES)


def test_a_link_to_a_folder_leaves_the_folder_itself_readable(tmp_path: Path) -> None:
    district = make("none", tmp_path)
    (district / "zz").symlink_to("sites")
    found, _ = findings(district)
    assert [(f.rule, f.where.file) for f in found] == [("IO004", "zz")]


def test_names_that_cannot_be_printed_are_escaped(tmp_path: Path) -> None:
    district = make("none", tmp_path)
    (Path(os.fsdecode(os.fsencode(district) + b"/a\nb\xff.yml"))).write_text("a: 1\n")
    (line,) = _shown(district)
    assert line.startswith(r"a\nb\udcff.yml:1: IO006")
