"""The two languages of the documentation, and how each writes numbers, dates and kinds."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal

Code = Literal["id", "en"]
_MONTHS = (
    "Januari",
    "Februari",
    "Maret",
    "April",
    "Mei",
    "Juni",
    "Juli",
    "Agustus",
    "September",
    "Oktober",
    "November",
    "Desember",
)
_MONTHS_EN = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

SITE_KINDS: dict[str, tuple[str, str]] = {
    "hub": ("Pusat jaringan radio", "Hub of the radio network"),
    "skpd": ("Kantor SKPD", "Office (SKPD)"),
    "kecamatan": ("Kecamatan", "Kecamatan (sub-district)"),
    "desa": ("Desa/kelurahan", "Village (desa/kelurahan)"),
    "dc": ("Pusat data", "Data centre"),
    "drc": ("Pusat pemulihan bencana (DRC)", "Disaster recovery site (DRC)"),
}
SITE_KIND_PLURALS: dict[str, tuple[str, str]] = {
    "hub": ("Pusat jaringan radio", "Hub of the radio network"),
    "skpd": ("Kantor SKPD", "Offices (SKPD)"),
    "kecamatan": ("Kecamatan", "Kecamatan"),
    "desa": ("Desa/kelurahan", "Villages (desa/kelurahan)"),
    "dc": ("Pusat data", "Data centres"),
    "drc": ("Pusat pemulihan bencana (DRC)", "Disaster recovery sites (DRC)"),
}
DEVICE_KINDS: dict[str, tuple[str, str]] = {
    "gateway": ("gateway", "gateway"),
    "switch": ("switch", "switch"),
    "radio": ("radio", "radio"),
    "hypervisor": ("hypervisor", "hypervisor"),
    "guest": ("mesin virtual", "virtual machine"),
    "server": ("server", "server"),
    "nas": ("NAS", "NAS"),
    "ups": ("UPS", "UPS"),
    "cctv": ("kamera CCTV", "CCTV camera"),
    "door": ("kunci pintu IP", "IP door lock"),
    "printer": ("printer", "printer"),
    "phone": ("telepon IP", "IP phone"),
    "access-point": ("titik akses Wi-Fi", "Wi-Fi access point"),
    "pc": ("komputer", "computer"),
}
LINK_KINDS: dict[str, tuple[str, str]] = {
    "radio": ("radio", "radio"),
    "leased": ("saluran sewa", "leased line"),
    "tunnel": ("tunnel VPN", "VPN tunnel"),
    "isp": ("internet (ISP)", "internet (ISP)"),
}
INTERFACE_KINDS: dict[str, tuple[str, str]] = {
    "lan": ("LAN", "LAN"),
    "loopback": ("loopback", "loopback"),
    "uplink": ("uplink", "uplink"),
    "host": ("LAN", "LAN"),
    **{k: LINK_KINDS[k] for k in ("radio", "leased", "tunnel")},
}
MIGRATION: dict[str, tuple[str, str]] = {
    "ipv4-only": ("hanya IPv4 (ipv4-only)", "IPv4 only (ipv4-only)"),
    "dual-stack": ("IPv4 dan IPv6 bersamaan (dual-stack)", "IPv4 and IPv6 side by side (dual-stack)"),
    "ipv6-mostly": ("terutama IPv6 (ipv6-mostly)", "mostly IPv6 (ipv6-mostly)"),
}
NETWORK_ROLES: dict[str, tuple[str, str]] = {
    "mgmt": ("pengelolaan perangkat jaringan", "management of network devices"),
    "staff": ("komputer pegawai", "computers of staff"),
    "server": ("server setempat dan layanan dasar", "local servers and basic services"),
    "voice": ("telepon IP", "IP telephones"),
    "cctv": ("kamera CCTV", "CCTV cameras"),
    "guest": ("tamu dan internet publik", "guests and public internet access"),
    "iot": ("UPS, kunci pintu, sensor", "UPS, door locks, sensors"),
    "dmz": ("layanan yang dapat dicapai dari internet", "services reachable from the internet"),
    "database": ("basis data", "databases"),
    "storage": ("penyimpanan dan replikasi", "storage and replication"),
    "application": ("mesin virtual aplikasi", "virtual machines of applications"),
}


@dataclass(frozen=True, slots=True)
class Language:
    """One language: called with a text in Indonesian and in English it returns its own."""

    code: Code
    name: str

    def __call__(self, indonesian: str, english: str) -> str:
        """Return the text in this language."""
        return indonesian if self.code == "id" else english

    def word(self, words: dict[str, tuple[str, str]], key: str) -> str:
        """Return a word of a table in this language; an unknown key is its own word."""
        pair = words.get(key)
        return self(*pair) if pair else key

    def number(self, value: float, digits: int | None = None) -> str:
        """Return a number; decimals after a comma in Indonesian, after a point in English."""
        text = f"{value:,.{digits}f}" if digits is not None else f"{value:,.4f}".rstrip("0").rstrip(".")
        return text.translate({44: ".", 46: ","}) if self.code == "id" else text

    def date(self, value: datetime.date) -> str:
        """Return a date in words."""
        return f"{value.day} {self(_MONTHS[value.month - 1], _MONTHS_EN[value.month - 1])} {value.year}"

    def yes(self, value: bool) -> str:
        """Return yes or no."""
        return self("ya", "yes") if value else self("tidak", "no")

    @property
    def unrecorded(self) -> str:
        """The words for a fact that nobody has written down yet."""
        return self("belum dicatat", "not recorded")


INDONESIAN = Language("id", "Bahasa Indonesia")
ENGLISH = Language("en", "English")
LANGUAGES = (INDONESIAN, ENGLISH)
"""The default comes first."""
