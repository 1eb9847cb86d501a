"""Writes docs/errors.md, the reference of all rules, from the catalogue and the cases beside this file.

python -m tests.rules.errors_page
"""

from __future__ import annotations

import re
from pathlib import Path

from topology.finding import Rule
from topology.rules.catalogue import CATALOGUE

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "errors.md"
GROUPS = {
    "IO": ("Reading files", "Membaca berkas"),
    "YA": ("YAML", "YAML"),
    "SC": ("Shape: keys, types and values", "Bentuk: kunci, jenis dan nilai"),
    "RG": ("Registry: permanent numbers", "Registri: nomor tetap"),
    "ST": ("Sites, gateways, networks and names", "Lokasi, gateway, jaringan dan nama"),
    "IP": ("Prefixes, host numbers and addresses", "Prefiks, nomor host dan alamat"),
    "RF": ("Names that lead somewhere", "Nama yang merujuk"),
    "BB": ("Links between sites", "Tautan antarlokasi"),
    "UL": ("Providers' lines", "Saluran penyedia"),
    "PO": ("Policy: zones, services and flows", "Kebijakan: zona, layanan dan aliran"),
    "VS": ("Guests in vSphere", "Mesin virtual di vSphere"),
    "KY": ("Public keys", "Kunci publik"),
    "DV": ("Switches and radios", "Switch dan radio"),
    "US": ("People", "Orang"),
}
_HEAD = """\
# Errors and warnings / Kesalahan dan peringatan

<!-- Made by `python -m tests.rules.errors_page`; a test compares. Do not edit. -->

`topology check INVENTORY` reads every file and shows everything it finds, one line each:
`file:line: ID what; what to do`. `--lang id` shows them in Indonesian. Errors end it with exit code 1;
warnings do not. An id never changes its meaning. Each rule has at least one broken inventory in
`tests/rules/`, whose whole output is compared; the examples below are taken from there.

`topology check INVENTORY` membaca semua berkas dan menampilkan semua temuan, satu baris per temuan:
`berkas:baris: ID masalah; tindakan`. Kesalahan menghasilkan kode keluar 1, peringatan tidak. Makna sebuah
ID tidak pernah berubah.
"""


def cases_of(rule: str) -> list[str]:
    """Return the names of a rule's cases, the one whose name is shortest first."""
    return sorted((p.name for p in HERE.glob(f"{rule}-*")), key=lambda name: (len(name), name))


def example(rule: str, lang: str) -> str:
    """Return the first line of a case that shows the rule."""
    for case in cases_of(rule):
        for line in (HERE / case / f"expected.{lang}.txt").read_text(encoding="utf-8").splitlines():
            if f": {rule} " in line:
                return line
    raise LookupError(rule)


def _template(text: str) -> str:
    """Return a rule's text with its places shown as <name>."""
    shown = re.sub(r"(?<!\{)\{(\w+)\}", r"<\1>", text.replace("{{{", "{{ {").replace("}}}", "} }}"))
    return shown.replace("{{ <", "{<").replace("> }}", ">}").replace("{{", "{").replace("}}", "}")


def _entry(rule: Rule) -> str:
    severity = {"error": "error / kesalahan", "warning": "warning / peringatan"}[rule.severity]
    cases = ", ".join(f"`tests/rules/{name}`" for name in cases_of(rule.id))
    return "\n".join(
        (
            f"### {rule.id}",
            "",
            f"{severity}; {cases}",
            "",
            "```text",
            _template(rule.en),
            _template(rule.id_),
            "```",
            "",
            "For example / misalnya:",
            "",
            "```text",
            example(rule.id, "en"),
            example(rule.id, "id"),
            "```",
            "",
        )
    )


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    group = ""
    for rule in CATALOGUE.values():
        if rule.id[:2] != group:
            group = rule.id[:2]
            en, id_ = GROUPS[group]
            parts.append(f"## {group}: {en}" + (f" / {id_}" if id_ != en else "") + "\n")
        parts.append(_entry(rule))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
