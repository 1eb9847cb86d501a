"""How databases, repositories and NAS are asked."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from topology.drift import read_zones
from topology.drift.read_databases import QUERIES
from topology.expect.model import Expected

PASSWORDS = "/srv/nas/live/accounts/passdb.tdb"
"""Samba's accounts, where a NAS is the active one (topology.nas.accounts)."""
_PATRONI = """
hostname
python3 -I - ADDRESS AUTHORITY PATH <<'TOPOLOGY_ASK'
import ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
try:
    said = urllib.request.urlopen(f"https://{sys.argv[1]}/{sys.argv[3]}", context=context, timeout=5).read()
except urllib.error.HTTPError as error:
    said = error.read()  # a member that does not run says so with 503
except urllib.error.URLError as error:
    if not isinstance(error.reason, ConnectionRefusedError):
        raise
    said = b""  # nobody is there
print(said.decode())
TOPOLOGY_ASK"""
_ETCD = """
python3 -I - ADDRESS FOLDER <<'TOPOLOGY_ASK'
import ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile=f"{sys.argv[2]}/ca.crt")
context.load_cert_chain(f"{sys.argv[2]}/host.crt", f"{sys.argv[2]}/host.key")
for path in ("health", "v2/members"):
    try:
        said = urllib.request.urlopen(f"https://{sys.argv[1]}/{path}", context=context, timeout=5).read()
    except urllib.error.HTTPError as error:
        said = error.read()  # a member without the others says so with 503
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ConnectionRefusedError):
            raise
        break
    print(said.decode().strip())
TOPOLOGY_ASK"""
_QUOTAS = r"""
findmnt -n ROOT >/dev/null || exit 0
btrfs subvolume list ROOT && echo limits || exit 1
# it fails where quotas are off: then nobody has one
btrfs qgroup show -r --raw ROOT 2>/dev/null; true"""
# it would make the file where there is none
_ACCOUNTS = "if [ -f PASSWORDS ]; then pdbedit -L; fi"


def sections(expected: Expected) -> Iterator[tuple[str, str]]:
    """Yield name and text of the sections that a host's services need."""
    things = {e.thing: e for e in expected.of_kind("replication")}
    if "database" in things:
        address, authority = things["database"].of
        yield "cluster", _patroni(address, authority, "patroni")
    for one in expected.of_kind("etcd"):
        address, folder = one.of
        yield "etcd", _ETCD.replace("ADDRESS", shlex.quote(address)).replace("FOLDER", shlex.quote(folder))
    shared = expected.of_kind("setting")
    if shared:
        address, authority = shared[0].of
        yield "settings", _patroni(address, authority, "config")
    if expected.looks_for("login", "role"):
        psql = "runuser -u postgres -- psql -XqAt -F \"$(printf '\\t')\" -v ON_ERROR_STOP=1 postgres"
        yield "databases", f"cd /\n{psql} <<'TOPOLOGY_ASK'{QUERIES}TOPOLOGY_ASK"
    if "files" in things:
        # its exit code judges as well; what it says is judged here
        yield "nas", "/usr/local/sbin/nas status --json; true"
    stanzas = [f"{e.of[0]}/backup/{e.thing}/backup.info" for e in expected.of_kind("backup")]
    if stanzas:
        # until the first backup this file is as old as the repository
        made = f"stat -c 'made %Y %n' {' '.join(map(shlex.quote, stanzas))} 2>/dev/null"
        yield "backups", f"date +%s; {made}; echo; runuser -u postgres -- pgbackrest --output=json info"
    if expected.looks_for("share", "right"):
        paths = [e.thing for e in expected.of_kind("right")]
        stat = ["xargs stat -c '%a %u %g %n' 2>/dev/null <<'TOPOLOGY_PATHS'", *paths, "TOPOLOGY_PATHS"]
        # whose folders there are besides
        stat += [
            f"stat -c '%a %u %g %n' {p}/* 2>/dev/null"
            for p in sorted({p for e in expected.of_kind("right") for p in e.of})
        ]
        yield "shares", "\n".join(("cat /etc/samba/smb.conf || exit 1", "echo; echo folders", *stat, ":"))
    if expected.of_kind("quota"):
        yield "quotas", _QUOTAS.replace("ROOT", shlex.quote(expected.of_kind("quota")[0].of[0]))
    if expected.looks_for("account"):
        yield "accounts", _ACCOUNTS.replace("PASSWORDS", PASSWORDS)


def records(expected: Expected) -> str:
    """Return the reading of all records of a name server's zones, by its control program.

    It ends with a code when there is no such zone, and when the server was too slow for the rest of one.
    """
    lines = []
    for one in expected.of_kind("records"):
        lines += [
            f"echo; echo zone {one.thing}",
            f"knotc -c {one.of[0]} zone-read {one.thing.split(' ')[1]} 2>/dev/null || echo '{read_zones.CUT}'",
        ]
    return "\n".join((*lines, ":"))


def _patroni(address: str, authority: str, path: str) -> str:
    text = _PATRONI.replace("ADDRESS", shlex.quote(address)).replace("AUTHORITY", shlex.quote(authority))
    text = text.replace("PATH", path)
    return text if path == "patroni" else text.replace("hostname\n", "")
