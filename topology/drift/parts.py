"""Parts of a reading that both platforms have."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from topology.expect.model import Expectation

PEERS = r"""date +%s
all=$(wg show all dump) || exit 1
[ -z "$all" ] || printf '%s\n' "$all" | awk -F '\t' -v OFS='\t' '{ if (NF == 5) $2 = "-"; else $3 = "-"; print }'"""
"""The reading of tunnels. wg(8) prints private and preshared keys among the rest: they stay on the host."""


def files(paths: Sequence[str], owned: Iterable[str], stat: str, digest: str) -> str:
    """Return the reading of files: `stat` prints mode, owner, group, time of change (s) and path."""
    lines = ["files() {", "cat <<'TOPOLOGY_PATHS'", *paths, "TOPOLOGY_PATHS", "}"]
    lines += [
        # names have no blanks (topology.schema), so xargs may part them there
        f"files | xargs {stat} 2>/dev/null",
        "echo; echo digests",
        f"files | xargs {digest} 2>/dev/null",
        "echo owned",
    ]
    lines += [f"ls -d {pattern} 2>/dev/null" for pattern in owned]
    return "\n".join((*lines, ":"))


def dhcp(paths: Iterable[str]) -> str:
    """Return the reading of Kea's files; a file that is gone is said by its own expectation."""
    found = [p for p in paths if p.endswith(("/kea-dhcp4.conf", "/kea-dhcp6.conf"))]
    return "\n".join(f"echo; echo server {p}; cat {p} 2>/dev/null" for p in found) + "\n:"


def certificates(expectations: Iterable[Expectation]) -> str:
    """Return the reading of certificates: what they say, and whether the key beside them is theirs."""
    lines = ["date +%s", "command -v openssl >/dev/null || exit 1"]
    for one in expectations:
        path = shlex.quote(one.thing)
        lines.append(f"echo; echo certificate {one.thing}")
        lines.append(f"[ -f {path} ] && openssl x509 -in {path} -noout -subject -issuer -enddate -nameopt RFC2253")
        for key in one.of[:1]:
            made = f"openssl pkey -in {shlex.quote(key)} -pubout 2>/dev/null"
            lines.append(
                f'[ "$(openssl x509 -in {path} -noout -pubkey 2>/dev/null)" = "$({made})" ] && echo key matches'
            )
        for authority in one.of[1:]:
            # that it has ended is said of its days
            verify = f"openssl verify -no_check_time -CAfile {shlex.quote(authority)} {path}"
            lines.append(f"{verify} >/dev/null 2>&1 && echo chain holds")
        lines.append(f"openssl x509 -in {path} -noout -fingerprint -sha256 2>/dev/null")
    return "\n".join((*lines, ":"))
