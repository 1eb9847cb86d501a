"""FreeBSD's official cloud image as a virtual machine of the lab: fetched by path or URL, checked, given a seed.

The image has cloud-init's stand-in nuageinit (`BASIC-CLOUDINIT`; it writes files from 14.3 on), which reads a NoCloud
seed: a disk called `cidata` with the login key, the host key and the ports' names. What comes then is the same as
for any gateway: deploys/bootstrap.py as root, then playbooks/site.yml.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import urllib.request
from pathlib import Path

from topology.lab import commands
from topology.lab.errors import LabError
from topology.lab.names import CACHE_ROOT, LAB_USER, MANAGEMENT_INTERFACE, LabNames
from topology.lab.spec import LabHost, LabSpec

IMAGE_VARIABLE = "TOPOLOGY_FREEBSD_IMAGE"
SUM_VARIABLE = "TOPOLOGY_FREEBSD_SHA256"
HOW_TO_GET_ONE = (
    f"no FreeBSD image: set {IMAGE_VARIABLE} to the path or URL of FreeBSD-VERSION-RELEASE-amd64-BASIC-CLOUDINIT-zfs"
    f".qcow2.xz from the project's VM-IMAGES folder and {SUM_VARIABLE} to its line in CHECKSUM.SHA256"
)


def image() -> Path:
    """Return the image as qcow2, fetched, checked and unpacked once.

    Raises LabError when none is named, when its sum is missing or wrong, or when it cannot be had.
    """
    named, wanted = os.environ.get(IMAGE_VARIABLE, ""), os.environ.get(SUM_VARIABLE, "").strip().lower()
    if not named:
        raise LabError(HOW_TO_GET_ONE)
    if len(wanted) != 64 or set(wanted) - set("0123456789abcdef"):
        raise LabError(f"{SUM_VARIABLE} must be the image's SHA-256, 64 digits; CHECKSUM.SHA256 beside it has it")
    ready = CACHE_ROOT / f"image-freebsd-{wanted[:12]}" / "disk.qcow2"
    if ready.exists():
        return ready
    new = ready.parent.with_name(f"new-{ready.parent.name}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        packed = new / "packed"
        _fetch(named, packed)
        found = _sum(packed)
        if found != wanted:
            raise LabError(f"{named} has the SHA-256 {found}, not {wanted}; it is damaged or another one")
        _unpack(packed, new / ready.name)
        packed.unlink(missing_ok=True)
        new.rename(ready.parent)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return ready


def _fetch(named: str, target: Path) -> None:
    try:
        if "://" in named:
            with urllib.request.urlopen(named, timeout=60) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 2**20)
        else:
            shutil.copyfile(named, target)
    except OSError as error:
        raise LabError(f"{named} cannot be read: {error}") from None


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(packed: Path, target: Path) -> None:
    with packed.open("rb") as file:
        is_xz = file.read(6) == b"\xfd7zXZ\0"
    if not is_xz:
        packed.rename(target)
        return
    try:
        with lzma.open(packed) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 2**20)
    except lzma.LZMAError as error:
        raise LabError(f"the image cannot be unpacked: {error}") from None


def user_data(spec: LabSpec, host: LabHost, login_key: str, host_key: str) -> str:
    """Return the seed's user-data: root's key, the host key that known_hosts has, and the ports' names.

    Names are in rc.conf.local, which is read after rc.conf: the gateway's own rc.conf is the district's and knows
    nothing of the lab. The cards come in the order QEMU plugs them: management first.
    """
    address = f"{spec.management_address(host)}/{spec.management.prefixlen}"
    names = {f"vtnet{index}": port for index, port in enumerate((MANAGEMENT_INTERFACE, *host.ports))}
    files = {
        "/root/.ssh/authorized_keys": (0o600, login_key),
        "/etc/ssh/ssh_host_ed25519_key": (0o600, host_key),
        "/etc/rc.conf.local": (
            0o644,
            "# The lab's management network and the names of the ports.\n"
            + "".join(f'ifconfig_{card}_name="{port}"\n' for card, port in names.items())
            + f'ifconfig_{MANAGEMENT_INTERFACE}="inet {address}"\n',
        ),
    }
    written = "".join(
        f"  - path: {path}\n    permissions: '{mode:04o}'\n    content: |\n"
        + "".join(f"      {line}\n" for line in text.splitlines())
        for path, (mode, text) in files.items()
    )
    return (
        f"#cloud-config\nhostname: {host.name}\n"
        f"users:\n  - name: {LAB_USER}\n    groups: wheel\n    ssh_authorized_keys:\n      - {login_key.strip()}\n"
        f"write_files:\n{written}runcmd:\n"
        "  - sysrc sshd_enable=YES\n"
        "  - echo 'PermitRootLogin prohibit-password' >> /etc/ssh/sshd_config\n"
        # the ports have their names from the next boot on
        "  - shutdown -r now\n"
    )


def make_disk(spec: LabSpec, host: LabHost, login_key: str, host_key: str) -> None:
    """Make a machine's disk on top of the image, and its seed, an ISO 9660 file system called cidata."""
    data = LabNames(spec.name).host_data(host.name)
    folder = data / "seed"
    folder.mkdir(parents=True, exist_ok=True)
    disk, seed = disks(LabNames(spec.name), host.name)
    disk.unlink(missing_ok=True)
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image()), str(disk), "12G"]
    commands.tool(command, what=f"making the disk of {host.name}")
    (folder / "meta-data").write_text(f"instance-id: {spec.name}-{host.name}\nlocal-hostname: {host.name}\n", "utf-8")
    (folder / "user-data").write_text(user_data(spec, host, login_key, host_key), "utf-8")
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-volid", "cidata", "-joliet", "-rock", "-output", str(seed)]
    commands.tool([*command, str(folder)], what=f"making the seed of {host.name}")


def disks(names: LabNames, host: str) -> tuple[Path, Path]:
    """Return where a machine's disk and its seed are."""
    return names.host_data(host) / "disk.qcow2", names.host_data(host) / "seed.iso"
