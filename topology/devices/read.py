"""From what a device answers to what it is. Pure; a device may answer anything at all."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from topology.devices.model import Device
from topology.drift.judge import Observed, Things

Answers = Mapping[str, str]
"""Name of a question -> answer."""

QUESTIONS: dict[str, dict[str, str]] = {
    "routeros": {
        "configuration": "/export terse",
        "interfaces": "/interface print terse without-paging where type=ether",
        "version": "/system resource print without-paging",
    },
    "ios": {
        "configuration": "show running-config",
        "vlans": "show vlan brief",
        "interfaces": "show interfaces status",
        "snmp": "show snmp user",
        "version": "show version",
    },
    "airos": {"configuration": "cat /tmp/system.cfg", "version": "cat /etc/version", "status": "mca-status"},
    "epmp": {"configuration": "config show json", "status": "show dashboard"},
    "sftp": {},
}
"""Family -> question -> command. The answer to `configuration` is what a backup keeps."""

_KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "routeros": {
        "configuration": (
            "identity", "bridge", "filtering", "vlan", "port", "interface", "address", "route", "ntp", "syslog", "snmp",
        ),
        "interfaces": ("link", "port"),
        "version": ("firmware",),
    },
    "ios": {
        "configuration": ("identity", "port", "address", "route", "ntp", "syslog"),
        "vlans": ("vlan",),
        "interfaces": ("link",),
        "snmp": ("snmp",),
        "version": ("firmware",),
    },
    "airos": {
        "configuration": ("identity", "address", "route", "wireless", "ntp", "syslog", "snmp"),
        "version": ("firmware",),
        "status": ("link",),
    },
    "epmp": {
        "configuration": ("identity", "address", "route", "wireless", "ntp", "syslog", "snmp"),
        "status": ("link", "firmware"),
    },
}  # fmt: skip
"""Family -> question -> kinds that its answer tells of."""


def observe(device: Device, answers: Answers) -> Observed:
    """Return what a device's answers say; kinds whose answer makes no sense are unobserved."""
    family, found = device.profile.family, Observed()
    if family == "sftp":
        found.kinds["file"] = {path: {} for path, text in answers.items() if text.strip()}
        return found
    for question, kinds in _KINDS[family].items():
        try:
            for kind, things in _READERS[family, question](answers.get(question, "")).items():
                known = found.kinds.setdefault(kind, {})
                for thing, values in things.items():
                    known[thing] = known.get(thing, {}) | values
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            said = _first_line(answers.get(question, ""))
            why = f"the answer to `{QUESTIONS[family][question]}` makes no sense ({type(error).__name__}): {said}"
            found.unobserved |= dict.fromkeys(kinds, why)
    if all(kind in found.unobserved for kinds in _KINDS[family].values() for kind in kinds):
        found.failed = "its answers make no sense: " + _first_line("\n".join(answers.values()))
    return found


def _first_line(text: str) -> str:
    line = next((x.strip() for x in text.splitlines() if x.strip()), "nothing came")
    line = "".join(c if c.isprintable() else "?" for c in line)
    return line if len(line) <= 80 else line[:77] + "..."


# ------------------------------------------------------------------------------ MikroTik RouterOS

_RouterLine = tuple[str, str, dict[str, str]]


def router_lines(text: str) -> Iterator[_RouterLine]:
    """Yield (path, verb, attributes) of every command of an `/export`, terse or not."""
    path = ""
    for line in re.sub(r"\\\r?\n\s*", "", text).splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        # [ find default-name=ether1 ]: what is set is named by it
        words = shlex.split(re.sub(r"\[\s*find\s+(.*?)\s*\]", r"\1", line), posix=True)
        verb = next((i for i, w in enumerate(words) if w in ("add", "set", "remove")), None)
        if words[0].startswith("/"):
            path = " ".join(words if verb is None else words[:verb])
        if verb is None:
            continue
        values = {name: value for name, _, value in (w.partition("=") for w in words[verb + 1 :])}
        yield path, words[verb], values


def _router_configuration(text: str) -> dict[str, Things]:
    if "RouterOS" not in text:
        raise ValueError("no export")
    found: dict[str, Things] = {k: {} for k in _KINDS["routeros"]["configuration"]}
    found["identity"]["name"] = {"is": "MikroTik"}
    actions: dict[str, dict[str, str]] = {}
    used: set[str] = set()
    ports: dict[str, dict[str, Any]] = {}
    for path, verb, v in router_lines(text):
        if verb == "remove":
            continue
        on = v.get("disabled") != "yes"
        if path == "/system identity":
            found["identity"]["name"] = {"is": v["name"]}
        elif path == "/interface bridge" and "name" in v:
            found["bridge"][v["name"]] = {}
            found["filtering"][v["name"]] = {"vlan": v.get("vlan-filtering", "no")}
        elif path == "/interface bridge vlan" and on:
            tagged = ",".join(sorted(x for x in v.get("tagged", "").split(",") if x))
            for vlan in v["vlan-ids"].split(","):
                found["vlan"][vlan] = {"name": v.get("comment", ""), "tagged": tagged}
        elif path == "/interface bridge port" and on:
            only_tagged = v.get("frame-types") == "admit-only-vlan-tagged"
            ports.setdefault(v["interface"], {})["untagged"] = "none" if only_tagged else int(v.get("pvid", "1"))
        elif path == "/interface ethernet" and "default-name" in v:
            ports.setdefault(v["default-name"], {})["description"] = v.get("comment", "")
        elif path == "/interface vlan" and on:
            found["interface"][v["name"]] = {"vlan": int(v["vlan-id"])}
        elif path == "/ip address" and on:
            found["address"][v["address"]] = {"interface": v["interface"]}
        elif path == "/ip route" and on and v.get("dst-address", "0.0.0.0/0") == "0.0.0.0/0":
            found["route"]["default"] = {"gateway": v["gateway"]}
        elif path == "/system ntp client servers" and on:
            found["ntp"][v["address"]] = {}
        elif path == "/system logging action" and v.get("remote"):
            actions[v.get("name", "remote")] = v  # `set 3 remote=...` is the one called remote
        elif path == "/system logging" and on:
            used.add(v.get("action", "memory"))
        elif path == "/snmp community" and "name" in v and on:
            found["snmp"][v["name"]] = {"security": v.get("security", "none")}
    for action in (v for name, v in actions.items() if name in used):
        found["syslog"][action["remote"]] = {"port": int(action.get("remote-port", "514"))}
    found["port"] = dict(ports)
    return found


def _router_interfaces(text: str) -> dict[str, Things]:
    link: Things = {}
    port: Things = {}
    for line in text.splitlines():
        values = dict(w.split("=", 1) for w in shlex.split(line) if "=" in w)
        if "default-name" not in values:
            continue
        name, flags = values["default-name"], line.split("name=")[0]
        link[name] = {"state": "up" if "R" in flags else "down"}
        port[name] = {"enabled": "no" if "X" in flags else "yes"}
    if not port:
        raise ValueError("no interface")
    return {"link": link, "port": port}


def _router_version(text: str) -> dict[str, Things]:
    match = re.search(r"^\s*version: (\S+)", text, re.MULTILINE)
    if match is None:
        raise ValueError("no version")
    return {"firmware": {"running": {"version": match[1]}}}


# ------------------------------------------------------------------------------ a Cisco-like CLI

_PHYSICAL = re.compile(r"(Fa|Gi|Te|Fo|Hu|Two|Fast|Gigabit|Ten|Forty|Hundred)\w*\d")
_SHORT = {
    "FastEthernet": "Fa", "GigabitEthernet": "Gi", "TenGigabitEthernet": "Te", "TwoGigabitEthernet": "Tw",
    "FortyGigabitEthernet": "Fo", "HundredGigE": "Hu",
}  # fmt: skip


def _long(name: str) -> str:
    """Return a port's whole name: tables print Gi1/0/1."""
    for long, short in _SHORT.items():
        if re.match(rf"{short}\d", name):
            return long + name[len(short) :]
    return name


def _vlan_list(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found


def _ios_configuration(text: str) -> dict[str, Things]:
    if not re.search(r"^hostname \S", text, re.MULTILINE) or not re.search(r"^end\s*$", text, re.MULTILINE):
        raise ValueError("not a whole configuration")
    found: dict[str, Things] = {k: {} for k in _KINDS["ios"]["configuration"]}
    for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE):
        head, *lines = [x.strip() for x in block.splitlines() if x.strip()] or [""]
        words = head.split()
        match words:
            case ["hostname", name]:
                found["identity"]["name"] = {"is": name}
            case ["interface", name] if _PHYSICAL.match(name):
                found["port"][name] = _ios_port(lines)
            case ["interface", name]:
                for line in lines:
                    if m := re.match(r"ip address (\S+) 255\.255\.255\.0$", line):
                        found["address"][f"{m[1]}/24"] = {"interface": name}
                    elif m := re.match(r"ip address (\S+) (\S+)", line):
                        found["address"][f"{m[1]} {m[2]}"] = {"interface": name}
            case ["ip", "default-gateway", gateway] | ["ip", "route", "0.0.0.0", "0.0.0.0", gateway, *_]:
                found["route"]["default"] = {"gateway": gateway}
            case ["ntp", "server", server, *_]:
                found["ntp"][server] = {}
            case ["logging", "host", server, *rest]:
                found["syslog"][server] = {"port": int(rest[rest.index("port") + 1]) if "port" in rest else 514}
    return found


def _ios_port(lines: list[str]) -> dict[str, Any]:
    trunk = "switchport mode trunk" in lines
    access, native, voice, allowed, description = 1, 1, None, list[int](), ""
    limited = False
    for line in lines:
        if m := re.match(r"switchport access vlan (\d+)", line):
            access = int(m[1])
        elif m := re.match(r"switchport voice vlan (\d+)", line):
            voice = int(m[1])
        elif m := re.match(r"switchport trunk native vlan (\d+)", line):
            native = int(m[1])
        elif m := re.match(r"switchport trunk allowed vlan (?:add )?([\d,-]+)", line):
            allowed, limited = allowed + _vlan_list(m[1]), True
        elif m := re.match(r"description (.*)", line):
            description = m[1]
    found: dict[str, Any] = {"enabled": "no" if "shutdown" in lines else "yes", "description": description}
    if not trunk:
        return found | {"untagged": access, "tagged": str(voice) if voice else "none"}
    if not limited:
        return found | {"untagged": native, "tagged": "all"}
    tagged = ",".join(str(v) for v in sorted(set(allowed) - {native})) or "none"
    return found | {"untagged": native if native in allowed else "none", "tagged": tagged}


def _ios_vlans(text: str) -> dict[str, Things]:
    rows = re.findall(r"^(\d+)\s+(\S.*?)\s+(?:active|act/\w+|sus\w*)", text, re.MULTILINE)
    if not rows:
        raise ValueError("no VLAN")
    return {"vlan": {vlan: {"name": name} for vlan, name in rows}}


_STATUS = re.compile(
    r"^((?:Fa|Gi|Te|Tw|Fo|Hu)\S*\d)\s.*?\s?(connected|notconnect|disabled|err-disabled|inactive|monitoring|suspended|"
    r"sfpAbsent|up|down)\s+(?:\d+|trunk|routed|unassigned)\s",
    re.MULTILINE,
)
"""A row of `show interfaces status`; a long description moves the columns."""


def _ios_interfaces(text: str) -> dict[str, Things]:
    rows = _STATUS.findall(text)
    if not rows:
        raise ValueError("no table")
    return {"link": {_long(port): {"state": "up" if state == "connected" else state} for port, state in rows}}


def _ios_snmp(text: str) -> dict[str, Things]:
    found: Things = {}
    for block in re.split(r"^User name: ", text, flags=re.MULTILINE)[1:]:
        private = re.search(r"Privacy Protocol: (?!None)\S", block)
        found[block.split()[0]] = {"security": "private" if private else "none"}
    if not found and re.search(r"Invalid|Incomplete|Ambiguous", text):
        raise ValueError("no such command")
    return {"snmp": found}


def _ios_version(text: str) -> dict[str, Things]:
    match = re.search(r"Version ([^\s,]+)", text)
    if match is None:
        raise ValueError("no version")
    return {"firmware": {"running": {"version": match[1]}}}


# ------------------------------------------------------------------------------ radios


def _pairs(text: str) -> dict[str, str]:
    found = dict(line.strip().split("=", 1) for line in text.splitlines() if "=" in line)
    if not found:
        raise ValueError("no settings")
    return found


def _airos_configuration(text: str) -> dict[str, Things]:
    v = _pairs(text)
    if "radio.1.mode" not in v:
        raise ValueError("not a radio's settings")
    found: dict[str, Things] = {k: {} for k in _KINDS["airos"]["configuration"]}
    found["identity"]["name"] = {"is": v.get("resolv.host.1.name", "")}
    for key, ip in v.items():
        if m := re.fullmatch(r"netconf\.(\d+)\.ip", key):
            mask, name = v.get(f"netconf.{m[1]}.netmask"), v.get(f"netconf.{m[1]}.devname", "")
            if ip not in ("", "0.0.0.0"):
                found["address"][f"{ip}/24" if mask == "255.255.255.0" else f"{ip} {mask}"] = {"interface": name}
    if v.get("route.1.status") == "enabled":
        found["route"]["default"] = {"gateway": v.get("route.1.gateway", "")}
    mode = {"master": "ap", "managed": "station"}.get(v["radio.1.mode"].lower().removeprefix("ap-"), v["radio.1.mode"])
    found["wireless"]["link"] = {"ssid": v.get("wireless.1.ssid", ""), "mode": mode}
    if v.get("ntpclient.1.status") == "enabled":
        found["ntp"][v["ntpclient.1.server"]] = {}
    if v.get("syslog.remote.status") == "enabled":
        found["syslog"][v["syslog.remote.ip"]] = {"port": int(v.get("syslog.remote.port", "514"))}
    found["snmp"]["v1"] = {"enabled": "yes" if v.get("snmp.status") == "enabled" else "no"}
    return found


def _airos_version(text: str) -> dict[str, Things]:
    match = re.search(r"\.v(\d[0-9.]*\d)(?:[.-]|$)", text.strip())
    if match is None:
        raise ValueError("no version")
    # XC.v8.7.11.46972.220614.0420: three numbers are the release, the rest is the build
    return {"firmware": {"running": {"version": ".".join(match[1].split(".")[:3])}}}


def _airos_status(text: str) -> dict[str, Things]:
    v = _pairs(text.replace(",", "\n"))
    return {"link": {"link": {"state": "up" if int(v["wlanConnections"]) > 0 else "down"}}}


def _epmp_configuration(text: str) -> dict[str, Things]:
    v = json.loads(text[text.index("{") : text.rindex("}") + 1])["device_props"]
    found: dict[str, Things] = {k: {} for k in _KINDS["epmp"]["configuration"]}
    found["identity"]["name"] = {"is": v["systemConfigDeviceName"]}
    mask = v["networkBridgeNetmask"]
    address = f"{v['networkBridgeIPAddr']}/24" if mask == "255.255.255.0" else f"{v['networkBridgeIPAddr']} {mask}"
    found["address"][address] = {"interface": "br0"}
    found["route"]["default"] = {"gateway": v["networkBridgeGatewayIP"]}
    mode = {"1": "ap", "2": "station"}.get(str(v["wirelessInterfaceMode"]), str(v["wirelessInterfaceMode"]))
    found["wireless"]["link"] = {"ssid": v["wirelessInterfaceSSID"], "mode": mode}
    if server := v.get("systemNtpServerPrimaryIP"):
        found["ntp"][server] = {}
    if server := v.get("systemSyslogServerIPFirst"):
        found["syslog"][server] = {"port": int(v.get("systemSyslogServerPortFirst", 514))}
    if str(v.get("snmpSystemVersion")) == "3" and (user := v.get("snmpV3UserName")):
        found["snmp"][user] = {"security": "private" if str(v.get("snmpV3SecurityLevel")) == "3" else "none"}
    return found


def _epmp_status(text: str) -> dict[str, Things]:
    v = dict(line.split(None, 1) for line in text.splitlines() if len(line.split(None, 1)) == 2)
    return {
        "firmware": {"running": {"version": v["cambiumCurrentuImageVersion"].strip()}},
        "link": {"link": {"state": "up" if v["cambiumWirelessLinkState"].strip().lower() == "up" else "down"}},
    }


_READERS: dict[tuple[str, str], Callable[[str], dict[str, Things]]] = {
    ("routeros", "configuration"): _router_configuration,
    ("routeros", "interfaces"): _router_interfaces,
    ("routeros", "version"): _router_version,
    ("ios", "configuration"): _ios_configuration,
    ("ios", "vlans"): _ios_vlans,
    ("ios", "interfaces"): _ios_interfaces,
    ("ios", "snmp"): _ios_snmp,
    ("ios", "version"): _ios_version,
    ("airos", "configuration"): _airos_configuration,
    ("airos", "version"): _airos_version,
    ("airos", "status"): _airos_status,
    ("epmp", "configuration"): _epmp_configuration,
    ("epmp", "status"): _epmp_status,
}
