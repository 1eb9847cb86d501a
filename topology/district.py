"""The district as it was read: frozen facts, with names resolved but no address yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from topology import prefix as px
from topology.finding import Where
from topology.schema import (
    Admin,
    AppsFile,
    BackboneFile,
    CentreFile,
    DevicesFile,
    DistrictFile,
    KecamatanFile,
    KeysFile,
    LabFile,
    OfficeFile,
    PolicyFile,
    Profile,
    RegistryFile,
    ServiceFile,
    Shape,
    Site,
    UsersFile,
    VillageEntry,
    VsphereFile,
)  # fmt: skip

DEFAULT_NETWORKS: dict[str, tuple[str, ...]] = {
    "skpd": ("mgmt", "staff", "server", "voice", "cctv", "guest"),
    "hub": ("mgmt", "staff", "server", "voice", "cctv", "guest"),
    "kecamatan": ("mgmt", "staff", "server", "voice", "cctv", "guest"),
    "desa": px.VILLAGE_ROLES,
    "dc": ("mgmt", "server", "cctv", "iot", "dmz", "database", "storage", "application"),
    "drc": ("mgmt", "server", "dmz", "database", "storage", "application"),
}
"""Networks of a site that lists none and whose district has no `networks:` for its kind."""


@dataclass(frozen=True, slots=True)
class Place:
    """One site: its file's content, its kind and its permanent numbers."""

    slug: str
    kind: str
    data: Site
    where: Where
    number: int
    """Number in its class; a village's number k."""
    second_octet: int
    """S: the second octet of its prefix."""
    third_octet: int = 0
    """T: 0, or 16 + 8 k for a village."""
    parent: str | None = None
    """A village's kecamatan."""

    @property
    def village(self) -> int | None:
        """A village's number k, None for any other site."""
        return self.number if self.kind == "desa" else None

    @property
    def length(self) -> int:
        """Length of its IPv4 reservation."""
        return 21 if self.kind == "desa" else 16


@dataclass(frozen=True, slots=True)
class District:
    """A whole district, read and checked."""

    root: str
    facts: DistrictFile
    registry: RegistryFile
    space: px.Space
    places: dict[str, Place]
    """Sites by slug, villages included."""
    backbone: BackboneFile
    apps: AppsFile | None
    services: dict[str, ServiceFile]
    links: dict[str, int]
    """Registered numbers of radio and leased links by name."""
    policy: PolicyFile
    keys: KeysFile = field(default_factory=KeysFile)
    users: UsersFile = field(default_factory=UsersFile)
    lab: LabFile | None = None
    devices: DevicesFile | None = None
    vsphere: VsphereFile | None = None

    def profile(self, name: str) -> Profile:
        """Return a gateway profile by name; in a lab the lab's own."""
        if self.lab is None:
            return self.facts.profiles[name]
        own = self.lab.profile
        # a virtual machine's kernel has 802.1Q: networks are VLANs on trunks, as in an office
        return own.model_copy(update={"vlans": True}) if self.lab.instances == "vm" else own

    @property
    def admins(self) -> tuple[Admin, ...]:
        """People who may log in; in a lab the lab's own as well."""
        return self.facts.admins + (self.lab.admins if self.lab else ())

    def networks(self, place: Place) -> dict[str, int]:
        """Return the networks of a site by name with their role numbers, in role order."""
        return networks_of(self.facts, place.kind, place.data)

    def of_kind(self, *kinds: str) -> Iterator[Place]:
        """Yield the sites of these kinds in order of their numbers."""
        chosen = [p for p in self.places.values() if p.kind in kinds]
        return iter(sorted(chosen, key=lambda p: (p.second_octet, p.third_octet)))


def networks_of(facts: DistrictFile, kind: str, data: Site) -> dict[str, int]:
    """Return a site's networks by name with their role numbers, in role order."""
    if data.networks is None:
        names = facts.networks.get(kind, DEFAULT_NETWORKS[kind])  # type: ignore[call-overload]
        return {name: px.ROLES[name] for name in sorted(names, key=px.ROLES.__getitem__)}
    numbered = {name: _role(name, entry.number) for name, entry in data.networks.items()}
    return dict(sorted(numbered.items(), key=lambda item: item[1]))


def _role(name: str, number: int | None) -> int:
    return px.ROLES.get(name, number if number is not None else -1)


@dataclass
class Parts:
    """What could be read of an inventory, before the rules have looked at it."""

    root: str = "."
    facts: DistrictFile | None = None
    registry: RegistryFile | None = None
    sites: dict[str, tuple[str, Site, Where]] = field(default_factory=dict)
    """slug -> (kind, content, place); villages are added with their kecamatan in `village_of`."""
    village_of: dict[str, str] = field(default_factory=dict)
    backbone: BackboneFile | None = None
    apps: AppsFile | None = None
    services: dict[str, ServiceFile] = field(default_factory=dict)
    policy: PolicyFile | None = None
    keys: KeysFile | None = None
    devices: DevicesFile | None = None
    users: UsersFile | None = None
    lab: LabFile | None = None
    vsphere: VsphereFile | None = None
    complete: bool = True
    """False when a whole folder could not be read: rules about what is missing then keep quiet."""
    lost: set[str] = field(default_factory=set)
    """Files that could not be used: unreadable, of the wrong shape, or in no known place."""
    unsure: set[str] = field(default_factory=set)
    """Sites that such a file may describe: rules that miss one of these keep quiet."""
    raw: dict[str, Any] = field(default_factory=dict)
    """Every file's plain data, for rules that look at text."""

    def may_exist(self, slug: str) -> bool:
        """Say whether a site that was not found may be in a file that could not be used."""
        if not self.complete or slug in self.unsure or slug in self._lost_villages:
            return True
        return self.registry is None and any(name.startswith("sites/kecamatan/") for name in self.lost)

    def may_have_host(self, name: str) -> bool:
        """Say whether a host that was not found may be in a file that could not be used."""
        if not self.complete or ("apps.yml" in self.lost and "-app-" in name):
            return True
        return any(name.startswith(f"{slug}-") for slug in (*self.unsure, *self._lost_villages))

    def may_be_file(self, name: str) -> bool:
        """Say whether a file of the top folder is lost or may lie there under a wrong name."""
        known = {
            "district.yml", "registry.yml", "backbone.yml", "apps.yml", "lab.yml", "policy.yml", "keys.yml",
            "devices.yml", "vsphere.yml", "users.yml",
        } - {name}  # fmt: skip
        return not self.complete or any("/" not in lost and lost not in known for lost in self.lost)

    @cached_property
    def _lost_villages(self) -> frozenset[str]:
        """Villages whose kecamatan's file could not be used. Asked only once every file has its shape."""
        if self.registry is None or not self.unsure:
            return frozenset()
        extends = {line.slug: line.extends for line in self.registry.kecamatan}
        return frozenset(
            line.slug
            for line in self.registry.desa
            if not self.unsure.isdisjoint((line.kecamatan, extends.get(line.kecamatan)))
        )


FOLDERS: dict[str, tuple[type[Shape], tuple[str, ...]]] = {
    "sites/skpd/": (OfficeFile, ("skpd", "hub")),
    "sites/kecamatan/": (KecamatanFile, ("kecamatan",)),
    "sites/dc/": (CentreFile, ("dc", "drc")),
}
"""Folder of a site's file -> its shape and the kinds that may lie there."""

__all__ = [
    "DEFAULT_NETWORKS",
    "FOLDERS",
    "District",
    "Parts",
    "Place",
    "VillageEntry",
    "networks_of",
]
