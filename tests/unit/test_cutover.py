"""A cutover on both engines: what the gateway carries of the legacy LAN, and that nothing of it is left after."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from topology.inventory import plan_of
from topology.load import LoadError
from topology.render import render_host

ROOT = Path(__file__).parents[2]
SITE, HOST = "sites/skpd/diskominfo.yml", "diskominfo-gw"
LEGACY = "legacy_prefixes: [{prefix: 192.168.88.0/24}]\n"


def rendered(tmp_path: Path, inventory: str, extra: str) -> dict[str, str]:
    """Return the office's files with some lines added to its own."""
    shutil.copytree(ROOT / "inventories", tmp_path / "inventories")
    path = tmp_path / "inventories/luwu" / SITE
    path.write_text(path.read_text(encoding="utf-8").replace("\nhosts:", f"\n{extra}hosts:", 1), encoding="utf-8")
    plan = plan_of(tmp_path / "inventories" / inventory)
    return render_host(plan, plan.hosts[HOST])


def filters(files: dict[str, str]) -> str:
    return files.get("etc/pf.conf") or files["etc/nftables.conf"]


def test_freebsd_carries_both(tmp_path: Path) -> None:
    files = rendered(tmp_path, "luwu", LEGACY + "cutover: both\n")
    assert '_alias0="inet 192.168.88.1/24"' in files["etc/rc.conf"]
    assert '"192.168.88.1/24"' in files["interfaces.json"]
    rules = files["etc/pf.conf"]
    assert "table <legacy_net> const { 192.168.88.0/24 }" in rules
    assert "nat on $links inet from <legacy_net> to <district> -> 10.255." in rules
    assert "nat on $ext_if inet from <legacy_net> to any -> ($ext_if:0)" in rules
    assert rules.index("nat on $links") < rules.index("block log all")
    assert "192.168.88" not in files["usr/local/etc/kea/kea-dhcp4.conf"], "DHCP hands out the plan's"


def test_linux_carries_both(tmp_path: Path) -> None:
    files = rendered(tmp_path, "lab", LEGACY + "cutover: both\n")
    assert "Address=192.168.88.1/24\n" in files["etc/systemd/network/20-staff.network"]
    rules = files["etc/nftables.conf"]
    assert "oifname @links ip saddr 192.168.88.0/24 snat ip to 10.255." in rules
    arrival = rules[rules.index("chain arrival_lan_staff") :]
    assert ", 192.168.88.0/24 } return" in arrival[: arrival.index("goto")]
    assert "192.168.88" not in files["etc/kea/kea-dhcp4.conf"]
    assert "access-control: 192.168.88.0/24 allow" in files["etc/unbound/unbound.conf.d/60-topology.conf"]


@pytest.mark.parametrize("inventory", ["luwu", "lab"])
def test_before_the_cutover_dhcp_hands_out_old_addresses(tmp_path: Path, inventory: str) -> None:
    old = "legacy_prefixes: [{prefix: 192.168.88.0/25, router: 192.168.88.126}]\ncutover: legacy\n"
    files = rendered(tmp_path, inventory, old)
    dhcp = next(text for path, text in files.items() if path.endswith("kea-dhcp4.conf"))
    assert '"subnet": "192.168.88.0/25"' in dhcp and '"192.168.88.50 - 192.168.88.124"' in dhcp
    assert '{"name": "routers", "data": "192.168.88.126"}' in dhcp


@pytest.mark.parametrize("inventory", ["luwu", "lab"])
def test_the_plan_leaves_nothing_of_it(tmp_path: Path, inventory: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert rendered(tmp_path / "a", inventory, LEGACY + "cutover: plan\n") == rendered(tmp_path / "b", inventory, "")


@pytest.mark.parametrize(
    "extra",
    [
        "cutover: both\n",
        'legacy_prefixes: [{prefix: "fd00:1::/64"}]\ncutover: both\n',
        "legacy_prefixes: [{prefix: 192.168.88.0/24, router: 192.168.89.1}]\n",
        LEGACY + "cutover: half\n",
    ],
)
def test_what_cannot_be_is_a_finding(tmp_path: Path, extra: str) -> None:
    with pytest.raises(LoadError) as caught:
        rendered(tmp_path, "luwu", extra)
    assert any(f.rule == "SC004" and f.where.file == SITE for f in caught.value.findings)
