"""Ansible action plugin: be the only run that provisions these hosts, until this run ends (topology/runlock.py)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):  # type: ignore[misc,no-any-unimported,unused-ignore]
    """Takes the lock of every host of the play; fails when another run has one of them."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the locks and leave the process that holds them behind."""
        from topology import runlock

        result: dict[str, Any] = super().run(tmp, task_vars)
        values = task_vars or {}
        hosts = {
            name: values["hostvars"][name] for name in values["ansible_play_hosts_all"]
            if values["hostvars"][name].get("ansible_connection", "ssh") in ("ssh", "smart")
        }  # fmt: skip
        what = " ".join(Path(word).name for word in sys.argv[1:] if word.endswith((".yml", ".yaml"))) or "a playbook"
        try:
            # this is a worker; the run is its parent
            _, answers = runlock.begin(hosts, os.getppid(), what)
        except runlock.HeldError as fault:
            return result | {"failed": True, "msg": f"{fault}; run it again with -vvv"}
        for message in runlock.warnings(answers):
            Display().warning(message)
        if refused := runlock.refusals(answers):
            return result | {"failed": True, "msg": "\n".join([*refused, "Nothing was changed."])}
        return result | {"changed": False, "locked": sorted(n for n, a in answers.items() if a.state != runlock.NOT)}
