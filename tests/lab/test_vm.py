"""A lab with a virtual machine between two containers: a kernel, VLANs, tunnels and a power switch of its own."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator

import pytest

from tests.lab.figures import record
from topology import lab
from topology.lab import LabHost, LabInterface, LabSpec, LabWire, vm
from topology.lab.names import LabNames

pytestmark = [pytest.mark.lab, pytest.mark.vm, pytest.mark.timeout(1_800)]

NAME = "vmtest"
SPEC = LabSpec(
    name=NAME,
    hosts=(
        LabHost(
            "box",
            2,
            (LabInterface("isp", "world"), LabInterface("lan.20", "staff", 20), LabInterface("lan.60", "guest", 60)),
            "vm",
        ),
        LabHost("desk", 3, (LabInterface("eth0", "staff"),)),
        LabHost("visitor", 4, (LabInterface("eth0", "guest"),)),
    ),
    wires=(LabWire("world", "underlay"), LabWire("staff", "lan"), LabWire("guest", "lan")),
    management=ipaddress.IPv4Network("198.18.9.0/24"),
)
TRUNK = """
ip link set lan up
for id in 20 60; do
  ip link add link lan name lan.$id type vlan id $id
  ip address add 10.250.$id.1/24 dev lan.$id
  ip link set lan.$id up
done
"""


def box(script: str) -> str:
    """Run a script as root in the machine; it must succeed."""
    done = lab.exec_in(NAME, "box", ["sh", "-ec", script])
    assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
    return done.stdout


def pings(host: str, address: str, *, seconds: int = 20) -> bool:
    """Say whether a container reaches an address within a time.

    One ping after the other: a single one with a deadline ends at the first error, and three seconds after a question
    for a hardware address that a busy machine has not yet answered the kernel reports one.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if lab.exec_in(NAME, host, ["ping", "-c1", "-W1", address]).returncode == 0:
            return True
        time.sleep(0.2)
    return False


@pytest.fixture(scope="module")
def machine() -> Iterator[None]:
    """Boot the lab; take it down and look for what it left."""
    begun = time.monotonic()
    if lab.up(SPEC):  # it was not up already
        seconds = round(time.monotonic() - begun, 1)
        record("virtual machine boots to SSH", seconds=seconds, accelerator=vm.accelerator())
    for host, vlan in (("desk", 20), ("visitor", 60)):
        script = f"ip address replace 10.250.{vlan}.2/24 dev eth0; ip link set eth0 up"
        assert lab.exec_in(NAME, host, ["sh", "-ec", script]).returncode == 0
    yield
    lab.down(NAME)
    assert lab.leftovers(NAME) == []


@pytest.mark.usefixtures("machine")
class TestMachine:
    """In this order: the power cut comes last."""

    def test_it_has_a_kernel_of_its_own_with_vlans_and_wireguard(self) -> None:
        assert box("uname -r") != lab.exec_in(NAME, "desk", ["uname", "-r"]).stdout
        box("ip link add wg9 type wireguard && ip -d link show wg9 | grep -q wireguard && ip link del wg9")
        assert lab.status(NAME).condition == "up"

    def test_its_trunk_reaches_each_network_by_its_tag_only(self) -> None:
        box(TRUNK)
        assert pings("desk", "10.250.20.1") and pings("visitor", "10.250.60.1")
        box("ip address add 10.250.60.77/32 dev lan.20; sysctl -qw net.ipv4.conf.all.arp_ignore=1")
        assert not pings("visitor", "10.250.60.77", seconds=3), "an address of another VLAN answers"

    def test_a_broken_wire_carries_nothing_until_it_is_healed(self) -> None:
        lab.break_wire(NAME, "staff")
        assert not pings("desk", "10.250.20.1", seconds=3)
        assert pings("visitor", "10.250.60.1")
        lab.heal_wire(NAME, "staff")
        assert pings("desk", "10.250.20.1")

    def test_it_has_no_way_out(self) -> None:
        assert "default" not in box("ip route")
        begin = "timeout 5 bash -c 'exec 3<>/dev/tcp/{}/{}' 2>&1 && echo open || echo shut"
        # the controller's own sshd and resolver would be behind these, were the network not restricted
        for address, port in ((SPEC.management[1], 22), (SPEC.management[-2], 53), (SPEC.management[3], 22)):
            assert box(begin.format(address, port)).split()[-1] == "shut", address

    def test_packages_come_from_a_disk_nobody_can_write_to(self) -> None:
        box("mountpoint -q /var/lib/lab-mirror || mount /var/lib/lab-mirror; test -s /var/lib/lab-mirror/Packages")
        box("! touch /var/lib/lab-mirror/x 2>/dev/null")

    def test_a_power_cut_loses_what_was_not_written_to_disk_and_nothing_else(self) -> None:
        before = box("echo kept > /root/kept; sync; cat /proc/sys/kernel/random/boot_id")
        lab.kill_host(NAME, "box")
        state = next(h for h in lab.status(NAME).hosts if h.name == "box")
        assert state.state == "dead" and "switched off" in state.why
        assert not pings("desk", "10.250.20.1", seconds=3)
        begun = time.monotonic()
        lab.start_host(NAME, "box")
        record("virtual machine after a power cut", seconds=round(time.monotonic() - begun, 1))
        assert box("cat /proc/sys/kernel/random/boot_id") != before
        assert box("cat /root/kept") == "kept\n"
        assert "lan.20" not in box("ip -br link"), "VLANs made by hand survive a power cut"
        assert vm.qemu_pid(LabNames(NAME), "box")
