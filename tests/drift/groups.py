"""What must be so of several hosts together, as the twin reads it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.drift.box import Box, Unread
from tests.drift.readers import ONE
from tests.drift.readers_services import group
from topology.drift.finding import Finding
from topology.drift.judge import Observed
from topology.drift.together import judge_together
from topology.expect import Expected
from topology.expect.groups import Together


def look_together(wanted: list[Together], boxes: Mapping[str, Box], expected: Mapping[str, Expected]) -> list[Finding]:
    """Return what differs among hosts; groups of which a host is not given are left out."""
    whole = [one for one in wanted if all(name in boxes for name in one.hosts)]
    names = dict.fromkeys(name for one in whole for name in one.hosts)
    with ThreadPoolExecutor(4) as pool:
        seen = pool.map(lambda n: _seen(boxes[n], expected[n], whole), names)
        return judge_together(whole, expected, dict(zip(names, seen, strict=True)))


def _seen(box: Box, expected: Expected, wanted: list[Together]) -> Observed:
    """Read what groups want of a host, each kind by itself: one that cannot be read hides no other."""
    seen = Observed()
    try:
        box.greet()
        for one in wanted:
            if box.name in one.hosts and one.kind not in seen.unobserved:
                try:
                    _read(seen, box, expected, one)
                except (ValueError, KeyError, IndexError, TypeError) as error:
                    seen.unobserved[one.kind] = f"{type(error).__name__}: {error}"
    except Unread as unread:
        return Observed(failed=str(unread))
    return seen


def _read(seen: Observed, box: Box, expected: Expected, one: Together) -> None:
    if one.kind == "replication":
        if one.kind not in seen.kinds:
            seen.kinds[one.kind] = group(box, expected)
        return
    values = ONE[one.kind](box, expected, one.thing)
    seen.kinds.setdefault(one.kind, {}).update({} if values is None else {one.thing: values})
