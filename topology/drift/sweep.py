"""Read all hosts at once, one SSH session each. A host that is slow, silent or mad holds up no other.

OpenSSH does the talking: it knows the administrators' keys, agents and jump hosts, and costs a session what
any login costs.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Callable, Sequence

from topology.drift.judge import Observed
from topology.drift.login import CONNECT, Login, login_of
from topology.drift.observe import observe
from topology.drift.script import script
from topology.expect.model import Expected

ANSWER = 20
"""Seconds until everything must have been answered, once the connection stands."""
MOST = 4 * 1024 * 1024
"""Most bytes a host may answer; the largest hub of a district of 280 sites has 0.6 MB."""
AT_ONCE = 64
"""Sessions at the same time: what 1,024 file descriptors and one controller bear."""

__all__ = ["ANSWER", "CONNECT", "Login", "login_of", "read", "sweep"]

Make = Callable[[Expected, str], str]
"""Makes the script for a host, with the word that marks its sections."""


async def read(login: Login, expected: Expected, answer: float = ANSWER, make: Make = script) -> Observed:
    """Return what a host says of itself; never raises for what a host does."""
    word = f"topology-{secrets.token_hex(8)}"
    target = f"{login.user}@{login.address}" if login.user else login.address
    # root needs no sudo, and others must not be asked for a password
    remote = 'if [ "$(id -u)" = 0 ]; then exec sh -s; else exec sudo -n sh -s; fi'
    # a file, not a pipe: a host that hangs up early breaks nothing, and nobody waits for it to take the text
    with tempfile.TemporaryFile() as text:
        text.write(make(expected, word).encode())
        text.seek(0)
        process = await asyncio.create_subprocess_exec(
            *login.command, target, "--", remote,
            stdin=text, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    assert process.stdout and process.stderr
    try:
        async with asyncio.timeout(CONNECT + answer):
            output, errors = await asyncio.gather(_limited(process.stdout), _limited(process.stderr))
            code = await process.wait()
    except TimeoutError:
        return Observed(failed=f"no answer within {CONNECT + answer:.0f} s")
    except OverflowError:
        return Observed(failed=f"answered more than {MOST // 1024 // 1024} MB")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = errors.decode(errors="replace").strip().splitlines()
    if code == 255 and word.encode() not in output:
        return Observed(failed="unreachable: " + (said[-1] if said else "ssh ended with 255"))
    if word.encode() not in output and said:
        return Observed(failed=f"could not be read: {said[-1]}")
    return observe(output.decode(errors="replace"), word)


async def _limited(stream: asyncio.StreamReader) -> bytes:
    """Read a stream to its end; OverflowError beyond the limit."""
    parts, size = [], 0
    while part := await stream.read(65536):
        size += len(part)
        if size > MOST:
            raise OverflowError
        parts.append(part)
    return b"".join(parts)


async def sweep(
    hosts: Sequence[tuple[Login, Expected]], progress: Callable[[int, int], None] | None = None,
    answer: float = ANSWER, at_once: int = AT_ONCE, make: Make = script,
) -> dict[str, Observed]:  # fmt: skip
    """Read all hosts; return host -> what was read."""
    found: dict[str, Observed] = {}
    gate = asyncio.Semaphore(at_once)

    async def one(login: Login, expected: Expected) -> None:
        async with gate:
            try:
                found[login.host] = await read(login, expected, answer, make)
            except (OSError, ValueError) as error:
                found[login.host] = Observed(failed=f"could not be read: {error}")
        if progress is not None:
            progress(len(found), len(hosts))

    async with asyncio.TaskGroup() as group:
        for login, expected in hosts:
            group.create_task(one(login, expected))
    return found
