"""Services: where they run, the ports they listen on, the name that never moves."""

from __future__ import annotations

from topology.document import markup as m
from topology.document.book import Book, Page

PATH = "services.md"


def page(book: Book) -> Page | None:
    """Return the page of services; None for a district without any."""
    t, here, district = book.t, book.here(PATH), book.plan.district
    if not district.services:
        return None
    overview = []
    blocks = []
    for name in sorted(district.services):
        service = district.services[name]
        stable = m.code(f"{service.name}.{district.facts.domain}") if service.name else ""
        ports = ", ".join(f"{p.port}/{p.protocol}" for p in service.ports)
        overview.append((f"[{m.text(name)}](#{name})", m.text(service.description), stable, ports))
        rows = []
        for host_name in service.hosts:
            host = book.plan.hosts.get(host_name)
            if host is None:
                continue
            interface = next((i for i in host.interfaces if i.addresses), None)
            addresses = interface.addresses if interface else ()
            rows.append((here.host(host_name), here.site(host.site), *book.cells(addresses)))
        blocks += [
            f"## {m.text(name)} {{ #{name} }}",
            m.text(service.description)
            + "."
            + (f" {t('Nama tetap', 'Stable name')}: {stable}." if stable else "")
            + (f" Port: {ports}." if ports else ""),
            m.table((t("Host", "Host"), t("Lokasi", "Site"), *book.families), rows),
            m.bullets(map(m.text, service.notes)),
        ]
    head = (t("Layanan", "Service"), t("Untuk", "For"), t("Nama tetap", "Stable name"), "Port")
    body = m.join(
        t(
            "Klien memakai nama tetap; host di baliknya boleh berganti.",
            "Clients use the stable name; the hosts behind it may change.",
        ),
        m.table(head, overview),
        *blocks,
    )
    return Page(PATH, t("Layanan", "Services"), ("services/",), body)
