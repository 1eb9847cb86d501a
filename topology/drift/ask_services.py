"""How databases, repositories and NAS are asked."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from topology.expect.model import Expected

_PATRONI = """
hostname
python3 -I - ADDRESS AUTHORITY <<'TOPOLOGY_ASK'
import ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
try:
    said = urllib.request.urlopen(f"https://{sys.argv[1]}/patroni", context=context, timeout=5).read()
except urllib.error.HTTPError as error:
    said = error.read()  # a member that does not run says so with 503
print(said.decode())
TOPOLOGY_ASK"""


def sections(expected: Expected) -> Iterator[tuple[str, str]]:
    """Yield name and text of the sections that a host's services need."""
    things = {e.thing: e for e in expected.of_kind("replication")}
    if "database" in things:
        address, authority = things["database"].of
        yield "cluster", _PATRONI.replace("ADDRESS", shlex.quote(address)).replace("AUTHORITY", shlex.quote(authority))
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
        yield "shares", "\n".join(("cat /etc/samba/smb.conf || exit 1", "echo; echo folders", *stat, ":"))
