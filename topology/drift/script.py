"""The reading of a host: one shell script for one SSH session, made for what is expected of it.

It changes nothing. Each section begins and ends with a line that carries a random word, so output of a
program cannot pass for the end of a section, and a section that was cut off is seen.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator

from topology.drift import ask, ask_services, parts
from topology.drift.script_freebsd import freebsd
from topology.expect.model import Expected

BEGIN, END = "begin", "end"


def script(expected: Expected, word: str) -> str:
    """Return the script for a host; ValueError for a platform that has none."""
    return f"word={shlex.quote(word)}\n{placed(expected)}"


def placed(expected: Expected) -> str:
    """Return the script without its first line, which gives the word (topology.render.reader)."""
    if expected.platform not in _SECTIONS:
        raise ValueError(f"no way to read a host on {expected.platform}")
    return _wrapped(_SECTIONS[expected.platform](expected))


def wrap(sections: Iterable[tuple[str, str]], word: str) -> str:
    """Return a script of sections (name, text), each between lines that begin with the word."""
    return f"word={shlex.quote(word)}\n{_wrapped(sections)}"


def _wrapped(sections: Iterable[tuple[str, str]]) -> str:
    lines = [
        "export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        'say() { printf "\\n%s %s %s\\n" "$word" "$1" "$2"; }',
    ]
    for name, body in sections:
        # a subshell, so that nothing of one section reaches the next
        lines += [f"say {BEGIN} {name}", f"(\n{body}\n) </dev/null 2>&1", f'say {END} "{name} $?"']
    return "\n".join((*lines, "exit 0", ""))


def _debian(expected: Expected) -> Iterator[tuple[str, str]]:
    paths = [e.thing for e in expected.of_kind("file")]
    yield "files", parts.files(paths, expected.owned, "stat -c '%a %U %G %Y %n'", "sha256sum")
    names = " ".join(shlex.quote(e.thing) for e in expected.of_kind("package"))
    # a package that was never there makes dpkg-query fail; what it says of the others counts
    yield "packages", f"dpkg-query -W -f '${{db:Status-Abbrev}} ${{Package}}\\n' {names} 2>/dev/null; true"
    names = " ".join(shlex.quote(e.thing) for e in expected.of_kind("service"))
    yield "services", _SERVICES.replace("NAMES", names) if names else ":"
    yield "listeners", "ss -Hlntup"
    yield "addresses", "ip -json address"
    yield "routes", "ip -json -4 route show table main; echo; ip -json -6 route show table main"
    ways = [e.thing.removeprefix("to ") for e in expected.of_kind("route") if e.thing.startswith("to ")]
    if ways:
        # -fibmatch: the route that is taken, with its protocol
        yield "ways", "\n".join(f"echo to {a}; ip -json route get fibmatch {a} 2>/dev/null; echo" for a in ways) + "\n:"
    names = " ".join(shlex.quote(e.thing) for e in expected.of_kind("sysctl"))
    if names:
        yield "sysctls", f"sysctl -e {names}; true"
    yield "users", _USERS.replace("GROUP", "sudo").replace("LOCKED", "getent shadow")
    yield "mounts", "findmnt -rn -o TARGET,SOURCE,FSTYPE,OPTIONS"
    if "ruleset" in expected.texts:
        yield "ruleset", _RULESET.replace("TEXT", expected.texts["ruleset"].rstrip("\n"))
    devices = sorted({e.thing.split()[0] for e in expected.of_kind("shape")})
    if devices:
        yield "shape", "\n".join(f"echo dev {d}; tc class show dev {d}" for d in devices) + "\n:"
    if expected.looks_for("peer", "tunnel"):
        yield "peers", parts.PEERS
    if expected.looks_for("neighbour"):
        yield "neighbours", "vtysh -c 'show bgp neighbors json'"
    if expected.looks_for("dhcp"):
        yield "dhcp", parts.dhcp(paths)
    if expected.of_kind("answer"):
        yield "answers", ask.ask(ask.names(expected.of_kind("answer")))
    if expected.of_kind("zone"):
        yield "zones", ask.ask(ask.zones(expected.of_kind("zone")))
    if expected.of_kind("records"):
        yield "records", ask_services.records(expected)
    yield from ask_services.sections(expected)
    if expected.of_kind("certificate"):
        yield "certificates", parts.certificates(expected.of_kind("certificate"))
    yield "time", "chronyc -c tracking"


# When a unit was last started or reloaded is told in microseconds since the machine started: a clock that was
# set since then does no harm.
_SERVICES = """
date +%s.%N; read up rest </proc/uptime; echo "$up"
systemctl show --property=Id,LoadState,ActiveState,UnitFileState,StateChangeTimestampMonotonic NAMES"""

_USERS = r"""
getent passwd | while IFS=: read -r name password uid gid gecos home shell; do
  [ "$uid" -ge 900 ] || [ "$uid" -eq 0 ] || continue
  state=$(LOCKED "$name" | cut -d: -f2)
  case $state in '!'* | '*'*) state=locked ;; '') state=none ;; *) state=set ;; esac
  admin=no
  for member in $(getent group GROUP | cut -d: -f4 | tr , ' '); do [ "$member" = "$name" ] && admin=yes; done
  printf 'user %s %s %s %s %s\n' "$name" "$uid" "$shell" "$admin" "$state"
  for file in "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2"; do
    [ -f "$file" ] && sed -n "s/^[[:space:]]*\([^#[:space:]].*\)/key $name \1/p" "$file"
  done
done
:"""

_RULESET = r"""
# The rendered rules are loaded in a network of their own and printed; the same text must come from the kernel.
# What comes and goes by itself is left out: elements of sets that packets or blocks fill, counters.
# Tables are printed by their names: the kernel has them in the order in which they were made.
list='nft list tables | sort | while read -r table; do nft -s list $table || exit 1; done'
plain() {
  awk '/^\t(set|map) / { skip = $2 ~ /^blocked/ } /^\t\tflags .*(dynamic|timeout)/ { skip = 1 }
    skip && /^\t\telements = / { drop = 1 } !drop { print } drop && /}$/ { drop = 0 }' |
    sed 's/ counter packets [0-9]* bytes [0-9]*/ counter/'
}
wanted=$(mktemp) loaded=$(mktemp)
trap 'rm -f "$wanted" "$loaded"' EXIT
cat >"$wanted.nft" <<'TOPOLOGY_RULES'
TEXT
TOPOLOGY_RULES
unshare --net sh -c "nft -f $wanted.nft && $list" >"$wanted.out" || exit 1
plain <"$wanted.out" >"$wanted"; rm -f "$wanted.nft" "$wanted.out"
eval "$list" | plain >"$loaded" || exit 1
if cmp -s "$wanted" "$loaded"; then echo same; else echo differs; diff "$wanted" "$loaded" | grep '^[<>]' | head -20; fi
:"""

_SECTIONS: dict[str, Callable[[Expected], Iterator[tuple[str, str]]]] = {"debian": _debian, "freebsd": freebsd}
PLATFORMS = frozenset(_SECTIONS)
"""Platforms that can be read."""
