"""Makes districts of a wanted size for the benches: offices, a radio tree of kecamatan, villages, a data centre."""

from __future__ import annotations

from pathlib import Path

_GATEWAY = "gateways:\n  - {profile: box}\nuplinks:\n  - {name: isp}\n"
_HOSTS = (
    "hosts:\n  - {name: sw1, kind: switch, interfaces: {mgmt: 4}}\n"
    "  - {name: printer, kind: printer, interfaces: {staff: 10}}\n"
    "  - {name: cctv1, kind: cctv, interfaces: {cctv: 10}}\n"
)
OFFICES, KECAMATAN, VILLAGES = 63, 63, 30
"""The most that one district's plan holds: 63 + 63 + 63 x 30 sites and the data centres."""


def shape(sites: int) -> tuple[int, int, int]:
    """Return offices, kecamatan and villages that make about `sites` sites (a ninth of them offices)."""
    offices = max(1, min(OFFICES, sites // 9))
    kecamatan = max(1, min(KECAMATAN, sites // 12))
    return offices, kecamatan, sites - offices - kecamatan - 1


def make(folder: Path, sites: int) -> int:
    """Write a district with `sites` sites below `folder`; returns its number of hosts. ValueError if too many."""
    offices, kecamatan, villages = shape(sites)
    if villages > kecamatan * VILLAGES:
        raise ValueError(f"one district holds {OFFICES + KECAMATAN * (1 + VILLAGES) + 1} sites, not {sites}")
    for name in ("skpd", "kecamatan", "dc"):
        (folder / "sites" / name).mkdir(parents=True)
    registry = {"skpd": [], "kecamatan": [], "dc": ["  - {number: 1, slug: dc}"], "desa": [], "links": []}
    links = []
    for n in range(1, offices + 1):
        kind = "kind: hub\n" if n == 1 else ""
        (folder / f"sites/skpd/office-{n}.yml").write_text(f"name: Office {n}\n{kind}{_GATEWAY}{_HOSTS}")
        registry["skpd"].append(f"  - {{number: {n}, slug: office-{n}}}")
    for n in range(1, kecamatan + 1):
        own = range((n - 1) * villages // kecamatan, n * villages // kecamatan)
        text = f"name: Kecamatan {n}\n{_GATEWAY}{_HOSTS}villages:\n"
        for k, village in enumerate(own):
            block = f"name: Village {village}\n{_GATEWAY}{_HOSTS}"
            text += f"  - slug: village-{village}\n" + "".join(f"    {line}\n" for line in block.splitlines())
            registry["desa"].append(f"  - {{kecamatan: kec-{n}, number: {k}, slug: village-{village}}}")
        (folder / f"sites/kecamatan/kec-{n}.yml").write_text(text if own else text.replace("villages:\n", ""))
        registry["kecamatan"].append(f"  - {{number: {n}, slug: kec-{n}}}")
        above = "office-1" if n <= 15 else f"kec-{n - 15}"
        links.append(f"  - {{name: {above}--kec-{n}, ends: [{above}, kec-{n}], throughput_mbps: 300}}")
        registry["links"].append(f"  - {{number: {n}, name: {above}--kec-{n}}}")
    (folder / "sites/dc/dc.yml").write_text(
        "name: Data centre\nkind: dc\ngateways:\n  - {name: a, profile: box, member: 2}\n"
        "  - {name: b, profile: box, member: 3}\n"
    )
    (folder / "registry.yml").write_text(
        "".join(f"{name}:{' []' if not lines else ''}\n" + "\n".join(lines) + "\n" for name, lines in registry.items())
    )
    (folder / "backbone.yml").write_text("tree: {root: office-1}\nlinks:\n" + "\n".join(links) + "\n")
    (folder / "district.yml").write_text(
        "name: Bench\ndomain: bench.example\nprefixes: {ipv4: 10.0.0.0/8, ula: 'fd00:1:2::/48'}\n"
        "hubs:\n  - {slot: 1, gateway: dc-a}\n  - {slot: 2, gateway: dc-b}\n"
        "profiles:\n  box: {platform: freebsd, uplink: igb0, lan: igb1, radio: igb2}\n"
        "admins:\n  - {name: ops, keys: [ssh-ed25519 AAAA]}\n"
    )
    (folder / "inventory.yml").write_text("plugin: topology\n")
    return 4 * sites + 1 - 3
