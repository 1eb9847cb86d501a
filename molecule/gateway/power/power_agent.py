"""Sends a datagram every 20 ms, or writes down when each arrives. Run by test_power.py in a host's network.

power_agent.py send ADDRESS PORT
power_agent.py receive PORT FILE
"""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress


def main(what: str, first: str, second: str) -> None:
    """Go on until killed."""
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if what == "send":
        while True:
            with suppress(OSError):  # nobody there yet
                end.sendto(b"probe", (first, int(second)))
            time.sleep(0.02)
    end.bind(("0.0.0.0", int(first)))
    with open(second, "a", encoding="ascii") as file:
        while True:
            end.recv(100)
            file.write(f"{time.monotonic()}\n")
            file.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
