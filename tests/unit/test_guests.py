"""What vSphere is asked for follows from the plan."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from topology import guests
from topology.allocate import Plan, allocate
from topology.load import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def luwu() -> Plan:
    return allocate(load(ROOT / "inventories/luwu")[0])


def test_only_the_rollouts_years(luwu: Plan) -> None:
    apps = luwu.district.apps
    assert apps is not None and luwu.district.vsphere is not None
    rollout = apps.rollout
    assert len(guests.guests_of(luwu)) == len(apps.sites) * sum(a.year <= rollout for a in apps.applications)
    assert len(guests.guests_of(luwu, 2024)) == len(apps.sites) * len(apps.applications)
    assert guests.guests_of(luwu, 2019) == ()


def test_everything_is_derived(luwu: Plan) -> None:
    guest = next(g for g in guests.guests_of(luwu) if g.name == "dc-app-website-pemerintah")
    (nic,) = guest.nics
    assert nic.port_group == "application-110"
    assert [a.split("/")[0] for a in nic.addresses] == list(luwu.hosts[guest.name].interfaces[0].addresses)
    card = yaml.safe_load(guest.metadata)["network"]["ethernets"]["ens192"]
    assert card["addresses"] == list(nic.addresses)
    assert [r["via"] for r in card["routes"]] == ["10.129.160.1", "fd47:1f2a:47bc:81a0::1"]
    assert guest.userdata.startswith("#cloud-config\n")
    assert (guest.folder, guest.datastore) == ("luwu/dc/application", "dc-guests")


def test_members_of_a_service_are_kept_apart(tmp_path: Path) -> None:
    copy = tmp_path / "luwu"
    shutil.copytree(ROOT / "inventories/luwu", copy)
    with (copy / "vsphere.yml").open("a") as file:
        file.write("guests:\n  - {host: dc-dns0, year: 2020}\n  - {host: dc-dns1, year: 2020}\n")
        file.write("  - {host: dc-mail1, year: 2020}\n  - {host: drc1-dns1, year: 2020}\n")
    found = guests.separate(guests.guests_of(allocate(load(copy)[0])))
    assert {n: [g.name for g in members] for n, members in found.items()} == {"topology-dns-dc": ["dc-dns0", "dc-dns1"]}


def test_no_vsphere(tmp_path: Path) -> None:
    with pytest.raises(guests.NoVsphere):
        guests.guests_of(allocate(load(ROOT / "tests/rules/base")[0]))
