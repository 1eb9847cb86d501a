"""A finding: host, thing, expected and found."""

from __future__ import annotations

from dataclasses import asdict, dataclass

MISSING, UNEXPECTED, DIFFERENT, UNOBSERVED = "missing", "unexpected", "different", "unobserved"
STATES = (UNOBSERVED, MISSING, UNEXPECTED, DIFFERENT)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One difference between the plan and a host."""

    site: str
    host: str
    state: str
    """missing, unexpected, different, or unobserved: could not be read, so it is not clean."""
    kind: str
    thing: str
    field: str = ""
    expected: str = ""
    found: str = ""

    @property
    def key(self) -> str:
        """Return what makes it the same finding as in an earlier sweep."""
        return "\t".join((self.host, self.state, self.kind, self.thing, self.field))

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return asdict(self)

    def __str__(self) -> str:
        text = f"{self.host}: {self.state} {self.kind} {self.thing}"
        if self.field:
            text += f" {self.field}"
        if self.state == DIFFERENT:
            return f"{text}: expected {self.expected}, found {self.found}"
        return text + (f": {self.found}" if self.found else "")
