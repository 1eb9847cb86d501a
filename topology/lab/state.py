"""What a lab was asked to be, kept while it is up."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from topology.lab.files import write_atomically
from topology.lab.hosts import Disk
from topology.lab.names import LabNames
from topology.lab.spec import LabHost, LabInterface, LabSpec, LabWire


@dataclass(frozen=True, slots=True)
class LabState:
    """A lab's specification, what its disks are made of, and whether it has come up."""

    spec: LabSpec
    disk: Disk
    complete: bool
    """All hosts have answered once."""


def write(state: LabState) -> None:
    """Write the state file of a lab."""
    spec = state.spec
    text = json.dumps(
        {
            "spec": {
                "name": spec.name,
                "hosts": [asdict(host) for host in spec.hosts],
                "wires": [asdict(wire) for wire in spec.wires],
                "management": str(spec.management),
            },
            "image": str(state.disk.image),
            "mirror": str(state.disk.mirror),
            "complete": state.complete,
        },
        indent=1,
    )
    names = LabNames(spec.name)
    names.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(names.state_file, text + "\n")


def read(names: LabNames) -> LabState | None:
    """Return the state of a lab, or None if there is none that can be understood."""
    try:
        data = json.loads(names.state_file.read_text(encoding="utf-8"))
        spec = data["spec"]
        return LabState(
            LabSpec(
                name=spec["name"],
                hosts=tuple(
                    LabHost(
                        host["name"],
                        host["number"],
                        tuple(LabInterface(each["name"], each["wire"], each["vlan"]) for each in host["interfaces"]),
                        host["kind"],
                        host["system"],
                        host["disk"],
                    )
                    for host in spec["hosts"]
                ),
                wires=tuple(LabWire(wire["name"], wire["kind"]) for wire in spec["wires"]),
                management=ipaddress.IPv4Network(spec["management"]),
            ),
            Disk(Path(data["image"]), Path(data["mirror"])),
            bool(data["complete"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
