"""Runs inside a lab host: serves TCP and names, polls services, asks a DHCP server. Standard library only.

`serve`: {"tcp": [[address, port]...], "names": {name: IPv4 address}, "dns": [address...]}; TCP is echoed.
`poll`: {"targets": {label: [address, port]}, "interval", "patience"}; a line `time label result` per attempt.
`connect`: {"to": [[name or address, port]...]}; a line per entry: `ok ADDRESS` or what went wrong.
`resolve`: {"server", "name", "type"}; prints the addresses that a resolver answers, or its response code.
`ping`: {"address"}; prints ok when one of three echo requests is answered.
`v6only`: {"interface"}; prints what a DHCPOFFER says of option 108 (RFC 8925).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import struct
import sys
import time
from typing import Any

A, AAAA, ANY = 1, 28, 255
V6ONLY = 108


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


class Names(asyncio.DatagramProtocol):
    """An authoritative server of a few A records; of any other type there is nothing."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        question, kind = data[12 : at + 5], struct.unpack("!H", data[at + 1 : at + 3])[0]
        found = self.names.get(".".join(labels).lower())
        answer = b""
        if found and kind in (A, ANY):
            answer = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 1, 4) + socket.inet_aton(found)
        # unknown names below known ones must exist, or nothing below them would (RFC 8020)
        flags = 0x8400 | (data[2] & 1) << 8
        head = data[:2] + struct.pack("!HHHHH", flags, 1, 1 if answer else 0, 0, 0)
        self.transport.sendto(head + question + answer, address)


async def serve(options: dict[str, Any]) -> None:
    for address, port in options["tcp"]:
        await asyncio.start_server(_echo, address, port)
    loop = asyncio.get_running_loop()
    for address in options.get("dns", ()):
        channel = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        if ":" in address:
            channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        channel.bind((address, 53))
        await loop.create_datagram_endpoint(lambda: Names(options["names"]), sock=channel)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def _attempt(label: str, address: str, port: int, patience: float) -> None:
    begun, result = time.time(), "ok"
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), patience)
        writer.close()
    except TimeoutError:
        result = "timeout"
    except OSError as error:
        result = (os.strerror(error.errno) if error.errno else "error").replace(" ", "-")
    print(f"{begun:.3f} {label} {result}", flush=True)


async def _session(label: str, address: str, port: int, interval: float) -> None:
    """Keep one connection as long as it lives; a line whenever an echo is back, `broken` when it ends."""
    while True:
        begun = time.time()
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 5)
            while True:
                begun = time.time()
                writer.write(b"x")
                await asyncio.wait_for(reader.readexactly(1), 10)
                print(f"{begun:.3f} {label} ok {time.time() - begun:.3f}", flush=True)
                await asyncio.sleep(interval)
        except (OSError, asyncio.IncompleteReadError):
            print(f"{begun:.3f} {label} broken", flush=True)
            await asyncio.sleep(1)


async def poll(options: dict[str, Any]) -> None:
    """Start an attempt at every target once per interval, whatever became of those before."""
    running = {
        asyncio.create_task(_session(label, address, port, options["interval"]))
        for label, (address, port) in options.get("sessions", {}).items()
    }
    following = time.monotonic()
    while True:
        for label, (address, port) in options["targets"].items():
            task = asyncio.create_task(_attempt(label, address, port, options["patience"]))
            running.add(task)
            task.add_done_callback(running.discard)
        following += options["interval"]
        await asyncio.sleep(max(0.0, following - time.monotonic()))


def connect(options: dict[str, Any]) -> None:
    """Open one connection after another, names by the host's resolver."""
    for name, port in options["to"]:
        try:
            with socket.create_connection((name, port), timeout=options.get("patience", 3)) as channel:
                channel.sendall(b"x")
                print("ok" if channel.recv(1) else "closed", channel.getpeername()[0])
        except TimeoutError:
            print("timeout")
        except OSError as error:
            print(error)


def resolve(options: dict[str, Any]) -> None:
    """Print the addresses (A or AAAA) that a server answers, one a line; `rcode N` or `timeout` without any."""
    server, kind = options["server"], {"A": A, "AAAA": AAAA}[options["type"]]
    name = b"".join(bytes((len(part),)) + part.encode() for part in options["name"].rstrip(".").split("."))
    question = random.randbytes(2) + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + name + b"\0"
    question += struct.pack("!HH", kind, 1)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.settimeout(options.get("patience", 3))
        channel.sendto(question, (server, 53))
        try:
            answer = channel.recv(4096)
        except TimeoutError:
            print("timeout")
            return
    at, found = len(question), []
    for _ in range(struct.unpack("!H", answer[6:8])[0]):
        while answer[at] and answer[at] < 0xC0:
            at += 1 + answer[at]
        at += 2 if answer[at] >= 0xC0 else 1
        of, length = struct.unpack("!H6xH", answer[at : at + 10])
        if of == kind:
            data = answer[at + 10 : at + 10 + length]
            found.append(socket.inet_ntop(socket.AF_INET6 if kind == AAAA else socket.AF_INET, data))
        at += 10 + length
    print("\n".join(found) or f"rcode {answer[3] & 15}")


def ping(options: dict[str, Any]) -> None:
    """Send echo requests and print `ok` at the first answer; the machine need not have ping(8)."""
    address = options["address"]
    v6 = ":" in address
    with socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, 58 if v6 else 1) as channel:
        channel.settimeout(1)
        for number in range(3):
            head, mark = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, os.getpid() & 0xFFFF, number), b"topology"
            total = sum(struct.unpack("!8H", head + mark))
            total = (total & 0xFFFF) + (total >> 16)
            total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
            channel.sendto(head[:2] + struct.pack("!H", total) + head[4:] + mark, (address, 0))
            until = time.monotonic() + 1
            while time.monotonic() < until:
                try:
                    data, origin = channel.recvfrom(2048)
                except TimeoutError:
                    break
                body = data if v6 else data[(data[0] & 15) * 4 :]
                if origin[0] == address and body[0] == (129 if v6 else 0) and body[4:6] == head[4:6]:
                    print("ok")
                    return
    print("timeout")


def v6only(options: dict[str, Any]) -> None:
    """Print the seconds that option 108 of a DHCPOFFER says, `none` when there is none."""
    transaction = random.randbytes(4)
    mac = bytes((2, 0, *random.randbytes(4)))
    head = struct.pack("!BBBB4sHH", 1, 1, 6, 0, transaction, 0, 0x8000) + bytes(16) + mac + bytes(10 + 64 + 128)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        channel.setsockopt(socket.SOL_SOCKET, 25, options["interface"].encode() + b"\0")  # SO_BINDTODEVICE
        channel.bind(("", 68))
        channel.settimeout(1)
        for _ in range(10):
            wanted = bytes((53, 1, 1, 55, 3, 1, 3, V6ONLY, 255))
            channel.sendto(head + b"\x63\x82\x53\x63" + wanted, ("255.255.255.255", 67))
            try:
                while (data := channel.recv(2048))[4:8] != transaction:
                    pass
            except TimeoutError:
                continue
            found = _options(data[240:])
            print(struct.unpack("!I", found[V6ONLY])[0] if V6ONLY in found else "none")
            return
    print("no offer")


def _options(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        found[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found


if __name__ == "__main__":
    given = json.loads(sys.argv[2])
    once = {"v6only": v6only, "connect": connect, "resolve": resolve, "ping": ping}
    if sys.argv[1] in once:
        once[sys.argv[1]](given)
    else:
        asyncio.run({"serve": serve, "poll": poll}[sys.argv[1]](given))
