"""A sweep as text, JSON, JUnit and HTML. Pure."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from topology.drift.finding import STATES, UNOBSERVED, Finding
from topology.drift.history import Change


@dataclass(frozen=True, slots=True)
class Report:
    """A sweep: when, over whom, with what result."""

    at: str
    """ISO 8601."""
    seconds: float
    hosts: dict[str, str]
    """Host -> site."""
    expectations: dict[str, int]
    """Host -> how many were judged."""
    findings: tuple[Finding, ...]
    change: Change | None = None

    def since(self, finding: Finding) -> str:
        """Return since when a finding stands; nothing without a history."""
        return self.change.since.get(finding.key, "") if self.change else ""


def text(report: Report, *, only_changes: bool = False) -> str:
    """Return findings grouped (the same on many hosts is one line), then a line per site and a summary."""
    chosen = [f for f in report.findings if not only_changes or (report.change and f.key in report.change.new)]
    lines = [*_grouped(chosen)]
    if only_changes and report.change:
        lines += [f"gone: {line}" for line in report.change.gone]
    for site, counts in _sites(report).items():
        if counts:
            lines.append(f"{site}: " + ", ".join(f"{counts[s]} {s}" for s in STATES if counts[s]))
    silent = {f.host for f in report.findings if f.state == UNOBSERVED}
    wrong = {f.host for f in report.findings} - silent
    lines.append(
        f"{len(report.hosts)} hosts, {sum(report.expectations.values())} expectations, {report.seconds:.1f} s: "
        f"{len(report.findings)} findings; {len(report.hosts) - len(wrong | silent)} hosts clean, "
        f"{len(wrong)} differ, {len(silent)} unobserved"
    )
    return "\n".join(lines) + "\n"


def _grouped(findings: Iterable[Finding]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for finding in findings:
        said = str(finding).removeprefix(f"{finding.host}: ")
        groups.setdefault(said, []).append(finding.host)
    return [f"{', '.join(hosts)}: {said}" for said, hosts in groups.items()]


def _sites(report: Report) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {site: Counter() for site in sorted(set(report.hosts.values()))}
    for finding in report.findings:
        found[finding.site][finding.state] += 1
    return found


def as_json(report: Report) -> str:
    """Return one JSON object: at, seconds, hosts, findings (each with since), gone."""
    found = {
        "at": report.at,
        "seconds": round(report.seconds, 3),
        "hosts": report.hosts,
        "expectations": report.expectations,
        "findings": [f.as_dict() | {"since": report.since(f)} for f in report.findings],
        "new": sorted(report.change.new) if report.change else [],
        "gone": list(report.change.gone) if report.change else [],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def as_junit(report: Report) -> str:
    """Return JUnit's XML: a suite per site, a case per host; what could not be read is an error, not a pass."""
    root = ElementTree.Element("testsuites", name="drift", time=f"{report.seconds:.3f}")
    for site in sorted(set(report.hosts.values())):
        suite = ElementTree.SubElement(root, "testsuite", name=site, timestamp=report.at)
        failures = errors = 0
        hosts = [h for h, s in report.hosts.items() if s == site]
        for host in hosts:
            case = ElementTree.SubElement(suite, "testcase", classname=f"drift.{site}", name=host)
            own = [f for f in report.findings if f.host == host]
            silent = [f for f in own if f.state == UNOBSERVED]
            if own:
                kind = "error" if silent else "failure"
                errors, failures = errors + bool(silent), failures + (not silent)
                what = ElementTree.SubElement(case, kind, message=f"{len(own)} findings")
                what.text = _printable("\n".join(str(f) for f in own))
        for name, value in (("tests", len(hosts)), ("failures", failures), ("errors", errors)):
            suite.set(name, str(value))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _printable(value: str) -> str:
    """XML 1.0 has no control characters; a host may have answered some."""
    return "".join(c if c == "\n" or c.isprintable() else "?" for c in value)


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Drift, {at}</title>
<style>body{{font:15px/1.5 sans-serif;margin:2em auto;max-width:75em;padding:0 1em}}table{{border-collapse:collapse;
width:100%}}th,td{{text-align:left;vertical-align:top;padding:.3em .8em .3em 0;border-bottom:1px solid #8884;
overflow-wrap:anywhere}}.missing,.unexpected,.different{{color:#b00}}.unobserved{{color:#a60}}
@media(prefers-color-scheme:dark){{body{{background:#111;color:#eee}}.missing,.unexpected,.different{{color:#f88}}
.unobserved{{color:#fc6}}}}</style>
<h1>Drift</h1><p>{summary}</p>{body}</html>
"""


def as_html(report: Report) -> str:
    """Return a page that stands alone: no file, script or font from elsewhere."""
    summary = text(report).splitlines()[-1]
    if not report.findings:
        return _PAGE.format(at=report.at, summary=html.escape(summary), body="<p>Everything is as planned.</p>")
    head = ("site", "host", "state", "thing", "expected", "found", "since")
    rows = []
    for f in report.findings:
        thing = " ".join(x for x in (f.kind, f.thing, f.field) if x)
        cells = (f.site, f.host, f.state, thing, f.expected, f.found, report.since(f))
        rows.append(
            f'<tr class="{f.state}">' + "".join(f"<td>{html.escape(_printable(c))}</td>" for c in cells) + "</tr>"
        )
    body = "<table><tr>" + "".join(f"<th>{h}</th>" for h in head) + "</tr>" + "\n".join(rows) + "</table>"
    return _PAGE.format(at=report.at, summary=html.escape(summary), body=body)
