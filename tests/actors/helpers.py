"""Actors that the tests of this folder share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio

from actwright_actors import Actor, ActorSystem, ExitReason
from actwright_actors.testing import ManualClock

ASYNCIO_BACKENDS = [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})]
ASYNCIO_IDS = ["asyncio", "uvloop"]


class Worker(Actor[Any]):
    """Keeps what it gets. A message that is an async function is awaited, and what it returns is the answer."""

    def __init__(
        self,
        on_start: Callable[[], Coroutine[Any, Any, object]] | None = None,
        on_stop: Callable[[ExitReason], Coroutine[Any, Any, object]] | None = None,
    ) -> None:
        self.seen: list[Any] = []
        self.stops: list[ExitReason] = []
        self._start = on_start
        self._stop = on_stop

    async def on_start(self) -> None:
        if self._start is not None:
            await self._start()

    async def handle(self, message: Any) -> Any:
        self.seen.append(message)
        if callable(message):
            return await cast("Callable[[], Coroutine[Any, Any, Any]]", message)()
        return message

    async def on_stop(self, reason: ExitReason) -> None:
        self.stops.append(reason)
        if self._stop is not None:
            await self._stop(reason)


class Hold:
    """An async function that says that it was entered and then waits to be released."""

    def __init__(self) -> None:
        self.entered = anyio.Event()
        self.release = anyio.Event()
        self.was_cancelled = False

    async def __call__(self, *_: object) -> None:
        self.entered.set()
        try:
            await self.release.wait()
        except BaseException:
            self.was_cancelled = True
            raise


def raising(error: BaseException) -> Callable[..., Coroutine[Any, Any, object]]:
    """An async function that raises `error`."""

    async def fail(*_: object) -> object:
        raise error

    return fail


async def swallow(release: anyio.Event) -> None:
    """Wait for `release` under a shield, which is one way of not giving in."""
    with anyio.CancelScope(shield=True):
        await release.wait()


class Stubborn(Actor[str]):
    """Hangs, beyond cancellation, in the callback that it is told to."""

    def __init__(self, where: str = "handle") -> None:
        self.where = where
        self.entered = anyio.Event()
        self.release = anyio.Event()
        self.handled: list[str] = []
        self.stops: list[ExitReason] = []

    async def on_start(self) -> None:
        await self.hang_in("on_start")

    async def handle(self, message: str) -> str:
        self.handled.append(message)
        await self.hang_in(message)
        return message

    async def on_stop(self, reason: ExitReason) -> None:
        self.stops.append(reason)
        await self.hang_in("on_stop")

    async def hang_in(self, place: str) -> None:
        if place == self.where:
            self.entered.set()
            await swallow(self.release)


async def wait_and_advance(clock: ManualClock, *steps: float) -> None:
    for seconds in steps:
        clock.advance(seconds)
        await anyio.wait_all_tasks_blocked()


@asynccontextmanager
async def open_system(**options: Any) -> AsyncGenerator[ActorSystem]:
    """An actor system, watched: a test that hangs fails."""
    with anyio.fail_after(20):
        async with ActorSystem(**options) as system:
            yield system
