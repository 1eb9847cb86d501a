"""The commands by which `place` learns that what is in the files is not in force."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from topology.expect.units import variables

TRACKING = "C0A80101,198.18.0.1,3,1795670000.1,{offset},0.000001,0.00002,-1.5,0.0,0.02,0.001,0.002,64.2,Normal"
"""What `chronyc -c tracking` prints: the fifth field is the seconds by which the clock is off."""


def unit(platform: str, role: str, name: str) -> dict[str, str]:
    return next(u for u in variables(platform)[role][f"{role}_units"] if u["name"] == name)


@pytest.mark.parametrize("platform", ["debian", "freebsd"])
@pytest.mark.parametrize(
    ("offset", "fine"), [("0.000012", True), ("-0.4", True), ("0.0", True), ("3600.1", False), ("-86400.5", False)]
)
def test_a_clock_that_jumped_is_seen(platform: str, offset: str, fine: bool, tmp_path: Path) -> None:
    (tmp_path / "chronyc").write_text(f"#!/bin/sh\necho '{TRACKING.format(offset=offset)}'\n")
    (tmp_path / "chronyc").chmod(0o755)
    argv = shlex.split(unit(platform, "base", "time")["live"])
    done = subprocess.run(argv, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False)
    assert (done.returncode == 0) is fine


@pytest.mark.parametrize(
    ("interface", "box", "fine"), [("KEY1", "KEY1", True), ("KEY1", "KEY2", False), ("", "KEY1", False)]
)
def test_a_tunnel_that_is_gone_or_has_another_key_is_seen(interface: str, box: str, fine: bool, tmp_path: Path) -> None:
    show = f"echo {interface}" if interface else "echo 'no such device' >&2; exit 1"
    (tmp_path / "wg").write_text(f'#!/bin/sh\nif [ "$1" = show ]; then {show}; else echo {box}; fi\n')
    (tmp_path / "wg").chmod(0o755)
    key = tmp_path / "private.key"
    key.touch()
    live = unit("debian", "gateway", "wireguard")["live"].replace("{{ gateway_private_key }}", str(key))
    argv = shlex.split(live.replace("{stem}", "wg1"))
    done = subprocess.run(argv, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, stderr=subprocess.DEVNULL, check=False)
    assert (done.returncode == 0) is fine
