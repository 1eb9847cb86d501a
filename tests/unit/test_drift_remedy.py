"""What mends a finding, since when it stands, and the page of the documentation that says so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from topology.document import drift as page
from topology.document.book import Book, index_of
from topology.document.language import LANGUAGES
from topology.drift import history
from topology.drift.finding import DIFFERENT, MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.drift.remedy import Remedy, remedy
from topology.expect import Expectation, Expected
from topology.inventory import plan_of

PLAN = plan_of(Path(__file__).parents[2] / "inventories" / "lab")
KEY = "SHA256:abc+/="
EXPECTED = Expected(
    "bua-gw", "bua", "debian",
    (
        Expectation("tunnel", "wg1", {"key": "k"}), Expectation("address", "ens1 10.0.0.1/24"),
        Expectation("file", "/etc/wireguard/private.key", {"owner": "root", "mode": "600"}),
        Expectation("file", "/etc/hosts", {"sha256": "x", "owner": "root", "mode": "644"}),
        Expectation("service", "unbound"),
        Expectation("daemon", "kea-dhcp4-server", of=("/etc/kea/kea-dhcp4.conf",)),
        Expectation("daemon", "wg-quick@wg1", of=("/etc/wireguard/wg1.conf",)),
    ),
    (), texts={"ruleset": "table inet topology {\n}\ntable inet topology_shape {\n}\n"},
)  # fmt: skip


def mend(state: str, kind: str, thing: str, field: str = "", expected: str = "") -> Remedy:
    return remedy(EXPECTED, [Finding("bua", "bua-gw", state, kind, thing, field, expected)])


@pytest.mark.parametrize(("state", "kind", "thing", "marks"), [
    (DIFFERENT, "ruleset", "filter", ["filter"]), (MISSING, "shape", "guest 1:4", ["filter"]),
    (DIFFERENT, "sysctl", "net.ipv4.ip_forward", ["kernel"]), (UNEXPECTED, "peer", "wg1 abc", ["wireguard-wg1"]),
    (DIFFERENT, "tunnel", "wg1", ["wireguard-wg1"]), (MISSING, "address", "wg1 10.1.1.1/31", ["wireguard-wg1"]),
    (UNEXPECTED, "peer", "wg9 abc", []),  # no unit of ours: a mark would stay for ever
    (DIFFERENT, "neighbour", "10.1.1.1", ["routing"]), (DIFFERENT, "time", "clock", ["time"]),
    (DIFFERENT, "service", "nftables", ["boot"]), (MISSING, "listen", "53/udp", ["names"]),
    (DIFFERENT, "daemon", "kea-dhcp4-server", ["dhcp4"]), (DIFFERENT, "daemon", "wg-quick@wg1", ["wireguard-wg1"]),
    (DIFFERENT, "dhcp", "10.1.1.0/24", []), (MISSING, "answer", "gw.bua.luwukab.go.id A @127.0.0.1", ["names"]),
    (MISSING, "file", "/etc/hosts", []), (MISSING, "package", "frr", []),
])  # fmt: skip
def test_what_is_applied_again(state: str, kind: str, thing: str, marks: list[str]) -> None:
    found = mend(state, kind, thing)
    assert found.marks == marks
    assert not found.by_hand


@pytest.mark.parametrize(("state", "kind", "thing", "field", "expected", "command"), [
    (UNEXPECTED, "address", "ens1 10.9.9.9/24", "", "", "ip address delete 10.9.9.9/24 dev ens1"),
    (UNEXPECTED, "user", "stranger", "", "", "userdel stranger"),
    (DIFFERENT, "user", "lab", "administrator", "False", "gpasswd --delete lab sudo"),
    (DIFFERENT, "user", "lab", "shell", "/bin/bash", "usermod --shell /bin/bash lab"),
    (DIFFERENT, "user", "lab", "password", "locked", "usermod --lock lab"),
    (UNEXPECTED, "route", "10.9.0.0/16 by hand", "", "", "ip -4 route delete 10.9.0.0/16 proto boot"),
    (UNEXPECTED, "route", "fd00::/48 by hand", "", "", "ip -6 route delete fd00::/48 proto boot"),
    (DIFFERENT, "file", "/etc/wireguard/private.key", "mode", "600", "chmod 600 /etc/wireguard/private.key"),
    (DIFFERENT, "mount", "/", "mode", "rw", "mount -o remount,rw /"),
    (UNEXPECTED, "listen", "8099/tcp", "", "", "systemctl disable --now"),
])  # fmt: skip
def test_what_is_taken_away(state: str, kind: str, thing: str, field: str, expected: str, command: str) -> None:
    assert any(command in step for step in mend(state, kind, thing, field, expected).before)


def test_commands_are_shell_and_no_name_breaks_out_of_them() -> None:
    hostile = "x; touch /tmp/pwned"
    for kind, thing in (
        ("user", hostile), ("address", "ens1 10.0.0.9/24;reboot"), ("route", f"{hostile} by hand"),
        ("key", f"lab {hostile}'"), ("listen", "80/tcp"), ("ruleset", "filter"), ("mount", hostile),
    ):  # fmt: skip
        for command in mend(UNEXPECTED, kind, thing).before:
            done = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True, check=False)
            assert done.returncode == 0, (command, done.stderr)
            assert "; touch" not in command.replace("'x; touch /tmp/pwned'", "").replace(repr(hostile)[1:-1], "")


def test_a_key_is_taken_out_and_the_others_stay(tmp_path: Path) -> None:
    keys = []
    for name in ("kept", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", tmp_path / name], check=True)
        keys.append((tmp_path / f"{name}.pub").read_text())
    said = subprocess.run(
        ["ssh-keygen", "-l", "-f", tmp_path / "stranger.pub"], capture_output=True, text=True, check=True
    )
    (tmp_path / ".ssh").mkdir()
    file = tmp_path / ".ssh" / "authorized_keys"
    file.write_text(f"# ours\n{keys[0]}{keys[1]}garbage that is no key")
    for thing in (said.stdout.split()[1], "garbage that is no key"):
        command = mend(UNEXPECTED, "key", f"lab {thing}").before[0]
        fake = f"getent() {{ echo 'lab:x:1:1::{tmp_path}:/bin/sh'; }}\n"
        subprocess.run(["sh", "-c", fake + command], check=True)
    assert file.read_text() == f"# ours\n{keys[0]}"


def test_what_nothing_mends_is_for_a_person() -> None:
    assert mend(UNOBSERVED, "host", "bua-gw").by_hand
    assert mend(DIFFERENT, "colour", "red").by_hand


def test_a_program_of_the_plan_is_not_stopped(tmp_path: Path) -> None:
    command = mend(UNEXPECTED, "listen", "8099/tcp").before[0]
    assert "unbound|systemd-*" in command


def test_the_page_says_since_when(tmp_path: Path) -> None:
    file = tmp_path / "h.sqlite"
    assert history.standing(file) is None
    first = Finding("bua", "bua-gw", MISSING, "service", "unbound")
    second = Finding("bua", "bua-gw", UNEXPECTED, "user", "<b>|x")
    history.record(file, "2026-11-24T01:00:00+00:00", ["bua-gw"], [first])
    history.record(file, "2026-11-25T02:00:00+00:00", ["bua-gw"], [first, second])
    standing = history.standing(file)
    assert standing is not None
    assert [(s.text, s.since) for s in standing.open] == [
        (str(first), "2026-11-24T01:00:00+00:00"), (str(second), "2026-11-25T02:00:00+00:00"),
    ]  # fmt: skip
    history.record(file, "2026-11-26T03:30:00+00:00", ["bua-gw"], [second])
    standing = history.standing(file)
    assert standing is not None
    assert [(s.text, s.gone) for s in standing.gone] == [(str(first), "2026-11-26T03:30:00+00:00")]
    index = index_of(PLAN)
    for language, since, gone in zip(
        LANGUAGES, ("25 November 2026 02:00 UTC",) * 2, ("26 November 2026 03:30 UTC",) * 2, strict=True
    ):
        made = page.page(Book(index, language, "-"), standing)
        assert made is not None
        assert since in made.body
        assert gone in made.body
        assert "<b>|x" not in made.body
    assert page.page(Book(index, LANGUAGES[0], "-"), None) is None
