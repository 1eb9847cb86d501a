"""A gateway's logs, to the hosts of the service `monitoring` that exist in the plan.

Ports are the inventory's: what services/monitoring.yml lists and policy.yml calls `syslog`.
rsyslog (Debian) takes the TCP one and keeps what it cannot send in a queue on disk, one per
host; inside the district's tunnels, with octet counting (RFC 6587). FreeBSD's syslogd has UDP
only and no queue: while the centre is away its logs are in the gateway's own /var/log.
"""

from __future__ import annotations

from topology.allocate import Host
from topology.policy import port as parse
from topology.render.common import Context

SERVICE, FLOW = "monitoring", "syslog"
"""Names of the service (services/) and of its ports (policy.yml)."""


def files(context: Context, host: Host) -> dict[str, str]:
    """Return path -> text of a gateway's log forwarding; nothing without somebody to send to."""
    if host.kind != "gateway":
        return {}
    head, found = f"# {context.header(host, f'services/{SERVICE}.yml')}\n", servers(context)
    if host.platform == "freebsd":
        number = port(context, "udp")
        if number is None or not found:
            return {}
        rows = "".join(f"*.*\t\t\t\t\t\t@{address}:{number}\n" for _, address in found)
        return {"etc/syslog.d/topology.conf": f"{head}!*\n{rows}"}
    protocol = "tcp" if port(context, "tcp") is not None else "udp"
    number = port(context, protocol)
    if number is None or not found:
        return {}
    return {"etc/rsyslog.d/60-topology.conf": head + "".join(_action(name, at, number, protocol) for name, at in found)}


def servers(context: Context) -> list[tuple[str, str]]:
    """Return the name and IPv4 address of every host that collects logs."""
    service = context.plan.district.services.get(SERVICE)
    found = []
    for name in service.hosts if service else ():
        interface = next(context.plan.hosts[name].of_kind("host"), None) if name in context.plan.hosts else None
        if interface is not None:
            found.append((name, interface.addresses[0]))
    return found


def port(context: Context, protocol: str) -> int | None:
    """Return the port for logs over `tcp` or `udp`, None when the centre takes none that way."""
    district = context.plan.district
    service = district.services.get(SERVICE)
    open_ports = [p for text in district.policy.services.get(FLOW, ()) if (p := parse(text)).protocol == protocol]
    for entry in service.ports if service else ():
        if entry.protocol == protocol and any(p.low <= entry.port <= p.high for p in open_ports):
            return entry.port
    return None


def _action(name: str, address: str, number: int, protocol: str) -> str:
    framing = ' tcp_framing="octet-counted" keepAlive="on"' if protocol == "tcp" else ""
    return f"""*.* action(
  type="omfwd" name="{name}" target="{address}" port="{number}" protocol="{protocol}"{framing}
  template="RSYSLOG_SyslogProtocol23Format"
  action.resumeRetryCount="-1" action.resumeInterval="10"
  queue.type="LinkedList" queue.size="20000" queue.filename="topology-{name}"
  queue.maxDiskSpace="256m" queue.saveOnShutdown="on"
)
"""
