"""Ansible action plugin: hand a host's rendered files to the `place` module."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc,no-any-unimported,unused-ignore]
    """Reads `src` on the controller; the module gets the texts of the files its units name."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module on the host."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        root = Path(str(arguments.get("src", "")))
        if not root.is_dir():
            return result | {"failed": True, "msg": f"{root} is not there; `topology render` makes it"}
        patterns = [p for unit in arguments.get("units") or [] for p in unit.get("files") or []]
        files = {}
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and any(fnmatch.fnmatchcase(name, p) for p in patterns):
                files[name] = path.read_text(encoding="utf-8")

        name = str((task_vars or {}).get("inventory_hostname", ""))
        done: dict[str, Any] = self._execute_module(
            module_name="place", module_args=arguments | {"files": files, "host": name}, task_vars=task_vars
        )
        return result | done
