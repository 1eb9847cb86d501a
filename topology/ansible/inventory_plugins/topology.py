"""Ansible inventory plugin: the hosts of a district, from its facts."""

from __future__ import annotations

DOCUMENTATION = """
name: topology
short_description: Hosts and groups of a district or of its lab
description:
  - Reads the folder in which C(inventory.yml) lies with the topology library and lists its hosts.
  - A host carries its own data only. Findings of C(topology check) are shown once and end the run with exit code 4.
options:
  plugin:
    description: Always C(topology).
    required: true
    choices: [topology]
"""

EXAMPLES = """
# inventories/NAME/inventory.yml
plugin: topology
"""

import sys
from pathlib import Path
from typing import Any

from ansible.errors import ExitCode
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.template import trust_as_template
from ansible.utils.display import Display


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc,no-any-unimported,unused-ignore]
    """The plugin."""

    NAME = "topology"

    def verify_file(self, path: str) -> bool:
        """Say whether a file is an inventory of ours: inventory.yml beside a district's or a lab's file."""
        file = Path(path)
        if not super().verify_file(path) or file.name not in ("inventory.yml", "inventory.yaml"):
            return False
        return any((file.parent / name).exists() for name in ("district.yml", "lab.yml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill Ansible's inventory; with errors, all findings are shown and Ansible ends (SystemExit).

        For any other exception Ansible would try the yaml and ini plugins on our file too, and bury the
        findings, which it prints twice, among what those say of it.
        """
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        from topology import inventory as hosts
        from topology import report
        from topology.load import LoadError
        from topology.render import reader

        try:
            plan = hosts.plan_of(Path(path).parent)
        except LoadError as error:
            lines = report.lines(error.findings, error.tree, "en")
            Display().error("the inventory has errors:\n" + "\n".join(lines), wrap_text=False)
            sys.exit(ExitCode.PARSER_ERROR)
        groups = hosts.groups(plan)
        for group in groups:
            self.inventory.add_group(group)
        admins = [a.model_dump(exclude_none=True, mode="json") for a in plan.district.admins]
        self.inventory.set_variable("managed", "topology_admins", admins)
        self.inventory.set_variable("managed", "topology_reader", reader.USER)
        self.inventory.set_variable("managed", "topology_readers", list(reader.readers(plan)))
        self.inventory.set_variable("managed", "topology_domain", plan.district.facts.domain)
        self.inventory.set_variable("managed", "topology_inventory", str(Path(path).parent.resolve()))
        for name, host in plan.hosts.items():
            self.inventory.add_host(name)
            for key, value in hosts.variables(plan, host).items():
                # Checked names, addresses and our own paths; unmarked, `--list` would print an object for each.
                trusted = trust_as_template(value) if isinstance(value, str) else value
                self.inventory.set_variable(name, key, trusted)
        for group, names in groups.items():
            for name in names:
                self.inventory.add_child(group, name)
