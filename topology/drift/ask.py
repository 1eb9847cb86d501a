"""DNS questions in a reading, sent by bash: neither dig nor drill is on every Debian host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from topology.drift import dns
from topology.expect.model import Expectation


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of whom; `thing` is what the answer is called by."""

    thing: str
    name: str
    kind: str
    server: str
    port: int = 53
    signed: bool = False
    """Signatures are wanted as well (RFC 4035, 3.2.1)."""


def names(expectations: Iterable[Expectation]) -> Iterator[Question]:
    """Yield the questions of expectations of kind `answer`: `NAME TYPE @SERVER`, or `@SERVER#PORT`."""
    for one in expectations:
        name, kind, server = one.thing.split(" ")
        address, _, port = server.removeprefix("@").partition("#")
        yield Question(one.thing, name, kind, address, int(port or 53))


def zones(expectations: Iterable[Expectation]) -> Iterator[Question]:
    """Yield the questions of expectations of kind `zone`: `VIEW ZONE`, asked where `of` says."""
    for one in expectations:
        address, _, port = one.of[0].partition("#")
        yield Question(one.thing, one.thing.split(" ")[1], "SOA", address, int(port), signed=True)


def ask(questions: Iterable[Question]) -> str:
    """Return the script that asks. All questions to a server go out together."""
    servers: dict[tuple[str, int], list[bytes]] = {}
    lines = ["date +%s"]
    for number, one in enumerate(questions):
        data = dns.question(number, one.name, one.kind, signed=one.signed)
        servers.setdefault((one.server, one.port), []).append(data)
        lines.append(f"echo ask {number} {one.kind} {one.thing}")
    lines.append("bash -c '")
    for (server, port), messages in servers.items():
        lines.append(f"echo from {server} {port}; if exec 3<>/dev/udp/{server}/{port}; then")
        for data in messages:
            digits = "".join(f"\\x{byte:02x}" for byte in data)
            # bash itself writes line by line, and the length of a name's part may be the number of a line's end
            lines.append(f'printf "{digits}" | dd bs=512 iflag=fullblock 2>/dev/null >&3')
        # every datagram is one block; who does not answer within two seconds is said by what is missing
        lines.append(f"timeout 2 dd bs=65536 count={len(messages)} <&3 2>/dev/null | od -An -v -tx1")
        lines.append("exec 3>&-; fi 2>/dev/null")
    return "\n".join((*lines, "true'"))
