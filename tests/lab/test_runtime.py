"""The lab runtime, on a small lab of its own: left - middle - right."""

from __future__ import annotations

import ipaddress
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from topology import lab
from topology.lab import LabError, LabHost, LabInterface, LabSpec, LabWire, hosts, machine, names
from topology.lab.names import LabNames

pytestmark = [pytest.mark.lab, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]
LEFT_WIRE = "an-office-with-a-long-name--the-middle"
RIGHT_WIRE = "middle--right"


def spec(name: str) -> LabSpec:
    return LabSpec(
        name=name,
        hosts=(
            LabHost("left", 2, (LabInterface("eth0", LEFT_WIRE),)),
            LabHost("middle", 3, (LabInterface("eth0", LEFT_WIRE), LabInterface("staff.20", RIGHT_WIRE))),
            LabHost("right", 4, (LabInterface("eth0", RIGHT_WIRE),)),
        ),
        wires=(LabWire(LEFT_WIRE, "radio"), LabWire(RIGHT_WIRE, "lan")),
        management=ipaddress.IPv4Network("198.18.7.0/24"),
    )


@pytest.fixture(scope="module")
def rt() -> Iterator[str]:
    before = machine.setting()
    others = set(names.STATE_ROOT.glob("*/")) - {names.STATE_ROOT / "rt"}
    lab.up(spec("rt"))
    yield "rt"
    lab.down("rt")
    assert lab.leftovers("rt") == []
    if not others:
        assert machine.setting() == before
        assert not names.STATE_ROOT.exists()
        assert not names.DATA_ROOT.exists()


def shell(name: str, host: str, script: str, *, fails: bool = False) -> str:
    done = lab.exec_in(name, host, ["sh", "-ec", script])
    assert (done.returncode != 0) == fails, f"{script!r} on {host}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_every_host_answers_and_a_second_up_does_nothing(rt: str, capfd: pytest.CaptureFixture[str]) -> None:
    for host in ("left", "middle", "right"):
        assert lab.ssh(rt, host, ["sudo", "-n", "cat", "/etc/hostname"]) == 0
    assert capfd.readouterr().out.split() == ["left", "middle", "right"]
    assert lab.ssh(rt, "left", ["sh", "-c", "exit 7"]) == 7
    now = lab.status(rt)
    assert now.condition == "up"
    assert [(host.state, host.address) for host in now.hosts] == [
        ("running", f"198.18.7.{number}") for number in (2, 3, 4)
    ]
    assert {wire.name: wire.ends for wire in now.wires} == {
        LEFT_WIRE: ("left:eth0", "middle:eth0"),
        RIGHT_WIRE: ("middle:staff.20", "right:eth0"),
    }
    assert lab.up(spec(rt)) is False
    assert "systemd" in lab.logs(rt, "left").read_text(encoding="utf-8", errors="replace")


def test_ssh_wrapper_passes_input_and_copies_files(rt: str, tmp_path: Path) -> None:
    environment = {**os.environ, "TOPOLOGY_LAB": rt}
    done = subprocess.run(
        [lab.SSH_WRAPPER, "198.18.7.2", "cat"],
        input="text",
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "text", "")
    for program in ("scp-in-lab", "sftp-in-lab"):
        copy = tmp_path / program
        command = [str(lab.SSH_WRAPPER.with_name(program)), "-q", "right:/etc/hostname", str(copy)]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        assert copy.read_text(encoding="utf-8") == "right\n"


def test_ssh_wrapper_without_a_lab_sends_nothing() -> None:
    environment = {**os.environ, "TOPOLOGY_LAB": "nosuch"}
    done = subprocess.run([lab.SSH_WRAPPER, "left"], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (255, "lab nosuch is not up; topology lab up starts it\n")


def test_controller_is_in_the_lab_and_the_machine_is_not(rt: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert lab.run(rt, ["ip", "-4", "-brief", "address", "show", "mgmt"]) == 0
    assert "198.18.7.1/24" in capfd.readouterr().out
    assert lab.run(rt, ["sh", "-c", "exit 3"]) == 3
    here = subprocess.run(["ip", "address"], capture_output=True, text=True, check=True).stdout
    assert "198.18." not in here


def test_there_is_no_way_out(rt: str) -> None:
    for host in ("left", "middle", "right"):
        assert shell(rt, host, "ip route show default; ip -6 route show default") == ""
        began = time.monotonic()
        assert "unreachable" in shell(rt, host, "ping -c 1 -W 5 198.51.100.1", fails=True)
        assert "unreachable" in shell(rt, host, "ping -c 1 -W 5 2001:db8::1", fails=True).lower()
        assert time.monotonic() - began < 1
    # The management network leads to the controller, not to other hosts.
    shell(rt, "left", "ping -c 1 -W 1 198.18.7.1")
    shell(rt, "left", "ping -c 1 -W 1 198.18.7.4", fails=True)


def test_networkd_routes_and_forwarding_in_both_families(rt: str) -> None:
    shell(
        rt,
        "left",
        """
        printf '[Match]\\nName=eth0\\n[Network]\\nAddress=10.99.1.2/24\\nAddress=fd99:1::2/64\\nIPv6AcceptRA=no\\n' \
            > /etc/systemd/network/20-eth0.network
        printf '[Route]\\nDestination=10.99.2.0/24\\nGateway=10.99.1.1\\n' >> /etc/systemd/network/20-eth0.network
        printf '[Route]\\nDestination=fd99:2::/64\\nGateway=fd99:1::1\\n' >> /etc/systemd/network/20-eth0.network
        networkctl reload
        """,
    )
    until(lambda: "configured" in shell(rt, "left", "networkctl list eth0 --no-legend"))
    shell(
        rt,
        "middle",
        """
        ip link set eth0 up; ip link set staff.20 up
        ip address add 10.99.1.1/24 dev eth0; ip address add 10.99.2.1/24 dev staff.20
        ip address add fd99:1::1/64 dev eth0 nodad; ip address add fd99:2::1/64 dev staff.20 nodad
        """,
    )
    shell(
        rt,
        "right",
        """
        ip link set eth0 up; ip address add 10.99.2.2/24 dev eth0; ip address add fd99:2::2/64 dev eth0 nodad
        ip route add 10.99.1.0/24 via 10.99.2.1; ip route add fd99:1::/64 via fd99:2::1
        """,
    )
    assert "via 10.99.1.1" in shell(rt, "left", "ip route show 10.99.2.0/24")
    assert "via fd99:1::1" in shell(rt, "left", "ip -6 route show fd99:2::/64")
    shell(rt, "left", "ping -c 1 -W 1 10.99.2.2", fails=True)
    shell(rt, "middle", "sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    until(lambda: lab.exec_in(rt, "left", ["ping", "-c1", "-W1", "10.99.2.2"]).returncode == 0)
    until(lambda: lab.exec_in(rt, "left", ["ping", "-c1", "-W1", "fd99:2::2"]).returncode == 0)


def test_a_wire_breaks_goes_silent_and_heals(rt: str) -> None:
    ping = "ping -c 1 -W 1 10.99.1.1"
    carrier = "cat /sys/class/net/eth0/carrier"
    shell(rt, "left", ping)
    lab.break_wire(rt, LEFT_WIRE)
    assert shell(rt, "left", carrier) == "0\n"
    shell(rt, "left", ping, fails=True)
    assert [wire.state for wire in lab.status(rt).wires] == ["broken", "ok"]
    lab.heal_wire(rt, LEFT_WIRE)
    until(lambda: lab.exec_in(rt, "left", ["ping", "-c1", "-W1", "10.99.1.1"]).returncode == 0)
    lab.break_wire(rt, LEFT_WIRE, silent=True)
    assert shell(rt, "left", carrier) == "1\n"
    shell(rt, "left", ping, fails=True)
    assert [wire.state for wire in lab.status(rt).wires] == ["silent", "ok"]
    lab.heal_wire(rt, LEFT_WIRE)
    assert [wire.state for wire in lab.status(rt).wires] == ["ok", "ok"]
    until(lambda: lab.exec_in(rt, "left", ["ping", "-c1", "-W1", "10.99.1.1"]).returncode == 0)
    with pytest.raises(LabError, match="has no wire 'nowhere'; its wires are"):
        lab.break_wire(rt, "nowhere")


def test_packages_come_from_the_mirror(rt: str) -> None:
    shell(rt, "middle", "apt-get -qq update; apt-get -qq --yes install chrony >/dev/null 2>&1")
    assert shell(rt, "middle", "systemctl is-active chrony") == "active\n"
    # Its clock is the machine's: chronyd must not touch it, and nobody in a host may. Only look
    # at the rights: trying them would set the clock on the very day this test is needed.
    assert " -x" in shell(rt, "middle", "tr '\\0' ' ' < /proc/$(pgrep -o chronyd)/cmdline")
    for process in ("1", "self"):
        bounding = int(shell(rt, "middle", f"awk '/^CapBnd/ {{print $2}}' /proc/{process}/status"), 16)
        assert not bounding & (1 << 25), "CAP_SYS_TIME: a lab host could set this machine's clock"
    shell(rt, "middle", "touch /var/lib/lab-mirror/x", fails=True)


def test_a_host_reboots_and_forgets_what_was_not_written(rt: str) -> None:
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    before = shell(rt, "right", boot_id)
    shell(rt, "right", "echo kept > /root/file; nft add table inet gone")
    lab.reboot_host(rt, "right")
    # Ansible's reboot module goes by this id; every boot of a container has its own.
    assert shell(rt, "right", boot_id) != before
    assert shell(rt, "right", "cat /root/file") == "kept\n"
    assert shell(rt, "right", "nft list ruleset; ip -4 address show dev eth0") == ""
    assert lab.status(rt).condition == "up"
    shell(rt, "right", "ip link set eth0 up; ip address add 10.99.2.2/24 dev eth0; ping -c 2 -W 1 10.99.2.1")


def test_a_host_loses_power_and_comes_back(rt: str) -> None:
    lab.kill_host(rt, "left")
    now = lab.status(rt)
    assert (now.condition, now.hosts[0].state, now.hosts[0].why) == (
        "degraded",
        "dead",
        "its container was killed",
    )
    with pytest.raises(LabError, match="host left of lab rt is not running"):
        lab.exec_in(rt, "left", ["true"])
    lab.start_host(rt, "left")
    assert lab.status(rt).condition == "up"
    # What networkd was told in a file is there again.
    until(lambda: lab.exec_in(rt, "left", ["ping", "-c1", "-W1", "10.99.1.1"]).returncode == 0)


def test_a_killed_container_is_seen_and_cleaned(rt: str) -> None:
    pid = hosts.nspawn_pid(LabNames(rt), "middle")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: lab.status(rt).hosts[1].state == "dead")
    until(lambda: lab.status(rt).hosts[1].why == "its container was killed")
    assert lab.status(rt).condition == "degraded"
    assert lab.down(rt) is True
    assert lab.leftovers(rt) == []
    assert lab.status(rt).condition == "down"
    assert lab.down(rt) is False


# ---------------------------------------------------------------- killed in the middle


def start_up(name: str, *, stderr: int | None = None) -> subprocess.Popen[bytes]:
    """Run `up` in a process of its own, so that it can be killed."""
    script = (
        # a background job of a shell starts with SIGINT ignored: this one must hear it
        "import importlib.util, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"spec = importlib.util.spec_from_file_location('t', {str(Path(__file__))!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        f"module.lab.up(module.spec({name!r}))\n"
    )
    return subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY, start_new_session=True, stderr=stderr)


@pytest.mark.parametrize("whole_group", [True, False], ids=["group", "process"])
@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.1, 0.3, 0.8, 1.5, 2.5])
def test_a_killed_up_leaves_nothing_after_down(seconds: float, whole_group: bool) -> None:
    process = start_up("rtk")
    # Count from the moment it has begun and not from Python's start, which takes longer.
    until(lambda: names.STATE_ROOT.joinpath("rtk.lock").exists() or process.poll() is not None)
    time.sleep(seconds)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    lab.down("rtk")
    assert lab.leftovers("rtk") == []
    time.sleep(0.1)
    assert lab.leftovers("rtk") == []


def test_the_next_up_cleans_after_a_killed_one_and_only_one_may_run() -> None:
    process = start_up("rtk")
    lock = names.STATE_ROOT / "rtk.lock"
    until(lambda: lock.exists() and lock.read_text(encoding="ascii").startswith(str(process.pid)))
    with pytest.raises(LabError, match=f"lab rtk is being changed by process {process.pid} .topology lab up"):
        lab.up(spec("rtk"))
    assert lab.status("rtk").condition == "changing"
    until(lambda: LabNames("rtk").log("right").exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert lab.status("rtk").condition == "leftovers"
    try:
        assert lab.up(spec("rtk")) is True
        assert lab.status("rtk").condition == "up"
    finally:
        lab.down("rtk")
    assert lab.leftovers("rtk") == []


def test_an_interrupted_up_cleans_up_by_itself() -> None:
    process = start_up("rtk", stderr=subprocess.PIPE)
    until(lambda: LabNames("rtk").log("right").exists())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode != 0
    assert lab.leftovers("rtk") == []


def test_down_ends_what_the_controller_left_running() -> None:
    lab.up(spec("rtk"))
    control = LabNames("rtk").state / "control"
    options = ["-o", "ControlMaster=auto", "-o", f"ControlPath={control}", "-o", "ControlPersist=60"]
    assert lab.run("rtk", ["ssh", "-F", str(LabNames("rtk").ssh_config), *options, "left", "true"]) == 0
    assert control.exists()
    lab.down("rtk")
    assert lab.leftovers("rtk") == []


# ---------------------------------------------------------------- no lab needed


def test_what_is_wrong_with_a_spec_is_said_at_once() -> None:
    wrong = LabSpec(
        name="rtk",
        hosts=(
            LabHost("a", 1, (LabInterface("an-interface-name-too-long", "here"),)),
            LabHost("a", 300, (LabInterface("mgmt0", "nowhere"),)),
        ),
        wires=(LabWire("here", "lan"),),
        management=ipaddress.IPv4Network("198.18.7.0/24"),
    )
    with pytest.raises(LabError) as caught:
        lab.up(wrong)
    text = str(caught.value)
    for part in (
        "host a is there twice",
        "host number 1 (a) does not fit",
        "host number 300 (a) does not fit",
        "'an-interface-name-too-long' of a is not a usable name",
        "'mgmt0' of a is there twice",
        "wire 'nowhere', which is not there",
    ):
        assert part in text
    assert "\n" not in text
    assert lab.leftovers("rtk") == []
