"""Questions and answers of DNS as they are on the wire (RFC 1035), for hosts that have no program to ask with.

A host sends the questions with bash's /dev/udp and gives back the answers as hexadecimal digits.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

TYPES = {"A": 1, "NS": 2, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "RRSIG": 46}
STATUS = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One message: number of the question, status, (type, data) of the answer's records."""

    number: int
    status: str
    records: tuple[tuple[int, str], ...]


def question(number: int, name: str, kind: str, *, signed: bool = False) -> bytes:
    """Return a question as a datagram; KeyError for a type that is not known, ValueError for no name."""
    labels = [part.encode("ascii") for part in name.rstrip(".").split(".")]
    if any(not 0 < len(label) < 64 for label in labels):
        raise ValueError(f"{name} is no name to ask for")
    head = struct.pack(">6H", number, 0x0100, 1, 0, 0, int(signed))
    asked = b"".join(bytes([len(x)]) + x for x in labels) + b"\0" + struct.pack(">2H", TYPES[kind], 1)
    # RFC 6891: answers of up to 1232 bytes, with signatures
    return head + asked + (b"\0" + struct.pack(">2HIH", 41, 1232, 0x8000, 0) if signed else b"")


def answers(data: bytes) -> list[Answer]:
    """Return the messages that follow each other in `data`; ValueError when there is something else."""
    found, start = [], 0
    while start < len(data):
        try:
            answer, start = _message(data, start)
        except (struct.error, IndexError) as error:
            raise ValueError("cut off") from error
        found.append(answer)
    return found


def _message(data: bytes, start: int) -> tuple[Answer, int]:
    number, flags, questions, *counts = struct.unpack_from(">6H", data, start)
    if not flags & 0x8000:
        raise ValueError("no answer")
    at = start + 12
    for _ in range(questions):
        _, at = _name(data, start, at)
        at += 4
    records: list[tuple[int, str]] = []
    for section, count in enumerate(counts):
        for _ in range(count):
            _, at = _name(data, start, at)
            kind, _, _, length = struct.unpack_from(">2HIH", data, at)
            at += 10
            if at + length > len(data):
                raise ValueError("cut off")
            if section == 0:
                records.append((kind, _data(kind, data, start, at, length)))
            at += length
    return Answer(number, STATUS.get(flags & 15, str(flags & 15)), tuple(records)), at


def _name(data: bytes, start: int, at: int) -> tuple[str, int]:
    """Return a name and where it ends; pointers count from the message's start and lead backwards only."""
    labels: list[str] = []
    end, limit = -1, at
    while length := data[at]:
        if length & 0xC0 == 0xC0:
            target = start + ((length & 0x3F) << 8 | data[at + 1])
            if end < 0:
                end = at + 2
            if target >= limit:
                raise ValueError("a name that never ends")
            at = limit = target
            continue
        if length & 0xC0 or at + 1 + length > len(data):
            raise ValueError("no name")
        labels.append(data[at + 1 : at + 1 + length].decode("ascii", errors="replace").lower())
        at += 1 + length
    return ".".join(labels) or ".", at + 1 if end < 0 else end


def _data(kind: int, data: bytes, start: int, at: int, length: int) -> str:
    if kind in (1, 28):
        return str(ipaddress.ip_address(data[at : at + length]))
    if kind in (2, 12):
        return _name(data, start, at)[0]
    if kind == 6:
        _, at = _name(data, start, at)
        _, at = _name(data, start, at)
        return str(struct.unpack_from(">I", data, at)[0])
    if kind == 46:
        # the last second at which the signature is good (RFC 4034, 3.1)
        return str(struct.unpack_from(">I", data, at + 8)[0])
    return data[at : at + length].hex()
