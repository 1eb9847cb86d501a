"""A host after the role `base`: its name, who may log in, time and logs."""

from __future__ import annotations

from testinfra.host import Host

from topology.allocate import Plan


def test_it_is_called_what_the_inventory_calls_it(box: Host, plan: Plan) -> None:
    name = box.check_output("hostname")
    assert name in plan.hosts
    assert name in box.file("/etc/hosts").content_string


def test_the_administrator_logs_in_by_key_only_and_may_use_sudo(box: Host) -> None:
    assert box.check_output("passwd --status ani").split()[1] == "L"
    assert "molecule" in box.file("/home/ani/.ssh/authorized_keys").content_string
    assert "(ALL : ALL) NOPASSWD: ALL" in box.check_output("sudo -l -U ani")
    effective = box.check_output("sshd -T")
    assert "passwordauthentication no" in effective
    assert "permitrootlogin no" in effective


def test_time_and_journal_are_kept(box: Host) -> None:
    assert box.service("chrony").is_running and box.service("chrony").is_enabled
    assert box.file("/var/log/journal").is_directory
