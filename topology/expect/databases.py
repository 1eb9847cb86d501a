"""What a member of the database cluster lets in, and what its roles may: from its rendered files."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from topology.drift.read_databases import flat
from topology.expect.model import Expectation
from topology.render import Files

PATRONI, SHARED, DATABASES = "etc/patroni/config.yml", "etc/patroni/dynamic.yml", "etc/topology/postgresql/databases"
APPLICATIONS = "applications"
"""The group of all applications' roles, as pg_hba names it and postgresql-member makes it."""
ALL = "bypass RLS, create databases, create roles, log in, replicate, superuser"


def databases(files: Files) -> Iterator[Expectation]:
    """Yield lines of pg_hba, roles with their rights, and the settings that members share in etcd."""
    if PATRONI not in files:
        return
    settings = yaml.safe_load(files[PATRONI])
    own = settings["postgresql"]
    for line in own["pg_hba"]:
        yield Expectation("login", " ".join(line.split()))
    names = own["authentication"]
    rights = {names["superuser"]["username"]: ALL, names["replication"]["username"]: "log in, replicate",
              names["rewind"]["username"]: "log in", APPLICATIONS: "none"}  # fmt: skip
    rights |= {name: "log in" for name in _lines(files.get(DATABASES, ""))}
    for name, may in rights.items():
        # Patroni makes the role for rewinding, and lets it read files by four functions: no role of others
        member = APPLICATIONS if name in _lines(files.get(DATABASES, "")) else "none"
        yield Expectation("role", name, {"may": may, "member of": member})
    rest = settings["restapi"]
    for name, value in flat(yaml.safe_load(files[SHARED]) if SHARED in files else {}):
        yield Expectation("setting", name, {"value": value}, of=(rest["connect_address"], rest["cafile"]))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
