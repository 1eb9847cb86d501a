"""The cables of one virtual machine, between QEMU's ports and the bridges of the lab's wires.

    python -m topology.lab.cables LOCAL,REMOTE,PLUG...  (one argument a port)

LOCAL and REMOTE are the datagram sockets of the port, one Ethernet frame a datagram. A PLUG is `VLAN=TAP`, or `=TAP`
for untagged frames: what comes from the machine with that 802.1Q tag goes to that tap device without it, and the
other way round. So a trunk is what an access switch makes of it, and the machine's kernel of the lab need not know
VLANs. Frames with another tag, and untagged ones on a trunk, are dropped as a switch would.
"""

from __future__ import annotations

import errno
import fcntl
import os
import selectors
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

FRAME = 65_536
_TUNSETIFF = 0x400454CA
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_TAG = b"\x81\x00"
_GONE = {errno.EIO, errno.ENETDOWN, errno.EBADFD, errno.ENOBUFS, errno.EAGAIN}
"""What a tap says whose wire is broken, or that is full: the frame is lost."""


def tagged(frame: bytes, vlan: int) -> bytes:
    """Return a frame with an 802.1Q tag behind its addresses."""
    return frame[:12] + _TAG + struct.pack("!H", vlan) + frame[12:]


def untagged(frame: bytes) -> tuple[int | None, bytes]:
    """Return a frame's VLAN id and the frame without its tag; None and the frame itself when it has none."""
    if frame[12:14] != _TAG or len(frame) < 18:
        return None, frame
    return struct.unpack("!H", frame[14:16])[0] & 0x0FFF, frame[:12] + frame[16:]


def open_tap(name: str) -> int:
    """Attach to a tap device of this network namespace; return its descriptor."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return tap


@dataclass
class Port:
    """One port of the machine: its socket, QEMU's, and the taps by VLAN id (None: untagged)."""

    socket: socket.socket
    remote: str
    taps: dict[int | None, int] = field(default_factory=dict)

    def from_machine(self) -> None:
        """Carry one frame of the machine to its wire."""
        vlan, frame = untagged(self.socket.recv(FRAME))
        if None in self.taps and len(self.taps) == 1 and vlan is not None:
            frame, vlan = tagged(frame, vlan), None  # no trunk: tags are the machine's own business
        tap = self.taps.get(vlan)
        if tap is None:
            return
        try:
            os.write(tap, frame)
        except OSError as error:
            if error.errno not in _GONE:
                raise

    def from_wire(self, vlan: int | None) -> None:
        """Carry one frame of a wire to the machine; one that is off hears nothing."""
        try:
            frame = os.read(self.taps[vlan], FRAME)
        except OSError as error:
            if error.errno in _GONE:
                return
            raise
        with suppress(OSError):
            self.socket.sendto(frame if vlan is None else tagged(frame, vlan), self.remote)


def plug(argument: str) -> Port:
    """Open what one argument of the command line names."""
    local, remote, *plugs = argument.split(",")
    # the name appears when it is bound: whoever waits for it may send at once
    taps = {int(vlan) if vlan else None: open_tap(tap) for vlan, _, tap in (each.partition("=") for each in plugs)}
    end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    end.setblocking(False)
    end.bind(local)
    return Port(end, remote, taps)


def main(arguments: Sequence[str]) -> None:
    """Carry frames until killed."""
    with selectors.DefaultSelector() as selector:
        for port in map(plug, arguments):
            selector.register(port.socket, selectors.EVENT_READ, (port, "machine", None))
            for vlan, tap in port.taps.items():
                selector.register(tap, selectors.EVENT_READ, (port, "wire", vlan))
        while True:
            for key, _ in selector.select():
                port, side, vlan = key.data
                if side == "wire":
                    port.from_wire(vlan)
                else:
                    with suppress(BlockingIOError):
                        port.from_machine()


if __name__ == "__main__":
    main(sys.argv[1:])
