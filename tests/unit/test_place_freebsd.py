"""The module `place` on a host without systemd: how FreeBSD's services are begun and ended."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from topology.ansible.modules import place


class Machine:
    """Stands for the host: answers as rc(8) does, and keeps what was run."""

    check_mode = False

    def __init__(self, state: Path, enabled: set[str]) -> None:
        self.params = {"state": str(state)}
        self.enabled = enabled
        self.ran: list[str] = []

    def run_command(self, command: list[str]) -> tuple[int, str, str]:
        _, service, verb = command
        if verb == "enabled":
            return int(service not in self.enabled), "", ""
        self.ran.append(f"{service} {verb}")
        return 0, "", ""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module's view of a FreeBSD host whose rc.conf has frr_enable="YES"."""
    monkeypatch.setattr(place, "SYSTEMD", str(tmp_path / "no-systemd"))
    return place.Host(Machine(tmp_path, {"frr"}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "files", "ran"),
    [
        # rc.d/frr prepares its folders and loads its configuration for `start` only, not for `onestart`
        ("frr", {"usr/local/etc/frr/frr.conf": ""}, "frr start"),
        ("kea", {"usr/local/etc/kea/kea-dhcp4.conf": ""}, "kea onestart"),
        ("frr", {}, "frr onestop"),
    ],
)
def test_a_service_is_begun_as_rc_conf_has_it(host: Any, service: str, files: dict[str, str], ran: str) -> None:
    assert host.bring(SimpleNamespace(service=service, files=files)) == ""
    assert host.module.ran == [ran]
