"""What tasks of anyio take of memory while they sleep, and afterwards: the floor of runs that do.

Apart from what measures runs, so that its process imports nothing of ours.
"""

from __future__ import annotations

import gc
from typing import NamedTuple

import anyio

from measuring.processes import resident_bytes

__all__ = ["Crowd", "Lived", "live_bare"]


class Lived(NamedTuple):
    """Resident bytes before runs, or tasks, were started, while all were alive, and when all had ended."""

    before: int
    alive: int
    after: int


class Crowd:
    """Bodies that wait until it is over; `all_began` is set when as many have begun as are expected."""

    def __init__(self, expected: int) -> None:
        self.again(expected)

    def again(self, expected: int) -> None:
        self._missing = expected
        self.all_began, self.over = anyio.Event(), anyio.Event()

    async def sleep(self) -> None:
        self._missing -= 1
        if not self._missing:
            self.all_began.set()
        await self.over.wait()


async def live_bare(count: int) -> Lived:
    """Of tasks of anyio that sleep."""
    crowd = Crowd(count)
    gc.collect()
    before = resident_bytes()
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(crowd.sleep)
        await crowd.all_began.wait()
        gc.collect()
        alive = resident_bytes()
        crowd.over.set()
    gc.collect()
    return Lived(before, alive, resident_bytes())
