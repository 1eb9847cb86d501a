"""A dead PNS Box is replaced by a bare one, by the clock."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest

from tests.lab import play
from tests.lab.figures import record
from tests.lab.where import INVENTORY, ROOT
from topology import lab
from topology.inventory import plan_of
from topology.lab.names import LabNames
from topology.lab.slice import lab_spec

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(900)]
PLAN = plan_of(INVENTORY)
NAME = PLAN.district.lab.name  # type: ignore[union-attr]
BOX = next(h for h in PLAN.hosts.values() if h.kind == "gateway" and PLAN.sites[h.site].place.kind == "skpd")
CLIENT = next(
    h.name for h in PLAN.hosts.values() if h.kind == "pc" and h.site == BOX.site
    and next(h.of_kind("host")).network == "staff"
)  # fmt: skip
CENTRE = next(h for h in PLAN.hosts.values() if h.kind == "guest" and PLAN.sites[h.site].place.kind == "dc")
HUBS = [link.far_end(BOX.name).host for link in PLAN.links_of(BOX.name) if link.kind == "tunnel"]
REPLACE = ROOT / "playbooks" / "replace_gateway.yml"


def on(host: str, command: str) -> str:
    return lab.exec_in(NAME, host, ["sh", "-c", command]).stdout


def client_reaches_the_centre() -> bool:
    address = next(CENTRE.of_kind("host")).addresses[0]
    return bool(on(CLIENT, f"ping -n -q -c 1 -W 1 {address} >/dev/null && echo yes"))


def wait_for_client(seconds: float) -> None:
    end = time.monotonic() + seconds
    while not client_reaches_the_centre():
        assert time.monotonic() < end, f"{CLIENT} does not reach {CENTRE.name} within {seconds} s"


class Watch(threading.Thread):
    """Looks at the new box all the time: does it forward without a filter?"""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.looks, self.open, self.forwards = 0, 0, 0

    def run(self) -> None:
        # forwarding first: no filter a moment later means that there was none then
        look = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding; echo $(nft list tables)"
        while not self.over.wait(0.1):
            said = on(BOX.name, look).split("\n")
            self.looks += 1
            if "1" in said[:2]:
                self.forwards += 1
                self.open += "inet topology" not in said[2]


def test_a_dead_gateway_is_replaced(tmp_path: Path) -> None:
    wait_for_client(60)
    old = on(BOX.name, "wg pubkey < /etc/wireguard/private.key").strip()
    assert old in on(HUBS[0], "wg show all peers")
    lab.kill_host(NAME, BOX.name)
    assert not client_reaches_the_centre()
    key = lab.replace_host(NAME, BOX.name)
    address = next(
        str(spec.management_address(h)) for spec in [lab_spec(PLAN)] for h in spec.hosts if h.name == BOX.name
    )
    assert on(BOX.name, "ls /etc/wireguard 2>/dev/null; cat /proc/sys/net/ipv4/ip_forward").strip() == "0", "it is bare"

    words = ("-e", f"replace_host={BOX.name}")
    known = LabNames(NAME).known_hosts
    before = known.read_text(encoding="utf-8")
    refused = play.run(REPLACE, tmp_path / "report", *words, "-e", "replace_host_key=")
    assert refused.code != 0 and known.read_text(encoding="utf-8") == before, "no key, nothing is accepted"

    began = time.monotonic()
    watch = Watch()
    watch.start()
    done = play.run(REPLACE, tmp_path / "report", *words, "-e", f"replace_host_key='{key}'", timeout=900)
    played = time.monotonic() - began
    assert done.code == 0, done.output[-5000:]
    wait_for_client(60)
    seconds = time.monotonic() - began
    watch.over.set()
    watch.join()
    record("replace_gateway.yml", play_s=round(played, 1), client_reaches_the_centre_after_s=round(seconds, 1),
           looks=watch.looks)  # fmt: skip
    assert watch.forwards > 0 and watch.open == 0, "it filters before it forwards"

    new = on(BOX.name, "wg pubkey < /etc/wireguard/private.key").strip()
    assert new != old
    keys = (INVENTORY / "keys.yml").read_text(encoding="utf-8")
    assert new in keys and old not in keys
    for hub in HUBS:
        said = on(hub, "wg show all peers; cat /etc/wireguard/*.conf")
        assert new in said and old not in said
    for line in on(BOX.name, "wg show all latest-handshakes").splitlines():
        assert int(line.split()[2]) > 0, line
    assert re.search(rf"(?m)^\S*{re.escape(address)}\S* {re.escape(' '.join(key.split()[:2]))}$", known.read_text())
    again = play.run(play.SITE, tmp_path / "report")
    assert again.code == 0 and again.changes == set(), again.output[-5000:]
