"""From a folder of YAML files to a checked `District`.

`load` reads the whole tree, shapes every file, runs every rule, and either returns a district
with its warnings or raises InventoryError with all findings at once.
"""

from __future__ import annotations

import ipaddress
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from topology import prefix as px
from topology import source
from topology.district import FOLDERS, District, Parts, Place
from topology.finding import Both, Finding, InventoryError, KeyPath, Where
from topology.rules.catalogue import CATALOGUE
from topology.schema import (
    AppsFile,
    BackboneFile,
    DevicesFile,
    DistrictFile,
    KecamatanFile,
    KeysFile,
    LabFile,
    PolicyFile,
    RegistryFile,
    ServiceFile,
    Shape,
    Site,
    UsersFile,
    VsphereFile,
)  # fmt: skip

INSTANCES_VARIABLE = "TOPOLOGY_LAB_INSTANCES"
"""Environment variable that takes the place of a lab's `instances:`."""
_S = TypeVar("_S", bound=Shape)
_FORMS = {
    r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$": Both(
        "lower-case words joined by single hyphens", "kata-kata huruf kecil dengan satu tanda hubung di antaranya"
    ),
    r"^[a-z][a-z0-9]*(-{1,2}[a-z0-9]+)*$": Both(
        "lower-case words joined by hyphens", "kata-kata huruf kecil dengan tanda hubung"
    ),
    r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$": Both(
        "one label of a domain name: lower-case letters, digits and hyphens inside",
        "satu label nama domain: huruf kecil, angka, dan tanda hubung di dalam",
    ),
    r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$": Both(
        "a domain name in lower case, like contoh.example", "nama domain huruf kecil, seperti contoh.example"
    ),
    r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$": Both(
        "a MAC address in lower case, like 02:00:5e:00:53:01", "alamat MAC huruf kecil, seperti 02:00:5e:00:53:01"
    ),
    r"^[a-z][a-z0-9_.-]{0,14}$": Both(
        "an interface's name: at most 15 lower-case letters, digits, and . _ -",
        "nama antarmuka: paling banyak 15 huruf kecil, angka, dan . _ -",
    ),
    r"^[a-z][a-z0-9_-]{0,30}$": Both(
        "a login name: at most 31 lower-case letters, digits, _ and -",
        "nama pengguna: paling banyak 31 huruf kecil, angka, _ dan -",
    ),
    r"^[A-Z][A-Za-z_]+/[A-Z][A-Za-z_/]+$|^UTC$": Both(
        "a time zone, like Asia/Jakarta", "zona waktu, seperti Asia/Jakarta"
    ),
    r"^[a-z][a-z0-9]*$": Both("lower-case letters and digits", "huruf kecil dan angka"),
    r"^(ping|[0-9]{1,5}(-[0-9]{1,5})?/(tcp|udp))$": Both(
        "a port like 443/tcp, 16384-32767/udp, or ping", "port seperti 443/tcp, 16384-32767/udp, atau ping"
    ),
    r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$": Both(
        "a WireGuard public key (`wg pubkey` prints it)", "kunci publik WireGuard (dicetak oleh `wg pubkey`)"
    ),
    r"^AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}$": Both(
        "the middle part of an ssh-ed25519 public key", "bagian tengah kunci publik ssh-ed25519"
    ),
    r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9]*$": Both(
        "a site and its network, like dinas.mgmt", "lokasi dan jaringannya, seperti dinas.mgmt"
    ),
    r"^[0-9]{1,5} [0-9]{1,3} [0-9] [0-9A-F]{40,96}$": Both(
        "a DS record: key tag, algorithm, digest type, digest", "rekaman DS: tag kunci, algoritma, jenis digest, digest"
    ),
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$": Both(
        "a zone's name in lower case, without the final dot", "nama zona huruf kecil, tanpa titik akhir"
    ),
    r"^20[0-9]{2}$": Both("a year of this century in quotes", "tahun pada abad ini dalam tanda kutip"),
    r"^[A-Za-z][A-Za-z0-9/-]*[0-9]$": Both(
        "a port or a range of ports, like ether2 or ether2-ether9",
        "port atau rentang port, seperti ether2 atau ether2-ether9",
    ),
    r"^[0-9A-Za-z][0-9A-Za-z.()_-]*$": Both("a version, like 7.16.2", "versi, seperti 7.16.2"),
    r"\{(vlan|network)\}": Both("a name with {network} or {vlan} in it", "nama yang memuat {network} atau {vlan}"),
    r"^[a-z0-9]{1,8}$": Both("at most 8 lower-case letters and digits", "paling banyak 8 huruf kecil dan angka"),
}
"""What a pattern of the schema means to people."""
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
_SLUG_LENGTH = 40
_OWN_FILES = ("inventory.yml", "inventory.yaml")
_ANSIBLE_FOLDERS = ("group_vars/", "host_vars/")

_TYPES = {
    "int_type": Both("a whole number is expected", "seharusnya bilangan bulat"),
    "int_from_float": Both("a whole number is expected", "seharusnya bilangan bulat"),
    "float_type": Both("a number is expected", "seharusnya bilangan"),
    "string_type": Both("text is expected (put it in quotes)", "seharusnya teks (beri tanda kutip)"),
    "bool_type": Both("true or false is expected", "seharusnya true atau false"),
    "tuple_type": Both("a list is expected", "seharusnya daftar"),
    "list_type": Both("a list is expected", "seharusnya daftar"),
    "dict_type": Both("`key: value` lines are expected", "seharusnya baris `kunci: nilai`"),
    "model_type": Both("`key: value` lines are expected", "seharusnya baris `kunci: nilai`"),
    "model_attributes_type": Both("`key: value` lines are expected", "seharusnya baris `kunci: nilai`"),
    "date_type": Both("a date is expected, like 2026-11-24", "seharusnya tanggal, seperti 2026-11-24"),
}


def load(inventory: str | Path) -> tuple[District, tuple[Finding, ...], source.Tree]:
    """Read and check an inventory.

    Returns the district, its warnings and the tree (which knows line numbers).
    Raises InventoryError, whose `tree` attribute can show them, when there are errors.
    """
    tree = read(Path(inventory))
    district, findings = check(tree)
    if district is None:
        raise LoadError(findings, tree)
    return district, findings, tree


class LoadError(InventoryError):
    """InventoryError that also carries the tree, to show its findings with lines."""

    def __init__(self, findings: tuple[Finding, ...], tree: source.Tree) -> None:
        super().__init__(findings)
        self.tree = tree


def read(root: Path) -> source.Tree:
    """Read all files of an inventory; a lab's are its own lab.yml and the district's it names."""
    tree = source.read(root)
    lab = tree.documents.get("lab.yml")
    if lab is None:
        if "lab.yml" in tree.broken:
            tree.broken.add("")  # its district cannot be known
        return tree
    base = lab.data.get("district") if isinstance(lab.data, dict) else None
    if isinstance(base, str):
        below = source.read(root / base)
    else:
        below = source.Tree(str(root), broken={""})
    for name, document in tree.documents.items():
        key = name if name == "lab.yml" else f"lab/{name}"
        document.name = key
        below.documents[key] = document
        below.elsewhere[key] = tree.shown(name)
    for finding in tree.findings:
        key = f"lab/{finding.where.file}"
        below.elsewhere[key] = tree.shown(finding.where.file)
        below.findings.append(Finding(finding.rule, Where(key, line=finding.where.line), finding.values))
        below.broken.add(key)
    return below


def check(tree: source.Tree) -> tuple[District | None, tuple[Finding, ...]]:
    """Shape and check a tree of documents.

    Returns the district, or None when there are errors, and every finding in order of place.
    """
    from topology import rules

    findings = list(tree.findings)
    parts = shape(tree, findings)
    rules.run(parts, findings)
    ordered = tuple(sorted(findings, key=lambda f: (f.where.file, tree.line(f.where), f.rule, str(f.values))))
    if any(CATALOGUE[f.rule].severity == "error" for f in ordered):
        return None, ordered
    return assemble(parts), ordered


def shape(tree: source.Tree, findings: list[Finding]) -> Parts:
    """Give every document its shape; what does not fit becomes a finding."""
    parts = Parts(root=tree.root)
    parts.complete = not any(name == "" or name.endswith("/") for name in tree.broken)
    for name in tree.broken:
        _lose(parts, name)
    parts.raw = {name: tree.documents[name].data for name in sorted(tree.documents)}
    for name, data in parts.raw.items():
        _shape_one(parts, name, data, findings)
    for name in ("district.yml", "registry.yml"):
        if name not in tree.documents and tree.broken.isdisjoint((name, "")):
            findings.append(Finding("IO005", Where(name, line=1)))
    return parts


def _lose(parts: Parts, name: str) -> None:
    """Note that a file could not be used, and which site it may describe."""
    parts.lost.add(name)
    if name.startswith("sites/") or "/" not in name:
        parts.unsure.add(Path(name).stem)


def _shape_one(parts: Parts, name: str, data: Any, findings: list[Finding]) -> None:
    if name == "district.yml":
        parts.facts = _fit(DistrictFile, parts, name, data, findings)
    elif name == "registry.yml":
        parts.registry = _fit(RegistryFile, parts, name, data, findings)
    elif name == "backbone.yml":
        parts.backbone = _fit(BackboneFile, parts, name, data, findings)
    elif name == "apps.yml":
        parts.apps = _fit(AppsFile, parts, name, data, findings)
    elif name == "vsphere.yml":
        parts.vsphere = _fit(VsphereFile, parts, name, data, findings)
    elif name == "policy.yml":
        parts.policy = _fit(PolicyFile, parts, name, data, findings)
    elif name == "devices.yml":
        parts.devices = _fit(DevicesFile, parts, name, data, findings)
    elif name == "keys.yml" and "lab.yml" in parts.raw:
        pass  # a lab's boxes have keys of their own
    elif name in ("keys.yml", "lab/keys.yml"):
        parts.keys = _fit(KeysFile, parts, name, data, findings)
    elif name == "users.yml" and "lab/users.yml" in parts.raw:
        pass  # a lab has people of its own
    elif name in ("users.yml", "lab/users.yml"):
        parts.users = _fit(UsersFile, parts, name, data, findings)
    elif name == "lab.yml":
        instances = os.environ.get(INSTANCES_VARIABLE)
        if instances and isinstance(data, dict):
            data = {**data, "instances": instances}
        parts.lab = _fit(LabFile, parts, name, data, findings)
    elif name.startswith("services/") and name.count("/") == 1:
        service = _fit(ServiceFile, parts, name, data, findings)
        if service is not None and _named(parts, name, findings):
            parts.services[Path(name).stem] = service
    elif name.startswith("sites/"):
        _shape_site(parts, name, data, findings)
    elif name not in _OWN_FILES and not name.removeprefix("lab/").startswith((*_ANSIBLE_FOLDERS, *_OWN_FILES)):
        findings.append(Finding("IO006", Where(name, line=1)))
        _lose(parts, name)


def _shape_site(parts: Parts, name: str, data: Any, findings: list[Finding]) -> None:
    folder = name.rpartition("/")[0] + "/"
    if folder not in FOLDERS:
        findings.append(Finding("IO006", Where(name, line=1)))
        _lose(parts, name)
        return
    model, kinds = FOLDERS[folder]
    slug = Path(name).stem
    if isinstance(data, dict) and isinstance(data.get("kind"), str) and data["kind"] not in kinds:
        findings.append(
            Finding("ST001", Where(name, ("kind",)), {"slug": slug, "kind": data["kind"], "folder": folder})
        )
        _fit(model, parts, name, data | {"kind": kinds[0]}, findings)  # what else is wrong with it
        _lose(parts, name)
        return
    site = _fit(model, parts, name, data, findings)
    if not _named(parts, name, findings) or site is None:
        return
    assert isinstance(site, Site)
    kind: str = site.kind  # type: ignore[attr-defined]
    _add_site(parts, slug, kind, site, Where(name), findings)
    if isinstance(site, KecamatanFile):
        for index, village in enumerate(site.villages):
            _add_site(parts, village.slug, "desa", village, Where(name, ("villages", index)), findings)
            parts.village_of.setdefault(village.slug, slug)


def _add_site(parts: Parts, slug: str, kind: str, site: Site, where: Where, findings: list[Finding]) -> None:
    if slug in parts.sites:
        other = parts.sites[slug][2].file
        findings.append(Finding("ST002", where, {"name": slug, "other": other}))
        parts.unsure |= {slug, Path(where.file).stem}
        return
    parts.sites[slug] = (kind, site, where)


def _named(parts: Parts, name: str, findings: list[Finding]) -> bool:
    """Say whether a file's name can name a site or service; a finding when it cannot, or is taken."""
    stem = Path(name).stem
    if not _SLUG.match(stem) or len(stem) > _SLUG_LENGTH:
        findings.append(Finding("ST014", Where(name, line=1), {"name": stem}))
    elif name.startswith("services/") and stem in parts.services:
        findings.append(Finding("ST002", Where(name, line=1), {"name": stem, "other": f"services/{stem}.yaml"}))
    else:
        return True
    _lose(parts, name)
    return False


def _fit(model: type[_S], parts: Parts, name: str, data: Any, findings: list[Finding]) -> _S | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            findings.append(_shape_finding(model, name, data, item))
        _lose(parts, name)
        return None


def _shape_finding(model: type[Shape], name: str, data: Any, item: Any) -> Finding:
    kind: str = item["type"]
    steps = [s for s in item["loc"] if s != "[key]"]
    path = _existing(data, steps)
    key = ".".join(str(s) for s in steps) or Path(name).stem
    if kind == "extra_forbidden":
        known = _known_keys(model, data, steps[:-1])
        return Finding("SC001", Where(name, path, key=True), {"key": steps[-1], "known": known})
    if kind == "missing":
        return Finding("SC003", Where(name, path, key=True), {"key": key})
    if kind in _TYPES:
        return Finding("SC002", Where(name, path), {"key": key, "problem": _TYPES[kind]})
    return Finding("SC004", Where(name, path), {"key": key, "problem": _value_problem(kind, item)})


def _value_problem(kind: str, item: Any) -> Both:
    context = item.get("ctx", {})
    given = item.get("input")
    if kind == "literal_error":
        return Both(f"`{given}` is not one of {context['expected']}", f"`{given}` bukan salah satu dari "
                    f"{context['expected'].replace(' or ', ' atau ')}")  # fmt: skip
    if kind == "string_pattern_mismatch":
        form = _FORMS[context["pattern"]]
        return Both(f"`{given}` is not {form.en}", f"`{given}` bukan {form.id}")
    bounds = {
        "greater_than_equal": ("ge", "at least", "sekurangnya"),
        "greater_than": ("gt", "more than", "lebih dari"),
        "less_than_equal": ("le", "at most", "paling banyak"),
        "less_than": ("lt", "less than", "kurang dari"),
        "too_short": ("min_length", "its length must be at least", "panjangnya sekurangnya"),
        "too_long": ("max_length", "its length must be at most", "panjangnya paling banyak"),
        "string_too_short": ("min_length", "its length must be at least", "panjangnya sekurangnya"),
        "string_too_long": ("max_length", "its length must be at most", "panjangnya paling banyak"),
    }
    if kind in bounds:
        name, en, id_ = bounds[kind]
        return Both(f"{en} {context[name]}", f"{id_} {context[name]}")
    return Both(item["msg"], item["msg"])


def _existing(data: Any, steps: list[str | int]) -> KeyPath:
    """Return the part of `steps` that exists in the data (a union adds steps of its own)."""
    path: list[str | int] = []
    for step in steps:
        if isinstance(data, dict) and step in data:
            data = data[step]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            break
        path.append(step)
    return tuple(path)


def _known_keys(model: type[Shape], data: Any, steps: list[str | int]) -> list[str]:
    """Return the keys that are known at `steps`, by following the models' annotations."""
    current: Any = model
    for step in steps:
        current = _inner(current, step)
        if current is None:
            return []
    fields: dict[str, Any] = getattr(current, "model_fields", {})
    return sorted(field.alias or name for name, field in fields.items())


def _inner(current: Any, step: str | int) -> Any:
    fields = getattr(current, "model_fields", None)
    named = {field.alias or name: field for name, field in fields.items()} if fields else {}
    annotation = named[step].annotation if step in named else current
    return _model_in(annotation)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Shape):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def assemble(parts: Parts) -> District:
    """Return the district of parts that no rule objects to."""
    facts, registry = parts.facts, parts.registry
    assert facts is not None and registry is not None
    return District(
        root=parts.root,
        facts=facts,
        registry=registry,
        space=space_of(facts),
        places=places(parts),
        backbone=parts.backbone or BackboneFile(),
        apps=parts.apps,
        services=parts.services,
        links={line.name: line.number for line in registry.links if line.retired is None},
        policy=parts.policy or default_policy(),
        keys=parts.keys or KeysFile(),
        users=parts.users or UsersFile(),
        lab=parts.lab,
        devices=parts.devices,
        vsphere=parts.vsphere,
    )


@cache
def default_policy() -> PolicyFile:
    """Return the policy of a district that states none: topology/templates/policy.yml."""
    text = (Path(__file__).parent / "templates" / "policy.yml").read_text(encoding="utf-8")
    return PolicyFile.model_validate(yaml.safe_load(text))


def space_of(facts: DistrictFile) -> px.Space:
    """Return the district's address space; ValueError when a prefix cannot be parsed."""
    gua = facts.prefixes.gua
    return px.Space(
        ipaddress.IPv4Network(facts.prefixes.ipv4),
        ipaddress.IPv6Network(facts.prefixes.ula),
        ipaddress.IPv6Network(gua) if gua else None,
    )


def places(parts: Parts) -> dict[str, Place]:
    """Return every site that has a number, by slug; one without is left out (rule RG002 says so)."""
    registry = parts.registry
    assert registry is not None
    octets = {
        section: {line.slug: base + line.number for line in getattr(registry, section) if line.retired is None}
        for section, base in px.SECTION_BASE.items()
    }
    villages = {line.slug: line for line in registry.desa if line.retired is None}
    found: dict[str, Place] = {}
    for slug, (kind, data, where) in parts.sites.items():
        if kind == "desa":
            line = villages.get(slug)
            if line is not None and line.kecamatan in octets["kecamatan"]:
                found[slug] = Place(
                    slug, kind, data, where, line.number, octets["kecamatan"][line.kecamatan],
                    16 + 8 * line.number, parts.village_of[slug],
                )  # fmt: skip
        elif slug in octets[px.SECTION_OF[kind]]:
            octet = octets[px.SECTION_OF[kind]][slug]
            found[slug] = Place(slug, kind, data, where, octet & 63, octet)
    return found
