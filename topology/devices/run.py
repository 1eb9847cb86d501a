"""Many devices at the same time, each with a time of its own. One that is slow, silent or mad stalls no other.

netmiko and paramiko block, so each device has a thread; whoever is over its time is cut and left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from topology.devices.connect import DeviceError, Keys, Session, Target

AT_ONCE = 32
"""Devices at the same time."""
LIMIT = 90.0
"""Seconds a device has for everything; RouterOS on a small switch takes 20 to log in and export."""

_R = TypeVar("_R")


def run_all(
    targets: Sequence[Target], secrets: dict[str, str], keys: Keys, work: Callable[[Session], _R],
    progress: Callable[[int, int], None] | None = None, limit: float = LIMIT, at_once: int = AT_ONCE,
) -> dict[str, _R | DeviceError]:  # fmt: skip
    """Do a piece of work with every device; return name -> its result or what went wrong."""
    return asyncio.run(_all(targets, secrets, keys, work, progress, limit, at_once))


async def _all(
    targets: Sequence[Target], secrets: dict[str, str], keys: Keys, work: Callable[[Session], _R],
    progress: Callable[[int, int], None] | None, limit: float, at_once: int,
) -> dict[str, _R | DeviceError]:  # fmt: skip
    found: dict[str, _R | DeviceError] = {}
    gate = asyncio.Semaphore(at_once)

    async def one(target: Target) -> None:
        async with gate:
            found[target.device.name] = await _one(Session(target, secrets, keys), work, limit)
        if progress is not None:
            progress(len(found), len(targets))

    async with asyncio.TaskGroup() as group:
        for target in targets:
            group.create_task(one(target))
    return found


async def _one(session: Session, work: Callable[[Session], _R], limit: float) -> _R | DeviceError:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_R | DeviceError] = loop.create_future()

    def tell(result: _R | DeviceError) -> None:
        if not done.done():
            done.set_result(result)

    def body() -> None:
        result: _R | DeviceError
        try:
            session.open()
            result = work(session)
        except DeviceError as error:
            result = error
        except Exception as error:  # a thread's error would be lost, and the device counted as clean
            result = DeviceError("answer", f"could not be read ({type(error).__name__}: {error})")
        finally:
            session.close()
        with contextlib.suppress(RuntimeError):  # over its time, and everybody has gone home
            loop.call_soon_threadsafe(tell, result)

    # a thread of its own and not a pool's: a pool waits at the end for those that hang
    threading.Thread(target=body, name=session.target.device.name, daemon=True).start()
    try:
        return await asyncio.wait_for(asyncio.shield(done), limit)
    except TimeoutError:
        session.cut()
        done.cancel()
        return DeviceError("answer", f"no end within {limit:.0f} s")
