"""Tell a test that a task has begun, so that it kills the controller in the middle of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: kill_at
type: aggregate
short_description: Make a file when a task begins on a host
description:
  - C(KILL_TASK) is the end of the task's name, C(KILL_FILE) the file.
"""


class CallbackModule(CallbackBase):
    """Makes the file once."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kill_at"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        if task.get_name().strip().endswith(os.environ["KILL_TASK"]):
            Path(os.environ["KILL_FILE"]).write_text(host.get_name(), encoding="utf-8")
