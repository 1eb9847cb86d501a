"""A host after the role `base`: its name, who may log in, time and logs."""

from __future__ import annotations

from testinfra.host import Host

testinfra_hosts = ["ansible://managed"]


def test_it_is_called_what_the_inventory_calls_it(host: Host) -> None:
    assert host.check_output("hostname") == host.backend.host
    assert host.backend.host in host.file("/etc/hosts").content_string


def test_the_administrator_logs_in_by_key_only_and_may_use_sudo(host: Host) -> None:
    with host.sudo():
        assert host.check_output("passwd --status ani").split()[1] == "L"
        assert "molecule" in host.file("/home/ani/.ssh/authorized_keys").content_string
        assert "(ALL : ALL) NOPASSWD: ALL" in host.check_output("sudo -l -U ani")
        effective = host.check_output("sshd -T")
    assert "passwordauthentication no" in effective
    assert "permitrootlogin no" in effective


def test_time_and_journal_are_kept(host: Host) -> None:
    assert host.service("chrony").is_running and host.service("chrony").is_enabled
    assert host.file("/var/log/journal").is_directory
