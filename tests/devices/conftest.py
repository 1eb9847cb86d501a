"""A district's devices as simulators, and `topology device` run against them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.devices import simulators as sim
from topology.allocate import Plan, allocate
from topology.cli import main
from topology.devices.model import Device, devices_of
from topology.devices.text import provisioning
from topology.devices.wanted import wanted
from topology.load import load
from topology.render.common import context_of

LUWU = Path(__file__).parents[2] / "inventories" / "luwu"
NAMES = {
    "routeros": "bua-sw1",
    "ios": "drc1-sw1",
    "airos": "belopa-radio-kantor-bupati",
    "epmp": "bua-radio-kantor-bupati",
}
"""A device of each family with a command line."""


@pytest.fixture(scope="session")
def plan() -> Plan:
    return allocate(load(LUWU)[0])


@pytest.fixture(scope="session")
def devices(plan: Plan) -> dict[str, Device]:
    return {d.name: d for d in devices_of(plan)}


@pytest.fixture
def fleet() -> Iterator[sim.Fleet]:
    fleet = sim.Fleet()
    yield fleet
    fleet.close()


@pytest.fixture(autouse=True)
def _login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (
        ("USER", sim.USER), ("PASSWORD", sim.PASSWORD),
        ("SNMP_AUTH", "sandi-snmp-auth"), ("SNMP_PRIV", "sandi-snmp-priv"),
    ):  # fmt: skip
        monkeypatch.setenv(f"TOPOLOGY_DEVICE_{name}", value)
    monkeypatch.chdir(tmp_path)


def simulator(device: Device, mood: str = "fine") -> sim.Simulator:
    """Return a new device as it comes from the box."""
    firmware = device.profile.firmware or "1"
    ports = [p.name for p in device.ports]
    match device.profile.family:
        case "routeros":
            return sim.RouterOS(ports, firmware, device.address, mood)
        case "ios":
            return sim.Ios(ports, firmware, device.address, mood)
        case "airos":
            return sim.AirOS(firmware, mood)
        case _:
            return sim.EPMP(firmware, mood)


def provisioned(plan: Plan, device: Device) -> sim.Simulator:
    """Return a device that is as the plan says, without a session: the provisioning text is put into it."""
    made, context = simulator(device), context_of(plan)
    (text,) = provisioning(context, device, wanted(context, device)).values()
    session: dict[str, Any] = {"mode": "config"}
    for line in text.splitlines():
        line = line.strip().replace("<TOPOLOGY_DEVICE_SNMP_AUTH>", "sandi-snmp-auth")
        line = line.replace("<TOPOLOGY_DEVICE_SNMP_PRIV>", "sandi-snmp-priv")
        if line.startswith(("#", "!")) or line == "end":
            continue
        match made:
            case sim.RouterOS():
                assert not made.execute(line), line
            case sim.Ios():
                assert not made.answer(line, session), line
            case sim.AirOS():
                made.config |= [line.split("=", 1)]
            case sim.EPMP():
                made.config |= [line.split(" ", 1)]
    if isinstance(made, sim.RouterOS | sim.Ios):
        made.changes = 0
    if not isinstance(made, sim.RouterOS):
        if isinstance(made, sim.Ios):
            made.saved = copy.deepcopy(made.state)
        elif isinstance(made, sim.AirOS | sim.EPMP):
            made.saved = dict(made.config)
    return made


Run = Callable[..., int]


@pytest.fixture
def run(fleet: sim.Fleet, tmp_path: Path) -> Run:
    """Return a function that runs `topology device VERB` against the fleet and returns the exit code."""

    def run(verb: str, *more: str, inventory: Path = LUWU) -> int:
        words = ["device", verb, str(inventory), "--known-hosts", str(tmp_path / "known_hosts"), *more]
        for name, port in fleet.ports.items():
            words += ["--hosts", name, "--at", f"{name}=127.0.0.1:{port}"]
        return main(words)

    return run
