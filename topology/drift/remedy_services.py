"""What brings services back to the plan, from their findings; see topology.drift.remedy. Pure."""

from __future__ import annotations

from shlex import quote

from topology.drift.finding import MISSING, UNEXPECTED, Finding
from topology.drift.observed import BY_HAND
from topology.drift.steps import Run, Step, Steps
from topology.expect.model import Expected
from topology.render.knot import CONFIGURATION

_WORDS = {
    "bypass RLS": "bypassrls", "create databases": "createdb", "create roles": "createrole", "log in": "login",
    "replicate": "replication", "superuser": "superuser",
}  # fmt: skip
"""Right of a role as it is told -> as SQL has it; `no` before it takes it away."""
_NAS = Run("nas apply", after=True)
"""Folders, quotas and accounts; whoever is not in users.yml is archived and shut out."""


_PSQL = "runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1 postgres"


def _sql(text: str) -> str:
    """Return a command that runs SQL where the databases may be written; nothing anywhere else."""
    return f"cd / && if [ \"$({_PSQL} -At -c 'select pg_is_in_recovery()')\" = f ]; then {_PSQL} -c {quote(text)}; fi"


def replication(expected: Expected, finding: Finding) -> Steps:
    """Databases go on replaying and out of maintenance; files are sent now."""
    if finding.thing == "database" and finding.field == "replay":
        return [Run("cd / && runuser -u postgres -- psql -Xqc 'select pg_wal_replay_resume()' postgres >/dev/null")]
    if finding.thing == "database" and finding.field == "maintenance":
        return [Run("patronictl -c /etc/patroni/config.yml resume 2>&1 | grep -Eq 'Success|not paused'")]
    if finding.thing.startswith("files to "):
        return [Run("systemctl start nas-replicate.service", after=True)]
    # whoever does not run is started by its role, and finds its place
    return None if finding.thing == "files" or finding.field in ("timeline", "system") else []


def login(expected: Expected, finding: Finding) -> Steps:
    """The lines are as planned; Patroni itself writes them only when it starts a server. What was found is kept."""
    lines, psql = "".join(f"{e.thing}\n" for e in expected.of_kind("login")), "runuser -u postgres -- psql -X"
    return [
        Run(f"""cd / && file=$({psql} -Atc 'show hba_file' postgres) && cp -p "$file" "$file.found" &&
printf '%s' {quote(lines)} >"$file" && {psql} -qc 'select pg_reload_conf()' postgres >/dev/null""")
    ]


def role(expected: Expected, finding: Finding) -> Steps:
    """Rights are as planned; a role that nobody planned goes, or may do nothing when it has things of its own."""
    name = finding.thing.replace('"', '""')
    if finding.state == MISSING:
        return []
    if finding.state == UNEXPECTED:
        nothing = f'alter role "{name}" nologin nosuperuser nocreatedb nocreaterole noreplication nobypassrls'
        gone = f'drop role "{name}"'
        # what it owns is not ours to take away
        return [Run(f"{{ {_sql(gone)}; }} || {{ {_sql(nothing)}; }}")]
    if finding.field == "may":
        wanted = set(finding.expected.split(", "))
        words = " ".join(word if told in wanted else f"no{word}" for told, word in _WORDS.items())
        return [Run(_sql(f'alter role "{name}" {words}'))]
    wanted, found = (set(text.split(", ")) - {"none", "nothing"} for text in (finding.expected, finding.found))
    steps: list[Step] = [Run(_sql(f'revoke "{group}" from "{name}"')) for group in sorted(found - wanted)]
    return steps + [Run(_sql(f'grant "{group}" to "{name}"')) for group in sorted(wanted - found)]


def setting(expected: Expected, finding: Finding) -> Steps:
    """Shared settings are the role's; what ALTER SYSTEM has set goes."""
    if not finding.thing.endswith(BY_HAND):
        return []
    reset = f'alter system reset "{finding.thing.removesuffix(BY_HAND)}"'
    return [Run(f"cd / && {_PSQL} -c {quote(reset)} -c 'select pg_reload_conf()' >/dev/null")]


def backup(expected: Expected, finding: Finding) -> Steps:
    """Back up now; the role makes a repository that is not there."""
    return [Run("systemctl start postgresql-backup-incr.service", after=True)]


def zone(expected: Expected, finding: Finding) -> Steps:
    """A secondary copies the zone anew; the primary reads its file again and signs."""
    view, name = finding.thing.split(" ")[:2]
    knotc = f"knotc -c /{CONFIGURATION[view]}"
    own = any(e.thing.endswith(f"/{view}/{name}zone") for e in expected.of_kind("file"))
    thaw = f"{knotc} zone-thaw {quote(name)}; "
    command = f"{knotc} zone-reload {quote(name)}" if own else f"{knotc} -f zone-retransfer {quote(name)}"
    return [Run(f"{thaw}{command}", after=True)]


def folder(expected: Expected, finding: Finding) -> Steps:
    """Owner, group and mode of a folder; one that is nobody's is archived by `nas apply`."""
    known = next((e for e in expected.of_kind("right") if e.thing == finding.thing), None)
    if known is None:
        return [_NAS]
    path, want = quote(finding.thing), known.want
    return [Run(f"chown -h {want['owner']}:{want['group']} {path} && chmod {want['mode']} {path}")]


def people(expected: Expected, finding: Finding) -> Steps:
    """Return what `nas apply` does."""
    return [_NAS]


def certificate(expected: Expected, finding: Finding) -> Steps:
    """The role places the authority's certificate, and signs a host's own where that is not so any more."""
    known = next((e for e in expected.of_kind("certificate") if e.thing == finding.thing), None)
    if known is None or len(known.of) < 2 or finding.field not in ("chain", "issuer", "subject", "key"):
        return []
    # the role keeps a certificate that fits its request, whoever has signed it: it is put aside, and a new one is made
    return [Run(f"[ ! -f {quote(finding.thing)} ] || mv {quote(finding.thing)} {quote(finding.thing + '.found')}")]
