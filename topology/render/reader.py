"""How a host is read by one that may do nothing else: an account, its keys, and one program.

Whoever looks for drift by a timer keeps a key that nobody types a passphrase for. On every host this key opens an
account that can run one program as root, which takes no arguments and reads what `topology drift` reads. The account
has no file of its own to write: sshd takes its keys from a file of root's.
"""

from __future__ import annotations

from topology.allocate import Host, Plan
from topology.render.common import Context

USER = "drift"
PROGRAM = "usr/local/libexec/topology-read"
KEYS = "etc/ssh/topology_reader_keys"

_BEGIN = r"""
# Reads this host for `topology drift` and changes nothing. All it is told is one line, word=..., which marks
# its answer; whatever else is sent is not read.
export LC_ALL=C PATH=/sbin:/bin:/usr/sbin:/usr/bin
line=$(timeout 10 head -n 1) || exit 64
word=${line#word=}
case $line in word=?*) ;; *) exit 64 ;; esac
case $word in *[!a-z0-9-]*) exit 64 ;; esac
[ ${#word} -le 64 ] || exit 64
"""


def readers(plan: Plan) -> dict[str, str]:
    """Return the hosts of the plan that may read every other, with their public keys."""
    return {name: key for name, key in sorted(plan.district.keys.readers.items()) if name in plan.hosts}


def files(context: Context, host: Host, others: dict[str, str]) -> dict[str, str]:
    """Return the program that reads a host and who may run it; `others` are the host's other files."""
    found = readers(context.plan)
    if not found:
        return {}
    # what is expected follows from the files, and the program from what is expected
    from topology.drift.script import placed
    from topology.expect import expect

    header = context.header(host, "keys.yml")
    expected = expect(context.plan, host, context, {**others, PROGRAM: "", KEYS: ""})
    return {
        PROGRAM: f"#!/bin/sh\n# {header}{_BEGIN}{placed(expected)}",
        KEYS: "\n".join((f"# {header}", *(_line(context.plan.hosts[name], key) for name, key in found.items()), "")),
    }


def _line(host: Host, key: str) -> str:
    """Return a line of authorized_keys (sshd(8)): from this host's own addresses only."""
    own = ",".join(address for interface in host.interfaces for address in interface.addresses)
    return f'restrict,from="{own}" ssh-ed25519 {key} {USER}@{host.name}'
