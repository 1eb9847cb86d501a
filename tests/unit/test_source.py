"""Reading YAML: scalars, line numbers, strictness."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from topology import source
from topology.finding import Where
from topology.source import Problem, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("tRue", "tRue"),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("007", 7),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("+6281234567890", 6281234567890),
        ("'+6281234567890'", "+6281234567890"),
        ("0812-3456-7890", "0812-3456-7890"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-1e3", -1000.0),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1.2.3", "1.2.3"),
        ("10.20.30.40", "10.20.30.40"),
        ("10:20:30:40:50:60", "10:20:30:40:50:60"),
        ("12:30", "12:30"),
        ("190:20:30", "190:20:30"),
        ("2026-11-24", datetime.date(2026, 11, 24)),
        ("2026-02-30", "2026-02-30"),
        ("2026-11-24 10:00:00", "2026-11-24 10:00:00"),
        ("'2026-11-24'", "2026-11-24"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("73.17", 73.17),
        ("99999999999999999999999", 1e23),
        ("--", "--"),
        ("-", [None]),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    read = parse(f"a: {text}\n".encode() if text != "-" else b"a:\n  -\n")["a"]
    assert read == value
    assert type(read) is type(value)


def test_keys_are_always_text() -> None:
    assert parse(b"{1: a, true: b, no: c, 2026: d}") == {"1": "a", "true": "b", "no": "c", "2026": "d"}


def test_block_text_and_flow_collections() -> None:
    data = parse(b"a: |\n  x\n  y\nb: >-\n  x\n  y\nc: [1, [2, {d: 3}]]\ne: {}\nf: []\n")
    assert data == {"a": "x\ny\n", "b": "x y", "c": [1, [2, {"d": 3}]], "e": {}, "f": []}


@pytest.mark.parametrize("text", [b"7", b"word", b"'7'", b"---\nx: 1\n...\n", b"%YAML 1.2\n---\nx: 1\n"])
def test_any_single_document_is_read(text: bytes) -> None:
    assert parse(text) in (7, "word", "7", {"x": 1})


def test_depth_limit_is_exact() -> None:
    deepest = source.MAX_DEPTH
    assert parse(b"[" * deepest + b"]" * deepest)
    with pytest.raises(Problem, match="YA006"):
        parse(b"[" * (deepest + 1) + b"]" * (deepest + 1))


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        (b"a: 1\nb: \xff\n", "IO002", 2),
        (b"a: 1\n  b: 2\n", "YA001", 2),
        (b"a: 1\nb: [1\nc: 2\n", "YA001", 3),
        (b"a: 'x\nb: 1\nc: 2\n", "YA001", 1),
        (b"a: 1\n--- \nb: 1\n", "YA001", 2),
        (b"a: \xc3\xa9\nb: \x01\n", "YA001", 2),
        (b"a: 1\nb: x\0y\n", "YA001", 2),
        (b"a: 1\n\tb: 2\n", "YA002", 2),
        (b"# only\n", "YA003", 1),
        (b"a: &x 1\nb: *x\n", "YA004", 2),
        (b"a: &x [1]\nb:\n  <<: *x\n", "YA004", 3),
        (b"a: 1\nb: 2\na: 3\n", "YA005", 3),
        (b"a:\n  b: {c: 1,\n c: 2}\n", "YA005", 3),
        (b"? [a]\n: b\n", "YA001", 1),
        (b"*a : 1\n", "YA004", 1),
    ],
)
def test_what_is_refused_and_at_which_line(text: bytes, rule: str, line: int) -> None:
    with pytest.raises(Problem) as caught:
        parse(text)
    assert (caught.value.rule, caught.value.line) == (rule, line)


@pytest.mark.parametrize("shape", [b"[", b"{a: ", b"- ", b"? ", b"[ #]\n", b"['[', "])
def test_deep_nesting_neither_overflows_nor_takes_long(shape: bytes) -> None:
    with pytest.raises(Problem):
        parse(shape * 100_000)


TEXT = b"""\
# a comment
name: x
hosts:
  - {name: a, interfaces: {mgmt: 4}}
  - name: b
    interfaces:
      mgmt: 5
notes: [one,
  two]
"""


@pytest.mark.parametrize(
    ("path", "key", "line"),
    [
        ((), False, 1),
        (("name",), False, 2),
        (("hosts",), True, 3),
        (("hosts", 0), False, 4),
        (("hosts", 0, "interfaces", "mgmt"), False, 4),
        (("hosts", 1), False, 5),
        (("hosts", 1, "interfaces"), True, 6),
        (("hosts", 1, "interfaces", "mgmt"), False, 7),
        (("notes", 1), False, 9),
        (("hosts", 1, "missing", "more"), False, 5),
        (("hosts", 9), False, 3),
        (("missing",), True, 1),
    ],
)
def test_lines_of_keys(path: tuple[str | int, ...], key: bool, line: int) -> None:
    tree = source.Tree("district")
    source.add(tree, "a.yml", TEXT)
    assert tree.line(Where("a.yml", path, key=key)) == line


def test_line_of_a_file_that_is_not_there_is_the_first() -> None:
    assert source.Tree("district").line(Where("none.yml", ("a",))) == 1


def test_hidden_files_are_left_out_and_the_rest_is_read(tmp_path: Path) -> None:
    for name in (".hidden.yml", ".git/a.yml", "a.yml", "sub/b.yaml", "sub/deeper/c.yml", "d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x: 1\n")
    tree = source.read(tmp_path)
    assert sorted(tree.documents) == ["a.yml", "sub/b.yaml", "sub/deeper/c.yml"]
    assert tree.findings == []


def test_the_file_of_just_the_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"a: 1\n#".ljust(source.MAX_BYTES, b"x"))
    assert source.read(tmp_path).documents["a.yml"].data == {"a": 1}


def test_windows_line_ends_and_a_mark_at_the_start_are_read() -> None:
    assert parse(b"\xef\xbb\xbfa: 1\r\nb: x\r\n") == {"a": 1, "b": "x"}
