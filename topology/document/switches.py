"""A site's switches: what each port is for, and the VLANs on it."""

from __future__ import annotations

from itertools import groupby

from topology.allocate import SitePlan
from topology.devices.model import Device, PortPlan, device_of
from topology.document import markup as m
from topology.document.book import Book
from topology.document.language import Language


def switches(book: Book, site: SitePlan) -> str:
    """Return a table per switch that has a profile; ports in a row that are used alike are one line."""
    facts = book.plan.district.devices
    if facts is None:
        return ""
    hosts = [h for h in site.hosts if h.kind == "switch"]
    found = [d for h in hosts if (d := device_of(book.plan, facts, h)) and d.ports]
    return m.join(*(_one(book.t, device) for device in found))


def _one(t: Language, device: Device) -> str:
    roles = {
        "uplink": t("ke gateway", "to the gateway"),
        "radios": t("ke port radio gateway", "to the gateway's radio port"),
        "radio": "radio",
        "trunk": t("semua jaringan", "all networks"),
        "access": t("akses", "access"),
        "spare": t("cadangan, mati", "spare, off"),
    }

    def alike(port: PortPlan) -> tuple[object, ...]:
        return port.role, port.untagged, port.tagged, port.description

    rows = []
    for _, group in groupby(device.ports, key=alike):
        ports = list(group)
        port, names = ports[0], [ports[0].name, ports[-1].name]
        shown = m.code(names[0]) + (f" – {m.code(names[1])}" if len(ports) > 1 else "")
        rows.append((shown, roles[port.role], _vlan(device, port.untagged),
                     ", ".join(_vlan(device, v) for v in port.tagged), m.text(port.description)))  # fmt: skip
    head = (
        "Port", t("Peran", "Role"), t("VLAN tanpa tag", "Untagged VLAN"), t("VLAN dengan tag", "Tagged VLANs"),
        t("Keterangan", "Description"),
    )  # fmt: skip
    firmware = device.profile.firmware
    about = m.text(device.profile.model) + (f"; firmware {m.code(firmware)}" if firmware else "")
    return m.join(f"### {t('Port', 'Ports of')} {device.name}", about, m.table(head, rows))


def _vlan(device: Device, vlan: int | None) -> str:
    return "" if vlan is None else f"{vlan} ({m.text(device.vlans.get(vlan, ''))})"
