"""The reading of a FreeBSD host (14.3), in sh and what the base system has, beside the daemons' own programs.

Sections that FreeBSD answers otherwise than Debian begin with `bsd-` and have readers of their own
(topology.drift.read_freebsd).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from topology.drift import parts
from topology.expect.freebsd import programs
from topology.expect.model import Expected


def freebsd(expected: Expected) -> Iterator[tuple[str, str]]:
    """Yield name and text of every section."""
    paths = [e.thing for e in expected.of_kind("file")]
    yield "files", parts.files(paths, expected.owned, "stat -f '%Lp %Su %Sg %m %N'", "sha256 -r")
    names = " ".join(shlex.quote(e.thing) for e in expected.of_kind("package"))
    # a package that is not there makes pkg fail; what it says of the others counts, but pkg itself must be there
    yield "bsd-packages", f"pkg -N >/dev/null && {{ pkg query %n {names} 2>/dev/null; true; }}" if names else ":"
    daemons = [f"wanted {e.thing} {' '.join(programs(e.thing))}".rstrip() for e in expected.of_kind("service")]
    yield "bsd-services", _SERVICES.replace("DAEMONS", "\n".join(daemons))
    yield "bsd-listeners", "sockstat -46ln"
    yield "bsd-addresses", "ifconfig -f inet:cidr,inet6:cidr -a"
    ways = [e.thing.removeprefix("to ") for e in expected.of_kind("route") if e.thing.startswith("to ")]
    yield "bsd-routes", "\n".join((*(f"echo to {a}" for a in ways), "netstat -rnW"))
    names = " ".join(shlex.quote(e.thing) for e in expected.of_kind("sysctl"))
    if names:
        yield "bsd-sysctls", f"sysctl -i {names}"
    yield "users", _USERS
    yield "bsd-mounts", "mount -p"
    if "ruleset" in expected.texts:
        yield "bsd-ruleset", _RULESET.replace("TEXT", expected.texts["ruleset"].rstrip("\n"))
    tables = [e.thing for e in expected.of_kind("table")]
    if tables:
        yield "bsd-tables", "\n".join(f"echo table {t}; pfctl -q -t {t} -T show" for t in tables) + "\n:"
    if expected.looks_for("shape"):
        # without dummynet's module there is no pipe, and dnctl fails
        yield "bsd-shape", "dnctl pipe show && dnctl queue show"
    if expected.looks_for("peer", "tunnel"):
        yield "peers", parts.PEERS
    if expected.looks_for("neighbour"):
        yield "neighbours", "vtysh -c 'show bgp neighbors json'"
    if expected.looks_for("dhcp"):
        yield "dhcp", parts.dhcp(paths)
    if expected.of_kind("answer"):
        yield "bsd-answers", _answers(e.thing for e in expected.of_kind("answer"))
    if expected.of_kind("certificate"):
        yield "certificates", parts.certificates(expected.of_kind("certificate"))
    yield "time", "chronyc -c tracking"


def _answers(things: Iterator[str]) -> str:
    lines = []
    for thing in things:
        name, kind, server = thing.split(" ")
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(f"{name} is no name to ask for")
        lines.append(f"echo; echo ask {thing}; drill {name} @{server.removeprefix('@')} {kind}")
    return "\n".join((*lines, ":"))


_SERVICES = r"""
date +%s
cat <<'TOPOLOGY_WANTED'
DAEMONS
TOPOLOGY_WANTED
service -e | sed 's/^/enabled /'
ps -axo etimes=,comm= | sed 's/^ */process /'
pfctl -s info 2>/dev/null | sed -n 's/^Status: \([A-Za-z]*\).*/pf \1/p'
:"""

# master.passwd's form: name:password:uid:gid:class:change:expire:gecos:home:shell; no hash leaves the host.
_USERS = r"""
admins=" $(pw groupshow wheel | cut -d: -f4 | tr , ' ') "
pw usershow -a | while IFS=: read -r name password uid gid class change expire gecos home shell; do
  [ "$uid" -ge 1000 ] || [ "$uid" -eq 0 ] || continue
  case $password in '*LOCKED*'*) state='shut-out' ;; '*'*) state=locked ;; '') state=none ;; *) state=set ;; esac
  case $admins in *" $name "*) admin=yes ;; *) admin=no ;; esac
  printf 'user %s %s %s %s %s\n' "$name" "$uid" "$shell" "$admin" "$state"
  for file in "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2"; do
    [ -f "$file" ] && sed -n "s/^[[:space:]]*\([^#[:space:]].*\)/key $name \1/p" "$file"
  done
done
:"""

_RULESET = r"""
# The rendered rules are parsed and printed by pfctl without loading them; the same text must come from the kernel.
# pfctl prints macros, tables and options as well: only rules are compared here, tables apart (bsd-tables).
wanted=$(mktemp) loaded=$(mktemp)
trap 'rm -f "$wanted" "$loaded" "$wanted.rules" "$wanted.conf" "$loaded.rules"' EXIT
cat >"$wanted.conf" <<'TOPOLOGY_RULES'
TEXT
TOPOLOGY_RULES
pfctl -nvf "$wanted.conf" >"$wanted.rules" 2>/dev/null || exit 1
grep -E '^(no )?(nat|rdr|binat)( |-)' "$wanted.rules" >"$wanted"
grep -E '^((no )?scrub|pass|block|match|anchor|antispoof) ' "$wanted.rules" >>"$wanted"
[ -s "$wanted" ] || exit 1
{ pfctl -sn && pfctl -sr; } 2>/dev/null >"$loaded.rules" || exit 1
sed 's/ *$//' "$loaded.rules" >"$loaded"
sed 's/ *$//' "$wanted" >"$wanted.rules"
if cmp -s "$wanted.rules" "$loaded"; then
  echo same
else
  echo differs; diff "$wanted.rules" "$loaded" | grep '^[<>]' | head -20
fi
:"""
