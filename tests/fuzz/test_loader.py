"""Random damage to an inventory: whatever a file holds, the loader answers with findings.

Two trees are damaged: ten generated sites with a bit of everything, and the real files of inventories/luwu, whose
comments, quotes and flow style a generated file has not. `FUZZ_MUTATIONS=20000 pytest tests/fuzz` looks longer
(`make fuzz`); `FUZZ_SEED` starts elsewhere. A failure names its seed: `damage(seed)` makes the same files again.
"""

from __future__ import annotations

import copy
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import generate
from topology import cli, load, report, source
from topology.allocate import allocate

MUTATIONS = int(os.environ.get("FUZZ_MUTATIONS", "300"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
CHUNKS = 6
REAL = Path(__file__).parents[2] / "inventories" / "luwu"
SECONDS = float(os.environ.get("FUZZ_SECONDS", "2"))
"""Longest time for one inventory, whatever it holds."""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 63, 64, 2**31, 2**63, 10**18, 0.5, -0.0, 1e308, "", " ", "x", "x" * 300, "dinas-01",
    "a\nb", "\u202e", "é", "\ud7ff", "{slug}", "{0}", "%s", "10.0.0.1", "::", "1e999", ".nan", "no", "2026-02-30",
    [], {}, [[]], [None], {"": ""}, {"a": {"b": {"c": []}}}, ["dc", "dc"], [1, "a", None],
    10**400, -(10**18), "9" * 5_000, float("inf"), "\u0660\u0661", "\uff11", "a\u0301", "\U0001f4e1", "\u2028",
    "\ufeff", "2026-11-24", "12:30:45", "0x10", "0o17", "1_000", "~", "<<", "=", "y", "*a", "&a", "!x", "::/0",
    "../../etc/passwd", "$(id)", "`id`", "'; id; '", "<b>", "|", ["x"] * 2_000, {str(n): n for n in range(300)},
)  # fmt: skip


def base() -> generate.Documents:
    """Return ten sites with a bit of everything."""
    return generate.generate(
        offices=3, kecamatan=3, villages=2, centres=2, applications=2, leased=1, vpn_users=1, hosts=30, seed=5
    )


def _text(data: Any) -> bytes:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode()


def flip_bytes(rng: random.Random, text: bytes) -> bytes:
    changed = bytearray(text)
    for _ in range(rng.choice((1, 1, 1, 8))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def insert_bytes(rng: random.Random, text: bytes) -> bytes:
    at = rng.randrange(len(text) + 1)
    new = rng.choice(
        (b"\t", b"\0", b"[", b"{", b"'", b'"', b"*a", b"&a ", b"!x ", b"- ", b": ", b"\n", b"#", b"|\n", b"\xff", b"%")
    )
    return text[:at] + new * rng.choice((1, 1, 2, 500)) + text[at:]


def delete_line(rng: random.Random, text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    if lines:
        del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def repeat_line(rng: random.Random, text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    if lines:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return b"".join(lines)


def swap_lines(rng: random.Random, text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    if len(lines) > 1:
        i, j = rng.sample(range(len(lines)), 2)
        lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


def cut(rng: random.Random, text: bytes) -> bytes:
    return text[: rng.randrange(len(text) + 1)]


def indent(rng: random.Random, text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    if lines:
        at = rng.randrange(len(lines))
        lines[at] = rng.choice((b" ", b"  ", b"\t")) + lines[at]
    return b"".join(lines)


def anchor(rng: random.Random, text: bytes) -> bytes:
    """Give a value an anchor and use it elsewhere, also as a merge and as a part of itself."""
    lines = text.splitlines(keepends=True)
    keyed = [i for i, line in enumerate(lines) if line.rstrip().endswith(b":") or b": " in line]
    if len(keyed) < 2:
        return text
    i, j = rng.sample(keyed, 2)
    key, _, value = lines[i].partition(b":")
    lines[i] = key + b": &a" + value
    key, _, _ = lines[j].partition(b":")
    lines[j] = rng.choice((key + b": *a\n", b"<<: *a\n", key + b": [*a, *a, *a]\n", key + b": *b\n"))
    return b"".join(lines)


def nest(rng: random.Random, text: bytes) -> bytes:
    """Wrap a value, or the whole text, into very many brackets, dashes or steps."""
    depth = rng.choice((3, 39, 41, 500, 20_000))
    how = rng.randrange(4)
    if how == 0:
        return b"x: " + b"[" * depth + b"]" * depth + b"\n" + text
    if how == 1:
        return text + b"\nx: " + b"{a: " * depth + b"1" + b"}" * depth + b"\n"
    if how == 2:
        return text + b"\nx:\n" + b"- " * depth + b"1\n"
    steps = min(depth, 300)
    return text + b"\n" + b"".join(b" " * n + b"x:\n" for n in range(steps))


def grow(rng: random.Random, text: bytes) -> bytes:
    """Repeat one of the lines very often, or the text until it is larger than what is read."""
    lines = text.splitlines(keepends=True) or [b"x\n"]
    if rng.randrange(2):
        return text + rng.choice(lines) * rng.choice((10, 300, 3_000))
    return text * rng.choice((2, 50, 1_000))


def change_value(rng: random.Random, text: bytes) -> bytes:
    """Put a strange value, key or a copy of another part anywhere in the data."""
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError):
        return text
    places = list(_places(data))
    if not places:
        return text
    for _ in range(rng.choice((1, 1, 3))):
        parent, key = rng.choice(places)
        how = rng.randrange(5)
        if how == 0 and isinstance(parent, dict):
            parent.pop(key, None)
        elif how == 1 and isinstance(parent, dict):
            parent[rng.choice(("", "kind", "slug", "x", "number", "10.0.0.1", "{a}"))] = rng.choice(VALUES)
        elif how == 2:
            other, at = rng.choice(places)
            if _has(parent, key) and _has(other, at):
                parent[key] = copy.deepcopy(other[at])
        elif _has(parent, key):
            parent[key] = rng.choice(VALUES)
    return _text(data)


def _has(parent: Any, key: Any) -> bool:
    return key in parent if isinstance(parent, dict) else key < len(parent)


def _places(data: Any) -> Any:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield data, key
        yield from _places(value)


MUTATORS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    flip_bytes, flip_bytes, insert_bytes, insert_bytes, delete_line, delete_line, repeat_line, swap_lines, cut, indent,
    anchor, nest, grow, *[change_value] * 6,
)  # fmt: skip


def mutated(seed: int, files: dict[str, bytes]) -> tuple[str, dict[str, bytes]]:
    """Return what was done and the files after it; at times a file moves, goes or is doubled."""
    rng = random.Random(seed)
    changed = dict(files)
    done = []
    for _ in range(rng.choice((1, 1, 2, 4))):
        name = rng.choice(sorted(changed))
        how = rng.randrange(12)
        if how == 0:
            del changed[name]
        elif how == 1:
            changed[
                rng.choice(("x.yml", "lab.yml", "sites/skpd/x.yml", "sites/x.yml", "services/x.yaml", "apps.yml"))
            ] = changed[name]
        else:
            mutator = rng.choice(MUTATORS)
            changed[name] = mutator(rng, changed[name])
            name = f"{mutator.__name__} {name}"
        done.append(name)
        if not changed:
            break
    return f"seed {seed}: {', '.join(done)}", changed


def look(files: dict[str, bytes]) -> None:
    """Load, show all findings in both languages and, where there is no error, make the plan."""
    tree = source.Tree("district")
    for name, text in files.items():
        source.add(tree, name, text)
    district, findings = load.check(tree)
    assert (district is None) == any(report.is_error(f) for f in findings)
    for lang in ("en", "id"):
        for line in report.lines(findings, tree, lang):  # type: ignore[arg-type]
            assert line.isprintable() and len(line) < 2_000, line
            assert "; " in line, line
    if district is not None:
        plan = allocate(district)
        for host in plan.hosts.values():
            names = [i.name for i in host.interfaces]
            assert len(names) == len(set(names)), host.name


def trees() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the files of both trees: the generated ten sites and the real district."""
    real = {str(p.relative_to(REAL)): p.read_bytes() for p in sorted(REAL.rglob("*.yml")) if p.name != "inventory.yml"}
    return {name: _text(data) for name, data in base().items()}, real


def damage(seed: int) -> tuple[str, dict[str, bytes]]:
    """Return what a seed does, and the files after it; even seeds damage the ten sites, odd ones the real files."""
    return mutated(seed, trees()[seed % 2])


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_damage_gives_findings_and_never_an_exception(chunk: int) -> None:
    undamaged = trees()
    for files in undamaged:
        look(files)
    for index in range(chunk, MUTATIONS, CHUNKS):
        seed = SEED * 1_000_000 + index
        what, changed = mutated(seed, undamaged[seed % 2])
        start = time.process_time()
        try:
            look(changed)
        except Exception as error:
            raise AssertionError(what) from error
        assert time.process_time() - start < SECONDS, what


@pytest.mark.parametrize("chunk", range(2))
def test_a_damaged_tree_writes_nothing(chunk: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same on disk through the command line: errors mean exit 1, findings on the screen, and no file written."""
    undamaged = trees()
    refused = 0
    for index in range(chunk, max(MUTATIONS // 10, 10), 2):
        what, changed = mutated(SEED * 2_000_000 + index, undamaged[(index // 2) % 2])
        folder, out = tmp_path / f"in{index}", tmp_path / f"out{index}"
        folder.mkdir()
        for name, text in changed.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text)
        _, findings = load.check(load.read(folder))
        bad = any(report.is_error(f) for f in findings)
        before = sorted(tmp_path.rglob("*"))
        code = cli.main(["render", str(folder), "--out", str(out)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err + said.out, what
        if bad:
            refused += 1
            assert code in (cli.ERRORS, cli.USAGE), what
            assert said.err.strip() or said.out.strip(), what
            assert sorted(tmp_path.rglob("*")) == before, what
        else:
            assert code == cli.FINE and any(out.iterdir()), what
            shutil.rmtree(out)
        shutil.rmtree(folder)
    assert refused > 3
