"""NAT64: a prefix of the site's own that nothing else can have, and tayga's own opinion."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from tests import checkers
from tests.gateways import changed, context, gateways
from topology.render import nat64
from topology.render.common import Context


def _mostly(inventory: str, site: str) -> Context:
    return changed(context(inventory).plan, site, migration="ipv6-mostly", platform="debian")


def test_only_ipv6_mostly_on_debian_has_it() -> None:
    assert not any(nat64.files(context("luwu"), h) for h in gateways("luwu"))
    bsd = changed(context("luwu").plan, "dinkes", migration="ipv6-mostly")
    assert nat64.files(bsd, bsd.plan.hosts["dinkes-gw"]) == {}
    assert set(nat64.files(_mostly("luwu", "dinkes"), _mostly("luwu", "dinkes").plan.hosts["dinkes-gw"])) == {
        "etc/tayga.conf",
        "etc/systemd/network/20-nat64.network",
        "etc/systemd/system/tayga.service",
    }


@pytest.mark.parametrize("inventory", ["luwu", "sawah"])
def test_prefixes_are_the_districts_and_nobody_elses(inventory: str) -> None:
    plan = context(inventory).plan
    used = [ipaddress.ip_network(p) for s in plan.sites.values() for n in s.networks for p in n.reserved]
    used += [ipaddress.ip_network(p) for link in plan.links.values() for p in link.prefixes]
    used += [ipaddress.ip_address(a) for h in plan.hosts.values() for i in h.interfaces for a in i.addresses]
    wide = [n for n in map(ipaddress.ip_network, map(str, used)) if n.version == 6]
    seen = set()
    for slug in plan.sites:
        found = _mostly(inventory, slug)
        host = found.plan.gateways(slug)[0]
        prefix = nat64.prefix(found, host)
        assert prefix is not None
        network = ipaddress.IPv6Network(prefix)
        assert network.prefixlen == 96
        # RFC 6052 2.2: bits 64 to 71 are zero
        assert network.network_address.packed[8] == 0
        assert network.subnet_of(plan.district.space.ula)
        assert not any(network.overlaps(n) for n in wide)  # type: ignore[arg-type]
        assert network not in seen
        seen.add(network)


def test_the_pool_is_nobodys() -> None:
    plan = context("luwu").plan
    pool = ipaddress.ip_network(nat64.pool(context("luwu")))
    assert not any(pool.overlaps(ipaddress.ip_network(s.prefixes[0])) for s in plan.sites.values())


def test_what_ipv4_looks_like_behind_it() -> None:
    # RFC 6052 2.4, the /96 rows of its table
    assert nat64.mapped("2001:db8:122:344::/96", "192.0.2.33".replace("192.0.2", "198.51.100")) == (
        "2001:db8:122:344::c633:6421/128"
    )
    assert nat64.mapped("fd00:1:2:ff06:64::/96", "10.0.0.0/8") == "fd00:1:2:ff06:64:0:a00:0/104"
    with pytest.raises(ValueError, match="host bits"):
        nat64.mapped("fd00::/96", "10.1.0.0/8")


@pytest.mark.checkers
def test_tayga_takes_it(tmp_path: Path) -> None:
    """tayga reads its file before it makes its device."""
    checker = checkers.need("tayga")
    if not Path("/dev/net/tun").exists():
        pytest.skip("NOT CHECKED: no /dev/net/tun here")
    found = _mostly("luwu", "dinkes")
    text = nat64.files(found, found.plan.hosts["dinkes-gw"])["etc/tayga.conf"]
    good, broken = tmp_path / "good.conf", tmp_path / "broken.conf"
    good.write_text(text.replace("/var/lib/tayga", str(tmp_path)))
    broken.write_text(text.replace("dynamic-pool", "dynamic-pol"))
    results = checker.run_each(["--mktun", "-c", "{}"], [good, broken], [])
    assert [r.code == 0 for r in results] == [True, False], results
