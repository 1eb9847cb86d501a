#!/usr/bin/python
"""Ansible module: look at a vCenter once, and say what the planned guests need there. Changes nothing."""

from __future__ import annotations

DOCUMENTATION = """
module: vsphere_look
short_description: What the planned guests need in a vCenter, and what stands against them
description:
  - Reads datastores, port groups, templates and guests of one datacenter, and compares them with what
    C(topology guests --json) asks for. All that is wrong is said at once, before anything is made.
  - Changes nothing, in check mode or not.
options:
  hostname: {description: vCenter., type: str, required: true}
  port: {description: Its port., type: int, default: 443}
  username: {description: Who asks., type: str, required: true}
  password: {description: Their password., type: str, required: true}
  validate_certs: {description: Whether its certificate is checked., type: bool, default: true}
  datacenter: {description: The datacenter., type: str, required: true}
  guests: {description: Guests as C(topology guests --json) prints them., type: list, elements: dict, default: []}
  find: {description: Also say where the guest of this name is., type: str}
author: [the maintainers of this repository]
"""
EXAMPLES = """
- name: Look
  vsphere_look: {hostname: vcenter.example, username: u, password: p, datacenter: dc, guests: "{{ guests }}"}
"""
RETURN = """
problems: {description: What stands against the guests., type: list, returned: always}
needs: {description: "What each guest needs: create, settings, resize, cards, start.", type: list, returned: always}
rules: {description: Anti-affinity rules of the clusters., type: list, returned: always}
found: {description: The guest that O(find) names., type: dict, returned: when it is there}
"""

import base64
import traceback
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from pyVim.connect import Disconnect, SmartConnect
    from pyVmomi import vim, vmodl

    IMPORT_ERROR = None
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

MARK = "topology.guest"
"""Advanced setting of the guests we made: `making` until they ran once, then `made`."""
GB = 1024**3


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def settings_of(guest: dict[str, Any]) -> dict[str, str]:
    """Return the advanced settings a guest carries: cloud-init's data, and whose it is."""
    return {
        "guestinfo.metadata": _encode(guest["metadata"]),
        "guestinfo.metadata.encoding": "base64",
        "guestinfo.userdata": _encode(guest["userdata"]),
        "guestinfo.userdata.encoding": "base64",
        "topology.tags": ",".join(guest["tags"]),
    }


def judge(world: dict[str, Any], guests: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return what is wrong and what each guest needs, of a world as `look` returns it."""
    problems: list[str] = []
    needs: list[dict[str, Any]] = []
    space: dict[str, int] = {}
    cards_wanted: dict[str, int] = {}
    if world["datacenter"] is None:
        return [f"there is no such datacenter; there are: {', '.join(world['datacenters']) or 'none'}"], []

    def known(name: str, kind: str, what: str) -> bool:
        if name not in world[kind]:
            text = f"{what} `{name}` is not there; there are: {', '.join(sorted(world[kind])) or 'none'}"
            if text not in problems:
                problems.append(text)
            return False
        return True

    for guest in guests:
        name = guest["name"]
        place = [known(guest["cluster"], "clusters", "cluster"), known(guest["datastore"], "datastores", "datastore")]
        groups = [n["port_group"] for n in guest["nics"]]
        place += [known(g, "port_groups", "port group") for g in groups]
        template = world["templates"].get(f"{guest['template_folder']}/{guest['template']}")
        if template is None:
            text = f"template `{guest['template_folder']}/{guest['template']}` is not there"
            problems += [] if text in problems else [text]
        elif template["disk_gb"] > guest["disk_gb"]:
            problems.append(f"guest `{name}` is to have {guest['disk_gb']} GB, its template has {template['disk_gb']}; "
                            "give it a larger disk")  # fmt: skip
        need: dict[str, Any] = {
            "name": name, "create": False, "template": template["moid"] if template else None, "settings": {},
            "resize": {}, "cards": [], "start": False, "moid": None,
        }  # fmt: skip
        same = [g for g in world["guests"] if g["name"] == name]
        here = [g for g in same if g["folder"] == guest["folder"]]
        if len(same) > len(here) or len(here) > 1:
            where = ", ".join(f"`{g['folder']}`" for g in same)
            problems.append(
                f"guest `{name}` is in folder {where}, it belongs into `{guest['folder']}`; move or rename it"
            )
            continue
        live: dict[str, Any] = (
            here[0] if here else {"settings": {}, "cards": [], "vcpu": 0, "memory_mb": 0, "disk_gb": 0, "on": False}
        )
        mark = live["settings"].get(MARK)
        if here and mark is None and (live["on"] or live["cards"]):
            problems.append(f"guest `{name}` is there, but nothing of ours made it; rename it, or set {MARK} to `made`")
            continue
        need["create"] = not here
        need["moid"] = live.get("moid")
        settings = settings_of(guest)
        if mark != "made":
            settings[MARK] = "making"
            need["start"] = True
        need["settings"] = {k: v for k, v in settings.items() if live["settings"].get(k) != v}
        sizes = {k: guest[k] for k in ("vcpu", "memory_mb", "disk_gb") if guest[k] != live[k]}
        if here and guest["disk_gb"] < live["disk_gb"]:
            problems.append(f"guest `{name}` has a disk of {live['disk_gb']} GB, {guest['disk_gb']} are asked for; "
                            "a disk is never made smaller: make a new guest and move the data")  # fmt: skip
        for key, unit in (("vcpu", "vCPU"), ("memory_mb", "MB of memory")):
            if live["on"] and guest[key] < live[key]:
                problems.append(f"guest `{name}` runs with {live[key]} {unit}, {guest[key]} are asked for; "
                                "shut it down first")  # fmt: skip
        need["resize"] = sizes
        if live["cards"] != groups:
            if live["on"]:
                problems.append(f"guest `{name}` runs in port groups {', '.join(live['cards']) or 'none'}, "
                                f"it belongs into {', '.join(groups)}; shut it down first")  # fmt: skip
            need["cards"] = groups
            for group in groups:
                cards_wanted[group] = cards_wanted.get(group, 0) + 1
        growth = guest["disk_gb"] - live["disk_gb"]
        if all(place) and growth > 0:
            space[guest["datastore"]] = space.get(guest["datastore"], 0) + growth
        needs.append(need)
    for name, wanted in sorted(space.items()):
        free = world["datastores"][name]
        if wanted > free:
            problems.append(
                f"datastore `{name}` has {free} GB free, the guests want {wanted}; make room or choose another"
            )
    for name, wanted in sorted(cards_wanted.items()):
        free = world["port_groups"].get(name)
        if free is not None and wanted > free:
            problems.append(f"port group `{name}` has {free} free ports, the guests want {wanted}; give it more ports")
    return problems, needs


def _all(content: Any, kind: Any, below: Any = None) -> list[Any]:
    view = content.viewManager.CreateContainerView(below or content.rootFolder, [kind], True)
    try:
        return list(view.view)
    finally:
        view.Destroy()


def _folder(thing: Any, top: Any) -> str:
    names, parent = [], thing.parent
    while parent is not None and parent != top:
        names.append(parent.name)
        parent = parent.parent
    return "/".join(reversed(names))


def _free_ports(network: Any, guests: list[dict[str, Any]]) -> int | None:
    """Return how many ports a distributed port group has left; None where it grows or does not count."""
    if not isinstance(network, vim.dvs.DistributedVirtualPortgroup) or network.config.autoExpand:
        return None
    used: int = max(len(network.vm), sum(g["cards"].count(network.name) for g in guests))
    return max(0, int(network.config.numPorts or 0) - used)


def _guest(vm: Any, top: Any, groups: dict[str, str]) -> dict[str, Any]:
    devices = vm.config.hardware.device
    disks = [d for d in devices if isinstance(d, vim.vm.device.VirtualDisk)]
    cards = []
    for device in devices:
        if isinstance(device, vim.vm.device.VirtualEthernetCard):
            port = getattr(device.backing, "port", None)
            cards.append(groups.get(port.portgroupKey) if port else getattr(device.backing, "deviceName", None))
    return {
        "name": vm.name, "moid": vm._moId, "folder": _folder(vm, top), "on": vm.runtime.powerState == "poweredOn",
        "vcpu": vm.config.hardware.numCPU, "memory_mb": vm.config.hardware.memoryMB,
        "disk_gb": disks[0].capacityInKB // 1024**2 if disks else 0, "cards": cards,
        "settings": {o.key: str(o.value) for o in vm.config.extraConfig},
    }  # fmt: skip


def look(content: Any, datacenter: str) -> dict[str, Any]:
    """Return what a datacenter has; sizes in whole GB."""
    all_centers = _all(content, vim.Datacenter)
    found = next((d for d in all_centers if d.name == datacenter), None)
    world: dict[str, Any] = {"datacenter": found and found.name, "datacenters": sorted(d.name for d in all_centers)}
    if found is None:
        return world
    top = found.vmFolder
    networks = found.network
    groups = {n.key: n.name for n in networks if isinstance(n, vim.dvs.DistributedVirtualPortgroup)}
    machines = [vm for vm in _all(content, vim.VirtualMachine, top) if vm.config is not None]
    clusters = _all(content, vim.ClusterComputeResource, found.hostFolder)
    world["clusters"] = {c.name: c._moId for c in clusters}
    names = {vm._moId: vm.name for vm in machines}  # a rule may still name a guest that was just removed
    world["rules"] = [
        {
            "cluster": c.name,
            "name": r.name,
            "guests": sorted(names[vm._moId] for vm in r.vm if vm._moId in names),
            "enabled": bool(r.enabled),
        }
        for c in clusters
        for r in c.configurationEx.rule
        if isinstance(r, vim.cluster.AntiAffinityRuleSpec)
    ]
    world["datastores"] = {d.name: d.summary.freeSpace // GB for d in found.datastore}
    models = [_guest(m, top, groups) for m in machines if m.config.template]
    world["templates"] = {f"{m['folder']}/{m['name']}": m for m in models}
    world["guests"] = [_guest(m, top, groups) for m in machines if not m.config.template]
    world["port_groups"] = {n.name: _free_ports(n, world["guests"]) for n in networks}
    return world


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "hostname": {"type": "str", "required": True},
            "port": {"type": "int", "default": 443},
            "username": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "validate_certs": {"type": "bool", "default": True},
            "datacenter": {"type": "str", "required": True},
            "guests": {"type": "list", "elements": "dict", "default": []},
            "find": {"type": "str"},
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("pyvmomi"), exception=IMPORT_ERROR)
    options = module.params
    at = f"{options['hostname']}:{options['port']}"
    try:
        instance = SmartConnect(  # type: ignore[no-untyped-call]
            host=options["hostname"], port=options["port"], user=options["username"], pwd=options["password"],
            disableSslCertValidation=not options["validate_certs"],
        )  # fmt: skip
    except vim.fault.InvalidLogin:
        module.fail_json(
            msg=f"vCenter {at} refuses user `{options['username']}`; correct guest_username, guest_password"
        )
    except (OSError, vmodl.MethodFault) as error:
        module.fail_json(msg=f"vCenter {at} does not answer: {error}")
    try:
        world = look(instance.content, options["datacenter"])
    finally:
        Disconnect(instance)  # type: ignore[no-untyped-call]
    problems, needs = judge(world, options["guests"])
    found = [g for g in world.get("guests", []) if options["find"] and g["name"] == options["find"]]
    for guest in found:
        guest["ours"] = guest["settings"].get(MARK) in ("making", "made")
        del guest["settings"]
    prefix = f"vCenter {at}, datacenter `{options['datacenter']}`: "
    module.exit_json(
        changed=False, problems=[prefix + p for p in problems], needs=needs, found=found, rules=world.get("rules", [])
    )


if __name__ == "__main__":
    main()
