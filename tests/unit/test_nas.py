"""The command `nas`: the lease, what is kept, what is sent, what is restored; and its rendered files."""

from __future__ import annotations

import datetime
import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from topology.allocate import Plan
from topology.inventory import plan_of
from topology.nas import config, lease, manifest, restore, store
from topology.nas.config import FORMAT, NasError
from topology.nas.lease import GRANT, HOLD, RENEW, STOP, Record, answer
from topology.nas.replicate import plan as to_send
from topology.render import nas, render_host
from topology.render.common import context_of

ROOT = Path(__file__).parents[2]
UTC = datetime.UTC
DAY = datetime.date(2026, 11, 26)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(ROOT / "molecule" / "nas" / "lab")


# -- lease -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("known", "epoch", "candidate", "granted"), [
    (Record(), 1, "a", True),
    (Record(1, "a", age=5), 1, "a", True),
    (Record(1, "a", age=500), 1, "a", True),
    (Record(1, "a", age=5), 1, "b", False),
    (Record(1, "a", age=500), 1, "b", False),
    (Record(1, "a", age=5), 2, "b", False),
    (Record(1, "a", age=GRANT - 0.1), 2, "b", False),
    (Record(1, "a", age=GRANT + 0.1), 2, "b", True),
    (Record(2, "b", age=500), 1, "a", False),
    (Record(2, "b", age=5), 3, "b", True),
    (Record(1, "a", age=500), 2, "", False),
])  # fmt: skip
def test_a_lease_is_granted_to_one(known: Record, epoch: int, candidate: str, granted: bool) -> None:
    said, after = answer(known, epoch, candidate)
    assert said is granted
    assert (after.epoch, after.holder) == ((epoch, candidate) if granted else (known.epoch, known.holder))


def test_the_old_one_stops_before_a_new_one_can_begin() -> None:
    """Step by step, in every order of losses of two links: nobody is granted what another still uses."""
    assert HOLD + STOP + 2 < GRANT and HOLD > 2 * RENEW
    unit = (ROOT / "topology" / "templates" / "nas" / "nas-smb.service.j2").read_text()
    assert f"TimeoutStopSec={STOP:g}\n" in unit
    for cut in range(60):
        grantor, valid = Record(1, "a", age=0.0), HOLD
        for second in range(120):
            if second < cut:  # a renews at the grantor
                said, grantor = answer(replace(grantor, age=min(grantor.age, 1.0)), 1, "a")
                valid = second + HOLD if said else valid
            else:
                grantor = replace(grantor, age=float(second - cut + 1))
            if answer(grantor, 2, "b")[0]:
                assert second >= valid, f"cut at {cut}: b begins at {second}, a serves until {valid}"
                break
        else:
            pytest.fail("b never gets the lease")


def test_right_after_a_reboot_a_lease_counts_as_granted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RUN", "STATE"):
        monkeypatch.setattr(config, name, tmp_path / name)
    monkeypatch.setattr(lease, "_FILE", tmp_path / "lease.json")
    monkeypatch.setattr(lease, "_RENEWED", tmp_path / "run" / "renewed")
    lease.put(Record(3, "a"))
    lease.release()
    assert not lease.read().alive
    (tmp_path / "run" / "renewed").unlink()  # the reboot
    assert lease.read().alive and not lease.ask(4, "b")[0]
    assert lease.ask(3, "a")[0]


# -- snapshots ---------------------------------------------------------------------------------


def names(*ages: datetime.timedelta) -> dict[datetime.timedelta, str]:
    return {age: (NOW - age).strftime(FORMAT) for age in ages}


NOW = datetime.datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC)
MINUTE = datetime.timedelta(minutes=1)


def test_a_minutely_year_is_thinned_to_what_people_use() -> None:
    kept: set[str] = set()
    begin = NOW - datetime.timedelta(days=3)
    for minute in range(3 * 24 * 60 + 1):
        now = begin + minute * MINUTE
        kept.add(now.strftime(FORMAT))
        kept -= store.superfluous(kept, now)
    ages = sorted((NOW - config.moment(n)).total_seconds() / 60 for n in kept)
    assert ages[0] == 0
    assert [a for a in ages if a <= 15] == list(range(16)), "every minute of the last quarter of an hour"
    two_hours = [a for a in ages if 15 < a <= 120]
    assert 18 <= len(two_hours) <= 22 and max(b - a for a, b in pairwise(two_hours)) <= 5
    assert max(b - a for a, b in pairwise(ages) if b <= 2 * 24 * 60) <= 60
    assert len(kept) < 100 and ages[-1] >= 2 * 24 * 60


def test_the_newest_stays_however_old_it_is() -> None:
    old = names(datetime.timedelta(days=900), datetime.timedelta(days=901))
    assert store.superfluous(old.values(), NOW) == {old[datetime.timedelta(days=901)]}


@pytest.mark.parametrize(("mine", "theirs", "expected"), [
    ({}, {}, None),
    ({"1": "x"}, {"1": "x"}, None),
    ({"1": "x"}, {}, ("1", None)),
    ({"1": "x", "2": "y"}, {"1": "x"}, ("2", "1")),
    ({"1": "x", "2": "y", "3": "z"}, {"1": "x", "2": "other"}, ("3", "1")),
    ({"1": "x", "2": "y"}, {"2": "corrupted", "1": "x"}, ("2", "1")),
    ({"1": "x", "2": "y"}, {"0": "w"}, ("2", None)),
])  # fmt: skip
def test_what_is_sent_is_the_difference_from_what_both_have(
    mine: dict[str, str], theirs: dict[str, str], expected: tuple[str, str | None] | None
) -> None:
    assert to_send(mine, theirs) == expected


# -- digests -----------------------------------------------------------------------------------


def digest(root: Path, known: manifest.Hashes | None = None) -> tuple[bytes, manifest.Hashes]:
    fresh: manifest.Hashes = {}
    return b"".join(manifest.lines(root, known or {}, fresh)), fresh


def test_a_digest_sees_every_kind_of_change(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "surat.txt"
    file.write_text("satu")
    before, known = digest(tmp_path)
    assert digest(tmp_path, known)[0] == before
    status = file.stat()
    file.write_text("dua!")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest(tmp_path, known)[0] != before, "content with the old size and time"
    file.write_text("satu")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest(tmp_path)[0] == before
    file.chmod(0o600)
    assert digest(tmp_path)[0] != before, "rights"
    file.chmod(status.st_mode & 0o7777)
    (tmp_path / "a" / "b").symlink_to("surat.txt")
    assert digest(tmp_path)[0] != before, "another name"


# -- restore -----------------------------------------------------------------------------------


def test_a_restore_takes_the_newest_version_not_younger_than_the_time() -> None:
    snaps = ["@GMT-2026.11.26-01.00.00", "@GMT-2026.11.26-02.00.00", "@GMT-2026.11.26-03.00.00"]
    at = restore.when("2026-11-26 10:30", "Asia/Makassar")
    assert at.astimezone(UTC).hour == 2
    assert restore.newest(snaps, at) == snaps[1]
    assert restore.newest(snaps, restore.when("2026-11-26", "Asia/Makassar")) == snaps[2], "a day: its last"
    assert restore.newest(snaps, restore.when("2026-11-25", "UTC")) is None
    with pytest.raises(NasError, match="no time"):
        restore.when("kemarin", "UTC")


def test_a_restore_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    base, other = tmp_path / "users" / "ani", tmp_path / "users" / "budi"
    for folder in (base / "private", other / "private"):
        folder.mkdir(parents=True)
    (base / "private" / "tautan").symlink_to(other / "private")
    assert restore.inside(base, "private") == base / "private"
    for path in ("../budi/private", "private/../../budi", "private/tautan/.", "/private/tautan"):
        with pytest.raises(NasError, match="leads out"):
            restore.inside(base, path)
    with pytest.raises(NasError, match="not there"):
        restore.inside(base, "private/tidak-ada")
    with pytest.raises(NasError):
        restore.place(base, "private")
    with pytest.raises(NasError):
        restore.place(base, "hilang/x")


@pytest.mark.parametrize(
    "name", ["", "../x", "files/users/../x", "files/users/", "files/users/A", "live", "accounts/x"]
)
def test_only_datasets_are_datasets(name: str) -> None:
    with pytest.raises(NasError):
        config.dataset(name)


# -- rendering ---------------------------------------------------------------------------------


def test_the_rendered_configuration_is_what_the_command_reads(plan: Plan, tmp_path: Path) -> None:
    context = context_of(plan, DAY)
    path = tmp_path / "nas.json"
    path.write_text(render_host(plan, plan.hosts["drc1-nas1"], context)["etc/topology/nas.json"])
    read = config.load(path)
    assert (read.host, read.first, read.peers, read.majority) == ("drc1-nas1", "dc-nas1", ("dc-nas1", "drc2-nas1"), 2)
    assert set(read.current()) == {"ani", "budi", "citra", "dewi"} and read.users["eko"].left is not None
    assert read.users["budi"].quota == 64 * 2**20


def test_files_keep_their_owners_on_every_nas(plan: Plan) -> None:
    context = context_of(plan, DAY)
    found = [render_host(plan, plan.hosts[n], context) for n in nas.nodes(plan)]
    same = ("var/lib/extrausers/passwd", "var/lib/extrausers/group", "etc/samba/smb.conf")
    for path in same:
        assert len({f[path].partition("\n")[2] for f in found}) == 1, path
    sids = {json.loads(f["etc/topology/nas.json"].partition("\n")[2])["sid"] for f in found}
    assert len(sids) == 1


def test_who_left_has_no_account_and_no_share(plan: Plan) -> None:
    files = render_host(plan, plan.hosts["dc-nas1"], context_of(plan, DAY))
    assert "eko" not in files["var/lib/extrausers/passwd"] and "[eko]" not in files["etc/samba/smb.conf"]
    assert "[ani]" in files["etc/samba/smb.conf"]
    before = render_host(plan, plan.hosts["dc-nas1"], context_of(plan, datetime.date(2026, 1, 30)))
    assert "eko" in before["var/lib/extrausers/passwd"], "until the day comes"


def test_production_has_no_invented_people() -> None:
    plan = plan_of(ROOT / "inventories" / "luwu")
    assert not plan.district.users.users
    files = render_host(plan, plan.hosts["dc-nas1"], context_of(plan, DAY))
    assert json.loads(files["etc/topology/nas.json"].partition("\n")[2])["users"] == []


def test_only_a_nas_has_a_nas_s_files(plan: Plan) -> None:
    assert not nas.files(context_of(plan), plan.hosts["dc-a"])
    assert not nas.files(context_of(plan), plan.hosts["dc-client"])


def test_a_job_of_another_role_does_not_count_as_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that gave up what it worked on must still prepare before it serves again."""
    from topology.nas import agent

    monkeypatch.setattr(agent, "load", lambda: None)
    one, did = agent.Agent(), list[str]()
    while not one._beside("give up 2", lambda: did.append("gave up")):
        pass
    one._job = ("give up 2", one._pool.submit(lambda: did.append("gave up again")))
    while not one._beside("serve 3", lambda: did.append("prepared")):
        pass
    assert did == ["gave up", "gave up again", "prepared"]


def test_nothing_begins_empty_where_there_is_a_snapshot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from topology.nas import accounts, disk

    monkeypatch.setattr(disk, "SNAP", tmp_path / "snap")
    monkeypatch.setattr(disk, "LIVE", tmp_path / "live")
    assert accounts.may_begin("files/users/ani")
    (tmp_path / "snap" / "files" / "users" / "ani" / "@GMT-2026.11.26-11.32.01").mkdir(parents=True)
    assert not accounts.may_begin("files/users/ani")
