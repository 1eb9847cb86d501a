"""Virtual machines of a lab: what is made of the same definition, their cables, FreeBSD's image and seed."""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import socket
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from topology import lab
from topology.expect.units import variables
from topology.inventory import plan_of
from topology.lab import cables, freebsd, vm
from topology.lab.names import MIRROR_IN_HOST
from topology.lab.slice import lab_spec
from topology.load import LoadError, load

ROOT = Path(__file__).parents[2]
SCENARIO = ROOT / "molecule/gateway/lab"
FRAME = bytes(range(12)) + b"\x08\x00" + b"payload" * 9


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> lab.LabSpec:
    """Return the gateway scenario's lab with virtual machines."""
    monkeypatch.setenv("TOPOLOGY_LAB_INSTANCES", "vm")
    return lab_spec(plan_of(SCENARIO))


def test_one_definition_gives_both_kinds(machines: lab.LabSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOPOLOGY_LAB_INSTANCES")
    containers = lab_spec(plan_of(SCENARIO))
    assert {h.kind for h in containers.hosts} == {"container"}
    assert {h.name for h in machines.hosts if h.kind == "vm"} == {"dc-a", "diskominfo-gw"}
    assert [(h.name, h.number) for h in machines.hosts] == [(h.name, h.number) for h in containers.hosts]
    # the same wires with the same ends, though one has trunks
    for one, other in zip(machines.hosts, containers.hosts, strict=True):
        assert [i.wire for i in one.interfaces] == [i.wire for i in other.interfaces], one.name


def test_a_machines_networks_are_vlans_on_one_port(machines: lab.LabSpec) -> None:
    gateway = next(h for h in machines.hosts if h.name == "diskominfo-gw")
    assert gateway.ports == ("isp", "lan")
    assert {i.wire: i.vlan for i in gateway.interfaces if i.port == "lan"} == {
        "diskominfo.mgmt": 10, "diskominfo.staff": 20, "diskominfo.server": 30, "diskominfo.voice": 40,
        "diskominfo.cctv": 50, "diskominfo.guest": 60,
    }  # fmt: skip
    assert set(vm.own_files(machines, gateway)) == {
        *(f"etc/systemd/network/05-{port}.link" for port in ("mgmt0", "isp", "lan")), "etc/fstab",
        "etc/ssh/sshd_config.d/00-machine.conf", "etc/lab-chrony.env", "etc/lab-machine.env",
        "etc/sudoers.d/00-machine", "etc/dbus-1/system.d/00-machine.conf", "etc/systemd/system.conf.d/00-machine.conf",
    }  # fmt: skip


def test_no_role_takes_a_machines_own_files_for_its_own(machines: lab.LabSpec) -> None:
    """The role network removed the files that name the ports, and after a reboot no port had its name."""
    gateway = next(h for h in machines.hosts if h.name == "diskominfo-gw")
    owned = [
        pattern
        for role, values in variables("debian").items()
        for unit in values.get(f"{role}_units", ())
        for pattern in unit.get("owned", ())
    ]
    assert "etc/systemd/network/10-*" in owned
    taken = {f: p for f in vm.own_files(machines, gateway) for p in owned if fnmatchcase(f, p)}
    assert not taken


def test_another_kind_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOPOLOGY_LAB_INSTANCES", "cloud")
    with pytest.raises(LoadError) as caught:
        load(SCENARIO)
    assert ("instances",) in [f.where.path for f in caught.value.findings if f.rule == "SC004"]


def test_a_tag_goes_on_and_comes_off() -> None:
    on_trunk = cables.tagged(FRAME, 20)
    assert on_trunk[12:16] == b"\x81\x00\x00\x14" and on_trunk[16:] == FRAME[12:]
    assert cables.untagged(on_trunk) == (20, FRAME)
    assert cables.untagged(FRAME) == (None, FRAME)
    # the priority bits are no part of the id
    assert cables.untagged(FRAME[:12] + b"\x81\x00\xe0\x14" + FRAME[12:]) == (20, FRAME)


class Trunk:
    """A port whose taps are pipes: frames of VLAN 20 and of VLAN 60."""

    def __init__(self, folder: Path, *vlans: int | None) -> None:
        self.machine = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.machine.bind(str(folder / "vm"))
        self.machine.setblocking(False)
        end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        end.bind(str(folder / "lab"))
        self.address = str(folder / "lab")
        self.wires = {vlan: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for vlan in vlans}
        for pair in self.wires.values():
            for one in pair:
                one.setblocking(False)
        self.port = cables.Port(end, str(folder / "vm"), {v: pair[0].fileno() for v, pair in self.wires.items()})

    def send(self, frame: bytes) -> dict[int | None, bytes]:
        """Send a frame from the machine; return what arrived on which wire."""
        self.machine.sendto(frame, self.address)
        self.port.from_machine()
        found = {}
        for vlan, (_, far) in self.wires.items():
            try:
                found[vlan] = far.recv(2_000)
            except BlockingIOError:
                continue
        return found


def test_a_trunk_keeps_networks_apart(tmp_path: Path) -> None:
    trunk = Trunk(tmp_path, 20, 60)
    assert trunk.send(cables.tagged(FRAME, 20)) == {20: FRAME}
    assert trunk.send(cables.tagged(FRAME, 60)) == {60: FRAME}
    assert trunk.send(cables.tagged(FRAME, 30)) == {}
    assert trunk.send(FRAME) == {}
    trunk.wires[60][1].send(FRAME)
    trunk.port.from_wire(60)
    assert trunk.machine.recv(2_000) == cables.tagged(FRAME, 60)


def test_a_port_of_its_own_carries_everything_as_it_is(tmp_path: Path) -> None:
    port = Trunk(tmp_path, None)
    assert port.send(FRAME) == {None: FRAME}
    assert port.send(cables.tagged(FRAME, 7)) == {None: cables.tagged(FRAME, 7)}
    port.wires[None][1].send(FRAME)
    port.port.from_wire(None)
    assert port.machine.recv(2_000) == FRAME


def test_a_machine_that_is_off_stops_nothing(tmp_path: Path) -> None:
    trunk = Trunk(tmp_path, 20)
    trunk.machine.close()
    os.unlink(tmp_path / "vm")
    trunk.wires[20][1].send(FRAME)
    trunk.port.from_wire(20)
    trunk.port.from_wire(20)  # and nothing is there


def test_without_an_image_one_line_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(freebsd.IMAGE_VARIABLE, raising=False)
    with pytest.raises(lab.LabError) as caught:
        freebsd.image()
    assert freebsd.IMAGE_VARIABLE in str(caught.value) and "\n" not in str(caught.value)


def test_an_image_is_checked_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "image.qcow2.xz"
    packed.write_bytes(lzma.compress(b"QFI\xfb disk"))
    monkeypatch.setattr(freebsd, "CACHE_ROOT", tmp_path / "cache")
    monkeypatch.setenv(freebsd.IMAGE_VARIABLE, str(packed))
    monkeypatch.setenv(freebsd.SUM_VARIABLE, "0" * 64)
    with pytest.raises(lab.LabError, match="damaged or another one"):
        freebsd.image()
    assert not list((tmp_path / "cache").iterdir())
    monkeypatch.setenv(freebsd.SUM_VARIABLE, hashlib.sha256(packed.read_bytes()).hexdigest())
    assert freebsd.image().read_bytes() == b"QFI\xfb disk"
    packed.unlink()
    assert freebsd.image().read_bytes() == b"QFI\xfb disk", "the second time it comes from the cache"


def first_boot(tmp_path: Path, packages: bool) -> tuple[Path, str]:
    """Run the seed's script in a folder that stands for a new FreeBSD; return the folder and what was called."""
    spec = lab_spec(plan_of(ROOT / "molecule/gateway-freebsd/lab"))
    gateway = next(h for h in spec.hosts if h.name == "diskominfo-gw")
    assert gateway.kind == "vm" and gateway.system == "freebsd"
    root, programs, calls = tmp_path / "root", tmp_path / "programs", tmp_path / "calls"
    for folder in ("root", "home", "etc/ssh", "tmp", "var"):
        (root / folder).mkdir(parents=True)
    (root / "etc/ssh/sshd_config").write_text("UsePAM no\n", "ascii")
    (root / "etc/fstab").touch()
    programs.mkdir()
    for name in ("pw", "chown", "sysrc", "ssh-keygen", "mount", "tar"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{calls}\n', "ascii")
        (programs / name).chmod(0o755)
    if packages:
        repository = root / MIRROR_IN_HOST.lstrip("/") / "All"
        repository.mkdir(parents=True)
        for name in ("pkg-2.2.1.pkg", "pkg-provides-0.7.pkg"):
            (repository / name).touch()
        (root / "tmp/pkg-static").write_text(f'#!/bin/sh\necho "pkg-static $*" >>{calls}\n', "ascii")
        (root / "tmp/pkg-static").chmod(0o755)
    else:
        (programs / "mount").write_text("#!/bin/sh\nexit 1\n", "ascii")
    text = freebsd.user_data(spec, gateway, "ssh-ed25519 AAAA lab\n", "-----BEGIN\nkey\n-----END\n")
    assert text.startswith("#!/bin/sh\n"), "nuageinit runs it for its first two letters"
    # not inside a longer path, nor the `/dev` of a device
    places = "|".join(("/root/", "/home/", "/usr/local/etc/", "/etc/", MIRROR_IN_HOST, "/tmp/", "/firstboot-reboot"))
    text = re.sub(rf"(?<![\w/.])(?={places})", str(root), text)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", text], check=True, env=environment)
    return root, calls.read_text("ascii").replace(str(root), "")


def test_the_seed_of_freebsd_makes_what_the_image_lacks(tmp_path: Path) -> None:
    root, calls = first_boot(tmp_path, packages=True)
    assert (root / "etc/rc.conf.local").read_text("ascii").splitlines()[1:] == [
        'ifconfig_vtnet0_name="mgmt0"', 'ifconfig_vtnet1_name="isp"', 'ifconfig_vtnet2_name="lan"',
        'ifconfig_DEFAULT=""', 'ifconfig_mgmt0="inet 198.18.15.12/24"',
    ]  # fmt: skip
    assert (root / "etc/ssh/ssh_host_ed25519_key").read_text("ascii") == "-----BEGIN\nkey\n-----END\n"
    assert (root / "root/.ssh/authorized_keys").read_text("ascii") == "ssh-ed25519 AAAA lab\n"
    for path, mode in (("root/.ssh", 0o700), ("root/.ssh/authorized_keys", 0o600), ("home/lab/.ssh", 0o700),
                       ("usr/local/etc/sudoers.d/lab", 0o440), ("etc/ssh/ssh_host_ed25519_key", 0o600)):  # fmt: skip
        assert (root / path).stat().st_mode & 0o777 == mode, path
    assert "pkg-static add -f /var/lib/lab-mirror/All/pkg-2.2.1.pkg\n" in calls
    assert (root / "firstboot-reboot").exists(), "rc(8) reboots, and the boot after it is no first one"


def test_the_seed_ends_without_packages_too(tmp_path: Path) -> None:
    root, calls = first_boot(tmp_path, packages=False)
    assert "pkg-static" not in calls and (root / "firstboot-reboot").exists()


def test_packages_of_freebsd_are_looked_at_before_anything_boots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(freebsd.PACKAGES_VARIABLE, raising=False)
    with pytest.raises(lab.LabError, match=r"pkg fetch .* kea .*&& pkg repo"):
        freebsd.packages()
    monkeypatch.setenv(freebsd.PACKAGES_VARIABLE, str(tmp_path))
    (tmp_path / "All").mkdir()
    for name in ("pkg", *freebsd.wanted()):
        (tmp_path / "All" / f"{name}-1.0_2,1.pkg").touch()
    (tmp_path / "packagesite.pkg").touch()
    assert freebsd.packages() == tmp_path
    (tmp_path / "All/frr10-1.0_2,1.pkg").unlink()
    with pytest.raises(lab.LabError, match="lacks frr10;"):
        freebsd.packages()  # frr10-pythontools is another package
