"""Streams through the lab: pings, TCP sessions and flows from any namespace, and what was heard of them, by time."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topology.allocate import Host, Plan
from topology.lab.names import LabNames
from topology.lab.slice import lab_spec

AGENT = Path(__file__).with_name("stream_agent.py")
PING_INTERVAL = 0.04


@dataclass(frozen=True)
class Line:
    """One line of the agent."""

    label: str
    at: float
    rest: tuple[str, ...]


@dataclass
class Stream:
    """An agent that runs, and what it has said so far."""

    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[Line]:
        """Return all whole lines up to now."""
        text = self.log.read_text(encoding="utf-8")
        rows = [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]
        return [Line(r[0], float(r[1]), tuple(r[2:])) for r in rows]

    def times(self, label: str) -> list[float]:
        """Return when something of a label was answered (a ping: when it was sent), in order."""
        return sorted(line.at for line in self.lines() if line.label == label and "broken" not in line.rest)

    def errors(self) -> str:
        """Return what the agent wrote to its error output."""
        return self.log.with_suffix(".err").read_text(encoding="utf-8")


@contextmanager
def agent(netns: str, verb: str, options: dict[str, Any]) -> Iterator[Stream]:
    """Run a verb of the agent in a namespace; it is ended at the end."""
    with tempfile.TemporaryDirectory(prefix="topology-stream-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as out, log.with_suffix(".err").open("wb") as errors:
            command = ["ip", "netns", "exec", netns, sys.executable, str(AGENT), verb, json.dumps(options)]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors)
        try:
            yield Stream(process, log)
        finally:
            process.kill()
            process.wait()


@contextmanager
def listening(netns: str, verb: str, listen: list[tuple[str, int]]) -> Iterator[Stream]:
    """Run `echo` or `serve` and wait until it listens."""
    with agent(netns, verb, {"listen": listen}) as stream:
        until(lambda: bool(stream.times("ready")) or stream.process.poll() is not None, 15, "the listener")
        assert stream.process.poll() is None, stream.errors()
        yield stream


@dataclass(frozen=True)
class Plugged:
    """A namespace in a LAN that answers as an ordinary host does."""

    netns: str
    addresses: dict[int, str]
    """By family: IPv4, and the ULA."""


@contextmanager
def plugged(plan: Plan, site: str, network: str, number: int = 91) -> Iterator[Plugged]:
    """Plug a host without a system into a site's LAN as host `number`; its routers are the LAN's."""
    assert plan.district.lab is not None
    names, wires = LabNames(plan.district.lab.name), [wire.name for wire in lab_spec(plan).wires]
    lan = plan.sites[site].network(network)
    own = plan.district.space.host(lan.second_octet, lan.third_octet, number)[:2]
    routers = plan.district.space.host(lan.second_octet, lan.third_octet, 1)[:2]
    inside, port = f"{names.lab}-p-stream-{number}", f"x-stream-{number}"
    _ip("netns", "add", inside)
    try:
        # nobody waits for a duplicate's answer here, and the routers are known
        for key in ("accept_dad", "accept_ra"):
            _ip("netns", "exec", inside, "sysctl", "-qw", f"net.ipv6.conf.default.{key}=0")
        # always the same, or the pair's members send to who had the address in the last test (up to 50 s, RFC 4861)
        hardware = f"02:00:00:00:00:{number:02x}"
        peer = ("peer", "name", "eth0", "address", hardware, "netns", inside)
        _ip("-n", names.wires_netns, "link", "add", port, "type", "veth", *peer)
        _ip("-n", names.wires_netns, "link", "set", port, "master", f"w{wires.index(f'{site}.{network}')}", "up")
        _ip("-n", inside, "link", "set", "lo", "up")
        _ip("-n", inside, "link", "set", "eth0", "up")
        for address, router in zip(own, routers, strict=True):
            _ip("-n", inside, "address", "add", f"{address}/{64 if ':' in address else 24}", "dev", "eth0")
            _ip("-n", inside, "route", "add", "default", "via", router)
        yield Plugged(inside, {4: own[0], 6: own[1]})
    finally:
        subprocess.run(["ip", "-n", names.wires_netns, "link", "delete", port], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "delete", inside], capture_output=True, check=False)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


def netns(plan: Plan, host: str) -> str:
    """Return the namespace of a lab host."""
    assert plan.district.lab is not None
    return LabNames(plan.district.lab.name).host_netns(host)


def addresses(host: Host) -> dict[int, str]:
    """Return an ordinary host's address by family: IPv4 and the ULA."""
    own = next(host.of_kind("host")).addresses
    return {4: own[0], 6: own[1]}


def until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait for a condition and return how long it took; fails after `seconds`."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.2)
    return time.monotonic() - begun


def steady(streams: dict[str, Stream], labels: dict[str, list[str]], seconds: float = 2.0) -> bool:
    """Say whether nearly every ping of the last `seconds` was answered, of every label."""
    end = time.monotonic() - 0.3
    wanted = seconds / PING_INTERVAL * 0.8
    return all(
        sum(end - seconds <= t <= end for t in stream.times(label)) >= wanted
        for name, stream in streams.items()
        for label in labels[name]
    )


def longest_silence(times: list[float], since: float) -> float:
    """Return the longest time between two answers one after the other, of which the later came after `since`."""
    return max((b - a for a, b in itertools.pairwise(times) if b > since), default=float("inf"))
