"""Updates, one class of sites at a time: a canary first, never both halves of a pair, stop at the first failure.

    pyinfra -y deploys/inventory.py deploys/patch.py --limit skpd --limit hub --data class=skpd
    ... --data canary=dinkes-gw        who goes first
    ... --data release=14.4-RELEASE    FreeBSD: another release, not only patches of this one
    ... --data width=4                 hosts at once

Debian: everything that the release's own sources (security and point releases) bring, removing nothing.
FreeBSD: base and packages in a new boot environment, which is booted once and kept only when the box
proves itself healthy; otherwise the next boot, a power cycle included, is the old one.
A host that is not healthy, or that another run provisions (topology/runlock.py), is not touched.
`--dry` says what each host would get and changes nothing.
"""

import re
import sys
import time
from functools import cache
from os import environ

from pyinfra import config, host
from pyinfra.api.exceptions import PyinfraError
from pyinfra.facts.server import Command, RebootRequired
from pyinfra.operations import python

from topology import runlock
from topology.allocate import Plan
from topology.inventory import connection, plan_of
from topology.waves import WIDTH, members, waves

config.SUDO = True
BACK_WITHIN, SETTLE_WITHIN = 600, 180
"""Seconds for a box to be back on SSH, and from then until its services and neighbours are as before."""
APT = "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Options::=--force-confold"
MOUNT = "/var/tmp/topology-update"
NEIGHBOURS = "command -v vtysh >/dev/null && vtysh -c 'show bgp neighbors' | grep -c 'BGP state = Established' || true"


@cache
def plan() -> Plan:
    """Return the plan."""
    return plan_of(environ.get("TOPOLOGY_INVENTORY", "inventories/luwu"))


@cache
def order(kind: str, canary: str | None, width: int) -> tuple[tuple[str, ...], ...]:
    """Return the waves; ends the run when the command line names no class or a wrong canary."""
    try:
        return waves(members(plan(), kind), canary=canary, width=width)
    except ValueError as fault:
        sys.exit(f"patch.py: {fault}; nothing was changed")


def run(command: str, timeout: int = 3600) -> str:
    """Run a command on the present host and return what it says; PyinfraError when it fails."""
    ok, output = host.run_shell_command(command, _sudo=True, _timeout=timeout)
    if not ok:
        raise PyinfraError(f"{host.name}: `{command}` failed: {output.stderr.strip() or output.stdout.strip()}")
    return str(output.stdout).strip()


def illness(gateway: bool, freebsd: bool) -> str:
    """Return what is wrong with the present host, '' when nothing is."""
    if gateway:
        status = run("topology-filter status || true", 30)
        if status != "confirmed":
            return f"the filter is not confirmed ({status or 'no answer'})"
    if freebsd:
        return run("service pf onestatus >/dev/null 2>&1 || echo 'pf does not run'", 30) if gateway else ""
    state = run("systemctl is-system-running || true", 60)
    if state != "running":
        failed = run("systemctl --failed --plain --no-legend | cut -d ' ' -f 1", 30).split()
        return f"the system is {state}: {', '.join(failed)}"
    return ""


def settle(gateway: bool, freebsd: bool, neighbours: int) -> None:
    """Wait until the present host is healthy and sees as many neighbours as before; PyinfraError if not in time."""
    end = time.monotonic() + SETTLE_WITHIN
    while True:
        wrong = illness(gateway, freebsd)
        seen = int(run(NEIGHBOURS, 30) or 0)
        if not wrong and seen < neighbours:
            wrong = f"{seen} of {neighbours} neighbours are up"
        if not wrong:
            return
        if time.monotonic() > end:
            raise PyinfraError(f"{host.name}: {wrong}")
        time.sleep(5)


def reboot() -> None:
    """Reboot the present host and come back to it; PyinfraError when it does not."""
    before = run("sysctl -n kern.boottime 2>/dev/null || cat /proc/sys/kernel/random/boot_id")
    host.run_shell_command("(sleep 1; reboot) </dev/null >/dev/null 2>&1 &", _sudo=True)
    end = time.monotonic() + BACK_WITHIN
    while time.monotonic() < end:
        time.sleep(5)
        host.disconnect()
        host.connected = False
        try:
            host.connect(show_errors=False, raise_exceptions=True)
            if run("sysctl -n kern.boottime 2>/dev/null || cat /proc/sys/kernel/random/boot_id", 20) != before:
                return
        except Exception:
            continue  # whatever goes wrong on the way down or up: try again until time is up
    raise PyinfraError(f"{host.name}: not back on SSH within {BACK_WITHIN} s")


def update_debian() -> bool:
    """Install what is new; return whether a reboot is needed."""
    run(f"{APT} update && {APT} --with-new-pkgs upgrade && {APT} clean")
    return run("test -e /run/reboot-required && echo yes || true") == "yes"


def update_freebsd(release: str | None) -> bool:
    """Make a new boot environment with what is new, to be booted once; return whether there is anything to boot."""
    name = f"topology-{int(time.time())}"
    if not run("bectl check >/dev/null 2>&1 && echo yes || true"):
        raise PyinfraError(f"{host.name}: no boot environments (bectl check), so there would be no way back")
    run(f"bectl create {name} && mkdir -p {MOUNT} && bectl mount {name} {MOUNT}")
    update = (
        f"env PAGER=cat EDITOR=true freebsd-update --not-running-from-cron -b {MOUNT}"
        f" -d {MOUNT}/var/db/freebsd-update -f {MOUNT}/etc/freebsd-update.conf"
        f' --currently-running "$({MOUNT}/bin/freebsd-version -u)"'
    )
    had = run(f"{MOUNT}/bin/freebsd-version -k -u; pkg -r {MOUNT} query -a '%n-%v' | sort | sha256")
    try:
        run(f"mkdir -p {MOUNT}/var/db/freebsd-update")
        if release:
            run(f"yes y | {update} -r {release} upgrade")
        else:
            run(f"{update} fetch")
        # world comes after the kernel, old libraries last; 2: nothing (more) to install
        run(f"for n in 1 2 3; do yes y | {update} install; s=$?; [ $s -eq 0 ] || break; done; [ $s -eq 0 -o $s -eq 2 ]")
        run(f"env ASSUME_ALWAYS_YES=yes pkg -r {MOUNT} upgrade {'-f' if release else ''}")
        changed = run(f"{MOUNT}/bin/freebsd-version -k -u; pkg -r {MOUNT} query -a '%n-%v' | sort | sha256") != had
        run(f"bectl umount {name}")
        run(f"bectl activate -t {name}" if changed else f"bectl destroy {name}")
    except PyinfraError:
        run(f"bectl umount -f {name}; bectl destroy -F {name}")
        raise
    return changed


def patch(gateway: bool, freebsd: bool, release: str | None) -> None:
    """Update the present host and prove it healthy; PyinfraError stops everybody after it."""
    failed = sorted(h.name for h in host.state.failed_hosts) if host.state else []
    if failed:
        raise PyinfraError(f"{host.name}: not touched, because {', '.join(failed)} failed")
    own = {host.name: connection(plan(), plan().hosts[host.name], host.data.dict())}
    try:
        with runlock.held(own, "patch.py", host.log):
            update(gateway, freebsd, release)
    except runlock.HeldError as fault:
        raise PyinfraError(f"{host.name}: not touched, because {fault}") from None


def update(gateway: bool, freebsd: bool, release: str | None) -> None:
    """Update the present host, which nobody else provisions meanwhile."""
    if wrong := illness(gateway, freebsd):
        raise PyinfraError(f"{host.name}: not touched, because {wrong}")
    neighbours = int(run(NEIGHBOURS, 30) or 0)
    anew = update_freebsd(release) if freebsd else update_debian()
    if anew:
        reboot()
    try:
        settle(gateway, freebsd, neighbours)
    except PyinfraError:
        if freebsd and anew:
            reboot()  # the new boot environment was activated for one boot only
        raise
    if freebsd and anew:
        run("bectl activate \"$(bectl list -H | awk '$2 ~ /N/ { print $1 }')\"")


data = host.data
if not data.get("class"):
    sys.exit("patch.py: say which class of sites: --data class=skpd")
release = data.get("release")
if release and not re.fullmatch(r"\d+\.\d+-RELEASE", str(release)):
    sys.exit(f"patch.py: {release} is no release (14.4-RELEASE)")
freebsd = data.topology_platform == "freebsd"
for number, wave in host.loop(
    list(enumerate(order(str(data.get("class")), data.get("canary"), int(data.get("width", WIDTH)))))
):
    if host.name not in wave:
        continue
    if freebsd:
        pending = release or (host.get_fact(Command, "freebsd-version -u; uname -r") or "")
    else:
        # fresh lists change no configuration, and without them `--dry` could not tell
        pending = host.get_fact(
            Command, f"{APT} -qq update >/dev/null; {APT} -s --with-new-pkgs upgrade | grep ^Inst || true"
        )
        if not pending and not host.get_fact(RebootRequired):
            host.log("nothing to install")
            continue
    python.call(
        name=f"Wave {number}: {'the canary' if number == 0 else 'the next'}",
        function=patch, gateway=data.topology_device == "gateway", freebsd=freebsd, release=release,
    )  # fmt: skip
