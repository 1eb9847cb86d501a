"""The `place` module on a lab host: nothing by halves, and a killed run is made good by the next."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.where import INVENTORY
from topology import lab
from topology.inventory import plan_of

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
HOST = "belopa-client"
NAME = plan_of(INVENTORY).district.lab.name  # type: ignore[union-attr]


def run(command: str) -> str:
    return lab.exec_in(NAME, HOST, ["sh", "-c", command]).stdout


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    run("rm -rf /etc/place-test /var/lib/place-test")
    yield
    run("rm -rf /etc/place-test /var/lib/place-test")


def place(tree: Path, units: list[dict[str, Any]], *options: str) -> dict[str, Any]:
    """Run the module by Ansible and return its result."""
    play = tree.parent / "play.yml"
    task = {
        "place": {"src": str(tree), "state": "/var/lib/place-test", "units": units},
        "register": "found",
        "ignore_errors": True,
    }
    show = {"ansible.builtin.copy": {"content": "{{ found | to_json }}", "dest": str(tree.parent / "found.json")},
            "delegate_to": "localhost", "become": False, "check_mode": False}  # fmt: skip
    play.write_text(json.dumps([{"hosts": HOST, "gather_facts": False, "become": True, "tasks": [task, show]}]))
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", INVENTORY, play, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((tree.parent / "found.json").read_text())
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree" / "etc" / "place-test"
    folder.mkdir(parents=True)
    (folder / "a.conf").write_text("a 1\n")
    (folder / "b.conf").write_text("b 1\n")
    return tmp_path / "tree"


A = {
    "name": "a",
    "files": ["etc/place-test/a.conf"],
    "check": "grep -q ^a %s",
    "apply": ["sh -c 'echo a >> /tmp/place-applied'"],
}
B = {"name": "b", "files": ["etc/place-test/b.conf"], "check": "grep -q ^b %s", "mode": "0600"}


def test_check_mode_says_what_the_run_then_does_and_a_second_run_does_nothing(tree: Path) -> None:
    predicted = place(tree, [A, B], "--check")
    assert run("ls /etc/place-test 2>/dev/null") == ""
    done = place(tree, [A, B])
    assert predicted["changed"] and done["changed"]
    assert (predicted["files"], predicted["units"]) == (done["files"], done["units"])
    assert run("stat -c '%a %U %n' /etc/place-test/*") == (
        "644 root /etc/place-test/a.conf\n600 root /etc/place-test/b.conf\n"
    )
    again = place(tree, [A, B])
    assert not again["changed"] and again["units"] == []


def test_the_hosts_log_has_no_text_of_files(tree: Path) -> None:
    (tree / "etc/place-test/a.conf").write_text("a kelapa-4711\n")
    place(tree, [A])
    said = run("journalctl -t ansible-place -n 5 -o cat --no-pager")
    assert "Invoked with 1 files for a" in said and "kelapa-4711" not in said


def test_one_bad_file_and_nothing_changes(tree: Path) -> None:
    place(tree, [A, B])
    (tree / "etc/place-test/a.conf").write_text("a 2\n")
    (tree / "etc/place-test/b.conf").write_text("wrong\n")
    done = place(tree, [A, B])
    assert done["failed"] and "/etc/place-test/b.conf" in done["msg"] and "nothing was changed" in done["msg"]
    assert run("cat /etc/place-test/a.conf /etc/place-test/b.conf") == "a 1\nb 1\n"
    assert run("ls -A /etc/place-test") == "a.conf\nb.conf\n"


def test_what_could_not_be_applied_is_applied_by_the_next_run(tree: Path) -> None:
    failing = A | {"apply": ["test -e /etc/place-test/healed"]}
    done = place(tree, [failing, B])
    assert done["failed"]
    assert run("cat /etc/place-test/a.conf") == "a 1\n", "files are in place, but the unit is not applied"
    run("touch /etc/place-test/healed")
    again = place(tree, [failing, B])
    assert again["changed"] and again["units"] == ["a", "b"]
    assert not place(tree, [failing, B])["changed"]


def test_a_file_that_is_no_longer_rendered_goes(tree: Path) -> None:
    unit = {"name": "all", "files": ["etc/place-test/*"], "owned": ["etc/place-test/*"], "keep": ["mine.conf"]}
    place(tree, [unit])
    run("touch /etc/place-test/mine.conf")
    (tree / "etc/place-test/b.conf").unlink()
    done = place(tree, [unit])
    assert done["files"] == ["/etc/place-test/b.conf"]
    assert run("ls /etc/place-test") == "a.conf\nmine.conf\n"


def test_a_changed_mode_or_text_on_the_host_is_put_right(tree: Path) -> None:
    place(tree, [A, B])
    run("chmod 666 /etc/place-test/b.conf; echo x >> /etc/place-test/a.conf")
    assert place(tree, [A, B])["files"] == ["/etc/place-test/a.conf", "/etc/place-test/b.conf"]


def test_a_service_runs_while_it_has_a_file_and_not_otherwise(tree: Path) -> None:
    units = tree / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / "place-test@.service").write_text(
        "[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
    )
    place(tree, [{"name": "unit", "files": ["etc/systemd/system/*"], "apply": ["systemctl daemon-reload"]}])
    each = {"name": "each", "files": ["etc/place-test/*.conf"], "owned": ["etc/place-test/*.conf"], "each": True,
            "service": "place-test@{stem}", "apply": ["systemctl restart place-test@{stem}"]}  # fmt: skip
    try:
        assert place(tree, [each])["units"] == ["each-a", "each-b"]
        assert run("systemctl is-active place-test@a place-test@b") == "active\nactive\n"
        (tree / "etc/place-test/a.conf").unlink()
        assert place(tree, [each])["units"] == ["each-a"]
        assert run("systemctl is-active place-test@a place-test@b") == "inactive\nactive\n"
        run("systemctl kill -s KILL place-test@b; sleep 0.3")
        assert place(tree, [each])["units"] == ["each-b"]
        assert not place(tree, [each])["changed"]
    finally:
        run("systemctl disable --now place-test@a place-test@b; rm /etc/systemd/system/place-test@.service")
