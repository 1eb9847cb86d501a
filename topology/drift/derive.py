"""Things that no single section of a reading shows, but two of them together. Pure."""

from __future__ import annotations

from topology.drift.observed import Observed, Things
from topology.expect.daemons import CURRENT
from topology.expect.model import Expected


def derive(expected: Expected, observed: Observed) -> Observed:
    """Return what was read, with the kinds that follow from others."""
    wanted = expected.of_kind("daemon")
    if not wanted or observed.failed or "daemon" in observed.kinds:
        return observed
    kinds, unobserved = dict(observed.kinds), dict(observed.unobserved)
    silent = [k for k in ("service", "file") if k not in kinds or k in unobserved]
    if silent:
        unobserved["daemon"] = f"{' and '.join(silent)} could not be read"
        return Observed(kinds, unobserved)
    kinds["daemon"] = found = Things()
    for one in wanted:
        service = kinds["service"].get(one.thing)
        if service is None or service.get("active") != "active":
            # that it does not run is said of the service
            found[one.thing] = {"configuration": CURRENT}
            continue
        started = service.get("started")
        if not isinstance(started, int):
            unobserved["daemon"] = f"when {one.thing} was started was not read"
            continue
        written = {p: kinds["file"][p].get("changed") for p in one.of if p in kinds["file"]}
        late = sorted(p for p, at in written.items() if not isinstance(at, int) or at > started)
        found[one.thing] = {"configuration": f"older than {', '.join(late)}" if late else CURRENT}
    return Observed(kinds, unobserved)
