"""Ansible action plugin: be the only run that provisions these hosts, until this run ends (topology/runlock.py)."""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


def _started(pid: int) -> str:
    """Return when a process started, as its system counts: a number that was used before is told from this one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return "0"


class ActionModule(ActionBase):  # type: ignore[misc,no-any-unimported,unused-ignore]
    """Takes the lock of every host of the play; fails when another run has one of them."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the locks and leave the process that holds them behind."""
        import topology
        from topology import runlock

        result: dict[str, Any] = super().run(tmp, task_vars)
        values = task_vars or {}
        hosts = {
            name: values["hostvars"][name] for name in values["ansible_play_hosts_all"]
            if values["hostvars"][name].get("ansible_connection", "ssh") in ("ssh", "smart")
        }  # fmt: skip
        controller = os.getppid()  # this is a worker; the run is its parent
        user = os.environ.get("SUDO_USER") or getpass.getuser()
        what = " ".join(Path(word).name for word in sys.argv[1:] if word.endswith((".yml", ".yaml"))) or "a playbook"
        since = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        run = f"{socket.gethostname()}-{controller}-{_started(controller)}"
        text = runlock.who(user, socket.gethostname(), controller, what, since, run)
        search = [str(Path(topology.__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        holder = subprocess.Popen(
            [sys.executable, "-m", "topology.runlock", str(controller)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, start_new_session=True, cwd="/",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, search))},
        )  # fmt: skip
        assert holder.stdin and holder.stdout
        holder.stdin.write(runlock.request(hosts, run, text))
        holder.stdin.close()
        line = holder.stdout.readline()
        if not line:
            return result | {"failed": True, "msg": "the process that holds the locks ended; run it again with -vvv"}
        answers = {name: runlock.Answer(**said) for name, said in json.loads(line).items()}
        for name, answer in sorted(answers.items()):
            if answer.state == runlock.OVER:
                Display().warning(runlock.taken_over(name, answer))
            elif answer.state == runlock.NOT:
                Display().warning(f"{name}: its lock could not be taken ({answer.text})")
        held = [runlock.refusal(n, a) for n, a in sorted(answers.items()) if a.state == runlock.HELD]
        if held:
            return result | {"failed": True, "msg": "\n".join([*held, "Nothing was changed."])}
        return result | {"changed": False, "locked": sorted(n for n, a in answers.items() if a.state != runlock.NOT)}
