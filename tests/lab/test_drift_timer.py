"""The timer in the lab: a host of the administrators sweeps by itself, can do nothing else, and tells what changed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab import play
from tests.lab.figures import record
from tests.lab.where import INVENTORY, ROOT
from topology import cli, lab
from topology.inventory import groups, own_address, plan_of
from topology.lab.names import LabNames
from topology.render.reader import KEYS, PROGRAM, USER

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(900)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
HOST = next(iter(groups(PLAN).get("service_management", [])), "")
READ = [h.name for h in PLAN.hosts.values() if h.managed and h.kind != "internet"]
GATEWAYS = [h.name for h in PLAN.hosts.values() if h.kind == "gateway"]
FAR = next(h.name for h in PLAN.hosts.values() if h.kind == "guest" and h.managed)
TIMER = ROOT / "playbooks" / "drift_timer.yml"
STATE = "/var/lib/topology-drift"
SSH = "ssh -F /etc/topology/drift/ssh_config -o BatchMode=yes -o ConnectTimeout=5 -o LogLevel=ERROR"


def run(*command: str, host: str = "", stdin: str | None = None, code: int | None = 0) -> str:
    done = lab.exec_in(NAME, host or HOST, command, stdin=stdin)
    assert code is None or done.returncode == code, f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + (done.stderr if code != 0 else "")


def sweep() -> dict[str, object]:
    """Have the timer's service run once and return its report."""
    run("systemctl", "start", "topology-drift.service")
    return json.loads(run("cat", f"{STATE}/drift.json"))


def alerts() -> list[str]:
    return [a for a in run("cat", f"{STATE}/alerts").split("=====\n") if a]


def applied(playbook, report, *options: str) -> play.Run:  # type: ignore[no-untyped-def]
    done = play.run(playbook, report, *options, timeout=800)
    assert done.code == 0, done.output[-6000:]
    return done


@pytest.fixture(scope="module", autouse=True)
def timer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install it as a person does: the timer, then site.yml, which lets it in."""
    if not HOST:
        pytest.fail(f"{INVENTORY} has no host of the service `management`")
    report = tmp_path_factory.mktemp("timer") / "r"
    # a lab's expectations name the lab's own key, which the machine has that booted it
    public = LabNames(NAME).private_key.with_suffix(".pub")
    run("sh", "-c", f"mkdir -p {public.parent} && cat >{public}", stdin=public.read_text())
    values = {
        "drift_only": READ, "drift_calendar": "2099-01-01",
        "drift_alert": f"cat >>{STATE}/alerts; echo ===== >>{STATE}/alerts",
    }  # fmt: skip
    options = ["-e", json.dumps(values)]
    first = applied(TIMER, report, *options)
    assert "run playbooks/site.yml" in first.output
    applied(play.SITE, report)
    # what is swept is what the archive holds: nothing was changed since, so nothing is
    for playbook, more in ((TIMER, options), (play.SITE, [])):
        assert not applied(playbook, report, *more).changed
    run("sh", "-c", f": >{STATE}/alerts")
    yield
    run("sh", "-c", "systemctl disable --now topology-drift.timer; "
        f"rm -rf {STATE} /etc/topology/drift /usr/local/lib/topology-drift /usr/local/sbin/topology-drift "
        f"/etc/systemd/system/topology-drift.* {public.parent}; systemctl daemon-reload", code=None)  # fmt: skip


def test_the_timer_waits() -> None:
    assert run("systemctl", "is-active", "topology-drift.timer").strip() == "active"
    assert "topology-drift.service" in run("systemctl", "list-timers", "--all")


def test_it_tells_only_what_changed_on_any_host() -> None:
    first = sweep()
    assert first["findings"] == []
    assert sorted(first["hosts"]) == sorted(READ)
    assert alerts() == []
    changed = [HOST, GATEWAYS[-1], FAR]
    for name in changed:
        run("useradd", "--create-home", "--shell", "/bin/bash", "stranger", host=name)
    try:
        report = sweep()
        assert sorted((f["host"], f["kind"], f["thing"]) for f in report["findings"]) == sorted(
            (name, "user", "stranger") for name in changed
        )
        told = alerts()
        assert len(told) == 1
        # hosts with the same finding share a line
        (line,) = [x for x in told[0].splitlines() if ": unexpected user stranger" in x]
        assert sorted(line.partition(":")[0].split(", ")) == sorted(changed)
        again = sweep()
        assert [f["since"] for f in again["findings"]] == [report["at"]] * 3
        assert alerts() == told
    finally:
        for name in changed:
            run("userdel", "--remove", "stranger", host=name, code=None)
    sweep()
    assert len(alerts()) == 2
    assert "gone: " in alerts()[1]
    for name in ("html", "junit"):
        assert run("cat", f"{STATE}/drift.{name}").strip()


def test_a_sweep_that_cannot_be_done_is_told_once() -> None:
    before = len(alerts())
    link, target = "/usr/local/lib/topology-drift/current", "/usr/local/lib/topology-drift/away"
    run("mv", link, target)
    try:
        for _ in range(2):
            run("systemctl", "start", "topology-drift.service", code=1)
    finally:
        run("mv", target, link)
    assert "could not be looked for" in alerts()[before]
    sweep()
    assert [a.strip() for a in alerts()[before + 1 :]] == ["drift is looked for again"]


@pytest.mark.parametrize("what", ["id", "cat /etc/shadow", "sudo -n id", "sh -s", "/usr/lib/openssh/sftp-server"])
def test_its_key_can_only_read(what: str) -> None:
    target = own_address(PLAN.hosts[GATEWAYS[-1]])
    # the word that it is told is no command either, and the program takes no other line
    for line in ("word=$(id)", "word=a;id", "word=`id`", "id", "", "word=" + "a" * 65):
        said = run("sh", "-c", f"{SSH} {target} {what!r}", stdin=f"{line}\nid\ncat /etc/shadow\n", code=64)
        assert not said.strip(), said
    said = run("sh", "-c", f"{SSH} {target} {what!r}", stdin="word=topology-0\nid\ncat /etc/shadow\n")
    assert "topology-0 end time 0" in said
    assert "uid=0(" not in said
    assert "root:*" not in said


def test_its_key_opens_no_other_way() -> None:
    target = own_address(PLAN.hosts[GATEWAYS[-1]])
    listed = run("sh", "-c", f"echo 'ls /' | sftp -F /etc/topology/drift/ssh_config -b - {target}", code=255)
    assert "etc" not in listed
    # the daemon there would greet whom it lets in
    forwarded = run("sh", "-c", f"sleep 2 | {SSH} -W 127.0.0.1:22 {target}", code=None)
    assert "SSH-2.0" not in forwarded
    terminal = run("sh", "-c", f"{SSH} -tt {target} id </dev/null", code=None)
    assert "uid=" not in terminal
    # nor from anywhere else
    key = run("cat", "/etc/topology/drift/key")
    run("sh", "-c", "umask 077; cat >/run/stolen", host=FAR, stdin=key)
    try:
        said = run("sh", "-c", f"ssh -i /run/stolen -o BatchMode=yes -o StrictHostKeyChecking=no "
                   f"-o UserKnownHostsFile=/dev/null {USER}@127.0.0.1 id", host=FAR, code=255)  # fmt: skip
    finally:
        run("rm", "/run/stolen", host=FAR)
    assert "Permission denied" in said


def test_no_secret_leaves_a_gateway() -> None:
    for name in GATEWAYS:
        said = run(f"/{PROGRAM}", host=name, stdin="word=topology-0\n")
        assert "topology-0 end peers 0" in said
        private = run("cat", "/etc/wireguard/private.key", host=name).strip()
        assert len(private) == 44
        assert private not in said
        for line in run("cat", "/etc/shadow", host=name).splitlines():
            secret = line.split(":")[1].lstrip("!*")
            assert len(secret) < 10 or secret not in said


def test_a_host_that_the_policy_keeps_from_it_is_unobserved_not_clean() -> None:
    outside = next(h.name for h in PLAN.hosts.values() if h.kind == "internet")
    root = "/usr/local/lib/topology-drift/current"
    inventory = INVENTORY.resolve().relative_to(ROOT)
    run("sh", "-c", f"cd {root} && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={root}:{root}/packages "
        f"python3 -m topology drift {inventory} --ssh-config /etc/topology/drift/ssh_config "
        f"--hosts {outside} --hosts {HOST} "
        "--history /run/h.sqlite --json /run/h.json", code=3)  # fmt: skip
    found = json.loads(run("cat", "/run/h.json"))["findings"]
    run("rm", "/run/h.json", "/run/h.sqlite")
    assert [(f["host"], f["state"]) for f in found] == [(outside, "unobserved")]


def test_a_key_that_is_taken_back_opens_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The last: it takes the reader away."""
    report = sweep()
    assert report["findings"] == []
    record("drift: a sweep by the timer, over the network", hosts=len(READ), seconds=report["seconds"])
    assert cli.main(["keys", str(INVENTORY), "--section", "readers", f"{HOST}="]) == 0
    applied(play.SITE, tmp_path_factory.mktemp("back") / "r")
    for name in READ:
        run("sh", "-c", f"! test -e /{PROGRAM} && ! test -e /{KEYS} && ! getent passwd {USER}", host=name)
    for f in sweep()["findings"]:
        assert f["state"] == "unobserved", f
