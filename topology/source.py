"""Reading the YAML files of an inventory.

The reader is strict about what a careful person would not write on purpose: no tabs, no
aliases, no repeated keys, no file over 1 MB, UTF-8 only. Scalars follow YAML 1.2's core
schema, so that `no` is a word and `10:20:30:40:50:60` is a MAC address, not a number.

Parsing keeps no line numbers: the file is composed again when a finding needs one.
"""

from __future__ import annotations

import datetime
import errno
import math
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from topology.finding import Both, Finding, KeyPath, Where

MAX_BYTES = 1_000_000
"""Largest file that is read: 1 MB; the largest real one is a few kB."""
MAX_DEPTH = 40
"""Deepest nesting that is read."""

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_WORDS: dict[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_NUMERIC_START = frozenset("0123456789+-.")
_YAML_PROBLEMS = {
    "mapping values are not allowed in this context": "`kunci: nilai` tidak boleh ada di sini",
    "mapping values are not allowed here": "`kunci: nilai` tidak boleh ada di sini",
    "could not find expected ':'": "tanda ':' tidak ditemukan",
    "did not find expected key": "kunci tidak ditemukan, mungkin indentasinya keliru",
    "did not find expected '-' indicator": "tanda '-' tidak ditemukan, mungkin indentasinya keliru",
    "did not find expected ',' or ']'": "tanda ',' atau ']' tidak ditemukan",
    "did not find expected ',' or '}'": "tanda ',' atau '}' tidak ditemukan",
    "did not find expected node content": "isi tidak ditemukan",
    "found unexpected end of stream": "teks dalam tanda kutip tidak ditutup",
    "found character that cannot start any token": "karakter ini tidak boleh mengawali nilai",
    "found undefined alias": "alias tidak dikenal",
    "control characters are not allowed": "karakter kendali tidak diizinkan",
    "special characters are not allowed": "karakter kendali tidak diizinkan",
    "found unknown directive name": "arahan `%` tidak dikenal",
    "found unknown escape character": "urutan `\\` tidak dikenal dalam tanda kutip",
    "found undefined tag handle": "tag `!` tidak dikenal",
    "did not find expected comment or line break": "sesudah `|` atau `>` harus ganti baris",
    "did not find expected <document start>": "ada isi sesudah akhir dokumen",
}
_SECOND = Both("a second document begins here", "dokumen kedua dimulai di sini")
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REASONS = {
    errno.ENOENT: Both("no such file or folder", "berkas atau folder tidak ada"),
    errno.EACCES: Both("permission denied", "izin ditolak"),
    errno.EPERM: Both("permission denied", "izin ditolak"),
    errno.ENOTDIR: Both("not a folder", "bukan folder"),
    errno.EIO: Both("the disk reports an error", "cakram melaporkan kesalahan"),
}


class Problem(Exception):
    """The text is not an acceptable document: rule id, line (1-based) and values."""

    def __init__(self, rule: str, line: int, **values: object) -> None:
        super().__init__(rule)
        self.rule = rule
        self.line = line
        self.values = values


@dataclass(slots=True)
class Document:
    """One YAML file: its name relative to the inventory, its bytes and its data."""

    name: str
    text: bytes
    data: Any
    _root: yaml.Node | None = field(default=None, repr=False)
    _keys: dict[int, dict[str, tuple[int, Any]]] = field(default_factory=dict, repr=False)

    def line(self, path: KeyPath, key: bool = False) -> int:
        """Return the line (1-based) of the deepest part of `path` that exists."""
        if self._root is None:
            self._root = _Loader(self.text).get_single_node()
        node: Any = self._root
        line = 0
        for step in path:
            found: Any = None
            if isinstance(node, yaml.MappingNode):
                if id(node) not in self._keys:
                    self._keys[id(node)] = {k.value: (k.start_mark.line, v) for k, v in node.value}
                line, found = self._keys[id(node)].get(str(step), (line, None))
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                found = node.value[step]
                line = found.start_mark.line
            if found is None:
                return line + 1
            node = found
        if not key and isinstance(node, yaml.ScalarNode):
            line = node.start_mark.line
        return line + 1


@dataclass(slots=True)
class Tree:
    """All documents of an inventory by name, and what was wrong with reading them."""

    root: str
    documents: dict[str, Document] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Names of files that could not be read or parsed."""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Files that lie outside `root`: name -> path to show (a lab's own file)."""

    def shown(self, name: str) -> str:
        """Return the path of a file as it is shown to people."""
        path = self.elsewhere.get(name) or os.path.normpath(f"{self.root}/{name}")
        return path if path.isprintable() else path.encode("unicode_escape").decode()

    def line(self, where: Where) -> int:
        """Return the line a finding's place is at."""
        if where.line is not None:
            return where.line
        document = self.documents.get(where.file)
        return document.line(where.path, where.key) if document else 1


def parse(text: bytes) -> Any:
    """Return the data of one YAML document.

    Raises Problem with rule IO002 (not UTF-8), YA001 (syntax), YA002 (tab), YA003 (empty),
    YA004 (alias), YA005 (key twice) or YA006 (nested too deeply).
    """
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem("IO002", text.count(b"\n", 0, error.start) + 1, byte=f"0x{text[error.start]:02x}") from None
    if b"\t" in text:
        _refuse_indenting_tabs(text)
    if b"\0" in text:
        problem = Both("NUL byte", "bita NUL")
        raise Problem("YA001", text.count(b"\n", 0, text.index(b"\0")) + 1, problem=problem)
    try:
        return _document(_Loader(text).get_event)
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        if error.problem == "found unexpected end of stream" and error.context_mark:
            mark = error.context_mark  # where the quotes are opened
        problem = _both(error.problem or error.context or "cannot be parsed")
        raise Problem("YA001", (mark.line if mark else 0) + 1, problem=problem) from None
    except yaml.reader.ReaderError as error:
        decoded = text.decode("utf-8")
        control = _CONTROL.search(decoded)
        line = decoded.count("\n", 0, control.start()) + 1 if control else 1
        raise Problem("YA001", line, problem=_both(error.reason)) from None
    except yaml.YAMLError as error:
        raise Problem("YA001", 1, problem=_both(str(error).splitlines()[0])) from None


def _both(problem: str) -> Both:
    """Return the parser's words in both languages; words without a translation stay English."""
    return Both(problem, _YAML_PROBLEMS.get(problem, problem))


def _refuse_indenting_tabs(text: bytes) -> None:
    for number, line in enumerate(text.split(b"\n"), 1):
        if b"\t" in line[: len(line) - len(line.lstrip())]:
            raise Problem("YA002", number)


def _document(get_event: Callable[[], Any]) -> Any:
    """Return the data of the stream's only document."""
    get_event()  # the start of the stream
    if type(get_event()) is yaml.StreamEndEvent:
        raise Problem("YA003", 1)
    data = _build(get_event)
    get_event()  # the end of the document
    after = get_event()
    if type(after) is not yaml.StreamEndEvent:
        raise Problem("YA001", after.start_mark.line + 1, problem=_SECOND)
    return data


def _build(get_event: Callable[[], Any]) -> Any:
    """Return the data of one node from the parser's events.

    Events and not nodes: the parser's own tree is built by recursion in C, which deep nesting
    overflows. Here nesting stops at MAX_DEPTH before the parser has read on.
    """
    stack: list[tuple[Any, bool]] = []
    target: Any = None
    is_mapping = False
    key: str | None = None
    while True:
        event = get_event()
        kind = type(event)
        if kind is yaml.ScalarEvent:
            if is_mapping and key is None:
                key = event.value
                if key in target:
                    raise Problem("YA005", event.start_mark.line + 1, key=key)
            elif is_mapping:
                target[key] = _scalar(event)
                key = None
            elif stack:
                target.append(_scalar(event))
            else:
                return _scalar(event)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            done = target
            target, is_mapping = stack.pop()
            key = None
            if not stack:
                return done
        elif kind is yaml.AliasEvent:
            raise Problem("YA004", event.start_mark.line + 1)
        else:
            line = event.start_mark.line + 1
            if is_mapping and key is None:
                problem = Both("a key must be a plain word", "kunci harus berupa satu kata")
                raise Problem("YA001", line, problem=problem)
            if len(stack) >= MAX_DEPTH:
                raise Problem("YA006", line, limit=MAX_DEPTH)
            new: Any = {} if kind is yaml.MappingStartEvent else []
            if is_mapping:
                target[key] = new
            elif stack:
                target.append(new)
            stack.append((target, is_mapping))
            target, is_mapping, key = new, kind is yaml.MappingStartEvent, None


def _scalar(event: Any) -> object:
    value: str = event.value
    if event.style:
        return value
    if value in _WORDS:
        return _WORDS[value]
    if value[0] in _NUMERIC_START:
        if _INT.match(value) and len(value) < 20:
            return int(value)
        if _DATE.match(value):
            try:
                return datetime.date.fromisoformat(value)
            except ValueError:
                return value
        if _FLOAT.match(value) and len(value) < 40:
            number = float(value)
            return number if math.isfinite(number) else value
    return value


def read(root: Path) -> Tree:
    """Read every .yml and .yaml file below `root`; what cannot be read becomes a finding.

    Hidden folders and files are left out. The whole tree is always read.
    """
    tree = Tree(str(root))
    for name, path in _walk(root, tree):
        text = _read_file(path, name, tree)
        if text is None:
            tree.broken.add(name)
            continue
        add(tree, name, text)
    return tree


def add(tree: Tree, name: str, text: bytes) -> None:
    """Parse one file's text into `tree`; a text over MAX_BYTES is refused unread."""
    try:
        if len(text) > MAX_BYTES:
            raise Problem("IO003", 1, limit=MAX_BYTES)
        tree.documents[name] = Document(name, text, parse(text))
    except Problem as problem:
        tree.findings.append(Finding(problem.rule, Where(name, line=problem.line), problem.values))
        tree.broken.add(name)


def _walk(root: Path, tree: Tree) -> Iterator[tuple[str, Path]]:
    pending = [(root, "")]
    linked: list[tuple[Path, str]] = []  # last, so that a folder is found under its own name first
    visited: set[tuple[int, int]] = set()
    while pending or linked:
        folder, prefix = (pending or linked).pop()
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda e: e.name)
        except OSError as error:
            tree.findings.append(_unreadable(prefix.rstrip("/") or ".", error))
            tree.broken.add(prefix)
            continue
        if (status.st_dev, status.st_ino) in visited:
            tree.findings.append(Finding("IO004", Where(prefix.rstrip("/"), line=1)))
            continue
        visited.add((status.st_dev, status.st_ino))
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):
                continue
            try:
                is_dir = entry.is_dir()
            except OSError as error:
                tree.findings.append(_unreadable(name, error))
                tree.broken.add(name)
                continue
            if is_dir:
                (linked if entry.is_symlink() else pending).append((Path(entry.path), name + "/"))
            elif entry.name.endswith((".yml", ".yaml")):
                yield name, Path(entry.path)


def _read_file(path: Path, name: str, tree: Tree) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        tree.findings.append(_unreadable(name, error))
        return None
    with open(descriptor, "rb") as file:
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                reason = Both("not a regular file", "bukan berkas biasa")
                tree.findings.append(Finding("IO001", Where(name, line=1), {"reason": reason}))
                return None
            text = file.read(MAX_BYTES + 1)
        except OSError as error:
            tree.findings.append(_unreadable(name, error))
            return None
    return text


def _unreadable(name: str, error: OSError) -> Finding:
    if error.errno == errno.ELOOP:
        return Finding("IO004", Where(name, line=1))
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return Finding("IO001", Where(name, line=1), {"reason": reason})
