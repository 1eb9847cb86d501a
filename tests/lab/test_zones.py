"""The zone matrix by packets: what the policy permits arrives, all else is dropped, and every rule counts.

Probes stand in every network of the operator's office, of a kecamatan and of the data centre, in two of the
DR site and on the internet; the gateways themselves send and receive too. Each sends one packet for
every service (and for ports that no service has) to every other place, in both families. What must become
of it is the evaluator's word (topology.flows.verdict), what becomes of it is what arrives.

VPN users as a source: a hub's wg0 needs a key of theirs, so a hub's own word on them is the evaluator's alone.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.lab.figures import record
from tests.lab.probe import Marks, Probe, Shot, Volley, Watch, fire, in_lan, names_of, on_host, sh, watched
from tests.lab.where import INVENTORY
from topology import flows, policy
from topology.allocate import Host, Interface, Plan
from topology.flows import Verdict, text_of, verdict
from topology.inventory import plan_of
from topology.lab.network import mac_address
from topology.policy import GATEWAY, INTERNET, Port
from topology.prefix import VPN_OCTET

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(600)]

OUTSIDE = ("198.51.100.250", "2001:db8:eeee::90")
"""Addresses on the internet, of the host that plays it besides its own (RFC 5737, 3849)."""
FOREIGN = ("198.51.100.251", "2001:db8:eeee::7")
KERNELS_OWN = ("::1",)
"""Sources that Linux drops before any filter sees them."""
NO_SERVICE = ("23/tcp", "3389/tcp", "8080/tcp", "179/tcp", "69/udp", "3784/udp", "16383/udp", "32768/udp")
HTTPS = Port("tcp", 443, 443)
ROUNDS = 3
"""A packet that must arrive is sent so often before it counts as dropped: wires may lose one."""


@dataclass(frozen=True)
class Place:
    """Where packets come from and go to."""

    site: str
    zone: str
    probe: Probe
    network: str = ""
    published: bool = False
    """A lab host that the internet may reach; it only receives."""

    @property
    def text(self) -> str:
        """Return its name in the table."""
        if self.zone == INTERNET:
            return INTERNET
        where = f"{self.site}.{self.network or self.zone}"
        return f"{where} ({self.probe.name})" if self.published else where


@dataclass
class Field:
    """The lab with its probes in place."""

    plan: Plan
    sites: tuple[str, ...]
    """The operator's office, a kecamatan, the data centre, the DR site."""
    places: list[Place]
    watches: list[Watch]
    mark: Marks = field(default_factory=Marks)

    @property
    def receivers(self) -> list[Probe]:
        """Return the namespaces with a raw listener."""
        return [p.probe for p in self.places if p.zone != GATEWAY]

    def place(self, site: str, network: str) -> Place:
        """Return a probe's place."""
        return next(p for p in self.places if (p.site, p.network) == (site, network))

    def site_of(self, gateway: str) -> str:
        """Return the site of a gateway."""
        return self.plan.hosts[gateway].site

    def counters(self) -> Counter[tuple[str, str]]:
        """Return packets by (site, label); the members of a pair together."""
        found: Counter[tuple[str, str]] = Counter()
        for watch in self.watches:
            for label, packets in watch.counters().items():
                found[self.site_of(watch.host), label] += packets
        return found

    def reached(self, heard: Iterable[frozenset[int]]) -> dict[int, str]:
        """Return mark -> namespace in which it arrived: at a listener, or past a gateway's filter."""
        found = {mark: r.netns for r, marks in zip(self.receivers, heard, strict=True) for mark in marks}
        for watch in self.watches:
            found |= {mark: self.site_of(watch.host) for mark in watch.marks()}
        return found


def gateway_of(plan: Plan, site: str) -> Host:
    """Return a site's gateway: of a pair the first."""
    return min(plan.gateways(site), key=lambda g: (g.hub_slot or 99, g.name))


@pytest.fixture(scope="module")
def lab_field() -> Iterator[Field]:
    plan = plan_of(INVENTORY)
    first = {kind: next((s for s in plan.sites if plan.sites[s].place.kind == kind), None) for kind in
             ("kecamatan", "dc", "drc")}  # fmt: skip
    operator, kecamatan, dc, drc = plan.district.facts.operator, first["kecamatan"], first["dc"], first["drc"]
    assert operator in plan.sites and kecamatan and dc and drc, "this lab is too small for the matrix"
    sites = (operator, kecamatan, dc, drc)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        # the evaluator asks for a gateway's view and for a path thousands of times
        views = {name: policy.box(plan, host) for name, host in plan.hosts.items() if host.kind == "gateway"}
        paths = functools.cache(lambda *way: path_of(plan, *way))
        path_of = flows.path_of
        patch.setattr(policy, "box", lambda _, host: views[host.name])
        patch.setattr(flows, "path_of", lambda _, *way: paths(*way))
        watches = [stack.enter_context(watched(plan, h)) for h in views]
        places = []
        for site in sites:
            for network in plan.sites[site].networks:
                zone = zone_of(plan, network.name)
                if zone and (site != drc or network.name in ("server", "database")):
                    probe = stack.enter_context(in_lan(plan, site, network.name))
                    places.append(Place(site, zone, probe, network.name))
            if site != drc:
                gateway = gateway_of(plan, site)
                watch = next(w for w in watches if w.host == gateway.name)
                places.append(Place(site, GATEWAY, watch.probe(next(gateway.of_kind("loopback")).addresses)))
        routes = {plan.district.space.aggregates[-1]: uplink_address(plan, dc, 6)}
        for site in sites:
            routes[next(p for p in plan.sites[site].prefixes if ":" not in p)] = uplink_address(plan, site, 4)
        outside = next(h.name for h in plan.hosts.values() if h.kind == "internet")
        places.append(Place(dc, INTERNET, stack.enter_context(on_host(plan, outside, OUTSIDE, routes))))
        for name in {p.host for p in views[gateway_of(plan, dc).name].published}:
            network_name = next(plan.hosts[name].of_kind("host")).network or ""
            probe = stack.enter_context(on_host(plan, name))
            places.append(Place(dc, zone_of(plan, network_name) or "", probe, network_name, True))
        found = Field(plan, sites, places, watches)
        warm_up(found)
        yield found


def zone_of(plan: Plan, network: str) -> str | None:
    return next((z for z, e in plan.district.policy.zones.items() if network in e.networks), None)


def uplink_address(plan: Plan, site: str, family: int) -> str:
    """Return the address of a gateway on its uplink, a pair's shared one where there is one."""
    uplink = next(gateway_of(plan, site).of_kind("uplink"))
    every = (*uplink.shared, *uplink.addresses)
    return next(a for a in every if (":" in a) == (family == 6))


def lan_of(plan: Plan, place: Place) -> Interface:
    """Return the gateway's interface in a probe's network."""
    return next(i for i in gateway_of(plan, place.site).of_kind("lan") if i.network == place.network)


def router_of(plan: Plan, place: Place, family: int) -> str:
    """Return the address at which a probe's network reaches its gateway."""
    lan = lan_of(plan, place)
    return next(a for a in (*lan.shared, *lan.addresses) if (":" in a) == (family == 6))


def warm_up(found: Field) -> None:
    """Make probes and gateways know each other's hardware addresses: nothing must wait for that later."""
    volleys = []
    for place in found.places:
        if place.network and not place.published:
            shots = [Shot(found.mark(), "icmp", router_of(found.plan, place, 4))]
            for source in place.probe.addresses[1:]:
                shots.append(Shot(found.mark(), "icmp", router_of(found.plan, place, 6), source=source))
            volleys.append(Volley(place.probe, shots * 2))
    fire(volleys, [], rate=20)
    time.sleep(0.5)


# ---------------------------------------------------------------- the matrix


@dataclass(frozen=True)
class Cell:
    """One packet of the matrix."""

    source: Place
    target: Place
    protocol: str
    port: Port
    family: int
    expected: bool
    found: Verdict

    @property
    def why(self) -> str:
        """Return every gateway's word."""
        return "; ".join(f"{s.gateway}: {s.label or 'STOPPED'} ({s.why})" for s in self.found.why)

    @property
    def row(self) -> str:
        """Return the cell's line of the table, but for what was observed."""
        service = f"lone ACK {self.port.low}/tcp" if self.protocol == "ack" else text_of(self.port)
        return f"{self.source.text:<26} {self.target.text:<26} {service:<18} IPv{self.family}"


def ports(plan: Plan) -> list[Port]:
    """Return the ends of every range of every service, and ports that no service has."""
    every = [policy.port(text) for texts in plan.district.policy.services.values() for text in texts]
    ends = [Port(p.protocol, n, n) for p in every for n in (p.low, p.high)]
    none = [policy.port(text) for text in NO_SERVICE]
    assert not [n for n in none for p in every if n.protocol == p.protocol and p.low <= n.low <= p.high]
    return list(dict.fromkeys([*ends, *none]))


def cells(found: Field) -> Iterator[Cell]:
    """Yield the whole matrix, and a lone ACK for every TCP flow that is permitted."""
    plan = found.plan
    every = ports(plan)
    redirected = {
        s: {p.port for p in policy.box(plan, gateway_of(plan, s)).published} for s in {p.site for p in found.places}
    }
    for source in found.places:
        for target in found.places:
            if source is target or source.published or (source.site, source.network) == (target.site, target.network):
                continue
            if target.published and source.zone != INTERNET:
                continue  # it stands in a network like the probe beside it
            for port in every:
                for family in (4, 6):
                    if (source.zone, target.zone, family) == (INTERNET, GATEWAY, 4) and port in redirected[target.site]:
                        continue  # it is handed to the published host, whose cell this is
                    cell = judged(plan, source, target, port, family)
                    yield cell
                    if cell.expected and port.protocol == "tcp":
                        yield Cell(source, target, "ack", port, family, False, cell.found)


def judged(plan: Plan, source: Place, target: Place, port: Port, family: int) -> Cell:
    """Return a cell with the evaluator's word."""
    site = source.site if target.zone == INTERNET else target.site
    home = target.site if source.zone == INTERNET else source.site
    said = verdict(plan, source.zone, home, target.zone, site, port, family)
    passes = said.passes
    if source.zone == INTERNET and not target.published:
        passes = False  # a zone has published hosts; a probe is none
    return Cell(source, target, port.protocol, port, family, passes, said)


def address(found: Field, cell: Cell) -> str:
    """Return where a cell's packet goes."""
    plan, source, target = found.plan, cell.source, cell.target
    if source.zone == INTERNET:
        if target.zone == GATEWAY or (target.published and cell.family == 4):
            return uplink_address(plan, target.site, cell.family)
        return target.probe.address(4) if cell.family == 4 else target.probe.gua
    if target.zone == GATEWAY and source.network and source.site == target.site:
        return router_of(plan, source, cell.family)
    return target.probe.address(cell.family)


def shot(found: Field, cell: Cell) -> Shot:
    """Return a new packet for a cell."""
    source, sport = None, 0
    if cell.target.zone == INTERNET and cell.family == 6:
        source = cell.source.probe.gua
    if cell.source.zone == INTERNET:
        source = cell.source.probe.address(cell.family)
    if cell.protocol == "udp" and cell.port.low in (67, 547):
        sport = cell.port.low + (1 if cell.port.low == 67 else -1)  # a DHCP client's
        if cell.port.low == 547 and cell.target.zone == GATEWAY and cell.source.network and cell.family == 6:
            source = link_local(cell.source.probe) if cell.source.site == cell.target.site else None
    return Shot(found.mark(), cell.protocol, address(found, cell), cell.port.low, source, sport)


@functools.cache
def link_local(probe: Probe) -> str:
    """Return a probe's link-local address."""
    return probe.run("ip", "-6", "-brief", "address", "show", "dev", "eth0", "scope", "link").split()[2].split("/")[0]


def shoot(found: Field, todo: list[Cell]) -> dict[int, bool]:
    """Send a packet for each cell, all senders at once; return index of cell -> whether it arrived where it should."""
    by_sender: dict[str, tuple[Probe, list[Shot]]] = {}
    marks: dict[int, int] = {}
    for index, cell in enumerate(todo):
        one = shot(found, cell)
        marks[one.mark] = index
        by_sender.setdefault(cell.source.probe.netns, (cell.source.probe, []))[1].append(one)
    heard = fire([Volley(*v) for v in by_sender.values()], found.receivers)
    result = dict.fromkeys(range(len(todo)), False)
    for mark, where in found.reached(h.marks for h in heard).items():
        if mark in marks:
            target = todo[marks[mark]].target
            assert where == (target.site if target.zone == GATEWAY else target.probe.netns), (
                f"{todo[marks[mark]].row} arrived in {where}"
            )
            result[marks[mark]] = True
    return result


def test_the_whole_matrix(lab_field: Field) -> None:
    began = time.monotonic()
    matrix = list(cells(lab_field))
    judging = time.monotonic() - began
    before = lab_field.counters()
    observed = shoot(lab_field, matrix)
    sent = Counter[int](range(len(matrix)))
    for _ in range(ROUNDS - 1):
        lost = [i for i, cell in enumerate(matrix) if cell.expected and not observed[i]]
        if not lost:
            break
        sent.update(lost)
        print(f"sent again: {len(lost)}, the first: {[matrix[i].row for i in lost[:5]]}")
        again = shoot(lab_field, [matrix[i] for i in lost])
        observed |= {lost[i]: True for i, arrived in again.items() if arrived}
    counted = lab_field.counters() - before
    seconds = time.monotonic() - began
    wrong = [(cell, observed[i]) for i, cell in enumerate(matrix) if cell.expected != observed[i]]
    table = [f"{c.row} expected {said(c.expected)}, observed {said(o)}: {c.why}" for c, o in wrong]
    record(
        "zone matrix", cells=len(matrix), permitted=sum(c.expected for c in matrix),
        lone_ack=sum(c.protocol == "ack" for c in matrix), sent_again=sum(sent.values()) - len(matrix),
        wrong=len(wrong), judging_seconds=round(judging, 1), seconds=round(seconds, 1),
    )  # fmt: skip
    assert not table, f"{len(table)} of {len(matrix)} cells differ:\n" + "\n".join(table)
    faults = [*uncounted_labels(lab_field, matrix, counted), *uncounted_drops(lab_field, matrix, counted)]
    assert not faults, "\n".join(faults)
    assert seconds < 120


def said(passes: bool) -> str:
    return "passes" if passes else "dropped"


def uncounted_labels(found: Field, matrix: list[Cell], counted: Counter[tuple[str, str]]) -> Iterator[str]:
    """Yield the labels that counted fewer packets than they let through."""
    shots: Counter[tuple[str, str]] = Counter()
    for cell in matrix:
        if cell.expected:
            shots.update((found.site_of(s.gateway), s.label) for s in cell.found.why if s.label)
    for (site, label), number in sorted(shots.items()):
        if counted[site, label] < number:
            yield f"{site}: label {label} counted {counted[site, label]} of {number}"
    record("labels", labels=len(shots), sites=len({s for s, _ in shots}), packets=sum(shots.values()))


def uncounted_drops(found: Field, matrix: list[Cell], counted: Counter[tuple[str, str]]) -> Iterator[str]:
    """Yield the sites whose filters counted fewer drops than packets they had to stop: none was just lost."""
    stops: Counter[str] = Counter()
    for cell in matrix:
        if not cell.expected:
            stops[found.site_of(stopping_gateway(found, cell))] += 1
    for site, number in stops.items():
        drops = sum(n for (s, label), n in counted.items() if s == site and label.startswith("drop-"))
        record("drops", site=site, must_be_stopped=number, counted=drops)
        if drops < number:
            yield f"{site}: {drops} drops counted of {number}"


def stopping_gateway(found: Field, cell: Cell) -> str:
    """Return the gateway that has to drop a cell's packet."""
    if cell.source.zone == INTERNET:  # by the route given to the internet
        via_hub = cell.family == 6 and cell.target.zone != GATEWAY
        return gateway_of(found.plan, found.sites[2] if via_hub else cell.target.site).name
    if cell.protocol == "ack":
        return cell.found.path[0]
    return cell.found.why[-1].gateway


# ---------------------------------------------------------------- guests


def test_guests_reach_the_internet_and_their_gateway_only(lab_field: Field) -> None:
    """Also not the gateway's other addresses, nor other gateways, nor guests elsewhere; and nothing reaches them."""
    plan = lab_field.plan
    guests = [p for p in lab_field.places if p.zone in plan.district.policy.zones
              and plan.district.policy.zones[p.zone].isolated]  # fmt: skip
    assert len(guests) >= 2
    allowed = {p.zone: {(r.target, r.service) for r in policy.box(plan, gateway_of(plan, p.site)).rules
                        if r.source == p.zone} for p in guests}  # fmt: skip
    assert all({t for t, _ in rules} <= {GATEWAY, INTERNET} for rules in allowed.values())
    volleys, forbidden = [], {}
    for guest in guests:
        shots = []
        targets = {
            f"{h.name} {i.name}": (*i.shared, *i.addresses)
            for h in plan.hosts.values() if h.kind == "gateway" for i in h.interfaces
            if (h.site, i.network) != (guest.site, guest.network)
            and (i.kind != "uplink" or h.site == guest.site)  # those of others are the internet
        }  # fmt: skip
        targets |= {o.text: o.probe.addresses for o in lab_field.places if o is not guest and o.zone != INTERNET}
        for name, addresses in targets.items():
            for target in addresses:
                source = guest.probe.gua if target in OUTSIDE or (target == addresses[-1] and ":" in target) else None
                for protocol, port in (("udp", 53), ("tcp", 53), ("tcp", 443), ("tcp", 22), ("icmp", 0)):
                    one = Shot(lab_field.mark(), protocol, target, port, source)
                    shots.append(one)
                    forbidden[one.mark] = f"{guest.text} -> {name} {target} {protocol} {port}"
        volleys.append(Volley(guest.probe, shots))
    before = lab_field.counters()
    heard = fire(volleys, lab_field.receivers)
    arrived = lab_field.reached(h.marks for h in heard)
    counted = lab_field.counters() - before
    leaks = [text for mark, text in forbidden.items() if mark in arrived]
    assert not leaks, "\n".join(leaks)
    for guest, volley in zip(guests, volleys, strict=True):
        drops = sum(n for (s, label), n in counted.items() if s == guest.site and label.startswith("drop-"))
        record("guest", site=guest.site, shots=len(volley.shots), drops=drops)
        assert drops >= len(volley.shots)


def advertisement(found: Field, guest: Place, victim: str, protocol: str) -> Shot:
    network = found.plan.sites[guest.site].network(guest.network)
    prefix = next(p for p in network.prefixes if ":" in p).split("/")[0]
    return Shot(found.mark(), protocol, victim, source=link_local(guest.probe), prefix=prefix)


def test_rogue_advertisements_and_dhcp_answers_from_guests(lab_field: Field) -> None:
    plan = lab_field.plan
    for site in lab_field.sites[:2]:
        guest, staff = lab_field.place(site, "guest"), lab_field.place(site, "staff")
        gateway, lan = gateway_of(plan, site), lan_of(plan, lab_field.place(site, "guest"))
        netns = names_of(plan).host_netns(gateway.name)
        routes = sh("ip", "-n", netns, "-6", "route", "show", "proto", "ra")
        before = lab_field.counters()
        router = sh("ip", "-n", netns, "-6", "-brief", "address", "show", "dev", lan.name, "scope", "link")
        near = router.split()[2].split("/")[0]
        ra = [advertisement(lab_field, guest, v, "ra") for v in ("ff02::1", near, lan.addresses[1])]
        redirects = [advertisement(lab_field, guest, v, "redirect") for v in (near, lan.addresses[1])]
        answers = [
            Shot(lab_field.mark(), "udp", victim, 68 if ":" not in victim else 546, source=source,
                 sport=67 if ":" not in victim else 547)
            for source, victims in (
                (guest.probe.address(4), ("255.255.255.255", lan.addresses[0], staff.probe.address(4))),
                (link_local(guest.probe), ("ff02::1:2", near, lan.addresses[1])),
                (guest.probe.address(6), (staff.probe.address(6),)),
            )
            for victim in victims
        ]  # fmt: skip
        shots = [*ra, *redirects, *answers]
        mac = mac_address(names_of(plan).lab, gateway.name, lan.name)
        volley = Volley(guest.probe, shots, device="eth0", mac=mac)
        heard = fire([volley], lab_field.receivers)
        own = {s.source for s in shots}
        assert not {s.mark for s in shots} & set(lab_field.reached(h.marks for h in heard))
        others = [r.name for r, h in zip(lab_field.receivers, heard, strict=True)
                  if any(kind.split()[1] in own for kind in h.kinds)]  # fmt: skip
        assert not others, f"advertisements of a guest of {site} were heard by {others}"
        counted = lab_field.counters() - before
        assert counted[site, "drop-rogue-ra"] >= len(ra) + len(redirects)
        assert counted[site, "drop-rogue-dhcp"] >= len(answers)
        assert sh("ip", "-n", netns, "-6", "route", "show", "proto", "ra") == routes
        record("rogue", site=site, ra=counted[site, "drop-rogue-ra"], dhcp=counted[site, "drop-rogue-dhcp"])


# ---------------------------------------------------------------- sources that lie


def spoofs(found: Field, place: Place) -> dict[str, tuple[str, str]]:
    """Return what a network may pretend: description -> (IPv4, IPv6 source)."""
    plan = found.plan
    gateway = gateway_of(plan, place.site)
    other = next(p for p in found.places if p.site == place.site and p.network not in ("", place.network))
    far = next(p for p in found.places if p.site != place.site and p.network == "mgmt")
    admin = found.place(found.sites[0], "mgmt")
    own = lan_of(plan, place)
    loopback = next(gateway.of_kind("loopback"))
    return {
        "another network of the site": (other.probe.addresses[0], other.probe.addresses[1]),
        "another network of the site, GUA": (other.probe.addresses[0], other.probe.gua),
        "another site": (far.probe.addresses[0], far.probe.addresses[1]),
        "administrators": (admin.probe.addresses[0], admin.probe.addresses[1]) if admin.site != place.site
        else (far.probe.addresses[0], far.probe.addresses[1]),
        "its gateway": (own.addresses[0], own.addresses[1]),
        "its gateway's loopback": (loopback.addresses[0], loopback.addresses[1]),
        "a foreign address": FOREIGN,
        "no address": ("0.0.0.0", "::"),
        "this host": ("127.0.0.1", "::1"),
    }  # fmt: skip


def test_spoofed_sources_from_a_network(lab_field: Field) -> None:
    """To where the true source may go: only the lie can be the reason of a drop."""
    plan = lab_field.plan
    volleys, texts, number = [], {}, Counter[str]()
    for site in lab_field.sites[:3]:
        for network in ("staff", "mgmt", "server"):
            place = lab_field.place(site, network)
            mac = mac_address(names_of(plan).lab, master_of(lab_field, site, place).name, lan_of(plan, place).name)
            shots = []
            for lie, sources in spoofs(lab_field, place).items():
                for family, source in zip((4, 6), sources, strict=True):
                    for target in lab_field.places:
                        if target.site == site or target.zone == INTERNET or target.published:
                            continue
                        for protocol, port in (("tcp", 443), ("tcp", 22), ("icmp", 0)):
                            one = Shot(lab_field.mark(), protocol, target.probe.address(family), port, source)
                            shots.append(one)
                            texts[one.mark] = f"{place.text} as {lie} ({source}) -> {target.text} {protocol} {port}"
                    for protocol, port in (("icmp", 0), ("udp", 53), ("tcp", 22)):
                        one = Shot(lab_field.mark(), protocol, router_of(plan, place, family), port, source)
                        shots.append(one)
                        texts[one.mark] = f"{place.text} as {lie} ({source}) -> gateway {protocol} {port}"
            # as frames: the probe's own kernel would not send some of these
            volleys.append(Volley(place.probe, shots, device="eth0", mac=mac))
            number[site] += sum(s.source not in KERNELS_OWN for s in shots)
    before = lab_field.counters()
    heard = fire(volleys, lab_field.receivers)
    counted = lab_field.counters() - before
    arrived = lab_field.reached(h.marks for h in heard)
    leaks = [f"{text}: arrived in {arrived[mark]}" for mark, text in texts.items() if mark in arrived]
    assert not leaks, f"{len(leaks)} of {len(texts)}:\n" + "\n".join(leaks)
    for site, shots_sent in number.items():
        drops = {w: counted[site, w] for w in ("drop-spoofed", "drop-own-source")}
        record(
            "spoofed from networks", site=site, shots=shots_sent, **{k.replace("-", "_"): n for k, n in drops.items()}
        )
        assert all(drops.values())


def master_of(found: Field, site: str, place: Place) -> Host:
    """Return the gateway that holds a network's router address now: of a pair either."""
    every = found.plan.gateways(site)
    for gateway in every:
        out = sh("ip", "-n", names_of(found.plan).host_netns(gateway.name), "-4", "-brief", "address", "show")
        if f" {router_of(found.plan, place, 4)}/" in out:
            return gateway
    raise AssertionError(f"nobody has {router_of(found.plan, place, 4)}")


def lies_about(found: Field, site: str) -> dict[str, tuple[str, ...]]:
    """Return sources that cannot come to a site from outside: description -> (IPv4, IPv6)."""
    staff = found.place(site, "staff")
    loopback = next(gateway_of(found.plan, site).of_kind("loopback"))
    return {
        "the site's own network": staff.probe.addresses[:2],
        "the site's own network, GUA": (staff.probe.addresses[0], staff.probe.gua),
        "the site's management": found.place(site, "mgmt").probe.addresses[:2],
        "its gateway": lan_of(found.plan, staff).addresses[:2],
        "its gateway's loopback": loopback.addresses[:2],
        "this host": ("127.0.0.1", "::1"),
    }


@pytest.mark.parametrize("kind", ["tunnel", "radio"])
def test_spoofed_sources_over_a_link(lab_field: Field, kind: str) -> None:
    """The far end puts packets on the link that cannot come from there: frames, past its own filter."""
    plan = lab_field.plan
    operator, kecamatan, dc, _ = lab_field.sites
    site = operator if kind == "tunnel" else kecamatan
    gateway = gateway_of(plan, site)
    link = next(n for n in plan.links_of(gateway.name) if n.kind == kind)
    far, near = link.far_end(gateway.name), link.end_of(gateway.name)
    server, guest = lab_field.place(site, "server"), lab_field.place(site, "guest")
    itself = next(p for p in lab_field.places if (p.site, p.zone) == (site, GATEWAY))
    truth = lab_field.place(dc, "server").probe.addresses[:2]
    texts, shots, honest = {}, [], {}
    lies = {**lies_about(lab_field, site), "a foreign address": FOREIGN, "truth": truth}
    for lie, sources in lies.items():
        for family, source in zip((4, 6), sources, strict=True):
            for target, protocol, port in ((server, "tcp", 443), (server, "icmp", 0), (itself, "icmp", 0),
                                           (itself, "tcp", 22), (guest, "tcp", 443)):  # fmt: skip
                one = Shot(lab_field.mark(), protocol, target.probe.address(family), port, source)
                shots.append(one)
                text = f"{lie} ({source}) -> {target.text} {protocol} {port}"
                if lie != "truth":
                    texts[one.mark] = text
                elif target is not guest and port != 22:
                    honest[one.mark] = text
    before = lab_field.counters()
    sender = Probe(far.host, names_of(plan).host_netns(far.host), ())
    mac = "00" * 6 if kind == "tunnel" else mac_address(names_of(plan).lab, gateway.name, near.interface)
    heard = fire([Volley(sender, shots, device=far.interface, mac=mac)], lab_field.receivers)
    counted = lab_field.counters() - before
    arrived = lab_field.reached(h.marks for h in heard)
    leaks = [text for mark, text in texts.items() if mark in arrived]
    assert not leaks, "\n".join(leaks)
    lost = [text for mark, text in honest.items() if mark not in arrived]
    assert not lost, f"the link itself does not work: {lost}"
    own, foreign = counted[site, "drop-own-source"], counted[site, "drop-foreign-source"]
    record(f"spoofed over a {kind}", shots=len(texts), drop_own_source=own, drop_foreign_source=foreign)
    assert own and foreign
    assert own + foreign >= sum(s.source not in KERNELS_OWN for s in shots if s.mark in texts)


def test_spoofed_sources_from_the_internet(lab_field: Field) -> None:
    """Nobody out there is one of the district, and the uplink's own addresses are the gateway's."""
    plan = lab_field.plan
    outside = next(p for p in lab_field.places if p.zone == INTERNET)
    volleys, texts, number = [], {}, Counter[str]()
    for site in lab_field.sites[:3]:
        other = next(s for s in lab_field.sites[:3] if s != site)
        lies = lies_about(lab_field, site) | {
            "another site": lab_field.place(other, "mgmt").probe.addresses[:2],
            "another site, GUA": lab_field.place(other, "mgmt").probe.addresses[::2],
            "the gateway's uplink": next(gateway_of(plan, site).of_kind("uplink")).addresses[:2],
            "a multicast address": ("224.0.0.9", "ff02::9"),
        }
        server, shots = lab_field.place(site, "server"), []
        for lie, sources in lies.items():
            for family, source in zip((4, 6), sources, strict=True):
                inside = server.probe.address(4) if family == 4 else server.probe.gua
                for target in (inside, next(gateway_of(plan, site).of_kind("uplink")).addresses[family == 6]):
                    for protocol, port in (("tcp", 443), ("tcp", 22), ("icmp", 0), ("udp", 53)):
                        one = Shot(lab_field.mark(), protocol, target, port, source)
                        shots.append(one)
                        texts[one.mark] = f"{lie} ({source}) -> {target} {protocol} {port}"
        gateway = gateway_of(plan, site)
        mac = mac_address(names_of(plan).lab, gateway.name, next(gateway.of_kind("uplink")).name)
        volleys.append(Volley(outside.probe, shots, device="eth0", mac=mac))
        number[site] = sum(s.source not in (*KERNELS_OWN, "ff02::9") for s in shots)
    before = lab_field.counters()
    heard = fire(volleys, lab_field.receivers)
    counted = lab_field.counters() - before
    arrived = lab_field.reached(h.marks for h in heard)
    leaks = [text for mark, text in texts.items() if mark in arrived]
    assert not leaks, "\n".join(leaks)
    for site, shots_sent in number.items():
        martian, own = counted[site, "drop-martian"], counted[site, "drop-own-source"]
        record("spoofed from the internet", site=site, shots=shots_sent, drop_martian=martian, drop_own_source=own)
        assert martian and own and martian + own >= shots_sent


def test_local_addresses_do_not_leave_for_the_internet(lab_field: Field) -> None:
    """Who may use the internet does so with an address of the internet: there is no translation of IPv6."""
    shots: dict[str, Shot] = {}
    volleys = []
    for place in [p for p in lab_field.places if p.network and not p.published]:
        cell = judged(lab_field.plan, place, next(p for p in lab_field.places if p.zone == INTERNET), HTTPS, 6)
        if cell.expected:
            one = Shot(lab_field.mark(), "tcp", OUTSIDE[1], HTTPS.low, place.probe.address(6))
            shots[place.text] = one
            volleys.append(Volley(place.probe, [one]))
    before = lab_field.counters()
    arrived = lab_field.reached(h.marks for h in fire(volleys, lab_field.receivers))
    counted = lab_field.counters() - before
    leaks = [f"{text} {one.source}" for text, one in shots.items() if one.mark in arrived]
    assert shots and not leaks, f"seen on the internet: {leaks}"
    drops = sum(n for (_, label), n in counted.items() if label == "drop-leak")
    record("local addresses", shots=len(shots), drop_leak=drops)
    assert drops >= len(shots)


# ---------------------------------------------------------------- VPN users


def test_vpn_users_at_an_office(lab_field: Field) -> None:
    """A probe cannot be in a hub's wg0: packets of a user start in the hub's tunnel, behind its filter."""
    plan = lab_field.plan
    operator, _, dc, _ = lab_field.sites
    gateway, hub = gateway_of(plan, operator), gateway_of(plan, dc)
    user = plan.district.space.host(VPN_OCTET, hub.hub_slot or 0, 90)
    link = next(n for n in plan.links_of(gateway.name) if n.far_end(gateway.name).host == hub.name)
    matrix, shots = {}, []
    for target in [p for p in lab_field.places if p.site == operator]:
        for port in ports(plan):
            for family in (4, 6):
                found = verdict(plan, policy.VPN, dc, target.zone, operator, port, family)
                if found.why[-1].gateway == hub.name:
                    continue
                one = Shot(lab_field.mark(), port.protocol, target.probe.address(family), port.low, user[family == 6])
                shots.append(one)
                matrix[one.mark] = (f"vpn {target.text} {text_of(port)} IPv{family}", found)
    before = lab_field.counters()
    sender = Probe(hub.name, names_of(plan).host_netns(hub.name), ())
    volley = Volley(sender, shots, device=link.far_end(gateway.name).interface)
    arrived = lab_field.reached(h.marks for h in fire([volley], lab_field.receivers))
    counted = lab_field.counters() - before
    wrong = [f"{text}: expected {said(v.passes)}, observed {said(mark in arrived)}: {v.why[-1].why}"
             for mark, (text, v) in matrix.items() if v.passes != (mark in arrived)]  # fmt: skip
    assert not wrong, "\n".join(wrong)
    labels = Counter(v.why[-1].label for _, v in matrix.values() if v.passes)
    assert labels
    assert not [x for x, n in labels.items() if counted[operator, x or ""] < n], (labels, counted)
    record("vpn at an office", cells=len(matrix), permitted=sum(labels.values()))


def test_vpn_users_at_their_hub_by_the_evaluator(lab_field: Field) -> None:
    """What a VPN user may is what policy.yml gives `vpn` and, for they are of it, `intranet`."""
    plan, dc = lab_field.plan, lab_field.sites[2]
    given = {(target, service) for flow in plan.district.policy.flows
             if set(flow.sources) & {policy.VPN, policy.INTRANET} and (flow.at is None or "dc" in flow.at)
             for target in flow.targets for service in flow.services}  # fmt: skip
    zones = {p.zone for p in lab_field.places if p.site == dc} - {INTERNET}
    assert given and zones
    for zone in sorted(zones):
        for service in sorted(plan.district.policy.services):
            for family in (4, 6):
                passes = verdict(plan, policy.VPN, dc, zone, dc, service, family).passes
                assert passes == ((zone, service) in given), (zone, service, family)
