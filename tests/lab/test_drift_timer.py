"""The timer in the lab: a monitoring host sweeps by itself and tells only what changed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab import play
from tests.lab.where import INVENTORY, ROOT
from topology import lab
from topology.inventory import groups, plan_of
from topology.lab.names import LAB_USER, LabNames

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(600)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
NAMES = LabNames(NAME)
HOST = next(iter(groups(PLAN).get("service_monitoring", [])), "")
TIMER = ROOT / "playbooks" / "drift_timer.yml"
STATE = "/var/lib/topology-drift"


def run(*command: str, stdin: str | None = None, code: int = 0) -> str:
    done = lab.exec_in(NAME, HOST, command, stdin=stdin)
    assert done.returncode == code, f"{' '.join(command)}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def sweep() -> dict[str, object]:
    """Have the timer's service run once and return its report."""
    run("systemctl", "start", "topology-drift.service")
    return json.loads(run("cat", f"{STATE}/drift.json"))


def alerts() -> list[str]:
    return [a for a in run("cat", f"{STATE}/alerts").split("=====\n") if a]


@pytest.fixture(scope="module", autouse=True)
def timer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Install it with a key that may log in; a lab's expectations name the lab's own key."""
    if not HOST:
        pytest.fail(f"{INVENTORY} has no monitoring host")
    folder = tmp_path_factory.mktemp("timer")
    values = {
        "drift_private_key": str(NAMES.private_key), "drift_user": LAB_USER, "drift_only": [HOST],
        "drift_calendar": "2099-01-01", "drift_alert": f"cat >>{STATE}/alerts; echo ===== >>{STATE}/alerts",
    }  # fmt: skip
    options = ["--limit", HOST, "-e", json.dumps(values)]
    public = NAMES.private_key.with_suffix(".pub")
    run("sh", "-c", f"mkdir -p {public.parent} && cat >{public}", stdin=public.read_text())
    done = play.run(TIMER, folder / "r", *options)
    try:
        assert done.code == 0, done.output[-6000:]
        again = play.run(TIMER, folder / "r", *options)
        assert again.code == 0, again.output[-6000:]
        assert not again.changed
        run("sh", "-c", f": >{STATE}/alerts")
        yield options
    finally:
        lab.exec_in(NAME, HOST, ["sh", "-c", (
            "systemctl disable --now topology-drift.timer; userdel --remove stranger; "
            f"rm -rf {STATE} /etc/topology/drift /usr/local/lib/topology-drift /usr/local/sbin/topology-drift "
            f"/etc/systemd/system/topology-drift.* {public.parent}; systemctl daemon-reload")])  # fmt: skip


def test_the_timer_waits() -> None:
    assert run("systemctl", "is-active", "topology-drift.timer").strip() == "active"
    assert "topology-drift.service" in run("systemctl", "list-timers", "--all")


def test_it_tells_only_what_changed() -> None:
    assert sweep()["findings"] == []
    assert alerts() == []
    run("useradd", "--create-home", "--shell", "/bin/bash", "stranger")
    report = sweep()
    assert [(f["host"], f["kind"], f["thing"]) for f in report["findings"]] == [(HOST, "user", "stranger")]
    told = alerts()
    assert len(told) == 1
    assert f"{HOST}: unexpected user stranger" in told[0]
    again = sweep()
    assert len(again["findings"]) == 1
    assert again["findings"][0]["since"] == report["at"]
    assert alerts() == told
    run("userdel", "--remove", "stranger")
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


def test_hosts_that_the_policy_keeps_from_it_are_unobserved_not_clean() -> None:
    other = next(h.name for h in PLAN.hosts.values() if h.managed and h.kind == "gateway")
    root = "/usr/local/lib/topology-drift/current"
    inventory = INVENTORY.resolve().relative_to(ROOT)
    run("sh", "-c", f"cd {root} && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={root}:{root}/packages "
        f"python3 -m topology drift {inventory} --ssh-config /etc/topology/drift/ssh_config "
        f"--hosts {other} --hosts {HOST} "
        "--history /run/h.sqlite --json /run/h.json", code=3)  # fmt: skip
    found = json.loads(run("cat", "/run/h.json"))["findings"]
    run("rm", "/run/h.json", "/run/h.sqlite")
    assert [(f["host"], f["state"]) for f in found] == [(other, "unobserved")]
