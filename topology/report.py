"""Findings as text: `file:line: ID what; what to do`."""

from __future__ import annotations

from collections.abc import Iterable

from topology.finding import Finding, Language
from topology.rules.catalogue import CATALOGUE
from topology.source import Tree

_WARNING = {"en": "warning: ", "id": "peringatan: "}


def is_error(finding: Finding) -> bool:
    """Say whether a finding is an error (the others are warnings)."""
    return CATALOGUE[finding.rule].severity == "error"


def line_of(finding: Finding, tree: Tree, lang: Language) -> str:
    """Return one finding as a line for people."""
    rule = CATALOGUE[finding.rule]
    mark = "" if rule.severity == "error" else _WARNING[lang]
    place = f"{tree.shown(finding.where.file)}:{tree.line(finding.where)}"
    return f"{place}: {rule.id} {mark}{rule.text(finding.values, lang)}"


def lines(findings: Iterable[Finding], tree: Tree, lang: Language) -> list[str]:
    """Return findings as lines in order of file, line and rule."""
    return [line_of(f, tree, lang) for f in findings]


def summary(errors: int, warnings: int, sites: int, hosts: int, lang: Language) -> str:
    """Return the last line of a check."""
    if lang == "id":
        return f"{sites} lokasi, {hosts} host: {errors} kesalahan, {warnings} peringatan"
    return f"{sites} sites, {hosts} hosts: {errors} errors, {warnings} warnings"
