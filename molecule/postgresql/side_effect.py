"""The leader loses its power: the synchronous standby takes over with every row, and the old leader follows it."""

from __future__ import annotations

import json

from losses import PLAN, off, on, sh, until

from topology.render import postgresql as pg

FOUND = pg.cluster(PLAN)
assert FOUND is not None
FIRST, SECOND, THIRD = (m.name for m in FOUND.members)


def sql(host: str, query: str) -> str:
    """Ask a member over its local socket."""
    return sh(host, f'cd / && runuser -u postgres -- psql -XqAt -d postgres -c "{query}"')


def roles() -> dict[str, str]:
    """Return member -> role, as the second member sees it."""
    said = json.loads(sh(SECOND, "patronictl -c /etc/patroni/config.yml list -f json"))
    return {m["Member"]: m["Role"] for m in said if m["State"] in ("running", "streaming")}


until("the standby is synchronous", 120, lambda: roles().get(SECOND) == "Sync Standby")
assert roles()[FIRST] == "Leader", roles()
sql(FIRST, "create table if not exists losses(line text primary key)")
sql(FIRST, "insert into losses values ('before') on conflict do nothing")
off(FIRST)


def written() -> bool:
    """Write a row at the second member; say whether it has that one and the one from before."""
    sql(SECOND, "insert into losses values ('meanwhile') on conflict do nothing")
    return sql(SECOND, "select string_agg(line, ' ' order by line) from losses") == "before meanwhile"


until(f"{SECOND} has every row and accepts writes", 90, written)
on(FIRST)
until(f"{FIRST} follows", 180, lambda: roles().get(FIRST) in ("Sync Standby", "Replica"))
