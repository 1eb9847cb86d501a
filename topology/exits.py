"""Exit codes of the command line, the same for every verb (DESIGN.md, section 3)."""

from typing import Final

FINE: Final = 0
ERRORS: Final = 1
USAGE: Final = 2
"""Bad usage, or input that cannot be read."""
DIFFERENT: Final = 3
"""`diff`, `drift` and `device check`: what is there differs from what should be."""
UNREACHED: Final = 4
"""`device`: a switch or radio could not be read."""
