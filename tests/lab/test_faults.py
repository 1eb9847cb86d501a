"""Faults: whatever breaks, the next run of site.yml ends as planned, nothing is lost, and the message helps.

Run in a lab of its own, tests/lab/faults-lab, that site.yml has provisioned. The table in docs/testing.md says
what is done, what is seen and what is not proved.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.lab import copies, play
from tests.lab.figures import record
from tests.lab.where import INVENTORY, ROOT, network
from topology import lab, runlock
from topology.allocate import Host
from topology.drift.history import standing
from topology.inventory import plan_of, variables
from topology.lab.names import LabNames

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(1_800)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
OFFICE = next(
    h for h in PLAN.hosts.values() if h.kind == "gateway" and PLAN.sites[h.site].place.kind in ("skpd", "hub")
)  # fmt: skip
PAIR = [h for h in PLAN.hosts.values() if h.kind == "gateway" and h.hub_slot == 1]
LIMIT = ("--limit", f"localhost,{OFFICE.name}")
SETTLES = 360.0
"""Most seconds until nothing differs: clocks, BGP's connect timer, handshakes."""
KEY = "/etc/wireguard/private.key"
LEASES = "/var/lib/kea/kea-leases4.csv"
LEASE_ROW = "{address},02:00:00:00:77:01,,43200,{expire},{vlan},0,0,kestrel,0,"


def desk(site: str) -> Host:
    """Return a site's client in the staff network."""
    return next(h for h in PLAN.hosts.values() if h.kind == "pc" and h.site == site and network(h) == "staff")


def on(host: str, command: str) -> str:
    return lab.exec_in(NAME, host, ["sh", "-c", command]).stdout


def must(host: str, command: str) -> str:
    done = lab.exec_in(NAME, host, ["sh", "-c", command])
    assert done.returncode == 0, f"{host}: {command}: {done.stdout}{done.stderr}"
    return done.stdout


def until(true: Callable[[], object], seconds: float, what: str = "") -> float:
    """Wait until something is true; return the seconds it took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds, f"{what or true.__name__}: not within {seconds:.0f} s"
        time.sleep(0.3)
    return time.monotonic() - begun


def drift(*hosts: str, history: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `topology drift`."""
    words = [f"--hosts={name}" for name in hosts]
    kept = ["--history", str(history or Path("/dev/shm") / f"{NAME}-faults.sqlite")]
    command = [sys.executable, "-m", "topology", "drift", str(INVENTORY), *words, *kept]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def as_planned(*hosts: str) -> float:
    """Wait until drift finds nothing; return the seconds it took."""
    begun = time.monotonic()
    while (done := drift(*hosts)).returncode:
        assert time.monotonic() - begun < SETTLES, done.stdout + done.stderr
        time.sleep(2)
    return round(time.monotonic() - begun, 1)


def comes_right(tmp_path: Path, *options: str, changes: bool = True) -> tuple[play.Run, float, float]:
    """The next run is fine, the one after changes nothing, and drift finds nothing. Returns the run and seconds."""
    begun = time.monotonic()
    done = play.run(play.SITE, tmp_path / "report", *options)
    seconds = round(time.monotonic() - begun, 1)
    assert done.code == 0, done.output[-6000:]
    assert changes is bool(done.changed), done.changed
    again = play.run(play.SITE, tmp_path / "report", *options)
    assert again.code == 0 and again.changed == [], again.output[-6000:]
    return done, seconds, as_planned()


@contextmanager
def lease(host: Host = OFFICE) -> Iterator[str]:
    """A visitor's lease in a gateway's file, which must be there after whatever happens; removed at the end."""
    staff = PLAN.sites[host.site].network("staff")
    address = staff.prefixes[0].removesuffix("0/24") + "222"
    row = LEASE_ROW.format(address=address, expire=int(time.time()) + 40_000, vlan=staff.vlan)
    must(host.name, f"echo '{row}' >>{LEASES}")
    yield address
    assert address in on(host.name, f"cat {LEASES}*"), "the lease is lost"
    must(host.name, f"sed -i '/^{address},/d' {LEASES}*; systemctl restart kea-dhcp4-server")


@pytest.fixture(scope="module", autouse=True)
def planned() -> None:
    """Begin on a lab that is as planned."""
    as_planned()


# --- two operators, and a controller that dies -----------------------------------------------------


class Controller:
    """A run of site.yml that can be killed in the middle of a task.

    `machine`: in a process namespace of its own, so that nothing of it outlives it, SSH included (power cut).
    Otherwise only its process group is killed: workers and SSH sessions go on to the end of what they are at.
    """

    def __init__(
        self, folder: Path, *options: str, task: str, inventory: Path = INVENTORY, machine: bool = False
    ) -> None:
        self.task = task
        self.reached = folder / "reached"
        self.reached.unlink(missing_ok=True)
        self.log = (folder / "log").open("w+", encoding="utf-8")
        alone = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"] if machine else []
        environment = play.environment(folder / "report") | {
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("kill_plugins")),
            "ANSIBLE_CALLBACKS_ENABLED": "kill_at", "KILL_TASK": task, "KILL_FILE": str(self.reached),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [*alone, *play.command(play.SITE, *options, inventory=inventory)], cwd=ROOT, env=environment,
            stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def wait(self, seconds: float = 240) -> None:
        """Wait until the task has begun."""
        end = time.monotonic() + seconds
        while not self.reached.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                self.log.seek(0)
                raise AssertionError(f"`{self.task}` was not reached: {self.log.read()[-5000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it without a word."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


def locked() -> str:
    """Return who has the office's lock; empty when nobody has it."""
    return on(OFFICE.name, "flock -n /var/run/topology-run.lock true || cat /var/run/topology-run.lock")


def test_of_two_operators_the_second_is_refused_and_told_who_is_at_it(tmp_path: Path) -> None:
    first = Controller(tmp_path, task="Look for room")
    try:
        first.wait()
        begun = time.monotonic()
        second = play.run(play.SITE, tmp_path / "second", *LIMIT)
        seconds = time.monotonic() - begun
    finally:
        output = first.process.wait(300)
    assert output == 0, "the first goes on"
    assert second.code != 0 and second.changed == []
    said = re.sub(r"\s+", " ", second.output)
    found = re.search(
        rf"{OFFICE.name} is being provisioned by (\S+@\S+) \(site\.yml, process (\d+)\), since (\S+ \S+)", said
    )
    assert found, second.output
    assert int(found[2]) == first.process.pid and "Nothing was changed." in said
    assert "Render" not in second.output, "nothing else is begun"
    record("faults: the second operator", refused_after_s=round(seconds, 1))
    until(lambda: not locked(), 10, "the lock goes with the run")


def test_runs_that_touch_different_hosts_do_not_hinder_each_other(tmp_path: Path) -> None:
    other = next(h.name for h in PLAN.hosts.values() if h.kind == "gateway" and h.hub_slot is None and h != OFFICE)
    first = Controller(tmp_path, "--limit", f"localhost,{other}", task="Look for room")
    try:
        first.wait()
        second = play.run(play.SITE, tmp_path / "second", *LIMIT)
    finally:
        code = first.process.wait(300)
    assert (code, second.code, second.changed) == (0, 0, []), second.output[-3000:]


def test_deploys_and_remediation_keep_off_hosts_that_a_run_has(tmp_path: Path) -> None:
    """Somebody's run has the office: its key is not changed at either end, nor is it brought back to the plan."""
    state = f"wg pubkey <{KEY}; cat /etc/wireguard/*.conf; wg show all peers; ls /var/lib/topology/pending"
    before, other = on(OFFICE.name, state), {OFFICE.name: variables(PLAN, OFFICE)}
    pyinfra = [sys.executable, "-m", "topology", "lab", "run", str(INVENTORY), str(play.PLAYBOOK.with_name("pyinfra"))]
    words = ["--limit", OFFICE.name, "--data", f"gateway={OFFICE.name}"]
    with runlock.held(other, "somebody's run", print):
        rotation = subprocess.run(
            [*pyinfra, "-y", "deploys/inventory.py", "deploys/rotate_keys.py", *words], cwd=ROOT, capture_output=True,
            text=True, check=False, timeout=300, env=os.environ | {"TOPOLOGY_INVENTORY": str(INVENTORY)},
        )  # fmt: skip
        remediation = play.run(
            ROOT / "playbooks/remediate.yml", tmp_path / "report", "--limit", OFFICE.name, "-e", "remediate_confirm=yes"
        )
        assert on(OFFICE.name, state) == before
    for code, output in (
        (rotation.returncode, rotation.stdout + rotation.stderr),
        (remediation.code, remediation.output),
    ):
        said = re.sub(r"\s+", " ", output)
        assert code != 0 and f"{OFFICE.name} is being provisioned by " in said and "(somebody's run, process" in said, (
            output
        )
    until(lambda: not locked(), 10, "the lock goes with its holder")


@pytest.mark.parametrize("machine", [False, True], ids=["process group killed", "controller without power"])
def test_the_lock_of_a_dead_controller_is_free_at_once(tmp_path: Path, machine: bool) -> None:
    first = Controller(tmp_path, *LIMIT, task="base : Install packages", machine=machine)
    first.wait()
    assert "site.yml" in locked()
    first.kill()
    seconds = until(lambda: not locked(), 15, "the lock is free")
    record("faults: the lock of a dead controller", machine=machine, free_after_s=round(seconds, 1))
    comes_right(tmp_path, *LIMIT, changes=False)


def test_a_controller_that_is_silent_loses_its_lock_and_the_next_says_so(tmp_path: Path) -> None:
    """Its line is cut, not its session: the host hears nothing more and nobody tells it."""
    first = Controller(tmp_path, *LIMIT, task="base : Install packages")
    first.wait()
    holder = next(
        int(p) for p in subprocess.run(
            ["pgrep", "-f", f"topology.runlock {first.process.pid}$"], capture_output=True, text=True, check=True
        ).stdout.split()
    )  # fmt: skip
    os.kill(holder, signal.SIGSTOP)
    try:
        first.kill()
        assert locked()
        refused = play.run(play.SITE, tmp_path / "report", *LIMIT)
        assert refused.code != 0 and "last heard of" in refused.output
        seconds = until(lambda: not locked(), 70, "the host takes the controller for dead")
        done = play.run(play.SITE, tmp_path / "report", *LIMIT)
    finally:
        os.kill(holder, signal.SIGKILL)
    assert done.code == 0, done.output[-3000:]
    assert "vanished without a word" in re.sub(r"\s+", " ", done.output)
    record("faults: the lock of a silent controller", free_after_s=round(seconds, 1))
    comes_right(tmp_path, *LIMIT, changes=False)


class FilterWatch(threading.Thread):
    """Looks at a gateway all the time: does it forward without its filter?"""

    def __init__(self, host: str) -> None:
        super().__init__(daemon=True)
        self.host = host
        self.over = threading.Event()
        self.looks, self.open = 0, 0

    def run(self) -> None:
        # forwarding first: no filter a moment later means that there was none then
        look = "cat /proc/sys/net/ipv4/ip_forward; nft list chain inet topology forward | grep -c 'policy drop'"
        while not self.over.wait(0.2):
            forwards, _, filters = lab.exec_in(NAME, self.host, ["sh", "-c", look]).stdout.partition("\n")
            self.looks += 1
            self.open += forwards == "1" and filters.strip() != "1"


@contextmanager
def never_open(host: str = OFFICE.name) -> Iterator[FilterWatch]:
    """The gateway never forwards without its filter meanwhile."""
    watch = FilterWatch(host)
    watch.start()
    try:
        yield watch
    finally:
        watch.over.set()
        watch.join()
    assert watch.looks > 0 and watch.open == 0, f"{watch.open} of {watch.looks} looks: forwards without a filter"


PHASES = [
    # end of the task's name, seconds into it, the whole controller or its process group
    ("Take every host's lock", 0.3, False),
    ("ready | Look for room", 0.1, True),
    ("key | Make the private key where there is none, and read the public one", 0.2, False),
    ("Write the public keys into the inventory", 0.3, True),
    ("Render", 0.5, False),
    ("base : Install packages", 0.5, True),
    ("base : Place and apply", 0.7, True),
    ("filter : Place and load, with the restore armed", 0.4, True),
    ("filter : Place and load, with the restore armed", 1.2, False),
    ("confirm | Open a new session and disarm the restore", 0.0, True),
    ("network : Place and apply", 0.6, True),
    ("gateway : Place and apply", 0.6, True),
    ("gateway : Place and apply", 2.0, False),
]


@pytest.fixture
def changed(tmp_path: Path) -> Iterator[copies.Copy]:
    """Return a copy of the inventories that changes what every role places on the office's gateway."""
    made = copies.copy(tmp_path)
    made.add_old_lan_and_service(OFFICE.site)
    yield made
    made.remove_rendered()


def test_a_controller_killed_in_each_phase_of_a_change(changed: copies.Copy, tmp_path: Path) -> None:
    """Killed thirteen times, each time in a later task, with the change half done; then it is run to its end."""
    began = time.monotonic()
    waits = []
    with lease(), never_open() as watch:
        for task, after, machine in PHASES:
            one = Controller(tmp_path, *LIMIT, task=task, inventory=changed.lab, machine=machine)
            one.wait()
            time.sleep(after)
            assert one.process.poll() is None, f"the run had ended before it was killed in {task}"
            one.kill()
            assert must(OFFICE.name, "true") == "" and lab.ssh(NAME, OFFICE.name, ["true"]) == 0, (
                f"locked out by {task}"
            )
            # every file is whole, old or new: daemons' checkers take them
            must(OFFICE.name, "nft -c -f /etc/nftables.conf && kea-dhcp4 -t /etc/kea/kea-dhcp4.conf >/dev/null 2>&1"
                              " && vtysh -C -f /etc/frr/frr.conf && sshd -t && visudo -cq")  # fmt: skip
            waits.append(round(until(lambda: not locked(), 15, "the lock is free"), 1))
        # what was loaded and not confirmed goes by itself
        begun = time.monotonic()
        until(lambda: not on(OFFICE.name, "topology-filter status").startswith("armed"), 70, "the restore fires")
        restored = round(time.monotonic() - begun, 1)
        done = play.run(play.SITE, tmp_path / "report", *LIMIT, inventory=changed.lab)
        # how much is left depends on how far the last module came, which goes on without its controller
        assert done.code == 0, done.output[-5000:]
        assert "4747" in on(OFFICE.name, "cat /etc/nftables.conf") and "192.168.77" in on(OFFICE.name, "ip address")
        assert on(OFFICE.name, "topology-filter status").strip() == "confirmed"
        again = play.run(play.SITE, tmp_path / "report", *LIMIT, inventory=changed.lab)
        assert again.code == 0 and again.changed == [], again.output[-5000:]
        # and back to what the inventory says
        _, seconds, settled = comes_right(tmp_path)
    assert on(OFFICE.name, "find /etc /usr/local /var/lib/topology -name '.new-*'") == ""
    record("faults: killed in each phase", kills=len(PHASES), lock_free_after_s=max(waits), restored_after_s=restored,
           left_to_the_next_run=len(done.changed), next_run_s=seconds, drift_zero_after_s=settled, looks=watch.looks,
           seconds=round(time.monotonic() - began, 1))  # fmt: skip


def test_rules_that_were_placed_and_never_loaded_do_not_come_with_a_reboot(tmp_path: Path) -> None:
    """A controller that dies between the file and its load leaves a file on the disk that nobody has proved."""
    must(
        OFFICE.name,
        "sed -i 's/ tcp dport 22 .*/ tcp dport 22 drop/' /etc/nftables.conf && nft -c -f /etc/nftables.conf",
    )
    broken = on(OFFICE.name, "cat /etc/nftables.conf")
    begun = time.monotonic()
    lab.reboot_host(NAME, OFFICE.name)
    seconds = time.monotonic() - begun
    assert on(OFFICE.name, "topology-filter status").strip() == "restored /etc/nftables.conf was never confirmed"
    assert on(OFFICE.name, "cat /var/lib/topology/filter/rejected") == broken
    assert on(OFFICE.name, "cat /etc/nftables.conf") != broken
    record("faults: unproved rules and a reboot", ssh_after_s=round(seconds, 1))
    comes_right(tmp_path)


# --- full disks ------------------------------------------------------------------------------------


@contextmanager
def full(host: str, folder: str, room: int = 8) -> Iterator[None]:
    """Put a small file system with a copy of a folder over it and fill it, `room` kB short; copy all back at the end.

    The machine's disk is not filled: the file system is a tmpfs inside the host.
    """
    must(host, f"""
        set -e
        size=$(( $(du -skx {folder} | cut -f 1) + 1024 ))
        mkdir -p /mnt/full && mount -t tmpfs -o mode=0755,size=${{size}}k full /mnt/full
        cp -ax {folder}/. /mnt/full/ && mount --bind /mnt/full {folder} && umount /mnt/full
        dd if=/dev/zero of={folder}/filler bs=1k count=99999999 2>/dev/null || true
        truncate -s -{room}k {folder}/filler
    """)  # fmt: skip
    try:
        yield
    finally:
        # into the files that are there: daemons have them open
        must(host, f"""
            set -e
            rm -f {folder}/filler
            rm -rf /mnt/kept && mkdir -p /mnt && cp -ax {folder} /mnt/kept
            umount -l {folder}
            cd {folder}
            find . -xdev -mindepth 1 | while read -r path; do [ -e "/mnt/kept/$path" ] || rm -rf "$path"; done
            cd /mnt/kept
            find . -type d | sed 's,^,{folder}/,' | xargs mkdir -p
            find . ! -type d | while read -r path; do
                [ -f "$path" ] && cmp -s "$path" "{folder}/$path" || cp -aT "$path" "{folder}/$path"
            done
            cd / && rm -rf /mnt/kept
        """)  # fmt: skip


ROOM = ("-e", "base_room_kb=0")
"""Leaves out the look before anything is begun: the disk is filled up while the run is at work."""


def checksums(host: str) -> str:
    return on(host, "find /etc -type f ! -name filler ! -name '*.db' -exec md5sum {} + | sort -k 2")


@pytest.mark.parametrize("folder", ["/etc", "/var/lib"])
def test_a_full_disk_is_said_before_anything_is_changed(folder: str, tmp_path: Path) -> None:
    before = checksums(OFFICE.name)
    with lease():
        with full(OFFICE.name, folder):
            refused = play.run(play.SITE, tmp_path / "report", *LIMIT)
            said = re.sub(r"\s+", " ", refused.output)
            assert refused.code != 0
            assert not [c for c in refused.changed if c["host"] == OFFICE.name], refused.changed
            assert f"{OFFICE.name} has no room for its files, so nothing was changed on it" in said, refused.output
            assert f"{folder}/.topology-room could not be written: No space left on device" in said, refused.output
            assert checksums(OFFICE.name) == before
        comes_right(tmp_path, changes=False)


def test_a_disk_that_fills_up_while_files_are_placed(changed: copies.Copy, tmp_path: Path) -> None:
    """/etc is full once the run has begun: the host keeps every file as it was."""
    before = checksums(OFFICE.name)
    with lease(), never_open():
        with full(OFFICE.name, "/etc", room=0):
            failed = play.run(play.SITE, tmp_path / "report", *LIMIT, *ROOM, inventory=changed.lab)
            said = re.sub(r"\s+", " ", failed.output)
            assert failed.code != 0
            found = re.search(
                rf"{OFFICE.name}: (/etc/\S+) could not be written: No space left on device: the file system of (\S+) "
                r"has (\d+) kB and \d+ files left; make room there and run again. Nothing was changed on this host",
                said,
            )  # fmt: skip
            assert found, failed.output[-4000:]
            assert checksums(OFFICE.name) == before, "no file is new by halves, none waits beside another"
        record("faults: full while placing", folder="/etc", message=found[0])
        done = play.run(play.SITE, tmp_path / "report", *LIMIT, inventory=changed.lab)
        assert done.code == 0 and done.changed, done.output[-4000:]
        comes_right(tmp_path)


def test_a_disk_without_room_for_the_copy_of_the_rules(changed: copies.Copy, tmp_path: Path) -> None:
    """The filter's state is where the way back is kept: without room for it, new rules are not loaded."""
    rules = "nft -s list table inet topology | sed 's/packets [0-9]* bytes [0-9]*//'"
    before = on(OFFICE.name, rules)
    with lease(), never_open():
        with full(OFFICE.name, "/var/lib/topology", room=0):
            failed = play.run(play.SITE, tmp_path / "report", *LIMIT, *ROOM, inventory=changed.lab)
            said = re.sub(r"\s+", " ", failed.output)
            assert failed.code != 0
            found = re.search(rf"{OFFICE.name}: filter: .{{0,400}}?/var/lib/topology/filter/\S+ No space left on device"
                              r".{0,200}?nothing changed", said)  # fmt: skip
            assert found, failed.output[-4000:]
            assert on(OFFICE.name, rules) == before
        record("faults: full while placing", folder="/var/lib/topology", message=found[0])
        done = play.run(play.SITE, tmp_path / "report", *LIMIT, inventory=changed.lab)
        assert done.code == 0 and done.changed, done.output[-4000:]
        assert on(OFFICE.name, "topology-filter status").strip() == "confirmed"
        comes_right(tmp_path)


# --- half-written files ----------------------------------------------------------------------------

HALVES = [
    "/etc/nftables.conf", "/etc/frr/frr.conf", "/etc/kea/kea-dhcp4.conf", "/etc/kea/kea-dhcp6.conf",
    "/etc/unbound/unbound.conf.d/60-topology.conf", "/etc/radvd.conf", "/etc/chrony/chrony.conf",
    "/etc/systemd/network/20-staff.network", "/etc/ssh/sshd_config.d/10-topology.conf",
    "/etc/sysctl.d/60-topology.conf",
]  # fmt: skip


def test_files_cut_in_half_are_whole_after_the_next_run(tmp_path: Path) -> None:
    there = [path for path in HALVES if on(OFFICE.name, f"test -s {path} && echo yes")]
    assert len(there) >= 9, there
    tunnels = on(OFFICE.name, "ls /etc/wireguard/wg*.conf").split()
    with lease(), never_open():
        for path in (*there, *tunnels):
            must(OFFICE.name, f"truncate -s $(( $(stat -c %s {path}) / 2 )) {path}")
        found = drift(OFFICE.name)
        assert found.returncode == 3
        assert [p for p in (*there, *tunnels) if p not in found.stdout] == [], found.stdout
        done, seconds, settled = comes_right(tmp_path)
    files = {f for c in done.changed if c["host"] == OFFICE.name for f in c["files"]}
    assert files == {*there, *tunnels}
    record("faults: files cut in half", files=len(files), next_run_s=seconds, drift_zero_after_s=settled)


def test_half_a_private_key_is_replaced_and_kept(tmp_path: Path) -> None:
    old = on(OFFICE.name, f"wg pubkey <{KEY}").strip()
    text = on(OFFICE.name, f"cat {KEY}").strip()
    keys = INVENTORY / "keys.yml"
    assert old in keys.read_text(encoding="utf-8")
    must(OFFICE.name, f"truncate -s 20 {KEY}")
    # the far ends learn the new key too
    done, seconds, settled = comes_right(tmp_path)
    new = on(OFFICE.name, f"wg pubkey <{KEY}").strip()
    assert new != old and new in keys.read_text(encoding="utf-8")
    assert on(OFFICE.name, f"cat {KEY}.damaged") == text[:20]
    assert any(c["task"].endswith("key | Make the private key where there is none, and read the public one")
               for c in done.changed)  # fmt: skip
    record("faults: half a private key", next_run_s=seconds, drift_zero_after_s=settled)
    must(OFFICE.name, f"rm {KEY}.damaged")


def test_a_lease_file_cut_in_half_keeps_the_leases_before_the_cut(tmp_path: Path) -> None:
    with lease() as address:
        # the last line is lost in part, as when the power goes
        must(OFFICE.name, f"printf '%s' '{address.rpartition('.')[0]}.223,02:00:00:00:77' >>{LEASES}"
                          " && systemctl restart kea-dhcp4-server")  # fmt: skip
        comes_right(tmp_path, *LIMIT, changes=False)
        assert on(OFFICE.name, "systemctl is-active kea-dhcp4-server").strip() == "active"


def test_a_rendered_tree_that_is_damaged_is_whole_after_the_next_run(tmp_path: Path) -> None:
    tree = ROOT / "build" / "render" / copies.rendered_name(INVENTORY.resolve()) / OFFICE.name
    assert tree.is_dir()
    for path in ("etc/nftables.conf", "etc/frr/frr.conf"):
        os.truncate(tree / path, 100)
    (tree / "etc/radvd.conf").unlink()
    (tree / "etc/left-by-nobody").write_text("x", encoding="utf-8")
    (tree.parent / f".new-{OFFICE.name}").mkdir(exist_ok=True)
    comes_right(tmp_path, *LIMIT, changes=False)
    assert not (tree / "etc/left-by-nobody").exists() and not (tree.parent / f".new-{OFFICE.name}").exists()


@pytest.mark.parametrize("keep", [100, 2000, 6000])
def test_a_history_that_is_damaged_is_kept_and_begun_anew(keep: int, tmp_path: Path) -> None:
    history = tmp_path / "history.sqlite"
    assert drift(OFFICE.name, history=history).returncode == 0
    os.truncate(history, keep)
    done = drift(OFFICE.name, history=history)
    kept = list(tmp_path.glob("history.sqlite.damaged-*"))
    assert done.returncode == 0 and len(kept) == 1 and kept[0].stat().st_size == keep, done.stderr
    assert f"{history} was damaged and is kept as {kept[0]}" in done.stderr
    again = drift(OFFICE.name, history=history)
    assert again.returncode == 0 and not again.stderr.strip()
    with closing(sqlite3.connect(history)) as base:
        assert base.execute("SELECT count(*) FROM sweep").fetchone() == (2,)
    assert standing(history) is not None


def test_an_interrupted_dpkg_is_finished(tmp_path: Path) -> None:
    """dpkg is killed between unpacking and configuring, as by a power cut in the middle of an installation."""
    must(OFFICE.name, "set -e; apt-get -q -y remove rsyslog >/dev/null; cd /tmp;"
                      " apt-get -q download rsyslog >/dev/null; dpkg --unpack rsyslog_*.deb >/dev/null; rm *.deb;"
                      # what a dpkg that is killed leaves of its journal
                      " cp /var/lib/dpkg/status /var/lib/dpkg/updates/0000")  # fmt: skip
    assert "rsyslog" in on(OFFICE.name, "dpkg --audit")
    with lease():
        done, seconds, _ = comes_right(tmp_path)
    assert any(c["task"].endswith("ready | Finish an interrupted installation") for c in done.changed), done.changed
    assert on(OFFICE.name, "dpkg --audit; ls -A /var/lib/dpkg/updates") == ""
    record("faults: interrupted dpkg", next_run_s=seconds)


# --- killed daemons --------------------------------------------------------------------------------

DAEMONS = {
    "frr": "pkill -KILL -x bgpd; pkill -KILL -x zebra; pkill -KILL -x watchfrr",
    "kea": "pkill -KILL -x kea-dhcp4; pkill -KILL -x kea-dhcp6",
    "unbound": "pkill -KILL -x unbound",
    "chrony": "pkill -KILL -x chronyd",
    "radvd": "pkill -KILL -x radvd",
    "rsyslog": "pkill -KILL -x rsyslogd",
    "wireguard": "for w in $(wg show interfaces); do ip link delete $w; done; pkill -KILL wireguard-go",
    "rules": "nft delete table inet topology",
}


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_killed_daemon_runs_after_the_next_run(daemon: str, tmp_path: Path) -> None:
    with lease():
        on(OFFICE.name, DAEMONS[daemon])
        found = drift(OFFICE.name)
        begun = time.monotonic()
        done = play.run(play.SITE, tmp_path / "report", *LIMIT)
        assert done.code == 0, done.output[-5000:]
        again = play.run(play.SITE, tmp_path / "report", *LIMIT)
        assert again.code == 0 and again.changed == [], again.output[-5000:]
        as_planned()
        record("faults: killed daemon", daemon=daemon, findings_at_once=len(found.stdout.splitlines()),
               by_the_run=sorted({u for c in done.changed for u in c["units"]}),
               as_planned_after_s=round(time.monotonic() - begun, 1))  # fmt: skip


# --- packets lost ----------------------------------------------------------------------------------


@contextmanager
def losing(percent: int, *hosts: str) -> Iterator[None]:
    """Lose a share of what arrives at hosts, on every interface and the management network too."""
    drop = f"numgen random mod 100 < {percent} counter drop"
    rules = f"table inet faults_lost {{ chain lost {{ type filter hook prerouting priority -400; {drop}; }}; }}"
    enter = {host: ["ip", "netns", "exec", LabNames(NAME).host_netns(host), "nft"] for host in hosts}
    for command in enter.values():
        subprocess.run([*command, "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        for command in enter.values():
            subprocess.run([*command, "delete", "table", "inet", "faults_lost"], check=True)


def test_a_run_over_a_line_that_loses_packets(changed: copies.Copy, tmp_path: Path) -> None:
    """One packet in seven is lost in each direction at the gateway, SSH's too, while a change is applied."""
    begun = time.monotonic()
    with lease(), never_open():
        with losing(15, OFFICE.name):
            done = play.run(play.SITE, tmp_path / "report", *LIMIT, inventory=changed.lab, timeout=800)
            seconds = round(time.monotonic() - begun, 1)
            lost = on(OFFICE.name, "nft list table inet faults_lost")
        assert done.code == 0 or "restored" in done.output or "UNREACHABLE" in done.output, done.output[-5000:]
        found = re.search(r"packets (\d+)", lost)
        assert found and int(found[1]) > 50
        record("faults: 15 % lost", code=done.code, seconds=seconds, lost=int(found[1]))
        comes_right(tmp_path)


# --- a long, bad line ------------------------------------------------------------------------------


def sessions() -> dict[str, tuple[str, int]]:
    """Return the office's BGP neighbours: state, and how often each came up."""
    told = json.loads(on(OFFICE.name, "vtysh -c 'show bgp neighbors json'"))
    return {name: (n["bgpState"], n["connectionsEstablished"]) for name, n in told.items() if "bgpState" in n}


def established() -> bool:
    return all(state == "Established" for state, _ in sessions().values())


def reached(count: int = 20) -> tuple[int, float]:
    """Return how many of some echo requests of a desk the centre's desk answered, and the mean time in ms."""
    centre = next(
        h for h in PLAN.hosts.values() if h.kind == "pc" and h.site == PAIR[0].site and network(h) == "server"
    )
    address = next(centre.of_kind("host")).addresses[0]
    said = on(desk(OFFICE.site).name, f"ping -n -q -i 0.25 -c {count} -W 2 {address}")
    found, mean = re.search(r"(\d+) received", said), re.search(r"= [\d.]+/([\d.]+)/", said)
    assert found, said
    return int(found[1]), float(mean[1]) if mean else 0.0


@pytest.mark.parametrize(
    ("delay", "jitter", "loss", "holds"),
    [(150, 30, 2, True), (400, 100, 25, False)],
    ids=["satellite", "nearly dead"],
)
def test_tunnels_and_routing_over_a_long_line_that_loses(
    delay: int, jitter: int, loss: int, holds: bool, tmp_path: Path
) -> None:
    """The office's uplink goes through a relay: what must hold holds, and what cannot comes back by itself."""
    until(established, 120)
    assert reached()[0] >= 19
    before = sessions()
    lab.slow_wire(NAME, "internet", delay=delay / 1000, jitter=jitter / 1000, loss=loss / 100, host=OFFICE.name)
    try:
        begun = time.monotonic()
        answered, mean = reached(40)
        while time.monotonic() - begun < 60:
            time.sleep(2)
        during = sessions()
        applied = play.run(play.SITE, tmp_path / "report", *LIMIT)
    finally:
        lab.heal_wire(NAME, "internet")
    back = until(lambda: established() and reached(4)[0] == 4, 180, "sessions and a desk's way to the centre")
    flaps = sum(after - before[name][1] for name, (_, after) in during.items() if name in before)
    record("faults: a long line", delay_ms=delay, jitter_ms=jitter, loss_percent=loss, answered=answered, of=40,
           mean_ms=mean, came_up_anew=flaps, back_after_s=round(back, 1))  # fmt: skip
    if holds:
        assert flaps == 0 and all(state == "Established" for state, _ in during.values()), during
        assert answered >= 32 and mean >= 2 * delay * 0.8
    # a run meanwhile goes over the management network, and has nothing to do
    assert applied.code == 0 and applied.changed == [], applied.output[-4000:]
    comes_right(tmp_path, *LIMIT, changes=False)


def test_the_second_member_takes_over_across_a_bad_line(tmp_path: Path) -> None:
    """A member of the centre's pair loses its power while the office's line is bad: the other one carries on."""
    until(established, 120)
    first = PAIR[0]
    lab.slow_wire(NAME, "internet", delay=0.1, jitter=0.02, loss=0.05, host=OFFICE.name)
    try:
        lab.kill_host(NAME, first.name)
        begun = time.monotonic()
        until(lambda: reached(4)[0] >= 3, 90, "the desk reaches the centre by the other member")
        took = round(time.monotonic() - begun, 1)
    finally:
        lab.heal_wire(NAME, "internet")
        lab.start_host(NAME, first.name)
    record("faults: a member dies behind a bad line", reached_after_s=took)
    until(established, 180)
    comes_right(tmp_path, changes=False)
