"""Numbers of roles that people give on the command line (-e NAME=VALUE) arrive as text."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest
import yaml

ROLES = Path(__file__).parents[2] / "roles"


def numbers(role: Path) -> list[str]:
    """Return the variables that a role says are whole numbers."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    return [n for spec in specs.values() for n, o in (spec.get("options") or {}).items() if o.get("type") == "int"]


@pytest.mark.parametrize(
    "role", sorted(p.parents[1] for p in ROLES.glob("*/meta/argument_specs.yml")), ids=lambda p: p.name
)
def test_arithmetic_takes_text(role: Path) -> None:
    for name in numbers(role):
        for file in role.glob("tasks/*.yml"):
            for expression in re.findall(rf"{{{{ ({name} [^}}]*) }}}}", file.read_text(encoding="utf-8")):
                rendered = jinja2.Template(f"{{{{ {expression} }}}}")
                assert rendered.render({name: "640"}) == rendered.render({name: 640}), f"{file}: {expression}"
