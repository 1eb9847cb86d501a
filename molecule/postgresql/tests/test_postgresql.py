"""A member after playbooks/site.yml: its servers run, and its Patroni knows a primary and a synchronous standby."""

from __future__ import annotations

import json
import subprocess
import time

import pytest
from testinfra.host import Host

from topology.allocate import Plan
from topology.render import postgresql as pg


def hosts(plan: Plan) -> list[str]:
    """Return the members."""
    found = pg.cluster(plan)
    return [m.name for m in found.members] if found else []


@pytest.mark.parametrize("name", ["etcd", "patroni", "pgbackrest", "haproxy"])
def test_its_servers_run_and_start_at_boot(box: Host, name: str) -> None:
    assert box.service(name).is_running and box.service(name).is_enabled


def test_debians_own_database_was_never_made(box: Host) -> None:
    assert box.run("ls /etc/postgresql/*/main").rc != 0


def test_it_sees_a_primary_and_a_synchronous_standby(box: Host) -> None:
    until = time.monotonic() + 60
    while True:
        said = json.loads(box.check_output("patronictl -c /etc/patroni/config.yml list -f json"))
        roles = sorted(m["Role"] for m in said)
        if roles == ["Leader", "Replica", "Sync Standby"]:
            return
        assert time.monotonic() < until, said
        time.sleep(1)


def test_it_has_what_was_written_before_and_after_the_leader_was_lost(box: Host) -> None:
    ask = "cd / && runuser -u postgres -- psql -XqAt -c 'select line from losses order by line'"
    assert box.check_output(ask).split() == ["before", "meanwhile"]


def test_nobody_but_root_reads_passwords(box: Host) -> None:
    for name in ("secrets.json", "member.env"):
        file = box.file(f"/etc/topology/postgresql/{name}")
        assert file.mode == 0o600 and file.user == "root"
    key = box.file(f"{pg.TLS}/host.key")
    assert key.mode == 0o640 and key.group == "ssl-cert"


def test_check_mode_finds_nothing_to_do(checked: subprocess.CompletedProcess[str]) -> None:
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr
