"""Install the pinned packages into the environment whose Python runs this file.

usage: install.py [--project] PINS.txt

1. pip installs uv and the build backend, each checked against its hash.
2. uv installs the rest in seconds, checked against their hashes. Where uv cannot run or cannot reach
   the packages, pip does the same, slower.
3. With --project, this repository is installed editable, with the build backend from step 1.
4. Bytecode is compiled, except for Ansible's collections, whose loader reads the sources only.

Your pip configuration and environment are respected: uv does not read them itself, so what they say about
indexes, certificates and proxies is handed to uv in its own variables, unless those are set already.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(sys.prefix)
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

# pip's setting -> uv's variable, and what joins several values.
SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "no-index": ("UV_NO_INDEX", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "proxy": ("ALL_PROXY", " "),
}


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run a command that must succeed; it never reads from the terminal."""
    subprocess.run([str(part) for part in command], check=True, env=env, stdin=subprocess.DEVNULL, cwd=ROOT)


def pip_settings() -> dict[str, str]:
    """What pip is configured to do, from its files and its environment: the later source wins."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    ).stdout
    found: dict[str, tuple[int, str]] = {}
    for line in listed.splitlines():
        key, _, quoted = line.partition("=")
        section, _, name = key.rpartition(".")
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section)
        if rank is None:
            continue
        try:
            value = str(ast.literal_eval(quoted))
        except (SyntaxError, ValueError):
            continue
        if name not in found or found[name][0] <= rank:
            found[name] = (rank, value)
    return {name: value for name, (_, value) in found.items()}


def uv_environment() -> dict[str, str]:
    """The environment for uv: the user's own, completed with what pip is configured to do."""
    env = dict(os.environ)
    # The environment is named here and nowhere else, whatever is active in the user's shell.
    for name in ("CONDA_PREFIX", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT"):
        env.pop(name, None)
    env["VIRTUAL_ENV"] = str(VENV)
    # pip takes the best version over all its indexes; the hashes keep that safe.
    env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    env.setdefault("UV_LINK_MODE", "hardlink" if same_file_system(env) else "copy")
    if SYSTEM_CERTIFICATES.exists():
        env.setdefault("UV_SYSTEM_CERTS", "true")
    for name, value in pip_settings().items():
        if name in SETTINGS:
            variable, separator = SETTINGS[name]
            env.setdefault(variable, separator.join(value.split()))
    return env


def same_file_system(env: dict[str, str]) -> bool:
    """Whether uv's cache can be linked into the environment."""
    cache = Path(env.get("UV_CACHE_DIR") or Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv")
    for place in (cache, *cache.parents):
        if place.exists():
            return place.stat().st_dev == VENV.stat().st_dev
    return False


def install(pins: Path, project: bool) -> None:
    """Do steps 1 to 4."""
    python = Path(sys.executable)
    bootstrap = ROOT / "requirements" / "bootstrap.txt"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")
    run(*pip, "--require-hashes", "-r", bootstrap)

    env = uv_environment()
    uv = (VENV / "bin" / "uv", "pip")
    quiet = ("--quiet", "--python", python)
    try:
        run(*uv, "sync", *quiet, "--require-hashes", bootstrap, pins, env=env)
        if project:
            run(*uv, "install", *quiet, "--no-build-isolation", "--no-deps", "--editable", ".", env=env)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"setup: uv could not install ({error}); pip does it, which takes longer", flush=True)
        run(*pip, "--require-hashes", "-r", bootstrap, "-r", pins)
        if project:
            run(*pip, "--no-build-isolation", "--no-deps", "--editable", ".")

    # Some packages ship files that no Python can compile (templates, old tests): not a failure. Nor is it
    # where processes cannot share memory (a bare chroot): then one process does it, which takes longer.
    compile_all = (python, "-m", "compileall", "-qq", "-x", "ansible_collections")
    for workers in (("-j", "0"), ()):
        done = subprocess.run(
            [*compile_all, *workers, VENV / "lib"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode == 0:
            break


def main(arguments: list[str]) -> int:
    """Read the arguments, install, and turn a failure into one line and an exit code."""
    project = "--project" in arguments
    names = [argument for argument in arguments if argument != "--project"]
    if len(names) != 1 or sys.prefix == sys.base_prefix:
        print("usage: .venv/bin/python tools/install.py [--project] PINS.txt", file=sys.stderr)
        return 2
    try:
        install(ROOT / names[0], project)
    except subprocess.CalledProcessError as error:
        print(f"setup: failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
