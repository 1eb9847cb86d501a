"""What the pyinfra deploys decide, without a host; and block.py for real in a namespace of its own."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from topology import blocking, rotation, waves
from topology.allocate import Plan
from topology.inventory import plan_of

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(ROOT / "inventories/luwu")


# --- block.py ---


@pytest.mark.parametrize("text", ["198.51.100.77", "198.51.101.0/24", "2001:db8:bad::1", "10.7.32.10", "10.7.32.0/24"])
def test_blockable(plan: Plan, text: str) -> None:
    assert blocking.shown(blocking.blockable(plan, text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("198.51.100.77/24", "host bits"), ("example.org", "neither"), ("10.7.32.10; rm -rf /", "neither"),
        ("", "neither"), ("10.0.0.0/8", "own prefix"), ("8.0.0.0/6", "too wide"), ("0.0.0.0/0", "too wide"),
        ("127.0.0.1", "loopback"), ("::1", "loopback"), ("fe80::1", "link-local"), ("224.0.0.5", "multicast"),
        ("ff02::1", "multicast"), ("0.0.0.0", "unspecified"), ("10.255.0.0/16", "infrastructure"),
        ("10.254.0.3", "infrastructure"), ("::/0", "too wide"),
    ],
)  # fmt: skip
def test_refused(plan: Plan, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        blocking.blockable(plan, text)


def test_refused_are_the_plans_own(plan: Plan) -> None:
    space = plan.district.space
    hub = next(h for h in plan.hosts.values() if h.hub_slot is not None)
    admins = plan.sites["diskominfo"].network("mgmt").prefixes
    lan = next(hub.of_kind("lan")).addresses[0]
    for text in (*space.aggregates, *admins, admins[0].replace("0/24", "9"), lan):
        with pytest.raises(ValueError, match=r"is or holds"):
            blocking.blockable(plan, text)


def test_entries_of_a_command_line() -> None:
    assert blocking.entries(None) == blocking.entries("") == ()
    assert blocking.entries("a, b,") == blocking.entries(["a", "b"]) == ("a", "b")


def test_the_list_is_read_back() -> None:
    nets = tuple(map(ipaddress.ip_network, ("198.51.100.0/24", "198.51.100.77/32", "2001:db8:bad::/48")))
    assert blocking.listed(blocking.nft_file(nets)) == blocking.listed(blocking.pf_file(nets)) == nets
    assert "{ 198.51.100.0/24 }" in blocking.nft_file(nets)  # what lies inside another is no element of its own
    after = blocking.changed(nets, [ipaddress.ip_network("198.51.100.78")], nets[:1])
    assert [blocking.shown(n) for n in after] == ["198.51.100.77", "198.51.100.78", "2001:db8:bad::/48"]
    assert "add element" not in blocking.nft_file(())


def test_elements_in_force_are_read() -> None:
    elements = ["198.51.100.77", {"prefix": {"addr": "198.51.100.0", "len": 25}}, {"range": ["1.0.0.1", "1.0.0.2"]}]
    text = json.dumps({"nftables": [{"metainfo": {}}, {"set": {"name": "blocked4", "elem": elements}}, {"chain": {}}]})
    assert [str(n) for n in blocking.nft_elements(text)] == ["1.0.0.1/32", "1.0.0.2/32", "198.51.100.0/25"]
    assert blocking.nft_elements("") == ()


SUDO = '#!/bin/sh\nwhile :; do case $1 in -*) shift ;; *) exec "$@" ;; esac; done\n'


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="needs root and nft")
def test_block_for_real(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.py"
    inventory.write_text('gateways = [("@local", {"topology_device": "gateway", "topology_platform": "debian"})]\n')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sudo").write_text(SUDO)
    (tmp_path / "bin/sudo").chmod(0o755)
    (tmp_path / "pyinfra").write_text(
        f"#!/bin/sh\ncd {tmp_path}\nPYTHONPATH={ROOT} TOPOLOGY_INVENTORY={ROOT}/inventories/luwu "
        f'exec {Path(sys.executable).with_name("pyinfra")} -y {inventory} {ROOT}/deploys/block.py --json "$@" 2>&1\n'
    )
    (tmp_path / "pyinfra").chmod(0o755)
    steps = tmp_path / "steps"
    steps.write_text(
        textwrap.dedent(f"""\
            cp -a /etc {tmp_path}/etc && mount --bind {tmp_path}/etc /etc && cd {tmp_path} || exit 9
            ./pyinfra --dry --data block=198.51.100.77 >0; nft list ruleset >0.nft; ls /etc/topology >0.ls 2>/dev/null
            ./pyinfra --data block=198.51.100.77,2001:db8:bad::/48 >1; nft list ruleset >1.nft
            ./pyinfra --data block=198.51.100.77 >2
            nft flush ruleset; nft -f /etc/topology/blocked.nft; nft list ruleset >2.nft
            nft delete element inet topology_block blocked4 '{{ 198.51.100.77 }}'
            ./pyinfra --data block=198.51.100.77 >3; nft list ruleset >3.nft
            ./pyinfra --data lift=198.51.100.77 >4; nft list ruleset >4.nft
            ./pyinfra --data block=10.0.0.0/8,x >5; echo $? >5.rc; nft list ruleset >5.nft
            """)
    )
    environment = os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    done = subprocess.run(
        ["unshare", "-n", "-m", "sh", str(steps)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

    def said(name: str) -> str:
        return (tmp_path / name).read_text()

    assert said("0.nft") == said("0.ls") == ""
    assert "elements = { 198.51.100.77 }" in said("1.nft") and "elements = { 2001:db8:bad::/48 }" in said("1.nft")
    assert said("2.nft") == said("1.nft") == said("3.nft"), "a reboot, and an element deleted by hand"
    assert "Put the list in force" in said("1") and "Put the list in force" in said("3")
    assert "Put the list in force" not in said("2"), said("2")
    assert "198.51.100.77" not in said("4.nft") and "2001:db8:bad::/48" in said("4.nft")
    assert said("5.rc").strip() == "1" and said("5.nft") == said("4.nft")
    assert "10.0.0.0/8 is or holds the district's own prefix" in said("5") and "x is neither" in said("5")
    assert "Traceback" not in said("5")


# --- patch.py ---


@pytest.mark.parametrize("kind", waves.CLASSES)
@pytest.mark.parametrize("inventory", ["inventories/luwu", "inventories/lab"])
def test_waves(kind: str, inventory: str) -> None:
    plan = plan_of(ROOT / inventory)
    hosts = waves.members(plan, kind)
    found = waves.waves(hosts, width=3)
    names = [name for wave in found for name in wave]
    assert sorted(names) == sorted(h.name for h in hosts)
    for number, wave in enumerate(found):
        assert len(wave) == 1 if number == 0 else 1 <= len(wave) <= 3
        assert len({plan.hosts[n].site for n in wave}) == len(wave)
        assert len({plan.hosts[n].member == 3 for n in wave}) == 1
    if hosts:
        assert plan.hosts[names[0]].kind == "gateway"
        last = found[-1][0]
        assert waves.waves(hosts, canary=last)[0] == (last,)
        with pytest.raises(ValueError, match="canary"):
            waves.waves(hosts, canary="nobody")


def test_every_site_has_a_class(plan: Plan) -> None:
    assert {h.name for kind in waves.CLASSES for h in waves.members(plan, kind)} == {
        h.name for h in plan.hosts.values() if h.managed
    }
    with pytest.raises(ValueError, match="no class"):
        waves.members(plan, "all")


# --- rotate_keys.py ---

WG = '''\
"""wg(8) for a test: boxes are folders, a handshake happens when both ends know each other's key."""
import base64, hashlib, json, os, pathlib, sys, time

root, me = pathlib.Path(os.environ["BOXES"]), os.environ["ME"]


def public(private):
    return base64.b64encode(hashlib.sha256(private.strip().encode()).digest()).decode()


def load():
    return json.loads((root / "state.json").read_text())


def save(state):
    (root / "state.json").write_text(json.dumps(state))


def handshake(state, box, interface, key):
    own = state["interfaces"][f"{box}/{interface}"]
    far = state["interfaces"][own["far"]]
    return not own.get("cut") and key == public(far["private"]) and own["peers"].get(key) and (
        far["peers"].get(public(own["private"]))
    )


state, words = load(), sys.argv[1:]
if words == ["genkey"]:
    print(f"private-{os.urandom(4).hex()}")
elif words == ["pubkey"]:
    print(public(sys.stdin.read()))
elif words[0] == "showconf":
    one = state["interfaces"][f"{me}/{words[1]}"]
    for key, allowed in one["peers"].items():
        print(f"[Peer]\\nPublicKey = {key}")
        if allowed:
            print(f"AllowedIPs = {allowed}")
elif words[0] == "show":
    one = state["interfaces"][f"{me}/{words[1]}"]
    for key in one["peers"]:
        now = handshake(state, me, words[1], key)
        seen = one.setdefault("seen", {})
        if now:
            seen[key] = int(time.time())
        print(f"{key}\\t{seen.get(key, 0)}")
    save(state)
else:
    one = state["interfaces"][f"{me}/{words[1]}"]
    rest = words[2:]
    if rest[0] == "private-key":
        one["private"] = pathlib.Path(rest[1]).read_text().strip()
    elif rest[2:] == ["remove"]:
        one["peers"].pop(rest[1], None)
    else:
        for key in one["peers"]:
            one["peers"][key] = None  # an address has one peer
        one["peers"][rest[1]] = rest[3]
    state["log"].append([me, *words])
    down = sorted(n for n in state["interfaces"] if n.startswith("box/") and not any(
        handshake(state, "box", n.split("/")[1], k) for k in state["interfaces"][n]["peers"]))
    state["down"].append(down)
    save(state)
'''


def public(private: str) -> str:
    return base64.b64encode(hashlib.sha256(private.encode()).digest()).decode()


class Boxes:
    """A gateway with three tunnels, each to a hub of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "bin").mkdir()
        (root / "wg.py").write_text(WG)
        (root / "bin/wg").write_text(f'#!/bin/sh\nexec {sys.executable} {root}/wg.py "$@"\n')
        (root / "bin/wg").chmod(0o755)
        (root / "box").mkdir()
        (root / "box/private.key").write_text("private-old\n")
        interfaces: dict[str, dict[str, object]] = {}
        self.tunnels = []
        for slot in (3, 2, 1):
            hub, far = f"hub{slot}", f"wg{32 + slot}"
            (root / hub).mkdir()
            file = root / hub / f"{far}.conf"
            file.write_text(f"[Peer]\n# the box\nPublicKey = {public('private-old')}\n")
            interfaces[f"box/wg{slot}"] = {
                "private": "private-old", "far": f"{hub}/{far}", "peers": {public(f"private-{hub}"): "0.0.0.0/0"},
            }  # fmt: skip
            interfaces[f"{hub}/{far}"] = {
                "private": f"private-{hub}", "far": f"box/wg{slot}",
                "peers": {public("private-old"): "0.0.0.0/0, ::/0"},
            }  # fmt: skip
            self.tunnels.append(rotation.Tunnel(f"wg{slot}", hub, far, str(file)))
        self.save({"interfaces": interfaces, "log": [], "down": []})

    @property
    def state(self) -> dict[str, dict[str, dict[str, object]]]:
        found: dict[str, dict[str, dict[str, object]]] = json.loads((self.root / "state.json").read_text())
        return found

    def save(self, state: object) -> None:
        (self.root / "state.json").write_text(json.dumps(state))

    def run(self, name: str, command: str) -> str:
        environment = {"PATH": f"{self.root}/bin:{os.environ['PATH']}", "BOXES": str(self.root), "ME": name}
        done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise rotation.RotationError(f"{name}: {done.stderr.strip()}")
        return done.stdout

    def rotate(self) -> str:
        return rotation.rotate(self.run, "box", "debian", tuple(self.tunnels), str(self.root / "box"))


def test_rotation(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path)
    new = boxes.rotate()
    assert new == public((tmp_path / "box/private.key").read_text().strip()) != public("private-old")
    assert not (tmp_path / "box/private.key.next").exists()
    state = boxes.state
    for slot in (1, 2, 3):
        assert list(state["interfaces"][f"hub{slot}/wg{32 + slot}"]["peers"]) == [new], "the old one is revoked"
        assert f"PublicKey = {new}\n" in (tmp_path / f"hub{slot}/wg{32 + slot}.conf").read_text()
    assert max(len(down) for down in state["down"]) == 1, "never two tunnels at a time"
    assert state["interfaces"]["hub1/wg33"]["peers"] == {new: "0.0.0.0/0,::/0"}


def test_rotation_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "PROOF_WITHIN", 1)
    boxes = Boxes(tmp_path)
    tunnels = list(boxes.tunnels)
    inner = boxes.run

    def run(name: str, command: str) -> str:
        # hub 2 takes no new key
        if (
            name == "hub2"
            and re.search(r"wg set \S+ peer \S+ allowed", command)
            and public("private-old") not in command
        ):
            return ""
        return inner(name, command)

    with pytest.raises(rotation.RotationError, match=r"wg2 to hub2: .*; box keeps its old key"):
        rotation.rotate(run, "box", "debian", tuple(tunnels), str(tmp_path / "box"))
    state, old = boxes.state, public("private-old")
    for slot in (1, 2, 3):
        assert list(state["interfaces"][f"hub{slot}/wg{32 + slot}"]["peers"]) == [old]
        assert f"PublicKey = {old}\n" in (tmp_path / f"hub{slot}/wg{32 + slot}.conf").read_text()
        assert state["interfaces"][f"box/wg{slot}"]["private"] == "private-old"
    assert (tmp_path / "box/private.key").read_text() == "private-old\n"
    assert not (tmp_path / "box/private.key.next").exists()
    assert max(len(down) for down in state["down"]) == 1


def test_rotation_does_not_begin_with_a_tunnel_down(tmp_path: Path) -> None:
    boxes = Boxes(tmp_path)
    state = boxes.state
    state["interfaces"]["box/wg1"]["cut"] = True  # type: ignore[assignment]
    boxes.save(state)
    with pytest.raises(rotation.RotationError, match="the tunnel wg1 to hub1 is down"):
        boxes.rotate()
    assert boxes.state["log"] == []


def test_tunnels_of_a_gateway(plan: Plan) -> None:
    found = rotation.tunnels_of(plan, plan.hosts["dinkes-gw"])
    assert [t.interface for t in found] == ["wg3", "wg2", "wg1"]
    for tunnel in found:
        assert tunnel.far_file == f"/usr/local/etc/wireguard/{tunnel.far_interface}.conf"
        assert any(i.name == tunnel.far_interface for i in plan.hosts[tunnel.far_host].interfaces)


def test_peer_settings() -> None:
    text = (
        "[Interface]\nListenPort = 1\n\n[Peer]\nPublicKey = a=\nAllowedIPs = 1.0.0.0/8\n\n"
        "[Peer]\nPublicKey = b=\nAllowedIPs = 0.0.0.0/0, ::/0\n"
        "Endpoint = 198.51.100.1:40000\nPersistentKeepalive = 25\n"
    )
    assert rotation._peer_settings(text, "b=") == (
        "allowed-ips 0.0.0.0/0,::/0 endpoint 198.51.100.1:40000 persistent-keepalive 25"
    )
    assert rotation._peer_settings(text, "a=") == "allowed-ips 1.0.0.0/8"
    assert rotation._peer_settings(text, "c=") == "allowed-ips 0.0.0.0/0,::/0"
