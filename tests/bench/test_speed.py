"""The speed bars of the design, measured in one run and printed with ratios. `make bench` runs it.

Not asserts on time: a slow machine fails nobody. What is asserted is that the work was done.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import generate

pytestmark = pytest.mark.bench
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PEER = Path(os.environ.get("TOPOLOGY_VENV", str(ROOT / ".venv")) + "-bench") / "bin" / "netlab"
RUNS = 3


def timed(
    *command: str | Path, cwd: Path | None = None, runs: int = RUNS
) -> tuple[float, subprocess.CompletedProcess[bytes]]:
    """Return the median wall time in seconds of `runs` runs, and the last run."""
    took = []
    for _ in range(runs):
        started = time.perf_counter()
        done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, check=False)
        took.append(time.perf_counter() - started)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
    return sorted(took)[len(took) // 2], done


def documents(sites: int) -> generate.Documents:
    """Return a district of `sites` sites with four hosts each; a ninth of them are offices, a twelfth kecamatan."""
    offices = min(generate.MOST_OFFICES, sites // 9)
    kecamatan = min(generate.MOST_KECAMATAN, sites // 12)
    villages = sites - offices - kecamatan - 1
    return generate.generate(offices=offices, kecamatan=kecamatan, villages=villages, centres=1, hosts=4 * sites)


@pytest.fixture(scope="module")
def districts(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Districts by number of sites."""
    found = {}
    for sites in (280, 1000, 1667):
        found[sites] = tmp_path_factory.mktemp(f"d{sites}")
        generate.write(documents(sites) | {"inventory.yml": {"plugin": "topology"}}, found[sites])
    return found


def netlab_topology(folder: Path, nodes: int) -> Path:
    lines = [
        "provider: clab", "defaults.device: frr", "defaults.const.MAX_NODE_ID: 20000", "addressing:",
        "  mgmt: {ipv4: 172.16.0.0/16}", "  loopback: {ipv4: 10.0.0.0/16}",
        "  p2p: {ipv4: 10.64.0.0/12, prefix: 30}", "  lan: {ipv4: 10.128.0.0/12}", "nodes:",
        *(f"  n{i}:" for i in range(nodes)), "links:", *(f"- n{i}-n{(i - 1) // 4}" for i in range(1, nodes)),
    ]  # fmt: skip
    path = folder / f"netlab-{nodes}.yml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("sites", [280, 1000])
def test_load_and_check_against_netlab(districts: dict[int, Path], tmp_path: Path, sites: int) -> None:
    ours, done = timed(BIN / "topology", "check", districts[sites])
    print(f"\nload + check, {sites} sites: {ours:.2f} s ({done.stdout.decode().strip()})")
    if not PEER.exists():
        pytest.fail(f"{PEER} is missing: make bench installs it")
    file = netlab_topology(tmp_path, sites)
    peer, _ = timed(PEER, "create", "-q", "-o", "yaml=out.yml", file, cwd=tmp_path, runs=1)
    print(f"netlab, load + transform, {sites} nodes: {peer:.2f} s; ratio {peer / ours:.0f}")


@pytest.mark.parametrize("sites", [280, 1000])
def test_everything_cold(districts: dict[int, Path], tmp_path: Path, sites: int) -> None:
    runs = iter(range(100))
    took = []
    for _ in range(RUNS):
        out = tmp_path / f"out-{next(runs)}"
        seconds, done = timed(BIN / "topology", "render", districts[sites], "--out", out, runs=1)
        took.append(seconds)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    written = done.stdout.decode().strip().rpartition(":")[2].strip()
    print(f"\ncheck + allocate + render cold, {sites} sites: {sorted(took)[1]:.2f} s")
    print(f"largest process so far {peak:.0f} MB; {written}")


def test_scaling(districts: dict[int, Path], tmp_path: Path) -> None:
    """280, 1,000 and 5,000 sites; one plan holds 2,079, so 5,000 are three districts of 1,667."""
    figures = {}
    for total, parts in ((280, [280]), (1000, [1000]), (5000, [1667] * 3)):
        started = time.perf_counter()
        for index, sites in enumerate(parts):
            timed(BIN / "topology", "render", districts[sites], "--out", tmp_path / f"s{total}-{index}", runs=1)
        figures[total] = time.perf_counter() - started
    print()
    for total, seconds in figures.items():
        print(f"scaling: {total} sites {seconds:.2f} s, {1000 * seconds / total:.2f} ms a site")
    print(f"scaling: {1000 * (figures[1000] - figures[280]) / 720:.2f} ms per further site from 280 to 1,000")


@pytest.mark.parametrize("sites", [280])
def test_ansible_inventory(districts: dict[int, Path], sites: int) -> None:
    env = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))
    started = time.perf_counter()
    done = subprocess.run(
        [str(BIN / "ansible-inventory"), "-i", str(districts[sites]), "--list"],
        cwd=ROOT, env=env, capture_output=True, check=True,
    )  # fmt: skip
    took = time.perf_counter() - started
    hosts = len(json.loads(done.stdout)["_meta"]["hostvars"])
    print(f"\nansible-inventory --list, {sites} sites, {hosts} hosts: {took:.2f} s, {len(done.stdout) / 1e6:.2f} MB")
    assert hosts > 1000
