"""What `nft -c` accepts in a rendered ruleset and this refuses.

======  ==================================================================================
NF001   no base chain at input, forward or output of the main table, or one without `policy drop`
NF002   a rule that accepts or drops without a counter
NF003   an interface that the gateway does not have
NF004   a zone whose rules exist in one family only
NF005   a set, counter or chain that no rule uses
NF006   a flush of everybody's rules
NF007   an accept of new TCP that is reached before the check for SYN
======  ==================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

MAIN = "inet topology"
"""The table whose base chains drop by default."""
_TABLE = re.compile(r"^table (\w+ \w+) \{")
_CHAIN = re.compile(r"^\s*chain ([\w.-]+) \{")
_DECLARED = re.compile(r"^\s*(set|map|counter) ([\w.-]+) \{")
_HOOK = re.compile(r"type filter hook (input|forward|output) priority (?:filter|0);")
_INTERFACE = re.compile(r"[io]ifname (?:!= )?(\{[^}]*\}|\"[^\"]+\")")
_ELEMENTS = re.compile(r"type ifname.*?elements = \{([^}]*)\}")
_QUOTED = re.compile(r'"([^"]+)"')
_TARGET = re.compile(r"(?:jump|goto) ([\w.-]+)")


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding: the line of the file, a permanent id, and what is wrong."""

    line: int
    id: str
    text: str

    def __str__(self) -> str:
        """Return line, id and text as one line."""
        return f"{self.line}: {self.id} {self.text}"


@dataclass(slots=True)
class _Chain:
    name: str
    table: str
    line: int
    rules: list[tuple[int, str]]


def lint(text: str, interfaces: Collection[str], one_family: Collection[str] = ()) -> tuple[Problem, ...]:
    """Return what is wrong with a ruleset, in order of lines.

    `interfaces` are the gateway's; `one_family` are chains that may well have rules of one family
    (flows that say so, sites without IPv6).
    """
    chains, declared = _read(text)
    found = [
        *_policies(chains),
        *_uncounted(chains),
        *_strangers(text, frozenset(interfaces) | {"lo"}),
        *_families(chains, frozenset(one_family)),
        *_unused(text, chains, declared),
        *_flushes(text),
        *_early(chains),
    ]
    return tuple(sorted(found, key=lambda p: (p.line, p.id)))


def _read(text: str) -> tuple[list[_Chain], list[tuple[int, str, str]]]:
    """Return the chains with their rules, and (line, kind, name) of what is declared."""
    chains: list[_Chain] = []
    declared: list[tuple[int, str, str]] = []
    table, chain = "", None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if match := _TABLE.match(raw):
            table = match[1]
        elif match := _CHAIN.match(raw):
            chain = _Chain(match[1], table, number, [])
            chains.append(chain)
        elif match := _DECLARED.match(raw):
            declared.append((number, match[1], match[2]))
        elif line == "}":
            chain = None
        elif chain is not None:
            chain.rules.append((number, line))
    return chains, declared


def _policies(chains: list[_Chain]) -> Iterator[Problem]:
    seen = set()
    for chain in chains:
        if chain.table != MAIN:
            continue
        for number, rule in chain.rules:
            if match := _HOOK.search(rule):
                seen.add(match[1])
                if "policy drop;" not in rule:
                    yield Problem(number, "NF001", f"chain {chain.name} at hook {match[1]} does not drop by default")
    for hook in ("input", "forward", "output"):
        if hook not in seen:
            yield Problem(1, "NF001", f"no chain at hook {hook}")


def _uncounted(chains: list[_Chain]) -> Iterator[Problem]:
    for chain in chains:
        for number, rule in chain.rules:
            words = rule.split()
            if words[-1] in ("accept", "drop", "reject") and "counter" not in words and "policy" not in words:
                yield Problem(number, "NF002", f"{words[-1]} without a counter in chain {chain.name}")


def _strangers(text: str, interfaces: frozenset[str]) -> Iterator[Problem]:
    for number, line in enumerate(text.splitlines(), 1):
        places = [m[1] for m in _INTERFACE.finditer(line)] + [m[1] for m in _ELEMENTS.finditer(line)]
        for name in (n for place in places for n in _QUOTED.findall(place)):
            if name not in interfaces:
                yield Problem(number, "NF003", f"no interface {name}")


def _families(chains: list[_Chain], one_family: frozenset[str]) -> Iterator[Problem]:
    for chain in chains:
        if "_to_" not in chain.name or chain.name in one_family or not chain.rules:
            continue
        families = set()
        for _, rule in chain.rules:
            v4 = "nfproto ipv4" in rule or rule.startswith("icmp type") or "udp sport 68" in rule
            v6 = "nfproto ipv6" in rule or rule.startswith("icmpv6 type") or "ip6 saddr" in rule
            families |= {4} if v4 else {6} if v6 else {4, 6}
        if len(families) == 1:
            yield Problem(chain.line, "NF004", f"chain {chain.name} has rules for IPv{families.pop()} only")


def _unused(text: str, chains: list[_Chain], declared: list[tuple[int, str, str]]) -> Iterator[Problem]:
    for number, kind, name in declared:
        used = rf"counter name {re.escape(name)}\s" if kind == "counter" else rf"@{re.escape(name)}\b"
        if not re.search(used, text):
            yield Problem(number, "NF005", f"{kind} {name} is not used")
    reached = {name for chain in chains for _, rule in chain.rules for name in _TARGET.findall(rule)}
    for chain in chains:
        hooked = any(" hook " in rule for _, rule in chain.rules)
        if not hooked and chain.name not in reached:
            yield Problem(chain.line, "NF005", f"chain {chain.name} is not reached")


def _flushes(text: str) -> Iterator[Problem]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().startswith("flush ruleset"):
            yield Problem(number, "NF006", "flush ruleset takes other tables' rules away")


def _early(chains: list[_Chain]) -> Iterator[Problem]:
    """Yield rules of input and forward that let TCP in before the check that it is a SYN."""
    for chain in chains:
        if chain.table != MAIN or not any(_HOOK.search(r) and "hook output" not in r for _, r in chain.rules):
            continue
        for number, rule in chain.rules:
            if "tcp flags & (fin | syn | rst | ack) != syn" in rule:
                break
            if "tcp dport" in rule and rule.endswith("accept"):
                yield Problem(number, "NF007", f"TCP is accepted in chain {chain.name} before the check for SYN")
