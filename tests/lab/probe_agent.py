"""Runs inside a probe's namespace: sends hand-made packets, or notes which ones arrive. Standard library only."""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from typing import Any

SPORT = 45000


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo(source: bytes, target: bytes, protocol: int, length: int) -> bytes:
    if len(source) == 4:
        return source + target + struct.pack("!BBH", 0, protocol, length)
    return source + target + struct.pack("!IHBB", length, 0, 0, protocol)


def payload(shot: dict[str, Any], source: bytes, target: bytes, number: int) -> tuple[int, bytes]:
    """Return the protocol number and the segment, checksums done."""
    kind, v6 = shot["protocol"], len(target) == 16
    sport = SPORT + number % 10000
    if kind == "icmp":
        head = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 77, number & 0xFFFF) + b"topology"
        protocol = 58 if v6 else 1
        total = checksum((pseudo(source, target, 58, len(head)) if v6 else b"") + head)
        return protocol, head[:2] + struct.pack("!H", total) + head[4:]
    if kind == "udp":
        head = struct.pack("!HHHH", sport, shot["port"], 16, 0) + b"topology"
        total = checksum(pseudo(source, target, 17, len(head)) + head) or 0xFFFF
        return 17, head[:6] + struct.pack("!H", total) + head[8:]
    flags = 0x10 if kind == "ack" else 0x02
    head = struct.pack("!HHIIBBHHH", sport, shot["port"], 1000, 0, 0x50, flags, 8192, 0, 0)
    total = checksum(pseudo(source, target, 6, len(head)) + head)
    return 6, head[:16] + struct.pack("!H", total) + head[18:]


def packet(shot: dict[str, Any], source: str, number: int) -> bytes:
    family = socket.AF_INET6 if ":" in shot["address"] else socket.AF_INET
    src, dst = socket.inet_pton(family, source), socket.inet_pton(family, shot["address"])
    protocol, body = payload(shot, src, dst, number)
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + src + dst + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), number & 0xFFFF, 0, 64, protocol, 0) + src + dst
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def own_source(address: str) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        return str(probe.getsockname()[0])


def send(shots: list[dict[str, Any]]) -> None:
    raw = {
        False: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
        True: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW),
    }
    sources: dict[str, str] = {}
    for number, shot in enumerate(shots):
        address = shot["address"]
        source = shot["source"] or sources.setdefault(address, own_source(address))
        for _ in range(50):
            try:
                raw[":" in address].sendto(packet(shot, source, number), (address, 0))
                break
            except (BlockingIOError, OSError):
                time.sleep(0.02)
        if number % 20 == 19:
            time.sleep(0.01)


def listen(sources: set[str]) -> None:
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(3))
    sniffer.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    print("ready", flush=True)
    found: set[tuple[str, str, int]] = set()
    until: float | None = None
    while until is None or time.monotonic() < until:
        ready, _, _ = select.select([sniffer] + ([sys.stdin] if until is None else []), [], [], 0.1)
        if sys.stdin in ready:
            until = time.monotonic() + float(json.loads(sys.stdin.readline())["wait"])
        if sniffer in ready:
            data, origin = sniffer.recvfrom(65535)
            if origin[2] != 4:  # PACKET_OUTGOING is not an arrival
                seen = read(data, sources)
                if seen:
                    found.add(seen)
    print(json.dumps(sorted(found)))


def read(data: bytes, sources: set[str]) -> tuple[str, str, int] | None:
    version = data[0] >> 4
    if version == 4:
        head, protocol = (data[0] & 15) * 4, data[9]
        src, dst = socket.inet_ntop(socket.AF_INET, data[12:16]), socket.inet_ntop(socket.AF_INET, data[16:20])
    elif version == 6:
        head, protocol = 40, data[6]
        src, dst = socket.inet_ntop(socket.AF_INET6, data[8:24]), socket.inet_ntop(socket.AF_INET6, data[24:40])
    else:
        return None
    body = data[head:]
    if sources and src not in sources:
        return None
    if protocol in (1, 58):
        return ("icmp", dst, 0) if body[0] in (8, 128) else None
    if protocol == 17:
        return ("udp", dst, struct.unpack("!H", body[2:4])[0])
    if protocol == 6 and not body[13] & 0x04:
        return ("ack" if body[13] & 0x12 == 0x10 else "tcp", dst, struct.unpack("!H", body[2:4])[0])
    return None


if __name__ == "__main__":
    options = json.loads(sys.argv[2])
    if sys.argv[1] == "send":
        send(options["shots"])
    else:
        listen(set(options["sources"]))
