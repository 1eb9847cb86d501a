"""Devices that do not do what they should, and what the plan does not say."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.devices.conftest import LUWU, NAMES, Run, provisioned, simulator
from tests.devices.simulators import Files, Fleet, Ios, RouterOS
from topology.allocate import Plan
from topology.cli import main
from topology.devices.model import Device

LIMIT = "6"


def _lines(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def _change(family: str, device: Any) -> list[str]:
    """Change a VLAN, a port, the firmware and something nobody asked for; return what a check must say of each."""
    if family == "routeros":
        device.execute("/interface bridge vlan set [ find vlan-ids=20 ] tagged=ether9")
        device.execute("/interface bridge vlan add bridge=bridge tagged=ether1 vlan-ids=999")
        device.execute("/interface ethernet set [ find default-name=ether9 ] disabled=yes")
        device.execute("/interface ethernet set [ find default-name=ether23 ] disabled=no")
        device.execute("/system ntp client servers add address=10.9.9.9")
        device.version = "7.15"
        device.down.add("ether1")
        return [
            "different vlan 20 tagged: expected ether1, found ether9",
            "unexpected vlan 999",
            "different port ether9 enabled: expected yes, found no",
            "different port ether23 enabled: expected no, found yes",
            "unexpected ntp 10.9.9.9",
            "different firmware running version: expected 7.16.2, found 7.15",
            "different link ether1 state: expected up, found down",
            "",  # an off port has no carrier either: not in what must be up
        ]
    if family == "ios":
        device.state["vlans"].pop("30")
        device.state["vlans"]["999"] = "VLAN0999"
        device.state["interfaces"]["GigabitEthernet1/0/13"].append("shutdown")
        device.state["interfaces"]["GigabitEthernet1/0/19"].remove("shutdown")
        rows = device.state["interfaces"]["GigabitEthernet1/0/14"]
        rows[:] = [r.replace("access vlan 30", "access vlan 10") for r in rows]
        device.state["globals"].append("logging host 10.9.9.9")
        device.version = "15.2(2)E"
        return [
            "missing vlan 30",
            "unexpected vlan 999",
            "different port GigabitEthernet1/0/13 enabled: expected yes, found no",
            "different port GigabitEthernet1/0/19 enabled: expected no, found yes",
            "different port GigabitEthernet1/0/14 untagged: expected 30, found 10",
            "unexpected syslog 10.9.9.9",
            "different firmware running version: expected 15.2(7)E10, found 15.2(2)E",
        ]
    if family == "airos":
        device.config |= {"wireless.1.ssid": "lain", "snmp.status": "enabled", "ntpclient.1.server": "10.9.9.9"}
        device.version, device.connections = "8.7.1", 0
        return [
            "different wireless link ssid: expected kantor-bupati--belopa, found lain",
            "different snmp v1 enabled: expected no, found yes",
            "unexpected ntp 10.9.9.9",
            "missing ntp",
            "different firmware running version: expected 8.7.11, found 8.7.1",
            "different link link state: expected up, found down",
        ]
    device.config |= {"wirelessInterfaceMode": "1", "systemConfigDeviceName": "lain"}
    device.version, device.linked = "4.6", "down"
    return [
        "different wireless link mode: expected station, found ap",
        "different identity name is: expected bua-radio-kantor-bupati, found lain",
        "different firmware running version: expected 4.6.2, found 4.6",
        "different link link state: expected up, found down",
    ]


def test_every_change_is_found_at_once_and_nothing_else(
    plan: Plan, devices: dict[str, Device], fleet: Fleet, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    expected: list[str] = []
    found: dict[str, Any] = {}
    for family, name in NAMES.items():
        found[family] = provisioned(plan, devices[name])
        fleet.add(name, found[family])
    assert run("check") == 0, _lines(capsys)
    assert "4 devices: 4 as planned, 0 differ, 0 unobserved" in _lines(capsys)
    for family, name in NAMES.items():
        expected += [f"{name}: {text}" for text in _change(family, found[family]) if text]
    assert run("check") == 3
    lines = [x for x in _lines(capsys).splitlines() if not x.endswith("unobserved")]
    for text in expected:
        assert any(x.startswith(text) for x in lines), (text, lines)
    assert len(lines) == len(expected), lines
    # what configuration can mend is mended, over the safe path; a firmware and a cable stay
    assert run("apply") == 1  # the radios' own link is their way home
    done = _lines(capsys)
    assert f"{NAMES['ios']}: 6 changed" in done and "refused" not in done
    assert f"{NAMES['airos']}: not changed: this would change its own management path (wireless link" in done
    assert run("apply", "--management") == 0, _lines(capsys)
    capsys.readouterr()
    assert run("check") == 3
    left = [x for x in _lines(capsys).splitlines() if not x.endswith("unobserved")]
    assert left and all(" firmware " in x or " link " in x for x in left), left


def test_nobody_stalls_the_others(
    plan: Plan, devices: dict[str, Device], fleet: Fleet, run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = [n for n, d in devices.items() if d.profile.family == "routeros" and d.host.kind == "switch"]
    good = names[:2]
    for name in good:
        fleet.add(name, provisioned(plan, devices[name]))
    moods = ("slow", "lying", "flood", "mute")
    bad = dict(zip(moods, names[2:6], strict=True))
    for mood, name in bad.items():
        fleet.add(name, simulator(devices[name], mood))
    fleet.silent(names[6])
    fleet.add(names[7], simulator(devices[names[7]]))
    fleet.stop(names[7])
    started = time.monotonic()
    assert run("check", "--limit", LIMIT) == 3
    seconds = time.monotonic() - started
    out = _lines(capsys)
    assert "8 devices: 2 as planned, 0 differ, 6 unobserved" in out
    for name in (*bad.values(), names[6], names[7]):
        assert f"{name}: unobserved host {name}:" in out, out
    assert "unreachable" in out
    # as long as the slowest is allowed to take, not the sum of all
    assert seconds < float(LIMIT) + 8, seconds
    repository = tmp_path / "backup"
    assert run("backup", "--repository", str(repository), "--limit", LIMIT) == 4
    said = capsys.readouterr()
    assert all(f"{n}: not read:" in said.err for n in (*bad.values(), names[6], names[7]))
    assert sorted(p.stem for p in repository.glob("*.rsc")) == sorted(good)
    body = subprocess.run(
        ["git", "-C", str(repository), "log", "--format=%B"], capture_output=True, text=True, check=True
    ).stdout
    assert "Not read: " in body and bad["slow"] in body


def test_a_wrong_password_and_none(
    devices: dict[str, Device], fleet: Fleet, run: Run, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    name = NAMES["ios"]
    device = simulator(devices[name])
    fleet.add(name, device)
    monkeypatch.setenv("TOPOLOGY_DEVICE_PASSWORD", "salah")
    assert run("check") == 3
    out = _lines(capsys)
    assert f"{name}: unobserved host {name}: it refuses the user or password" in out and "salah" not in out
    monkeypatch.delenv("TOPOLOGY_DEVICE_PASSWORD")
    assert run("check") == 4
    said = capsys.readouterr()
    assert said.err == (
        "1 switches and radios unobserved: TOPOLOGY_DEVICE_USER and TOPOLOGY_DEVICE_PASSWORD are not set\n"
    ) and not said.out  # fmt: skip


def test_a_changed_host_key_is_a_finding_and_no_password_goes_there(
    plan: Plan, devices: dict[str, Device], fleet: Fleet, run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for family in ("epmp", "ios"):
        name = NAMES[family]
        device = provisioned(plan, devices[name])
        fleet.add(name, device)
    assert run("check") == 0
    assert capsys.readouterr().err.count("new host key of") == 2
    assert len((tmp_path / "known_hosts").read_text().splitlines()) == 2
    assert run("check") == 0
    assert "new host key" not in capsys.readouterr().err
    name = NAMES["epmp"]
    fleet.new_key(name, device)
    assert run("check") == 3
    out = _lines(capsys)
    assert f"{name}: different key host: expected the key that was kept, found its host key changed: SHA256:" in out
    assert f"{name}: unobserved host {name}" in out
    assert run("apply") == 1 and "not changed: its host key changed" in _lines(capsys)


def test_what_cuts_a_device_off_comes_back(
    plan: Plan, devices: dict[str, Device], fleet: Fleet, run: Run, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """After the push no second login is possible: RouterOS drops what safe mode did, the other one reloads."""
    switches: list[tuple[str, RouterOS | Ios, Callable[[], object]]] = []
    for family in ("routeros", "ios"):
        device: Any = provisioned(plan, devices[NAMES[family]])
        fleet.add(NAMES[family], device)
        if family == "routeros":
            device.execute("/system ntp client servers add address=10.9.9.9")
            switches.append((family, device, lambda d=device: d.paths["/system ntp client servers"]))
        else:
            device.state["globals"].append("ntp server 10.9.9.9")
            device.saved["globals"].append("ntp server 10.9.9.9")
            switches.append((family, device, lambda d=device: d.state["globals"]))
    before = [str(look()) for _, _, look in switches]
    for _, device, _ in switches:
        device.logins_left = 1
    assert run("apply") == 1
    out = _lines(capsys)
    assert out.count("it goes back by itself") == 2, out
    ios = switches[1][1]
    assert isinstance(ios, Ios) and ios.reload_armed
    ios.restart()
    time.sleep(0.3)
    assert [str(look()) for _, _, look in switches] == before


def test_a_device_with_files_only(
    plan: Plan, fleet: Fleet, run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    inventory = tmp_path / "luwu"
    subprocess.run(["cp", "-r", str(LUWU), str(inventory)], check=True)
    facts = inventory / "devices.yml"
    facts.write_text(
        facts.read_text().replace(
            "  ptp:\n",
            "  box: {kind: switch, family: sftp, model: Any, files: [/conf/box.cfg]}\n  ptp:\n",
        ).replace("  desa: office-switch\n  dc: centre-switch\n", "  dc: box\n")
    )  # fmt: skip
    (tmp_path / "flash/conf").mkdir(parents=True)
    (tmp_path / "flash/conf/box.cfg").write_text("name=dc\nadmin.password=rahasia-sekali\n")
    fleet.add("dc-sw1", Files(tmp_path / "flash"))
    assert run("check", inventory=inventory) == 0, _lines(capsys)
    repository = tmp_path / "backup"
    assert run("backup", "--repository", str(repository), inventory=inventory) == 0
    assert (repository / "dc-sw1/conf/box.cfg").read_text() == "name=dc\nadmin.password=<redacted>\n"
    capsys.readouterr()
    (tmp_path / "flash/conf/box.cfg").write_text("name=lain\nadmin.password=rahasia-lain\n")
    assert run("backup", "--repository", str(repository), inventory=inventory) == 0
    out = _lines(capsys)
    assert "-name=dc\n+name=lain\n" in out and "rahasia" not in out
    (tmp_path / "flash/conf/box.cfg").unlink()
    assert run("check", inventory=inventory) == 3
    assert "dc-sw1: missing file /conf/box.cfg" in _lines(capsys)
    assert run("backup", "--repository", str(repository), inventory=inventory) == 4
    assert (repository / "dc-sw1/conf/box.cfg").exists()
    assert run("apply", inventory=inventory) == 1 and "set by hand" in _lines(capsys)


def test_drift_has_the_devices_in_its_report(
    plan: Plan, devices: dict[str, Device], fleet: Fleet, run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    name = NAMES["routeros"]
    device: Any = provisioned(plan, devices[name])
    device.execute("/interface bridge vlan remove [ find vlan-ids=20 ]")
    port = fleet.add(name, device)
    # `drift` has no --at: what it reads are the addresses of the plan
    monkeypatch.setattr("topology.devices.cli.target_of", lambda d, at: ("127.0.0.1", port))
    words = ["drift", str(LUWU), "--hosts", name, "--json", "-"]
    assert main(words) == 3
    found = json.loads(capsys.readouterr().out)
    assert [(f["host"], f["state"], f["kind"], f["thing"]) for f in found["findings"]] == [
        (name, "missing", "vlan", "20")
    ]
    assert found["hosts"] == {name: "bua"} and found["new"]
    device.execute("/interface bridge vlan add bridge=bridge comment=staff tagged=ether1 vlan-ids=20")
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["gone"]
    monkeypatch.delenv("TOPOLOGY_DEVICE_USER")
    assert main(words) == 3
    assert "1 switches and radios unobserved" in capsys.readouterr().err
