"""A bare Debian or FreeBSD box becomes one that playbooks can reach: needs SSH and a shell, no Python, no sudo.

    pyinfra deploys/inventory.py deploys/bootstrap.py --limit dinkes-gw \
        --data ssh_hostname=ADDRESS --data ssh_user=root

Administrators with their keys and sudo, sshd with keys only, packages, a clock that is right enough for
TLS. Run as root, as somebody with sudo, or with `--su-user root`. A second run changes nothing (as an
administrator: root may no longer log in). `--dry` shows what would change.
"""

import sys
import time
from functools import cache
from io import StringIO
from os import environ

from pyinfra import config, host
from pyinfra.facts.deb import DebPackages
from pyinfra.facts.files import FileContents
from pyinfra.facts.freebsd import Sysrc
from pyinfra.facts.server import Command
from pyinfra.operations import apt, files, server, systemd
from pyinfra.operations.freebsd import pkg, service, sysrc

from topology.allocate import Plan
from topology.inventory import plan_of
from topology.render import access
from topology.render.common import context_of

PACKAGES = {"debian": ("sudo", "python3", "chrony"), "freebsd": ("sudo", "python3", "chrony")}
CLOCK_ERROR = 3600
"""Seconds a clock may be off before it is set from this machine's; chrony does the rest."""
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf"


@cache
def plan() -> Plan:
    """Return the plan; ends the run when nobody could log in afterwards."""
    found = plan_of(environ.get("TOPOLOGY_INVENTORY", "inventories/luwu"))
    if not found.district.admins:
        sys.exit("bootstrap.py: district.yml names no administrator, and nobody could log in; nothing was changed")
    return found


def told(command: str) -> str:
    """Return what a command says, '' when it fails."""
    return host.get_fact(Command, f"{command} 2>/dev/null || true") or ""


freebsd = host.data.topology_platform == "freebsd"
config.SUDO = config.SU_USER is None and host.get_fact(Command, "id -u") != "0"
rendered = access.files(context_of(plan()), plan().hosts[host.name])
sudoers, sshd = (next(path for path in rendered if word in path) for word in ("sudoers", "sshd"))
group = "wheel" if freebsd else "root"

now = int(time.time())
if abs(int(told("date +%s") or 0) - now) > CLOCK_ERROR:
    server.shell(
        name="Set the clock, or no package source is trusted",
        commands=[f"date -u -f %s {now}" if freebsd else f"date -u -s @{now}"],
    )

if freebsd:
    if told("pkg -N && echo yes").splitlines()[-1:] != ["yes"]:
        server.shell(name="Install pkg itself", commands=["env ASSUME_ALWAYS_YES=yes pkg bootstrap"])
    for package in host.loop(PACKAGES["freebsd"]):
        pkg.install(name=f"Install {package}", package=package)
else:
    missing = [package for package in PACKAGES["debian"] if package not in host.get_fact(DebPackages)]
    if missing:
        apt.update(name="Refresh the package lists")
        apt.packages(name=f"Install {', '.join(missing)}", packages=missing, no_recommends=True)

for admin in host.loop(plan().district.admins):
    server.user(
        name=f"Administrator {admin.name}",
        user=admin.name,
        comment=admin.full_name or admin.name,
        shell="/bin/sh" if freebsd else "/bin/bash",
        groups=["wheel" if freebsd else "sudo"],
        append=True,
        create_home=True,
        ensure_home=True,
        public_keys=list(admin.keys),
        delete_keys=True,
    )

files.put(
    name="Let administrators use sudo", src=StringIO(rendered[sudoers]), dest=f"/{sudoers}",
    user="root", group=group, mode="440",
)  # fmt: skip

keys_only = files.put(
    name="Let sshd accept keys only", src=StringIO(rendered[sshd]), dest=f"/{sshd}",
    user="root", group=group, mode="644",
)  # fmt: skip
main = host.get_fact(FileContents, path="/etc/ssh/sshd_config") or []
included = any(line.split()[:2] == INCLUDE.split() for line in main)
if not included:
    # the first value counts in sshd_config(5), so it comes first
    server.shell(
        name="Let sshd read its drop-ins",
        commands=[
            f"{{ echo '{INCLUDE}'; cat /etc/ssh/sshd_config; }} > /etc/ssh/sshd_config.new"
            " && mv /etc/ssh/sshd_config.new /etc/ssh/sshd_config && chmod 644 /etc/ssh/sshd_config"
        ],
    )

if freebsd:
    for setting, value in host.loop((("sshd_enable", "YES"), ("ntpd_enable", "NO"), ("chronyd_enable", "YES"))):
        if host.get_fact(Sysrc, parameter=setting) not in (value, [value]):
            sysrc.sysrc(name=f"Set {setting}", parameter=setting, value=value, overwrite=True)
    service.service(name="Run the time service", srvname="chronyd", srvstate="started")
else:
    systemd.service(name="Run the time service", service="chrony", running=True, enabled=True)

server.shell(
    name="Reload sshd once its configuration is proven",
    commands=["/usr/sbin/sshd -t", "service sshd reload" if freebsd else "systemctl reload ssh"],
    _if=keys_only.did_change if included else None,
)
