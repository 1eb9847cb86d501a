"""Runs inside a probe's namespace: sends hand-made packets, or notes which ones arrive. Standard library only.

Every packet carries its own mark (a number): in TCP the sequence number, else in the payload. Marks
survive address translation, so arrivals are told apart whatever becomes of addresses and ports.
"""

from __future__ import annotations

import errno
import json
import select
import socket
import struct
import sys
import time
from typing import Any

MAGIC = b"mark"
ETHER = {4: 0x0800, 6: 0x86DD}
PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST = 0, 1, 2
SYN, ACK, RST = 0x02, 0x10, 0x04


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo(source: bytes, target: bytes, protocol: int, length: int) -> bytes:
    if len(source) == 4:
        return source + target + struct.pack("!BBH", 0, protocol, length)
    return source + target + struct.pack("!IHBB", length, 0, 0, protocol)


def segment(shot: dict[str, Any], source: bytes, target: bytes) -> tuple[int, bytes]:
    """Return the protocol number and the segment, checksums done."""
    kind, mark, v6 = shot["protocol"], shot["mark"], len(target) == 16
    # a source port of its own: no shot meets the connection of another
    sport = shot["sport"] or 10000 + mark % 50000
    marked = MAGIC + struct.pack("!I", mark)
    if kind in ("icmp", "ra", "redirect"):
        # an echo request; connection tracking goes by its identifier, so no two share one
        body = struct.pack("!HH", mark & 0xFFFF, mark >> 16) + marked
        number = 128 if v6 else 8
        if kind == "ra":  # hop limit 64, router for 30 minutes, and an on-link prefix for addresses
            prefix = socket.inet_pton(socket.AF_INET6, shot["prefix"])
            body = struct.pack("!BBHII", 64, 0, 1800, 0, 0)
            body += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 14400, 0) + prefix
            number = 134
        elif kind == "redirect":
            body = struct.pack("!I", 0) + source + target
            number = 137
        head = struct.pack("!BBH", number, 0, 0) + body
        protocol = 58 if v6 else 1
        total = checksum((pseudo(source, target, 58, len(head)) if v6 else b"") + head)
        return protocol, head[:2] + struct.pack("!H", total) + head[4:]
    if kind == "udp":
        head = struct.pack("!HHHH", sport, shot["port"], 8 + len(marked), 0) + marked
        total = checksum(pseudo(source, target, 17, len(head)) + head) or 0xFFFF
        return 17, head[:6] + struct.pack("!H", total) + head[8:]
    head = struct.pack(
        "!HHIIBBHHH", sport, shot["port"], mark, 1 if kind == "ack" else 0, 0x50, ACK if kind == "ack" else SYN, 8192,
        0, 0,
    )  # fmt: skip
    total = checksum(pseudo(source, target, 6, len(head)) + head)
    return 6, head[:16] + struct.pack("!H", total) + head[18:]


def packet(shot: dict[str, Any], source: str) -> bytes:
    family = socket.AF_INET6 if ":" in shot["address"] else socket.AF_INET
    src, dst = socket.inet_pton(family, source), socket.inet_pton(family, shot["address"])
    protocol, body = segment(shot, src, dst)
    hops = 255 if shot["protocol"] in ("ra", "redirect") else 64
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, hops) + src + dst + body
    identity = shot["mark"] & 0xFFFF
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), identity, 0, hops, protocol, 0) + src + dst
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def own_source(address: str) -> str | None:
    """Return the address the kernel would send from; None when there is no way."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def send(shots: list[dict[str, Any]], rate: float, device: str | None, mac: str) -> None:
    """Send at a rate; with a device, frames are put on it as they are (to `mac`), past any filter and route.

    A packet that the sender's own filter refuses (a gateway's) or has no route for was sent and dropped.
    """
    raw = {
        False: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
        True: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW),
    }
    raw[False].setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    sources: dict[str, str | None] = {}
    refused: dict[str, int] = {}
    began = time.monotonic()
    for number, shot in enumerate(shots):
        address = shot["address"]
        if not shot["source"] and address not in sources:
            sources[address] = own_source(address)
        source = shot["source"] or sources[address]
        if source is None:
            way = f"no route to {address}"
            refused[way] = refused.get(way, 0) + 1
            continue
        data = packet(shot, source)
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        for _ in range(100):
            try:
                if device:
                    wire.sendto(data, (device, ETHER[6 if ":" in address else 4], 0, 0, bytes.fromhex(mac)))
                else:
                    raw[":" in address].sendto(data, (address, 0))
            except OSError as error:
                if error.errno in (errno.ENOBUFS, errno.EAGAIN):
                    time.sleep(0.01)
                    continue
                name = errno.errorcode.get(error.errno or 0, str(error))
                refused[name] = refused.get(name, 0) + 1
            break
    print(json.dumps(refused))


def listen() -> None:
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(3))
    sniffer.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
    print("ready", flush=True)
    found: set[int] = set()
    kinds: dict[str, int] = {}
    until: float | None = None
    while until is None or time.monotonic() < until:
        ready, _, _ = select.select([sniffer] + ([sys.stdin] if until is None else []), [], [], 0.1)
        if sys.stdin in ready:
            until = time.monotonic() + float(json.loads(sys.stdin.readline())["wait"])
        if sniffer in ready:
            data, origin = sniffer.recvfrom(65535)
            if origin[2] in (PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST):
                seen = read(data)
                if isinstance(seen, int):
                    found.add(seen)
                elif seen:
                    kinds[seen] = kinds.get(seen, 0) + 1
    _, lost = struct.unpack("II", sniffer.getsockopt(263, 6, 8))  # SOL_PACKET, PACKET_STATISTICS
    print(json.dumps({"marks": sorted(found), "kinds": kinds, "lost": lost}))


def read(data: bytes) -> int | str | None:
    """Return the mark of a shot; of advertisements `ra SOURCE` or `redirect SOURCE`."""
    version = data[0] >> 4
    if version not in (4, 6):
        return None
    head, protocol = ((data[0] & 15) * 4, data[9]) if version == 4 else (40, data[6])
    body = data[head:]
    if protocol == 58 and body[0] in (134, 137):
        return f"{'ra' if body[0] == 134 else 'redirect'} {socket.inet_ntop(socket.AF_INET6, data[8:24])}"
    if protocol in (1, 58) and body[0] not in (8, 128):
        return None
    if protocol in (1, 17, 58) and body[8:12] == MAGIC:
        return int(struct.unpack("!I", body[12:16])[0])
    if protocol == 6 and not body[13] & RST and body[13] & (SYN | ACK) in (SYN, ACK):
        return int(struct.unpack("!I", body[4:8])[0])
    return None


if __name__ == "__main__":
    if sys.argv[1] == "send":
        options = json.load(sys.stdin)
        send(options["shots"], options["rate"], options["device"], options["mac"])
    else:
        listen()
