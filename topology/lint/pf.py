"""A lint of pf.conf: the traps that `pfctl -n` accepts, and this project's own rules.

The file is tokenized and parsed as pfctl(8) does (FreeBSD 14.3, sbin/pfctl/parse.y): macros are
replaced where they are used, lists in braces may run over lines, a backslash continues a line, and
`/`, `!`, `<`, `>`, `,`, braces and parentheses are tokens of their own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from topology.lint import Problem

RULES: dict[str, str] = {
    "PF001": "macro ${name} is not defined; define it above its first use",
    "PF002": "macro {name} is defined and not used; remove it",
    "PF003": "macro {name} is defined twice (line {first} too); the second silently wins, rename or remove one",
    "PF004": "table <{name}> is not defined; pf makes an empty one, define it",
    "PF005": "table <{name}> is defined and not used; remove it",
    "PF006": "table <{name}> is defined twice (line {first} too); the first is lost, join them",
    "PF007": "interface {name} does not exist and is no group; the rule never matches, correct the name",
    "PF008": "antispoof for {name}, which does not exist, makes no rule at all; correct the name",
    "PF009": "a list with `any` matches the other entries only ({name}); write `any` alone or leave it out",
    "PF010": "`!` in a list becomes a rule of its own, so that {name} is not left out; use a table with ! entries",
    "PF011": "flags on a block rule let every other packet pass; remove `flags`",
    "PF012": "tag {name} is set and nothing asks for it; add a rule with `tagged {name}` or remove it",
    "PF013": "`tagged {name}`: no rule sets this tag; the rule never matches, set it on the way in",
    "PF014": "{name} has bits set behind its length; write {network}",
    "PF015": "{kind} {name} is not in dnctl.conf; packets would pass unshaped, configure it there",
    "PF016": "queue {name} is not defined (and GENERIC has no ALTQ); use dnqueue or define it",
    "PF017": "the rule has no label; give it one, so that its hits are counted",
    "PF018": "the first rule is not `block log all`; what no rule matches passes in pf, deny first",
    "PF019": "IPv6 is translated; remove the rule, hosts have addresses of their own",
    "PF020": "{name} comes after {after}; the order is options, normalization, queueing, translation, filtering",
    "PF021": "{name} without parentheses is looked up when the rules load and fails them all while the interface "
    "has no address; write ({name})",
    "PF022": "{name} takes no label; remove it",
    "PF023": "{name} without a family; write inet or inet6",
    "PF024": "cannot be read: {name}; correct the line",
}
"""Id -> what; what to do."""

_PUNCTUATION = "{}()<>!=/,\n"
_ORDER = ("options", "normalization", "queueing", "translation", "filtering")
_STATEMENTS = {
    "set": 0, "scrub": 1, "altq": 2, "queue": 2, "nat": 3, "rdr": 3, "binat": 3, "nat-anchor": 3, "rdr-anchor": 3,
    "binat-anchor": 3, "block": 4, "pass": 4, "match": 4, "antispoof": 4, "anchor": 4, "load": 4, "table": -1,
    "include": -1, "ether": -1,
}  # fmt: skip
_MODIFIERS = ("network", "broadcast", "peer", "0")
_WORDS = frozenset({"any", "all", "self", "no-route", "urpf-failed"})
_TABLE_OPTIONS = frozenset({"persist", "const", "counters", "file"})
_LOOPBACK = frozenset({"lo", "lo0"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a quoted string or a punctuation mark, and the line it is on."""

    text: str
    line: int
    quoted: bool = False


@dataclass(slots=True)
class Statement:
    """One statement's tokens, macros already replaced."""

    tokens: list[Token]
    nested: int = 0
    """Depth in inline anchors."""

    @property
    def line(self) -> int:
        """Line of the first token."""
        return self.tokens[0].line


class _Unreadable(Exception):
    def __init__(self, line: int, what: str) -> None:
        self.line = line
        super().__init__(what)


def tokenize(text: str, line: int = 1) -> Iterator[Token]:
    """Yield the tokens of a text; a newline is one. Raises ValueError for a string without an end."""
    position, length = 0, len(text)
    while position < length:
        char = text[position]
        if char == "\\" and text[position + 1 : position + 2] == "\n":
            position, line = position + 2, line + 1
        elif char == "\n":
            yield Token("\n", line)
            position, line = position + 1, line + 1
        elif char.isspace():
            position += 1
        elif char == "#":
            end = text.find("\n", position)
            position = length if end < 0 else end
        elif char in "\"'":
            end = text.find(char, position + 1)
            if end < 0:
                raise _Unreadable(line, "a string without an end")
            value = text[position + 1 : end]
            yield Token(value.replace("\\\n", ""), line, True)
            line += value.count("\n")
            position = end + 1
        elif text.startswith("->", position):
            yield Token("->", line)
            position += 2
        elif char in _PUNCTUATION:
            yield Token(char, line)
            position += 1
        else:
            end = position
            while end < length and not text[end].isspace() and text[end] not in '{}()<>!=/,#"':
                if text.startswith("->", end) and end > position:
                    break
                end += 1
            yield Token(text[position:end], line)
            position = end


@dataclass(slots=True)
class _Lint:
    interfaces: frozenset[str]
    pipes: frozenset[int]
    file: str
    found: list[Problem] = field(default_factory=list)
    macros: dict[str, tuple[str, int]] = field(default_factory=dict)
    used_macros: set[str] = field(default_factory=set)
    tables: dict[str, int] = field(default_factory=dict)
    used_tables: dict[str, int] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    tagged: dict[str, int] = field(default_factory=dict)
    queues: set[str] = field(default_factory=set)
    used_queues: dict[str, int] = field(default_factory=dict)
    stage: int = 0
    first_rule: bool = True

    def say(self, rule: str, line: int, **values: object) -> None:
        self.found.append(Problem(self.file, line, rule, RULES[rule].format(**values)))

    # ------------------------------------------------------------ statements

    def run(self, text: str) -> None:
        try:
            for statement in self.statements(text):
                self.statement(statement)
        except _Unreadable as error:
            self.say("PF024", error.line, name=error)
            return
        for name, (_, line) in self.macros.items():
            if name not in self.used_macros:
                self.say("PF002", line, name=name)
        for name, line in self.used_tables.items():
            if name not in self.tables:
                self.say("PF004", line, name=name)
        for name, line in self.tables.items():
            if name not in self.used_tables:
                self.say("PF005", line, name=name)
        for name, line in self.tags.items():
            if name not in self.tagged:
                self.say("PF012", line, name=name)
        for name, line in self.tagged.items():
            if name not in self.tags:
                self.say("PF013", line, name=name)
        for name, line in self.used_queues.items():
            if name not in self.queues:
                self.say("PF016", line, name=name)
        if self.first_rule:
            self.say("PF018", 1)

    def statements(self, text: str) -> Iterator[Statement]:
        """Yield statements; macro definitions are taken in on the way."""
        row: list[Token] = []
        depth = nested = 0
        tokens = list(tokenize(text))
        tokens.append(Token("\n", tokens[-1].line if tokens else 1))
        for index, token in enumerate(tokens):
            if token.quoted or token.text not in "{}\n":
                row.append(token)
                continue
            if token.text == "{":
                opens = row and row[0].text == "anchor" and tokens[index + 1].text == "\n"
                if opens and depth == 0:
                    yield Statement(self.expand(row), nested)
                    row, nested = [], nested + 1
                    continue
                depth += 1
            elif token.text == "}":
                if depth == 0 and not row and nested:
                    nested -= 1
                    continue
                depth -= 1
                if depth < 0:
                    raise _Unreadable(token.line, "a closing brace too many")
            elif depth == 0:
                if row:
                    yield from self.complete(row, nested)
                row = []
                continue
            if token.text != "\n":
                row.append(token)
        if depth or row:
            raise _Unreadable(row[0].line if row else tokens[-1].line, "a brace that is not closed")
        if nested:
            raise _Unreadable(tokens[-1].line, "an anchor that is not closed")

    def complete(self, row: list[Token], nested: int) -> Iterator[Statement]:
        if len(row) > 1 and row[1].text == "=" and not row[1].quoted and not row[0].quoted:
            self.define(row)
        else:
            yield Statement(self.expand(row), nested)

    def define(self, row: list[Token]) -> None:
        name, line = row[0].text, row[0].line
        if name in self.macros:
            self.say("PF003", line, name=name, first=self.macros[name][1])
        value = " ".join(t.text for t in self.expand(row[2:]))
        self.macros[name] = (value, line)

    def expand(self, row: list[Token], depth: int = 0) -> list[Token]:
        """Return the tokens with macros replaced, as pfctl does: by reading their text."""
        found: list[Token] = []
        for token in row:
            if token.quoted or not token.text.startswith("$"):
                found.append(token)
                continue
            name, _, rest = token.text[1:].partition(":")
            if name not in self.macros:
                self.say("PF001", token.line, name=name)
                found.append(Token(_UNKNOWN, token.line))
                continue
            self.used_macros.add(name)
            value = self.macros[name][0] + (f":{rest}" if rest else "")
            inner = [Token(t.text, token.line, t.quoted) for t in tokenize(value) if t.text != "\n"]
            found += self.expand(inner, depth + 1) if depth < 16 else inner
        return found

    def statement(self, statement: Statement) -> None:
        words = statement.tokens
        if words[0].text == "no" and len(words) > 1:
            words = words[1:]
        kind = words[0].text
        if words[0].quoted or kind not in _STATEMENTS:
            self.say("PF024", statement.line, name=f"`{kind}` starts no statement")
            return
        stage = _STATEMENTS[kind]
        if stage >= 0 and not statement.nested:
            if stage < self.stage:
                self.say("PF020", statement.line, name=kind, after=_ORDER[self.stage])
            self.stage = max(stage, self.stage)
        if kind == "set":
            self.option(words)
        elif kind == "table":
            self.table(words)
        elif kind in ("altq", "queue"):
            self.queues |= {t.text for t in words[1:] if t.text not in _PUNCTUATION}
        elif kind not in ("load", "include", "ether"):
            self.rule(kind, words, statement)

    def option(self, words: list[Token]) -> None:
        names = [t for t in words[1:] if t.text not in ("{", "}", ",", "!")]
        if names and names[0].text == "loginterface":
            self.interface(names[1], also=("none",))
        elif len(names) > 1 and (names[0].text, names[1].text) == ("skip", "on"):
            for token in names[2:]:
                self.interface(token)

    def table(self, words: list[Token]) -> None:
        if len(words) < 4 or words[1].text != "<":
            self.say("PF024", words[0].line, name="a table without a name")
            return
        name = words[2].text
        if name in self.tables:
            self.say("PF006", words[2].line, name=name, first=self.tables[name])
        self.tables.setdefault(name, words[2].line)
        opening = next((i for i, t in enumerate(words) if t.text == "{" and not t.quoted), None)
        options = [t for t in words[4:opening] if t.text not in _TABLE_OPTIONS and not t.quoted]
        if options:
            self.say("PF024", options[0].line, name=f"`{options[0].text}` outside the braces of a table")
        for _, index in _items(words, opening)[0] if opening is not None else ():
            self.prefix(words, index)
            self.address(words, index)

    # ------------------------------------------------------------ rules

    def rule(self, kind: str, words: list[Token], statement: Statement) -> None:
        line = statement.line
        texts = [t.text if not t.quoted else "" for t in words]
        negated = statement.tokens[0].text == "no"
        if kind == "antispoof":
            self.antispoof(words)
        else:
            self.places(kind, words)
        self.tables_of(words)
        self.options(kind, words, texts)
        if _STATEMENTS[kind] == 4:
            if self.first_rule:
                self.first_rule = False
                if not _denies_all(texts):
                    self.say("PF018", line)
            if kind != "anchor" and "label" not in texts:
                self.say("PF017", line)
            if kind == "block" and "flags" in texts:
                self.say("PF011", line)
        family = next((t for t in texts if t in ("inet", "inet6")), None)
        if kind in ("nat", "rdr", "binat"):
            if "label" in texts:
                self.say("PF022", line, name=kind)
            if family == "inet6" or any(":" in t and _address(t) for t in texts):
                if not negated:
                    self.say("PF019", line)
            elif family is None:
                self.say("PF023", line, name=kind)
        elif family is None and ("icmp-type" in texts or "icmp6-type" in texts or _protocols(texts) & _ICMP):
            self.say("PF023", line, name="an ICMP rule")

    def places(self, kind: str, words: list[Token]) -> None:
        """Look at interfaces and addresses of a rule."""
        index = 1
        while index < len(words):
            token = words[index]
            if token.text == "log" and words[index + 1 : index + 2] and words[index + 1].text == "(":
                while words[index].text != ")" and index + 1 < len(words):
                    index += 1  # log (all, to pflog1)
            if token.quoted or token.text not in ("on", "from", "to", "->"):
                index += 1
                continue
            items, end = _items(words, index + 1)
            if token.text == "on":
                for negative, at in items:
                    if negative and len(items) > 1:
                        self.say("PF010", token.line, name=words[at].text)
                    self.interface(words[at])
            else:
                self.hosts(words, items)
            index = end

    def hosts(self, words: list[Token], items: list[tuple[bool, int]]) -> None:
        if len(items) > 1:
            line = words[items[0][1]].line
            if any(words[at].text == "any" for _, at in items):
                names = ", ".join(_shown(words, at) for _, at in items)
                self.say("PF009", line, name=names)
            for negative, at in items:
                if negative:
                    self.say("PF010", line, name=_shown(words, at))
        for _, at in items:
            self.prefix(words, at)
            self.address(words, at)

    def antispoof(self, words: list[Token]) -> None:
        at = next((i for i, t in enumerate(words) if t.text == "for" and not t.quoted), None)
        if at is None:
            self.say("PF024", words[0].line, name="antispoof without `for`")
            return
        for _, index in _items(words, at + 1)[0]:
            name = words[index + 1] if words[index].text == "(" else words[index]
            if name.text not in self.interfaces and name.text != _UNKNOWN:
                self.say("PF008", name.line, name=name.text)

    def options(self, kind: str, words: list[Token], texts: list[str]) -> None:
        for index, text in enumerate(texts[:-1]):
            following = words[index + 1]
            if text == "tag":
                self.tags.setdefault(following.text, following.line)
            elif text == "tagged":
                self.tagged.setdefault(following.text, following.line)
            elif text in ("dnpipe", "dnqueue"):
                for token in words[index + 1 : index + 6]:
                    if token.text.isdigit():
                        if int(token.text) not in self.pipes:
                            self.say("PF015", token.line, kind=text, name=token.text)
                    elif token.text not in "(,":
                        break
                    if following.text != "(":
                        break
            elif text == "queue" and kind in ("pass", "match", "block"):
                for token in words[index + 1 : index + 6]:
                    if token.text not in "(,)":
                        self.used_queues.setdefault(token.text, token.line)
                    if token.text == ")" or following.text != "(":
                        break

    def tables_of(self, words: list[Token]) -> None:
        for index, token in enumerate(words[:-2]):
            if token.text == "<" and words[index + 2].text == ">" and not token.quoted:
                self.used_tables.setdefault(words[index + 1].text, token.line)

    # ------------------------------------------------------------ names and addresses

    def interface(self, token: Token, also: Collection[str] = ()) -> None:
        name = token.text
        if name not in self.interfaces and name not in also and name not in ("any", "all", _UNKNOWN):
            self.say("PF007", token.line, name=name)

    def address(self, words: list[Token], index: int) -> None:
        """Look at an address that may be an interface: in parentheses, or not."""
        token = words[index]
        if token.text == "(" and index + 1 < len(words):
            inner = words[index + 1]
            name = _without_modifiers(inner.text)
            if name != "self":
                self.interface(Token(name, inner.line))
        elif token.text not in ("<", "(", _UNKNOWN) and token.text not in _WORDS and not _address(token.text):
            name = _without_modifiers(token.text)
            if name in self.interfaces or name != token.text or name == "self":
                self.say("PF021", token.line, name=token.text)
            else:
                self.interface(token)

    def prefix(self, words: list[Token], index: int) -> None:
        """Look for bits behind a prefix's length."""
        if index + 2 >= len(words) or words[index + 1].text != "/":
            return
        try:
            found = ipaddress.ip_interface(f"{words[index].text}/{words[index + 2].text}")
        except ValueError:
            return
        if found.ip != found.network.network_address:
            self.say("PF014", words[index].line, name=found, network=found.network)


_UNKNOWN = "<unknown macro>"
_ICMP = frozenset({"icmp", "icmp6", "ipv6-icmp"})


def _protocols(texts: list[str]) -> set[str]:
    """Return a rule's protocols."""
    found: set[str] = set()
    for index, text in enumerate(texts):
        if text == "proto":
            if texts[index + 1 : index + 2] == ["{"]:
                end = texts.index("}", index) if "}" in texts[index:] else len(texts)
                found |= set(texts[index + 2 : end])
            else:
                found |= set(texts[index + 1 : index + 2])
    return found


def _items(words: list[Token], start: int) -> tuple[list[tuple[bool, int]], int]:
    """Return the items of a place (negated?, index of the first token) and where it ends."""
    if start >= len(words):
        return [], start
    index, several = start, words[start].text == "{"
    if several:
        index += 1
    found: list[tuple[bool, int]] = []
    negative = False
    while index < len(words):
        text = words[index].text
        if text == "}":
            return found, index + 1
        if text == ",":
            index += 1
            continue
        if text == "!":
            negative = not negative
            index += 1
            continue
        found.append((negative, index))
        negative = False
        closing = {"(": ")", "<": ">"}.get(text)
        if closing:
            while index < len(words) and words[index].text != closing:
                index += 1
        index += 1
        if index + 1 < len(words) and words[index].text == "/":
            index += 2
        if not several:
            break
    return found, index


def _shown(words: list[Token], index: int) -> str:
    """Return an item's text: an address with its length, a table with its brackets."""
    text = words[index].text
    if text in "<(":
        return "".join(t.text for t in words[index : index + 3])
    if index + 2 < len(words) and words[index + 1].text == "/":
        return f"{text}/{words[index + 2].text}"
    return text


def _without_modifiers(name: str) -> str:
    """Return `igb0` of `igb0:network:0`; names with dots are left as they are."""
    parts = name.split(":")
    while len(parts) > 1 and parts[-1] in _MODIFIERS:
        parts.pop()
    return ":".join(parts)


def _address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text.isdigit()
    return True


def _denies_all(texts: list[str]) -> bool:
    """Say whether a rule is a block of everything, in both directions, that later rules lift."""
    if texts[0] != "block":
        return False
    rest = [t for t in texts[1:] if t]
    while rest and rest[0] in ("drop", "return", "log"):
        rest.pop(0)
        if rest and rest[0] == "(":
            rest = rest[rest.index(")") + 1 :]
    while "label" in rest:
        rest.remove("label")
    return rest in (["all"], [], ["from", "any", "to", "any"])


def lint(
    text: str,
    interfaces: Collection[str],
    groups: Collection[str] = (),
    pipes: Collection[int] = (),
    file: str = "pf.conf",
) -> list[Problem]:
    """Return what is wrong in a pf.conf, in order of lines.

    `interfaces` and `groups` are those of the box (lo0 and lo are always there), `pipes` the
    numbers of pipes and queues that dnctl.conf configures.
    """
    found = _Lint(frozenset({*interfaces, *groups, *_LOOPBACK}), frozenset(pipes), file)
    found.run(text)
    return sorted(found.found)
