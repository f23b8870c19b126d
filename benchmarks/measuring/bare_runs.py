"""What bare anyio does of what a run needs: start a task, hear of its end, go to a thread and back. The floors of runs.

Each function returns seconds for one of `count`, or does something that many times.
"""

from __future__ import annotations

from time import perf_counter

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from measuring.loops import seconds_each

__all__ = [
    "calls_from_a_thread", "start_soon_all_at_once", "start_soon_in_turn", "threads_all_at_once", "threads_in_turn",
    "until_a_task_starts", "until_a_thread_starts",
]  # fmt: skip


def nothing() -> None: ...


async def start_soon_in_turn(count: int) -> float:
    """Start a task that sets an event, wait for that, start the next one."""
    async with anyio.create_task_group() as group:

        async def start(times: int) -> None:
            for _ in range(times):
                event = anyio.Event()
                group.start_soon(_set, event)
                await event.wait()

        seconds = await seconds_each(start, count)
    return seconds


async def _set(event: anyio.Event) -> None:
    event.set()


async def start_soon_all_at_once(count: int) -> float:
    """Start all tasks, then wait for all their events."""
    async with anyio.create_task_group() as group:

        async def start(times: int) -> None:
            events = [anyio.Event() for _ in range(times)]
            for event in events:
                group.start_soon(_set, event)
            for event in events:
                await event.wait()

        seconds = await seconds_each(start, count)
    return seconds


async def threads_in_turn(count: int) -> float:
    """Call a function in a thread, one call after the other."""

    async def call(times: int) -> None:
        for _ in range(times):
            await anyio.to_thread.run_sync(nothing)

    return await seconds_each(call, count)


async def threads_all_at_once(count: int) -> float:
    """Start that many tasks, each of which calls a function in a thread; 40 threads at most."""

    async def call(times: int) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(times):
                group.start_soon(anyio.to_thread.run_sync, nothing)

    return await seconds_each(call, count)


async def calls_from_a_thread(count: int) -> float:
    """From a thread, have the loop run an async function, one after the other."""

    def call(times: int) -> None:
        for _ in range(times):
            anyio.from_thread.run(anyio.lowlevel.checkpoint)

    async def call_there(times: int) -> None:
        await anyio.to_thread.run_sync(call, times)

    return await seconds_each(call_there, count)


async def until_a_thread_starts(count: int) -> list[float]:
    """From asking for a thread until its function is called, of each."""
    taken: list[float] = []
    for _ in range(count + 1):
        asked = perf_counter()
        taken.append(await anyio.to_thread.run_sync(perf_counter) - asked)
    return taken[1:]  # the first had no thread to use again


async def until_a_task_starts(count: int) -> list[float]:
    """From `start_soon` until the task's first statement, of each."""
    taken: list[float] = []

    async def begin(asked: float, began: anyio.Event) -> None:
        taken.append(perf_counter() - asked)
        began.set()

    async with anyio.create_task_group() as group:
        for _ in range(count):
            event = anyio.Event()
            group.start_soon(begin, perf_counter(), event)
            await event.wait()
    return taken
