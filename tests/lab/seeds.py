"""Changes that drift must find: one table for the sweep, its twin and remediation.

A lab has the seeds of every function in `TABLES`; each returns those whose hosts are in the plan. To add
a service's, write such a function beside its tests and add it here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from topology import routing
from topology.allocate import Host, Plan
from topology.drift.finding import DIFFERENT, MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.expect import expect
from topology.render import render_host
from topology.render.common import context_of

Wanted = tuple[str, str, str]
"""State, kind, thing; a thing may end with a star."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A change, how it is undone, and exactly what must be found."""

    name: str
    host: str
    change: str
    undo: str
    found: frozenset[Wanted]
    consequences: frozenset[Wanted] = field(default_factory=frozenset)
    """What may be found as well, since it follows from the change."""

    def missed(self, findings: Iterable[Finding]) -> list[Wanted]:
        """Return what should have been found."""
        found = list(findings)
        return [w for w in sorted(self.found) if not any(_is(f, w) for f in found)]

    def more(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return what was found without reason."""
        # a daemon that has not read its changed file is said besides the file
        files = {(DIFFERENT, "daemon", "*")} if any(kind == "file" for _, kind, _ in self.found) else set()
        allowed = self.found | self.consequences | files
        return [f for f in findings if f.host != self.host or not any(_is(f, w) for w in allowed)]


def _is(finding: Finding, wanted: Wanted) -> bool:
    state, kind, thing = wanted
    same = finding.thing.startswith(thing[:-1]) if thing.endswith("*") else finding.thing == thing
    return (finding.state, finding.kind) == (state, kind) and same


def seeds(plan: Plan) -> list[Seed]:
    """Return the seeds of a lab; their names are unique."""
    found = [seed for table in TABLES for seed in table(plan)]
    assert len({s.name for s in found}) == len(found)
    return found


def office_gateway(plan: Plan) -> str:
    """Return the gateway of an office: no hub, not of a pair."""
    return next(
        h.name for h in plan.hosts.values()
        if h.kind == "gateway" and h.member is None and h not in plan.hubs and h.of_kind("tunnel")
        and any(i.network == "guest" for i in h.of_kind("lan"))
    )  # fmt: skip


def server(plan: Plan) -> str:
    """Return an ordinary host whose Python may listen."""
    return next(h.name for h in plan.hosts.values() if h.kind == "guest" and h.managed)


STRANGER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1aWx0LWJ5LXRlc3RzLW5vdC1hLXJlYWwta2V5LS0h stranger"
"""Looks like a key; nobody has its private part."""


def people(plan: Plan) -> list[Seed]:
    """Return keys, persons and rights."""
    host = server(plan)
    gateway = office_gateway(plan)
    found = [
        seed("a key added", host,
             f"cp ~lab/.ssh/authorized_keys /root/k && echo '{STRANGER}' >>~lab/.ssh/authorized_keys",
             "cat /root/k >~lab/.ssh/authorized_keys && rm /root/k", (UNEXPECTED, "key", "lab *")),
        seed("a key in the second file", gateway, f"echo '{STRANGER}' >~lab/.ssh/authorized_keys2",
             "rm ~lab/.ssh/authorized_keys2", (UNEXPECTED, "key", "lab *")),
        seed("a key of root's", host,
             f"install -d -m 700 /root/.ssh && echo '{STRANGER}' >/root/.ssh/authorized_keys",
             "rm -r /root/.ssh", (UNEXPECTED, "key", "root *")),
        seed("a person added", host, "useradd --create-home --shell /bin/bash stranger", "userdel --remove stranger",
             (UNEXPECTED, "user", "stranger")),
        seed("a service's user with a shell", gateway, "useradd --system --shell /bin/sh --uid 987 helper",
             "userdel helper", (UNEXPECTED, "user", "helper")),
        seed("a person made administrator", host, "gpasswd --add lab sudo", "gpasswd --delete lab sudo",
             (DIFFERENT, "user", "lab")),
        seed("a person's shell", gateway, "usermod --shell /bin/sh lab", "usermod --shell /bin/bash lab",
             (DIFFERENT, "user", "lab")),
        seed("rights of sudo", gateway,
             "cp -p /etc/sudoers.d/topology-admins /root/s && echo '# lab may' >>/etc/sudoers.d/topology-admins",
             "mv /root/s /etc/sudoers.d/topology-admins", (DIFFERENT, "file", "/etc/sudoers.d/topology-admins")),
    ]  # fmt: skip
    for admin in plan.district.admins[:1]:
        found += [
            seed("an administrator's password", host, f"usermod --password x {admin.name}",
                 f"usermod --lock {admin.name}", (DIFFERENT, "user", admin.name)),
            seed("an administrator no longer", gateway, f"gpasswd --delete {admin.name} sudo",
                 f"gpasswd --add {admin.name} sudo", (DIFFERENT, "user", admin.name)),
            seed("an administrator's key lost", gateway,
                 f"cp ~{admin.name}/.ssh/authorized_keys /root/a && : >~{admin.name}/.ssh/authorized_keys",
                 f"cat /root/a >~{admin.name}/.ssh/authorized_keys", (MISSING, "key", f"{admin.name} *")),
        ]  # fmt: skip
    return found


def files(plan: Plan) -> list[Seed]:
    """Return files, packages and services."""
    host, gateway = server(plan), office_gateway(plan)
    port = next(i.name for i in plan.hosts[host].of_kind("host"))

    def kept(path: str, change: str, number: int) -> tuple[str, str]:
        return f"cp -p {path} /root/f{number} && {change.replace('%s', path)}", f"mv /root/f{number} {path}"

    pool = kept("/etc/kea/kea-dhcp4.conf", "sed -i 's/\\.249/.253/' %s", 1)
    network = kept(f"/etc/systemd/network/20-{port}.network", "printf 'DNS=198.51.100.99\\n' >>%s", 2)
    names = kept("/etc/unbound/unbound.conf.d/60-topology.conf", "printf 'forward-zone:\\n  name: .\\n' >>%s", 3)
    hosts = kept("/etc/hosts", "echo '198.51.100.99 mail' >>%s", 4)
    login = kept("/etc/ssh/sshd_config.d/10-topology.conf", "echo 'PasswordAuthentication yes' >>%s", 5)
    filter_ = kept("/usr/local/sbin/topology-filter", "echo 'exit 0' >>%s", 6)
    return [
        seed("a mode changed", gateway, "chmod 0644 /etc/frr/frr.conf", "chmod 0640 /etc/frr/frr.conf",
             (DIFFERENT, "file", "/etc/frr/frr.conf")),
        seed("an owner changed", gateway, "chown nobody /etc/kea/kea-dhcp6.conf", "chown root /etc/kea/kea-dhcp6.conf",
             (DIFFERENT, "file", "/etc/kea/kea-dhcp6.conf")),
        seed("a group changed", host, "chgrp games /etc/chrony/chrony.conf", "chgrp root /etc/chrony/chrony.conf",
             (DIFFERENT, "file", "/etc/chrony/chrony.conf")),
        seed("a lease pool widened", gateway, *pool, (DIFFERENT, "file", "/etc/kea/kea-dhcp4.conf"),
             (DIFFERENT, "dhcp", "10.*"), (DIFFERENT, "daemon", "kea-dhcp4-server")),
        seed("a file that its daemon has not read", gateway, "touch /etc/radvd.conf", "systemctl restart radvd",
             (DIFFERENT, "daemon", "radvd")),
        seed("another resolver", host, *network, (DIFFERENT, "file", f"/etc/systemd/network/20-{port}.network")),
        seed("names asked elsewhere", gateway, *names,
             (DIFFERENT, "file", "/etc/unbound/unbound.conf.d/60-topology.conf"), (DIFFERENT, "daemon", "unbound")),
        seed("a name in the hosts file", host, *hosts, (DIFFERENT, "file", "/etc/hosts")),
        seed("passwords let in", host, *login, (DIFFERENT, "file", "/etc/ssh/sshd_config.d/10-topology.conf"),
             (DIFFERENT, "daemon", "ssh")),
        seed("the filter's program", gateway, *filter_, (DIFFERENT, "file", "/usr/local/sbin/topology-filter")),
        seed("a file removed", gateway, "mv /etc/radvd.conf /root/r", "mv /root/r /etc/radvd.conf",
             (MISSING, "file", "/etc/radvd.conf")),
        seed("logs no longer sent", gateway, "mv /etc/rsyslog.d/60-topology.conf /root/l",
             "mv /root/l /etc/rsyslog.d/60-topology.conf", (MISSING, "file", "/etc/rsyslog.d/60-topology.conf")),
        seed("a file added", host, "touch /etc/systemd/network/20-more.network",
             "rm /etc/systemd/network/20-more.network", (UNEXPECTED, "file", "/etc/systemd/network/20-more.network")),
        seed("the private key readable", gateway, "chmod 0644 /etc/wireguard/private.key",
             "chmod 0600 /etc/wireguard/private.key", (DIFFERENT, "file", "/etc/wireguard/private.key")),
        seed("a package removed", gateway, "dpkg --remove --force-depends dns-root-data >/dev/null 2>&1",
             "apt-get install -qq --yes dns-root-data >/dev/null 2>&1", (MISSING, "package", "dns-root-data")),
        seed("a service stopped", gateway, "systemctl stop radvd", "systemctl start radvd",
             (DIFFERENT, "service", "radvd")),
        seed("a service that will not start", gateway, "systemctl disable rsyslog kea-dhcp6-server 2>/dev/null",
             "systemctl enable rsyslog kea-dhcp6-server 2>/dev/null", (DIFFERENT, "service", "kea-dhcp6-server")),
        seed("no addresses for desks", gateway, "systemctl stop kea-dhcp4-server", "systemctl start kea-dhcp4-server",
             (DIFFERENT, "service", "kea-dhcp4-server"), also={(MISSING, "listen", "67/udp")}),
        seed("names not answered", gateway, "systemctl stop unbound", "systemctl start unbound",
             (DIFFERENT, "service", "unbound"),
             also={(MISSING, "listen", "53/udp"), (MISSING, "listen", "53/tcp"), (MISSING, "answer", "*")}),
        seed("the filter not at boot", gateway, "systemctl disable topology-filter 2>/dev/null",
             "systemctl enable topology-filter 2>/dev/null", (DIFFERENT, "service", "topology-filter")),
        seed("the shaper not at boot", gateway, "systemctl disable topology-shape 2>/dev/null",
             "systemctl enable topology-shape 2>/dev/null", (DIFFERENT, "service", "topology-shape")),
        seed("another filter at boot", gateway, "systemctl unmask nftables 2>/dev/null",
             "systemctl mask nftables 2>/dev/null", (DIFFERENT, "service", "nftables")),
        seed("no time", gateway, "systemctl stop chrony", "systemctl start chrony", (DIFFERENT, "service", "chrony"),
             also={(UNOBSERVED, "time", "*"), (MISSING, "listen", "123/udp"), (DIFFERENT, "time", "clock")}),
        seed("something listens", host, "systemd-run --quiet --unit stranger python3 -m http.server 8099",
             "systemctl stop stranger", (UNEXPECTED, "listen", "8099/tcp")),
    ]  # fmt: skip


def network(plan: Plan) -> list[Seed]:
    """Return addresses, routes, rules, tunnels, neighbours and bandwidth."""
    host, gateway = server(plan), office_gateway(plan)
    box, speaker = plan.hosts[gateway], routing.speaker(plan, plan.hosts[gateway])
    tunnel = next(i.name for i in box.of_kind("tunnel"))
    lan = next(i.name for i in box.of_kind("lan") if i.network == "staff")
    session = next(s for s in speaker.sessions if s.interface == tunnel and s.family == 4)
    router = context_of(plan).router(plan.hosts[host])[0]
    port = next(i for i in plan.hosts[host].of_kind("host"))
    gua = next(a for a in port.addresses if a.startswith("2"))
    dead = {(DIFFERENT, "neighbour", s.remote) for s in speaker.sessions if s.interface == tunnel}
    ways = {(MISSING, "route", "to *"), (DIFFERENT, "route", "to *")}

    routing_text = render_host(plan, box, context_of(plan))["etc/frr/frr.conf"]
    group = re.findall(rf"neighbor {re.escape(session.remote)} peer-group (\S+)", routing_text)[0]

    def bgp(*lines: str) -> str:
        words = ("configure terminal", f"router bgp {speaker.autonomous_system}", *lines)
        return "vtysh " + " ".join(f"-c '{word}'" for word in words)

    again = f"systemctl restart wg-quick@{tunnel}"
    first = min((e.thing.split()[1] for e in _shape(plan, box) if e.thing.startswith("guest ")), default="")
    rules = (DIFFERENT, "ruleset", "filter")
    addresses = re.findall(r"set (own4|hub4) \{", expect(plan, box).texts["ruleset"])[0]
    load = "nft -f /etc/nftables.conf && nft -f /etc/topology/shape.nft"
    found = [
        seed("a chain flushed", gateway, "nft flush chain inet topology forward", load, rules),
        seed("all rules flushed", gateway, "nft flush ruleset", load, rules),
        seed("a rule added", gateway, "nft insert rule inet topology input counter accept", load, rules),
        seed("a set widened", gateway, f"nft add element inet topology {addresses} '{{ 198.51.100.200/32 }}'", load,
             rules),
        seed("a table added", gateway, "nft add table inet stranger", "nft delete table inet stranger", rules),
        seed("a route replaced", host, f"ip route replace default via {router} metric 5",
             f"ip route delete default via {router} metric 5", (UNEXPECTED, "route", "default by hand")),
        seed("a route removed", host, f"ip route delete default via {router} proto static",
             f"ip route add default via {router} proto static", (MISSING, "route", "default4")),
        seed("a route added", gateway, f"ip route add 10.191.0.0/16 dev {lan}",
             f"ip route delete 10.191.0.0/16 dev {lan}", (UNEXPECTED, "route", "10.191.0.0/16 by hand")),
        seed("a route of version 6 added", host, f"ip -6 route add 2001:db8:bad::/48 dev {port.name}",
             f"ip -6 route delete 2001:db8:bad::/48 dev {port.name}",
             (UNEXPECTED, "route", "2001:db8:bad::/48 by hand")),
        seed("an address added", gateway, f"ip address add 10.191.7.7/24 dev {lan}",
             f"ip address delete 10.191.7.7/24 dev {lan}", (UNEXPECTED, "address", f"{lan} 10.191.7.7/24")),
        seed("an address removed", host, f"ip address delete {gua}/64 dev {port.name}",
             f"ip address add {gua}/64 dev {port.name} nodad", (MISSING, "address", f"{port.name} {gua}/64")),
        seed("a setting of the kernel", gateway, "sysctl -qw net.ipv4.conf.all.accept_redirects=1",
             "sysctl -qw net.ipv4.conf.all.accept_redirects=0",
             (DIFFERENT, "sysctl", "net.ipv4.conf.all.accept_redirects")),
        seed("a server that forwards", host, "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.accept_redirects=0",
             "sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.accept_redirects=0",
             (DIFFERENT, "sysctl", "net.ipv4.ip_forward"),
             also={(DIFFERENT, "sysctl", "*")}),  # the kernel sets others anew with this one
        seed("a peer swapped", gateway,
             f"p=$(wg show {tunnel} peers); wg set {tunnel} peer $p remove;"
             f" wg set {tunnel} peer $(wg genkey | wg pubkey) allowed-ips 0.0.0.0/0,::/0",
             again, (MISSING, "peer", f"{tunnel} *"), (UNEXPECTED, "peer", f"{tunnel} *"), also=dead | ways),
        seed("a peer added", gateway,
             f"wg set {tunnel} peer $(wg genkey | wg pubkey) allowed-ips 10.191.9.9/32",
             again, (UNEXPECTED, "peer", f"{tunnel} *"), also=dead | ways),
        seed("a peer with fewer addresses", gateway,
             f"wg set {tunnel} peer $(wg show {tunnel} peers) allowed-ips 10.0.0.0/8,::/0",
             f"wg set {tunnel} peer $(wg show {tunnel} peers) allowed-ips 0.0.0.0/0,::/0",
             (DIFFERENT, "peer", f"{tunnel} *"), also=dead | ways),
        seed("a tunnel with another key", gateway,
             f"wg genkey >/root/w && wg set {tunnel} private-key /root/w; rm /root/w",
             again, (DIFFERENT, "tunnel", tunnel), also=dead | ways | {(DIFFERENT, "peer", f"{tunnel} *")}),
        seed("a neighbour shut", gateway, bgp(f"neighbor {session.remote} shutdown"),
             bgp(f"no neighbor {session.remote} shutdown"), (DIFFERENT, "neighbour", session.remote), also=ways),
        seed("a neighbour without BFD", gateway, bgp(f"no neighbor {group} bfd"),
             bgp(f"neighbor {group} bfd", f"neighbor {group} bfd profile tunnel"),
             (DIFFERENT, "neighbour", session.remote), also=ways),
        seed("a neighbour added", gateway, bgp("neighbor 10.191.9.9 remote-as 64999"),
             bgp("no neighbor 10.191.9.9"), (UNEXPECTED, "neighbour", "10.191.9.9")),
    ]  # fmt: skip
    if first:
        found += [
            seed("a class of the shaper", gateway,
                 "tc class change dev guest parent 1:1 classid 1:4 htb rate 50mbit ceil 50mbit",
                 "systemctl restart topology-shape", (DIFFERENT, "shape", "guest 1:4")),
            seed("the shaper deleted", gateway, "tc qdisc delete dev guest root", "systemctl restart topology-shape",
                 (MISSING, "shape", f"guest {first}"), also={(MISSING, "shape", "guest *")}),
        ]  # fmt: skip
    return found


def _shape(plan: Plan, host: Host):  # type: ignore[no-untyped-def]
    return expect(plan, host).of_kind("shape")


def seed(name: str, host: str, change: str, undo: str, *found: Wanted, also: Iterable[Wanted] = ()) -> Seed:
    """Return a seed."""
    return Seed(name, host, change, undo, frozenset(found), frozenset(also))


TABLES: list[Callable[[Plan], list[Seed]]] = [people, files, network]
