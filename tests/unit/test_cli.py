"""The command line: exit codes, stable output, and that nothing is written on bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from topology.cli import DIFFERENT, ERRORS, FINE, USAGE, main

ROOT = Path(__file__).parents[2]
LUWU = ROOT / "inventories" / "luwu"


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    target = tmp_path / "inventories" / "luwu"
    shutil.copytree(LUWU, target)
    return target


def test_check_passes_on_the_district(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(LUWU)]) == FINE
    assert "0 errors" in capsys.readouterr().out


def test_plan_json_lists_every_site_with_both_families(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--json", str(LUWU)]) == FINE
    plan = json.loads(capsys.readouterr().out)
    kinds = [s["kind"] for s in plan["sites"]]
    assert (kinds.count("skpd"), kinds.count("kecamatan"), kinds.count("hub")) == (30, 22, 1)
    assert sum(x["kind"] == "radio" for x in plan["links"]) == 22
    assert len(plan["applications"]) == 54
    for site in plan["sites"]:
        assert {ip_network(p).version for p in site["prefixes"]} == {4, 6}
        for network in site["networks"]:
            assert [ip_network(p).prefixlen for p in network["prefixes"]] == [24, 64, 64]
    every = [a for s in plan["sites"] for h in s["hosts"] for i in h["interfaces"] for a in i["addresses"]]
    assert len(every) == len(set(every))
    assert {ip_address(a).version for a in every} == {4, 6}


def test_csv_has_a_row_per_interface(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--csv", str(LUWU)]) == FINE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("site,kind,number,host")
    assert any(",dinkes-gw," in line for line in lines)


def test_bad_input_is_said_and_nothing_is_written(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inventory / "sites/skpd/dinkes.yml").write_text("name: Dinas\n\thosts: []\n")
    (inventory / "sites/skpd/disdik.yml").write_text("name: Disdik\nunknown: 1\ngateways:\n  - {profile: pns-box}\n")
    out = inventory.parent / "out"
    assert main(["render", str(inventory), "--out", str(out)]) == ERRORS
    shown = capsys.readouterr().err
    assert "dinkes.yml:2: YA002" in shown
    assert "disdik.yml:2: SC001" in shown
    assert "RG005" not in shown, "a file that could not be read must not count as missing"
    assert not out.exists()


def test_findings_in_indonesian(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inventory / "sites/skpd/dinkes.yml").write_text("")
    assert main(["check", "--lang", "id", str(inventory)]) == ERRORS
    assert "YA003 kosong" in capsys.readouterr().err


def test_usage_errors_exit_2(tmp_path: Path) -> None:
    assert main(["check", str(tmp_path / "nowhere")]) == USAGE
    with pytest.raises(SystemExit) as stop:
        main(["plan"])
    assert stop.value.code == USAGE


def test_a_second_render_changes_nothing_and_stale_files_go(
    inventory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = inventory.parent / "out"
    assert main(["render", "-q", str(inventory), "--out", str(out)]) == FINE
    stale = out / "dinkes-gw" / "etc" / "stale.conf"
    stale.write_text("old")
    capsys.readouterr()
    assert main(["render", str(inventory), "--out", str(out)]) == FINE
    assert "0 changed, 1 removed" in capsys.readouterr().out
    assert not stale.exists()
    listed = json.loads((out / "dinkes-gw" / "interfaces.json").read_text())
    assert {"name", "groups", "addresses"} == set(listed[0])


def test_render_refuses_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    assert main(["render", "-q", str(LUWU), "--out", str(tmp_path)]) == USAGE
    assert (tmp_path / "precious").read_text() == "x"


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
                   check=True, capture_output=True)  # fmt: skip


def test_a_python_without_filters_for_archives_shows_differences_too(
    inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 12's Python 3.11.2 has none."""
    unpack = tarfile.TarFile.extractall
    monkeypatch.delattr(tarfile, "data_filter", raising=False)

    def extractall(tar: tarfile.TarFile, path: str) -> None:
        unpack(tar, path)

    monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)
    top = inventory.parents[1]
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-qm", "before")
    assert main(["diff", str(inventory)]) == FINE


def test_diff_shows_a_new_office_and_only_it(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    top = inventory.parents[1]
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-qm", "before")
    assert main(["diff", str(inventory)]) == FINE
    (inventory / "sites/skpd/baru.yml").write_text("name: Dinas Baru\ngateways:\n  - {profile: pns-box}\n")
    registry = (inventory / "registry.yml").read_text()
    registry = registry.replace("kecamatan:\n", "  - {number: 40, slug: baru}\nkecamatan:\n", 1)
    (inventory / "registry.yml").write_text(registry)
    district = (inventory / "district.yml").read_text().replace("skpd: 30", "skpd: 31")
    (inventory / "district.yml").write_text(district)
    capsys.readouterr()
    assert main(["diff", str(inventory)]) == DIFFERENT
    lines = [x for x in capsys.readouterr().out.splitlines() if x[:2] in ("+ ", "- ", "! ")]
    assert "+ site baru: 10.40.0.0/16" in "\n".join(lines)
    assert not [x for x in lines if x.startswith(("! ", "- site", "- host", "- link"))]


def test_check_against_refuses_a_lost_registry_line(inventory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    top = inventory.parents[1]
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-qm", "before")
    (inventory / "sites/skpd/dinkes.yml").unlink()
    registry = (inventory / "registry.yml").read_text().replace("  - {number: 6, slug: dinkes}\n", "")
    (inventory / "registry.yml").write_text(registry)
    (inventory / "district.yml").write_text((inventory / "district.yml").read_text().replace("skpd: 30", "skpd: 29"))
    assert main(["check", str(inventory)]) == FINE
    assert main(["check", "--against", "HEAD", str(inventory)]) == ERRORS
    assert "RG008" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["skpd", "--name", "Dinas Contoh"], "{number: 32, slug: dinas-contoh}"),
        (["desa", "--kecamatan", "bajo", "--name", "Contoh"], "{kecamatan: bajo, number: 0, slug: contoh}"),
        (["network", "--site", "dinkes", "--network", "laboratorium"], "laboratorium: {number: 11}"),
        (["link", "--from", "dc", "--to", "kantor-bupati"], "{number: 23, name: dc--kantor-bupati}"),
        (["vpn-user", "--name", "contoh"], "{number: 10, name: contoh}"),
        (
            ["host", "--site", "dinkes", "--network", "staff", "--name", "cetak", "--kind", "printer",
             "--mac", "00:11:22:33:44:55"],
            '{staff: {number: 10, mac: "00:11:22:33:44:55"}}',
        ),
    ],
)  # fmt: skip
def test_next_proposes_a_line(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["next", str(LUWU), *arguments]) == FINE
    assert expected in capsys.readouterr().out


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "3601"])
def test_drift_waits_for_a_time_that_ends(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drift", str(LUWU), f"--limit={limit}"]) == USAGE
    assert "is not between 0 and 3600 seconds" in capsys.readouterr().err


def test_impact_names_the_new_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["impact", str(LUWU), "bua--lamasi"]) == FINE
    shown = capsys.readouterr().out
    assert "lamasi--dc-a" in shown
    assert "cut off: nobody" in shown
    assert main(["impact", str(LUWU), "nowhere"]) == USAGE
