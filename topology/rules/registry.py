"""Rules about permanent numbers (RG)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from topology import prefix as px
from topology.district import Parts
from topology.finding import NONE_FREE, Both, Finding, Where
from topology.rules.references import missing
from topology.schema import RegistryFile

FILE = "registry.yml"
_LINK_FILE = Both("the link to backbone.yml", "tautannya ke backbone.yml")
RANGES: dict[str, tuple[int, int]] = {
    "skpd": (1, px.MAX_NUMBER),
    "kecamatan": (1, px.MAX_NUMBER),
    "dc": (1, px.MAX_NUMBER),
    "desa": (0, px.MAX_VILLAGES - 1),
    "links": (1, px.MAX_REGISTERED_LINK),
    "vpn_users": (10, 250),
}
"""First and last number of each section of the registry."""


def free(used: Iterable[int], section: str) -> int | None:
    """Return the number after the highest used one, or the lowest gap when the class is full.

    Retired numbers count as used: a number is never given twice.
    """
    return next(free_numbers(used, section), None)


def free_numbers(used: Iterable[int], section: str) -> Iterator[int]:
    """Yield the free numbers of a section, the next one first; so two findings propose different ones."""
    first, last = RANGES[section]
    taken = {number for number in used if first <= number <= last}
    highest = max(taken, default=first - 1)
    for number in (*range(highest + 1, last + 1), *range(first, highest)):
        if number not in taken and (section != "links" or px.usable_link(number)):
            yield number


def _name(line: Any) -> str:
    return str(getattr(line, "slug", None) or line.name)


def _sections(registry: RegistryFile) -> Iterator[tuple[str, str, list[tuple[int, Any]]]]:
    """Yield (section, label, lines with their index); villages are one section per kecamatan."""
    for section in ("skpd", "kecamatan", "dc", "links", "vpn_users"):
        yield section, section, list(enumerate(getattr(registry, section)))
    by_kecamatan: dict[str, list[tuple[int, Any]]] = {}
    for index, line in enumerate(registry.desa):
        by_kecamatan.setdefault(line.kecamatan, []).append((index, line))
    for kecamatan, lines in by_kecamatan.items():
        yield "desa", f"desa/{kecamatan}", lines


def numbers(parts: Parts) -> Iterator[Finding]:
    """Numbers used twice, out of range, names twice in a section."""
    if parts.registry is None:
        return
    names: dict[tuple[str, str], int] = {}
    for section, label, lines in _sections(parts.registry):
        first, last = RANGES[section]
        seen: dict[int, str] = {}
        spare = free_numbers((line.number for _, line in lines), section)
        for index, line in lines:
            where, name = Where(FILE, (section, index, "number")), _name(line)
            if not first <= line.number <= last:
                values = {"section": label, "number": line.number, "slug": name, "first": first, "last": last}
                yield Finding("RG004", where, values | {"free": next(spare, NONE_FREE)})
            elif line.number in seen:
                values = {"section": label, "number": line.number, "first": seen[line.number], "second": name}
                yield Finding("RG001", where, values | {"free": next(spare, NONE_FREE)})
            seen.setdefault(line.number, name)
            if (section, name) in names and line.retired is None:
                yield Finding("RG007", Where(FILE, (section, index)), {"slug": name, "section": section})
            if line.retired is None:
                names[section, name] = index


def lines_and_sites(parts: Parts) -> Iterator[Finding]:
    """Sites without a line, lines without a site, retired lines still described."""
    registry = parts.registry
    if registry is None:
        return
    for section, base_kinds in (("skpd", ("skpd", "hub")), ("kecamatan", ("kecamatan",)), ("dc", ("dc", "drc"))):
        lines = getattr(registry, section)
        described = {slug: where for slug, (kind, _, where) in parts.sites.items() if kind in base_kinds}
        spare = free_numbers([line.number for line in lines], section)

        def paste(slug: str, section: str = section, spare: Iterator[int] = spare) -> Both | None:
            number = next(spare, None)
            if number is None:
                return Both(f"none is left, section {section} is full", f"tidak ada, bagian {section} penuh")
            return _same(f"{section}: - {{number: {number}, slug: {slug}}}")

        yield from _compare(parts, section, lines, described, paste, partial(_file, section))
    described = {slug: where for slug, (kind, _, where) in parts.sites.items() if kind == "desa"}
    used: dict[str, list[int]] = {}
    for line in registry.desa:
        used.setdefault(line.kecamatan, []).append(line.number)
    spares: dict[str, Iterator[int]] = {}

    def paste_village(slug: str) -> Both | None:
        kecamatan = parts.village_of[slug]
        extra = [x.slug for x in registry.kecamatan if x.extends == kecamatan and x.retired is None]
        for block in (kecamatan, *extra):
            if block not in spares:
                spares[block] = free_numbers(used.get(block, ()), "desa")
            number = next(spares[block], None)
            if number is not None:
                return _same(f"desa: - {{kecamatan: {block}, number: {number}, slug: {slug}}}")
        return None  # ST003 says what to do

    yield from _compare(parts, "desa", registry.desa, described, paste_village, partial(_village_file, registry))


def _same(text: str) -> Both:
    return Both(text, text)


def _file(section: str, line: Any) -> Both:
    return _same(f"sites/{section}/{_name(line)}.yml")


def _village_file(registry: RegistryFile, line: Any) -> Both:
    extends = {x.slug: x.extends for x in registry.kecamatan}
    file = f"sites/kecamatan/{extends.get(line.kecamatan) or line.kecamatan}.yml"
    return Both(f"the village to {file}", f"desanya ke {file}")


def _compare(
    parts: Parts,
    section: str,
    lines: Any,
    described: dict[str, Where],
    paste: Callable[[str], Both | None],
    file_of: Callable[[Any], Both],
) -> Iterator[Finding]:
    live = {_name(line) for line in lines if line.retired is None}
    retired = {_name(line): line.retired for line in lines if line.retired is not None}
    for slug, where in described.items():
        if slug in live:
            continue
        if slug in retired:
            yield Finding("RG003", where, {"slug": slug, "retired": retired[slug]})
        else:
            line = paste(slug)
            if line is not None:
                yield Finding("RG002", where, {"slug": slug, "line": line})
    for index, line in enumerate(lines):
        if line.retired is not None or getattr(line, "extends", None) or _name(line) in described:
            continue
        if section == "links":
            lost = parts.backbone is None and parts.may_be_file("backbone.yml")
        else:
            lost = parts.may_exist(_name(line))
        if not lost:
            values = {"slug": _name(line), "file": file_of(line)}
            yield Finding("RG005", Where(FILE, (section, index)), values)


def villages(parts: Parts) -> Iterator[Finding]:
    """Villages of unknown kecamatan, second numbers that extend nothing or are described, too many villages."""
    registry = parts.registry
    if registry is None:
        return
    live = {line.slug: line for line in registry.kecamatan if line.retired is None}
    for index, line in enumerate(registry.kecamatan):
        base = live.get(line.extends) if line.extends else None
        values: dict[str, object] = {"slug": line.slug, "extends": line.extends}
        if line.extends and line.retired is None and parts.sites.get(line.slug, ("",))[0] == "kecamatan":
            yield Finding("RG010", Where(FILE, ("kecamatan", index, "extends")), values)
        elif line.extends and (base is None or base.extends):
            yield Finding("RG009", Where(FILE, ("kecamatan", index, "extends")), values)
    for section in ("skpd", "dc"):
        for index, line in enumerate(getattr(registry, section)):
            if line.extends:
                values = {"slug": line.slug, "extends": line.extends}
                yield Finding("RG009", Where(FILE, (section, index, "extends")), values)
    for index, village in enumerate(registry.desa):
        block = live.get(village.kecamatan)
        where = Where(FILE, ("desa", index, "kecamatan"))
        owner = parts.village_of.get(village.slug)
        if block is None and village.retired is None:
            if parts.sites.get(village.kecamatan, ("",))[0] != "kecamatan":  # else RG002 or RG003 says it
                yield missing("kecamatan", village.kecamatan, live, where)
        elif block is not None and owner not in (None, block.slug, block.extends) and village.retired is None:
            values = {
                "what": Both(f"village `{village.slug}` in kecamatan", f"desa `{village.slug}` di kecamatan"),
                "name": village.kecamatan,
                "hint": Both(f" (it is in `{owner}`)", f" (adanya di `{owner}`)"),
            }
            yield Finding("RF001", where, values)
    yield from _too_many(parts, registry)


def _too_many(parts: Parts, registry: RegistryFile) -> Iterator[Finding]:
    spare = free_numbers([line.number for line in registry.kecamatan], "kecamatan")
    taken = {line.slug for line in registry.kecamatan}
    extends = {line.slug: line.extends for line in registry.kecamatan}
    needed: dict[str, set[tuple[int | None, str]]] = {}
    numbered = set()
    for village in registry.desa:
        owner = extends.get(village.kecamatan) or village.kecamatan
        needed.setdefault(owner, set()).add((village.number, village.slug))
        numbered.add(village.slug)
    for slug, kecamatan in parts.village_of.items():
        if slug not in numbered:
            needed.setdefault(kecamatan, set()).add((None, slug))
    for slug, villages in needed.items():
        count = len(villages)
        blocks = 1 + sum(1 for line in registry.kecamatan if line.extends == slug and line.retired is None)
        if count > blocks * px.MAX_VILLAGES:
            number = next(spare, NONE_FREE)
            where = parts.sites[slug][2].at("villages", key=True) if slug in parts.sites else Where(FILE)
            name = next(n for n in (f"{slug}-{i}" for i in range(2, 99)) if n not in taken)
            values = {
                "slug": slug, "count": count, "limit": blocks * px.MAX_VILLAGES, "free": number, "second": name,
            }  # fmt: skip
            yield Finding("ST003", where, values)


def links(parts: Parts) -> Iterator[Finding]:
    """Links without a number, numbers without a link, numbers RFC 6164 forbids."""
    registry = parts.registry
    if registry is None:
        return
    spare = free_numbers([line.number for line in registry.links], "links")
    for index, line in enumerate(registry.links):
        if 1 <= line.number <= px.MAX_REGISTERED_LINK and not px.usable_link(line.number):
            values = {"number": line.number, "slug": line.name, "free": next(spare, NONE_FREE)}
            yield Finding("RG006", Where(FILE, ("links", index, "number")), values)
    if parts.backbone is None:
        described: dict[str, Where] = {}
    else:
        described = {link.name: Where("backbone.yml", ("links", i)) for i, link in enumerate(parts.backbone.links)}

    def paste(name: str) -> Both:
        number = next(spare, None)
        return _same(f"links: - {{number: {number}, name: {name}}}") if number is not None else NONE_FREE

    yield from _compare(parts, "links", registry.links, described, paste, lambda line: _LINK_FILE)


def vpn_users(parts: Parts) -> Iterator[Finding]:
    """VPN users need hubs to connect to."""
    if parts.registry is None or parts.facts is None or parts.facts.hubs:
        return
    for index, line in enumerate(parts.registry.vpn_users):
        if line.retired is None:
            where = Where(FILE, ("vpn_users", index))
            what = Both("hub for VPN user", "hub untuk pengguna VPN")
            yield Finding("RF001", where, {"what": what, "name": line.name, "hint": ""})
