"""Reading, judging, history and reports of drift; what the lab shows is in tests/lab/test_drift.py."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topology.drift import history, report
from topology.drift.finding import DIFFERENT, MISSING, UNEXPECTED, UNOBSERVED, Finding
from topology.drift.judge import Observed, judge
from topology.drift.login import CONNECT, Login, login_of
from topology.drift.observe import observe
from topology.drift.script import script
from topology.drift.sweep import read
from topology.expect import AtMost, Expectation, Expected, Near, OneOf, Whole, expect
from topology.expect.compile import fingerprint
from topology.expect.units import packages, units
from topology.inventory import plan_of

ROOT = Path(__file__).parents[2]
LAB = plan_of(ROOT / "inventories" / "lab")
WORD = "topology-0123"


def answer(**sections: str) -> str:
    return "".join(f"\n{WORD} begin {name}\n{text}\n{WORD} end {name} 0\n" for name, text in sections.items())


def host(*expectations: Expectation, wholes: tuple[Whole, ...] = ()) -> Expected:
    return Expected("belopa-gw", "belopa", "debian", expectations, wholes)


def states(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(f.state, f.kind, f.thing) for f in findings]


# ---------------------------------------------------------------- reading


def test_files_with_digest_owner_and_mode_and_owned_ones() -> None:
    text = (
        "640 frr frr 1000 /etc/frr/frr.conf\n\ndigests\nabc  /etc/frr/frr.conf\nowned\n"
        "/etc/systemd/network/20-x.network\n/etc/frr/frr.conf"
    )
    found = observe(answer(files=text), WORD)
    assert found.kinds["file"]["/etc/frr/frr.conf"] == {
        "mode": "640", "owner": "frr", "group": "frr", "changed": 1000, "sha256": "abc",
    }  # fmt: skip
    assert found.kinds["file"]["/etc/systemd/network/20-x.network"] == {"owned": True}


def test_listeners_without_loopback_and_with_programs() -> None:
    text = (
        'udp UNCONN 0 0 127.0.0.1:323 0.0.0.0:* users:(("chronyd",pid=1,fd=5))\n'
        'tcp LISTEN 0 5 [::]:22 [::]:* users:(("sshd",pid=1,fd=3))\n'
        "udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:*"
    )
    assert observe(answer(listeners=text), WORD).kinds["listen"] == {
        "22/tcp": {"program": "sshd"}, "51820/udp": {"program": ""},
    }  # fmt: skip


def test_classes_of_the_shaper_in_bits_a_second() -> None:
    text = "dev wg1\nclass htb 1:2 parent 1:1 leaf a: prio 0 rate 5391Kbit ceil 269555Kbit burst 1b cburst 2b\ndev lan"
    assert observe(answer(shape=text), WORD).kinds["shape"] == {"wg1 1:2": {"rate": 5_391_000, "ceiling": 269_555_000}}


def test_peers_with_the_age_of_their_handshake() -> None:
    text = "1000\nwg1\tPRIV\tPUB\t51821\toff\nwg1\tPEER\t(none)\t198.51.100.1:1\t::/0,0.0.0.0/0\t940\t1\t2\t25"
    found = observe(answer(peers=text), WORD).kinds
    assert found["tunnel"] == {"wg1": {"key": "PUB"}}
    assert found["peer"]["wg1 PEER"] == {"allowed": "0.0.0.0/0,::/0", "handshake": 60, "endpoint": "198.51.100.1:1"}


def test_users_and_keys() -> None:
    key = "ssh-ed25519 " + "A" * 4 + "C3NzaC1lZDI1NTE5AAAAIGJ1aWx0 somebody"
    text = (
        "user root 0 /bin/bash no locked\nuser ani 1000 /bin/bash yes locked\n"
        f"user chrony 990 /usr/sbin/nologin no locked\nkey ani {key}"
    )
    found = observe(answer(users=text), WORD).kinds
    assert found["user"] == {"ani": {"shell": "/bin/bash", "administrator": True, "password": "locked"}}
    assert found["key"] == {f"ani {fingerprint(key)}": {}}


@pytest.mark.parametrize("text", ["", "yes\n" * 10, "\x00\xff\x1b[31m", "topology-9999 begin files"])
def test_a_mad_answer_is_unobserved(text: str) -> None:
    expected = host(Expectation("file", "/etc/hosts"))
    found = judge(expected, observe(text, WORD))
    assert states(found) == [(UNOBSERVED, "host", "belopa-gw")]


def test_a_section_that_is_cut_off_or_failed_is_unobserved() -> None:
    text = f"{WORD} begin time\nboom\n{WORD} end time 1\n{WORD} begin packages\nii  chrony"
    expected = host(Expectation("time", "clock"), Expectation("package", "chrony", {"installed": True}))
    found = judge(expected, observe(text, WORD))
    assert states(found) == [(UNOBSERVED, "package", "all"), (UNOBSERVED, "time", "all")]
    assert "cut off" in found[0].found
    assert "boom" in found[1].found


@given(st.text(max_size=400))
def test_no_answer_is_clean_unless_it_says_so(text: str) -> None:
    expected = host(Expectation("package", "chrony", {"installed": True}))
    for made in (text, answer(packages=text), answer(files=text), f"{WORD} {text}"):
        found = judge(expected, observe(made, WORD))
        assert found or "ii" in text


@pytest.mark.parametrize("name", [h.name for h in LAB.hosts.values() if h.managed])
def test_the_script_of_every_lab_host_is_a_shell_script(name: str) -> None:
    made = script(expect(LAB, LAB.hosts[name]), WORD)
    done = subprocess.run(["sh", "-n"], input=made, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- judging


def test_missing_different_unexpected() -> None:
    expected = host(
        Expectation("address", "lan 10.69.0.1/24"),
        Expectation("address", "lan 10.69.0.2/24"),
        Expectation("sysctl", "a", {"value": "1"}),
        wholes=(Whole("address", ("lo *",)),),
    )
    seen = Observed({
        "address": {"lan 10.69.0.1/24": {}, "lan 10.9.9.9/24": {}, "lo 127.0.0.1/8": {}},
        "sysctl": {"a": {"value": "0"}},
    })  # fmt: skip
    assert states(judge(expected, seen)) == [
        (DIFFERENT, "sysctl", "a"), (MISSING, "address", "lan 10.69.0.2/24"),
        (UNEXPECTED, "address", "lan 10.9.9.9/24"),
    ]  # fmt: skip


def test_optional_and_absent_things() -> None:
    expected = host(
        Expectation("address", "shared", optional=True), Expectation("service", "telnet", absent=True),
        wholes=(Whole("address"),),
    )  # fmt: skip
    assert judge(expected, Observed({"address": {"shared": {}}, "service": {}})) == []
    assert judge(expected, Observed({"address": {}, "service": {}})) == []
    assert states(judge(expected, Observed({"address": {}, "service": {"telnet": {}}}))) == [
        (UNEXPECTED, "service", "telnet")
    ]


def test_a_kind_nobody_read_is_not_clean() -> None:
    assert states(judge(host(Expectation("peer", "x")), Observed({"file": {}}))) == [(UNOBSERVED, "peer", "all")]


@pytest.mark.parametrize(
    ("matcher", "yes", "no"),
    [
        (OneOf(("a", "b")), "b", "c"), (AtMost(5), 5, 6), (AtMost(5), 0, "never"), (Near(1000, 0.01), 1009, 1011),
        (Near(1000, 0.01), 991, "1000"),
    ],
)  # fmt: skip
def test_matchers(matcher: OneOf | AtMost | Near, yes: object, no: object) -> None:
    assert matcher.holds(yes)
    assert not matcher.holds(no)


# ---------------------------------------------------------------- what is expected


def test_every_rendered_file_of_the_lab_is_expected_with_its_owner() -> None:
    from topology.render import render_host

    for one in LAB.hosts.values():
        if one.managed:
            known = {e.thing for e in expect(LAB, one).of_kind("file")}
            left = {f"/{p}" for p in render_host(LAB, one)} - known
            # the internet's double is no part of the district
            assert not left or one.kind == "internet", (one.name, left)


def test_modes_and_services_are_the_roles_own() -> None:
    found = {(u.role, u.name): u for u in units("debian")}
    assert found["gateway", "routing"].mode == "0640"
    assert found["gateway", "routing"].owner == "frr"
    assert list(found["gateway", "wireguard"].services(("etc/wireguard/wg1.conf",))) == ["wg-quick@wg1"]
    assert "keepalived" in packages("debian", "gateway", ("pair",))
    assert "keepalived" not in packages("debian", "gateway", ())
    assert found["network", "network"].keep == ("10-mgmt0.network",)


def test_a_fingerprint_is_ssh_keygens(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "k"], check=True)
    said = subprocess.run(["ssh-keygen", "-lf", tmp_path / "k.pub"], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] == fingerprint((tmp_path / "k.pub").read_text())


# ---------------------------------------------------------------- history and reports

FINDING = Finding("belopa", "belopa-gw", DIFFERENT, "file", "/etc/hosts", "mode", "644", "600")


def test_history_knows_since_when_and_what_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "h.sqlite"
    first = history.record(path, "2026-01-01", ["belopa-gw"], [FINDING])
    assert first.new == {FINDING.key}
    second = history.record(path, "2026-01-02", ["belopa-gw"], [replace(FINDING, found="640")])
    assert (second.since[FINDING.key], second.new) == ("2026-01-01", frozenset())
    gone = history.record(path, "2026-01-03", ["belopa-gw"], [])
    assert len(gone.gone) == 1
    again = history.record(path, "2026-01-04", ["belopa-gw"], [FINDING])
    assert again.since[FINDING.key] == "2026-01-04"


@pytest.mark.parametrize("keep", [50, 3000, 9000])
def test_a_damaged_history_is_kept_aside_and_begun_anew(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "h.sqlite"
    assert history.record(path, "2026-01-01T00:00:00+00:00", ["belopa-gw"], [FINDING]).damaged is None
    data = path.read_bytes()[:keep]
    path.write_bytes(data)
    found = history.record(path, "2026-01-02T03:04:05+00:00", ["belopa-gw"], [FINDING])
    assert found.damaged == tmp_path / "h.sqlite.damaged-2026-01-02T030405"
    assert found.damaged.read_bytes() == data, "nothing is thrown away"
    assert found.since == {FINDING.key: "2026-01-02T03:04:05+00:00"} and found.new == {FINDING.key}
    after = history.record(path, "2026-01-03T00:00:00+00:00", ["belopa-gw"], [FINDING])
    assert after.damaged is None and after.new == frozenset()


@pytest.mark.parametrize(
    ("hosts", "findings"),
    [
        (["other"], []),
        (["belopa-gw"], [Finding("belopa", "belopa-gw", UNOBSERVED, "host", "belopa-gw", found="unreachable")]),
        (["belopa-gw"], [Finding("belopa", "belopa-gw", UNOBSERVED, "file", "all", found="cut off")]),
    ],
)
def test_what_was_not_looked_for_is_not_gone(tmp_path: Path, hosts: list[str], findings: list[Finding]) -> None:
    path = tmp_path / "h.sqlite"
    history.record(path, "2026-01-01", ["belopa-gw"], [FINDING])
    assert history.record(path, "2026-01-02", hosts, findings).gone == ()
    assert history.record(path, "2026-01-03", ["belopa-gw"], [FINDING]).since[FINDING.key] == "2026-01-01"


def made(*findings: Finding) -> report.Report:
    names = {"belopa-gw": "belopa", "bua-gw": "bua", "dc-a": "dc"}
    return report.Report("2026-01-01T00:00:00+00:00", 1.5, names, dict.fromkeys(names, 10), findings)


def test_the_same_finding_on_two_hosts_is_one_line_and_silent_hosts_are_not_clean() -> None:
    silent = Finding("dc", "dc-a", UNOBSERVED, "host", "dc-a", found="unreachable")
    text = report.text(made(FINDING, replace(FINDING, site="bua", host="bua-gw"), silent)).splitlines()
    assert text[0] == "belopa-gw, bua-gw: different file /etc/hosts mode: expected 644, found 600"
    assert text[-1].endswith("3 findings; 0 hosts clean, 2 differ, 1 unobserved")


def test_junit_has_failures_and_errors() -> None:
    silent = Finding("dc", "dc-a", UNOBSERVED, "host", "dc-a", found="said \x1b[1m")
    root = ElementTree.fromstring(report.as_junit(made(FINDING, silent)))
    suites = {s.get("name"): s for s in root}
    assert (suites["belopa"].get("failures"), suites["dc"].get("errors"), suites["bua"].get("failures")) == (
        "1",
        "1",
        "0",
    )


@pytest.mark.parametrize("form", [report.as_json, report.as_html, report.text])
def test_forms_carry_every_finding(form: Callable[[report.Report], str]) -> None:
    text = form(made(FINDING))
    assert "belopa-gw" in text
    assert "/etc/hosts" in text
    assert "600" in text


def test_html_says_nothing_of_its_own(tmp_path: Path) -> None:
    page = report.as_html(made(replace(FINDING, found="<script>alert(1)</script>")))
    assert "<script>" not in page
    assert json.loads(report.as_json(made(FINDING)))["findings"][0]["state"] == DIFFERENT


def test_a_sweep_uses_no_master_of_somebody_s() -> None:
    """Of two options with the same name ssh takes the first."""
    shared = "-o ControlPath=/run/somebody/%C -o ConnectTimeout=60"
    login = login_of("dc-mon1", {"ansible_host": "198.18.0.9", "ansible_ssh_common_args": shared})
    options = [value for flag, value in pairwise(login.command) if flag == "-o"]
    assert next(o for o in options if o.startswith("ControlPath=")) == "ControlPath=none"
    assert next(o for o in options if o.startswith("ConnectTimeout=")) == f"ConnectTimeout={CONNECT}"


@pytest.mark.parametrize(("ssh", "said"), [
    ("echo 'No route to host' >&2; exit 255", "unreachable: No route to host"),
    ("head -c 10 >/dev/null; echo 'closed by remote host' >&2; exit 255", "unreachable: closed by remote host"),
    ("exec >&- 2>&-; exit 255", "unreachable: ssh ended with 255"),
])  # fmt: skip
def test_a_host_that_hangs_up_before_it_took_the_script_is_said_and_nothing_else_is(ssh: str, said: str) -> None:
    """Python 3.11.2 (Debian 12) reported the broken pipe, with a traceback, when the pipe was forgotten."""
    login = Login("belopa-gw", "198.18.0.9", ("sh", "-c", ssh))
    troubles: list[object] = []

    async def sweep() -> Observed:
        asyncio.get_running_loop().set_exception_handler(lambda _, trouble: troubles.append(trouble))
        found = await read(login, host(), make=lambda expected, word: "# a long script\n" * 100_000)
        gc.collect()
        return found

    assert asyncio.run(sweep()).failed == said
    assert not troubles
