"""Large files that are wrong on every line are still answered in a few seconds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from topology import load, report

HERE = Path(__file__).parent
SIZE = 200_000
"""A fifth of what is read at all."""
SECONDS = 10
"""Of the processor, so that a busy machine does not count; work that grows with the square would take minutes."""


def _fill(head: str, line: str) -> str:
    """Return a file of about SIZE bytes; `{n}` in the line counts."""
    parts = [head]
    size = len(head)
    n = 0
    while True:
        text = line.replace("{n}", str(n))
        size += len(text)
        if size > SIZE:
            return "".join(parts)
        parts.append(text)
        n += 1


def _cases() -> Iterator[tuple[str, str, str]]:
    base = HERE / "base"
    registry = (base / "registry.yml").read_text()
    backbone = (base / "backbone.yml").read_text()
    service = (base / "services/dns.yml").read_text()
    yield "unknown-keys", "district.yml", _fill((base / "district.yml").read_text(), "k{n}: 1\n")
    yield "same-number", "registry.yml", _fill(registry, "  - {number: 10, name: u{n}}\n")
    yield "same-link-number", "registry.yml", _fill(registry.partition("vpn_users")[0], "  - {number: 1, name: l{n}}\n")
    yield (
        "nobody-describes",
        "registry.yml",
        _fill(registry.partition("links")[0], "  - {kecamatan: hulu, number: 2, slug: d{n}}\n"),
    )
    yield "circles", "backbone.yml", _fill(backbone, "  - {name: l{n}, ends: [balai, hilir]}\n")
    yield "no-sites", "backbone.yml", _fill(backbone, "  - {name: l{n}, ends: [s{n}, t{n}]}\n")
    yield "a-long-path", "backbone.yml", _fill(backbone, "  - {name: l{n}, ends: [s{n}, balai]}\n")
    yield "no-hosts", "services/dns.yml", _fill(service.partition("hosts")[0] + "hosts:\n", "  - dc-ns{n}\n")
    hosts = (base / "sites/skpd/perairan.yml").read_text()
    yield "same-host", "sites/skpd/perairan.yml", _fill(hosts, "  - {name: h{n}, kind: pc, interfaces: {staff: 10}}\n")
    villages = (base / "sites/kecamatan/hulu.yml").read_text()
    yield (
        "villages",
        "sites/kecamatan/hulu.yml",
        _fill(villages, "  - {slug: v{n}, name: V{n}, gateways: [{profile: box}]}\n"),
    )


CASES = {name: (file, text) for name, file, text in _cases()}


@pytest.mark.parametrize("case", CASES)
def test_mistakes_on_every_line(case: str, tmp_path: Path) -> None:
    district = tmp_path / "district"
    shutil.copytree(HERE / "base", district)
    file, text = CASES[case]
    (district / file).write_text(text)
    start = time.process_time()
    tree = load.read(district)
    _, findings = load.check(tree)
    lines = report.lines(findings, tree, "en")
    assert time.process_time() - start < SECONDS
    assert len(lines) > 1_000 or case == "villages"  # ST003 says it once for all
