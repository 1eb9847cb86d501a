"""The time service's configuration of every gateway and host, as chronyd itself reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import checkers
from topology.allocate import allocate
from topology.load import load
from topology.render import render

PLACES = ("etc/chrony/chrony.conf", "usr/local/etc/chrony.conf")


@pytest.mark.checkers
@pytest.mark.parametrize("inventory", ["luwu", "lab"])
def test_the_real_chronyd_takes_every_file(inventory: str, tmp_path: Path) -> None:
    checker = checkers.need("chronyd")
    texts = {
        files[p] for _, files in render(allocate(load(f"inventories/{inventory}")[0])) for p in PLACES if p in files
    }
    assert len(texts) > 5
    for number, text in enumerate(sorted(texts)):
        path = tmp_path / f"{number}.conf"
        path.write_text(text)
        done = checker.run("-p", "-f", str(path))
        assert done.returncode == 0, done.stdout


@pytest.mark.checkers
def test_the_check_itself_finds_a_wrong_line(tmp_path: Path) -> None:
    path = tmp_path / "chrony.conf"
    path.write_text("server 0.id.pool.ntp.org iburts\n")
    assert checkers.need("chronyd").run("-p", "-f", str(path)).returncode != 0
