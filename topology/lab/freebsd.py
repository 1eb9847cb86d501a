"""FreeBSD's official cloud image as a virtual machine of the lab: fetched by path or URL, checked, given a seed.

The image has cloud-init's stand-in nuageinit (`BASIC-CLOUDINIT`), which reads a NoCloud
seed: a disk called `cidata` with a script that sets the login key, the host key and the ports' names. What comes then
is the same as for any gateway: deploys/bootstrap.py as root, then playbooks/site.yml. A machine of the lab has no way
out, so its packages are a disk too, made from a folder with a pkg(8) repository.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import urllib.request
from pathlib import Path

import yaml

from topology.lab import commands
from topology.lab.errors import LabError
from topology.lab.names import CACHE_ROOT, LAB_USER, MANAGEMENT_INTERFACE, MIRROR_IN_HOST, LabNames
from topology.lab.spec import LabHost, LabSpec

IMAGE_VARIABLE = "TOPOLOGY_FREEBSD_IMAGE"
SUM_VARIABLE = "TOPOLOGY_FREEBSD_SHA256"
PACKAGES_VARIABLE = "TOPOLOGY_FREEBSD_PACKAGES"
HOW_TO_GET_ONE = (
    f"no FreeBSD image: set {IMAGE_VARIABLE} to the path or URL of FreeBSD-VERSION-RELEASE-amd64-BASIC-CLOUDINIT-ufs"
    f".qcow2.xz from the project's VM-IMAGES folder and {SUM_VARIABLE} to its line in CHECKSUM.SHA256"
)
_PACKAGES_LABEL = "packages"
_END = "END_OF_FILE"
_ROLES = Path(__file__).parents[2] / "roles"


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
    """Return the seed's user-data: a script that nuageinit runs as root at the end of the first boot.

    A script and not cloud-config: nuageinit's write_files makes no folders (/root/.ssh is none in the image) and ends
    at the first file it cannot write. Names of ports are in rc.conf.local, which is read after rc.conf: the gateway's
    own rc.conf is the district's and knows nothing of the lab. The cards come in the order QEMU plugs them, management
    first. The reboot is /firstboot-reboot's, or rc(8) would take the next boot for the first one again.
    """
    address = f"{spec.management_address(host)}/{spec.management.prefixlen}"
    names = {f"vtnet{index}": port for index, port in enumerate((MANAGEMENT_INTERFACE, *host.ports))}
    rc_conf = "".join(f'ifconfig_{card}_name="{port}"\n' for card, port in names.items())
    # the image asks for DHCP on every port, and no wire has a server: a minute each, at every boot
    rc_conf += 'ifconfig_DEFAULT=""\n'
    login_key = f"{login_key.strip()}\n"
    files = {
        "/root/.ssh/authorized_keys": ("600", login_key),
        f"/home/{LAB_USER}/.ssh/authorized_keys": ("600", login_key),
        # no administrator of the district: the bootstrap deploy does not know this login
        f"/usr/local/etc/sudoers.d/{LAB_USER}": ("440", f"{LAB_USER} ALL=(ALL:ALL) NOPASSWD: ALL\n"),
        "/etc/ssh/ssh_host_ed25519_key": ("600", host_key),
        "/etc/rc.conf.local": (
            "644",
            f"# The lab's management network and the names of the ports.\n{rc_conf}"
            f'ifconfig_{MANAGEMENT_INTERFACE}="inet {address}"\n',
        ),
        # packages come from the lab's disk and from nowhere else
        "/usr/local/etc/pkg/repos/lab.conf": (
            "644",
            # what 14 calls the project's repositories, and what 15 calls them
            "".join(f"FreeBSD{name}: {{ enabled: no }}\n" for name in ("", "-kmods", "-ports", "-ports-kmods"))
            + f'lab: {{ url: "file://{MIRROR_IN_HOST}", signature_type: "none", enabled: yes }}\n',
        ),
    }
    written = "".join(f"put {path} {mode} <<'{_END}'\n{text}{_END}\n" for path, (mode, text) in files.items())
    return f"""\
#!/bin/sh
# Made for the lab, run once at the end of the first boot.
set -eu
put() {{
    mkdir -p "${{1%/*}}"
    (umask 077; cat > "$1")
    chmod "$2" "$1"
}}
pw useradd {LAB_USER} -m -s /bin/sh -w no
{written}chmod 700 /root/.ssh /home/{LAB_USER}/.ssh
chown -R {LAB_USER}:{LAB_USER} /home/{LAB_USER}/.ssh
ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key > /etc/ssh/ssh_host_ed25519_key.pub
echo 'PermitRootLogin prohibit-password' >> /etc/ssh/sshd_config
sysrc sshd_enable=YES firstboot_freebsd_update_enable=NO
mkdir -p {MIRROR_IN_HOST}
echo '/dev/iso9660/{_PACKAGES_LABEL} {MIRROR_IN_HOST} cd9660 ro,failok 0 0' >> /etc/fstab
if mount {MIRROR_IN_HOST}; then
    # pkg(7) would fetch pkg(8) from the internet
    package=$(ls {MIRROR_IN_HOST}/All/pkg-[0-9]*.pkg | tail -n 1)
    tar -xf "$package" -C /tmp -s ',/.*/,,' '*/pkg-static'
    /tmp/pkg-static add -f "$package"
fi
touch /firstboot-reboot
"""


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
    _make_iso("cidata", folder, seed)


def packages() -> Path:
    """Return the folder with the packages, a pkg(8) repository; LabError when it is none, with how to make one."""
    named = os.environ.get(PACKAGES_VARIABLE, "")
    how = f"on a FreeBSD of the same release: pkg fetch -y -d -o FOLDER pkg {' '.join(wanted())} && pkg repo FOLDER"
    if not named:
        raise LabError(f"no FreeBSD packages: set {PACKAGES_VARIABLE} to a folder made {how}")
    folder = Path(named)
    missing = [name for name in ("pkg", *wanted()) if not _packed(folder, name)]
    if missing or not (folder / "packagesite.pkg").exists():
        what = f"lacks {', '.join(missing)}" if missing else "has no packagesite.pkg"
        raise LabError(f"{folder} {what}; it is made {how}")
    return folder


def _packed(folder: Path, name: str) -> bool:
    """Say whether a package is there: `name-version.pkg`, where flavoured and named ones begin with more letters."""
    return any(path.name.removeprefix(f"{name}-")[:1].isdigit() for path in (folder / "All").glob(f"{name}-*.pkg"))


def wanted() -> tuple[str, ...]:
    """Return the packages that a FreeBSD gateway gets, from where its roles and the bootstrap name them."""
    found = {"python3"}  # bootstrap.py's, for Ansible; the others are the roles' too
    for file in sorted(_ROLES.glob("*/vars/FreeBSD.yml")):
        for key, value in (yaml.safe_load(file.read_text("utf-8")) or {}).items():
            if key.endswith("_packages"):
                found.update(value)
    return tuple(sorted(found))


def packages_disk() -> Path:
    """Return the packages as an ISO 9660 image, made once for each state of the folder."""
    folder = packages()
    state = hashlib.sha256((folder / "packagesite.pkg").read_bytes()).hexdigest()[:12]
    disk = CACHE_ROOT / f"image-freebsd-packages-{state}.iso"
    if not disk.exists():
        new = disk.with_name(f"new-{disk.name}")
        new.unlink(missing_ok=True)
        _make_iso(_PACKAGES_LABEL, folder, new)
        new.rename(disk)
    return disk


def _make_iso(label: str, folder: Path, target: Path) -> None:
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-volid", label, "-joliet", "-rock", "-output", str(target)]
    commands.tool([*command, str(folder)], what=f"making the disk {label}")


def disks(names: LabNames, host: str) -> tuple[Path, Path]:
    """Return where a machine's disk and its seed are."""
    return names.host_data(host) / "disk.qcow2", names.host_data(host) / "seed.iso"
