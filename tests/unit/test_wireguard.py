"""WireGuard files: complete, without a secret, and accepted by the real wg-quick."""

from __future__ import annotations

import base64
import datetime
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests import checkers, generate
from topology import load
from topology.allocate import Host, Link, Plan, allocate
from topology.policy import endpoint, tunnel_ports
from topology.render import wireguard
from topology.render.common import context_of
from topology.schema import KeysFile

ROOT = Path(__file__).parents[2]
TODAY = datetime.date(2026, 6, 1)


def key(number: int) -> str:
    return base64.b64encode(number.to_bytes(32, "big")).decode()


def with_keys(plan: Plan) -> Plan:
    gateways = [h.name for h in plan.hosts.values() if h.kind == "gateway"]
    keys = KeysFile(
        wireguard={name: key(n) for n, name in enumerate(gateways, 1)},
        vpn_users={u.name: key(90000 + u.number) for u in plan.vpn_users},
    )
    return replace(plan, district=replace(plan.district, keys=keys))


def gateways(plan: Plan) -> list[Host]:
    return [h for h in plan.hosts.values() if h.kind == "gateway"]


@pytest.fixture(scope="module")
def luwu() -> Plan:
    district, _, _ = load.load(ROOT / "inventories" / "luwu")
    return with_keys(allocate(district))


@pytest.fixture(scope="module")
def made() -> Plan:
    documents = generate.generate(vpn_users=4)
    users = documents["registry.yml"]["vpn_users"]
    users[0]["expires"] = TODAY - datetime.timedelta(days=1)
    users[1]["expires"] = TODAY
    users[2].pop("expires", None)
    documents["sites/skpd/dinas-02.yml"]["migration"] = "ipv4-only"
    district, findings = load.check(generate.tree(documents))
    assert district is not None, findings
    return with_keys(allocate(district))


def sections(text: str) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []
    for line in text.splitlines():
        if line.startswith("["):
            found.append((line.strip("[]"), {}))
        elif " = " in line and not line.startswith("#"):
            name, value = line.split(" = ", 1)
            assert name not in found[-1][1]
            found[-1][1][name] = value
    return found


def file_of(plan: Plan, host: str, interface: str) -> str:
    owner = plan.hosts[host]
    found = wireguard.files(context_of(plan), owner, TODAY)
    return found[f"{wireguard.FOLDERS[owner.platform]}/{interface}.conf"]


def tunnels(plan: Plan) -> list[Link]:
    return [link for link in plan.links.values() if link.kind == "tunnel"]


def test_both_ends_of_every_tunnel_fit_each_other(luwu: Plan) -> None:
    """Each end has the other's key; the site calls the port that the hub listens on."""
    context = context_of(luwu)
    texts = {h.name: wireguard.files(context, h, TODAY) for h in gateways(luwu)}
    seen = 0
    for link in tunnels(luwu):
        near, far = link.ends
        ends = []
        for end in (near, far):
            folder = wireguard.FOLDERS[luwu.hosts[end.host].platform]
            ends.append(sections(texts[end.host][f"{folder}/{end.interface}.conf"]))
        (_, own), (_, peer) = ends[0]
        (_, hub), (_, caller) = ends[1]
        assert peer["PublicKey"] == luwu.district.keys.wireguard[far.host]
        assert caller["PublicKey"] == luwu.district.keys.wireguard[near.host]
        assert (own["ListenPort"], hub["ListenPort"]) == tuple(str(p) for p in tunnel_ports(link))
        where = endpoint(luwu, far.host)
        assert peer.get("Endpoint") == (f"{where}:{hub['ListenPort']}" if where else None)
        assert ("PersistentKeepalive" in peer) == (where is not None)
        assert "Endpoint" not in caller and "PersistentKeepalive" not in caller
        for section in (own, hub):
            assert section["Table"] == "off" and section["MTU"] == "1420"
        seen += 1
    assert seen == len(tunnels(luwu)) > 100


def test_addresses_are_the_links_own_and_a_link_local_one(luwu: Plan) -> None:
    link = next(x for x in tunnels(luwu) if x.ends[0].site == "belopa" and x.slot == 1)
    (_, own), _ = sections(file_of(luwu, "belopa-gw", "wg1"))
    expected = [f"{a}/{127 if ':' in a else 31}" for a in link.ends[0].addresses]
    assert own["Address"].split(", ")[:-1] == expected
    assert re.fullmatch(r"fe80::[0-9a-f]+:[0-9a-f]+/64", own["Address"].split(", ")[-1])


def test_link_local_addresses_of_the_two_ends_differ(luwu: Plan) -> None:
    for link in tunnels(luwu):
        assert wireguard.link_local(link.ends[0].addresses[1]) != wireguard.link_local(link.ends[1].addresses[1])


def test_no_private_key_is_in_a_file(luwu: Plan) -> None:
    context = context_of(luwu)
    for host in gateways(luwu):
        for text in wireguard.files(context, host, TODAY).values():
            assert "PrivateKey" not in text
            assert f"PostUp = wg set %i private-key {wireguard.private_key_path(host.platform)}\n" in text
            assert text.startswith("# Generated by topology from ")


def test_a_peer_without_a_key_is_named_and_left_out() -> None:
    district, _, _ = load.load(ROOT / "inventories" / "luwu")
    plan = allocate(replace(district, keys=KeysFile()))
    text = file_of(plan, "belopa-gw", "wg1")
    assert "[Peer]" not in text and "# No peer: the key of dc-a is not in keys.yml." in text


def test_a_sites_migration_restarts_no_tunnel(made: Plan) -> None:
    """The files of both ends stay: what an ipv4-only site may not say, its filter drops."""
    site = made.sites["dinas-02"]
    place = replace(site.place, data=site.place.data.model_copy(update={"migration": "dual-stack"}))
    moved = replace(made, sites=made.sites | {"dinas-02": replace(site, place=place)})
    found = [link for link in tunnels(made) if link.ends[0].site == "dinas-02"]
    assert found and site.place.data.migration == "ipv4-only"
    for link in found:
        for end in link.ends:
            assert file_of(made, end.host, end.interface) == file_of(moved, end.host, end.interface)


def test_users_are_served_until_their_last_day(made: Plan) -> None:
    hub = next(h for h in gateways(made) if h.hub_slot == 1)
    text = file_of(made, hub.name, "wg0")
    gone, last, forever = made.vpn_users[0], made.vpn_users[1], made.vpn_users[2]
    keys = [s["PublicKey"] for name, s in sections(text) if name == "Peer"]
    assert made.district.keys.vpn_users[gone.name] not in keys
    assert made.district.keys.vpn_users[last.name] in keys
    peer = next(s for _, s in sections(text) if s.get("PublicKey") == made.district.keys.vpn_users[forever.name])
    assert peer["AllowedIPs"] == ", ".join(f"{a}/{128 if ':' in a else 32}" for a in forever.addresses[1])
    assert f"{gone.name} expired on" in text


def test_a_users_own_file_fits_the_hub(made: Plan) -> None:
    user = made.vpn_users[2]
    clients = wireguard.vpn_client(made, user)
    assert set(clients) == {h.gateway for h in made.district.facts.hubs}
    for hub in made.district.facts.hubs:
        (_, own), (_, peer) = sections(clients[hub.gateway])
        (_, server), *_ = sections(file_of(made, hub.gateway, "wg0"))
        assert own["PrivateKey"] == wireguard.KEY_PLACEHOLDER
        assert own["Address"] == ", ".join(f"{a}/{128 if ':' in a else 32}" for a in user.addresses[hub.slot])
        assert peer["AllowedIPs"] == ", ".join(made.district.space.aggregates)
        assert peer["PublicKey"] == made.district.keys.wireguard[hub.gateway]
        where = endpoint(made, hub.gateway)
        assert peer.get("Endpoint") == (f"{where}:{server['ListenPort']}" if where else None)
        assert own["DNS"].split(", ")[0] == server["Address"].split("/")[0]


def test_only_gateways_have_tunnels(luwu: Plan) -> None:
    with pytest.raises(ValueError, match="no gateway"):
        wireguard.files(context_of(luwu), next(h for h in luwu.hosts.values() if h.kind != "gateway"), TODAY)


def wg_quick() -> str:
    """Return the path of the real wg-quick."""
    return checkers.need("wg-quick").program


@pytest.mark.checkers
def test_the_real_wg_quick_takes_every_file(luwu: Plan, tmp_path: Path) -> None:
    """`strip` reads the file as `up` would and prints what goes to the kernel."""
    program = wg_quick()
    context = context_of(luwu)
    checked = 0
    for host in gateways(luwu):
        folder = tmp_path / host.name
        folder.mkdir()
        for name, text in wireguard.files(context, host, TODAY).items():
            path = folder / Path(name).name
            path.write_text(text)
            path.chmod(0o600)
            done = subprocess.run([program, "strip", str(path)], check=False, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), f"{host.name} {name}: {done.stderr}"
            left = {line.split(" = ")[0] for line in done.stdout.splitlines() if " = " in line}
            assert left <= {"ListenPort", "PublicKey", "AllowedIPs", "Endpoint", "PersistentKeepalive"}
            assert "ListenPort" in left
            checked += 1
    assert checked > 300
