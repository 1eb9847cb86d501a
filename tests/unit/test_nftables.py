"""The Linux gateway's filter and shaper: their text, whether this kernel loads them, and what packets make of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import cast

import pytest

from topology import flows, policy
from topology.allocate import Host, Plan, allocate
from topology.inventory import plan_of
from topology.lint.nftables import lint
from topology.load import load
from topology.render import nftables, tc
from topology.render.common import Context, context_of

ROOT = Path(__file__).parents[2]


def needs_kernel(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test whose judge is the kernel: it runs with the checkers, as root."""
    missing = os.geteuid() != 0 or not all(map(shutil.which, ("nft", "tc", "ip", "unshare")))
    skipped = pytest.mark.skipif(missing, reason="needs root, nft, tc, ip and unshare")
    return cast("Callable[..., None]", pytest.mark.checkers(skipped(test)))


@pytest.fixture(scope="module")
def lab() -> Plan:
    return plan_of(ROOT / "inventories" / "lab")


@pytest.fixture(scope="module")
def rendered(lab: Plan) -> dict[str, dict[str, str]]:
    return {h.name: nftables.files(context_of(lab), h) for h in gateways(lab)}


def gateways(plan: Plan) -> list[Host]:
    return [h for h in plan.hosts.values() if h.kind == "gateway"]


def in_namespace(script: str) -> str:
    """Run a shell script in a network namespace of its own; returns what it wrote to standard error."""
    words = ["unshare", "-n", "sh", "-ec", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return done.stderr if done.returncode or done.stderr else ""


def chain(text: str, name: str) -> list[str]:
    """Return the rules of a chain of the main table."""
    main = text[text.index("\ntable inet topology {") :]
    match = re.search(rf"^  chain {name} \{{\n(.*?)^  \}}", main, re.M | re.S)
    assert match is not None, name
    return [line.strip() for line in match[1].splitlines() if line.strip()]


def rates(device: tc.Device) -> float:
    """Return the sum of what a device's classes are guaranteed, limited zones apart."""
    return sum(leaf.rate for leaf in device.leaves if leaf.priority < 2)


def interfaces(plan: Plan, host: Host) -> list[str]:
    box = policy.box(plan, host)
    return [i.name for i in host.interfaces] + ([box.management[0]] if box.management else [])


def context_with(plan: Plan, site: str, migration: str) -> Context:
    """Return the context of a plan in which one site has another `migration`."""
    there = plan.sites[site]
    data = there.place.data.model_copy(update={"migration": migration})
    place = replace(there.place, data=data)
    return context_of(replace(plan, sites={**plan.sites, site: replace(there, place=place)}))


# text


def test_every_rule_of_the_policy_counts_under_its_label(lab: Plan, rendered: dict[str, dict[str, str]]) -> None:
    for host in gateways(lab):
        text = rendered[host.name]["etc/nftables.conf"]
        for rule in policy.box(lab, host).rules:
            assert f"counter {rule.label} {{ }}" in text, (host.name, rule.label)
            assert any(f"counter name {rule.label} accept" in x for x in chain(text, f"{rule.source}_to_{rule.target}"))


def test_lint_finds_nothing_in_any_ruleset(lab: Plan, rendered: dict[str, dict[str, str]]) -> None:
    for host in gateways(lab):
        for path, text in rendered[host.name].items():
            found = lint(text, interfaces(lab, host), {"intranet_to_internet"})
            assert not found, (host.name, path, [str(p) for p in found])


def test_no_nat_of_ipv6_and_none_towards_the_intranet(rendered: dict[str, dict[str, str]]) -> None:
    for name, files in rendered.items():
        for line in chain(files["etc/nftables.conf"], "nat_out"):
            if "masquerade" in line or "snat" in line:
                assert "ip daddr != @district4" in line and "ip6" not in line, (name, line)


def test_ports_of_wireguard_are_open_to_hubs_only_except_on_hubs(
    lab: Plan, rendered: dict[str, dict[str, str]]
) -> None:
    for host in gateways(lab):
        lines = [x for x in chain(rendered[host.name]["etc/nftables.conf"], "input") if "wireguard" in x]
        assert lines
        if host.hub_slot is None:
            assert all(" ip saddr " in x for x in lines), host.name
        else:
            assert any("add @wireguard_rate4" in x for x in lines), host.name


def test_a_kecamatan_takes_its_villages_traffic_from_the_links() -> None:
    plan = plan_of(ROOT / "inventories" / "luwu")
    host = next(h for h in gateways(plan) if plan.sites[h.site].place.kind == "kecamatan")
    text = nftables.files(context_of(plan), host)["etc/nftables.conf"]
    own = re.search(r"set own4 .*elements = \{ ([^}]*) \}", text)
    assert own is not None
    assert set(own[1].split(", ")) == {n.prefixes[0] for n in plan.sites[host.site].networks}


def test_a_site_without_ipv6_drops_it_and_has_no_rule_for_it(lab: Plan) -> None:
    context = context_with(lab, "belopa", "ipv4-only")
    text = nftables.files(context, lab.hosts["belopa-gw"])["etc/nftables.conf"]
    assert chain(text, "arrival")[1] == 'meta nfproto ipv6 iifname != "lo" goto drop_ipv6_off'
    assert not [x for x in chain(text, "staff_to_server") if "icmpv6" in x]


def test_nat64_is_judged_by_the_zone_that_the_mapped_address_is_in(lab: Plan) -> None:
    text = nftables.files(context_with(lab, "belopa", "ipv6-mostly"), lab.hosts["belopa-gw"])["etc/nftables.conf"]
    ways = [x for x in chain(text, "from_staff") if 'oifname "nat64"' in x]
    assert {x.rpartition(" ")[2] for x in ways} >= {"staff_to_server", "staff_to_intranet", "staff_to_internet"}
    assert "goto drop_isolated" in " ".join(x for x in chain(text, "forward") if 'iifname "guest" ip6 daddr' in x)


def test_an_interface_without_dhcp_gets_no_rule_for_it(lab: Plan) -> None:
    site = lab.sites["belopa"]
    networks = tuple(replace(n, dhcp=n.name != "server") for n in site.networks)
    plan = replace(lab, sites={**lab.sites, "belopa": replace(site, networks=networks)})
    text = nftables.files(context_of(plan), plan.hosts["belopa-gw"])["etc/nftables.conf"]
    assert not [x for x in chain(text, "server_to_gateway") if "dport 67" in x or "dport 547" in x]
    assert [x for x in chain(text, "staff_to_gateway") if "dport 67" in x]


def test_martians_spare_the_uplinks_own_subnet_and_where_it_is_not_known_a_providers_nat() -> None:
    known, unknown = nftables._martians(("10.0.0.0/8",), True), nftables._martians(("10.0.0.0/8",), False)
    assert "192.168.0.0/16" in known and "192.168.0.0/16" not in unknown
    assert "10.0.0.0/8" in known and "10.0.0.0/8" in unknown


BROKEN = {
    "NF001": ("policy drop;", "policy accept;"),
    "NF002": ("counter name staff-server-web accept", "accept"),
    "NF003": ('iifname "staff" jump', 'iifname "stuff" jump'),
    "NF004": ("    icmpv6 type echo-request counter name intranet-staff-ping accept\n", ""),
    "NF005": ("jump from_voice", "jump from_staff"),
    "NF006": ("delete table inet topology\n", "flush ruleset\n"),
    "NF007": ('    iifname "lo" counter', '    tcp dport 22 counter name bgp accept\n    iifname "lo" counter'),
}  # fmt: skip


@pytest.mark.parametrize("problem", BROKEN)
def test_lint_refuses(lab: Plan, rendered: dict[str, dict[str, str]], problem: str) -> None:
    old, new = BROKEN[problem]
    text = rendered["belopa-gw"]["etc/nftables.conf"]
    assert old in text
    found = lint(text.replace(old, new), interfaces(lab, lab.hosts["belopa-gw"]), {"intranet_to_internet"})
    assert problem in {p.id for p in found}


def test_guarantees_never_exceed_their_device_and_scale(lab: Plan) -> None:
    context = context_of(lab)
    shaped = 0
    for host in gateways(lab):
        box = policy.box(lab, host)
        for whole, tenth in zip(tc.devices(context, box), tc.devices(context, box, 0.1), strict=True):
            shaped += 1
            assert rates(whole) <= whole.rate * 1.0001, whole
            assert all(0 < x.rate <= x.ceiling <= whole.rate * 1.0001 for x in whole.leaves), whole
            if whole.rate != tc.UNLIMITED:
                assert tenth.rate == pytest.approx(whole.rate / 10)
    assert shaped > 10


def test_a_class_number_is_the_sites_everywhere(lab: Plan) -> None:
    numbers = {tc.minor(context_of(lab), slug) for slug in lab.district.places}
    assert len(numbers) == len(lab.district.places)
    assert max(numbers) < 0xFFFF


# the kernel


@needs_kernel
def test_every_ruleset_loads_twice_in_this_kernel(rendered: dict[str, dict[str, str]], tmp_path: Path) -> None:
    for name, files in rendered.items():
        for path, text in files.items():
            file = tmp_path / Path(path).name
            file.write_text(text)
            assert not in_namespace(f"nft -f {file}\nnft -f {file}\n"), (name, path)


@needs_kernel
def test_every_production_gateway_as_a_spare_linux_box_loads(tmp_path: Path) -> None:
    for inventory in ("inventories/luwu", "tests/districts/sawah"):
        plan = allocate(load(ROOT / inventory)[0])
        script = []
        for host in gateways(plan):
            file = tmp_path / f"{host.name}.nft"
            file.write_text(nftables.files(context_of(plan), host)["etc/nftables.conf"])
            script.append(f"nft -f {file}")
        assert not in_namespace("\n".join(script))


@needs_kernel
@pytest.mark.parametrize("migration", ["ipv4-only", "ipv6-mostly"])
def test_every_step_of_the_migration_loads(lab: Plan, tmp_path: Path, migration: str) -> None:
    file = tmp_path / "one.nft"
    file.write_text(nftables.files(context_with(lab, "belopa", migration), lab.hosts["belopa-gw"])["etc/nftables.conf"])
    assert not in_namespace(f"nft -f {file}")


@needs_kernel
def test_every_shaper_can_be_applied_again(lab: Plan, tmp_path: Path) -> None:
    for host in gateways(lab):
        files = tc.files(context_of(lab), host, 0.01)
        batch, marks = tmp_path / "batch", tmp_path / "marks"
        batch.write_text(files["etc/topology/tc.batch"])
        marks.write_text(files["etc/topology/shape.nft"])
        names = [d.name for d in tc.devices(context_of(lab), policy.box(lab, host))]
        links = "".join(f"ip link add {n} type bridge\n" for n in names)
        assert not in_namespace(f"{links}nft -f {marks}\nnft -f {marks}\ntc -batch {batch}\ntc -batch {batch}\n"), (
            host.name
        )


# packets

_SERVE = """
import selectors, socket, sys
poll = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    poll.register(s, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in poll.select():
        c, peer = key.fileobj.accept()
        c.sendall(peer[0].encode()); c.close()
"""
_CONNECT = """
import json, select, socket, sys, time
found, open_ = {}, {}
for address, port in json.loads(sys.argv[1]):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    s.setblocking(False)
    s.connect_ex((address, port))
    open_[s] = f"{address} {port}"
end = time.monotonic() + 1.2
while open_ and time.monotonic() < end:
    for s in select.select(list(open_), [], [], 0.1)[0]:
        name = open_.pop(s)
        try:
            found[name] = s.recv(99).decode().removeprefix("::ffff:")
        except OSError:
            pass
print(json.dumps(found))
"""
_SEND = """
import json, socket, struct, sys
for kind, source, target, sport, dport in json.loads(sys.argv[1]):
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    if kind == "udp":
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.bind((source, sport))
        s.sendto(b"x" * 16, (target, dport))
    elif kind == "ra":
        s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), (target, 0, 0, socket.if_nametoindex("eth0")))
    else:  # a bare ACK
        s = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        s.bind((source, 0))
        head = struct.pack("!HHIIBBHHH", 4444, dport, 1, 1, 5 << 4, 0x10, 1024, 0, 0)
        pseudo = socket.inet_pton(family, source) + socket.inet_pton(family, target)
        data = pseudo + struct.pack("!II", len(head), 6) + head
        total = sum(struct.unpack(f"!{len(data) // 2}H", data))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        s.sendto(head[:16] + struct.pack("!H", ~total & 0xFFFF) + head[18:], (target, 0))
"""
PORTS = {"dns": 53, "web": 443, "ssh": 22, "files": 445, "sql": 5432, "print": 631}
_numbers = count()


class Wires:
    """A gateway in a namespace of its own, a host in every LAN, one behind the radio link, one on the uplink."""

    def __init__(self, plan: Plan, name: str) -> None:
        self.plan, self.host = plan, plan.hosts[name]
        self.prefix = f"nft{os.getpid()}x{next(_numbers)}"
        self.spaces: dict[str, str] = {}
        self.servers: list[subprocess.Popen[str]] = []
        self.file = Path()
        self.lans = {i.network or "": i for i in self.host.of_kind("lan")}
        self.link = next(self.host.of_kind("radio", "leased", "tunnel"))
        self.far = next(p for p in policy.box(plan, self.host).peers if p.interface == self.link.name).far
        self.uplink = next(self.host.of_kind("uplink"))

    def address(self, network: str, family: int) -> str:
        """Return the address of the host in a LAN."""
        own = self.lans[network].addresses[0 if family == 4 else 1]
        return re.sub(r"[^.:]+$", "99", own)

    def build(self) -> None:
        self.space("gw")
        self.run("gw", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
                       "net.netfilter.nf_conntrack_tcp_loose=0 net.ipv4.conf.all.rp_filter=0")  # fmt: skip
        for network, interface in self.lans.items():
            self.wire(network, interface.name, [f"{a}/{64 if ':' in a else 24}" for a in interface.addresses])
            for family, length in ((4, 24), (6, 64)):
                self.run(network, f"ip address add {self.address(network, family)}/{length} dev eth0 {NODAD[family]}")
            self.run(network, f"ip route add default via {interface.addresses[0]}")
            self.run(network, f"ip -6 route add default via {interface.addresses[1]}")
        self.wire("far", self.link.name, [f"{a}/{127 if ':' in a else 31}" for a in self.link.addresses])
        for a in self.far:
            self.run("far", f"ip address add {a}/{127 if ':' in a else 31} dev eth0 {NODAD[6 if ':' in a else 4]}")
        self.run("far", f"ip route add default via {self.link.addresses[0]}")
        self.run("far", f"ip -6 route add default via {self.link.addresses[1]}")
        self.run("gw", f"ip route add {self.plan.district.space.ipv4} via {self.far[0]}")
        for prefix in self.plan.district.space.aggregates[1:]:
            self.run("gw", f"ip -6 route add {prefix} via {self.far[1]}")
        if self.host.hub_slot is None:
            self.run("gw", f"ip -6 route add default via {self.far[1]}")
            self.run("far", "ip address add 2600::1/128 dev lo nodad")
        self.wire("net", self.uplink.name, list(self.uplink.static))
        self.run("net", f"ip address add {self.router}/24 dev eth0")
        self.run("net", f"ip address add {self.router6}/64 dev eth0 nodad")
        self.run("gw", f"ip route add default via {self.router}")
        for name in (*self.lans, "far", "net"):
            self.serve(name)

    @property
    def router(self) -> str:
        return str(self.uplink.uplink.router) if self.uplink.uplink else ""

    @property
    def router6(self) -> str:
        return str(self.uplink.uplink.router6) if self.uplink.uplink else ""

    def space(self, name: str) -> None:
        self.spaces[name] = f"{self.prefix}{name}"
        subprocess.run(["ip", "netns", "add", self.spaces[name]], check=True)
        self.run(name, "sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0")
        self.run(name, "ip link set lo up")

    def wire(self, name: str, at_gateway: str, addresses: list[str]) -> None:
        self.space(name)
        self.run("gw", f"ip link add {at_gateway} type veth peer name eth0 netns {self.spaces[name]}")
        self.run("gw", f"ip link set {at_gateway} up")
        self.run(name, "ip link set eth0 up")
        for a in addresses:
            self.run("gw", f"ip address add {a} dev {at_gateway} {NODAD[6 if ':' in a else 4]}")

    def run(self, name: str, command: str) -> str:
        words = ["ip", "netns", "exec", self.spaces[name], *command.split()]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def serve(self, name: str) -> None:
        words = ["ip", "netns", "exec", self.spaces[name], sys.executable, "-c", _SERVE, *map(str, PORTS.values())]
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.servers.append(server)
        assert server.stdout is not None and server.stdout.readline() == "ready\n"

    def python(self, name: str, script: str, data: object) -> str:
        words = ["ip", "netns", "exec", self.spaces[name], sys.executable, "-c", script, json.dumps(data)]
        return subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout

    def connect(self, name: str, *targets: tuple[str, int]) -> dict[str, str]:
        """Return "address port" -> the source as the other end saw it, of the connections that were made."""
        return dict(json.loads(self.python(name, _CONNECT, targets)))

    def send(self, name: str, *packets: tuple[str, str, str, int, int]) -> None:
        self.python(name, _SEND, packets)

    def counters(self, table: str = "topology") -> dict[str, int]:
        found = json.loads(self.run("gw", f"nft -j list counters table inet {table}"))["nftables"]
        return {x["counter"]["name"]: x["counter"]["packets"] for x in found if "counter" in x}

    def close(self) -> None:
        for server in self.servers:
            server.kill()
            server.communicate()
        for space in self.spaces.values():
            subprocess.run(["ip", "netns", "delete", space], check=False)


NODAD = {4: "", 6: "nodad"}


@contextmanager
def wired(plan: Plan, name: str, folder: Path) -> Iterator[Wires]:
    found = Wires(plan, name)
    try:
        found.build()
        found.file = folder / "nftables.conf"
        found.file.write_text(nftables.files(context_of(plan), plan.hosts[name])["etc/nftables.conf"])
        found.run("gw", f"nft -f {found.file}")
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def wires(lab: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wires]:
    with wired(lab, "belopa-gw", tmp_path_factory.mktemp("office")) as found:
        yield found


@pytest.fixture(scope="module")
def hub(lab: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wires]:
    with wired(lab, "dc-a", tmp_path_factory.mktemp("hub")) as found:
        yield found


@needs_kernel
def test_packets_agree_with_the_evaluator_in_the_whole_matrix_of_lans(lab: Plan, wires: Wires) -> None:
    zones = {z: e.networks[0] for z, e in lab.district.policy.zones.items() if e.networks[0] in wires.lans}
    passed = 0
    for source, network in zones.items():
        asked = {
            f"{wires.address(other, family)} {port}": (target, service, family)
            for target, other in zones.items()
            for family in (4, 6)
            for service, port in PORTS.items()
            if other != network
        }
        got = wires.connect(network, *((k.split()[0], int(k.split()[1])) for k in asked))
        for place, (target, service, family) in asked.items():
            port = policy.Port("tcp", PORTS[service], PORTS[service])
            said = flows.verdict(lab, source, "belopa", target, "belopa", port, family)
            assert (place in got) == said.passes, (source, target, service, family, said)
            passed += said.passes
    assert passed >= 10


@needs_kernel
@pytest.mark.parametrize("family", [4, 6])
def test_labels_count_and_what_is_not_permitted_is_dropped_and_counted(wires: Wires, family: int) -> None:
    before = wires.counters()
    server = wires.address("server", family)
    assert wires.connect("staff", (server, 443), (server, 22)) == {f"{server} 443": wires.address("staff", family)}
    after = wires.counters()
    assert after["staff-server-web"] > before["staff-server-web"]
    assert after["drop-forward"] > before["drop-forward"]


@needs_kernel
@pytest.mark.parametrize("family", [4, 6])
def test_a_bare_ack_opens_nothing(wires: Wires, family: int) -> None:
    before = wires.counters()
    wires.send("staff", ("ack", wires.address("staff", family), wires.address("server", family), 0, 443))
    after = wires.counters()
    assert after["drop-invalid"] + after["drop-no-syn"] == before["drop-invalid"] + before["drop-no-syn"] + 1
    assert after["staff-server-web"] == before["staff-server-web"]


@needs_kernel
@pytest.mark.parametrize("family", [4, 6])
def test_spoofed_sources_are_dropped_on_arrival(wires: Wires, family: int) -> None:
    stolen, length = wires.address("server", family), 32 if family == 4 else 128
    own = re.sub("99$", "50", wires.address("staff", family))
    foreign = "9.9.9.9" if family == 4 else "2620:fe::9"
    before = wires.counters()
    for name, source in (("voice", stolen), ("far", own), ("far", foreign)):
        wires.run(name, f"ip address add {source}/{length} dev lo {NODAD[family]}")
    gateway = wires.lans["voice"].addresses[0 if family == 4 else 1]
    wires.send("voice", ("udp", stolen, gateway, 5353, 53))
    wires.send("far", ("udp", own, gateway, 5353, 123), ("udp", foreign, gateway, 5353, 123))
    after = wires.counters()
    for reason in ("spoofed", "own-source", "foreign-source"):
        assert after[f"drop-{reason}"] == before[f"drop-{reason}"] + 1, reason
    assert after["voice-gateway-dns"] == before["voice-gateway-dns"]
    assert after["intranet-gateway-ntp"] == before["intranet-gateway-ntp"]
    for name, source in (("voice", stolen), ("far", own), ("far", foreign)):
        wires.run(name, f"ip address delete {source}/{length} dev lo")


@needs_kernel
@pytest.mark.parametrize("family", [4, 6])
def test_guests_reach_the_internet_and_nothing_else(wires: Wires, family: int) -> None:
    before = wires.counters()
    outside = wires.router if family == 4 else "2600::1"
    inside = [(wires.address(n, family), 443) for n in ("staff", "server", "mgmt")]
    others_gateway = wires.lans["staff"].addresses[0 if family == 4 else 1]
    seen = wires.connect("guest", (outside, 443), *inside, (others_gateway, 22))
    assert list(seen) == [f"{outside} 443"]
    if family == 4:  # translated at the uplink; IPv6 never is
        assert seen[f"{outside} 443"] == wires.uplink.addresses[0]
    else:
        assert seen[f"{outside} 443"] == wires.address("guest", 6)
    after = wires.counters()
    assert after["drop-isolated"] >= before["drop-isolated"] + 4
    assert after["guest-internet-web"] > before["guest-internet-web"]


@needs_kernel
def test_rogue_ra_and_rogue_dhcp_from_guests_are_counted(wires: Wires) -> None:
    before = wires.counters()
    wires.send("guest", ("ra", "", "ff02::1", 0, 0), ("udp", wires.address("guest", 4), "10.69.5.255", 67, 68))
    after = wires.counters()
    assert after["drop-rogue-ra"] == before["drop-rogue-ra"] + 1
    assert after["drop-rogue-dhcp"] == before["drop-rogue-dhcp"] + 1


@needs_kernel
def test_the_district_never_leaves_by_the_uplink(wires: Wires) -> None:
    before = wires.counters()["drop-leak"]
    wires.run("gw", f"ip route add 10.60.0.0/16 via {wires.router}")
    wires.send("staff", ("udp", wires.address("staff", 4), "10.60.0.1", 5353, 443))
    wires.run("gw", "ip route delete 10.60.0.0/16")
    assert wires.counters()["drop-leak"] == before + 1


@needs_kernel
def test_a_hubs_own_leak_is_none_of_wireguards_either(lab: Plan, hub: Wires) -> None:
    """Any process of a hub may be given one of WireGuard's ports, and the routes to the district may be gone."""
    ports = [x.last for x in policy.box(lab, hub.host).listens if not x.sources]
    own, before = hub.uplink.addresses[0], hub.counters()
    hub.run("gw", f"ip route add 10.60.0.0/16 via {hub.router}")
    for number in ports:
        with pytest.raises(subprocess.CalledProcessError):  # EPERM
            hub.send("gw", ("udp", own, "10.60.0.1", number, 123))
    hub.send("gw", *[("udp", own, hub.router, number, 123) for number in ports])
    hub.run("gw", "ip route delete 10.60.0.0/16")
    after = hub.counters()
    assert ports
    assert after["drop-leak"] == before["drop-leak"] + len(ports)
    assert after["wireguard-sent"] == before["wireguard-sent"] + len(ports)


@needs_kernel
@pytest.mark.parametrize("family", [4, 6])
def test_a_blocked_address_stays_blocked_over_a_reload(wires: Wires, family: int) -> None:
    outside = wires.router if family == 4 else "2600::1"
    assert wires.connect("staff", (outside, 443))
    wires.run("gw", f"nft add element inet topology_block blocked{family} {{ {outside} }}")
    wires.run("gw", f"nft -f {wires.file}")
    try:
        assert not wires.connect("staff", (outside, 443))
        assert wires.counters("topology_block")["blocked"] > 0
    finally:
        wires.run("gw", f"nft delete element inet topology_block blocked{family} {{ {outside} }}")
    assert wires.connect("staff", (outside, 443))


@needs_kernel
def test_what_is_published_is_reached_from_the_internet_and_nothing_else(tmp_path: Path) -> None:
    lab = plan_of(ROOT / "inventories" / "lab-services")
    with wired(lab, "dc-a", tmp_path) as hub:
        entry = next(p for p in policy.box(lab, hub.host).published if p.port == policy.Port("tcp", 53, 53))
        hub.run("dmz", f"ip address add {entry.address4}/24 dev eth0")
        hub.run("dmz", f"ip address add {entry.address6}/64 dev eth0 nodad")
        hub.run("net", f"ip -6 route replace {lab.district.space.aggregates[2]} via {hub.uplink.addresses[1]}")
        before = hub.counters()
        outer = hub.uplink.addresses[0]
        inner6 = str(entry.address6)
        seen = hub.connect("net", (outer, 53), (outer, 22), (outer, 443), (inner6, 53), (inner6, 443))
        assert seen == {f"{outer} 53": hub.router, f"{inner6} 53": hub.router6}
        assert hub.counters()[entry.label] >= before[entry.label] + 2


@needs_kernel
def test_a_hub_lets_an_offices_ipv6_out_and_not_its_ipv4(lab: Plan, hub: Wires) -> None:
    office = lab.sites["belopa"].network("staff").prefixes
    source4, local, source6 = office[0].replace("0/24", "99"), *(p.replace("/64", "99") for p in office[1:3])
    hub.run("net", f"ip -6 route replace {lab.district.space.aggregates[2]} via {hub.uplink.addresses[1]}")
    for source, target, length in ((source4, hub.router, 32), (source6, hub.router6, 128)):
        hub.run("far", f"ip address add {source}/{length} dev lo {NODAD[6 if ':' in source else 4]}")
        hub.run("far", f"ip route add {target} via {hub.link.addresses[int(':' in source)]} src {source}")
    before = hub.counters()
    assert hub.connect("far", (hub.router, 443), (hub.router6, 443)) == {f"{hub.router6} 443": source6}
    after = hub.counters()
    assert after["intranet-internet-any"] > before["intranet-internet-any"]
    assert after["drop-forward"] > before["drop-forward"]
    # there is no translation of IPv6: a local address does not leave
    hub.run("far", f"ip address add {local}/128 dev lo nodad")
    hub.send("far", ("udp", local, hub.router6, 20000, 443))
    assert hub.counters()["drop-leak"] == after["drop-leak"] + 1


@needs_kernel
def test_a_hubs_wireguard_ports_are_limited_per_source(lab: Plan, hub: Wires) -> None:
    port = next(x for x in policy.box(lab, hub.host).listens if not x.sources).port
    before = hub.counters()
    own = hub.uplink.addresses[0]
    hub.send("net", *[("udp", hub.router, own, 20000 + n, port) for n in range(200)])
    after = hub.counters()
    let_in = after[f"wireguard-{port}"] - before[f"wireguard-{port}"]
    limited = after["drop-wireguard-rate"] - before["drop-wireguard-rate"]
    assert 60 <= let_in < 120
    assert let_in + limited == 200
