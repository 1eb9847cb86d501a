"""What PostgreSQL says of who may log in and what roles may, and etcd of itself. Pure; a host may answer anything."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from topology.drift.observed import BY_HAND, Things

Reader = Callable[[str], dict[str, Things]]
QUERIES = r"""
select 'login', error, type, array_to_string(database, ','), array_to_string(user_name, ','), address, netmask,
  auth_method, array_to_string(options, ' ') from pg_hba_file_rules order by line_number;
select 'role', rolname, concat_ws(', ', case when rolbypassrls then 'bypass RLS' end,
  case when rolcreatedb then 'create databases' end, case when rolcreaterole then 'create roles' end,
  case when rolcanlogin then 'log in' end, case when rolreplication then 'replicate' end,
  case when rolsuper then 'superuser' end),
  (select string_agg(g.rolname, ', ' order by g.rolname) from pg_auth_members m join pg_roles g on g.oid = m.roleid
    where m.member = r.oid) from pg_roles r where rolname !~ '^pg_' order by 2;
select 'setting', name, setting from pg_file_settings where sourcefile like '%/postgresql.auto.conf';
"""
"""For psql with tabs between fields. Standbys answer too."""


def _databases(text: str) -> dict[str, Things]:
    logins: Things = {}
    roles: Things = {}
    settings: Things = {}
    for row in text.splitlines():
        word, *fields = row.split("\t")
        if word == "login":
            error, kind, databases, users, address, mask, method, options = fields
            if error:
                logins[f"line that is wrong: {error}"] = {}
                continue
            place = [_place(address, mask)] if address else []
            logins[" ".join((kind, databases, users, *place, method, *options.split()))] = {}
        elif word == "role":
            name, may, groups = fields
            roles[name] = {"may": may or "none", "member of": groups or "none"}
        elif word == "setting":
            name, value = fields
            settings[f"{name}{BY_HAND}"] = {"value": value}
        else:
            raise ValueError(row)
    if not roles:
        raise ValueError("no roles at all")
    return {"login": logins, "role": roles, "setting": settings}


def _place(address: str, mask: str) -> str:
    """Return where somebody comes from, as it is written in pg_hba: a prefix, or a word (`all`, `samehost`)."""
    try:
        bits = ipaddress.ip_address(mask)
        length = bin(int(bits)).count("1")
        return f"{ipaddress.ip_address(address)}/{length}"
    except ValueError:
        return address


def _settings(text: str) -> dict[str, Things]:
    things: Things = {}
    if not text.strip():
        return {"setting": {}}  # Patroni does not run
    for name, value in flat(json.loads(text)):
        things[name] = {"value": value, "owned": False}
    return {"setting": things}


def flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings of nested mappings by their names with dots, as text."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", str(value).lower() if isinstance(value, bool) else str(value)


def _etcd(text: str) -> dict[str, Things]:
    """Read etcd's own health and the members it knows; a member that does not run answers nothing."""
    if not text.strip():
        return {"etcd": {}}
    health, members = (json.loads(line) for line in text.splitlines()[:2])
    names = sorted(str(m["name"]) for m in members["members"])
    return {"etcd": {"member": {"health": str(health["health"]), "members": ", ".join(names)}}}


READERS: dict[str, tuple[tuple[str, ...], Reader]] = {
    "databases": (("login", "role", "setting"), _databases), "settings": (("setting",), _settings),
    "etcd": (("etcd",), _etcd),
}  # fmt: skip
"""Section of the script -> kinds of things read in it, and the reader."""
