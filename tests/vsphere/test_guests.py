"""The role guest against govmomi's vSphere simulator: `make vsphere` builds it and runs these."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SIMULATOR = ROOT / "build/vsphere/simulator"
USER, PASSWORD = "tester", "not-a-secret"
SURAT, KAS = "dc-app-surat", "dc-app-kas"

pytestmark = [pytest.mark.vsphere, pytest.mark.timeout(900)]

_spec = importlib.util.spec_from_file_location("vsphere_look", ROOT / "topology/ansible/modules/vsphere_look.py")
assert _spec and _spec.loader
vsphere_look = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(vsphere_look)

VSPHERE = {
    "folder": "district",
    "templates": {"debian": {"vm": "debian-cloud", "folder": "templates"}},
    "sites": {
        "dc": {
            "vcenter": "vcenter.contoh.example", "datacenter": "dc", "cluster": "main", "datastore": "guests",
            "template": "debian", "host_vcpu": 16, "host_memory_gb": 64, "datastore_gb": 1000,
        }
    },
}  # fmt: skip
WORLD = {
    "datacenter": "dc",
    "cluster": "main",
    "datastores": ["guests"],
    "port_groups": [{"name": "application-110", "ports": 64}, {"name": "server-30", "ports": 64}],
    "templates": [{"folder": "templates", "name": "debian-cloud", "disk_gb": 3}],
}


class VCenter:
    """A running simulator with a district whose guests it gets."""

    def __init__(self, folder: Path, world: dict[str, Any]) -> None:
        self.district = folder / "district"
        shutil.copytree(ROOT / "tests/rules/base", self.district)
        self.vsphere: dict[str, Any] = json.loads(json.dumps(VSPHERE))
        self.apps: dict[str, Any] = {
            "rollout": 2026,
            "sites": ["dc"],
            "size": {"vcpu": 2, "memory_gb": 4, "disk_gb": 20},
            "groups": [{"name": "Umum", "per_year": {"2026": 1, "2027": 1}}],
            "applications": [
                {"slug": "surat", "name": "Surat", "group": "Umum", "year": 2026, "number": 10},
                {"slug": "kas", "name": "Kas", "group": "Umum", "year": 2027, "number": 11},
            ],
        }
        service = {"description": "Surat dan kas", "hosts": [SURAT, KAS]}
        (self.district / "services/surat.yml").write_text(yaml.safe_dump(service))
        (folder / "world.json").write_text(json.dumps(world))
        (folder / "files").mkdir()
        self.process = subprocess.Popen(
            [SIMULATOR, "-world", folder / "world.json", "-folder", folder / "files"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def close(self) -> None:
        self.process.communicate(timeout=20)

    def run(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Write the district and run the playbook."""
        for name, data in (("vsphere.yml", self.vsphere), ("apps.yml", self.apps)):
            (self.district / name).write_text(yaml.safe_dump(data))
        variables = {
            "guest_vcenter": "127.0.0.1", "guest_port": self.port, "guest_username": USER, "guest_password": PASSWORD,
            "guest_validate_certs": False, **extra,
        }  # fmt: skip
        return subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self.district),
             str(ROOT / "playbooks/guests.yml"), "-e", json.dumps(variables), *arguments],
            cwd=ROOT, capture_output=True, text=True, check=False,
            env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip

    def world(self) -> dict[str, Any]:
        """Return what the simulator has now, read by the module's own eyes."""
        with self.session() as content:
            return dict(vsphere_look.look(content, "dc"))

    def session(self) -> Any:
        from contextlib import contextmanager

        from pyVim.connect import Disconnect, SmartConnect

        @contextmanager
        def opened() -> Iterator[Any]:
            instance = SmartConnect(
                host="127.0.0.1", port=self.port, user=USER, pwd=PASSWORD, disableSslCertValidation=True
            )
            try:
                yield instance.content
            finally:
                Disconnect(instance)

        return opened()

    def guests(self) -> dict[str, dict[str, Any]]:
        return {g["name"]: g for g in self.world()["guests"]}


def changed(done: subprocess.CompletedProcess[str]) -> int:
    """Return the number of changed tasks of a run that worked."""
    assert done.returncode == 0, done.stdout + done.stderr
    return int(re.search(r"changed=(\d+)", done.stdout)[1])  # type: ignore[index]


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a run that failed said, on one line."""
    assert done.returncode != 0, done.stdout
    return " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    running: list[VCenter] = []

    def begin(**differs: Any) -> VCenter:
        running.append(VCenter(tmp_path, WORLD | differs))
        return running[-1]

    yield begin
    for vcenter in running:
        vcenter.close()


def test_a_guests_life(start: Any) -> None:
    """Check mode says what comes; create; nothing on a second run; grow; the next year; remove."""
    vcenter = start()
    assert changed(vcenter.run("--check")) == 1
    assert vcenter.guests() == {}

    assert changed(vcenter.run()) > 0
    made = vcenter.guests()
    assert set(made) == {SURAT}, "a guest of a later year was made"
    guest = made[SURAT]
    assert (guest["vcpu"], guest["memory_mb"], guest["disk_gb"]) == (2, 4096, 20)
    assert (guest["folder"], guest["cards"], guest["on"]) == ("district/dc/application", ["application-110"], True)
    metadata = yaml.safe_load(base64.b64decode(guest["settings"]["guestinfo.metadata"]))
    assert metadata["network"]["ethernets"]["ens192"]["addresses"][0] == "10.129.160.10/24"
    assert guest["settings"]["topology.guest"] == "made"

    assert changed(vcenter.run()) == 0

    vcenter.apps["size"] = {"vcpu": 4, "memory_gb": 8, "disk_gb": 30}
    assert changed(vcenter.run("--check")) == 1
    assert vcenter.guests() == made, "check mode changed something"
    assert changed(vcenter.run()) == 1
    grown = vcenter.guests()[SURAT]
    assert (grown["vcpu"], grown["memory_mb"], grown["disk_gb"]) == (4, 8192, 30)
    assert (grown["moid"], grown["cards"]) == (guest["moid"], guest["cards"])

    vcenter.apps["size"]["disk_gb"] = 10
    assert "a disk is never made smaller" in refused(vcenter.run())
    assert vcenter.guests()[SURAT] == grown

    vcenter.apps["size"]["disk_gb"] = 30
    vcenter.apps["rollout"] = 2027
    assert changed(vcenter.run()) > 0
    assert set(vcenter.guests()) == {SURAT, KAS}
    assert vcenter.guests()[SURAT] == grown
    with vcenter.session() as content:
        (rule,) = content.rootFolder.childEntity[0].hostFolder.childEntity[0].configurationEx.rule
        assert (rule.name, rule.enabled) == ("topology-surat-main", True)
        assert {vm.name for vm in rule.vm} == {SURAT, KAS}
        assert type(rule).__name__.endswith("AntiAffinityRuleSpec")
    assert changed(vcenter.run()) == 0

    assert "would be removed with its disk" in refused(vcenter.run(guest_remove=KAS, guest_confirm=SURAT))
    assert "guest_confirm" in refused(vcenter.run(guest_remove=KAS))
    assert set(vcenter.guests()) == {SURAT, KAS}
    assert changed(vcenter.run("--check", guest_remove=KAS, guest_confirm=KAS)) == 1
    assert set(vcenter.guests()) == {SURAT, KAS}
    assert changed(vcenter.run(guest_remove=KAS, guest_confirm=KAS)) == 1
    assert set(vcenter.guests()) == {SURAT}
    assert changed(vcenter.run(guest_remove=KAS, guest_confirm=KAS)) == 0


def test_what_stands_against_it_is_said_before_anything_is_made(start: Any) -> None:
    """Everything wrong at once: the datastore, the port group, the template; then bad variables; nothing is made."""
    vcenter = start(port_groups=[{"name": "server-30", "ports": 64}])
    vcenter.vsphere["sites"]["dc"]["datastore"] = "gudang"
    vcenter.vsphere["templates"]["debian"]["vm"] = "debian-lama"
    said = refused(vcenter.run())
    assert "datastore `gudang` is not there; there are: LocalDS_0, guests" in said
    assert "port group `application-110` is not there" in said
    assert "template `templates/debian-lama` is not there" in said
    assert "refuses user `nobody`" in refused(vcenter.run(guest_username="nobody"))
    assert "guest_port" in refused(vcenter.run(guest_port="seven"))
    assert vcenter.guests() == {}


def test_a_full_network_and_a_half_made_guest(start: Any) -> None:
    """No port is left for the second guest: nothing is made. A run that died is finished by the next."""
    vcenter = start(port_groups=[{"name": "application-110", "ports": 1}, {"name": "server-30", "ports": 8}])
    vcenter.apps["rollout"] = 2027
    assert "port group `application-110` has 1 free ports, the guests want 2" in refused(vcenter.run())
    assert vcenter.guests() == {}

    vcenter.apps["rollout"] = 2026
    half_made(vcenter)
    assert not vcenter.guests()[SURAT]["cards"]
    assert changed(vcenter.run()) > 0
    finished = vcenter.guests()[SURAT]
    assert (finished["on"], finished["cards"], finished["disk_gb"]) == (True, ["application-110"], 20)
    assert finished["settings"]["topology.guest"] == "made"
    assert changed(vcenter.run()) == 0
    # there is one port, and it has it
    vcenter.apps["rollout"] = 2027
    assert "has 0 free ports, the guests want 1" in refused(vcenter.run())
    assert set(vcenter.guests()) == {SURAT}


def test_a_failure_in_mid_way_leaves_nothing_and_others_are_left_alone(start: Any) -> None:
    """A guest that cannot be plugged in is removed again by the run that began it; what is not ours stays."""
    vcenter = start()
    (vcenter.district.parent / "files/refuse").touch()
    said = refused(vcenter.run())
    assert "what was begun is removed again" in said
    assert vcenter.guests() == {}
    (vcenter.district.parent / "files/refuse").unlink()

    half_made(vcenter, powered=True)
    assert "nothing of ours made it" in refused(vcenter.run())
    assert "does not carry our mark" in refused(vcenter.run(guest_remove=SURAT, guest_confirm=SURAT))
    assert set(vcenter.guests()) == {SURAT}


def half_made(vcenter: VCenter, powered: bool = False) -> None:
    """Leave what a run leaves that is killed right after the clone."""
    from pyVim.task import WaitForTask
    from pyVmomi import vim

    with vcenter.session() as content:
        center = content.rootFolder.childEntity[0]
        folder = center.vmFolder
        for name in ("district", "dc", "application"):
            known = {f.name: f for f in folder.childEntity}
            folder = known.get(name) or folder.CreateFolder(name)
        template = next(vm for vm in vsphere_look._all(content, vim.VirtualMachine) if vm.config.template)
        pool = center.hostFolder.childEntity[0].resourcePool
        spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(pool=pool), powerOn=False, template=False)
        WaitForTask(template.CloneVM_Task(folder=folder, name=SURAT, spec=spec))
        if powered:
            vm = next(vm for vm in vsphere_look._all(content, vim.VirtualMachine) if vm.name == SURAT)
            WaitForTask(vm.PowerOnVM_Task())
