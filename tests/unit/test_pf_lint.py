"""The lint of pf.conf: every trap is refused by its own id, and by that alone; good files pass."""

from __future__ import annotations

import pytest

from topology.lint.pf import RULES, lint, tokenize

INTERFACES = ("igb0", "igb1.10", "igb1.20", "wg1")
GROUPS = ("wg", "radio")
PIPES = (1, 2)

BASE = """\
ext_if = "igb0"
table <inside> const {{ 10.0.0.0/8, !10.1.0.0/16, fd00::/8 }}
{options}set block-policy drop
{scrub}scrub in all fragment reassemble
no nat on $ext_if inet from any to <inside>
{nat}nat on $ext_if inet from <inside> to any -> ($ext_if:0)
{first}
antispoof log quick for {{ (igb1.10), (igb1.20) }} inet label "antispoof"
{rules}
"""
DENY = 'block log all label "default-deny"'


def conf(rules: str = "", *, first: str = DENY, options: str = "", nat: str = "", scrub: str = "") -> str:
    return BASE.format(rules=rules, first=first, options=options, nat=nat, scrub=scrub)


def ids(text: str) -> list[str]:
    return [p.id for p in lint(text, INTERFACES, GROUPS, PIPES)]


TAIL = ' label "x"'
BROKEN = {
    "PF001": conf("pass in on $nosuch from any to any" + TAIL),
    "PF002": conf(options='unused = "igb0"\n'),
    "PF003": conf(options='ext_if = "igb0"\n'),
    "PF004": conf("pass in on igb0 from <nosuch> to any" + TAIL),
    "PF005": conf(options="table <unused> persist\n"),
    "PF006": conf(options="table <inside> persist\n"),
    "PF007": conf("pass in on igb1.99 from any to any" + TAIL),
    "PF008": conf("antispoof for nosuch inet" + TAIL),
    "PF009": conf("pass in from { 10.1.2.3, any } to 10.2.3.4" + TAIL),
    "PF010": conf("pass in from { 10.0.0.0/8, !10.1.0.0/16 } to any" + TAIL),
    "PF011": conf("block in proto tcp all flags S/SA" + TAIL),
    "PF012": conf("pass in on igb0 all tag LOST" + TAIL),
    "PF013": conf("pass out on igb0 all tagged LOST" + TAIL),
    "PF014": conf("pass in from 10.1.2.3/24 to any" + TAIL),
    "PF015": conf("match in on igb0 all dnpipe (1, 7)" + TAIL),
    "PF016": conf("pass out on igb0 all queue bulk" + TAIL),
    "PF017": conf("pass out on igb0 all"),
    "PF018": conf(first='pass all label "open"'),
    "PF019": conf(nat="nat on igb0 inet6 from fd00::/8 to any -> (igb0:0)\n"),
    "PF020": conf("set optimization normal"),
    "PF021": conf("pass in on igb1.10 from wg1:network to any" + TAIL),
    "PF022": conf(nat='no nat on igb0 inet from 10.1.2.3 to any label "x"\n'),
    "PF023": conf("pass in proto icmp all" + TAIL),
    "PF024": conf("pass in from { 10.1.2.3 to any"),
}


def test_the_sound_file_has_nothing() -> None:
    assert ids(conf()) == []


def test_every_rule_has_a_broken_sample() -> None:
    assert set(BROKEN) == set(RULES)


@pytest.mark.parametrize("rule", sorted(BROKEN))
def test_a_broken_sample_has_exactly_its_id(rule: str) -> None:
    assert ids(BROKEN[rule]) == [rule]


MORE = {
    "no pipe for a single number": ("PF015", conf("match out on igb0 all dnqueue 9" + TAIL)),
    "a list in a macro": ("PF010", conf('bad = "{ 10.0.0.0/8, !10.1.0.0/16 }"\npass in from $bad to any' + TAIL)),
    "any in a macro's list": ("PF009", conf('bad = "{ any, 10.1.0.1 }"\npass in from any to $bad' + TAIL)),
    "negation in a list of interfaces": ("PF010", conf("pass in on { igb1.10, !igb0 } all" + TAIL)),
    "host bits of IPv6 in a table": ("PF014", conf(
        "pass in from <t> to any" + TAIL, options="table <t> { fd00::1/64 }\n")),
    "host bits in a list over lines": ("PF014", conf("pass in from { 10.1.0.0/16,\n  10.2.0.1/16 } to any" + TAIL)),
    "a table of an overload": ("PF004", conf(
        "pass in proto tcp to any port 22 keep state (max-src-conn 5, overload <nosuch> flush global)" + TAIL)),
    "an unknown interface in parentheses": ("PF007", conf("pass in from (em9:network) to any" + TAIL)),
    "an unknown interface of nat": ("PF007", conf(nat="nat on em9 inet from 10.1.2.3 to any -> 10.2.3.4\n")),
    "an unknown log interface": ("PF007", conf(options="set loginterface em9\n")),
    "an unknown antispoof in parentheses": ("PF008", conf("antispoof for (em9) inet" + TAIL)),
    "an interface as an address": ("PF021", conf("pass in from any to igb0" + TAIL)),
    "an interface in a table": ("PF021", conf(
        "pass in from <t> to any" + TAIL, options="table <t> { igb0:network }\n")),
    "icmp in a list of protocols": ("PF023", conf("pass in proto { tcp, icmp } all" + TAIL)),
    "rdr without a family": ("PF023", conf(nat="rdr on igb0 proto tcp from any to any port 80 -> 10.1.2.3\n")),
    "rdr to IPv6": ("PF019", conf(nat="rdr on igb0 proto tcp from any to any port 80 -> fd00::1\n")),
    "default deny is quick": ("PF018", conf(first='block quick all label "deny"')),
    "default deny has a direction": ("PF018", conf(first='block in all label "deny"')),
    "default deny has an interface": ("PF018", conf(first='block on igb0 all label "deny"')),
    "scrub after rules": ("PF020", conf("scrub in all")),
    "nat after rules": ("PF020", conf("nat on igb0 inet from 10.1.2.3 to any -> 10.2.3.4")),
    "no label in an inline anchor": ("PF017", conf('anchor "a" on igb0 {\n  pass in all\n}')),
    "a continued line": ("PF011", conf("block in proto tcp \\\n  all flags \\\n S/SA" + TAIL)),
    "flags in a macro": ("PF011", conf('f = "flags S/SA"\nblock in proto tcp all $f' + TAIL)),
    "a string without an end": ("PF024", conf('pass all label "x')),
    "a table without braces": ("PF024", conf("pass in from <t> to any" + TAIL, options="table <t> const 10.0.0.0/8\n")),
    "an unknown word": ("PF024", conf("permit all")),
}  # fmt: skip


@pytest.mark.parametrize("name", MORE)
def test_other_spellings_of_a_trap(name: str) -> None:
    rule, text = MORE[name]
    assert ids(text) == [rule]


SOUND = {
    "a negated address alone": "pass in from ! <inside> to any" + TAIL,
    "tables with exceptions": "pass in from <inside> to ! 10.1.0.0/16" + TAIL,
    "a tag set and asked": f"pass in all tag A{TAIL}\npass out all tagged A{TAIL}",
    "a tag set and denied": f"match in all tag A{TAIL}\nblock in all ! tagged A{TAIL}",
    "pipes there": f"match in all dnpipe (1, 2){TAIL}\nmatch out all dnqueue 2{TAIL}",
    "self": "pass in from any to (self) port { 22, 80:90 }" + TAIL,
    "a table of a file": f'table <t> persist file "/etc/t" counters\npass in from <t> to any{TAIL}',
    "a group": "pass in on wg from (wg:network) to any" + TAIL,
    "urpf": "block in from urpf-failed to any" + TAIL,
    "words in strings and comments": 'pass all label "flags $nosuch tag X"  # queue <nosuch>',
    "an inline anchor": f'anchor "a" on igb0 {{\n  pass in all{TAIL}\n}}\npass all{TAIL}',
    "log options": "block log (all, to pflog0) all" + TAIL,
    "icmp of both families": f"pass inet proto icmp all{TAIL}\npass inet6 proto icmp6 all icmp6-type 143{TAIL}",
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_rules_have_nothing(name: str) -> None:
    assert ids(conf(SOUND[name])) == []


def test_a_problem_reads_as_one_line_with_its_place() -> None:
    text = conf("pass out on igb0 all")
    line = next(n for n, row in enumerate(text.splitlines(), 1) if row == "pass out on igb0 all")
    found = lint(text, INTERFACES, GROUPS, PIPES, file="a/pf.conf")
    assert [str(p) for p in found] == [
        f"a/pf.conf:{line}: PF017 the rule has no label; give it one, so that its hits are counted"
    ]


def test_lines_are_counted_through_lists_and_continuations() -> None:
    tokens = [(t.text, t.line) for t in tokenize('a \\\n b {\n c }\nd -> e/8 # f\n"g h"') if t.text != "\n"]
    assert tokens == [
        ("a", 1), ("b", 2), ("{", 2), ("c", 3), ("}", 3), ("d", 4), ("->", 4), ("e", 4), ("/", 4), ("8", 4), ("g h", 5),
    ]  # fmt: skip
