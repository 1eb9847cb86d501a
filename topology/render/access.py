"""How people get in: sshd and sudo. The same on Debian and FreeBSD but for the places."""

from __future__ import annotations

from topology.allocate import Host
from topology.render import reader
from topology.render.common import Context, fill


def files(context: Context, host: Host) -> dict[str, str]:
    """Return sshd's drop-in (keys only) and the administrators' sudo rights."""
    prefix = "usr/local/etc" if host.platform == "freebsd" else "etc"
    header = context.header(host)
    admins = [admin.name for admin in context.plan.district.admins]
    names = {"reader": reader.USER, "program": reader.PROGRAM, "keys": reader.KEYS}
    read = names if reader.readers(context.plan) else {}
    return {
        "etc/ssh/sshd_config.d/10-topology.conf": fill("common/sshd.conf.j2", header=header, **read),
        f"{prefix}/sudoers.d/topology-admins": fill("common/sudoers.j2", header=header, admins=admins, **read),
    }
