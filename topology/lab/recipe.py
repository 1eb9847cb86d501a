"""What the base image of a lab host holds. Any change here makes a new image at the next `up`."""

from __future__ import annotations

from topology.lab.names import LAB_UID, LAB_USER, MIRROR_IN_HOST

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "python3-apt",
    "sudo",
    "iproute2",
    "iputils-ping",
    "nftables",
    "procps",
    "netcat-openbsd",
    "curl",
    "tcpdump",
    "traceroute",
)

DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/examples/*",
)

FILES: dict[str, tuple[int, str]] = {
    "etc/apt/sources.list.d/lab-mirror.list": (0o644, f"deb [trusted=yes] file:{MIRROR_IN_HOST} ./\n"),
    "etc/apt/apt.conf.d/90lab": (
        0o644,
        # The mirror is on the same disk, read-only: no downloads, no languages, no second copy.
        'Acquire::Languages "none";\nAcquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";\n'
        'APT::Install-Recommends "false";\nAPT::Sandbox::User "root";\nDpkg::Use-Pty "0";\n',
    ),
    "etc/default/locale": (0o644, "LANG=C.UTF-8\n"),
    "etc/locale.conf": (0o644, "LANG=C.UTF-8\n"),
    "etc/sudoers.d/lab": (0o440, f"{LAB_USER} ALL=(ALL:ALL) NOPASSWD: ALL\n"),
    "etc/ssh/sshd_config.d/00-lab.conf": (
        0o644,
        "# Made for the lab: quick logins, keys only.\n"
        "HostKey /etc/ssh/ssh_host_ed25519_key\n"
        "UseDNS no\nGSSAPIAuthentication no\nPermitRootLogin no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPrintMotd no\nPrintLastLog no\nX11Forwarding no\n"
        "MaxStartups 200:30:400\nMaxSessions 200\n",
    ),
    # Without this, logins are refused for a moment although sshd already answers.
    "etc/systemd/system/ssh.service.d/lab.conf": (
        0o644,
        "[Unit]\nWants=systemd-user-sessions.service\nAfter=systemd-user-sessions.service\n",
    ),
    # Interfaces that no role has configured yet must not hold up the boot.
    "etc/systemd/system/systemd-networkd-wait-online.service.d/lab.conf": (
        0o644,
        "[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-networkd-wait-online --any --timeout=10\n",
    ),
    # Time is not a host's own: chronyd runs and serves but leaves the machine's clock alone (-x).
    "etc/systemd/system/chrony.service.d/lab.conf": (
        0o644,
        "[Unit]\nConditionCapability=\n[Service]\nEnvironmentFile=/etc/lab-chrony.env\n",
    ),
    "etc/lab-chrony.env": (0o644, "DAEMON_OPTS=-F 1 -x\n"),
    "etc/systemd/journald.conf.d/lab.conf": (
        0o644,
        "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\nForwardToConsole=no\n",
    ),
}

VM_FILES: dict[str, tuple[int, str]] = {
    # Only what finds the disk: everything else is loaded when the root file system is there.
    "etc/initramfs-tools/conf.d/lab.conf": (0o644, "MODULES=list\nCOMPRESS=gzip\nCOMPRESSLEVEL=1\nFSTYPE=ext4\n"),
    "etc/initramfs-tools/modules": (0o644, "virtio_pci\nvirtio_blk\next4\n"),
}
"""On top of FILES, in the image of a virtual machine."""

VM_STEPS = (
    # made when the kernel was installed, before the files above were there
    ("update-initramfs", "-u", "-k", "all"),
    # it is made once: packages that come later need nothing in it
    ("sh", "-c", "echo update_initramfs=no >/etc/initramfs-tools/update-initramfs.conf"),
    # nothing of this is looked at, and by emulation each costs seconds of a boot
    ("systemctl", "mask", "--quiet", "systemd-binfmt.service", "systemd-pcrphase.service", "modprobe@drm.service"),
    ("systemctl", "mask", "--quiet", "getty.target", "serial-getty@ttyS0.service", "systemd-update-utmp.service"),
    ("systemctl", "mask", "--quiet", "systemd-update-utmp-runlevel.service", "systemd-random-seed.service"),
)
"""Commands run in that image after STEPS."""


def vm_packages(architecture: str) -> tuple[str, ...]:
    """Return what a virtual machine has besides PACKAGES: a kernel, made for virtual hardware."""
    return ("udev", "kmod", "initramfs-tools", f"linux-image-cloud-{architecture}")


REMOVED = (
    "etc/apt/sources.list",
    "etc/update-motd.d/10-uname",
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_rsa_key.pub",
    "etc/ssh/ssh_host_ecdsa_key",
    "etc/ssh/ssh_host_ecdsa_key.pub",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "etc/hostname",
    "etc/resolv.conf",
    "var/lib/dbus/machine-id",
)

EMPTIED = ("etc/machine-id",)

STEPS = (
    ("groupadd", "--gid", str(LAB_UID), LAB_USER),
    ("useradd", "--uid", str(LAB_UID), "--gid", LAB_USER, "--create-home", "--shell", "/bin/bash", LAB_USER),
    ("usermod", "--password", "*", LAB_USER),
    ("systemctl", "enable", "--quiet", "systemd-networkd.service", "ssh.service"),
    ("systemctl", "disable", "--quiet", "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer"),
    ("systemctl", "disable", "--quiet", "e2scrub_reap.service", "dpkg-db-backup.timer", "getty@tty1.service"),
    ("systemctl", "mask", "--quiet", "console-getty.service", "systemd-hwdb-update.service"),
    ("python3", "-c", "import apt, ssl, json, socket, subprocess"),
)
"""Commands run inside the finished image, in this order."""
