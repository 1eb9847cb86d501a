"""A NAS: Samba, the command `nas` with its configuration, units, people as the host's accounts.

Numbers of people's accounts come from users.yml, those of agencies' groups from the registry, so they are the same
on every NAS and files keep their owners wherever they are sent.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from topology.allocate import Host, Interface, Plan
from topology.render.common import Context, fill
from topology.schema import Person

SERVICE = "nas"
"""Name of the service (services/)."""
DEVICE = "/dev/disk/by-partlabel/nas-data"
"""The data disk: whoever builds the NAS names its partition (or its RAID's) so."""
STORAGE = "storage"
"""Network that replication uses."""
PEER_USER = "nas-peer"
AUTHORIZED = "var/lib/nas-peer/.ssh/authorized_keys"
NO_SHELL = "/usr/sbin/nologin"
AUXILIARY = "nas-auxiliary"
_USER_BASE, _AUXILIARY_GID, _AGENCY_BASE = 20_000, 19_999, 30_000
_TABLE = 445
"""Routing table of what is sent from the storage address."""
_GIB = 2**30
_CODE = Path(__file__).parents[1] / "nas"


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a NAS's files; nothing for other hosts."""
    plan = context.plan
    service = plan.district.services.get(SERVICE)
    if service is None or host.name not in service.hosts or not storage(host):
        return {}
    header = context.header(host, f"services/{SERVICE}.yml", "users.yml")
    found = {
        "etc/samba/smb.conf": smb_conf(context, host, header),
        "etc/topology/nas.json": f"// {header}\n{json.dumps(configuration(context, host), indent=1)}\n",
        "etc/topology/nas_known_hosts": _known_hosts(plan, header),
        AUTHORIZED: _authorized(plan, host, header),
        "etc/sudoers.d/topology-nas": fill("nas/sudoers.j2", header=header, user=PEER_USER),
        "etc/nsswitch.conf": fill("nas/nsswitch.conf.j2", header=header),
        "var/lib/extrausers/passwd": f"# {header}\n" + "".join(_passwd(context)),
        "var/lib/extrausers/group": f"# {header}\n" + "".join(_groups(context)),
        "var/lib/extrausers/shadow": f"# {header}\n" + "".join(f"{p.name}:!:20000::::::\n" for p in current(context)),
        "usr/local/sbin/nas": fill("nas/nas.j2", header=header),
        "etc/systemd/system/srv-nas.mount": fill("nas/srv-nas.mount.j2", header=header, device=DEVICE),
    }
    for name in ("nas-agent.service", "nas-smb.service", "nas-replicate.service", "nas-replicate.timer",
                 "nas-verify.service", "nas-verify.timer"):  # fmt: skip
        found[f"etc/systemd/system/{name}"] = fill(f"nas/{name}.j2", header=header)
    for name, text in _code():
        found[f"usr/local/lib/topology/nas/{name}"] = f"# {header}\n{text}"
    return found


def nodes(plan: Plan) -> dict[str, Host]:
    """Return every NAS of the plan, the first the one that begins."""
    service = plan.district.services.get(SERVICE)
    return {n: plan.hosts[n] for n in (service.hosts if service else ()) if n in plan.hosts and storage(plan.hosts[n])}


def storage(host: Host) -> str:
    """Return a host's IPv4 address in the storage network; empty without one."""
    return next((i.addresses[0] for i in host.of_kind("host") if i.network == STORAGE), "")


def current(context: Context) -> list[Person]:
    """Return the people who have not left."""
    people = context.plan.district.users.users
    return [p for p in people if p.left is None or p.left > context.today]


def agencies(plan: Plan) -> dict[str, int]:
    """Return the agencies that have a group share, those of people past and present, with their groups' numbers."""
    people = plan.district.users.users
    slugs = sorted({a for p in people for a in (p.agency, *p.also)})
    places = plan.district.places
    return {s: _AGENCY_BASE + 256 * places[s].second_octet + places[s].third_octet for s in slugs if s in places}


def sid(plan: Plan) -> str:
    """Return the identity all NAS share: access lists on the disk name it. From the domain, so it never moves."""
    digest = hashlib.sha256(f"nas {plan.district.facts.domain}".encode()).digest()
    parts = (int.from_bytes(digest[i : i + 4], "big") for i in (0, 4, 8))
    return "S-1-5-21-" + "-".join(str(p) for p in parts)


def configuration(context: Context, host: Host) -> dict[str, object]:
    """Return what the command `nas` is told."""
    plan, users = context.plan, context.plan.district.users
    return {
        "host": host.name,
        "first": next(iter(nodes(plan))),
        "source": storage(host),
        "nodes": {name: storage(node) for name, node in nodes(plan).items()},
        "sid": sid(plan),
        "timezone": plan.district.facts.timezone,
        "users": [
            {"name": p.name, "uid": _USER_BASE + p.number, "quota": int((p.quota_gb or users.quota_gb) * _GIB),
             "left": p.left.isoformat() if p.left else None}
            for p in users.users
        ],
        "agencies": [
            {"slug": s, "gid": gid, "quota": int(users.agency_quota_gb * _GIB)} for s, gid in agencies(plan).items()
        ],
    }  # fmt: skip


def smb_conf(context: Context, host: Host, header: str) -> str:
    """Return Samba's configuration: the same on every NAS but for the first line."""
    plan = context.plan
    service = plan.district.services[SERVICE]
    domain = plan.district.facts.domain
    return fill(
        "nas/smb.conf.j2",
        header=header,
        workgroup=domain.split(".")[0].upper()[:15],
        name=(service.name or SERVICE).upper()[:15],
        description=plan.district.facts.name,
        port=next((p.port for p in service.ports), 445),
        auxiliary=AUXILIARY,
        users=current(context),
        agencies=[(slug, plan.district.places[slug].data.name) for slug in agencies(plan)],
    )


def _passwd(context: Context) -> list[str]:
    return [
        f"{p.name}:x:{_USER_BASE + p.number}:{_USER_BASE + p.number}:{_gecos(p.full_name)}:/nonexistent:{NO_SHELL}\n"
        for p in current(context)
    ]


def _gecos(text: str) -> str:
    return "".join(" " if c in ":,\n" else c for c in text)


def _groups(context: Context) -> list[str]:
    people = current(context)
    lines = [f"{AUXILIARY}:x:{_AUXILIARY_GID}:{','.join(p.name for p in people if p.auxiliary)}\n"]
    for slug, gid in agencies(context.plan).items():
        lines.append(f"{slug}:x:{gid}:{','.join(p.name for p in people if slug in (p.agency, *p.also))}\n")
    return lines + [f"{p.name}:x:{_USER_BASE + p.number}:\n" for p in people]


def _known_hosts(plan: Plan, header: str) -> str:
    keys = plan.district.keys.nas_hosts
    return f"# {header}\n" + "".join(f"{n} ssh-ed25519 {keys[n]}\n" for n in nodes(plan) if n in keys)


def _authorized(plan: Plan, host: Host, header: str) -> str:
    keys, lines = plan.district.keys.nas, [f"# {header}\n"]
    for name in nodes(plan):
        if name in keys and name != host.name:
            command = f'NAS_REQUEST=\\"$SSH_ORIGINAL_COMMAND\\" sudo -n /usr/local/sbin/nas peer {name}'
            lines.append(f'restrict,command="{command}" ssh-ed25519 {keys[name]} {name}\n')
    return "".join(lines)


def routing(context: Context, host: Host, interface: Interface) -> str:
    """Return what a NAS's storage interface has besides: what is sent from its address goes out there.

    Replication comes from and goes to these addresses, and gateways drop them on any other of their ports.
    """
    if interface.network != STORAGE or host.name not in nodes(context.plan):
        return ""
    network = context.plan.sites[host.site].network(STORAGE)
    router = context.plan.district.space.host(network.second_octet, network.third_octet, 1)[0]
    return f"\n[RoutingPolicyRule]\nFrom={storage(host)}\nTable={_TABLE}\n\n[Route]\nGateway={router}\nTable={_TABLE}\n"


@cache
def _code() -> tuple[tuple[str, str], ...]:
    return tuple((p.name, p.read_text(encoding="utf-8")) for p in sorted(_CODE.glob("*.py")))
