"""A simulator that others wrote: fakenos prints for a Cisco-like switch what ntc-templates recorded on real ones.

It keeps no state, so nothing can be applied to it; it shows that the readers take what devices said to others.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from fakenos import FakeNOS

from tests.devices.conftest import LUWU, NAMES
from tests.devices.simulators import PASSWORD, USER
from topology.cli import main


def test_recorded_answers_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = NAMES["ios"]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    host = {"username": USER, "password": PASSWORD, "port": port, "platform": "cisco_ios"}
    network = FakeNOS({"hosts": {name: host}})
    network.start()
    try:
        words = ["--hosts", name, "--at", f"{name}=127.0.0.1:{port}", "--known-hosts", str(tmp_path / "known_hosts")]
        code = main(["device", "check", str(LUWU), *words])
        said = capsys.readouterr().out
        kept = main(["device", "backup", str(LUWU), *words, "--repository", str(tmp_path / "backup")])
    finally:
        network.stop()
    assert code == 3
    # it comes up in the unprivileged mode, so this also shows the way out of it
    for text in (
        "different firmware running version: expected 15.2(7)E10, found 17.03.01a", "missing port GigabitEthernet1/0/1",
        "unexpected ntp 8.8.8.8", "unexpected syslog 1.1.1.1: port 514", "unexpected snmp test-user: security private",
        "unexpected address 10.1.102.10/24: interface Ethernet0/0.102",
        "unobserved vlan all: the answer to `show vlan brief` makes no sense",  # it knows no such command
    ):  # fmt: skip
        assert f"{name}: {text}" in said, said
    assert "1 devices: 0 as planned, 0 differ, 1 unobserved" in said
    assert kept == 0
    assert f"hostname {name}" in (tmp_path / "backup" / f"{name}.cfg").read_text()
