"""One office moves from its legacy LAN to the plan and back, while machines with old and new addresses work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.lab import copies, play
from tests.lab.figures import record
from tests.lab.probe import Probe, in_lan, plugged
from tests.lab.where import INVENTORY, ROOT
from topology import lab
from topology.inventory import plan_of

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(900)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
BOX = next(h for h in PLAN.hosts.values() if h.kind == "gateway" and PLAN.sites[h.site].place.kind == "skpd")
CENTRE = next(h for h in PLAN.hosts.values() if h.kind == "guest" and PLAN.sites[h.site].place.kind == "dc")
CENTRE_ADDRESS = next(CENTRE.of_kind("host")).addresses[0]
INTERNET = next(i.addresses[0] for i in PLAN.hosts["internet"].interfaces if i.addresses)
CUTOVER = ROOT / "playbooks" / "cutover.yml"
STEADY = Path(__file__).with_name("steady.py")
OLD = "192.168.88"
"""The office's LAN before the plan."""
DISCOVER = """
import os, socket, struct
mac = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
head = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0x77777777, 0, 0x8000) + bytes(16) + mac + bytes(10 + 192)
query = head + bytes.fromhex("63825363") + bytes([53, 1, 1, 255]) + bytes(60)
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
one.bind(("", 68))
one.settimeout(4)
for _ in range(5):
    one.sendto(query, ("255.255.255.255", 67))
    try:
        answer = one.recv(2000)
    except TimeoutError:
        continue
    print(socket.inet_ntoa(answer[16:20]))
    break
"""


@contextmanager
def machine(probe: Probe) -> Iterator[Probe]:
    """Let a probe answer, as a machine does."""
    probe.run("nft", "delete", "table", "inet", "topology_quiet")
    yield probe


def answered(probe: Probe, address: str) -> bool:
    return counts(begin(probe, address), 0.5)[1] > 0


def begin(probe: Probe, address: str) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", probe.netns, sys.executable, str(STEADY), address]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def counts(steady: subprocess.Popen[str], seconds: float = 0) -> tuple[int, int]:
    """Return (asked, answered) of a prober, which is stopped after some seconds."""
    with suppress(subprocess.TimeoutExpired):
        steady.wait(seconds)
    out, errors = steady.communicate("\n", timeout=15)
    assert steady.returncode == 0, errors
    asked, got = map(int, out.split())
    return asked, got


def offered(probe: Probe) -> str:
    """Return the address that DHCP offers on the LAN; '' when none."""
    return probe.run(sys.executable, "-c", DISCOVER).strip()


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Path]:
    """Return a copy of the inventories in which the office has a legacy LAN; the lab is as before afterwards."""
    made = copies.copy(tmp_path)
    site = made.district / f"sites/skpd/{BOX.site}.yml"
    text = site.read_text(encoding="utf-8")
    site.write_text(
        text.replace("\nhosts:", f"\nlegacy_prefixes:\n  - prefix: {OLD}.0/24\nhosts:", 1), encoding="utf-8"
    )
    try:
        yield made.lab
    finally:
        back = play.run(play.SITE, tmp_path / "report", "--limit", f"localhost,{BOX.name}")
        made.remove_rendered()
        assert back.code == 0, back.output


def move(inventory: Path, report: Path, to: str) -> play.Run:
    words = ("-e", f"cutover_site={BOX.site}", "-e", f"cutover_to={to}")
    done = play.run(CUTOVER, report, *words, inventory=inventory)
    assert done.code == 0, done.output[-5000:]
    return done


def watched(machines: Sequence[Probe], inventory: Path, report: Path, to: str) -> list[int]:
    """Move while machines ask the data centre every 20 ms; return how many of each one's questions were lost."""
    asking = [begin(one, CENTRE_ADDRESS) for one in machines]
    try:
        done = move(inventory, report, to)
        found = [counts(one) for one in asking]
    finally:
        for one in asking:
            one.kill()
            one.wait()
    lost = [asked - got for asked, got in found]
    record(f"cutover to {to}", asked=[asked for asked, _ in found], lost=lost, changed=len(done.changes))
    return lost


def test_an_office_moves_and_can_be_moved_back(inventory: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    old_lan = plugged(PLAN, "old", f"{BOX.site}.staff", [f"{OLD}.50/24"], [f"{OLD}.1"])
    with old_lan as a, in_lan(PLAN, BOX.site, "staff", 92) as b, machine(a) as old, machine(b) as new:
        lan = new.address(4).rpartition(".")[0]
        assert not answered(old, CENTRE_ADDRESS), "the plan knows no old addresses"
        assert answered(new, CENTRE_ADDRESS)

        move(inventory, report, "legacy")
        assert answered(old, CENTRE_ADDRESS) and answered(old, INTERNET)
        assert offered(old).startswith(f"{OLD}.")
        assert not answered(old, visitor()), "an old address may what the staff may, and no more"

        lost = watched([old, new], inventory, report, "both")
        assert max(lost) <= 50, "old and new addresses go on"
        assert offered(old).startswith(f"{lan}.")
        assert answered(old, new.address(4)) and answered(new, old.address(4)), "they see each other"

        lost = watched([new], inventory, report, "plan")
        assert lost[0] <= 50
        assert not answered(old, CENTRE_ADDRESS) and answered(new, CENTRE_ADDRESS)
        assert lab.exec_in(NAME, BOX.name, ["ip", "-4", "-br", "address", "show", "to", f"{OLD}.0/24"]).stdout == ""
        assert not move(inventory, report, "plan").changed

        move(inventory, report, "legacy")
        assert answered(old, CENTRE_ADDRESS) and answered(new, CENTRE_ADDRESS)
        assert offered(old).startswith(f"{OLD}.")


def visitor() -> str:
    """Return a visitor's address."""
    lan = PLAN.sites[BOX.site].network("guest")
    return PLAN.district.space.host(lan.second_octet, lan.third_octet, 99)[0]
