"""Who may read every host and do nothing else: the account's files, and what its program takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from topology import cli
from topology.allocate import Plan
from topology.drift import parts
from topology.expect import expect
from topology.inventory import plan_of
from topology.render import render_host
from topology.render.reader import KEYS, PROGRAM, USER

ROOT = Path(__file__).parents[2]
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
HOST = "diskominfo-adm1"
SSHD = "etc/ssh/sshd_config.d/10-topology.conf"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("reader") / "luwu"
    shutil.copytree(ROOT / "inventories" / "luwu", folder)
    assert cli.main(["keys", str(folder), "--section", "readers", f"{HOST}={KEY}"]) == 0
    return plan_of(folder)


def test_nobody_may_read_until_a_key_is_known() -> None:
    plan = plan_of(ROOT / "inventories" / "luwu")
    files = render_host(plan, plan.hosts["bua-gw"])
    assert not {PROGRAM, KEYS} & files.keys()
    assert USER not in files[SSHD]
    assert not [e for e in expect(plan, plan.hosts["bua-gw"]).of_kind("user") if e.thing == USER]


@pytest.mark.parametrize("name", ["bua-gw", "dc-mon1", HOST])
def test_the_key_opens_one_program_from_its_own_addresses(plan: Plan, name: str) -> None:
    files = render_host(plan, plan.hosts[name])
    (line,) = [row for row in files[KEYS].splitlines() if not row.startswith("#")]
    options, kind, key, _ = line.split(" ")
    addresses = [a for i in plan.hosts[HOST].interfaces for a in i.addresses]
    assert (kind, key) == ("ssh-ed25519", KEY)
    assert options == f'restrict,from="{",".join(addresses)}"'
    _, _, match = files[SSHD].partition(f"Match User {USER}\n")
    assert {row.strip() for row in match.splitlines()} >= {
        f"AuthorizedKeysFile /{KEYS}", f"ForceCommand sudo -n /{PROGRAM}", "DisableForwarding yes", "PermitTTY no",
    }  # fmt: skip
    rights = next(text for path, text in files.items() if path.endswith("sudoers.d/topology-admins"))
    assert [row for row in rights.splitlines() if row.startswith(USER)] == [
        f'{USER} ALL=(root) NOPASSWD: /{PROGRAM} ""'
    ]


def test_its_account_and_files_are_expected(plan: Plan) -> None:
    expected = expect(plan, plan.hosts["bua-gw"])
    (user,) = [e for e in expected.of_kind("user") if e.thing == USER]
    assert user.want == {"shell": "/bin/sh", "administrator": False, "password": "locked"}
    modes = {e.thing: e.want["mode"] for e in expected.of_kind("file")}
    assert (modes[f"/{PROGRAM}"], modes[f"/{KEYS}"]) == ("700", "644")


def answered(plan: Plan, told: str) -> subprocess.CompletedProcess[str]:
    """Run the program's beginning, and instead of its readings print the word."""
    text = render_host(plan, plan.hosts["bua-gw"])[PROGRAM]
    begin, found, _ = text.partition("export LC_ALL=C PATH=/usr/local/sbin")
    assert found
    return subprocess.run(
        ["sh", "-c", begin + 'echo "word is $word"'], input=told, capture_output=True, text=True, check=False, timeout=5
    )


@pytest.mark.parametrize(
    "told", ["", "\n", "id\n", "word=\n", "word=a;id\n", "word=$(id)\n", "word=a b\n", "word=A\n", f"word={'a' * 65}\n"]
)
def test_its_program_takes_a_word_and_nothing_else(plan: Plan, told: str) -> None:
    done = answered(plan, told)
    assert (done.returncode, done.stdout, done.stderr) == (64, "", "")


def test_what_follows_the_word_is_not_run(plan: Plan) -> None:
    done = answered(plan, "word=topology-0\necho more\n")
    assert (done.returncode, done.stdout) == (0, "word is topology-0\n")


def test_the_whole_program_is_a_script(plan: Plan) -> None:
    for name in ("bua-gw", "dc-mon1"):
        text = render_host(plan, plan.hosts[name])[PROGRAM]
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_private_keys_of_tunnels_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "wg").write_text(
        "#!/bin/sh\nprintf 'wg1\\tPRIVATE\\tpublic\\t51820\\toff\\n'\n"
        "printf 'wg1\\tpeer\\tPRESHARED\\t198.51.100.2:4\\t0.0.0.0/0,::/0\\t0\\t0\\t0\\t25\\n'\n"
    )
    (tmp_path / "wg").chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", parts.PEERS], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1:] == [
        "wg1\t-\tpublic\t51820\toff", "wg1\tpeer\t-\t198.51.100.2:4\t0.0.0.0/0,::/0\t0\t0\t0\t25",
    ]  # fmt: skip
