"""Applications by group and year, with their virtual machines' addresses."""

from __future__ import annotations

from topology.document import markup as m
from topology.document.book import Book, Page
from topology.guests import guests_of, rollout
from topology.schema import Application, AppsFile

PATH = "applications.md"


def page(book: Book) -> Page | None:
    """Return the page of applications; None for a district without any."""
    t, apps = book.t, book.plan.district.apps
    if apps is None:
        return None
    here = book.here(PATH)
    sites = [s for s in apps.sites if s in book.plan.sites]
    blocks = [
        t(
            f"{t.number(len(apps.applications))} aplikasi dalam {t.number(len(apps.groups))} kelompok. "
            "Setiap aplikasi mempunyai satu mesin virtual di setiap lokasi berikut, dengan nomor host yang "
            f"sama: {', '.join(here.site(s) for s in sites)}.",
            f"{t.number(len(apps.applications))} applications in {t.number(len(apps.groups))} groups. Every "
            "application has one virtual machine at each of these sites, with the same host number: "
            f"{', '.join(here.site(s) for s in sites)}.",
        )
    ]
    if apps.assumption:
        blocks.append(m.note("note", t("Asumsi", "Assumption"), m.text(apps.assumption)))
    blocks += ["## " + t("Kelompok dan tahun", "Groups and years"), _years(book, apps)]
    if book.plan.district.vsphere is not None:
        blocks += ["## " + t("Mesin virtual per tahun", "Virtual machines per year"), *_guests(book)]
    for group in apps.groups:
        chosen = [a for a in apps.applications if a.group == group.name]
        chosen.sort(key=lambda a: (a.year, a.number))
        blocks += ["## " + m.text(group.name), _group(book, apps, sites, chosen)]
    sources = ("apps.yml",) if book.plan.district.vsphere is None else ("apps.yml", "vsphere.yml")
    return Page(PATH, t("Aplikasi", "Applications"), sources, m.join(*blocks))


def _years(book: Book, apps: AppsFile) -> str:
    t = book.t
    years = sorted({y for g in apps.groups for y in g.per_year} | {str(a.year) for a in apps.applications})
    rows = []
    totals = [0] * len(years)
    for group in apps.groups:
        counts = [sum(1 for a in apps.applications if a.group == group.name and str(a.year) == y) for y in years]
        totals = [x + y for x, y in zip(totals, counts, strict=True)]
        cells = [
            t.number(n)
            if n == group.per_year.get(y, 0)
            else t(f"{n} (rencana {group.per_year.get(y, 0)})", f"{n} (planned {group.per_year.get(y, 0)})")
            for n, y in zip(counts, years, strict=True)
        ]
        rows.append((m.text(group.name), *cells, t.number(sum(counts))))
    rows.append((f"**{t('Jumlah', 'Total')}**", *(t.number(n) for n in totals), f"**{t.number(sum(totals))}**"))
    head = (t("Kelompok", "Group"), *years, t("Jumlah", "Total"))
    return m.table(head, rows, right=tuple(range(1, len(years) + 2)))


def _guests(book: Book) -> tuple[str, str]:
    """Return what the rollout asks of vSphere, year by year, and the table of it."""
    t, until = book.t, rollout(book.plan)
    planned = guests_of(book.plan, 2100)
    rows = []
    for year in sorted({g.year for g in planned}):
        new, all_ = [g for g in planned if g.year == year], [g for g in planned if g.year <= year]
        figures = (len(new), len(all_), sum(g.vcpu for g in all_), sum(g.memory_mb for g in all_) // 1024)
        state = t("dibuat", "made") if year <= until else t("direncanakan", "planned")
        rows.append((str(year), *(t.number(n) for n in (*figures, sum(g.disk_gb for g in all_))), state))
    head = (
        t("Tahun", "Year"),
        t("Baru", "New"),
        t("Jumlah", "Total"),
        "vCPU",
        t("Memori (GB)", "Memory (GB)"),
        "Disk (GB)",
        t("Keadaan", "State"),
    )
    said = t(
        f"vSphere membuat mesin virtual sampai tahun {until}; angka ukuran dijumlahkan dari semua lokasi.",
        f"vSphere makes virtual machines up to {until}; sizes are sums over all sites.",
    )
    return said, m.table(head, rows, right=(1, 2, 3, 4, 5))


def _group(book: Book, apps: AppsFile, sites: list[str], chosen: list[Application]) -> str:
    t, here = book.t, book.here(PATH)
    rows = []
    for app in chosen:
        size = app.size or apps.size
        cells = []
        for site in sites:
            name = f"{site}-app-{app.slug}"
            host = book.plan.hosts.get(name)
            cells.append(f"{here.host(name)}<br>{book.stacked(host.interfaces[0].addresses)}" if host else "")
        owner = here.site(app.owner) if app.owner else f"<em>{t.unrecorded}</em>"
        rows.append(
            (
                m.text(app.name),
                str(app.year),
                str(app.number),
                f"{size.vcpu}&nbsp;vCPU<br>{size.memory_gb}&nbsp;GB RAM<br>{size.disk_gb}&nbsp;GB disk",
                owner,
                *cells,
            )
        )
    head = (
        t("Aplikasi", "Application"),
        t("Tahun", "Year"),
        t("Nomor host", "Host number"),
        t("Ukuran", "Size"),
        t("Pemilik", "Owner"),
        *(m.text(s) for s in sites),
    )
    return m.table(head, rows, right=(1, 2)) if rows else t("Belum ada.", "None yet.")
