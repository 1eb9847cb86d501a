"""Make districts of any size in the inventory's format, the same ones for the same arguments.

    python -m tests.generate --offices 31 --kecamatan 22 --villages 227 --hosts 1100 OUT
    python -m tests.generate --like inventories/luwu --villages 227 OUT

Everything in a generated district is made up: `Dinas 01`, `Kecamatan 01`, `Desa 001`.
`generate` returns the documents in memory, `tree` wraps them for `topology.load.check`.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import math
import random
import shutil
from pathlib import Path
from typing import Any

import yaml

from topology import source

MOST_OFFICES = MOST_KECAMATAN = 63
MOST_VILLAGES = 30
"""Villages that one number of a kecamatan carries."""

RETIRED = datetime.date(2026, 1, 31)

Documents = dict[str, Any]

_DEVICES = (
    ("sw", "switch", "mgmt", 4),
    ("printer", "printer", "staff", 10),
    ("cctv", "cctv", "cctv", 10),
    ("pc", "pc", "staff", 40),
    ("ap", "access-point", "mgmt", 7),
)
"""Devices that sites get in turn: name, kind, network and first host number."""
_CENTRES = ("dc", "drc1", "drc2")


def generate(
    *,
    offices: int = 3,
    kecamatan: int = 3,
    villages: int = 6,
    hosts: int | None = None,
    seed: int = 1,
    hub: bool = True,
    radio: bool = True,
    pair: bool = True,
    centres: int = 2,
    applications: int = 0,
    services: bool = True,
    gua: str | None = "2001:db8:77::/48",
    extra_networks: int = 0,
    vpn_users: int = 0,
    leased: int = 0,
    hubs: int = 3,
    last_hub_first: bool = False,
) -> Documents:
    """Return a correct district: name of file -> data.

    `offices` counts the hub, a site of kind hub and the root of the radio tree. `hosts` is the
    number of all hosts, gateways included; without it every site has one switch.
    """
    if not 0 <= offices <= MOST_OFFICES or not 0 <= kecamatan <= MOST_KECAMATAN:
        raise ValueError(f"at most {MOST_OFFICES} offices and {MOST_KECAMATAN} kecamatan")
    if villages > kecamatan * MOST_VILLAGES:
        raise ValueError(f"{kecamatan} kecamatan hold at most {kecamatan * MOST_VILLAGES} villages")
    if not 1 <= centres <= len(_CENTRES):
        raise ValueError(f"1 to {len(_CENTRES)} centres")
    rng = random.Random(seed)
    registry: dict[str, list[Any]] = {s: [] for s in ("skpd", "kecamatan", "dc", "desa", "links", "vpn_users")}
    documents: Documents = {"registry.yml": registry}
    sites: list[dict[str, Any]] = []

    office_names = [f"dinas-{n:02}" for n in range(1, offices + 1)]
    for number, slug in enumerate(office_names, 1):
        site = _site(f"Dinas {number:02}")
        if hub and number == 1:
            site["kind"] = "hub"
        documents[f"sites/skpd/{slug}.yml"] = site
        registry["skpd"].append({"number": number, "slug": slug})
        sites.append(site)
    for number in range(1, kecamatan + 1):
        slug = f"kecamatan-{number:02}"
        site = _site(f"Kecamatan {number:02}")
        documents[f"sites/kecamatan/{slug}.yml"] = site
        registry["kecamatan"].append({"number": number, "slug": slug})
        sites.append(site)
    sites += _add_villages(documents, villages)
    for number, slug in enumerate(_CENTRES[:centres], 1):
        site = {"name": f"Pusat {number}", "kind": "dc" if number == 1 else "drc"} | _site("")
        site["name"] = f"Pusat {number}"
        if number == 1 and pair:
            site["gateways"] = [
                {"name": "a", "profile": "box", "member": 2},
                {"name": "b", "profile": "box", "member": 3},
            ]
        documents[f"sites/dc/{slug}.yml"] = site
        registry["dc"].append({"number": number, "slug": slug})
    _add_devices(sites, None if hosts is None else hosts - centres - (1 if pair else 0) - applications * centres)
    for site in rng.sample(sites, min(extra_networks, len(sites))):
        if "slug" not in site:
            site["networks"] = {"mgmt": {}, "staff": {}, "cctv": {}, f"lab{rng.randint(1, 9)}": {"number": 11}}

    if radio and hub and kecamatan:
        documents["backbone.yml"] = _tree(rng, office_names[0], kecamatan)
        registry["links"] = [
            {"number": n, "name": link["name"]} for n, link in enumerate(documents["backbone.yml"]["links"], 1)
        ]
    for n in range(min(leased, len(office_names) - 2)):
        ends = [office_names[n + 1], office_names[n + 2]]
        name = "--".join(ends)
        links = documents.setdefault("backbone.yml", {"links": []})["links"]
        links.append({"name": name, "kind": "leased", "ends": ends})
        registry["links"].append({"number": len(registry["links"]) + 1, "name": name})
    registry["vpn_users"] = [{"number": 10 + n, "name": f"user-{n + 1}"} for n in range(vpn_users)]
    if applications:
        documents["apps.yml"] = _applications(applications, list(_CENTRES[:centres]))
    if services:
        documents["services/dns.yml"] = {
            "description": "Names", "name": "ns", "hosts": ["dc-a" if pair else "dc-gw"],
            "ports": [{"port": 53, "protocol": "udp"}],
        }  # fmt: skip
    gateways = ["dc-a", "dc-b"] if pair else ["dc-gw"]
    gateways += [f"{slug}-gw" for slug in _CENTRES[1:centres]]
    gateways = gateways[::-1] if last_hub_first else gateways
    documents["district.yml"] = {
        "name": "Kabupaten Contoh",
        "domain": "contoh.example",
        "timezone": "Asia/Jakarta",
        "prefixes": {"ipv4": "10.0.0.0/8", "ula": _ula(rng)} | ({"gua": gua} if gua else {}),
        "hubs": [{"slot": n, "gateway": gateway} for n, gateway in enumerate(gateways[:hubs], 1)],
        "profiles": {"box": {"platform": "freebsd", "uplink": "igb0", "lan": "igb1", "radio": "igb2"}},
        "admins": [{"name": "ana", "keys": ["ssh-ed25519 AAAA"]}],
    }
    return documents


def like(inventory: Path, villages: int) -> Documents:
    """Return a real inventory's documents with made-up villages, spread over its kecamatan."""
    documents = {name: document.data for name, document in source.read(inventory).documents.items()}
    documents = copy.deepcopy(documents)
    _add_devices(_add_villages(documents, villages, profile=min(documents["district.yml"]["profiles"])), None)
    planned = documents["district.yml"].get("planned", {})
    if "desa" in planned:
        planned["desa"] = len(documents["registry.yml"]["desa"])
    return documents


def tree(documents: Documents, root: str = "district") -> source.Tree:
    """Return documents as a tree that was read. Lines are not known: the text is left empty."""
    return source.Tree(root, {n: source.Document(n, b"{}", data) for n, data in documents.items()})


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def write(documents: Documents, folder: Path) -> None:
    """Write documents as YAML files."""
    for name, data in documents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
        file.write_text(text, encoding="utf-8")


def _site(name: str, profile: str = "box") -> dict[str, Any]:
    return {"name": name, "gateways": [{"profile": profile}], "uplinks": [{"name": "isp"}], "hosts": []}


def _add_villages(documents: Documents, villages: int, profile: str = "box") -> list[dict[str, Any]]:
    """Add villages to the kecamatan in turn, with the next number of each; return what was added."""
    registry = documents["registry.yml"]
    blocks = [line["slug"] for line in registry["kecamatan"] if "retired" not in line and "extends" not in line]
    used = {slug: [x["number"] for x in registry["desa"] if x["kecamatan"] == slug] for slug in blocks}
    added = []
    for index in range(villages):
        slug = blocks[index % len(blocks)]
        number = max(used[slug], default=-1) + 1
        if number >= MOST_VILLAGES:
            raise ValueError(f"{slug} is full")
        used[slug].append(number)
        village = {"slug": f"desa-{index + 1:03}"} | _site(f"Desa {index + 1:03}", profile)
        documents[f"sites/kecamatan/{slug}.yml"].setdefault("villages", []).append(village)
        registry["desa"].append({"kecamatan": slug, "number": number, "slug": village["slug"]})
        added.append(village)
    return added


def _add_devices(sites: list[dict[str, Any]], hosts: int | None) -> None:
    """Give sites devices in turn until there are `hosts` hosts; one switch each without it."""
    left = len(sites) if hosts is None else hosts - len(sites)
    turn = 0
    while left > 0 and sites:
        name, kind, network, first = _DEVICES[turn % len(_DEVICES)]
        again = turn // len(_DEVICES)
        for site in sites[:left]:
            site["hosts"].append({"name": f"{name}{again + 1}", "kind": kind, "interfaces": {network: first + again}})
        left -= len(sites)
        turn += 1


def _tree(rng: random.Random, root: str, kecamatan: int) -> dict[str, Any]:
    reached = [root]
    links = []
    for number in range(1, kecamatan + 1):
        slug = f"kecamatan-{number:02}"
        parent = root if rng.random() < 0.6 else rng.choice(reached)
        range_km = round(rng.uniform(2, 40), 3)
        links.append(
            {
                "name": f"{parent}--{slug}",
                "ends": [parent, slug],
                "range_km": range_km,
                "throughput_mbps": round(rng.uniform(200, 450), 3),
                "availability_pct": round(rng.uniform(99.9, 100), 4),
                "loss_db": round(20 * math.log10(range_km * 5800) + 32.44, 1),
            }
        )
        reached.append(slug)
    return {"tree": {"root": root}, "frequency_mhz": 5800, "links": links}


def _applications(count: int, sites: list[str]) -> dict[str, Any]:
    return {
        "sites": sites,
        "groups": [{"name": "Umum", "per_year": {"2026": count}}],
        "applications": [
            {"slug": f"app-{n:02}", "name": f"Aplikasi {n:02}", "group": "Umum", "year": 2026, "number": 9 + n}
            for n in range(1, count + 1)
        ],
    }


def _ula(rng: random.Random) -> str:
    bits = f"{rng.getrandbits(40):010x}"
    return f"fd{bits[:2]}:{int(bits[2:6], 16):x}:{int(bits[6:], 16):x}::/48"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.generate", description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write; it may not exist yet")
    parser.add_argument("--offices", type=int, default=31)
    parser.add_argument("--kecamatan", type=int, default=22)
    parser.add_argument("--villages", type=int, default=227)
    parser.add_argument("--hosts", type=int, help="number of all hosts (default: a gateway and a switch per site)")
    parser.add_argument("--applications", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-radio", action="store_true", help="no radio links")
    parser.add_argument("--like", type=Path, metavar="INVENTORY", help="this inventory, with --villages more")
    options = parser.parse_args()
    if options.out.exists():
        parser.error(f"{options.out} exists")
    if options.like:
        shutil.copytree(options.like, options.out)
        write(like(options.like, options.villages), options.out)
        return
    write(
        generate(
            offices=options.offices, kecamatan=options.kecamatan, villages=options.villages, hosts=options.hosts,
            applications=options.applications, seed=options.seed, radio=not options.no_radio, centres=3,
        ),
        options.out,
    )  # fmt: skip
    (options.out / "inventory.yml").write_text("plugin: topology\n", encoding="utf-8")


if __name__ == "__main__":
    main()
