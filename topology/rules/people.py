"""People: agencies that exist, names and numbers of one person each."""

from __future__ import annotations

from collections.abc import Iterator

from topology.district import Parts
from topology.finding import NONE_FREE, Both, Finding, Where
from topology.rules.references import missing

AGENCIES = ("skpd", "hub", "kecamatan")
"""Kinds of site that people belong to."""
LAST = 9999
_ACCOUNTS = frozenset((
    "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data", "backup",
    "list", "irc", "nobody", "messagebus", "sshd", "sudo", "staff", "users", "adm", "disk", "shadow", "tss", "polkitd",
    "systemd-network", "systemd-resolve", "systemd-timesync", "nas-peer", "nas-auxiliary", "lab", "guest",
    "global", "homes", "printers", "public", "everything",
))  # fmt: skip
"""Names that a host has for itself: users and groups of Debian and of the roles, shares."""


def users(parts: Parts) -> Iterator[Finding]:
    """People belong to agencies that exist; names and numbers are one person's and no account of the host."""
    if parts.users is None:
        return
    file = "lab/users.yml" if "lab/users.yml" in parts.raw else "users.yml"
    agencies = {slug for slug, (kind, _, _) in parts.sites.items() if kind in AGENCIES}
    admins = {a.name for f in (parts.facts, parts.lab) if f is not None for a in f.admins}
    names: set[str] = set()
    numbers: dict[int, str] = {}
    taken = {p.number for p in parts.users.users}
    for index, person in enumerate(parts.users.users):
        where = Where(file, ("users", index))
        for agency, path in ((person.agency, ("agency",)), *((a, ("also", i)) for i, a in enumerate(person.also))):
            if agency not in agencies and not parts.may_exist(agency):
                hint = missing("", agency, agencies, where).values["hint"]
                values = {"user": person.name, "agency": agency, "hint": hint}
                yield Finding("US001", where.at(*path), values)
        if person.name in names:
            yield Finding("US002", where.at("name"), {"name": person.name})
        names.add(person.name)
        if person.number in numbers:
            free = next((n for n in range(1, LAST + 1) if n not in taken), NONE_FREE)
            taken |= {free} if isinstance(free, int) else set()
            values = {"number": person.number, "first": numbers[person.number], "second": person.name, "free": free}
            yield Finding("US003", where.at("number"), values)
        numbers.setdefault(person.number, person.name)
        if person.name in _ACCOUNTS:
            yield _taken(person.name, where, Both("an account of the host itself", "akun milik host itu sendiri"))
        elif person.name in admins:
            yield _taken(person.name, where, Both("an administrator's login", "nama masuk seorang administrator"))
        elif person.name in agencies:
            yield _taken(person.name, where, Both("an agency's group", "grup sebuah instansi"))


def _taken(name: str, where: Where, what: Both) -> Finding:
    return Finding("US004", where.at("name"), {"name": name, "what": what})
