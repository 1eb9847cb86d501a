"""Districts of arbitrary shape, and random edits of one."""

from __future__ import annotations

import copy
import random
from typing import Any

from hypothesis import strategies as st

from tests import generate
from topology.district import DEFAULT_NETWORKS


def shapes() -> st.SearchStrategy[dict[str, Any]]:
    """Return arguments of `generate`: few or no kecamatan, other prefixes, no radio, no applications ..."""
    return st.fixed_dictionaries(
        {
            "offices": st.integers(1, 5),
            "kecamatan": st.integers(0, 4),
            "villages": st.just(0),
            "seed": st.integers(0, 2**32),
            "hub": st.booleans(),
            "radio": st.booleans(),
            "pair": st.booleans(),
            "centres": st.integers(1, 3),
            "applications": st.sampled_from([0, 0, 3]),
            "gua": st.sampled_from([None, "2001:db8:77::/48", "2001:db8:fffe::/48"]),
            "extra_networks": st.integers(0, 2),
            "vpn_users": st.integers(0, 3),
            "leased": st.integers(0, 2),
            "hubs": st.integers(1, 3),
            "last_hub_first": st.booleans(),
        }
    ).flatmap(lambda shape: st.integers(0, 3 * shape["kecamatan"]).map(lambda n: shape | {"villages": n}))


class Edits:
    """Edits of a district in memory, drawn from one random generator.

    Each returns False when there was nothing to do it to. What is
    removed is retired in the registry, and what is new gets the next free number, as people are asked to.
    """

    def __init__(self, documents: generate.Documents, seed: int) -> None:
        self.documents = copy.deepcopy(documents)
        self.rng = random.Random(seed)
        self.count = 0
        self.kinds = [name for name in dir(self) if name.startswith("do_")]

    def any(self) -> str:
        """Make one edit."""
        while True:
            kind = self.rng.choice(self.kinds)
            if getattr(self, kind)():
                return kind

    # -- helpers --------------------------------------------------------------------------------

    @property
    def registry(self) -> dict[str, list[dict[str, Any]]]:
        registry: dict[str, list[dict[str, Any]]] = self.documents["registry.yml"]
        return registry

    def _name(self, what: str) -> str:
        self.count += 1
        return f"{what}-baru-{self.count}"

    def _next(self, section: str, low: int, high: int, kecamatan: str | None = None) -> int | None:
        lines = [x for x in self.registry[section] if kecamatan is None or x["kecamatan"] == kecamatan]
        number = max((x["number"] for x in lines), default=low - 1) + 1
        if section == "links" and number % 128 == 0:
            number += 1
        return number if number <= high else None

    def _sites(self, section: str) -> list[str]:
        return [x["slug"] for x in self.registry[section] if "retired" not in x]

    def _file(self, section: str, slug: str) -> dict[str, Any]:
        site: dict[str, Any] = self.documents[f"sites/{section}/{slug}.yml"]
        return site

    def _links(self) -> list[dict[str, Any]]:
        links: list[dict[str, Any]] = self.documents.get("backbone.yml", {}).get("links", [])
        return links

    def _any_site(self) -> dict[str, Any] | None:
        """Return any site's data, villages too."""
        every = [d for n, d in self.documents.items() if n.startswith("sites/")]
        every += [v for d in every for v in d.get("villages", ())]
        return self.rng.choice(every) if every else None

    def _retire(self, section: str, key: str, name: str) -> None:
        for line in self.registry[section]:
            if line[key] == name:
                line["retired"] = generate.RETIRED

    def _linked(self) -> set[str]:
        return {end for link in self._links() for end in link["ends"]}

    def _free_office(self) -> str | None:
        """Return an office that is neither hub nor end of a link."""
        names = [s for s in self._sites("skpd") if s not in self._linked()]
        names = [s for s in names if self._file("skpd", s).get("kind") != "hub"]
        return self.rng.choice(names) if names else None

    # -- edits ----------------------------------------------------------------------------------

    def do_add_office(self) -> bool:
        number = self._next("skpd", 1, 63)
        if number is None:
            return False
        slug = self._name("dinas")
        self.registry["skpd"].insert(0, {"number": number, "slug": slug})
        self.documents[f"sites/skpd/{slug}.yml"] = {"name": slug, "gateways": [{"profile": "box"}]}
        return True

    def do_retire_office(self) -> bool:
        slug = self._free_office()
        if slug is None:
            return False
        del self.documents[f"sites/skpd/{slug}.yml"]
        self._retire("skpd", "slug", slug)
        return True

    def do_rename_office(self) -> bool:
        slug = self._free_office()
        if slug is None:
            return False
        new = self._name("dinas")
        self.documents[f"sites/skpd/{new}.yml"] = self.documents.pop(f"sites/skpd/{slug}.yml")
        for line in self.registry["skpd"]:
            if line["slug"] == slug:
                line["slug"] = new
        return True

    def do_rename_kecamatan(self) -> bool:
        names = [s for s in self._sites("kecamatan") if s not in self._linked()]
        if not names:
            return False
        slug, new = self.rng.choice(names), self._name("kecamatan")
        self.documents[f"sites/kecamatan/{new}.yml"] = self.documents.pop(f"sites/kecamatan/{slug}.yml")
        for section, key in (("kecamatan", "slug"), ("desa", "kecamatan")):
            for line in self.registry[section]:
                if line[key] == slug:
                    line[key] = new
        return True

    def do_add_kecamatan(self) -> bool:
        number = self._next("kecamatan", 1, 63)
        if number is None:
            return False
        slug = self._name("kecamatan")
        self.registry["kecamatan"].append({"number": number, "slug": slug})
        self.documents[f"sites/kecamatan/{slug}.yml"] = {"name": slug, "gateways": [{"profile": "box"}]}
        backbone = self.documents.get("backbone.yml", {})
        if "tree" in backbone:
            self._add_link(backbone["tree"]["root"], slug, "radio")
        return True

    def do_add_village(self) -> bool:
        names = self._sites("kecamatan")
        if not names:
            return False
        kecamatan = self.rng.choice(names)
        number = self._next("desa", 0, 29, kecamatan)
        if number is None:
            return False
        slug = self._name("desa")
        self.registry["desa"].insert(0, {"kecamatan": kecamatan, "number": number, "slug": slug})
        village = {"slug": slug, "name": slug, "gateways": [{"profile": "box"}]}
        self._file("kecamatan", kecamatan).setdefault("villages", []).insert(0, village)
        return True

    def do_retire_village(self) -> bool:
        homes = [d for n, d in self.documents.items() if n.startswith("sites/kecamatan/") and d.get("villages")]
        if not homes:
            return False
        villages = self.rng.choice(homes)["villages"]
        village = villages.pop(self.rng.randrange(len(villages)))
        self._retire("desa", "slug", village["slug"])
        return True

    def do_rename_village(self) -> bool:
        every = [v for n, d in self.documents.items() if n.startswith("sites/") for v in d.get("villages", ())]
        if not every:
            return False
        village, new = self.rng.choice(every), self._name("desa")
        for line in self.registry["desa"]:
            if line["slug"] == village["slug"]:
                line["slug"] = new
        village["slug"] = new
        return True

    def do_add_host(self) -> bool:
        site = self._any_site()
        if site is None:
            return False
        used = {
            p if isinstance(p, int) else p["number"] for h in site.get("hosts", ()) for p in h["interfaces"].values()
        }
        number = next((n for n in range(10, 100) if n not in used), None)
        if number is None:
            return False
        host = {"name": self._name("alat"), "kind": "printer", "interfaces": {"mgmt": number}}
        site.setdefault("hosts", []).insert(0, host)
        return True

    def do_remove_host(self) -> bool:
        site = self._any_site()
        hosts = (site or {}).get("hosts", ())
        if site is None or not hosts:
            return False
        site["hosts"].remove(self.rng.choice(hosts))
        return True

    def do_rename_host(self) -> bool:
        site = self._any_site()
        hosts = (site or {}).get("hosts", ())
        if not hosts:
            return False
        self.rng.choice(hosts)["name"] = self._name("alat")
        return True

    def do_add_network(self) -> bool:
        offices = [self._file("skpd", s) for s in self._sites("skpd")]
        site = self.rng.choice(offices) if offices else None
        if site is None:
            return False
        networks = site.setdefault("networks", {name: {} for name in DEFAULT_NETWORKS["skpd"]})
        number = next((n for n in range(11, 16) if n not in {e.get("number") for e in networks.values()}), None)
        if number is None:
            return False
        site["networks"] = {f"jaring{number}": {"number": number}} | networks
        return True

    def do_remove_network(self) -> bool:
        site = self._any_site()
        names = [n for n in (site or {}).get("networks") or () if n.startswith("jaring")]
        if site is None or not names:
            return False
        name = self.rng.choice(names)
        if any(name in h["interfaces"] for h in site.get("hosts", ())):
            return False
        del site["networks"][name]
        return True

    def _add_link(self, a: str, b: str, kind: str) -> bool:
        number = self._next("links", 1, 3071)
        name = f"{a}--{b}"
        if number is None or any(x["name"] == name for x in self.registry["links"]):
            return False
        links = self.documents.setdefault("backbone.yml", {"links": []}).setdefault("links", [])
        links.insert(0, {"name": name, "kind": kind, "ends": [a, b]})
        self.registry["links"].insert(0, {"number": number, "name": name})
        return True

    def do_add_link(self) -> bool:
        names = self._sites("skpd")
        if len(names) < 2:
            return False
        a, b = self.rng.sample(names, 2)
        return self._add_link(a, b, "leased")

    def do_retire_link(self) -> bool:
        leased = [x for x in self._links() if x.get("kind") == "leased"]
        if not leased:
            return False
        link = self.rng.choice(leased)
        self._links().remove(link)
        self._retire("links", "name", link["name"])
        return True

    def do_rename_link(self) -> bool:
        if not self._links():
            return False
        link, new = self.rng.choice(self._links()), self._name("tautan")
        for line in self.registry["links"]:
            if line["name"] == link["name"]:
                line["name"] = new
        link["name"] = new
        return True

    def do_turn_link(self) -> bool:
        for link in self._links():
            link["ends"] = link["ends"][::-1]
        return bool(self._links())

    def do_add_user(self) -> bool:
        number = self._next("vpn_users", 10, 250)
        if number is None:
            return False
        self.registry["vpn_users"].insert(0, {"number": number, "name": self._name("orang")})
        return True

    def do_retire_user(self) -> bool:
        live = [x for x in self.registry["vpn_users"] if "retired" not in x]
        for line in live[:1]:
            line["retired"] = generate.RETIRED
        return bool(live)

    def do_remove_hub(self) -> bool:
        hubs = self.documents["district.yml"]["hubs"]
        if len(hubs) < 2 or self.rng.random() < 0.7:
            return False
        hubs.pop(self.rng.randrange(len(hubs)))
        return True

    def do_add_hub(self) -> bool:
        """Add a hub in the slot after the last one that was used."""
        hubs = self.documents["district.yml"]["hubs"]
        slot = max((h["slot"] for h in hubs), default=0) + 1
        names = {h["gateway"] for h in hubs}
        gateways = [
            f"{line['slug']}-{g.get('name', 'gw')}"
            for line in self.registry["dc"]
            for g in self._file("dc", line["slug"])["gateways"]
        ]
        new = [g for g in gateways if g not in names]
        if slot > 3 or not new:
            return False
        hubs.insert(0, {"slot": slot, "gateway": self.rng.choice(new)})
        return True

    def do_reorder_lines(self) -> bool:
        for lines in self.registry.values():
            self.rng.shuffle(lines)
        return True

    def do_reorder_everything(self) -> bool:
        self.documents = dict(self.rng.sample(list(self.documents.items()), len(self.documents)))
        self.rng.shuffle(self.documents["district.yml"]["hubs"])
        self.rng.shuffle(self._links())
        for name, document in self.documents.items():
            if name.startswith("sites/"):
                for part in (document, *document.get("villages", ())):
                    for key in ("hosts", "gateways", "villages"):
                        if key in part:
                            self.rng.shuffle(part[key])
                    if part.get("networks"):
                        items = list(part["networks"].items())
                        part["networks"] = dict(self.rng.sample(items, len(items)))
        if "apps.yml" in self.documents:
            self.rng.shuffle(self.documents["apps.yml"]["applications"])
        return True

    def do_annotate(self) -> bool:
        site = self._any_site()
        if site is None:
            return False
        site["notes"] = [self._name("catatan")]
        return True

    def do_add_application(self) -> bool:
        apps = self.documents.get("apps.yml")
        if apps is None:
            return False
        used = {a["number"] for a in apps["applications"]}
        number = next(n for n in range(10, 100) if n not in used)
        slug = self._name("aplikasi")
        apps["applications"].insert(0, {"slug": slug, "name": slug, "group": "Umum", "year": 2026, "number": number})
        apps["groups"][0]["per_year"]["2026"] += 1
        return True
