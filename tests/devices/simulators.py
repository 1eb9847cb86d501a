"""Devices that are not there: SSH servers with the command lines of the families, on loopback.

What they print was written from the vendors' documentation (MikroTik's RouterOS manual, Cisco's command
references, Ubiquiti's and Cambium's guides) and NOT recorded on devices. They keep a configuration: what is
pushed is what they show afterwards, what is not saved is gone after `restart`.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
import shlex
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh

USER, PASSWORD = "topology", "kata-sandi-uji"


class Simulator:
    """A device with a command line: subclasses answer lines."""

    banner = ""

    def __init__(self, mood: str = "fine") -> None:
        self.mood = mood
        self.log: list[str] = []
        self.changes = 0
        """Lines that changed something."""
        self.logins_left = 1_000
        """So many more people may log in."""

    def prompt(self, session: dict[str, Any]) -> str:
        raise NotImplementedError

    def answer(self, line: str, session: dict[str, Any]) -> str:
        raise NotImplementedError

    def control(self, key: str, session: dict[str, Any]) -> str | None:
        """Answer a control key; None: it does nothing."""
        return None

    def hung_up(self, session: dict[str, Any]) -> None:
        """Do what the device does when a session ends."""

    async def talk(self, process: asyncssh.SSHServerProcess[str]) -> None:
        session: dict[str, Any] = {}
        out = process.stdout
        if self.mood == "flood":
            while True:
                out.write("interface GigabitEthernet spam\r\n" * 500)
                await out.drain()
        if self.mood == "mute":
            await asyncio.sleep(3600)
        out.write(self.banner + self.prompt(session))
        buffer, skip = "", False
        try:
            while data := await process.stdin.read(4096):
                for key in data:
                    if key == "\n" and skip:
                        skip = False
                        continue
                    skip = key == "\r"
                    if key in "\r\n":
                        line, buffer = buffer.strip(), ""
                        if self.mood == "slow" and line:
                            await asyncio.sleep(3600)
                        text = self.answer(line, session) if line or session.get("dialog") else ""
                        if self.mood == "lying" and line:
                            text = "\x00\ufffd lorem ipsum " * 20
                        self.log += [line] if line else []
                        if text is EXIT:
                            process.exit(0)
                            return
                        out.write("\r\n" + text.replace("\n", "\r\n") + ("\r\n" if text and not text.endswith(": ")
                                  and not text.endswith("[confirm]") else ""))  # fmt: skip
                        if not session.get("dialog"):
                            out.write(self.prompt(session))
                    elif ord(key) < 32:
                        said = self.control(key, session)
                        if said is not None:
                            out.write(said.replace("\n", "\r\n") + self.prompt(session))
                    else:
                        buffer += key
                        out.write(key)
        except (asyncssh.BreakReceived, asyncssh.TerminalSizeChanged, ConnectionError):
            pass
        finally:
            self.hung_up(session)


EXIT = "\0exit"


class RouterOS(Simulator):
    """MikroTik RouterOS 7 on a switch with `count` ports."""

    order = (
        "/interface bridge", "/interface ethernet", "/interface vlan", "/interface bridge port",
        "/interface bridge vlan", "/ip address", "/ip route", "/snmp", "/snmp community", "/system identity",
        "/system logging", "/system logging action", "/system ntp client", "/system ntp client servers",
    )  # fmt: skip
    singles = ("/snmp", "/system identity", "/system ntp client")
    defaults = {"vlan-filtering": "no", "pvid": "1", "remote-port": "514", "disabled": "no"}

    def __init__(self, ports: list[str], version: str, address: str, mood: str = "fine", old: bool = False) -> None:
        super().__init__(mood)
        self.version, self.old = version, old
        self.down: set[str] = set()
        self.paths: dict[str, list[dict[str, str]]] = {p: [] for p in self.order}
        self.paths["/interface ethernet"] = [{"default-name": p} for p in ports]
        self.paths["/system identity"] = [{"name": "MikroTik"}]
        self.safe: dict[str, Any] | None = None
        self.fails_after_push = False

    def prompt(self, session: dict[str, Any]) -> str:
        name = self.paths["/system identity"][0]["name"]
        return f"[{USER}@{name}] " + ("<SAFE> " if session.get("safe") else "> ")

    def control(self, key: str, session: dict[str, Any]) -> str | None:
        if key != "\x18":
            return None
        if session.get("safe"):
            session["safe"], self.safe = False, None
            return "\n[Safe Mode released]\n"
        session["safe"], self.safe = True, copy.deepcopy(self.paths)
        return "\n[Safe Mode taken]\n"

    def hung_up(self, session: dict[str, Any]) -> None:
        if session.get("safe") and self.safe is not None:
            self.paths, self.safe = self.safe, None

    def answer(self, line: str, session: dict[str, Any]) -> str:
        if line == "quit":
            return EXIT
        if line.startswith("/export"):
            return self.export()
        if line.startswith("/interface print"):
            rows = []
            for n, item in enumerate(self.paths["/interface ethernet"]):
                name = item["default-name"]
                off = item.get("disabled") == "yes"
                flags = "X" if off else " " if name in self.down else "R"
                comment = f" comment={item['comment']}" if item.get("comment") else ""
                rows.append(f" {n} {flags}{comment} name={name} default-name={name} type=ether mtu=1500 l2mtu=1592")
            return "\n".join(rows)
        if line.startswith("/system resource print"):
            return (
                "                   uptime: 5w2d3h4m\n"
                f"                  version: {self.version} (stable)\n"
                "               build-time: 2024-12-20 10:00:00\n"
                "               board-name: CRS326-24G-2S+"
            )
        return self.execute(line)

    def execute(self, line: str) -> str:
        match = re.match(r"(/[a-z ]+?) (add|set|remove)\b ?(?:\[ find ([\w-]+)=(\S+) \])? ?(.*)$", line)
        if match is None or match[1] not in self.paths:
            return "bad command name (line 1 column 1)"
        path, verb, field, value, rest = match.groups()
        self.changes += 1
        items = self.paths[path]
        values = dict(w.split("=", 1) for w in shlex.split(rest))
        chosen = [i for i in items if field is None or i.get(field) == (value or "").strip('"')]
        if verb == "add":
            items.append(values)
        elif verb == "remove":
            self.paths[path] = [i for i in items if i not in chosen]
        elif path in self.singles:
            items[:] = [(items[0] if items else {}) | values]
        elif not chosen:
            return "no such item" if path == "/interface ethernet" else ""
        else:
            for item in chosen:
                item.update(values)
        return ""

    def export(self) -> str:
        rows = [f"# 2026-11-26 1{len(self.log) % 10}:04:05 by RouterOS {self.version}", "# software id = AAAA-BBBB"]
        for path in self.order:
            for item in self.paths[path]:
                shown = {
                    k: v for k, v in item.items()
                    if self.defaults.get(k) != v and (self.old or not re.search("password|passphrase", k))
                }  # fmt: skip
                text = " ".join(f'{k}="{v}"' if " " in v else f"{k}={v}" for k, v in sorted(shown.items()))
                if path == "/interface ethernet":
                    name = shown.pop("default-name")
                    if not shown:
                        continue
                    text = " ".join(f'{k}="{v}"' if " " in v else f"{k}={v}" for k, v in sorted(shown.items()))
                    rows.append(f"{path} set [ find default-name={name} ] {text}")
                else:
                    rows.append(f"{path} {'set' if path in self.singles else 'add'} {text}")
        return "\n".join(rows)


class Ios(Simulator):
    """A Cisco-like switch."""

    keys = (
        "switchport mode", "switchport access vlan", "switchport voice vlan", "switchport trunk native vlan",
        "switchport trunk allowed vlan", "description", "shutdown", "ip address",
    )  # fmt: skip

    def __init__(self, ports: list[str], version: str, address: str, mood: str = "fine") -> None:
        super().__init__(mood)
        self.version = version
        self.down: set[str] = set()
        self.state: dict[str, Any] = {
            "hostname": "Switch", "vlans": {"1": "default"}, "users": {}, "globals": [],
            "interfaces": {p: [] for p in ports} | {"Vlan1": ["no ip address"]},
        }  # fmt: skip
        self.saved = copy.deepcopy(self.state)
        self.reload_armed = False

    def restart(self) -> None:
        """Do what a reload does."""
        self.state, self.reload_armed = copy.deepcopy(self.saved), False

    def prompt(self, session: dict[str, Any]) -> str:
        return self.state["hostname"] + {"": "#", "config": "(config)#"}.get(session.get("mode", ""), "(config-sub)#")

    def answer(self, line: str, session: dict[str, Any]) -> str:
        dialog = session.pop("dialog", None)
        if dialog == "save?":
            session["dialog"] = "confirm"
            return "Reload scheduled in 5 minutes by topology on vty0\nProceed with reload? [confirm]"
        if dialog == "confirm":
            self.reload_armed = True
            return ""
        mode = session.get("mode", "")
        if not mode:
            return self.exec(line, session)
        self.changes += line not in ("end", "exit")
        if line == "end" or (line == "exit" and mode == "config"):
            session["mode"] = ""
        elif line == "exit":
            session["mode"] = "config"
        elif m := re.match(r"interface (\S+)$", line):
            session["mode"] = f"interface {m[1]}"
            self.state["interfaces"].setdefault(m[1], [])
        elif m := re.match(r"vlan (\d+)$", line):
            session["mode"] = f"vlan {m[1]}"
            self.state["vlans"].setdefault(m[1], f"VLAN{int(m[1]):04}")
        elif mode.startswith("vlan ") and line.startswith("name "):
            self.state["vlans"][mode.split()[1]] = line[5:]
        elif mode.startswith("interface ") and (m := re.match(rf"(no )?({'|'.join(self.keys)})( .*)?$", line)):
            rows = self.state["interfaces"][mode.split()[1]]
            rows[:] = [r for r in rows if not r.removeprefix("no ").startswith(m[2])]
            rows += [line] if not m[1] else []
        else:
            session["mode"] = "config"
            return self.whole(line)
        return ""

    def whole(self, line: str) -> str:
        state = self.state
        if m := re.match(r"hostname (\S+)$", line):
            state["hostname"] = m[1]
        elif m := re.match(r"no vlan (\d+)$", line):
            state["vlans"].pop(m[1], None)
        elif m := re.match(r"snmp-server user (\S+) (\S+) v3 auth sha (\S{8,}) priv aes 128 (\S{8,})$", line):
            state["users"][m[1]] = m[2]
        elif m := re.match(r"no snmp-server user (\S+)", line):
            state["users"].pop(m[1], None)
        elif m := re.match(r"no ((?:ntp server|logging host) \S+)", line):
            state["globals"] = [g for g in state["globals"] if not g.startswith(m[1])]
        elif re.match(r"ip default-gateway \S+$", line):
            state["globals"] = [g for g in state["globals"] if not g.startswith("ip default-gateway")] + [line]
        elif re.match(
            r"(ntp server|logging host|snmp-server group|snmp-server community|username|enable secret) \S+", line
        ):
            state["globals"] += [line] if line not in state["globals"] else []
        else:
            return "               ^\n% Invalid input detected at '^' marker."
        return ""

    def exec(self, line: str, session: dict[str, Any]) -> str:
        if line in ("exit", "quit"):
            return EXIT
        if line.startswith("terminal "):
            return ""
        if line == "show running-config":
            return self.running()
        if line == "show vlan brief":
            head = "VLAN Name                             Status    Ports\n" + "-" * 4 + " " + "-" * 32 + " " + "-" * 9
            rows = [
                f"{v:<4} {n:<32} active    " for v, n in sorted(self.state["vlans"].items(), key=lambda x: int(x[0]))
            ]
            fixed = [
                "1002 fddi-default                     act/unsup ",
                "1005 trnet-default                    act/unsup ",
            ]
            return "\n".join((head, *rows, *fixed))
        if line == "show interfaces status":
            rows = ["Port      Name               Status       Vlan       Duplex  Speed Type"]
            for name, lines in self.state["interfaces"].items():
                if not name.startswith("Vlan"):
                    short = name.replace("GigabitEthernet", "Gi")
                    text = next((x[12:30] for x in lines if x.startswith("description ")), "")
                    state = "disabled" if "shutdown" in lines else "notconnect" if name in self.down else "connected"
                    rows.append(f"{short:<9} {text:<18} {state:<12} 1            a-full a-1000 10/100/1000BaseTX")
            return "\n".join(rows)
        if line == "show snmp user":
            return "\n".join(
                f"User name: {u}\nEngine ID: 800000090300AA\nstorage-type: nonvolatile        active\n"
                f"Authentication Protocol: SHA\nPrivacy Protocol: AES128\nGroup-name: {g}\n"
                for u, g in self.state["users"].items()
            )
        if line == "show version":
            return (
                f"Cisco IOS Software, C1000 Software (C1000-UNIVERSALK9-M), Version {self.version}, RELEASE SOFTWARE\n"
                f"{self.state['hostname']} uptime is 3 weeks, 2 days, {len(self.log)} minutes"
            )
        if line in ("configure terminal", "config term"):
            session["mode"] = "config"
            return "Enter configuration commands, one per line.  End with CNTL/Z."
        if line.startswith("reload in"):
            session["dialog"] = "save?"
            return "System configuration has been modified. Save? [yes/no]: "
        if line == "reload cancel":
            self.reload_armed = False
            return "***\n*** --- SHUTDOWN ABORTED ---\n***"
        if line.startswith("write"):
            self.saved = copy.deepcopy(self.state)
            return "Building configuration...\n[OK]"
        return "               ^\n% Invalid input detected at '^' marker."

    def running(self) -> str:
        state = self.state
        rows = [
            "Building configuration...", "", f"Current configuration : {4000 + len(self.log)} bytes", "!",
            f"! Last configuration change at 10:0{len(self.log) % 10}:05 WITA Thu Nov 26 2026 by topology", "!",
            f"version {self.version.split('(')[0]}", f"hostname {state['hostname']}", "!",
        ]  # fmt: skip
        for name, lines in state["interfaces"].items():
            rows += [f"interface {name}", *(f" {x}" for x in lines), "!"]
        return "\n".join((*rows, *state["globals"], "!", "end"))


class AirOS(Simulator):
    """A Ubiquiti radio: a busybox shell."""

    def __init__(self, version: str, mood: str = "fine") -> None:
        super().__init__(mood)
        self.version, self.connections = version, 1
        self.config = {
            "radio.1.mode": "Managed", "wireless.1.ssid": "ubnt", "resolv.host.1.name": "PowerBeam",
            "snmp.status": "enabled",
            "snmp.community": "public", "users.1.name": "ubnt", "users.1.password": "$1$abc$rahasia-hash",
            "wireless.1.security.psk": "kunci-radio-rahasia", "netconf.1.devname": "eth0", "netconf.1.ip": "0.0.0.0",
        }  # fmt: skip
        self.saved = dict(self.config)

    def restart(self) -> None:
        self.config = dict(self.saved)

    def prompt(self, session: dict[str, Any]) -> str:
        return f"XC.v{'.'.join(self.version.split('.')[:3])}# "

    def answer(self, line: str, session: dict[str, Any]) -> str:
        if line == "exit":
            return EXIT
        if line == "cat /tmp/system.cfg":
            # the firmware writes its lines in no fixed order
            rows = [f"{k}={v}" for k, v in self.config.items()]
            return "\n".join(rows[len(self.log) % 5 :] + rows[: len(self.log) % 5])
        if line == "cat /etc/version":
            return f"XC.v{self.version}.46972.220614.0420"
        if line == "mca-status":
            head = f"deviceName=PowerBeam,deviceId=aa,firmwareVersion={self.version}"
            return f"{head}\nwlanConnections={self.connections}\nsignal=-52"
        if m := re.match(r"sed -i '/\^(\S+)=/d' /tmp/system.cfg && echo '(.*)' >>/tmp/system.cfg$", line):
            self.changes += 1
            key, value = m[2].split("=", 1)
            self.config.pop(m[1].replace("\\.", "."), None)
            self.config[key] = value
            return ""
        if line.startswith("cfgmtd -w -p /etc/"):
            self.saved = dict(self.config)
            return "Found Backup1 on[2] ...\nStoring Active[1] ... [%100]\nkept"
        if line.startswith("/usr/etc/rc.d/rc.softrestart"):
            return ""
        return "-sh: " + line.split(maxsplit=1)[0] + ": not found"


class EPMP(Simulator):
    """A Cambium radio."""

    def __init__(self, version: str, mood: str = "fine") -> None:
        super().__init__(mood)
        self.version, self.linked = version, "up"
        self.config: dict[str, str] = {
            "systemConfigDeviceName": "Cambium", "networkBridgeIPAddr": "169.254.1.1",
            "networkBridgeNetmask": "255.255.0.0",
            "networkBridgeGatewayIP": "169.254.1.254", "wirelessInterfaceMode": "2",
            "wirelessInterfaceSSID": "Cambium-AP",
            "snmpReadOnlyCommunity": "public", "wirelessInterfaceWPAKey": "kunci-radio-rahasia",
            "cambiumCfgTimestamp": "1", "cambiumSysAccountsHash": "$1$Q4$hash-rahasia",
        }  # fmt: skip
        self.saved = dict(self.config)

    def restart(self) -> None:
        self.config = dict(self.saved)

    def prompt(self, session: dict[str, Any]) -> str:
        return "ePMP Force 300-25>"

    def answer(self, line: str, session: dict[str, Any]) -> str:
        if line == "exit":
            return EXIT
        if line == "config show json":
            return json.dumps({"device_props": self.config | {"cambiumCfgTimestamp": str(len(self.log))}}, indent=1)
        if line == "show dashboard":
            state = f"cambiumWirelessLinkState   {self.linked}\ncambiumUptime 3 days"
            return f"cambiumCurrentuImageVersion    {self.version}\n{state}"
        if m := re.match(r"config set (\S+) (\S+)$", line):
            self.changes += 1
            self.config[m[1]] = m[2]
            return ""
        if line == "config save":
            self.saved = dict(self.config)
            return ""
        if line == "config apply":
            return ""
        return "Unknown command"


class Files:
    """A device that gives files over SFTP and nothing else."""

    def __init__(self, folder: Path, mood: str = "fine") -> None:
        self.folder, self.mood = folder, mood
        self.changes = 0


class _Server(asyncssh.SSHServer):
    def __init__(self, simulator: Any) -> None:
        self.simulator = simulator

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        # RouterOS takes terminal settings behind a plus sign
        good = username.split("+", maxsplit=1)[0] == USER and password == PASSWORD
        if good and not isinstance(self.simulator, Files):
            self.simulator.logins_left -= 1
            return bool(self.simulator.logins_left >= 0)
        return good


class Fleet:
    """Simulators on ports of loopback, in a thread of their own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.keys: dict[str, asyncssh.SSHKey] = {}
        self.servers: dict[str, asyncssh.SSHAcceptor] = {}
        self.ports: dict[str, int] = {}
        self.sockets: list[socket.socket] = []

    def add(self, name: str, simulator: Any, port: int = 0) -> int:
        """Start a simulator and return its port."""
        key = self.keys.setdefault(name, asyncssh.generate_private_key("ssh-ed25519"))

        async def start() -> asyncssh.SSHAcceptor:
            more: dict[str, Any] = {}
            if isinstance(simulator, Files):
                more["sftp_factory"] = lambda channel: asyncssh.SFTPServer(channel, chroot=str(simulator.folder))
            else:
                more["process_factory"] = simulator.talk
            return await asyncssh.create_server(
                lambda: _Server(simulator), "127.0.0.1", port, server_host_keys=[key], line_editor=False,
                reuse_address=True, **more,
            )  # fmt: skip

        server = asyncio.run_coroutine_threadsafe(start(), self.loop).result(20)
        self.servers[name], self.ports[name] = server, server.get_port()
        return self.ports[name]

    def new_key(self, name: str, simulator: Any) -> None:
        """Give a device another host key, at the same port."""
        self.stop(name)
        self.keys.pop(name)
        self.add(name, simulator, self.ports[name])

    def silent(self, name: str) -> int:
        """Open a port that takes connections and never says a word."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.sockets.append(listener)
        self.ports[name] = listener.getsockname()[1]
        return self.ports[name]

    def stop(self, name: str) -> None:
        async def close() -> None:
            server = self.servers.pop(name)
            server.close()
            await server.wait_closed()

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(20)

    def close(self) -> None:
        for name in list(self.servers):
            self.call(self.servers.pop(name).close)
        for listener in self.sockets:
            listener.close()
        self.call(self.loop.stop)

    def call(self, what: Callable[[], object]) -> None:
        self.loop.call_soon_threadsafe(what)
