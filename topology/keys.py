"""keys.yml: the public keys that boxes made, one line each, kept in order and with its comments.

Private keys never leave the box that made them (GATEWAY.md); a new box has a new key and the
file's history in git says when.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

HEAD = """\
# yaml-language-server: $schema=../../build/schemas/keys.json
# Public keys, written by playbooks/site.yml and the playbooks that enrol or replace a gateway. Their private
# keys never leave the boxes.
"""
_SECTION = re.compile(r"^([a-z_]+):\s*(\{\})?\s*(#.*)?$")
_LINE = re.compile(r"^  ([a-z0-9][a-z0-9.-]*): (\"[^\"]*\"|\S+)(\s+#.*)?$")


def set_keys(text: str, section: str, keys: Mapping[str, str | None]) -> str:
    """Return keys.yml with these keys in a section; None removes a key.

    Lines stay in order of names, other lines and comments stay as they are. The text may be
    empty. ValueError when the section is not written as plain `  name: key` lines.
    """
    lines = text.splitlines() if text.strip() else HEAD.splitlines()
    start = next((i for i, line in enumerate(lines) if (m := _SECTION.match(line)) and m[1] == section), None)
    if start is None:
        lines.append(f"{section}:")
        start = len(lines) - 1
    else:
        lines[start] = lines[start].replace(" {}", "")
    end = start + 1
    while end < len(lines) and (lines[end].startswith("  ") or not lines[end].strip()):
        if lines[end].strip() and not lines[end].lstrip().startswith("#") and not _LINE.match(lines[end]):
            raise ValueError(f"line {end + 1} of keys.yml is not `  name: key`")
        end += 1
    body = lines[start + 1 : end]
    for name, key in sorted(keys.items()):
        _set(body, name, key)
    if not any(_LINE.match(line) for line in body):
        lines[start] = f"{section}: {{}}"
    return "\n".join([*lines[: start + 1], *body, *lines[end:]]) + "\n"


def _set(body: list[str], name: str, key: str | None) -> None:
    place = len(body)
    for index, line in enumerate(body):
        found = _LINE.match(line)
        if found is None:
            continue
        if found[1] == name:
            if key is None:
                del body[index]
            else:
                body[index] = f"  {name}: {key}{found[3] or ''}"
            return
        if found[1] > name:
            place = min(place, index)
    if key is not None:
        while place > 0 and place == len(body) and not body[place - 1].strip():
            place -= 1
        body.insert(place, f"  {name}: {key}")
