"""What the machine needs before a lab can run on it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from topology.lab.commands import tool_environment
from topology.lab.errors import LabError

_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "findmnt": "util-linux",
    "mount": "mount",
    "apt-get": "apt",
    "dpkg": "dpkg",
    "chattr": "e2fsprogs",
    "nft": "nftables",  # the tests' probes count packets with it
}
_FILES = {Path("/usr/share/keyrings/debian-archive-keyring.gpg"): "debian-archive-keyring"}
_NETWORK_DEVICE = Path("/dev/net/tun")


def missing_prerequisites() -> list[str]:
    """Return the Debian packages that have to be installed before a lab can run."""
    path = tool_environment()["PATH"]
    missing = {package for program, package in _PROGRAMS.items() if shutil.which(program, path=path) is None}
    missing |= {package for file, package in _FILES.items() if not file.exists()}
    return sorted(missing)


def check_prerequisites() -> None:
    """Raise LabError if a lab cannot run here."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root: it makes namespaces, mounts and containers; use sudo")
    missing = missing_prerequisites()
    if missing:
        raise LabError(f"the lab needs packages that are not installed: apt-get install {' '.join(missing)}")
    kernel = Path("/proc/filesystems").read_text(encoding="ascii").split()
    if "overlay" not in kernel and shutil.which("modprobe", path=tool_environment()["PATH"]) is None:
        raise LabError("this kernel has no overlayfs, which carries the hosts' disks")
    if not _NETWORK_DEVICE.exists():
        raise LabError(f"{_NETWORK_DEVICE} is missing, which tunnels in the lab need; modprobe tun")
