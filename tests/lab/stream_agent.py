"""Runs in a host's namespace: pings, keeps TCP sessions, sends as fast as it goes. Standard library only.

Every line is `label time ...`; time is CLOCK_MONOTONIC, the same for every process of the machine.

`ping`: {"targets": {label: address}, "interval"}; a line per answered packet with the time it was sent.
`echo`: {"listen": [[address, port]...]}; sends back what it gets.
`session`: {"sessions": {label: [address, port]}, "interval"}; a line per echoed line, at its arrival; the word
`broken` and the error when the connection ends. It is never opened again.
`serve`: {"listen": [[address, port]...]}; a peer's first byte says who sends: `u` the peer, `d` this side.
`flow`: {"server": [address, port], "direction": "u" or "d", "label", "seconds"}; whoever receives prints a line
with the bytes so far every tenth of a second (`serve` says the peer's address for a label).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import threading
import time
from typing import Any

CHUNK = bytes(64 * 1024)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping(options: dict[str, Any]) -> None:
    labels = list(options["targets"].items())
    identity = os.getpid() & 0xFFFF
    raw = {
        4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6),
    }
    following = time.monotonic()
    while True:
        for number, (_, address) in enumerate(labels):
            family = 6 if ":" in address else 4
            body = struct.pack("!Hd", number, time.monotonic())
            head = struct.pack("!BBHHH", 128 if family == 6 else 8, 0, 0, identity, 0)
            if family == 4:  # of ICMPv6 the kernel makes the checksum
                head = head[:2] + struct.pack("!H", checksum(head + body)) + head[4:]
            with contextlib.suppress(OSError):  # no route right now: a lost packet like any other
                raw[family].sendto(head + body, (address, 0))
        following = max(following + options["interval"], time.monotonic())
        while (left := following - time.monotonic()) > 0:
            for ready in select.select(list(raw.values()), [], [], left)[0]:
                data = ready.recv(2048)
                data = data[(data[0] & 15) * 4 :] if ready is raw[4] else data
                if len(data) == 18 and data[0] in (0, 129) and struct.unpack("!H", data[4:6])[0] == identity:
                    number, sent = struct.unpack("!Hd", data[8:])
                    say(labels[number][0], f"{sent:.3f}")


def listening(address: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind((address, port))
    found.listen(16)
    return found


def accept_all(listen: list[tuple[str, int]], each: Any) -> None:
    """Serve every connection in a thread of its own, for ever."""

    def accepting(server: socket.socket) -> None:
        while True:
            channel, peer = server.accept()
            threading.Thread(target=each, args=(channel, peer[0]), daemon=True).start()

    servers = [listening(address, port) for address, port in listen]
    say("ready", f"{time.monotonic():.3f}")
    for server in servers:
        threading.Thread(target=accepting, args=(server,), daemon=True).start()
    threading.Event().wait()


def echo(channel: socket.socket, peer: str) -> None:
    with contextlib.suppress(OSError):
        while data := channel.recv(4096):
            channel.sendall(data)


def session(options: dict[str, Any]) -> None:
    def keep(label: str, address: str, port: int) -> None:
        try:
            channel = socket.create_connection((address, port), timeout=10)
            channel.settimeout(None)
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            lines = channel.makefile("rb")

            def hear() -> None:
                try:
                    while line := lines.readline():
                        say(label, f"{time.monotonic():.3f}", line.decode().strip())
                    say(label, f"{time.monotonic():.3f}", "broken", "closed")
                except OSError as error:
                    say(label, f"{time.monotonic():.3f}", "broken", str(error).replace(" ", "-"))

            threading.Thread(target=hear, daemon=True).start()
            number = 0
            while True:
                channel.sendall(f"{number}\n".encode())
                number += 1
                time.sleep(options["interval"])
        except OSError as error:
            say(label, f"{time.monotonic():.3f}", "broken", str(error).replace(" ", "-"))

    for label, (address, port) in options["sessions"].items():
        threading.Thread(target=keep, args=(label, address, port), daemon=True).start()
    threading.Event().wait()


def receive(channel: socket.socket, label: str) -> None:
    total, told = 0, 0.0
    buffer = bytearray(1 << 18)
    while count := channel.recv_into(buffer):
        total += count
        now = time.monotonic()
        if now - told >= 0.1:
            say(label, f"{now:.3f}", total)
            told = now


def serve(channel: socket.socket, peer: str) -> None:
    try:
        if channel.recv(1) == b"u":
            receive(channel, peer)
        else:
            while True:
                channel.sendall(CHUNK)
    except OSError:
        pass


def flow(options: dict[str, Any]) -> None:
    address, port = options["server"]
    channel = socket.create_connection((address, port), timeout=20)
    channel.settimeout(None)
    say("begun", f"{time.monotonic():.3f}")
    channel.sendall(options["direction"].encode())
    threading.Timer(options["seconds"], lambda: os._exit(0)).start()
    if options["direction"] == "d":
        receive(channel, options["label"])
        return
    while True:
        channel.sendall(CHUNK)


if __name__ == "__main__":
    given = json.loads(sys.argv[2])
    match sys.argv[1]:
        case "ping":
            ping(given)
        case "session":
            session(given)
        case "flow":
            flow(given)
        case "echo":
            accept_all(given["listen"], echo)
        case "serve":
            accept_all(given["listen"], serve)
