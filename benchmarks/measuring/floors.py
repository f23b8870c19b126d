"""What the bare loop does of the same, with nothing around it: the floors. Each function returns seconds."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import anyio
import anyio.abc
import trio

from measuring.loops import seconds_each

__all__ = ["future_round_trips", "park_round_trips", "queue_burst", "start_in_group"]

ITEM: Final = "an item"


async def queue_burst(count: int) -> float:
    """asyncio: put a burst of items into an `asyncio.Queue` from which another task gets them; it calls no handler."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def consume(items: int) -> None:
        for _ in range(items):
            await queue.get()

    async def burst(items: int) -> None:
        consumer = asyncio.create_task(consume(items))
        await asyncio.sleep(0)  # it waits at the queue, as an idle actor does
        for _ in range(items):
            queue.put_nowait(ITEM)
        await consumer

    return await seconds_each(burst, count)


async def future_round_trips(count: int) -> float:
    """asyncio: one task hands another a Future in a deque, wakes it by a second one, and awaits the first."""
    loop = asyncio.get_running_loop()
    requests: deque[asyncio.Future[None]] = deque()
    parked: deque[asyncio.Future[None]] = deque()

    async def serve() -> None:
        while True:
            while requests:
                requests.popleft().set_result(None)
            wake = loop.create_future()
            parked.append(wake)
            await wake

    async def call(times: int) -> None:
        for _ in range(times):
            reply = loop.create_future()
            requests.append(reply)
            if parked:
                parked.popleft().set_result(None)
            await reply

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        seconds = await seconds_each(call, count)
        group.cancel_scope.cancel()
    return seconds


def _let_go(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.SUCCEEDED


async def park_round_trips(count: int) -> float:
    """trio: the same by what is cheapest there, two tasks that park and reschedule each other."""
    requests: deque[trio.lowlevel.Task] = deque()
    parked: deque[trio.lowlevel.Task] = deque()

    async def serve() -> None:
        me = trio.lowlevel.current_task()
        while True:
            while requests:
                trio.lowlevel.reschedule(requests.popleft())
            parked.append(me)
            await trio.lowlevel.wait_task_rescheduled(_let_go)

    async def call(times: int) -> None:
        me = trio.lowlevel.current_task()
        for _ in range(times):
            requests.append(me)
            if parked:
                trio.lowlevel.reschedule(parked.popleft())
            await trio.lowlevel.wait_task_rescheduled(_let_go)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        seconds = await seconds_each(call, count)
        nursery.cancel_scope.cancel()
    return seconds


async def _start_and_return(*, task_status: anyio.abc.TaskStatus[None]) -> None:
    task_status.started()


async def start_in_group(count: int) -> float:
    """Any loop: `tg.start` a task that says that it has started, and returns."""
    async with anyio.create_task_group() as group:

        async def start(times: int) -> None:
            for _ in range(times):
                await group.start(_start_and_return)

        seconds = await seconds_each(start, count)
    return seconds
