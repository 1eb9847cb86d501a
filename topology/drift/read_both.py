"""Readings that Debian and FreeBSD hosts have in common: their scripts print them in the same form."""

from __future__ import annotations

from topology.drift.observed import Things


def mount(source: str, kind: str, options: str) -> dict[str, object]:
    """Say how a file system is mounted, from where and of what kind; options are joined by commas."""
    return {"mode": "ro" if "ro" in options.split(",") else "rw", "source": source, "type": kind}


def ruleset(text: str) -> dict[str, Things]:
    """Return whether the kernel has the rendered rules: `same` or `differs`, then how; ValueError for anything else."""
    first, _, rest = text.partition("\n")
    if first not in ("same", "differs"):
        raise ValueError(first)
    shown = "as rendered" if first == "same" else " | ".join(" ".join(x.split()) for x in rest.splitlines()[:6])
    return {"ruleset": {"filter": {"loaded": shown}}}
