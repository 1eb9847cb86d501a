"""A long, bad line between a host and its wire: delay, jitter and loss, in user space (the kernel may have no netem).

    python -m topology.lab.relay TAP TAP DELAY JITTER LOSS     seconds, seconds, 0 to 1; each way

Frames go from one tap device to the other. Each is lost with the probability LOSS, or sent on DELAY seconds after
it came, give or take JITTER; their order stays, as on a line. A line holds LONGEST frames; more are lost.
"""

from __future__ import annotations

import os
import random
import selectors
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from topology.lab.cables import FRAME, open_tap

LONGEST = 10_000
"""Frames under way in one direction."""


@dataclass
class Way:
    """One direction of the line."""

    source: int
    target: int
    delay: float
    jitter: float
    loss: float
    random: random.Random
    queue: deque[tuple[float, bytes]] = field(default_factory=deque)

    def take(self, now: float) -> None:
        """Read what has come; lose some of it, and note when the rest is due."""
        for _ in range(64):
            try:
                frame = os.read(self.source, FRAME)
            except OSError:  # nothing more, or its wire is broken
                return
            if self.random.random() < self.loss or len(self.queue) >= LONGEST:
                continue
            due = now + max(0.0, self.delay + self.random.uniform(-self.jitter, self.jitter))
            if self.queue:
                due = max(due, self.queue[-1][0])
            self.queue.append((due, frame))

    def send(self, now: float) -> None:
        """Send on what is due."""
        while self.queue and self.queue[0][0] <= now:
            with suppress(OSError):
                os.write(self.target, self.queue.popleft()[1])


def carry(ways: Sequence[Way]) -> None:
    """Carry frames until killed."""
    with selectors.DefaultSelector() as selector:
        for way in ways:
            selector.register(way.source, selectors.EVENT_READ, way)
        while True:
            due = min((way.queue[0][0] for way in ways if way.queue), default=None)
            wait = None if due is None else max(0.0, due - time.monotonic())
            for key, _ in selector.select(wait):
                key.data.take(time.monotonic())
            now = time.monotonic()
            for way in ways:
                way.send(now)


def main(arguments: Sequence[str]) -> None:
    """Open the taps, say that they are open, and carry."""
    near, far = map(open_tap, arguments[:2])
    delay, jitter, loss = map(float, arguments[2:5])
    # the same frames are lost each time: a test that fails fails again
    ways = [Way(s, t, delay, jitter, loss, random.Random(seed)) for seed, s, t in ((1, near, far), (2, far, near))]
    print("carrying", flush=True)
    carry(ways)


if __name__ == "__main__":
    main(sys.argv[1:])
