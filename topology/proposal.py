"""`next`: propose the registry line or the entry to paste for something new.

Nothing is written: a number is given away by the person who commits the line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from topology import prefix as px
from topology.allocate import Plan, SitePlan
from topology.rules import registry
from topology.rules.addresses import allowed_numbers

KINDS = ("skpd", "kecamatan", "desa", "host", "network", "link", "vpn-user")


class ProposalError(Exception):
    """What was asked for cannot be proposed; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Paste:
    """Text to add to a file; `whole` means it is the whole new file."""

    file: str
    text: str
    under: str | None = None
    """The key below which it goes."""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to paste, and the addresses it will have."""

    pastes: tuple[Paste, ...]
    addresses: tuple[str, ...]


def propose(plan: Plan, kind: str, wish: Mapping[str, str | None]) -> Proposal:
    """Return the proposal for a new thing of `kind`; raises ProposalError."""
    return {
        "skpd": _office, "kecamatan": _kecamatan, "desa": _village, "host": _host, "network": _network,
        "link": _link, "vpn-user": _vpn_user,
    }[kind](plan, wish)  # fmt: skip


def _need(wish: Mapping[str, str | None], *names: str) -> list[str]:
    missing = [n for n in names if not wish.get(n)]
    if missing:
        raise ProposalError("name what is new: " + " ".join(f"--{n}" for n in missing))
    return [str(wish[n]) for n in names]


def slug_of(name: str) -> str:
    """Return a slug for a name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _slug(plan: Plan, wish: Mapping[str, str | None]) -> tuple[str, str]:
    """Return slug and name from --slug and --name, one of which may be missing."""
    name, slug = wish.get("name"), wish.get("slug")
    if not name and not slug:
        raise ProposalError("name what is new: --name 'Dinas Contoh' or --slug contoh")
    slug = slug or slug_of(str(name))
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug):
        raise ProposalError(f"`{slug}` is no slug: lower-case words joined by hyphens; give --slug")
    if slug in plan.sites:
        raise ProposalError(f"`{slug}` is already a site ({plan.sites[slug].place.where.file})")
    return slug, name or slug.replace("-", " ").title()


def _number(used: list[int], section: str, what: str) -> int:
    number = registry.free(used, section)
    if number is None:
        raise ProposalError(f"no number is left for {what}: every one was given, retired ones included")
    return number


def _profile(plan: Plan) -> str:
    return sorted(plan.district.facts.profiles)[0]


def _site_text(plan: Plan, name: str) -> str:
    return (
        f"name: {name}\ngateways:\n  - {{profile: {_profile(plan)}}}\nuplinks:\n  - {{name: isp}}\n"
        "hosts:\n  - {name: sw1, kind: switch, interfaces: {mgmt: 4}}\n"
    )


def _office(plan: Plan, wish: Mapping[str, str | None]) -> Proposal:
    slug, name = _slug(plan, wish)
    number = _number([x.number for x in plan.district.registry.skpd], "skpd", "an office")
    return Proposal(
        (
            Paste("registry.yml", f"  - {{number: {number}, slug: {slug}}}", under="skpd"),
            Paste(f"sites/skpd/{slug}.yml", _site_text(plan, name), whole=True),
        ),
        plan.district.space.reservation(px.OFFICE_BASE + number, 0, 16),
    )


def _kecamatan(plan: Plan, wish: Mapping[str, str | None]) -> Proposal:
    slug, name = _slug(plan, wish)
    number = _number([x.number for x in plan.district.registry.kecamatan], "kecamatan", "a kecamatan")
    return Proposal(
        (
            Paste("registry.yml", f"  - {{number: {number}, slug: {slug}}}", under="kecamatan"),
            Paste(f"sites/kecamatan/{slug}.yml", _site_text(plan, name), whole=True),
        ),
        plan.district.space.reservation(px.KECAMATAN_BASE + number, 0, 16),
    )


def _site(plan: Plan, slug: str, *kinds: str) -> SitePlan:
    site = plan.sites.get(slug)
    if site is None or (kinds and site.place.kind not in kinds):
        wanted = " or ".join(kinds) or "site"
        raise ProposalError(f"there is no {wanted} `{slug}`; `topology plan` lists them")
    return site


def _village(plan: Plan, wish: Mapping[str, str | None]) -> Proposal:
    (kecamatan,) = _need(wish, "kecamatan")
    site = _site(plan, kecamatan, "kecamatan")
    slug, name = _slug(plan, wish)
    lines = plan.district.registry
    blocks = [x for x in lines.kecamatan if x.retired is None and kecamatan in (x.slug, x.extends)]
    blocks.sort(key=lambda x: (x.extends is not None, x.number))
    for block in blocks:
        number = registry.free([x.number for x in lines.desa if x.kecamatan == block.slug], "desa")
        if number is not None:
            text = f"  - {{kecamatan: {block.slug}, number: {number}, slug: {slug}}}"
            entry = (
                f"  - slug: {slug}\n    name: {name}\n    gateways:\n      - {{profile: {_profile(plan)}}}\n"
                "    uplinks:\n      - {name: isp}\n"
            )
            return Proposal(
                (
                    Paste("registry.yml", text, under="desa"),
                    Paste(site.place.where.file, entry, under="villages"),
                ),
                plan.district.space.reservation(px.KECAMATAN_BASE + block.number, 16 + 8 * number, 21),
            )
    number = _number([x.number for x in lines.kecamatan], "kecamatan", "a second number")
    raise ProposalError(
        f"all {px.MAX_VILLAGES} village numbers of `{kecamatan}` were given; first register a second number: "
        f"`- {{number: {number}, slug: {kecamatan}-2, extends: {kecamatan}}}` under kecamatan"
    )


def _host(plan: Plan, wish: Mapping[str, str | None]) -> Proposal:
    slug, network_name, name = _need(wish, "site", "network", "name")
    site, kind = _site(plan, slug), wish.get("kind") or "pc"
    if network_name not in {n.name for n in site.networks}:
        raise ProposalError(f"`{slug}` has no network `{network_name}`: {', '.join(n.name for n in site.networks)}")
    if f"{slug}-{name}" in plan.hosts:
        raise ProposalError(f"`{slug}-{name}` is already a host")
    network = site.network(network_name)
    used = {i.number for h in site.hosts for i in h.interfaces if i.network == network_name}
    number = next((n for n in allowed_numbers(kind) if n not in used), None)
    if number is None:
        raise ProposalError(f"network `{network_name}` of `{slug}` has no number left for a {kind}")
    port = str(number)
    mac = (wish.get("mac") or "").lower()
    if mac:
        if not re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", mac):
            raise ProposalError(f"`{mac}` is no MAC address; write it like 00:11:22:aa:bb:cc")
        owner = next((h.name for h in plan.hosts.values() for i in h.interfaces if i.mac == mac), None)
        if owner:
            raise ProposalError(f"MAC address {mac} is already reserved for `{owner}`")
        port = f'{{number: {number}, mac: "{mac}"}}'
    village = site.place.kind == "desa"
    text = f"  - {{name: {name}, kind: {kind}, interfaces: {{{network_name}: {port}}}}}"
    text = "    " + text.replace("\n", "\n    ") if village else text
    under = f"villages / {slug} / hosts" if village else "hosts"
    addresses = plan.district.space.host(network.second_octet, network.third_octet, number)
    return Proposal((Paste(site.place.where.file, text, under=under),), addresses)


def _network(plan: Plan, wish: Mapping[str, str | None]) -> Proposal:
    (slug,) = _need(wish, "site")
    site = _site(plan, slug)
    name = wish.get("network") or wish.get("name")
    if not name:
        raise ProposalError("name the network: --network NAME (a standard role or a word of your own)")
    have = {n.name: n.role for n in site.networks}
    if name in have:
        raise ProposalError(f"`{slug}` already has a network `{name}`")
    if site.place.kind == "desa":
        raise ProposalError(f"a village has only the networks {', '.join(px.VILLAGE_ROLES)}")
    role = px.ROLES.get(name)
    if role is None:
        role = next((n for n in range(11, 16) if n not in have.values()), None)
        if role is None:
            raise ProposalError(f"`{slug}` has used all five numbers for networks of its own (11-15)")
    third = role if site.place.kind == "kecamatan" else 16 * role
    entry = f"  {name}: {{}}" if name in px.ROLES else f"  {name}: {{number: {role}}}"
    if site.place.data.networks is None:  # the site has its kind's networks: they must now be listed
        entry = "\n".join([*(f"  {n}: {{}}" for n in have), entry])
    return Proposal(
        (Paste(site.place.where.file, entry, under="networks"),),
        (f"VLAN {px.vlan(role)}", *plan.district.space.lan(site.place.second_octet, third)),
    )


def _link(plan: Plan, wish: Mapping[str, str | None]) -> Proposal:
    a, b = _need(wish, "from", "to")
    for slug in (a, b):
        _site(plan, slug)
    name = wish.get("name") or f"{a}--{b}"
    if name in plan.links:
        raise ProposalError(f"`{name}` is already a link")
    number = _number([x.number for x in plan.district.registry.links], "links", "a link")
    kind = wish.get("kind") or "radio"
    if kind not in ("radio", "leased"):
        raise ProposalError(f"a link is radio or leased, not `{kind}`")
    entry = f"  - name: {name}\n    kind: {kind}\n    ends: [{a}, {b}]\n"
    return Proposal(
        (
            Paste("registry.yml", f"  - {{number: {number}, name: {name}}}", under="links"),
            Paste("backbone.yml", entry, under="links"),
        ),
        plan.district.space.link(number),
    )


def _vpn_user(plan: Plan, wish: Mapping[str, str | None]) -> Proposal:
    (name,) = _need(wish, "name")
    lines = plan.district.registry.vpn_users
    if any(x.name == name and x.retired is None for x in lines):
        raise ProposalError(f"`{name}` is already a VPN user")
    if not plan.district.facts.hubs:
        raise ProposalError("the district has no hub a VPN user could connect to")
    number = _number([x.number for x in lines], "vpn_users", "a VPN user")
    expires = f", expires: {wish['expires']}" if wish.get("expires") else ""
    addresses = [
        f"{hub.gateway}: {address}"
        for hub in plan.district.facts.hubs
        for address in plan.district.space.host(px.VPN_OCTET, hub.slot, number)
    ]
    text = f"  - {{number: {number}, name: {name}{expires}}}"
    return Proposal((Paste("registry.yml", text, under="vpn_users"),), tuple(addresses))


def as_text(proposal: Proposal, inventory: str) -> str:
    """Return a proposal as text for the terminal."""
    parts = []
    for paste in proposal.pastes:
        where = f"new file {inventory}/{paste.file}" if paste.whole else f"{inventory}/{paste.file}"
        under = f", under `{paste.under}:`" if paste.under else ""
        parts.append(f"# {where}{under}\n{paste.text.rstrip()}\n")
    parts.append("# addresses: " + "  ".join(proposal.addresses) + "\n")
    return "\n".join(parts)
