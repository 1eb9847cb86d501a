"""The shape of every inventory file: strict pydantic models, frozen once read.

Only shapes live here (keys, types, ranges a single value can break). What needs two values
to be compared is a rule (topology.rules). `json_schemas()` gives editors the same knowledge.
"""

from __future__ import annotations

import datetime
import ipaddress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
"""Lower-case words joined by single hyphens: the name of a file, a host, a link."""
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
"""One label of a domain name (RFC 1035)."""
Domain = Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=200)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Mac = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")]
NicName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,14}$")]
Rate = Annotated[float, Field(gt=0, le=1_000_000), BeforeValidator(lambda v: float(v) if type(v) is int else v)]
"""Megabit per second."""
Real = Annotated[float, BeforeValidator(lambda v: float(v) if type(v) is int else v)]

Kind = Literal["skpd", "hub", "kecamatan", "desa", "dc", "drc"]
Migration = Literal["ipv4-only", "dual-stack", "ipv6-mostly"]
Cutover = Literal["legacy", "both", "plan"]
"""How far a site's staff LAN is from its legacy prefix to the plan: DHCP hands out legacy addresses; the plan's,
while legacy ones still work; the plan's only."""
DeviceKind = Literal[
    "switch", "radio", "hypervisor", "guest", "server", "nas", "ups", "cctv", "door", "printer", "phone", "access-point",
    "pc",
]  # fmt: skip
NetworkName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*$", max_length=12)]


class Shape(BaseModel):
    """Base of all shapes: unknown keys are errors, nothing is converted, nothing changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Extent(Shape):
    """The district's bounding box in decimal degrees (south and west are negative)."""

    latitude: tuple[Real, Real] = Field(strict=False)
    longitude: tuple[Real, Real] = Field(strict=False)


class Prefixes(Shape):
    """The district's own prefixes; everything else is a number inside them."""

    ipv4: Text
    """An IPv4 /8 (RFC 1918: 10.0.0.0/8)."""
    ula: Text
    """The ULA /48, drawn at random once (RFC 4193)."""
    gua: Text | None = None
    """The provider-independent or provider's /48; the documentation prefix until there is one."""


class Hub(Shape):
    """A gateway that every other gateway keeps a tunnel to; the slot never moves."""

    slot: int = Field(ge=1, le=3)
    gateway: Slug


class Profile(Shape):
    """A kind of gateway hardware: its platform and how its ports are called."""

    platform: Literal["freebsd", "debian"]
    uplink: NicName
    lan: NicName
    """Trunk port towards the access switch."""
    radio: NicName | None = None
    """Port towards the radios."""
    vlans: bool = True
    """False where every network has a port of its own, named after the network (the lab)."""
    description: Text | None = None


class Admin(Shape):
    """A person who may log in to every managed host."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
    keys: tuple[Text, ...] = Field(min_length=1, strict=False)
    full_name: Text | None = None


class Counts(Shape):
    """How many of each the master plan names; `check` compares."""

    skpd: int | None = None
    kecamatan: int | None = None
    desa: int | None = None
    radio_links: int | None = None
    applications: int | None = None


class DistrictFile(Shape):
    """district.yml."""

    name: Text
    code: Text | None = None
    province: Text | None = None
    capital: Text | None = None
    domain: Domain
    timezone: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z_]+/[A-Z][A-Za-z_/]+$|^UTC$")] = "UTC"
    operator: Slug | None = None
    contact: Text | None = None
    extent: Extent | None = None
    prefixes: Prefixes
    hubs: tuple[Hub, ...] = Field(default=(), max_length=3, strict=False)
    profiles: dict[Slug, Profile]
    admins: tuple[Admin, ...] = Field(default=(), strict=False)
    networks: dict[Kind, Annotated[tuple[NetworkName, ...], Field(strict=False)]] = Field(default_factory=dict)
    ntp: tuple[Domain, ...] = Field(default=(), strict=False)
    planned: Counts = Counts()
    notes: tuple[Text, ...] = Field(default=(), strict=False)


class NumberLine(Shape):
    """A registry line of an office, kecamatan or data centre."""

    number: int
    slug: Slug
    extends: Slug | None = None
    """Kecamatan only: a second /16 for this one's villages."""
    retired: datetime.date | None = None
    note: Text | None = None


class DesaLine(Shape):
    """A registry line of a village: number k inside its kecamatan's /16."""

    kecamatan: Slug
    number: int
    slug: Slug
    retired: datetime.date | None = None
    note: Text | None = None


class LinkLine(Shape):
    """A registry line of a radio or leased link."""

    number: int
    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-{1,2}[a-z0-9]+)*$", max_length=80)]
    retired: datetime.date | None = None
    note: Text | None = None


class UserLine(Shape):
    """A registry line of a VPN user: host number in 10.253.h.0/24 of every hub h."""

    number: int
    name: Slug
    expires: datetime.date | None = None
    retired: datetime.date | None = None
    note: Text | None = None


class RegistryFile(Shape):
    """registry.yml: permanent numbers, append-only."""

    skpd: tuple[NumberLine, ...] = Field(default=(), strict=False)
    kecamatan: tuple[NumberLine, ...] = Field(default=(), strict=False)
    dc: tuple[NumberLine, ...] = Field(default=(), strict=False)
    desa: tuple[DesaLine, ...] = Field(default=(), strict=False)
    links: tuple[LinkLine, ...] = Field(default=(), strict=False)
    vpn_users: tuple[UserLine, ...] = Field(default=(), strict=False)


class Asset(Shape):
    """What the asset register keeps of a device."""

    model: Text | None = None
    serial: Text | None = None
    bought: datetime.date | None = None
    warranty_until: datetime.date | None = None
    custodian: Text | None = None
    note: Text | None = None


class NetworkEntry(Shape):
    """A network of a site. Standard roles need no number; others take 11 to 15."""

    number: int | None = Field(default=None, ge=11, le=15)
    dhcp: bool = True
    description: Text | None = None


class Port(Shape):
    """A host's place in a network: the host number, and what a reservation needs."""

    number: int = Field(ge=1, le=254)
    mac: Mac | None = None
    name: NicName | None = None


def _port(value: object) -> object:
    return {"number": value} if type(value) is int else value


class HostEntry(Shape):
    """A device or guest of a site."""

    name: Slug
    kind: DeviceKind
    interfaces: dict[NetworkName, Annotated[Port, BeforeValidator(_port)]] = Field(min_length=1)
    platform: Literal["debian", "freebsd", "appliance"] | None = None
    description: Text | None = None
    on: Slug | None = None
    """The hypervisor a guest runs on."""
    profile: Slug | None = None
    """Of a switch: its profile in devices.yml, where it is not the one of its kind of site."""
    memory_gb: int | None = Field(default=None, ge=1, le=4096)
    """Memory in GiB; a database is tuned from it."""
    asset: Asset | None = None


class GatewayEntry(Shape):
    """A site's PNS Box, or one of a pair (then `member` is 2 or 3, the host number)."""

    name: Slug = "gw"
    profile: Slug
    member: Literal[2, 3] | None = None
    asset: Asset | None = None


class Uplink(Shape):
    """A provider's line."""

    name: Slug = "isp"
    kind: Literal["isp", "leased"] = "isp"
    provider: Text | None = None
    down_mbps: Rate | None = None
    up_mbps: Rate | None = None
    address: Text | None = None
    """Static address with prefix length as the provider gave it; without it DHCP. A pair shares it."""
    gateways: dict[Slug, Text] = Field(default_factory=dict)
    """Of a pair: every member's own static address with prefix length, by the gateway's name."""
    address6: Text | None = None
    """Static IPv6 address with prefix length; without it the provider's router advertisements."""
    router: Text | None = None
    router6: Text | None = None
    port: NicName | None = None
    """The gateway's port; needed from the second uplink on, the first has the profile's."""
    note: Text | None = None


class LegacyPrefix(Shape):
    """A prefix the site used before the plan."""

    prefix: Text
    routed: bool = False
    router: Text | None = None
    """Its router's address, which the gateway takes over during the cutover; by default the first of the prefix."""
    note: Text | None = None

    @model_validator(mode="after")
    def _router_is_inside(self) -> LegacyPrefix:
        if self.router is not None:
            try:
                inside = ipaddress.ip_address(self.router) in ipaddress.ip_network(self.prefix)
            except ValueError:
                inside = False
            if not inside:
                raise ValueError(f"the router {self.router} is no address in {self.prefix}")
        return self


class Site(Shape):
    """What every place with a LAN has."""

    name: Text
    subdomain: Label | None = None
    aka: Text | None = None
    address: Text | None = None
    latitude: Real | None = Field(default=None, ge=-90, le=90)
    longitude: Real | None = Field(default=None, ge=-180, le=180)
    migration: Migration = "dual-stack"
    public_access: bool = False
    legacy_prefixes: tuple[LegacyPrefix, ...] = Field(default=(), strict=False)
    cutover: Cutover = "plan"
    uplinks: tuple[Uplink, ...] = Field(default=(), strict=False)
    gateways: tuple[GatewayEntry, ...] = Field(min_length=1, max_length=2, strict=False)
    networks: dict[NetworkName, NetworkEntry] | None = None
    """None: the district's default networks of this kind of site."""
    hosts: tuple[HostEntry, ...] = Field(default=(), strict=False)
    notes: tuple[Text, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _cutover_is_possible(self) -> Site:
        """A cutover needs an IPv4 prefix to come from, and one gateway that takes the old router's address."""
        if self.cutover == "plan":
            return self
        if not any(":" not in p.prefix for p in self.legacy_prefixes):
            raise ValueError("a cutover needs an IPv4 prefix in legacy_prefixes")
        if len(self.gateways) > 1:
            raise ValueError("a cutover needs one gateway: a pair cannot take over the old router's address")
        return self


class OfficeFile(Site):
    """sites/skpd/<slug>.yml."""

    kind: Literal["skpd", "hub"] = "skpd"


class VillageEntry(Site):
    """A village, inside its kecamatan's file."""

    slug: Slug


class KecamatanFile(Site):
    """sites/kecamatan/<slug>.yml."""

    kind: Literal["kecamatan"] = "kecamatan"
    villages: tuple[VillageEntry, ...] = Field(default=(), strict=False)


class CentreFile(Site):
    """sites/dc/<slug>.yml."""

    kind: Literal["dc", "drc"]
    city: Text | None = None


class Tree(Shape):
    """Declares that the radio links form a tree."""

    root: Slug


class RadioEntry(Shape):
    """A link between two sites' gateways, with the figures of the master plan's table."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-{1,2}[a-z0-9]+)*$", max_length=80)]
    kind: Literal["radio", "leased"] = "radio"
    ends: tuple[Slug, Slug] = Field(strict=False)
    range_km: Real | None = Field(default=None, gt=0, le=500)
    throughput_mbps: Rate | None = None
    availability_pct: Real | None = Field(default=None, gt=0, le=100)
    heights_m: tuple[Real, Real] | None = Field(default=None, strict=False)
    gains_dbi: tuple[Real, Real] | None = Field(default=None, strict=False)
    loss_db: Real | None = Field(default=None, gt=0)
    note: Text | None = None


class BackboneFile(Shape):
    """backbone.yml."""

    tree: Tree | None = None
    frequency_mhz: Real = Field(default=5800.0, gt=0)
    links: tuple[RadioEntry, ...] = Field(default=(), strict=False)


class AppGroup(Shape):
    """A group of applications and how many of it each year brings."""

    name: Text
    per_year: dict[Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}$")], Annotated[int, Field(ge=0)]]


class GuestSize(Shape):
    """Size of an application's virtual machine."""

    vcpu: int = Field(default=2, ge=1, le=64)
    memory_gb: int = Field(default=4, ge=1, le=1024)
    disk_gb: int = Field(default=40, ge=1, le=10_000)


class Application(Shape):
    """One application; `number` is its guest's host number at every site that carries it."""

    slug: Slug
    name: Text
    group: Text
    year: int = Field(ge=2000, le=2100)
    number: int = Field(ge=1, le=254)
    owner: Slug | None = None
    size: GuestSize | None = None
    database: bool = True
    """Whether it has a database of its own, named as the application."""


class AppsFile(Shape):
    """apps.yml."""

    assumption: Text | None = None
    rollout: int | None = Field(default=None, ge=2000, le=2100)
    """Year that the rollout has come to: applications of later years are not made yet. None: all are due."""
    sites: tuple[Slug, ...] = Field(min_length=1, strict=False)
    network: NetworkName = "application"
    size: GuestSize = GuestSize()
    groups: tuple[AppGroup, ...] = Field(strict=False)
    applications: tuple[Application, ...] = Field(strict=False)


class Placement(Shape):
    """Where vSphere keeps the guests of one site."""

    vcenter: Domain
    datacenter: Text
    cluster: Text
    datastore: Text
    template: Slug
    """Name in `templates:`."""
    host_vcpu: int = Field(ge=1)
    """Threads of the cluster's smallest host: no guest may be larger."""
    host_memory_gb: int = Field(ge=1)
    datastore_gb: int = Field(ge=1)
    """What guests may use of the datastore."""


class GuestTemplate(Shape):
    """A template that guests are cloned from: cloud-init and open-vm-tools inside."""

    vm: Text
    folder: Text
    """Its folder below the datacenter's `vm`."""


class ExtraGuest(Shape):
    """A guest of the plan that is not an application: its year and size."""

    host: Slug
    year: int = Field(ge=2000, le=2100)
    size: GuestSize = GuestSize()


class VsphereFile(Shape):
    """vsphere.yml: what vSphere must know to make guests."""

    assumption: Text | None = None
    folder: Text
    """Folder of all guests below the datacenter's `vm`; a site's and a network's folder lie in it."""
    port_group: Annotated[str, StringConstraints(pattern=r"\{(vlan|network)\}")] = "{network}-{vlan}"
    """Name of a network's port group, from {site}, {network} and {vlan}."""
    templates: dict[Slug, GuestTemplate] = Field(min_length=1)
    sites: dict[Slug, Placement] = Field(min_length=1)
    guests: tuple[ExtraGuest, ...] = Field(default=(), strict=False)


class ServicePort(Shape):
    """A port a service listens on."""

    port: int = Field(ge=1, le=65535)
    protocol: Literal["tcp", "udp"] = "tcp"


class ServiceFile(Shape):
    """services/<name>.yml: which hosts run a service and where it listens."""

    description: Text
    name: Label | None = None
    """Stable name in the district's domain that clients use."""
    hosts: tuple[Slug, ...] = Field(min_length=1, strict=False)
    ports: tuple[ServicePort, ...] = Field(default=(), strict=False)
    trust_anchors: tuple[Text, ...] = Field(default=(), strict=False)
    """DS or DNSKEY records of the district's zones, for the resolvers (service dns), besides those in keys.yml."""
    issuers: tuple[Domain, ...] = Field(default=(), strict=False)
    """Who may issue certificates for the domain (CAA, service dns); nobody when empty."""
    notes: tuple[Text, ...] = Field(default=(), strict=False)


ZoneName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*$", max_length=12)]
ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=20)]
PortText = Annotated[str, StringConstraints(pattern=r"^(ping|[0-9]{1,5}(-[0-9]{1,5})?/(tcp|udp))$")]
"""`443/tcp`, `16384-32767/udp` or `ping` (an echo request of ICMP and ICMPv6)."""
PublicKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")]
"""A WireGuard public key: 32 bytes in base64."""

SshKey = Annotated[str, StringConstraints(pattern=r"^AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}$")]
"""The base64 part of an ssh-ed25519 public key."""


class ZoneEntry(Shape):
    """A zone of a site's own networks."""

    networks: tuple[NetworkName, ...] = Field(min_length=1, strict=False)
    description: Text | None = None
    isolated: bool = False
    """Reaches the internet and its own gateway, whatever the flows say; nothing reaches it."""
    limit_mbps: Rate | None = None
    """Ceiling of the whole zone at a site, each way."""


class Flow(Shape):
    """Who may open connections to whom; answers always come back."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    sources: tuple[ZoneName, ...] = Field(alias="from", min_length=1, strict=False)
    targets: tuple[ZoneName, ...] = Field(alias="to", min_length=1, strict=False)
    services: tuple[ServiceName, ...] = Field(min_length=1, strict=False)
    """Names of `services:`, or `any`."""
    why: Text
    at: tuple[Kind, ...] | None = Field(default=None, min_length=1, strict=False)
    """Kinds of site whose gateways let it pass; None: all."""
    families: tuple[Literal["ipv4", "ipv6"], ...] = Field(default=("ipv4", "ipv6"), min_length=1, strict=False)


class AdminSources(Shape):
    """Where administrators come from: the zone `admin`."""

    networks: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9]*$")], ...] = Field(
        default=(), strict=False
    )
    """site.network"""
    vpn_users: tuple[Slug, ...] = Field(default=(), strict=False)


class Published(Shape):
    """A host that the internet may open connections to."""

    host: Slug
    services: tuple[ServiceName, ...] = Field(min_length=1, strict=False)
    why: Text


class PolicyFile(Shape):
    """policy.yml: zones, services and flows."""

    zones: dict[ZoneName, ZoneEntry] = Field(min_length=1)
    services: dict[ServiceName, Annotated[tuple[PortText, ...], Field(min_length=1, strict=False)]]
    flows: tuple[Flow, ...] = Field(strict=False)
    admins: AdminSources = AdminSources()
    published: tuple[Published, ...] = Field(default=(), strict=False)


Digests = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5} [0-9]{1,3} [0-9] [0-9A-F]{40,96}$")]
"""A DS record's data: key tag, algorithm, digest type, digest."""
ZoneOfKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=200)]


class KeysFile(Shape):
    """keys.yml: public keys; their private keys never leave the boxes that made them."""

    wireguard: dict[Slug, PublicKey] = Field(default_factory=dict)
    """By gateway."""
    vpn_users: dict[Slug, PublicKey] = Field(default_factory=dict)
    dnssec: dict[ZoneOfKey, Digests] = Field(default_factory=dict)
    """DS of the internal view's zones, without the final dot: what resolvers trust."""
    nas: dict[Slug, SshKey] = Field(default_factory=dict)
    """By NAS: the key with which it replicates to the others."""
    nas_hosts: dict[Slug, SshKey] = Field(default_factory=dict)
    """By NAS: its SSH host key, by which the others know it."""
    readers: dict[Slug, SshKey] = Field(default_factory=dict)
    """By host: the key with which it reads every managed host, and can do nothing else there (docs/drift.md)."""


class DevicePort(Shape):
    """Ports of a switch that are used alike: `ether2-ether9` counts up the last number."""

    ports: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9/-]*[0-9]$", max_length=60)]
    role: Literal["uplink", "radios", "radio", "trunk", "access", "spare"]
    """uplink: all networks, tagged, to the gateway; radios: all radio links, to the gateway's radio port; radio: one
    radio each, in order of their host numbers; trunk: all networks, tagged (a hypervisor, another switch); access: one
    network, untagged; spare: off."""
    network: NetworkName | None = None
    """Of an access port."""
    tagged: tuple[NetworkName, ...] = Field(default=(), strict=False)
    """Of an access port: networks that are tagged beside it (a telephone before a computer)."""
    description: Text | None = None

    @model_validator(mode="after")
    def _access_has_a_network(self) -> DevicePort:
        if (self.role == "access") != (self.network is not None):
            raise ValueError("an access port names its `network`, no other port does")
        if self.tagged and self.role != "access":
            raise ValueError("only an access port names `tagged` networks")
        return self


class DeviceProfile(Shape):
    """A model of switch or radio: how it is talked to, its ports, the firmware it should run."""

    kind: Literal["switch", "radio"]
    family: Literal["routeros", "ios", "airos", "epmp", "sftp"]
    model: Text
    firmware: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.()_-]*$", max_length=40)] | None = None
    """Version as the device says it; None: any."""
    ports: tuple[DevicePort, ...] = Field(default=(), strict=False)
    files: tuple[Text, ...] = Field(default=(), strict=False)
    """Of family sftp: the paths of its configuration files."""
    note: Text | None = None

    @model_validator(mode="after")
    def _family_fits(self) -> DeviceProfile:
        fits = {"routeros": ("switch",), "ios": ("switch",), "airos": ("radio",), "epmp": ("radio",)}
        if self.kind not in fits.get(self.family, ("switch", "radio")):
            raise ValueError(f"family {self.family} has no {self.kind}")
        if (self.family == "sftp") != bool(self.files):
            raise ValueError("family sftp names its `files`, no other family does")
        return self


class DevicesFile(Shape):
    """devices.yml: switches and radios, which are no hosts of Ansible's."""

    profiles: dict[Slug, DeviceProfile] = Field(min_length=1)
    switches: dict[Kind, Slug] = Field(default_factory=dict)
    """Kind of site -> profile of its switches."""
    radios: Slug | None = None
    """Profile of both ends of every radio link."""
    links: dict[str, Slug] = Field(default_factory=dict)
    """Radio link -> profile of both its ends, where it is another one."""
    snmp_user: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")] = "monitor"
    """SNMPv3 user; its passwords are the environment's."""
    notes: tuple[Text, ...] = Field(default=(), strict=False)


LoginName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
Gigabytes = Annotated[float, Field(gt=0, le=100_000), BeforeValidator(lambda v: float(v) if type(v) is int else v)]
"""2**30 bytes."""


class Person(Shape):
    """Somebody with folders on the NAS. The number is permanent and never given to another: it is the owner of files."""

    name: LoginName
    number: int = Field(ge=1, le=9999)
    full_name: Text
    agency: Slug
    """Office or kecamatan whose group share the person uses."""
    also: tuple[Slug, ...] = Field(default=(), strict=False)
    """Other agencies whose group shares the person uses."""
    auxiliary: bool = False
    """Reads everything (and changes nothing of others): supervision and help."""
    quota_gb: Gigabytes | None = None
    left: datetime.date | None = None
    """From this day on there is no access, and the folder is archived."""


class UsersFile(Shape):
    """users.yml: the people who have folders on the NAS."""

    quota_gb: Gigabytes = 10.0
    """What a person's two folders may hold together."""
    agency_quota_gb: Gigabytes = 100.0
    """What an agency's group share may hold."""
    users: tuple[Person, ...] = Field(default=(), strict=False)


class LabHostLine(Shape):
    """A host of the district that the lab boots, with its permanent number in the lab."""

    host: Slug
    number: int = Field(ge=2, le=250)


class LabClient(Shape):
    """A host only the lab has: a client in a LAN."""

    site: Slug
    name: Slug = "client"
    network: NetworkName
    host: int = Field(ge=10, le=99)
    """Host number in the network."""
    number: int = Field(ge=2, le=250)
    """Number in the lab."""


class LabInternet(Shape):
    """The lab's internet: one host on the wire that all uplinks are plugged into."""

    prefix: Text
    """IPv4 prefix of the wire; the hubs' static addresses lie in it."""
    prefix6: Text
    host: int = Field(ge=2, le=254)
    """Host number of the internet host in both prefixes."""
    number: int = Field(ge=2, le=250)
    """Number in the lab; an uplink's host number without a static address is 100 + its gateway's number."""


class LabFile(Shape):
    """lab.yml: the slice of a district that the lab boots, and what differs there."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,8}$")]
    district: Text
    management: Text
    profile: Profile
    instances: Literal["container", "vm"] = "container"
    """What gateways are; as a virtual machine (vm) one has a kernel, VLANs and a power switch of its own.
    TOPOLOGY_LAB_INSTANCES in the environment says it for one command."""
    admins: tuple[Admin, ...] = Field(default=(), strict=False)
    hosts: tuple[LabHostLine, ...] = Field(min_length=1, strict=False)
    clients: tuple[LabClient, ...] = Field(default=(), strict=False)
    internet: LabInternet | None = None


FILES: dict[str, type[Shape]] = {
    "district": DistrictFile,
    "registry": RegistryFile,
    "office": OfficeFile,
    "kecamatan": KecamatanFile,
    "centre": CentreFile,
    "backbone": BackboneFile,
    "apps": AppsFile,
    "vsphere": VsphereFile,
    "service": ServiceFile,
    "policy": PolicyFile,
    "keys": KeysFile,
    "devices": DevicesFile,
    "users": UsersFile,
    "lab": LabFile,
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return a JSON Schema (2020-12) per file kind, for editors."""
    return {
        name: TypeAdapter(shape).json_schema(ref_template="#/$defs/{model}") | {"title": f"{name} file"}
        for name, shape in FILES.items()
    }
