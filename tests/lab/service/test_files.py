"""Files: what people may and may not, previous versions, quotas, replication, and losing the data centre."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import play
from tests.lab.figures import record
from tests.lab.files import FAR, HERE, NAME, NAS, NEAR, PLAN, STABLE, Person, active, listens, nas, status, until
from tests.lab.services import run
from topology import lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(420), pytest.mark.journal("nas-agent", "nas-smb")]
People = dict[str, Person]
OLD = (
    r"(protocol negotiation|Protocol negotiation to server \S+ \(for a protocol between \S+ and \S+\)) failed: "
    "NT_STATUS_(INVALID_NETWORK_RESPONSE|NOT_SUPPORTED)"
)
"""As smbclient 4.17 and 4.22 say it."""
CIPHERS = ("AES-128-GCM", "AES-256-GCM", "AES-128-CCM", "AES-256-CCM")
CONFIG = "/etc/topology/nas.json"


@pytest.fixture(scope="module")
def people() -> Iterator[People]:
    """Everybody of users.yml, with a new password; the stable name leads to all three NAS, as in the district's DNS."""
    for desk in (FAR, NEAR):
        run(NAME, desk, "sh", "-c", "command -v smbclient || { apt-get -qq update; "
            "apt-get -qq install --no-install-recommends smbclient; }")  # fmt: skip
        lines = "".join(f"{address} {STABLE}\n" for address in HERE.values())
        run(NAME, desk, "sh", "-c", f"sed -i '/{STABLE}/d' /etc/hosts; cat >>/etc/hosts", stdin=lines)
    until("one NAS serves", 60, lambda: sum(status(n)["serving"] for n in NAS) == 1)
    if active() != NAS[0]:
        nas(active(), "hand-over", NAS[0])
        until("the first NAS serves", 60, lambda: status(NAS[0])["serving"])
    current = [p.name for p in PLAN.district.users.users if p.left is None]
    yield {name: Person(name, nas(NAS[0], "password", name, "--again").strip()) for name in current}
    for desk in (FAR, NEAR):
        run(NAME, desk, "sed", "-i", f"/{STABLE}/d", "/etc/hosts")


def test_private_is_the_owners_and_public_is_for_reading(people: People) -> None:
    ani, budi = people["ani"], people["budi"]
    assert ani.put("home", "private/rahasia.txt", "ani saja").ok
    assert ani.put("home", "public/umum.txt", "untuk semua").ok
    assert ani.get("home", "private/rahasia.txt") == "ani saja"
    assert budi.get("public", "ani/public/umum.txt") == "untuk semua"
    refused = {
        "read by the share of public folders": budi.smb("public", "get ani/private/rahasia.txt /tmp/x"),
        "list it": budi.smb("public", "ls ani/private/*"),
        "by a path upwards": budi.smb("public", "get ani/public/../private/rahasia.txt /tmp/x"),
        "out of the own folder": budi.smb("home", "get ../ani/private/rahasia.txt /tmp/x"),
        "with backslashes": budi.smb("home", r"get private\..\..\ani\private\rahasia.txt /tmp/x"),
        "by a hard link": budi.smb("public", "hardlink ani/private/rahasia.txt budi/public/x"),
        "rename the folder": budi.smb("public", "rename ani/private ani/public/x"),
        "rename the own folder away": budi.smb("home", "rename private public/private"),
        "another's own share": budi.smb("ani", "ls"),
        "write to another's public folder": budi.smb("public", "mkdir ani/public/x"),
        "delete in another's public folder": budi.smb("public", "rm ani/public/umum.txt"),
        "the share for supervision": budi.smb("everything", "ls"),
        "another agency's share": budi.smb("diskominfo", "ls"),
        "previous versions of another": budi.smb("public", "allinfo ani/private/rahasia.txt"),
        "the accounts": people["citra"].smb("everything", "ls ../accounts/*"),
    }
    passed = {what: said.text for what, said in refused.items() if said.ok}
    assert not passed
    assert ani.get("home", "private/rahasia.txt") == "ani saja"
    names = budi.smb("public", "ls ani/*").text
    assert "public" in names and "private" not in names


@pytest.mark.parametrize("target", ["../../ani", "/srv/nas/live/files/users/ani"])
def test_a_link_made_by_a_client_leads_nowhere(people: People, target: str) -> None:
    """Samba 4.17 refuses it; 4.22 notes a reparse point, which only a client could follow ([MS-FSCC] 2.1.2)."""
    ani, budi, citra = people["ani"], people["budi"], people["citra"]
    assert ani.put("home", "private/rahasia.txt", "ani saja").ok
    said = budi.smb("home", f"symlink {target}/private/rahasia.txt public/tautan.txt")
    try:
        assert run(NAME, NAS[0], "find", "/srv/nas/live/files", "-type", "l") == ""
        ways = {
            "home": budi.smb("home", "get public/tautan.txt /tmp/x"),
            "the public folders": budi.smb("public", "get budi/public/tautan.txt /tmp/x"),
            "supervision, which reads as root": citra.smb("everything", "get users/budi/public/tautan.txt /tmp/x"),
        }
        for what, way in ways.items():
            assert not way.ok, what
            if said.ok:
                assert "NT_STATUS_STOPPED_ON_SYMLINK" in way.text, (what, way.text)
    finally:
        budi.smb("home", "rm public/tautan.txt")
    assert "tautan" not in budi.smb("home", "ls public/*").text


def test_a_link_planted_on_the_disk_is_not_followed(people: People) -> None:
    folder = "/srv/nas/live/files/users"
    people["ani"].put("home", "private/rahasia.txt", "ani saja")
    run(NAME, NAS[0], "ln", "-sfn", f"{folder}/ani/private", f"{folder}/budi/private/tautan")
    run(NAME, NAS[0], "ln", "-sfn", f"{folder}/ani/private/rahasia.txt", f"{folder}/budi/public/tautan.txt")
    try:
        for path in ("private/tautan/rahasia.txt", "public/tautan.txt"):
            assert people["budi"].get("home", path) is None
        assert people["citra"].get("everything", "users/budi/public/tautan.txt") is None  # that share reads as root
    finally:
        run(NAME, NAS[0], "rm", f"{folder}/budi/private/tautan", f"{folder}/budi/public/tautan.txt")


def test_the_auxiliary_user_reads_everything_and_changes_nothing(people: People) -> None:
    people["ani"].put("home", "private/rahasia.txt", "ani saja")
    citra = people["citra"]
    assert citra.get("everything", "users/ani/private/rahasia.txt") == "ani saja"
    for command in ("rm", "put /etc/hostname", "rename users/ani/public/x"):
        said = citra.smb("everything", f"{command} users/ani/private/rahasia.txt")
        assert not said.ok, said.text
    assert people["ani"].get("home", "private/rahasia.txt") == "ani saja"
    seen = run(NAME, NAS[0], "journalctl", "--no-pager", "--output=cat", "--grep", "citra.*rahasia.txt")
    assert "openat" in seen


def test_an_agencys_share_is_its_peoples(people: People) -> None:
    assert people["ani"].put("diskominfo", "rapat.txt", "notulen").ok
    assert people["citra"].put("diskominfo", "rapat.txt", "notulen 2").ok, "another member writes the same file"
    assert people["ani"].get("diskominfo", "rapat.txt") == "notulen 2"
    assert people["dewi"].put("dinkes", "a.txt", "a").ok
    assert people["dewi"].get("diskominfo", "rapat.txt") is None


@pytest.mark.parametrize(("user", "options", "says"), [
    ("ani%salah", (), "LOGON_FAILURE"),
    ("bukan-siapa%salah", (), "LOGON_FAILURE"),
    ("eko%salah", (), "LOGON_FAILURE"),
    ("%", (), "(LOGON_FAILURE|ACCESS_DENIED)"),
    ("guest%", (), "(LOGON_FAILURE|ACCESS_DENIED)"),
    ("OK", ("--option=client min protocol=NT1", "--option=client max protocol=NT1"), OLD),
    ("OK", ("--option=client max protocol=SMB2_10",), OLD),
    ("OK", (f"--option=client smb3 encryption algorithms={' '.join(f'-{c}' for c in CIPHERS)}",), "ACCESS_DENIED"),
], ids=["wrong password", "unknown", "left", "nobody", "guest", "SMB1", "SMB2", "cannot encrypt"])  # fmt: skip
def test_who_may_not_is_refused(people: People, user: str, options: tuple[str, ...], says: str) -> None:
    ani = people["ani"]
    who = user if user != "OK" else f"{ani.name}%{ani.password}"
    done = lab.exec_in(
        NAME, FAR, ["timeout", "40", "smbclient", "--user", who, *options, f"//{STABLE}/ani", "-c", "ls"]
    )
    assert done.returncode != 0 and re.search(says, done.stdout + done.stderr), done.stdout + done.stderr
    assert ani.smb("home", "ls").ok


def test_every_session_is_encrypted_even_when_the_client_asks_for_nothing(people: People) -> None:
    ani = people["ani"]
    script = f"(sleep 20) | smbclient -U 'ani%{ani.password}' --client-protection=off //{STABLE}/ani"
    run(NAME, FAR, "systemd-run", "--quiet", "--unit=plain-session", "sh", "-c", script)
    try:
        until("the session is there", 15, lambda: "ani" in run(NAME, NAS[0], "smbstatus", "-p"))
        sessions = json.loads(run(NAME, NAS[0], "smbstatus", "--json"))["sessions"].values()
        own = [s for s in sessions if s["username"] == "ani"]
        assert own and all(s["encryption"]["degree"] == "full" for s in own), own
        assert all(s["session_dialect"].startswith("SMB3") for s in own), own
    finally:
        run(NAME, FAR, "systemctl", "stop", "plain-session", check=False)


def test_a_full_quota_says_so_and_is_nobody_elses(people: People) -> None:
    budi = people["budi"]
    run(NAME, budi.desk, "sh", "-c", "head -c 100M /dev/urandom >/tmp/big")
    said = budi.smb("home", "put /tmp/big private/besar.bin")
    record("files: quota", says=said.text.strip().splitlines()[-1][:200])
    assert "NT_STATUS_DISK_FULL" in said.text or "QUOTA" in said.text
    assert people["dewi"].put("home", "private/kecil.txt", "muat").ok
    budi.smb("home", "rm private/besar.bin")
    usage = {name: (used, quota) for name, used, quota in status(NAS[0])["usage"]}
    assert usage["budi"][1] == 2**26 and usage["budi"][0] <= 2**26


def test_previous_versions_and_the_restore_of_one_folder(people: People) -> None:
    ani = people["ani"]
    ani.smb("home", "mkdir private/kerja")
    assert ani.put("home", "private/kerja/surat.txt", "versi satu").ok
    nas(NAS[0], "replicate")
    at = status(NAS[0])["snapshots"]["files/users/ani"]
    assert ani.put("home", "private/kerja/surat.txt", "versi dua").ok
    shown = ani.smb("home", "allinfo private/kerja/surat.txt").text
    assert at in shown
    assert ani.get("home", rf"{at}\private\kerja\surat.txt") == "versi satu"
    assert not people["budi"].smb("home", rf"get {at}\..\ani\private\kerja\surat.txt /tmp/x").ok
    assert ani.smb("home", "deltree private/kerja").ok
    local = nas(NAS[0], "snapshots", "ani").strip().splitlines()[-1]
    began = time.monotonic()
    nas(NAS[0], "restore", "ani", "private/kerja", "--at", local, "--replace")
    record("files: restore", seconds=round(time.monotonic() - began, 2))
    assert ani.get("home", "private/kerja/surat.txt") == "versi satu"
    assert "leads out" in lab.exec_in(
        NAME, NAS[0], ["nas", "restore", "ani", "private/../../budi/private", "--at", local]
    ).stderr  # fmt: skip


def test_who_leaves_is_out_at_once_and_the_folder_is_archived(people: People) -> None:
    dewi = people["dewi"]
    assert dewi.put("home", "private/warisan.txt", "arsip").ok
    before = run(NAME, NAS[0], "cat", CONFIG)
    head, _, body = before.partition("\n")
    data = json.loads(body)
    next(u for u in data["users"] if u["name"] == "dewi")["left"] = "2026-01-01"
    script = f"(sleep 60) | smbclient -U 'dewi%{dewi.password}' //{HERE[NAS[0]]}/dewi"
    run(NAME, dewi.desk, "systemd-run", "--quiet", "--unit=dewi-session", "sh", "-c", script)
    try:
        sessions = lambda: "dewi" in run(NAME, NAS[0], "smbstatus", "-p")  # noqa: E731
        until("dewi has a session", 20, sessions)
        run(NAME, NAS[0], "sh", "-c", f"cat >{CONFIG}", stdin=f"{head}\n{json.dumps(data)}\n")
        nas(NAS[0], "apply")
        assert until("the session has ended", 5, lambda: not sessions()) < 5
        assert not dewi.smb("home", "ls").ok
        assert "dewi" not in people["ani"].smb("public", "ls").text
        run(NAME, NAS[0], "mkdir", "-p", "/run/arsip")
        now = nas(NAS[0], "snapshots", "dewi").strip().splitlines()[-1]
        found = nas(NAS[0], "restore", "dewi", "private", "--at", now, "--into", "/run/arsip").strip()
        assert run(NAME, NAS[0], "cat", f"{found}/warisan.txt") == "arsip"
        nas(NAS[0], "replicate")
        assert all(
            status(n)["snapshots"]["files/users/dewi"] == status(NAS[0])["snapshots"]["files/users/dewi"] for n in NAS
        )
    finally:
        run(NAME, dewi.desk, "systemctl", "stop", "dewi-session", check=False)
        run(NAME, NAS[0], "sh", "-c", f"cat >{CONFIG}; rm -rf /run/arsip", stdin=before)
        nas(NAS[0], "apply")
    dewi.password = nas(NAS[0], "password", "dewi").strip()
    assert dewi.get("home", "private/warisan.txt") == "arsip", "who comes back finds the folder"


def test_a_corrupted_received_snapshot_is_detected_and_sent_anew(people: People) -> None:
    assert people["ani"].put("home", "private/utuh.txt", "isi yang benar").ok
    nas(NAS[0], "replicate")
    snap = status(NAS[1])["snapshots"]["files/users/ani"]
    path = f"/srv/nas/snap/files/users/ani/{snap}"
    run(NAME, NAS[1], "sh", "-ec", f"btrfs property set -f {path} ro false; "
        f"touch -r {path}/private/utuh.txt /run/mark; "
        f"printf X | dd of={path}/private/utuh.txt conv=notrunc status=none; "
        f"touch -r /run/mark {path}/private/utuh.txt; btrfs property set {path} ro true")  # fmt: skip
    done = lab.exec_in(NAME, NAS[1], ["nas", "verify"])
    assert done.returncode == 3 and "files/users/ani" in done.stderr, done.stderr
    assert status(NAS[1])["snapshots"].get("files/users/ani") != snap, "it is not used"
    nas(NAS[0], "replicate")
    assert run(NAME, NAS[1], "cat", f"{path}/private/utuh.txt") == "isi yang benar"
    assert lab.exec_in(NAME, NAS[1], ["nas", "verify"]).returncode == 0


@pytest.mark.long
def test_what_the_others_lack_is_never_older_than_five_minutes(people: People) -> None:
    worst: dict[str, float] = {}
    end, number = time.monotonic() + 150, 0
    while time.monotonic() < end:
        number += 1
        assert people["ani"].put("home", f"public/tulis-{number % 20}.txt", f"{number}\n" * 20_000).ok
        for peer, age in status(NAS[0])["behind_seconds"].items():
            worst[peer] = max(age, worst.get(peer, 0))
        time.sleep(1)
    record("files: age of what the others lack, under writes", writes=number, worst_seconds=worst)
    assert set(worst) == set(NAS[1:]) and max(worst.values()) <= 300


@pytest.mark.long
def test_a_nas_that_is_cut_off_stops_serving(people: People) -> None:
    near = Person("ani", people["ani"].password, NEAR)
    assert near.smb("home", "ls", server=HERE[NAS[0]]).ok
    lab.break_wire(NAME, "dc.storage", silent=True)
    try:
        took = until("the cut off NAS serves nothing", 40, lambda: not listens(NAS[0]))
        record("files: a cut off NAS stops serving", seconds=round(took, 1))
        assert took <= 20  # HOLD and STOP
        assert not near.smb("home", "ls", server=HERE[NAS[0]]).ok
    finally:
        lab.heal_wire(NAME, "dc.storage")
    until("it serves again", 60, lambda: listens(NAS[0]))
    assert near.smb("home", "ls", server=HERE[NAS[0]]).ok


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_data_centre_is_lost_and_comes_back(people: People) -> None:
    ani, (first, second, third) = people["ani"], NAS
    assert ani.put("home", "private/sebelum.txt", "sudah direplikasi").ok
    nas(first, "replicate")
    refused = lab.exec_in(NAME, second, ["nas", "take-over"])
    assert refused.returncode != 0 and "holds the lease" in refused.stderr, refused.stderr
    # written after the last round, and not replicated when the power goes
    run(NAME, first, "systemctl", "stop", "nas-replicate.timer")
    until("no round is running", 30, lambda: not run(NAME, first, "pgrep", "-f", "nas replicate", check=False).strip())
    late = "belum direplikasi " * 5000
    assert ani.put("home", "private/sesudah.txt", late).ok
    lost = [first, *(h.name for h in PLAN.hosts.values() if h.kind == "gateway" and h.site == PLAN.hosts[first].site)]
    for host in lost:
        lab.kill_host(NAME, host)
    began = time.monotonic()
    nas(second, "take-over")
    ordered = time.monotonic() - began
    until("files answer from the DR site", 120, lambda: ani.get("home", "private/sebelum.txt") == "sudah direplikasi")
    answered = time.monotonic() - began
    record("files: the data centre is lost", take_over_seconds=round(ordered, 1), answered_seconds=round(answered, 1))
    assert active_of(second, third) == second
    assert ani.put("home", "private/sesudah-alih.txt", "di DR").ok, "the password is the same"
    for host in reversed(lost):
        lab.start_host(NAME, host)
    served = []

    def resynchronised() -> bool:
        served.append(listens(first))
        found = status(first)
        return found["active"] == second and not found["set_aside_pending"] and behind(second).get(first, 999) < 100

    until("the old NAS is resynchronised", 240, resynchronised)
    assert not any(served), "it served nothing meanwhile"
    digest = run(NAME, first, "sh", "-c", "sha256sum /srv/nas/aside/*/files/users/ani/private/sesudah.txt").split()[0]
    assert digest == hashlib.sha256(late.encode()).hexdigest(), "what was not replicated is set aside whole"
    began = time.monotonic()
    nas(second, "hand-over", first)
    until("files answer from the data centre", 60, lambda: ani.get("home", "private/sesudah-alih.txt") == "di DR")
    record("files: hand-over back", seconds=round(time.monotonic() - began, 1))
    assert active() == first
    assert ani.get("home", "private/sebelum.txt") == "sudah direplikasi"


def active_of(*hosts: str) -> str:
    """Return who of some NAS serves, the only one."""
    serving = [h for h in hosts if listens(h)]
    assert len(serving) == 1, serving
    return serving[0]


def behind(host: str) -> dict[str, float]:
    """Return how old what the others lack is, by the active NAS."""
    found: dict[str, float] = status(host)["behind_seconds"]
    return found


@pytest.mark.parametrize(("variables", "says"), [
    ({}, "missing required arguments: nas_rendered"),
    ({"nas_rendered": "/nowhere/at/all"}, "topology render"),
], ids=["none", "a folder that is not there"])  # fmt: skip
def test_bad_variables_of_the_role_are_refused(tmp_path: Path, variables: dict[str, object], says: str) -> None:
    done = play.run(play.role_play(tmp_path / "play.yml", NAS[1], "nas", **variables), tmp_path / "report", "--check")
    assert done.code != 0 and says in done.output, done.output[-2000:]
    assert not done.changed
