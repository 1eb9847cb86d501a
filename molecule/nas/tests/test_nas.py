"""A provisioned NAS: what it runs, what it listens to, who may log in, and that it replicates.

What people may and may not is tested in tests/lab/service/test_files.py, in this scenario's lab too.
"""

from __future__ import annotations

import json
import subprocess
import time

import pytest
from testinfra.host import Host

from topology.allocate import Plan


def hosts(plan: Plan) -> list[str]:
    """Return the scenario's NAS."""
    return [h.name for h in plan.hosts.values() if h.kind == "nas"]


def status(box: Host) -> dict[str, object]:
    """Return what the NAS says of itself."""
    found: dict[str, object] = json.loads(box.run("nas status --json").stdout)
    return found


def test_samba_s_own_units_are_off_and_the_agent_runs(box: Host) -> None:
    for unit in ("smbd", "nmbd", "samba-ad-dc"):
        assert box.check_output(f"systemctl is-enabled {unit} || true") == "masked"
    for unit in ("nas-agent", "nas-replicate.timer", "nas-verify.timer", "srv-nas.mount"):
        assert box.service(unit).is_running and box.service(unit).is_enabled
    assert box.run("systemctl is-enabled nas-smb").stdout.strip() == "static", "only the agent starts it"


def test_the_data_disk_is_btrfs_with_quotas(box: Host) -> None:
    mount = box.mount_point("/srv/nas")
    assert mount.exists and mount.filesystem == "btrfs"
    assert {"nodev", "nosuid", "noexec"} <= set(mount.options)
    if status(box)["active"] == box.check_output("hostname"):
        assert box.run("btrfs qgroup show /srv/nas").rc == 0


def test_the_configuration_passes_samba_s_checker_and_asks_for_smb3(box: Host) -> None:
    said = box.run("testparm -s")
    assert said.rc == 0 and "nknown parameter" not in said.stderr
    for name, value in {"server min protocol": "SMB3_00", "server smb encrypt": "required", "map to guest": "Never",
                        "server signing": "required", "wide links": "No", "follow symlinks": "No"}.items():  # fmt: skip
        section = "--section-name=public" if name in ("wide links", "follow symlinks") else ""
        assert box.check_output(f"testparm -s {section} --parameter-name='{name}' 2>/dev/null") == value


def test_keys_and_passwords_are_root_s_alone(box: Host) -> None:
    key = box.file("/var/lib/nas/replication_key")
    assert (key.mode, key.user) == (0o600, "root")
    assert box.file("/var/lib/extrausers/shadow").mode == 0o640
    if box.file("/srv/nas/live/accounts").exists:
        assert box.file("/srv/nas/live/accounts").mode == 0o700


def test_another_nas_may_ask_only_what_is_for_it(box: Host, plan: Plan) -> None:
    config = json.loads(box.file("/etc/topology/nas.json").content_string.partition("\n")[2])
    peer, address = next((n, a) for n, a in config["nodes"].items() if n != config["host"])
    ssh = (f"ssh -F none -i /var/lib/nas/replication_key -o UserKnownHostsFile=/etc/topology/nas_known_hosts "
           f"-o HostKeyAlias={peer} -o BindAddress={config['source']} -o BatchMode=yes nas-peer@{address}")  # fmt: skip
    assert json.loads(box.check_output(f"{ssh} state"))["host"] == peer
    for request in ("id", "'cat /etc/shadow'", "'state; id'", "'receive ../../etc x y'", "'lease 99 somebody-else'"):
        said = box.run(f"{ssh} {request}")
        assert said.rc != 0 and "uid=" not in said.stdout, request
    # a channel to the Samba of the peer: `-L` would wait to be used, and by 255 testinfra means its own connection
    forward = box.run(f"timeout 20 {ssh.replace('ssh ', 'ssh -W 127.0.0.1:445 ', 1)} </dev/null || exit 1")
    assert forward.rc == 1 and "administratively prohibited" in forward.stderr, forward


def test_exactly_one_serves_and_the_others_have_what_it_has(plan: Plan, box: Host) -> None:
    name = box.check_output("hostname")
    until = time.monotonic() + 90
    while True:
        now = status(box)
        serves = box.socket("tcp://0.0.0.0:445").is_listening
        if now["active"] == name:
            behind = now["behind_seconds"]
            good = serves and isinstance(behind, dict) and len(behind) == len(hosts(plan)) - 1
        else:
            good = bool(now["active"]) and bool(now["snapshots"]) and not serves
        if good:
            return
        assert time.monotonic() < until, now
        time.sleep(2)


@pytest.mark.parametrize("unit", ["nas-agent", "nas-replicate", "nas-smb"])
def test_nothing_has_failed(box: Host, unit: str) -> None:
    # Replication says so when it meets a wire that was cut in the side effect, and is asked again every minute.
    until = time.monotonic() + 150
    while box.run(f"systemctl is-failed {unit}").stdout.strip() == "failed":
        assert time.monotonic() < until, box.run(f"journalctl -u {unit} -n 30 --no-pager").stdout
        time.sleep(5)


def test_check_mode_finds_nothing_to_do(checked: subprocess.CompletedProcess[str]) -> None:
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr
