"""The commands by which `place` learns that what is in the files is not in force."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from topology.expect.units import variables

TRACKING = "C0A80101,198.18.0.1,3,1795670000.1,{offset},0.000001,0.00002,-1.5,0.0,0.02,0.001,0.002,64.2,{leap}"
"""What `chronyc -c tracking` prints: the fifth field is the seconds by which the clock is off."""
CHRONYC = """#!/bin/sh
case "$*" in
  *tracking) if test -e waited || test -n '{normal}'; then echo '{after}'; else echo '{before}'; fi ;;
  *sources) echo '^,?,198.18.0.1,3,4,{reach},12,0.0,0.0,0.0' ;;
  waitsync*) touch waited ;;
esac
"""
"""Answers like chronyc: of a daemon that knows the time, or that learns it while it is waited for."""


def unit(platform: str, role: str, name: str) -> dict[str, str]:
    return next(u for u in variables(platform)[role][f"{role}_units"] if u["name"] == name)


@pytest.mark.parametrize("platform", ["debian", "freebsd"])
@pytest.mark.parametrize(
    ("offset", "fine"), [("0.000012", True), ("-0.4", True), ("0.0", True), ("3600.1", False), ("-86400.5", False)]
)
def test_a_clock_that_jumped_is_seen(platform: str, offset: str, fine: bool, tmp_path: Path) -> None:
    assert clock_is_fine(platform, tmp_path, offset=offset, normal=True) is fine
    assert not (tmp_path / "waited").exists()


@pytest.mark.parametrize("platform", ["debian", "freebsd"])
@pytest.mark.parametrize(
    ("offset", "reach", "waits", "fine"),
    [("3600.1", "377", True, False), ("0.0001", "1", True, True), ("3600.1", "0", False, True)],
    ids=["jumped a moment ago", "just started", "no server answers"],
)
def test_a_daemon_that_knows_no_time_yet_is_waited_for(
    platform: str, offset: str, reach: str, waits: bool, fine: bool, tmp_path: Path
) -> None:
    """For a minute after a jump chronyd says offset 0 and `Not synchronised`: that is not taken for a good clock."""
    assert clock_is_fine(platform, tmp_path, offset=offset, normal=False, reach=reach) is fine
    assert (tmp_path / "waited").exists() is waits


def clock_is_fine(platform: str, folder: Path, *, offset: str, normal: bool, reach: str = "377") -> bool:
    """Run the command of the unit `time` on a daemon that says this."""
    text = CHRONYC.format(
        normal="yes" if normal else "", after=TRACKING.format(offset=offset, leap="Normal"), reach=reach,
        before=TRACKING.format(offset="0.000000000", leap="Not synchronised"),
    )  # fmt: skip
    (folder / "chronyc").write_text(text)
    (folder / "chronyc").chmod(0o755)
    argv = shlex.split(unit(platform, "base", "time")["live"])
    done = subprocess.run(argv, cwd=folder, env={"PATH": f"{folder}:/usr/bin:/bin"}, check=False)
    return done.returncode == 0


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
