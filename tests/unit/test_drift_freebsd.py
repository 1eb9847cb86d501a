"""Reading FreeBSD hosts: published outputs, and a whole reading by stand-ins of FreeBSD's programs.

FreeBSD does not run here. Where its outputs come from: tests/unit/freebsd/README.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topology.drift import read_freebsd
from topology.drift.cli import beside
from topology.drift.finding import DIFFERENT, MISSING, UNEXPECTED, UNOBSERVED
from topology.drift.judge import judge
from topology.drift.observe import observe
from topology.drift.observed import Observed, Things
from topology.drift.script import script
from topology.drift.sweep import login_of
from topology.expect import Expectation, Expected, Near, Whole, expect, together
from topology.expect.freebsd import members_of
from topology.inventory import plan_of, variables

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "freebsd"
LUWU = plan_of(ROOT / "inventories" / "luwu")
WORD = "topology-0123"


def answer(**sections: str) -> str:
    named = {name.replace("_", "-"): text for name, text in sections.items()}
    return "".join(f"\n{WORD} begin {name}\n{text}\n{WORD} end {name} 0\n" for name, text in named.items())


def read(section: str, *samples: str) -> dict[str, Things]:
    text = "".join((SAMPLES / f"{name}.txt").read_text() for name in samples)
    found = observe(answer(**{section: text}), WORD)
    assert not found.unobserved, found.unobserved
    return found.kinds


def test_routes_by_hand_by_rc_conf_and_by_zebra() -> None:
    assert read("bsd_routes", "netstat")["route"] == {
        "default4": {"via": "192.168.122.1", "owned": False},
        "10.9.0.0/16 by hand": {"via": "192.168.122.9", "dev": "vtnet0"},
        "to 10.255.129.2": {"dev": "wg1", "protocol": "bgp", "owned": False},
        # zebra's own blackhole is no way
        "to 4::5": {"dev": "lo0", "protocol": "UG1B", "owned": False},
        "to 10.9.9.9": {"dev": "vtnet0", "protocol": "UGS", "owned": False},
    }


def test_the_columns_of_the_wide_form_are_found_by_their_names() -> None:
    text = (
        "to fd00::9\nRouting tables\n\nInternet6:\n"
        "Destination Gateway Flags Nhop# Mtu Netif Expire\n"
        "default 2001:db8::1 UGS 7 1500 igb0\nfd00::/16 fd00:1::3 UG1 9 1420 wg1"
    )
    assert observe(answer(bsd_routes=text), WORD).kinds["route"] == {
        "default6": {"via": "2001:db8::1", "owned": False},
        "to fd00::9": {"dev": "wg1", "protocol": "bgp", "owned": False},
    }


def test_listeners_without_loopback_and_the_kernels_own() -> None:
    assert read("bsd_listeners", "sockstat")["listen"] == {
        "53/udp": {"program": "unbound"}, "22/tcp": {"program": "sshd"}, "51821/udp": {"program": ""},
    }  # fmt: skip


def test_pipes_and_queues() -> None:
    assert read("bsd_shape", "pipes", "queues")["shape"] == {
        "pipe 40": {"rate": 10_000_000}, "pipe 41": {"rate": 100_000},
        "queue 1": {"pipe": 1, "weight": 1}, "queue 2": {"pipe": 2, "weight": 100},
    }  # fmt: skip


def test_addresses_with_carps_and_tunnels() -> None:
    found = read("bsd_addresses", "ifconfig")["address"]
    assert found.pop("vtnet0 2001:db8:1:2:d0e4:71ff:fec1:5e0a/64") == {"owned": False}
    assert set(found) == {
        "vtnet0 fe80::d0e4:71ff:fec1:5e0a/64", "vtnet0 192.168.88.100/24", "vtnet0 192.168.88.44/32",
        "lo0 127.0.0.1/8", "lo0 ::1/128", "lo0 fe80::1/64", "wg1 10.254.133.2/31", "wg1 fd47:1f2a:47bc:fe85::2/127",
    }  # fmt: skip


def test_services_run_when_all_their_programs_do() -> None:
    found = read("bsd_services", "services")["service"]
    # bfdd is not there
    assert found["frr"] == {"enabled": "enabled", "active": "inactive"}
    assert found["kea"] == {"enabled": "enabled", "active": "active", "started": 999_900}
    # the youngest of several processes of a name: sessions are younger than the daemon
    assert found["sshd"]["active"] == "active"
    assert found["pf"] == {"enabled": "enabled", "active": "active"}
    assert found["topology_filter"] == {"enabled": "enabled"}
    assert found["ntpd"] == {"enabled": "disabled"}


def test_tables_in_one_form_whoever_prints_them() -> None:
    found = read("bsd_tables", "tables")["table"]
    assert found["district"] == {"addresses": "10.0.0.0/8 2001:db8:7317::/48 fd47:1f2a:47bc::/48"}
    assert found["not_guest"]["addresses"] == members_of(["10.255.129.2/32", "!10.69.5.0/24", "10.0.0.0/8"])


def test_packages_mounts_and_names() -> None:
    assert set(read("bsd_packages", "pkg")["package"]) == {
        "frr10", "frr10-pythontools", "kea", "unbound", "wireguard-tools",
    }  # fmt: skip
    assert read("bsd_mounts", "mounts")["mount"]["/"] == {
        "mode": "rw", "source": "/dev/ufs/root", "type": "ufs", "owned": False,
    }  # fmt: skip
    text = "ask freebsd.org A @127.0.0.1\n" + (SAMPLES / "drill.txt").read_text() + "\nask b A @127.0.0.1\n;; no answer"
    assert observe(answer(bsd_answers=text), WORD).kinds["answer"] == {
        "freebsd.org A @127.0.0.1": {"status": "NOERROR", "data": "96.47.72.84"}
    }


def test_the_ruleset_is_the_rendered_one_or_what_differs() -> None:
    assert observe(answer(bsd_ruleset="same"), WORD).kinds["ruleset"]["filter"]["loaded"] == "as rendered"
    differs = observe(answer(bsd_ruleset="differs\n< block drop log all"), WORD)
    assert differs.kinds["ruleset"]["filter"]["loaded"] == "< block drop log all"
    assert "ruleset" in observe(answer(bsd_ruleset="pfctl: /dev/pf: denied"), WORD).unobserved


def test_kinds_that_a_pf_gateway_is_judged_by() -> None:
    found = expect(LUWU, LUWU.hosts["belopa-gw"])
    kinds = {e.kind for e in found.expectations}
    assert kinds >= {"table", "shape", "service", "ruleset", "route", "neighbour", "dhcp", "answer", "daemon", "listen"}
    assert found.texts["ruleset"].startswith("# Generated")
    shape = {e.thing: e.want for e in found.of_kind("shape")}
    assert shape["pipe 101"] == {"rate": Near(5_000_000, 0.001, "bit/s")}
    services = {e.thing: e.want.get("active") for e in found.of_kind("service")}
    assert services["pf"] == services["frr"] == "active"
    assert services["wireguard"] is None


# ---------------------------------------------------------------- a whole reading

PROGRAMS = {
    "stat", "sha256", "pkg", "service", "ps", "pfctl", "sockstat", "ifconfig", "netstat", "sysctl", "pw", "mount",
    "dnctl", "wg", "vtysh", "chronyc", "drill",
}  # fmt: skip


def run(expected: Expected, folder: Path, said: dict[str, str]) -> Observed:
    """Run a host's script with stand-ins that print what they are told, whatever they are asked."""
    folder.mkdir(exist_ok=True)
    for name in PROGRAMS:
        text = said.get(name)
        body = "exit 1" if text is None else f"cat <<'SAID'\n{text}\nSAID"
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    made = script(expected, WORD)
    assert "PATH=/usr/local/sbin" in made
    made = made.replace("PATH=/usr/local/sbin", f"PATH={folder}:/usr/local/sbin", 1)
    done = subprocess.run(["sh", "-s"], input=made, capture_output=True, text=True, check=False, timeout=60)
    return observe(done.stdout, WORD)


def as_planned(expected: Expected) -> dict[str, str]:
    """Return what the programs of a host say that is as planned, as far as one answer per program goes."""
    files = expected.of_kind("file")
    stat = [f"{e.want['mode']} {e.want['owner']} {e.want.get('group', 'wheel')} 1000 {e.thing}" for e in files]
    names = [e.thing for e in expected.of_kind("service") if e.want["enabled"] == "enabled"]
    addresses = [e.thing.split() for e in expected.of_kind("address")]
    interfaces = "\n".join(f"{i}: flags=8843<UP> mtu 1500\n\tinet{'6' if ':' in a else ''} {a}" for i, a in addresses)
    return {
        "stat": "\n".join(stat),
        "sha256": "\n".join(f"{e.want['sha256']} {e.thing}" for e in files if "sha256" in e.want),
        "pkg": "\n".join(e.thing for e in expected.of_kind("package")),
        "service": "\n".join(f"/etc/rc.d/{name}" for name in names),
        "ps": "\n".join(
            f"1000 {p}" for p in (
                "sshd", "syslogd", "chronyd", "pflogd", "zebra", "bgpd", "bfdd", "staticd", "kea-dhcp4", "unbound",
                "rtadvd",
            )
        ),
        "ifconfig": interfaces,
        "sysctl": "\n".join(f"{e.thing}: {e.want['value']}" for e in expected.of_kind("sysctl")),
        "pfctl": "Status: Enabled for 3 days 04:05:06           Debug: Urgent",
        "mount": "/dev/ada0p2 / ufs rw 1 1",
        "pw": "root:*:0:0::0:0:Charlie &:/root:/bin/sh\ntoor:*:0:0::0:0:Bourne-again:/root:",
        "chronyc": "C0A80101,10.0.0.1,3,1.0,0.000001,0,0,0,0,0,0,0,64,Normal",
    }  # fmt: skip


BELOPA = expect(LUWU, LUWU.hosts["belopa-gw"])
PLAIN = {"file", "package", "service", "address", "sysctl", "mount", "time", "user", "key"}


def of_kinds(expected: Expected, kinds: set[str]) -> Expected:
    return replace(
        expected, expectations=tuple(e for e in expected.expectations if e.kind in kinds),
        wholes=tuple(w for w in expected.wholes if w.kind in kinds and w.kind != "file"),
    )  # fmt: skip


def test_a_reading_as_planned_is_clean_and_what_was_not_answered_is_unobserved(tmp_path: Path) -> None:
    seen = run(BELOPA, tmp_path / "bin", as_planned(BELOPA))
    assert judge(of_kinds(BELOPA, PLAIN), seen) == []
    silent = {f.kind for f in judge(BELOPA, seen) if f.state == UNOBSERVED}
    assert silent >= {"listen", "route", "shape", "ruleset", "peer", "neighbour"}


@pytest.mark.parametrize(
    ("program", "old", "new", "found"),
    [
        ("stat", "640 frr frr", "644 frr frr", (DIFFERENT, "file", "/usr/local/etc/frr/frr.conf")),
        ("pkg", "unbound", "unbound-gone", (MISSING, "package", "unbound")),
        ("service", "/etc/rc.d/rtadvd", "/etc/rc.d/other", (DIFFERENT, "service", "rtadvd")),
        ("ps", "1000 bfdd", "1000 other", (DIFFERENT, "service", "frr")),
        ("ifconfig", "10.69.1.1/24", "10.69.1.2/24", (MISSING, "address", "igb1.20 10.69.1.1/24")),
        ("sysctl", "net.inet.ip.redirect: 0", "net.inet.ip.redirect: 1", (DIFFERENT, "sysctl", "net.inet.ip.redirect")),
        ("mount", "ufs rw", "ufs ro", (DIFFERENT, "mount", "/")),
        ("pw", "toor:*:", "guest:*:1001:0::0:0:x:/home/guest:/bin/sh\ntoor:*:", (UNEXPECTED, "user", "guest")),
    ],
)
def test_one_change_is_found(tmp_path: Path, program: str, old: str, new: str, found: tuple[str, str, str]) -> None:
    said = as_planned(BELOPA)
    assert old in said[program]
    said[program] = said[program].replace(old, new, 1)
    findings = [(f.state, f.kind, f.thing) for f in judge(of_kinds(BELOPA, PLAIN), run(BELOPA, tmp_path / "b", said))]
    assert found in findings
    assert {f[1] for f in findings} == {found[1]}


def test_a_daemon_older_than_its_file_is_found(tmp_path: Path) -> None:
    said = as_planned(BELOPA)
    path = "/usr/local/etc/unbound/unbound.conf"
    said["stat"] = said["stat"].replace(f" 1000 {path}", f" 99999999999 {path}")
    found = judge(of_kinds(BELOPA, {"daemon"}), run(BELOPA, tmp_path / "b", said))
    assert [(f.kind, f.thing, f.found) for f in found] == [("daemon", "unbound", f"older than {path}")]


@pytest.mark.parametrize("name", ["belopa-gw", "dc-a", "bua-gw"])
def test_the_script_of_a_freebsd_host_is_a_shell_script(name: str) -> None:
    made = script(expect(LUWU, LUWU.hosts[name]), WORD)
    done = subprocess.run(["dash", "-n"], input=made, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("section", sorted(read_freebsd.READERS))
@given(text=st.text(max_size=300))
def test_nonsense_is_never_clean(section: str, text: str) -> None:
    kinds, _ = read_freebsd.READERS[section]
    wanted = tuple(Expectation(kind, "topology thing", {"no such": "value"}) for kind in kinds)
    expected = Expected("belopa-gw", "belopa", "freebsd", wanted, (Whole(kinds[0]),))
    assert judge(expected, observe(answer(**{section: text}), WORD))


# ---------------------------------------------------------------- the command


def drift(folder: Path, ssh: str, *options: str) -> tuple[int, str]:
    """Run `topology drift` on production with a stand-in for ssh: nothing leaves the machine."""
    folder.mkdir(exist_ok=True)
    (folder / "ssh").write_text(f"#!/bin/sh\n{ssh}\n")
    (folder / "ssh").chmod(0o755)
    command = [sys.executable, "-m", "topology", "drift", "inventories/luwu", "--history", str(folder / "h.sqlite")]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, timeout=120, cwd=ROOT,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_production_gateways_are_tried_and_those_out_of_reach_are_unobserved(tmp_path: Path) -> None:
    unreachable = "echo 'ssh: connect to host: Network is unreachable' >&2; exit 255"
    code, said = drift(tmp_path / "a", unreachable, "--hosts", "belopa")
    assert code == 3
    assert "belopa-gw: unobserved host belopa-gw: unreachable" in said
    assert "not read" not in said
    code, said = drift(tmp_path / "a", unreachable, "--hosts", "belopa", "--unknown")
    assert (code, said.splitlines()[-1]) == (
        3, "1 gateways: 0 addresses that the plan does not know; 1 gateways unobserved",
    )  # fmt: skip


def test_a_gateway_that_answers_something_else_is_unobserved(tmp_path: Path) -> None:
    code, said = drift(tmp_path / "b", "cat >/dev/null; echo This system is for authorised users", "--hosts", "bua-gw")
    assert code == 3
    assert "bua-gw: unobserved host bua-gw: the answer makes no sense: This system is for authorised users" in said


def test_a_secondary_is_read_beside_its_primary_and_only_what_was_asked_for_is_told(tmp_path: Path) -> None:
    code, said = drift(tmp_path / "c", f'echo "$@" >>{tmp_path}/asked; exit 255', "--hosts", "dc-dns1")
    assert code == 3 and "1 hosts" in said
    assert "dc-dns1: unobserved host dc-dns1" in said and "dc-dns0:" not in said and "drc1-dns1:" not in said
    asked = (tmp_path / "asked").read_text()
    plan = plan_of(ROOT / "inventories" / "luwu")
    for name in ("dc-dns0", "dc-dns1", "drc1-dns1"):
        assert f" {login_of(name, variables(plan, plan.hosts[name])).address} -- " in asked
    assert len(asked.splitlines()) == len(beside(plan, together(plan), [plan.hosts["dc-dns1"]])) + 1
