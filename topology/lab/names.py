"""Every name and path the lab uses, so that leftovers can be found without any state file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from topology.lab.errors import LabError
from topology.lab.spec import LabSpec

STATE_ROOT = Path("/run/topology-lab")
DATA_ROOT = Path("/var/lib/topology-lab")
CACHE_ROOT = Path("/var/cache/topology-lab")
NETNS_ROOT = Path("/run/netns")
MANAGEMENT_INTERFACE = "mgmt0"
LAB_USER = "lab"
LAB_UID = 900
MIRROR_IN_HOST = "/var/lib/lab-mirror"

_LAB_NAME = re.compile(r"[a-z0-9]{1,8}")
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,52}[a-z0-9])?")
_INTERFACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
_WIRE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


@dataclass(frozen=True, slots=True)
class LabNames:
    """The names of one lab."""

    lab: str

    def __post_init__(self) -> None:
        if not _LAB_NAME.fullmatch(self.lab):
            raise LabError(f"lab name {self.lab!r} must be 1 to 8 small letters or digits")

    @property
    def state(self) -> Path:
        """Return the directory of keys, logs and state; gone when the lab is down."""
        return STATE_ROOT / self.lab

    @property
    def data(self) -> Path:
        """Return the directory of the hosts' disks; gone when the lab is down."""
        return DATA_ROOT / self.lab

    @property
    def lock(self) -> Path:
        """Return the lock file that whoever changes the lab holds."""
        return STATE_ROOT / f"{self.lab}.lock"

    @property
    def state_file(self) -> Path:
        """Return the file that says what is (meant to be) up."""
        return self.state / "state.json"

    @property
    def private_key(self) -> Path:
        """Return the key that opens every host of the lab."""
        return self.state / "id_ed25519"

    @property
    def ssh_config(self) -> Path:
        """Return the OpenSSH client configuration of the lab."""
        return self.state / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        """Return the host keys of the lab."""
        return self.state / "known_hosts"

    @property
    def controller_netns(self) -> str:
        """Return the namespace of the management network and the controller's address."""
        return f"{self.lab}-ctl"

    @property
    def wires_netns(self) -> str:
        """Return the namespace that holds one bridge per wire."""
        return f"{self.lab}-wires"

    def host_netns(self, host: str) -> str:
        """Return the network namespace of a host."""
        return f"{self.lab}-h-{host}"

    def spare_netns(self, host: str) -> str:
        """Return the name the next namespace of a rebooting host has for a moment."""
        return f"{self.lab}-n-{host}"

    def machine(self, host: str) -> str:
        """Return the container's name for systemd-nspawn."""
        return f"{self.lab}-{host}"

    def host_state(self, host: str) -> Path:
        """Return the directory of a host's run-time files."""
        return self.state / "hosts" / host

    def host_data(self, host: str) -> Path:
        """Return the directory of a host's disk (upper, work, root)."""
        return self.data / host

    def log(self, host: str) -> Path:
        """Return the console log of a host."""
        return self.state / "logs" / f"{host}.log"

    def owns_netns(self, netns: str) -> bool:
        """Say whether a namespace of that name belongs to this lab."""
        return re.fullmatch(rf"{self.lab}-(ctl|wires|[hnp]-.+)", netns) is not None


def lower_path_is_plain(path: Path) -> bool:
    """Say whether `path` may stand in overlayfs mount options, where , and : have a meaning."""
    return not any(character in str(path) for character in ",:\\")


def check_spec(spec: LabSpec) -> None:
    """Raise LabError if `spec` cannot be booted."""
    LabNames(spec.name)
    problems = [*_host_problems(spec), *_wire_problems(spec)]
    if not spec.hosts:
        problems.append("it has no hosts")
    if problems:
        raise LabError(f"lab {spec.name} cannot be booted: {'; '.join(problems)}")


def _host_problems(spec: LabSpec) -> list[str]:
    problems: list[str] = []
    wires = {wire.name for wire in spec.wires}
    names: set[str] = set()
    numbers: set[int] = set()
    for host in spec.hosts:
        if not _HOST_NAME.fullmatch(host.name):
            problems.append(f"host name {host.name!r} must be small letters, digits and dashes")
        if host.name in names:
            problems.append(f"host {host.name} is there twice")
        if host.number in numbers:
            problems.append(f"host number {host.number} ({host.name}) is there twice")
        if not 2 <= host.number < spec.management.num_addresses - 1:
            problems.append(f"host number {host.number} ({host.name}) does not fit in {spec.management}")
        names.add(host.name)
        numbers.add(host.number)
        interfaces: set[str] = set()
        for interface in host.interfaces:
            where = f"interface {interface.name!r} of {host.name}"
            if not _INTERFACE_NAME.fullmatch(interface.name):
                problems.append(f"{where} is not a usable name of at most 15 characters")
            if interface.name in interfaces or interface.name in {MANAGEMENT_INTERFACE, "lo"}:
                problems.append(f"{where} is there twice")
            if interface.wire not in wires:
                problems.append(f"{where} is plugged into the wire {interface.wire!r}, which is not there")
            interfaces.add(interface.name)
    return problems


def _wire_problems(spec: LabSpec) -> list[str]:
    problems: list[str] = []
    names: set[str] = set()
    for wire in spec.wires:
        if not _WIRE_NAME.fullmatch(wire.name):
            problems.append(f"wire name {wire.name!r} must be letters, digits and . _ : -")
        if wire.name in names:
            problems.append(f"wire {wire.name} is there twice")
        names.add(wire.name)
    return problems
