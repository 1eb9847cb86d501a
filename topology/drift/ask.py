"""DNS questions in a reading, sent by bash: neither dig nor drill is on every Debian host."""

from __future__ import annotations

from collections.abc import Iterable

from topology.drift import dns


def ask(things: Iterable[str]) -> str:
    """Return the script that asks; a thing is `NAME TYPE @SERVER`. All questions to a server go out together."""
    servers: dict[str, list[tuple[int, bytes]]] = {}
    lines = []
    for number, thing in enumerate(things):
        name, kind, server = thing.split(" ")
        servers.setdefault(server.removeprefix("@"), []).append((number, dns.question(number, name, kind)))
        lines.append(f"echo ask {number} {thing}")
    lines.append("bash -c '")
    for server, questions in servers.items():
        lines.append(f"echo from {server}; if exec 3<>/dev/udp/{server}/53; then")
        for _, data in questions:
            digits = "".join(f"\\x{byte:02x}" for byte in data)
            # bash itself writes line by line, and the length of a name's part may be the number of a line's end
            lines.append(f'printf "{digits}" | dd bs=512 iflag=fullblock 2>/dev/null >&3')
        # every datagram is one block; who does not answer within two seconds is said by what is missing
        lines.append(f"timeout 2 dd bs=65536 count={len(questions)} <&3 2>/dev/null | od -An -v -tx1")
        lines.append("exec 3>&-; fi 2>/dev/null")
    return "\n".join((*lines, "true'"))
