"""What a host must look like, from the plan and its rendered files.

An expectation is a kind, a thing of that kind and what must be so of it. The sweep (`topology.drift`) and
the testinfra suite (tests/drift) read the same ones: neither knows a fact of its own.
"""

from __future__ import annotations

from topology.expect.compile import expect, together
from topology.expect.model import AtMost, Between, Expectation, Expected, Near, OneOf, Whole

__all__ = ["AtMost", "Between", "Expectation", "Expected", "Near", "OneOf", "Whole", "expect", "together"]
