"""Print coverage's JSON report as a table by package: files, statements, lines and branches that tests ran.

usage: coverage_table.py COVERAGE.JSON
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path, PurePosixPath

COUNTS = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def main(report: str) -> None:
    """Print the table; the last line is the whole."""
    files = json.loads(Path(report).read_text(encoding="utf-8"))["files"]
    packages: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for name, entry in files.items():
        for package in (str(PurePosixPath(name).parent), "all"):
            packages[package][0] += 1
            for index, key in enumerate(COUNTS, 1):
                packages[package][index] += entry["summary"][key]
    print("| package | files | statements | lines run | branches | branches taken |")
    print("|---|---|---|---|---|---|")
    for package in [*sorted(set(packages) - {"all"}), "all"]:
        count, statements, lines, branches, taken = packages[package]
        cells = (package, count, statements, share(lines, statements), branches, share(taken, branches))
        print(f"| {' | '.join(map(str, cells))} |")


def share(part: int, whole: int) -> str:
    """Return a percentage, rounded down so that 100 % means all."""
    return f"{1000 * part // whole / 10:.1f} %" if whole else "-"


if __name__ == "__main__":
    main(sys.argv[1])
