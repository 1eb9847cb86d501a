"""From a plan and a host's rendered files to what is expected of the host."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from ipaddress import ip_network

from topology import inventory, names, routing
from topology.allocate import Host, Plan
from topology.expect import databases, freebsd, replication, services, zones
from topology.expect.daemons import daemons
from topology.expect.groups import Together
from topology.expect.model import AtMost, Between, Expectation, Expected, Near, OneOf, Whole
from topology.expect.units import Unit, packages, units, units_of, variables
from topology.render import Files, knot, nas, postgresql, reader, render_host
from topology.render.common import Context, context_of, with_lengths
from topology.render.wireguard import FOLDERS, KEY_FILE

ROUNDED = 0.001
"""tc prints a rate with at least four digits."""
OFFSET = 0.5
"""Most seconds a clock may be off: what certificates, Kerberos and logs of two hosts side by side bear."""
HANDSHAKE = 300
"""Most seconds since a tunnel's last handshake: there is one every 120 s while packets pass (WireGuard, 6.1)."""
_LISTENERS = {
    "etc/unbound/unbound.conf.d/60-topology.conf": (("53/udp", "unbound"), ("53/tcp", "unbound")),
    "etc/kea/kea-dhcp4.conf": (("67/udp", "kea-dhcp4"),),
    "etc/kea/kea-dhcp6.conf": (("547/udp", "kea-dhcp6"),),
    "etc/frr/frr.conf": (
        ("179/tcp", "bgpd"), ("3784/udp", "bfdd"), ("3785/udp", "bfdd"), ("4784/udp", "bfdd"),
    ),
    "etc/ssh/sshd_config.d/10-topology.conf": (("22/tcp", "sshd"),),
    "usr/local/etc/unbound/unbound.conf": (("53/udp", "unbound"), ("53/tcp", "unbound")),
    "usr/local/etc/kea/kea-dhcp4.conf": (("67/udp", "kea-dhcp4"),),
    "usr/local/etc/kea/kea-dhcp6.conf": (("547/udp", "kea-dhcp6"),),
    "usr/local/etc/frr/frr.conf": (
        ("179/tcp", "bgpd"), ("3784/udp", "bfdd"), ("3785/udp", "bfdd"), ("4784/udp", "bfdd"),
    ),
    "etc/default/etcd": ((f"{postgresql.ETCD}/tcp", "etcd"), (f"{postgresql.ETCD_PEER}/tcp", "etcd")),
    "etc/patroni/config.yml": ((f"{postgresql.REST}/tcp", "patroni"), (f"{postgresql.SQL}/tcp", "postgres")),
    "etc/haproxy/haproxy.cfg": ((f"{postgresql.PROXY}/tcp", "haproxy"),),
    "etc/pgbackrest/pgbackrest.conf": ((f"{postgresql.BACKUP}/tcp", "pgbackrest"),),
    "etc/pgbackrest.conf": ((f"{postgresql.BACKUP}/tcp", "pgbackrest"),),
}  # fmt: skip
"""Rendered file -> ports (IANA's) and programs of the daemon it configures."""
_AS_NEEDED = ("3785/udp",)
"""Ports that newer releases open when something is configured that uses them: FRR 10's BFD, for echoes."""
_RULES = ("etc/nftables.conf", "etc/topology/shape.nft", "etc/pf.conf")
"""What topology-filter loads, in its order."""


def expect(plan: Plan, host: Host, context: Context | None = None, files: Files | None = None) -> Expected:
    """Return what is expected of a managed host; ValueError when playbooks do not configure it.

    `files` are the host's rendered ones, for who has them.
    """
    if not host.managed:
        raise ValueError(f"{host.name} is not configured by playbooks")
    context = context or context_of(plan)
    files = render_host(plan, host, context) if files is None else files
    roles = _roles(host, files)
    applied = [u for u in units(host.platform) if u.role in roles]
    running = [*_services(host, applied, files)]
    active = [e.thing for e in running if e.want.get("active") == "active"]
    found = [
        *_files(applied, files), *_packages(plan, host, applied), *running,
        *daemons(host.platform, applied, files, active), *services.dhcp(files), *services.answers(files),
        *_listeners(host, files), *_addresses(plan, host), *_routes(context, host), *_sysctls(files),
        *_users(plan, host, files), *_ruleset(files), *_shape(files), *_peers(plan, host, files),
        *_neighbours(plan, host), *_time(plan, host), Expectation("mount", "/", {"mode": "rw"}),
        *freebsd.tables(files), *zones.zones(plan, host),
        *replication.replication(files), *replication.backups(files), *replication.shares(files, context.today),
        *replication.certificates(files, host.name, plan.district.facts.domain),
        *databases.databases(files),
        *_nas(context, host, files), *_kept(plan, host, files),
    ]  # fmt: skip
    owned = tuple(f"/{p}" for u in applied for p in u.owned)
    kept = tuple(f"*/{name}" for u in applied for name in u.keep)
    wholes = [
        Whole("file", kept), Whole("listen", _ports_of_tools(files)), Whole("key"), Whole("user"),
        Whole("address", ("lo* 127.0.0.1/8", "lo* ::1/128", "* fe80::*", *_management(plan, host))),
        Whole("route"),
    ]  # fmt: skip
    if host.kind == "gateway":
        wholes += [Whole("peer"), Whole("neighbour"), *([Whole("dhcp")] if any(services.dhcp(files)) else [])]
    # who may do what: nothing besides the plan
    there = {e.kind for e in found}
    wholes += [Whole(kind) for kind in ("share", "right", "account", "login", "role", "setting") if kind in there]
    wholes += [Whole("mount")] if host.platform == "debian" else []
    parts = [files[path] for path in _RULES if path in files]
    texts = {"ruleset": "\n".join(parts)} if parts else {}
    return Expected(host.name, host.site, host.platform, tuple(found), tuple(wholes), owned, texts)


def together(plan: Plan) -> tuple[Together, ...]:
    """Return what must be so of several hosts of a plan together."""
    return (*zones.together(plan), *replication.together(plan))


def _roles(host: Host, files: Files) -> set[str]:
    """Return the roles that are for a host: those of whose units it has files."""
    found = {u.role for path in files for u in units_of(host.platform, path)}
    # frr.service.d and networkd.conf.d lie on hosts whose roles do not place them
    return found if host.kind == "gateway" else found - {"gateway", "filter"}


def _files(applied: list[Unit], files: Files) -> Iterator[Expectation]:
    for path, text in files.items():
        unit = next((u for u in applied if u.has(path)), None)
        if unit is not None:
            digest = hashlib.sha256(text.encode()).hexdigest()
            want = {"sha256": digest, "owner": unit.owner, "group": unit.group, "mode": unit.mode.lstrip("0")}
            yield Expectation("file", f"/{path}", want)


def _packages(plan: Plan, host: Host, applied: list[Unit]) -> Iterator[Expectation]:
    features = tuple(inventory.features(plan, host))
    names = {p for role in {u.role for u in applied} for p in packages(host.platform, role, features)}
    yield from (Expectation("package", name, {"installed": True}) for name in sorted(names))


def _services(host: Host, applied: list[Unit], files: Files) -> Iterator[Expectation]:
    if host.platform == "freebsd":
        yield from freebsd.services(files)
        return
    for unit in applied:
        own = tuple(path for path in files if unit.has(path))
        if own:
            for name in unit.services(own):
                yield Expectation("service", name, {"active": "active", "enabled": OneOf(("enabled", "static"))})
        elif unit.service and not unit.each:
            yield Expectation("service", unit.service, {"active": OneOf(("inactive", "failed"))}, optional=True)
    if host.kind == "gateway" and host.platform == "debian":
        yield Expectation("service", "topology-filter", {"enabled": "enabled"})
        yield Expectation("service", "topology-shape", {"enabled": "enabled"})
        yield Expectation("service", "nftables", {"enabled": "masked"})


def _listeners(host: Host, files: Files) -> Iterator[Expectation]:
    for path, ports in _LISTENERS.items():
        if path in files:
            for number, program in ports:
                yield Expectation("listen", number, {"program": program}, optional=number in _AS_NEEDED)
    time = files.get("etc/chrony/chrony.conf", files.get("usr/local/etc/chrony.conf", ""))
    if re.search(r"^allow ", time, re.MULTILINE):
        yield Expectation("listen", "123/udp", {"program": "chronyd"})
    sync = re.search(r"^\s*Port (\d+)", files.get("etc/conntrackd/conntrackd.conf", ""), re.MULTILINE)
    if sync:
        yield Expectation("listen", f"{sync[1]}/udp", {"program": "conntrackd"})
    for path in knot.CONFIGURATION.values():
        for number in sorted(set(re.findall(r'@(\d+)"', _line(files.get(path, ""), "listen")))):
            yield from (Expectation("listen", f"{number}/{p}", {"program": "knotd"}) for p in ("udp", "tcp"))
    for path, text in files.items():
        port = re.search(r"^ListenPort = (\d+)", text, re.MULTILINE) if "etc/wireguard/" in path else None
        if port:
            # the kernel's own sockets have no program
            yield Expectation("listen", f"{port[1]}/udp", {"program": OneOf(("", "wireguard-go"))})


def _line(text: str, key: str) -> str:
    """Return the first line of a YAML text with a key; empty without one."""
    return next((row for row in text.splitlines() if row.strip().startswith(f"{key}:")), "")


def _ports_of_tools(files: Files) -> tuple[str, ...]:
    """Return patterns of ports that programs take as they come: BFD's own (RFC 5881, 4), state synchronisation's."""
    found = []
    if any(path.endswith("etc/frr/frr.conf") for path in files):
        found.append("* bfdd")
    if "etc/rc.conf" in files:
        # sockstat has sockets that wait for an answer among those that listen; syslogd -s sends from its port
        found += ["*/udp unbound", "*/udp chronyd", "514/udp syslogd", "68/udp dhclient"]
    if "etc/conntrackd/conntrackd.conf" in files:
        found.append("* conntrackd")
    return tuple(found)


def _management(plan: Plan, host: Host) -> tuple[str, ...]:
    """Return the addresses that no plan has: a provider's, and what a lab adds to a host."""
    leased = tuple(f"{i.name} *" for i in host.of_kind("uplink") if not i.static)
    if plan.district.lab is None:
        return leased
    from topology.lab.names import MANAGEMENT_INTERFACE

    return (f"{MANAGEMENT_INTERFACE} *", *leased)


def _addresses(plan: Plan, host: Host) -> Iterator[Expectation]:
    migration = plan.sites[host.site].place.data.migration
    for interface in host.interfaces:
        for address in with_lengths(interface):
            if migration == "ipv4-only" and ":" in address and interface.kind not in ("uplink", "tunnel", "vpn"):
                continue
            yield Expectation("address", f"{interface.name} {address}")
        for shared in interface.shared:
            yield Expectation("address", f"{interface.name} {shared}/{128 if ':' in shared else 32}", optional=True)


def _routes(context: Context, host: Host) -> Iterator[Expectation]:
    """Default routes of ordinary hosts; of gateways a way to every other site of the plan (by BGP)."""
    plan = context.plan
    migration = plan.sites[host.site].place.data.migration
    families = (4,) if migration == "ipv4-only" else (4, 6)
    if host.kind != "gateway":
        if host.kind == "internet":
            return
        for router in context.router(host)[:2]:
            if (6 if ":" in router else 4) in families:
                yield Expectation("route", "default" + ("6" if ":" in router else "4"), {"via": router})
        return
    devices = {i.name for i in host.interfaces if i.kind in ("radio", "leased", "tunnel", "lan")}
    for site in plan.sites.values():
        if site.slug == host.site or not plan.gateways(site.slug):
            continue
        both = plan.sites[site.slug].place.data.migration != "ipv4-only"
        for address in next(plan.gateways(site.slug)[0].of_kind("loopback")).addresses[: 2 if both else 1]:
            if (6 if ":" in address else 4) in families:
                yield Expectation("route", f"to {address}", {"dev": OneOf(tuple(sorted(devices))), "protocol": "bgp"})


def _sysctls(files: Files) -> Iterator[Expectation]:
    for path, text in files.items():
        if path.startswith("etc/sysctl.d/") or path == "etc/sysctl.conf":
            for line in text.splitlines():
                name, sep, value = line.partition("=")
                if sep and not line.startswith("#"):
                    # a dash before the name: sysctl(8) goes on when the kernel has no such setting
                    optional = name.startswith("-")
                    thing = name.strip().lstrip("-").strip()
                    yield Expectation("sysctl", thing, {"value": " ".join(value.split())}, optional=optional)


def _users(plan: Plan, host: Host, files: Files) -> Iterator[Expectation]:
    if reader.PROGRAM in files:
        want = {"shell": "/bin/sh", "administrator": False, "password": "locked"}
        yield Expectation("user", reader.USER, want)
    if "etc/frr/frr.conf" in files:
        # Debian 13's package gives its account, whose home is nowhere, useradd's own shell
        yield Expectation("user", "frr", {"administrator": False, "password": "locked"}, optional=True)
    shell = variables(host.platform)["base"]["base_shell"]
    for admin in plan.district.admins:
        yield Expectation("user", admin.name, {"shell": shell, "administrator": True, "password": "locked"})
        for key in admin.keys:
            yield Expectation("key", f"{admin.name} {fingerprint(key)}")
    if plan.district.lab is not None:
        from topology.lab.names import LAB_USER, LabNames

        names = LabNames(plan.district.lab.name)
        public = names.private_key.with_suffix(".pub")
        yield Expectation("user", LAB_USER, {"shell": "/bin/bash", "administrator": False})
        if public.exists():
            yield Expectation("key", f"{LAB_USER} {fingerprint(public.read_text())}")


def fingerprint(key: str) -> str:
    """Return a public key's SHA-256 fingerprint as ssh-keygen -l prints it; of an unreadable key the text itself."""
    for word in key.split():
        if word.startswith("AAAA"):
            try:
                digest = hashlib.sha256(base64.b64decode(word)).digest()
            except ValueError:
                break
            return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
    return key.strip()


def _ruleset(files: Files) -> Iterator[Expectation]:
    if "etc/nftables.conf" in files or "etc/pf.conf" in files:
        yield Expectation("ruleset", "filter", {"loaded": "as rendered"})


def _shape(files: Files) -> Iterator[Expectation]:
    """Every class of the shaper, with its rate and ceiling in bit/s."""
    yield from freebsd.shape(files)
    for line in files.get("etc/topology/tc.batch", "").splitlines():
        found = re.match(r"class add dev (\S+) parent \S+ classid (\S+) htb rate (\d+)bit(?: ceil (\d+)bit)?", line)
        if found:
            rate = int(found[3])
            yield Expectation("shape", f"{found[1]} {found[2]}", {
                "rate": Near(rate, ROUNDED, "bit/s"), "ceiling": Near(int(found[4] or rate), ROUNDED, "bit/s"),
            })  # fmt: skip


def _peers(plan: Plan, host: Host, files: Files) -> Iterator[Expectation]:
    for path, text in files.items():
        if host.kind != "gateway" or not path.startswith(FOLDERS[host.platform]) or not path.endswith(".conf"):
            continue
        interface = path.rsplit("/", 1)[1].removesuffix(".conf")
        users = any(i.kind == "vpn" and i.name == interface for i in host.interfaces)
        for part in text.split("[Peer]")[1:]:
            fields = dict(re.findall(r"^(\w+) = (.+)$", part, re.MULTILINE))
            allowed = ",".join(sorted(a.strip() for a in fields["AllowedIPs"].split(",")))
            want: dict[str, object] = {"allowed": allowed}
            if not users:
                want["handshake"] = AtMost(HANDSHAKE, "s ago")
            yield Expectation("peer", f"{interface} {fields['PublicKey']}", want)
        own = plan.district.keys.wireguard.get(host.name)
        if own:
            yield Expectation("tunnel", interface, {"key": own})
    if host.kind == "gateway":
        want = {"owner": "root", "mode": "600"}
        yield Expectation("file", f"/{FOLDERS[host.platform]}/{KEY_FILE}", want)


def _time(plan: Plan, host: Host) -> Iterator[Expectation]:
    """Visitors' networks get no time from their gateway; everybody else must have it."""
    if host.kind == "internet":
        return
    own = next((i.network for i in host.of_kind("host")), None)
    isolated = {n for z in plan.district.policy.zones.values() if z.isolated for n in z.networks}
    if own not in isolated:
        yield Expectation("time", "clock", {"synchronised": True, "offset": AtMost(OFFSET, "s")})


def _nas(context: Context, host: Host, files: Files) -> Iterator[Expectation]:
    """The data disk, the file server where the lease is, and people's accounts."""
    if "etc/samba/smb.conf" not in files:
        return
    yield Expectation("mount", "/srv/nas", {"mode": "rw"})
    for entry in context.plan.district.services[nas.SERVICE].ports:
        yield Expectation("listen", f"{entry.port}/{entry.protocol}", {"program": "smbd"}, optional=True)
    yield Expectation("service", "smbd", {"enabled": "masked"})
    account = {"shell": "/bin/sh", "administrator": False, "password": "locked"}
    yield Expectation("user", nas.PEER_USER, account)
    for line in files[nas.AUTHORIZED].splitlines():
        if not line.startswith("#"):
            yield Expectation("key", f"{nas.PEER_USER} {fingerprint(line)}")
    for person in nas.current(context):
        yield Expectation("user", person.name, account | {"shell": nas.NO_SHELL})


def _kept(plan: Plan, host: Host, files: Files) -> Iterator[Expectation]:
    """Yield what a host made itself and may not show: keys of hosts, of replication and of zones, and passwords."""
    if "etc/patroni/config.yml" in files or "etc/pgbackrest.conf" in files:
        want = {"owner": "root", "group": "ssl-cert", "mode": "640"}
        yield Expectation("file", f"{postgresql.TLS}/host.key", want)
    if "etc/patroni/config.yml" in files:
        for name in ("secrets.json", "member.env"):
            want = {"owner": "root", "group": "root", "mode": "600"}
            yield Expectation("file", f"/etc/topology/postgresql/{name}", want)
    if "etc/topology/nas.json" in files:
        want = {"owner": "root", "group": "root", "mode": "600"}
        yield Expectation("file", str(variables(host.platform)["nas"]["nas_key"]), want)
    found = names.servers(plan)
    for view, path in knot.CONFIGURATION.items():
        if path not in files or found is None:
            continue
        ours = found.secondaries if host.name == found.primary.name else (host,)
        for one in ours:
            want = {"owner": "root", "group": "knot", "mode": "640"}
            yield Expectation("file", f"{knot.TSIG}/{knot.key_name(view, one.name)}conf", want)
        if host.name == found.primary.name:
            want = {"owner": "knot", "group": "knot", "mode": "770"}
            yield Expectation("file", f"{knot.STORAGE[view]}/keys", want)


def _neighbours(plan: Plan, host: Host) -> Iterator[Expectation]:
    if host.kind != "gateway":
        return
    own = routing.speaker(plan, host)
    for session in own.sessions:
        if session.host in plan.hosts:
            far = routing.speaker(plan, plan.hosts[session.host])
            back = next((s for s in far.sessions if s.remote == session.local), None)
            theirs, ours = far.announced(back) if back else (), own.announced(session)
            received = _count(far.originates, (theirs, own.accepted(session)), session.family)
            sent = _count(own.originates, (ours,), session.family)
            yield Expectation("neighbour", session.remote, {
                "state": "Established", "bfd": "none" if session.role == routing.MATE else "up",
                "received": received, "sent": sent,
            })  # fmt: skip


def _count(originates: tuple[str, ...], lists: tuple[tuple[routing.Entry, ...], ...], family: int) -> Between:
    """Return how many prefixes a session carries: what its sender has of its own, up to all that is let through."""
    least = sum(
        1 for p in originates if (6 if ":" in p else 4) == family and all(any(_lets(e, p) for e in x) for x in lists)
    )
    exact = [len([e for e in x if e.family == family]) for x in lists if all(e.longest is None for e in x)]
    return Between(least, min(exact, default=None), "prefixes")


def _lets(entry: routing.Entry, prefix: str) -> bool:
    if entry.longest is None:
        return entry.prefix == prefix
    outer, inner = ip_network(entry.prefix), ip_network(prefix)
    if outer.version != inner.version or not inner.subnet_of(outer):  # type: ignore[arg-type]
        return False
    return (entry.shortest or outer.prefixlen) <= inner.prefixlen <= entry.longest
