"""Switches and radios: what the plan wants of them, and what they say of themselves.

They run no Ansible: their configuration is text that is pushed line by line over SSH. `model` says which
device is what, `wanted` what each must be, one module per family reads the answers of its devices.
"""

from __future__ import annotations
