"""Every managed host of the scenario's lab reboots, so that verify sees what comes up at boot."""

from __future__ import annotations

from losses import NAME, PLAN

from topology import lab

for host in (h.name for h in PLAN.hosts.values() if h.managed):
    lab.reboot_host(NAME, host)
    print(f"{host} has rebooted")
