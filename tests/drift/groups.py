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
    try:
        box.greet()
        seen = Observed({"replication": group(box, expected)})
        for one in wanted:
            if one.kind == "replication" or box.name not in one.hosts:
                continue
            values = ONE[one.kind](box, expected, one.thing)
            seen.kinds.setdefault(one.kind, {}).update({} if values is None else {one.thing: values})
    except Unread as unread:
        return Observed(failed=str(unread))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return Observed(failed=f"{type(error).__name__}: {error}")
    return seen
