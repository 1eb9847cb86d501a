"""Block an address or prefix at every gateway, or lift it again.

    pyinfra deploys/inventory.py deploys/block.py --limit gateways --data block=198.51.100.77
    pyinfra deploys/inventory.py deploys/block.py --limit gateways --data lift=198.51.100.77

Several are separated by commas; `--dry` shows what would change. Entries outlive reboots and new
rulesets. What would cut off the district itself is refused before anything is changed. It does not
wait for a run of site.yml: the list is a table and a file of its own.
"""

import sys
from functools import cache
from io import StringIO
from os import environ

from pyinfra import config, host
from pyinfra.facts.files import FileContents
from pyinfra.facts.server import Command
from pyinfra.operations import files, server

from topology import blocking
from topology.inventory import plan_of

config.SUDO = True


@cache
def wanted(block: tuple[str, ...], lift: tuple[str, ...]) -> tuple[list[blocking.Network], list[blocking.Network]]:
    """Return what to block and to lift, checked; ends the run with every fault when there is one."""
    plan = plan_of(environ.get("TOPOLOGY_INVENTORY", "inventories/luwu"))
    faults: list[str] = []
    found: tuple[list[blocking.Network], list[blocking.Network]] = ([], [])
    for text in block:
        try:
            found[0].append(blocking.blockable(plan, text))
        except ValueError as fault:
            faults.append(str(fault))
    for text in lift:
        try:
            found[1].append(blocking.parse(text))
        except ValueError as fault:
            faults.append(str(fault))
    if not block and not lift:
        faults.append("say what: --data block=ADDRESS or --data lift=ADDRESS")
    faults += [f"{blocking.shown(net)} is both to block and to lift" for net in found[0] if net in found[1]]
    if faults:
        sys.exit("\n".join(f"block.py: {fault}" for fault in faults) + "\nblock.py: nothing was changed")
    return found


def text_of(path: str) -> str:
    """Return a file's text, '' when there is none."""
    return "\n".join(host.get_fact(FileContents, path=path) or ())


block, lift = wanted(blocking.entries(host.data.get("block")), blocking.entries(host.data.get("lift")))

if host.data.get("topology_device") == "gateway":
    freebsd = host.data.topology_platform == "freebsd"
    path = blocking.FREEBSD_FILE if freebsd else blocking.LINUX_FILE
    now = blocking.listed(text_of(path))
    then = blocking.changed(now, block, lift)
    if freebsd:
        in_force = blocking.listed(host.get_fact(Command, "pfctl -q -t blocked -T show 2>/dev/null || true") or "")
        text, load = blocking.pf_file(then), f"pfctl -q -t blocked -T replace -f {path}"
        current = set(in_force) == set(then)
    else:
        in_force = blocking.nft_elements(
            host.get_fact(Command, "nft -j list table inet topology_block 2>/dev/null || true") or ""
        )
        text, load = blocking.nft_file(then), f"nft -f {path}"
        current = in_force == blocking.collapsed(then)

    files.directory(name="Make room for the list", path="/etc/topology", user="root", mode="755")
    files.put(name="Write the list of blocked addresses", src=StringIO(text), dest=path, user="root", mode="644")
    forget = blocking.forget_freebsd if freebsd else blocking.forget_linux
    new = [net for net in then if net not in now]
    if not current or new:
        server.shell(
            name="Put the list in force and end the blocked connections", commands=[load, *(forget(net) for net in new)]
        )
    for net in lift:
        wider = [blocking.shown(w) for w in then if w.version == net.version and w.supernet_of(net)]
        if wider:
            host.log(f"{blocking.shown(net)} stays blocked by {', '.join(wider)}")
