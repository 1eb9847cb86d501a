"""A new WireGuard key for one gateway, tunnel by tunnel, proven or taken back (topology/rotation.py).

    pyinfra -y deploys/inventory.py deploys/rotate_keys.py --limit dinkes-gw --data gateway=dinkes-gw

The private key never leaves the box. The far ends of its tunnels are reached from here as well. In the
end the new public key is in keys.yml: commit it. A hub with VPN users is refused, for they hold its key.
It is refused while another run provisions one of these hosts, and none begins meanwhile (topology/runlock.py).
"""

import sys
from functools import cache
from os import environ
from pathlib import Path

from pyinfra import config, host
from pyinfra.api.exceptions import PyinfraError
from pyinfra.operations import python

from topology import keys, rotation, runlock
from topology.allocate import Plan
from topology.inventory import connection, plan_of

config.SUDO = True
INVENTORY = environ.get("TOPOLOGY_INVENTORY", "inventories/luwu")


@cache
def plan(gateway: str) -> Plan:
    """Return the plan; ends the run when this gateway's key cannot be changed here."""
    found = plan_of(INVENTORY)
    box = found.hosts.get(gateway)
    if box is None or box.kind != "gateway":
        sys.exit(f"rotate_keys.py: {gateway} is no gateway: --data gateway=NAME; nothing was changed")
    if box.hub_slot is not None and found.vpn_users:
        sys.exit(f"rotate_keys.py: {gateway} is a hub, and VPN users hold its key; nothing was changed")
    return found


def run(name: str, command: str) -> str:
    """Run a command as root on a host of the inventory; RotationError when it fails."""
    other = host if name == host.name else host.state.inventory.get_host(name)
    if not other.connected:
        other.connect(reason="the far end of a tunnel", raise_exceptions=True)
    ok, output = other.run_shell_command(command, _sudo=True, _timeout=120)
    if not ok:
        raise rotation.RotationError(f"{name}: {output.stderr.strip() or output.stdout.strip() or 'no answer'}")
    return str(output.stdout)


def change() -> None:
    """Rotate the present host's key and write its new public key to keys.yml."""
    found = plan(host.name)
    box = found.hosts[host.name]
    tunnels = rotation.tunnels_of(found, box)
    ends = {box.name: connection(found, box, host.data.dict())}
    for far in {tunnel.far_host for tunnel in tunnels}:
        data = host.state.inventory.get_host(far).data.dict()
        ends[far] = connection(found, found.hosts[far], data)
    try:
        with runlock.held(ends, "rotate_keys.py", host.log):
            new = rotation.rotate(run, box.name, box.platform, tunnels)
            path = Path(INVENTORY) / "keys.yml"
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            path.write_text(keys.set_keys(text, "wireguard", {box.name: new}), encoding="utf-8")
    except runlock.HeldError as fault:
        raise PyinfraError(f"{fault}\nrotate_keys.py: nothing was changed") from None
    host.log(f"the new key is in {path}: commit it")


gateway = str(host.data.get("gateway") or "")
plan(gateway)
if host.name == gateway:
    python.call(name=f"Change the key of {gateway}", function=change)
