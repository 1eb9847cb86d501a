#!/usr/bin/python
"""Ansible module: place a host's rendered files, check them, and bring its services to them.

The action plugin of the same name reads the tree on the controller; this runs on the host, once.
"""

from __future__ import annotations

DOCUMENTATION = """
module: place
short_description: Place a host's rendered files and apply what changed, in one round trip
description:
  - Compares the files that C(topology render) wrote for a host with those it has, unit by unit.
  - Every new file is checked beside its target before any is replaced. When one check fails nothing changes.
  - A unit whose files changed is applied once. Until that has worked a mark stays on the host, so a run that
    was killed is made good by the next one, which then says `changed`.
  - A file is on the disk, whole, before it takes its name. When one cannot be written (a full disk) no file of the
    host is replaced, what waited is removed again, and the message names the host, the file and the room left.
  - One run at a time places files on a host. Another one waits O(patience) seconds and then says who is at it.
  - Check mode does all but the changes, and says what would change.
options:
  src:
    description: Folder on the controller with the host's rendered files, as C(DIR/<path on the host>).
    type: path
    required: true
  host:
    description: The host's name in the inventory, for messages; the action plugin sets it.
    type: str
    default: ""
  state:
    description: Folder on the host for what is pending.
    type: path
    default: /var/lib/topology
  patience:
    description: Seconds to wait for another run (one whose controller died, say) that still places files here.
    type: int
    default: 120
  units:
    description: What belongs together, in the order in which it is applied.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the unit.
        type: str
        required: true
      files:
        description: Patterns of paths, without the leading slash. C(*) does not cross a slash.
        type: list
        elements: str
        required: true
      owned:
        description: Patterns of files on the host that are ours alone. Those that are not rendered are removed.
        type: list
        elements: str
        default: []
      keep:
        description: Names that stay although a pattern of O(units[].owned) matches.
        type: list
        elements: str
        default: []
      owner:
        description: Owner of the files.
        type: str
        default: root
      group:
        description: Group of the files; the owner's own when it is empty.
        type: str
        default: ""
      mode:
        description: Mode of the files.
        type: str
        default: "0644"
      check:
        description: >-
          Command that checks one new file before it is placed. C(%s) is its path. A program that is not
          there (a shell says so by 127) fails, in check mode it is left out.
        type: str
        default: ""
      checked:
        description: Pattern of the files that O(units[].check) can judge; all of the unit by default.
        type: str
        default: "*"
      apply:
        description: Commands, one after another, once the files are in place.
        type: list
        elements: str
        default: []
      live:
        description: >-
          Command that fails when what the files say is not in force although they are in place (a tunnel that
          somebody deleted, say); the unit is applied again then. C({stem}) as in O(units[].apply).
        type: str
        default: ""
      service:
        description: Service that runs and starts at boot while the unit has files, and does not otherwise.
        type: str
        default: ""
      each:
        description: >-
          Every file is a unit of its own; C({stem}) in O(units[].apply) and O(units[].service) is its name
          without the ending.
        type: bool
        default: false
author: The maintainers of this repository
"""

EXAMPLES = """
- name: Place the time service's configuration
  place:
    src: "{{ base_rendered }}"
    units:
      - name: time
        files: [etc/chrony/chrony.conf]
        check: chronyd -p -f %s
        apply: [systemctl restart chrony]
        service: chrony
"""

RETURN = """
units:
  description: Units that were applied (in check mode would be), by name.
  type: list
  elements: str
  returned: always
files:
  description: Files that were placed or removed (in check mode would be).
  type: list
  elements: str
  returned: always
output:
  description: What the commands of each applied unit printed.
  type: dict
  returned: always
"""

import contextlib
import errno
import fcntl
import fnmatch
import glob
import grp
import os
import pwd
import shlex
import shutil
import stat
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

NEW = ".new-"
"""Start of the name of a file that waits beside its target; no daemon reads a hidden file."""
NOT_FOUND = 127
"""What a shell ends with when it does not find a program."""
SYSTEMD = "/run/systemd/system"
LOCK = "/var/run/topology-place.lock"
"""Held while files are placed; the kernel gives it up with the process. In memory, so never on a full disk."""


class Unwritten(Exception):
    """A file could not be written; says which and why."""

    def __init__(self, path: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason += f": {room(path)}; make room there and run again"
        elif error.errno == errno.EROFS:
            reason += "; look at the disk (dmesg), mount it read-write and run again"
        super().__init__(f"{path} could not be written: {reason}")


def room(path: str) -> str:
    """Return what is left of the file system that a path is on, in words."""
    folder = os.path.dirname(path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    left = os.statvfs(folder)
    words = f"the file system of {folder} has {left.f_bavail * left.f_frsize // 1024} kB"
    return words + (f" and {left.f_favail} files left" if left.f_files else " left")


def write_whole(path: str, text: str, uid: int, gid: int, mode: int, target: str = "") -> None:
    """Write a file that is on the disk, whole, when this returns; Unwritten (of its target) when that cannot be."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if uid != -1:
                os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Unwritten(target or path, error) from error


def sync_folders(paths: list[str]) -> None:
    """Make sure that new names in the folders of these files are on the disk."""
    for folder in sorted({os.path.dirname(path) for path in paths}):
        with contextlib.suppress(OSError):  # gone, or a file system that cannot
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


class Unit:
    """A unit with its files as they are to be."""

    def __init__(self, options: dict[str, Any], files: dict[str, str], name: str = "", stem: str = "") -> None:
        self.options = options
        self.name: str = name or options["name"]
        self.files = files
        self.stem = stem
        self.service = str(options["service"]).replace("{stem}", stem)
        self.commands = [str(c).replace("{stem}", stem) for c in options["apply"]]
        self.live = str(options["live"]).replace("{stem}", stem)
        self.new: list[str] = []
        self.gone: list[str] = []


def matches(path: str, pattern: str) -> bool:
    """Say whether a path matches a pattern, part by part."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(fnmatch.fnmatchcase(p, w) for p, w in zip(parts, wanted, strict=True))


def units_of(options: list[dict[str, Any]], files: dict[str, str]) -> list[Unit]:
    """Return the units with their files; one of `each` becomes one per file, gone ones included."""
    found = []
    for option in options:
        own = {p: t for p, t in files.items() if any(matches(p, pattern) for pattern in option["files"])}
        gone = sorted(
            path.lstrip("/")
            for pattern in option["owned"]
            for path in glob.glob("/" + pattern)
            if path.lstrip("/") not in own and os.path.basename(path) not in option["keep"] and not os.path.isdir(path)
        )
        if not option["each"]:
            unit = Unit(option, own)
            unit.gone = gone
            found.append(unit)
            continue
        for path, text in sorted(own.items()):
            stem = os.path.splitext(os.path.basename(path))[0]
            found.append(Unit(option, {path: text}, f"{option['name']}-{stem}", stem))
        for path in gone:
            stem = os.path.splitext(os.path.basename(path))[0]
            unit = Unit(option, {}, f"{option['name']}-{stem}", stem)
            unit.gone = [path]
            found.append(unit)
    return found


class Host:
    """The host this runs on."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.check_mode: bool = module.check_mode
        self.pending = os.path.join(module.params["state"], "pending")
        self.systemd = os.path.isdir(SYSTEMD)
        self.diff: list[dict[str, str]] = []

    # -- files ---------------------------------------------------------------------------------

    def ids(self, unit: Unit) -> tuple[int, int]:
        """Return the numeric owner and group of a unit's files."""
        try:
            user = pwd.getpwnam(unit.options["owner"])
            group = grp.getgrnam(unit.options["group"]).gr_gid if unit.options["group"] else user.pw_gid
        except KeyError as error:
            if self.check_mode:  # the package that brings the user is not installed yet
                return -1, -1
            self.module.fail_json(msg=f"{unit.name}: {error}; is the package installed?")
            raise
        return user.pw_uid, group

    def compare(self, unit: Unit) -> None:
        """Note which files of a unit differ, and show how."""
        uid, gid = self.ids(unit)
        mode = int(unit.options["mode"], 8)
        for path, text in unit.files.items():
            target = "/" + path
            before, same = "", False
            try:
                status = os.lstat(target)
                if stat.S_ISREG(status.st_mode):
                    with open(target, encoding="utf-8", errors="replace") as file:
                        before = file.read()
                    same = before == text and stat.S_IMODE(status.st_mode) == mode and uid != -1
                    same = same and (status.st_uid, status.st_gid) == (uid, gid)
            except FileNotFoundError:
                pass
            if not same:
                unit.new.append(path)
                self.diff.append({
                    "before_header": target, "after_header": target, "before": before, "after": text,
                })  # fmt: skip
        for path in unit.gone:
            with open("/" + path, encoding="utf-8", errors="replace") as file:
                self.diff.append({"before_header": "/" + path, "after_header": "/dev/null", "before": file.read(),
                                  "after": ""})  # fmt: skip

    def stage(self, unit: Unit, folder: str | None = None) -> list[str]:
        """Write a unit's new files beside their targets and check them; return what is wrong (or raise Unwritten)."""
        wrong = []
        uid, gid = self.ids(unit)
        for path in unit.new:
            place = self.staged(path, folder)
            write_whole(place, unit.files[path], uid, gid, int(unit.options["mode"], 8), "/" + path)
            problem = self.judge(unit, path, place)
            if problem:
                wrong.append(f"/{path}: {problem}")
        return wrong

    def staged(self, path: str, folder: str | None) -> str:
        """Return where a new file waits."""
        parent, name = os.path.split("/" + path)
        return os.path.join(folder or parent, NEW + name)

    def judge(self, unit: Unit, path: str, place: str) -> str:
        """Run a unit's checker on one new file; return what it says, empty when all is well."""
        command = unit.options["check"]
        if not command or not fnmatch.fnmatchcase(os.path.basename(path), unit.options["checked"]):
            return ""
        argv = [word.replace("%s", place) for word in shlex.split(command)]
        if shutil.which(argv[0]) is None:
            return "" if self.check_mode else f"its checker {argv[0]} is not installed"
        code, out, err = self.module.run_command(argv)
        if code == NOT_FOUND and self.check_mode:  # the package that brings it is not installed yet
            return ""
        return f"`{command}` says: {(err.strip() or out.strip())}" if code else ""

    def unstage(self, units: list[Unit], folder: str | None = None) -> None:
        """Remove new files that were not placed."""
        for unit in units:
            for path in unit.new:
                with contextlib.suppress(OSError):
                    os.unlink(self.staged(path, folder))

    def sweep(self, units: list[Unit]) -> None:
        """Remove what a run that was killed left waiting beside files that are right."""
        for unit in units:
            for path in (*unit.files, *unit.gone):
                with contextlib.suppress(OSError):
                    os.unlink(self.staged(path, None))

    # -- marks ---------------------------------------------------------------------------------

    def mark(self, unit: Unit) -> str:
        """Return the path of a unit's mark."""
        return os.path.join(self.pending, unit.name.replace("/", "_"))

    def is_marked(self, unit: Unit) -> bool:
        """Say whether an earlier run did not come to the end of this unit."""
        return os.path.exists(self.mark(unit))

    # -- services ------------------------------------------------------------------------------

    def service_states(self, units: list[Unit]) -> dict[str, tuple[bool, bool | None]]:
        """Return (runs, starts at boot) of every unit's service; None where that is not ours to say."""
        names = sorted({u.service for u in units if u.service})
        if not names:
            return {}
        if not self.systemd:  # FreeBSD: rc.conf, a file among the others, says what starts at boot
            return {n: (self.module.run_command(["service", n, "onestatus"])[0] == 0, None) for n in names}
        shown = self.module.run_command(["systemctl", "show", "--property=ActiveState,UnitFileState", *names])[1]
        boots = {"enabled": True, "disabled": False, "": False}
        found: dict[str, tuple[bool, bool | None]] = {}
        for name, block in zip(names, shown.strip().split("\n\n"), strict=False):
            values = dict(line.split("=", 1) for line in block.split("\n") if "=" in line)
            found[name] = (values.get("ActiveState") == "active", boots.get(values.get("UnitFileState", "")))
        return found

    def is_dead(self, unit: Unit) -> bool:
        """Say whether what a unit's files say is not in force."""
        if not unit.files or not unit.live:
            return False
        argv = shlex.split(unit.live)
        # what is not installed in check mode is not asked
        return (shutil.which(argv[0]) is not None or not self.check_mode) and self.module.run_command(argv)[0] != 0

    def service_differs(self, unit: Unit, state: tuple[bool, bool | None]) -> bool:
        """Say whether a unit's service is to be started, stopped, enabled or disabled."""
        wanted = bool(unit.files)
        return state[0] != wanted or state[1] not in (wanted, None)

    def bring(self, unit: Unit) -> str:
        """Make a unit's service run and start at boot, or not when it has no files; return what went wrong."""
        wanted = bool(unit.files)
        if self.systemd:
            command = ["systemctl", "enable" if wanted else "disable", "--now", unit.service]
        elif wanted:
            # `start` where rc.conf says so: a script of its own mind (frr's) knows only that word
            enabled = self.module.run_command(["service", unit.service, "enabled"])[0] == 0
            command = ["service", unit.service, "start" if enabled else "onestart"]
        else:
            command = ["service", unit.service, "onestop"]
        return self.run(command)

    def run(self, command: list[str], output: list[str] | None = None) -> str:
        """Run a command; return what went wrong, empty when it worked."""
        code, out, err = self.module.run_command(command)
        if output is not None and out.strip():
            output.append(out.strip())
        return f"`{shlex.join(command)}` says: {err.strip() or out.strip()}" if code else ""

    # -- all of it -----------------------------------------------------------------------------

    def place(self, units: list[Unit]) -> None:
        """Put new files in place of the old ones and remove what is no longer rendered."""
        self.mark_all(units)
        for unit in units:
            for path in unit.new:
                try:
                    os.replace(self.staged(path, None), "/" + path)
                except OSError as error:
                    raise Unwritten("/" + path, error) from error
            if unit.gone and unit.options["each"] and unit.service:
                problem = self.bring(unit)  # as long as its file is there
                if problem:
                    self.module.warn(f"{unit.name}: {problem}")
            for path in unit.gone:
                os.unlink("/" + path)
        sync_folders(["/" + path for unit in units for path in (*unit.new, *unit.gone)])

    def mark_all(self, units: list[Unit]) -> None:
        """Mark units, on the disk, before the first of their files is replaced."""
        made = [self.mark(unit) for unit in units if not self.is_marked(unit)]
        try:
            os.makedirs(self.pending, mode=0o700, exist_ok=True)
            for path in made:
                write_whole(path, "", -1, -1, 0o600)
        except (OSError, Unwritten) as error:
            for path in made:
                with contextlib.suppress(OSError):
                    os.unlink(path)
            if isinstance(error, OSError):
                raise Unwritten(self.pending, error) from error
            raise
        sync_folders(made)

    def apply(self, unit: Unit, covered: bool) -> tuple[str, str]:
        """Apply one unit; return what went wrong (empty when it worked) and what its commands printed."""
        output: list[str] = []
        commands = [] if covered else [shlex.split(c) for c in unit.commands]
        if unit.options["each"] and not unit.files:
            commands = []
        elif unit.service:
            state = self.service_states([unit])[unit.service]
            if self.service_differs(unit, state):
                problem = self.bring(unit)
                if problem:
                    return problem, ""
            if not unit.files or not state[0]:
                commands = []  # stopped, or just started with the new files
        for command in commands:
            problem = self.run(command, output)
            if problem:
                return problem, ""
        if unit.service and unit.files and not self.stays_up(unit):
            return f"the service {unit.service} does not run with the new files; its log says why", ""
        os.unlink(self.mark(unit))
        return "", "\n".join(output)

    def lock(self, patience: float) -> None:
        """Be the only run that places files here until this process ends; fail naming the other one."""
        handle = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > end:
                    who = os.pread(handle, 200, 0).decode(errors="replace").strip() or "a process"
                    self.module.fail_json(
                        msg=f"{who} still places files on this host; nothing was changed. Run again when it is done"
                    )
                time.sleep(0.5)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} (since {time.strftime('%F %T %z')})".encode(), 0)

    def stays_up(self, unit: Unit) -> bool:
        """Say whether a unit's service runs, a few seconds' grace given to one that is still starting."""
        for _ in range(20):
            if self.service_states([unit])[unit.service][0]:
                return True
            time.sleep(0.25)
        return False


def where(module: AnsibleModule) -> str:
    """Return the beginning of a message: the host it is about."""
    return f"{module.params['host']}: " if module.params["host"] else ""


class Module(AnsibleModule):
    """AnsibleModule writes its arguments into the host's log: here that would be every file, at every run."""

    def _log_invocation(self) -> None:
        units = ", ".join(unit["name"] for unit in self.params["units"])
        self.log(f"Invoked with {len(self.params['files'])} files for {units}")


def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "src": {"type": "path"},
            "state": {"type": "path", "default": "/var/lib/topology"},
            "host": {"type": "str", "default": ""},
            "patience": {"type": "int", "default": 120},
            "files": {"type": "dict", "required": True},
            "units": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "files": {"type": "list", "elements": "str", "required": True},
                    "owned": {"type": "list", "elements": "str", "default": []},
                    "keep": {"type": "list", "elements": "str", "default": []},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str", "default": ""},
                    "mode": {"type": "str", "default": "0644"},
                    "check": {"type": "str", "default": ""},
                    "checked": {"type": "str", "default": "*"},
                    "apply": {"type": "list", "elements": "str", "default": []},
                    "covered_by": {"type": "str", "default": ""},
                    "live": {"type": "str", "default": ""},
                    "service": {"type": "str", "default": ""},
                    "each": {"type": "bool", "default": False},
                },
            },
        },
        supports_check_mode=True,
    )
    host = Host(module)
    if not module.check_mode:
        host.lock(module.params["patience"])
    units = units_of(module.params["units"], module.params["files"])
    if not module.check_mode:
        host.sweep(units)
    for unit in units:
        host.compare(unit)
    states = host.service_states(units)
    due = [
        u for u in units
        if u.new or u.gone or host.is_marked(u) or (u.service and host.service_differs(u, states[u.service]))
        or host.is_dead(u)
    ]  # fmt: skip
    folder = module.tmpdir if module.check_mode else None
    try:
        wrong = [problem for unit in due for problem in host.stage(unit, folder)]
    except Unwritten as error:
        host.unstage(due, folder)
        module.fail_json(msg=f"{where(module)}{error}. Nothing was changed on this host")
    if wrong or module.check_mode:
        host.unstage(due, folder)
    output: dict[str, str] = {}
    result: dict[str, Any] = {
        "changed": bool(due),
        "units": [u.name for u in due],
        "files": ["/" + f for u in due for f in (*u.new, *u.gone)],
        "output": output,
    }
    if module._diff:
        result["diff"] = host.diff
    if wrong:
        module.fail_json(
            msg=f"{where(module)}nothing was changed, a new file does not pass its check:\n" + "\n".join(wrong)
        )
    if due and not module.check_mode:
        try:
            host.place(due)
        except Unwritten as error:
            host.unstage(due)
            module.fail_json(msg=f"{where(module)}{error}. Every file is whole, old or new", **result)
        applied: set[str] = set()
        for unit in due:
            problem, output[unit.name] = host.apply(unit, unit.options["covered_by"] in applied)
            applied.add(unit.name)
            if problem:
                module.fail_json(msg=f"{where(module)}{unit.name}: {problem}", **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
