"""What differs from the plan on the hosts, and since when: from the history that `topology drift` keeps."""

from __future__ import annotations

import datetime

from topology.document import markup as m
from topology.document.book import Book, Here, Page
from topology.document.language import Language
from topology.drift.history import Standing, Stood

PATH = "drift.md"


def page(book: Book, standing: Standing | None) -> Page | None:
    """Return the page; nothing when nobody has swept yet."""
    if standing is None:
        return None
    t, here = book.t, book.here(PATH)
    when = _when(t, standing.at)
    blocks = [
        t(
            f"Sapuan terakhir: {when}, {t.number(standing.hosts)} host. Yang tidak dapat dibaca tidak pernah "
            "dianggap sesuai rencana.",
            f"Last sweep: {when}, {t.number(standing.hosts)} hosts. What could not be read is never taken for "
            "as planned.",
        ),
        "## " + t("Yang berbeda sekarang", "What differs now"),
    ]
    if standing.open:
        head = (
            t("Sejak", "Since"),
            t("Perangkat", "Device"),
            t("Temuan", "Finding"),
            t("Terakhir dilihat", "Last seen"),
        )
        blocks.append(m.filterable(m.table(head, (_row(t, here, book, f, f.seen) for f in standing.open))))
    else:
        blocks.append(t("Semuanya sesuai rencana.", "Everything is as planned."))
    if standing.gone:
        head = (t("Sejak", "Since"), t("Perangkat", "Device"), t("Temuan", "Finding"), t("Selesai", "Gone"))
        blocks += [
            "## " + t("Yang terakhir selesai", "What was mended last"),
            m.table(head, (_row(t, here, book, f, f.gone or "") for f in standing.gone)),
        ]
    return Page(PATH, t("Penyimpangan", "Drift"), (), m.join(*blocks), searched=False)


def _row(t: Language, here: Here, book: Book, found: Stood, end: str) -> tuple[str, str, str, str]:
    host = here.host(found.host) if found.host in book.plan.hosts else m.code(found.host)
    return _when(t, found.since), host, m.text(found.text.removeprefix(f"{found.host}: ")), _when(t, end)


def _when(t: Language, at: str) -> str:
    """Return a time (ISO 8601, UTC) in words."""
    try:
        value = datetime.datetime.fromisoformat(at).astimezone(datetime.UTC)
    except ValueError:
        return m.text(at)
    return f"{t.date(value.date())} {value:%H:%M} UTC"
