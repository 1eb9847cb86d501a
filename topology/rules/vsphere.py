"""Rules about guests in vSphere (VS)."""

from __future__ import annotations

from collections.abc import Iterator

from topology.district import Parts
from topology.finding import Both, Finding, Where
from topology.rules.references import missing
from topology.rules.sites import host_name
from topology.schema import GuestSize

FILE = "vsphere.yml"


def names(parts: Parts) -> Iterator[Finding]:
    """Sites, templates and guests exist; every site with guests of the plan has its place in vSphere."""
    vsphere = parts.vsphere
    if vsphere is None:
        return
    for slug, placement in vsphere.sites.items():
        where = Where(FILE, ("sites", slug))
        if slug not in parts.sites and not parts.may_exist(slug):
            yield missing(Both("site", "lokasi"), slug, parts.sites, where)
        if placement.template not in vsphere.templates:
            yield missing(
                Both("template", "templat"), placement.template, vsphere.templates, where.at("template")
            )  # fmt: skip
    for slug in parts.apps.sites if parts.apps else ():
        if slug in parts.sites and slug not in vsphere.sites:
            yield Finding("VS001", Where(FILE, ("sites",)), {"site": slug})
    kinds = {host_name(slug, h.name): (slug, h.kind) for slug, (_, s, _) in parts.sites.items() for h in s.hosts}
    seen: set[str] = set()
    for index, guest in enumerate(vsphere.guests):
        where = Where(FILE, ("guests", index, "host"))
        site, kind = kinds.get(guest.host, (None, None))
        if guest.host in seen:
            problem = Both("there twice", "ada dua kali")
            yield Finding("VS004", where, {"guest": guest.host, "problem": problem})
        elif kind is None and "-app-" in guest.host:
            problem = Both("an application's guest (apps.yml)", "adalah mesin virtual aplikasi (apps.yml)")
            yield Finding("VS004", where, {"guest": guest.host, "problem": problem})
        elif kind is None and not parts.may_have_host(guest.host):
            yield missing("guest", guest.host, (n for n, (_, k) in kinds.items() if k == "guest"), where)
        elif kind is not None and kind != "guest":
            problem = Both(f"no guest but a {kind}", f"bukan mesin virtual melainkan {kind}")
            yield Finding("VS004", where, {"guest": guest.host, "problem": problem})
        elif site is not None and site not in vsphere.sites:
            yield Finding("VS001", where, {"site": site})
        seen.add(guest.host)


def sizes(parts: Parts) -> Iterator[Finding]:
    """No guest is larger than a host of its cluster; all guests of a site fit its datastore."""
    vsphere = parts.vsphere
    if vsphere is None:
        return
    for slug, placement in vsphere.sites.items():
        total, last = 0, 0
        for guest, year, size, where in _guests(parts, slug):
            wants = (
                ("vCPU", size.vcpu, placement.host_vcpu),
                (Both("GB of memory", "GB memori"), size.memory_gb, placement.host_memory_gb),
            )
            for what, wanted, there in wants:
                if wanted > there:
                    values = {
                        "guest": guest,
                        "wanted": wanted,
                        "what": what,
                        "cluster": placement.cluster,
                        "there": there,
                    }
                    yield Finding("VS002", where, values)
            total, last = total + size.disk_gb, max(last, year)
        if total > placement.datastore_gb:
            values = {"site": slug, "year": last, "wanted": total, "there": placement.datastore_gb}
            yield Finding(
                "VS003", Where(FILE, ("sites", slug, "datastore_gb")), values | {"datastore": placement.datastore}
            )  # fmt: skip


def _guests(parts: Parts, site: str) -> Iterator[tuple[str, int, GuestSize, Where]]:
    """Yield the guests of a site: name, year, size and where its size is written."""
    apps = parts.apps
    if apps is not None and site in apps.sites:
        for index, app in enumerate(apps.applications):
            where = Where("apps.yml", ("applications", index, "size") if app.size else ("size",))
            yield host_name(site, f"app-{app.slug}"), app.year, app.size or apps.size, where
    assert parts.vsphere is not None
    here = {host_name(site, h.name) for h in parts.sites[site][1].hosts} if site in parts.sites else set()
    for index, guest in enumerate(parts.vsphere.guests):
        if guest.host in here:
            yield guest.host, guest.year, guest.size, Where(FILE, ("guests", index, "size"))
