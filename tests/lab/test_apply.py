"""Applying: --check says exactly what the run then changes, and a second run changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import copies, play
from tests.lab.figures import record
from tests.lab.where import INVENTORY
from topology import lab
from topology.inventory import plan_of
from topology.render import render_host

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(600)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
OFFICE = next(h for h in PLAN.hosts.values() if h.kind == "gateway" and PLAN.sites[h.site].place.kind == "skpd")
KECAMATAN = next(h for h in PLAN.hosts.values() if h.kind == "gateway" and PLAN.sites[h.site].place.kind == "kecamatan")
LIMIT = ("--limit", f"localhost,{OFFICE.name},{KECAMATAN.name}")


@pytest.fixture
def changed(tmp_path: Path) -> Iterator[copies.Copy]:
    """Return a copy of the inventories in which an office has its old LAN back, and staff one more service."""
    made = copies.copy(tmp_path)
    made.add_old_lan_and_service(OFFICE.site)
    try:
        yield made
    finally:
        back = play.run(play.SITE, tmp_path / "report", *LIMIT)
        made.remove_rendered()
        assert back.code == 0, back.output


def test_check_predicts_what_the_run_changes(changed: copies.Copy, tmp_path: Path) -> None:
    report = tmp_path / "report"
    predicted = play.run(play.SITE, report, "--check", "--diff", *LIMIT, inventory=changed.lab)
    assert predicted.code == 0, predicted.output
    assert not has_it(), "check changes nothing"
    assert "+" in predicted.output and "4747" in predicted.output, "--diff shows the change"

    done = play.run(play.SITE, report, "--diff", *LIMIT, inventory=changed.lab)
    assert done.code == 0, done.output
    assert done.changes == predicted.changes
    files = {
        host: {f for h, _, _, fs in done.changes if h == host for f in fs} for host in (OFFICE.name, KECAMATAN.name)
    }
    assert "/etc/nftables.conf" in files[KECAMATAN.name]
    assert files[OFFICE.name] >= {
        "/etc/nftables.conf", "/etc/kea/kea-dhcp4.conf", "/etc/systemd/network/20-staff.network",
    }  # fmt: skip
    assert has_it()
    plan = plan_of(changed.lab)
    for host, paths in files.items():
        rendered = render_host(plan, plan.hosts[host])
        assert {p for p in paths if on(host, f"cat {p}") != rendered[p.lstrip("/")]} == set()

    again = play.run(play.SITE, report, *LIMIT, inventory=changed.lab)
    assert again.code == 0 and again.changes == set(), again.output

    # the way back is predicted as well
    predicted = play.run(play.SITE, report, "--check", *LIMIT)
    back = play.run(play.SITE, report, *LIMIT)
    assert back.changes == predicted.changes != set()
    assert not has_it()
    record("apply: --check against the run", predicted=len(predicted.changes), files=sum(map(len, files.values())))


@pytest.mark.long  # `make lab` applies twice too
def test_a_second_run_of_everything_changes_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    done = play.run(play.SITE, tmp_path / "report")
    assert done.code == 0 and done.changes == set(), done.output
    hosts = len([h for h in PLAN.hosts.values() if h.managed])
    record("apply: site.yml with nothing to do", hosts=hosts, seconds=round(time.monotonic() - began, 1))


def on(host: str, command: str) -> str:
    return lab.exec_in(NAME, host, ["sh", "-c", command]).stdout


def has_it() -> bool:
    """Say whether the office's gateway has anything of the change."""
    said = on(OFFICE.name, "cat /etc/nftables.conf /etc/kea/kea-dhcp4.conf; ip address show")
    return "192.168.77." in said or "4747" in said
