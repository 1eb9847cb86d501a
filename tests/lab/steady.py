"""Runs inside a probe's namespace: an echo request every 20 ms until its input ends; prints how many, and the answers.

Standard library only.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time

INTERVAL = 0.02
LAST = 1.0
"""Seconds that the last answers are waited for."""


def request(number: int) -> bytes:
    """Return an ICMP echo request."""
    body = struct.pack("!BBHHH", 8, 0, 0, 7, number & 0xFFFF)
    total = sum(struct.unpack("!4H", body))
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBHHH", 8, 0, ~(total + (total >> 16)) & 0xFFFF, 7, number & 0xFFFF)


def main(address: str) -> None:
    """Ask steadily."""
    one = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sent, answered, due, end = 0, set(), time.monotonic(), 0.0
    while not end or time.monotonic() < end:
        if not end and time.monotonic() >= due:
            sent, due = sent + 1, due + INTERVAL
            with contextlib.suppress(OSError):  # not answered, and counted so
                one.sendto(request(sent), (address, 0))
        wait = INTERVAL if end else max(0.0, due - time.monotonic())
        ready, _, _ = select.select([one] if end else [one, sys.stdin], [], [], wait)
        if one in ready:
            packet, (source, _) = one.recvfrom(256)
            body = packet[20:]
            if source == address and body[0] == 0:
                answered.add(struct.unpack("!H", body[6:8])[0])
        if sys.stdin in ready and not end:
            end = time.monotonic() + LAST
    print(sent, len(answered))


if __name__ == "__main__":
    main(sys.argv[1])
