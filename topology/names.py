"""The district's names: its zones, in the two views that the world has of them.

Residents see the internal view: every host, gateway and service with its own addresses, and the reverse zones
of all prefixes. The internet sees the public view: what policy.yml publishes, at the addresses it is reached
by, and never a private one. Without a published name server there is no public view.

The first host of services/dns.yml is the primary: it signs, the others copy. A host of that service described
as `hidden primary` is asked by nobody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from topology.allocate import Host, Interface, Plan, allocate
from topology.policy import ports_of
from topology.schema import ServiceFile

SERVICE = "dns"
"""Name of the service (services/) that is authoritative for the district."""
HIDDEN = "hidden primary"
"""In the description of a host of that service: it is not asked."""
WEB = "www"
"""Stable name of the service that carries the web sites of all agencies."""
MAIL = "mail"
"""Name of the service (services/) that takes the district's mail."""
INTERNAL_SERVICE = "dns-internal"
"""Service in policy.yml whose port the internal view is asked at, where there are two views."""
INTERNAL, PUBLIC = "internal", "public"
PORT = 53
_AGENCIES = ("skpd", "hub")
_TTL = {INTERNAL: 300, PUBLIC: 3600}
_REFRESH, _RETRY = 60, 10
"""Seconds after which a secondary asks by itself: what repairs a lost NOTIFY."""
EXPIRE = 35 * 86400
"""Seconds for which secondaries answer without the primary."""
_NEGATIVE = 60
_RANK = {"SOA": 0, "NS": 1, "MX": 2, "TXT": 3, "CAA": 4}


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone: records by owner relative to it (`@`: its own name)."""

    name: str
    """With the final dot."""
    ttl: int
    records: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """owner -> type -> data."""

    def add(self, owner: str, kind: str, data: str) -> None:
        """Add a record; one that is there already is not added again."""
        found = self.records.setdefault(owner, {}).setdefault(kind, [])
        if data not in found:
            found.append(data)

    def text(self, header: str) -> str:
        """Return the zone as a master file (RFC 1035 5)."""
        rows = [f"; {header}\n$ORIGIN {self.name}\n$TTL {self.ttl}\n"]
        for owner, kinds in sorted(self.records.items(), key=lambda item: (item[0] != "@", item[0])):
            for kind, many in sorted(kinds.items(), key=lambda item: (_RANK.get(item[0], 9), item[0])):
                rows += [f"{owner} {kind} {data}\n" for data in many]
        return "".join(rows)


@dataclass(frozen=True, slots=True)
class Servers:
    """The service's hosts in a plan (of a lab: in its slice)."""

    primary: Host
    secondaries: tuple[Host, ...]
    views: tuple[str, ...]

    @property
    def asked(self) -> tuple[Host, ...]:
        """Hosts that may be asked, in the service's order."""
        return tuple(h for h in (self.primary, *self.secondaries) if not hidden(h))


def servers(plan: Plan) -> Servers | None:
    """Return the name servers of a plan; None without any, or where a lab leaves the primary out."""
    service = plan.district.services.get(SERVICE)
    if service is None or service.hosts[0] not in plan.hosts:
        return None
    hosts = [plan.hosts[name] for name in service.hosts if name in plan.hosts]
    views = (INTERNAL, PUBLIC) if split(plan) else (INTERNAL,)
    return Servers(hosts[0], tuple(hosts[1:]), views)


def hidden(host: Host) -> bool:
    """Say whether a name server is asked by nobody."""
    return HIDDEN in (host.description or "").lower()


def split(plan: Plan) -> bool:
    """Say whether the internet has a view of its own: a name server is published."""
    service = plan.district.services.get(SERVICE)
    return service is not None and any(_publishes_dns(plan, name) for name in service.hosts)


def port_of(plan: Plan, view: str) -> int:
    """Return the port at which a view is asked."""
    policy = plan.district.policy
    if view == INTERNAL and split(plan) and INTERNAL_SERVICE in policy.services:
        return ports_of(policy, INTERNAL_SERVICE)[0].low
    return PORT


def _publishes_dns(plan: Plan, host: str) -> bool:
    policy = plan.district.policy
    return any(
        p.low <= PORT <= p.high
        for entry in policy.published
        if entry.host == host
        for service in entry.services
        for p in ports_of(policy, service)
    )


def zone_names(plan: Plan, view: str = INTERNAL) -> tuple[str, ...]:
    """Return the names, with a final dot, of a view's zones: the domain, then the reverse zones."""
    space = plan.district.space
    domain = f"{plan.district.facts.domain}."
    gua = (reverse_zone(space.gua),) if space.gua is not None else ()
    if view == PUBLIC:
        return (domain, *gua)
    return (domain, f"{space.first_octet}.in-addr.arpa.", reverse_zone(space.ula), *gua)


@cache
def reverse_zone(prefix: ipaddress.IPv6Network) -> str:
    """Return the reverse zone of an IPv6 prefix whose length is a multiple of 4 (RFC 3596 2.5)."""
    digits = prefix.network_address.exploded.replace(":", "")[: prefix.prefixlen // 4]
    return ".".join(reversed(digits)) + ".ip6.arpa."


def named(host: Host) -> tuple[str, ...]:
    """Return the addresses (IPv4, ULA, GUA) that a host's name stands for: its first interface's.

    Of a gateway the loopback's, which does not depend on a LAN.
    """
    first = next(host.of_kind("loopback" if host.kind == "gateway" else "host"), None)
    return first.addresses if first else ()


def zones(plan: Plan, view: str) -> tuple[Zone, ...]:
    """Return a view's zones with all their records.

    Of a lab they are the whole district's, but for the name servers: those are the ones it boots.
    """
    made = {name: Zone(name, _TTL[view]) for name in zone_names(plan, view)}
    maker = _Maker(plan, view, made)
    maker.authority()
    if view == INTERNAL:
        maker.inside()
    else:
        maker.outside()
    return tuple(made.values())


class _Maker:
    """Fills a view's zones."""

    def __init__(self, plan: Plan, view: str, made: dict[str, Zone]) -> None:
        self.booted = plan
        # whoever a lab leaves out has a name all the same
        self.plan = allocate(plan.district) if plan.district.lab else plan
        self.view, self.made = view, made
        self.domain = f"{plan.district.facts.domain}."
        self.forward = made[self.domain]
        self.known: set[str] = set()
        """Addresses that have a name already."""

    def fqdn(self, host: Host) -> str:
        return f"{host.short}.{host.site}.{self.domain}"

    # -- what every zone begins with -------------------------------------------------------------

    def authority(self) -> None:
        """Add SOA and NS records, and what is said of mail and certificates."""
        found = servers(self.booted)
        asked = found.asked if found else ()
        if self.view == PUBLIC:
            asked = tuple(h for h in asked if _publishes_dns(self.plan, h.name))
        targets = [self.fqdn(h) for h in asked]
        first = targets[0] if targets else f"ns.{self.domain}"
        for zone in self.made.values():
            timers = f"1 {_REFRESH} {_RETRY} {EXPIRE} {_NEGATIVE}"
            zone.add("@", "SOA", f"{first} hostmaster.{self.domain} {timers}")
            for target in targets:
                zone.add("@", "NS", target)
        service = self.plan.district.services.get(SERVICE)
        for issuer in (service.issuers if service else ()) or (";",):
            self.forward.add("@", "CAA", f'0 issue "{issuer}"')
        self._mail()

    def _mail(self) -> None:
        hosts = self._hosts(self.plan.district.services.get(MAIL))
        for number, host in enumerate(hosts, 1):
            self.forward.add("@", "MX", f"{10 * number} {self.fqdn(host)}")
        if not hosts:
            self.forward.add("@", "MX", "0 .")  # RFC 7505: no mail here
            self.forward.add("@", "TXT", '"v=spf1 -all"')
            self.forward.add("_dmarc", "TXT", '"v=DMARC1; p=reject"')
            return
        # outgoing mail leaves by its gateways' own addresses
        own = [a for h in hosts for g in self.plan.gateways(h.site) for a in _uplink(g, own=True)]
        words = [f"ip4:{a}" for a in dict.fromkeys(own)] if self.view == PUBLIC else []
        self.forward.add("@", "TXT", f'"{" ".join(("v=spf1", "mx", *words, "-all"))}"')
        self.forward.add("_dmarc", "TXT", '"v=DMARC1; p=quarantine"')

    # -- the internal view -----------------------------------------------------------------------

    def inside(self) -> None:
        """Add every host, gateway, service, application and VPN user."""
        for site in self.plan.sites.values():
            v6 = site.place.data.migration != "ipv4-only"
            for host in site.hosts:
                if host.kind != "internet":
                    self._host(host, v6)
        for user in self.plan.vpn_users:
            for addresses in user.addresses.values():
                self._name(f"{user.name}.vpn", addresses, True)
        self._services()
        apps = self.plan.district.apps
        for app in apps.applications if apps else ():
            guest = self.plan.hosts.get(f"{apps.sites[0]}-app-{app.slug}") if apps else None
            if guest is not None:
                self._alias(app.slug, guest)

    def _host(self, host: Host, v6: bool) -> None:
        own = named(host)
        self._name(f"{host.short}.{host.site}", own, v6)
        for interface in host.interfaces:
            if interface.kind == "uplink":
                continue  # the provider's addresses, in the provider's zone
            label = interface.network or interface.name
            label = label.replace(".", "-").replace("_", "-")
            if interface.addresses and interface.addresses != own:
                self._name(f"{host.short}-{label}.{host.site}", interface.addresses, v6)
            if interface.shared:
                self._name(f"gw-{label}.{host.site}", interface.shared, v6)

    def _name(self, owner: str, addresses: tuple[str, ...], v6: bool) -> None:
        """Add a name with its addresses, and theirs with the name."""
        if not addresses:
            return
        self._addresses(owner, addresses, v6)
        target = f"{owner}.{self.domain}"
        for address in addresses if v6 else addresses[:1]:
            if address not in self.known:
                self.known.add(address)
                self._pointer(address, target)

    def _addresses(self, owner: str, addresses: tuple[str, ...], v6: bool) -> None:
        self.forward.add(owner, "A", addresses[0])
        if v6 and len(addresses) > 1:
            # the GUA where there is one: against a ULA a client would prefer IPv4 (RFC 6724)
            self.forward.add(owner, "AAAA", addresses[-1])

    def _pointer(self, address: str, target: str) -> None:
        pointer = _pointer(address)
        for name, zone in self.made.items():
            if pointer.endswith(f".{name}"):
                zone.add(pointer.removesuffix(f".{name}"), "PTR", target)
                return

    def _alias(self, owner: str, host: Host) -> None:
        """Add a further name of a host."""
        if self.view == PUBLIC:
            for kind, address in self._published_at(host):
                self.forward.add(owner, kind, address)
        elif addresses := named(host):
            self._addresses(owner, addresses, self.plan.sites[host.site].place.data.migration != "ipv4-only")

    def _services(self) -> None:
        """Add the services' stable names, and `www` of every agency where somebody carries the web sites."""
        services = self.plan.district.services
        web = False
        for name in sorted(services):
            stable = services[name].name
            hosts = self._hosts(services[name]) if stable else []
            for host in hosts:
                self._alias(stable or "", host)
                web = web or stable == WEB
        for site in self.plan.district.of_kind(*_AGENCIES) if web else ():
            for label in dict.fromkeys((site.data.subdomain or site.slug, site.slug)):
                self.forward.add(f"{WEB}.{label}", "CNAME", f"{WEB}.{self.domain}")

    def _hosts(self, service: ServiceFile | None) -> list[Host]:
        """Return a service's hosts that this view may know."""
        found = [self.plan.hosts[name] for name in (service.hosts if service else ()) if name in self.plan.hosts]
        if self.view == PUBLIC:
            published = {entry.host for entry in self.plan.district.policy.published}
            return [h for h in found if h.name in published]
        return [h for h in found if not hidden(h)]

    # -- the public view -------------------------------------------------------------------------

    def outside(self) -> None:
        """Add what policy.yml publishes, at the addresses by which the internet reaches it."""
        for name in dict.fromkeys(entry.host for entry in self.plan.district.policy.published):
            host = self.plan.hosts.get(name)
            if host is None:
                continue
            for kind, address in self._published_at(host):
                self.forward.add(f"{host.short}.{host.site}", kind, address)
                if kind == "AAAA":
                    self._pointer(address, self.fqdn(host))
        self._services()

    def _published_at(self, host: Host) -> Iterator[tuple[str, str]]:
        for gateway in self.plan.gateways(host.site):
            for address in _uplink(gateway):
                yield "A", address
        space, own = self.plan.district.space, named(host)
        if space.gua is not None and self.plan.sites[host.site].place.data.migration != "ipv4-only":
            yield "AAAA", own[-1]


def _uplink(gateway: Host, *, own: bool = False) -> Iterator[str]:
    """Yield the static IPv4 address of a gateway's first uplink: a pair's shared one, or its own."""
    uplink: Interface | None = next(gateway.of_kind("uplink"), None)
    if uplink is not None:
        found = uplink.addresses if own or not uplink.shared else uplink.shared
        yield from (a for a in found if ":" not in a and not _is_private(a))


def _is_private(address: str) -> bool:
    """Say whether an IPv4 address is of RFC 1918 or RFC 6598 (shared by a provider's customers)."""
    value = ipaddress.IPv4Address(address)
    return any(value in ipaddress.IPv4Network(p) for p in (*PRIVATE4, "100.64.0.0/10"))


PRIVATE4 = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918."""


def _pointer(address: str) -> str:
    """Return an address's name below in-addr.arpa or ip6.arpa, with a final dot."""
    if ":" not in address:
        return ".".join(reversed(address.split("."))) + ".in-addr.arpa."
    head, _, tail = address.partition("::")
    groups, last = head.split(":"), tail.split(":") if tail else []
    full = [*groups, *["0"] * (8 - len(groups) - len(last)), *last]
    return ".".join(reversed("".join(g.zfill(4) for g in full))) + ".ip6.arpa."
