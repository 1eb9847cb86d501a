"""Write down what a playbook run changed, for tools/assert-unchanged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: change_report
type: aggregate
short_description: Write the hosts, and the tasks that changed something, to a JSON file
description:
  - The file is named by the environment variable CHANGE_REPORT.
"""


class CallbackModule(CallbackBase):
    """Collects every changed result and the totals of every host."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "change_report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.changed: list[dict[str, Any]] = []

    def v2_runner_on_ok(self, result: Any) -> None:
        # Ansible 2.19 renamed the private attributes; both spellings are read.
        data = getattr(result, "result", None) or getattr(result, "_result", {})
        if not data.get("changed"):
            return
        host = getattr(result, "host", None) or result._host
        task = getattr(result, "task", None) or result._task
        self.changed.append({
            "host": host.get_name(),
            "task": task.get_name().strip(),
            "where": str(task.get_path() or ""),
            # what the `place` module says of itself
            "units": list(data.get("units") or ()),
            "files": list(data.get("files") or ()),
        })  # fmt: skip

    def v2_playbook_on_stats(self, stats: Any) -> None:
        report = {
            "hosts": {host: stats.summarize(host) for host in sorted(stats.processed)},
            "changed": self.changed,
        }
        Path(os.environ["CHANGE_REPORT"]).write_text(json.dumps(report), encoding="utf-8")
