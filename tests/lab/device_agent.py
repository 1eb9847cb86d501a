"""Simulated switches and radios on loopback of whatever network this is started in, until stdin ends.

Prints one line of JSON, name -> port; then takes lines: `rename NAME` changes a device, `stop NAME` ends one.
"""

from __future__ import annotations

import json
import sys

from tests.devices import simulators as sim
from tests.devices.conftest import LUWU, NAMES, provisioned
from topology.allocate import allocate
from topology.devices.model import devices_of
from topology.load import load


def main() -> None:
    """Serve one device of each family."""
    plan = allocate(load(LUWU)[0])
    devices = {d.name: d for d in devices_of(plan)}
    fleet = sim.Fleet()
    made = {name: provisioned(plan, devices[name]) for name in NAMES.values()}
    print(json.dumps({name: fleet.add(name, one) for name, one in made.items()}), flush=True)
    for line in sys.stdin:
        verb, name = line.split()
        if verb == "stop":
            fleet.stop(name)
        else:
            device = made[name]
            assert isinstance(device, sim.RouterOS)
            device.execute("/interface ethernet set [ find default-name=ether9 ] comment=changed-by-hand")
        print("done", flush=True)
    fleet.close()


if __name__ == "__main__":
    main()
