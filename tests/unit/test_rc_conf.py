"""rc.conf of FreeBSD gateways, read by a shell as /etc/rc does."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests import generate
from topology import load
from topology.allocate import Plan, allocate
from topology.render import freebsd
from topology.render.common import context_of

LUWU = Path(__file__).parents[2] / "inventories" / "luwu"


@pytest.fixture(scope="module")
def luwu() -> Plan:
    district, _, _ = load.load(LUWU)
    assert district is not None
    return allocate(district)


def files(plan: Plan, name: str) -> dict[str, str]:
    return freebsd.files(context_of(plan), plan.hosts[name])


def variables(text: str, tmp_path: Path, secret: str | None = None) -> dict[str, str]:
    """Return what a shell knows after reading rc.conf; the secrets' file is one in tmp_path."""
    place = tmp_path / "carp.conf"
    if secret is not None:
        place.write_text(f'carp_pass="{secret}"\n')
    rc = tmp_path / "rc.conf"
    rc.write_text(text.replace(freebsd.SECRETS, str(place)))
    command = f"set -eu; . {shlex.quote(str(rc))}; set"
    shell = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env={"PATH": "/bin"})
    assert not shell.stderr
    return {name: value for name, _, value in (word.partition("=") for word in shlex.split(shell.stdout))}


def test_an_office(luwu: Plan, tmp_path: Path) -> None:
    found = variables(files(luwu, "dinkes-gw")["etc/rc.conf"], tmp_path)
    for name in ("pf", "pf_fallback_rules", "pflog", "topology_filter", "dnctl", "gateway", "ipv6_gateway", "wireguard",
                 "frr", "kea", "unbound", "chronyd", "sshd", "syslogd", "rtadvd"):  # fmt: skip
        assert found[f"{name}_enable"] == "YES", name
    assert found["pf_rules"] == "/etc/pf.conf" and found["pf_fallback_rules_file"] == "/etc/pf.fallback.conf"
    assert found["wireguard_interfaces"] == "wg1 wg2 wg3"
    assert found["ifconfig_igb0"] == "DHCP" and "defaultrouter" not in found
    assert found["ifconfig_igb1_20"] == "inet 10.6.16.1/24"
    assert found["frr_daemons"].split()[:2] == ["mgmtd", "zebra"] and {"bgpd", "bfdd"} <= {
        *found["frr_daemons"].split()
    }
    assert found["syslogd_flags"] == "-s", "-ss would not send either"
    assert not {"carp_pass", "pfsync_enable", "ipv6_cpe_wanif"} & found.keys()


def test_wg_quick_and_frr_have_their_interfaces_and_routes_to_themselves(luwu: Plan) -> None:
    for host in luwu.hosts.values():
        if host.kind == "gateway":
            text = files(luwu, host.name)["etc/rc.conf"]
            for word in ("ifconfig_wg", "cloned_interfaces", "static_routes", "route_t"):
                assert word not in text, (host.name, word)


def test_radio_interfaces_join_the_group_that_pf_names(luwu: Plan, tmp_path: Path) -> None:
    host = luwu.hosts["bajo-gw"]
    found = variables(files(luwu, "bajo-gw")["etc/rc.conf"], tmp_path)
    radio = next(host.of_kind("radio"))
    assert found[f"ifconfig_{freebsd.variable(radio.name)}"] == f"inet {radio.addresses[0]}/31 group radio"
    assert '"{ wg, radio }"' in files(luwu, "bajo-gw")["etc/pf.conf"]


def test_a_pair_shares_its_addresses(luwu: Plan, tmp_path: Path) -> None:
    skews = {}
    for name, own, far in (("dc-a", "198.51.100.2/24", "10.129.0.3"), ("dc-b", "198.51.100.3/24", "10.129.0.2")):
        found = variables(files(luwu, name)["etc/rc.conf"], tmp_path, secret="abc123")
        aliases = [v for k, v in found.items() if "_alias" in k and " vhid " in v]
        shared = [a for i in luwu.hosts[name].interfaces for a in i.shared]
        assert sorted(a.split()[-1].split("/")[0] for a in aliases) == sorted(shared)
        assert all(" pass abc123 alias " in a for a in aliases)
        skews[name] = {a.split()[4] for a in aliases}
        assert found["ifconfig_igb0"] == f"inet {own}" and found["defaultrouter"] == "198.51.100.254"
        assert (found["pfsync_syncdev"], found["pfsync_syncpeer"]) == ("igb1.10", far)
        assert "carp" in found["kld_list"].split()
        assert "net.inet.carp.preempt=1" in files(luwu, name)["etc/sysctl.conf"]
    assert skews == {"dc-a": {"0"}, "dc-b": {"100"}}


def test_a_pair_without_its_secret_still_shares_and_no_secret_is_rendered(luwu: Plan, tmp_path: Path) -> None:
    text = files(luwu, "dc-a")["etc/rc.conf"]
    found = variables(text, tmp_path)
    assert found["carp_pass"] == ""
    assert found["ifconfig_igb1_10_alias1"].split() == ["inet", "vhid", "1", "advskew", "0", "alias", "10.129.0.1/32"]


def test_shared_numbers_differ_on_no_wire_and_fit(luwu: Plan) -> None:
    numbers = {}
    for name in ("dc-a", "dc-b"):
        rows = [r for r in files(luwu, name)["etc/rc.conf"].splitlines() if " vhid " in r]
        numbers[name] = {(r.partition("_alias")[0], int(r.split(" vhid ")[1].split()[0])) for r in rows}
        assert all(1 <= n <= 255 for _, n in numbers[name])
    assert numbers["dc-a"] == numbers["dc-b"]


def test_of_a_pair_the_master_advertises(luwu: Plan, tmp_path: Path) -> None:
    found = files(luwu, "dc-b")
    assert variables(found["etc/rc.conf"], tmp_path)["rtadvd_enable"] == "NO"
    assert 'match "subsystem" "1@igb1.10";' in found["etc/devd/topology-carp.conf"]
    assert "etc/devd/topology-carp.conf" not in files(luwu, "drc1-gw")


def test_hubs_listen_to_their_providers_advertisements_and_offices_do_not(luwu: Plan, tmp_path: Path) -> None:
    hub = variables(files(luwu, "drc1-gw")["etc/rc.conf"], tmp_path)
    assert hub["ipv6_cpe_wanif"] == "igb0" and hub["ifconfig_igb0_ipv6"] == "inet6 accept_rtadv"
    assert "ifconfig_igb0_ipv6" not in variables(files(luwu, "drc2-gw")["etc/rc.conf"], tmp_path)


def test_a_static_ipv6_line_of_a_hub(tmp_path: Path) -> None:
    documents = generate.generate(offices=2, kecamatan=0, villages=0, radio=False, centres=1, pair=False)
    documents["sites/dc/dc.yml"]["uplinks"] = [{
        "name": "isp", "address": "198.51.100.9/29", "address6": "2001:db8:f::9/64", "router": "198.51.100.14",
        "router6": "2001:db8:f::1",
    }]  # fmt: skip
    district, findings = load.check(generate.tree(documents))
    assert district is not None, findings
    found = variables(files(allocate(district), "dc-gw")["etc/rc.conf"], tmp_path)
    assert found["ifconfig_igb0"] == "inet 198.51.100.9/29" and found["ifconfig_igb0_ipv6"] == "inet6 2001:db8:f::9/64"
    assert (found["defaultrouter"], found["ipv6_defaultrouter"]) == ("198.51.100.14", "2001:db8:f::1")
    assert "ipv6_cpe_wanif" not in found


def test_a_place_without_ipv6(tmp_path: Path) -> None:
    documents = generate.generate(offices=2, kecamatan=0, villages=0, radio=False, centres=1)
    documents["sites/skpd/dinas-02.yml"]["migration"] = "ipv4-only"
    district, findings = load.check(generate.tree(documents))
    assert district is not None, findings
    found = variables(files(allocate(district), "dinas-02-gw")["etc/rc.conf"], tmp_path)
    assert found["ipv6_gateway_enable"] == "NO" and "ipv6_activate_all_interfaces" not in found
    assert not any("inet6" in v for v in found.values())


def test_sysctl_conf_has_one_setting_a_line(luwu: Plan) -> None:
    lines = files(luwu, "dinkes-gw")["etc/sysctl.conf"].splitlines()
    settings = [line for line in lines if line and not line.startswith("#")]
    assert lines[0].startswith("# Generated by topology") and len(settings) > 6
    for line in settings:
        name, _, value = line.partition("=")
        assert name.replace(".", "").replace("_", "").isalnum() and value.isdigit()
