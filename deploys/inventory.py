"""pyinfra inventory: `TOPOLOGY_INVENTORY=inventories/lab pyinfra deploys/inventory.py ...`."""

import os

from topology.inventory import pyinfra_groups

globals().update(pyinfra_groups(os.environ.get("TOPOLOGY_INVENTORY", "inventories/luwu")))
