"""An actor that keeps what it gets, for a test to look at."""

from __future__ import annotations

from collections import deque
from typing import Any, Self, TypeVar

import anyio

from actwright_actors.actor import Actor
from actwright_actors.exit import ExitReason
from actwright_actors.ref import ActorRef, Down
from actwright_actors.system import ActorSystem

__all__ = ["Probe"]

T = TypeVar("T")


class Probe(Actor[Any]):
    """An actor that keeps what it gets, for a test to look at in order. `timeout`s are in the loop's own seconds."""

    def __init__(self) -> None:
        self._received: deque[Any] = deque()
        self._arrived = anyio.Event()

    @classmethod
    async def start(cls, system: ActorSystem, name: str | None = None) -> Self:
        """Spawn a probe. Its `ref` is what others send to."""
        probe = cls()
        await system.spawn(probe, name=name)
        return probe

    @property
    def ref(self) -> ActorRef[Any]:
        """What others send to."""
        return self.context.ref

    async def handle(self, message: Any) -> None:
        self._received.append(message)
        self._arrived.set()

    async def expect(self, kind: type[T], timeout: float = 5.0) -> T:
        """Wait for the next message, and return it if it is a `kind`. Raises AssertionError if it is anything else,
        or if none comes within `timeout` seconds."""
        message = await self._next(kind.__name__, timeout)
        if not isinstance(message, kind):
            raise AssertionError(f"Expected {kind.__name__}, got {message!r}.")
        return message

    async def expect_message(self, expected: Any, timeout: float = 5.0) -> None:
        """Wait for the next message, which must be equal to `expected`. Raises AssertionError as `expect` does."""
        message = await self._next(repr(expected), timeout)
        if message != expected:
            raise AssertionError(f"Expected {expected!r}, got {message!r}.")

    async def expect_down(self, ref: ActorRef[Any], timeout: float = 5.0) -> ExitReason:
        """Wait for the next message, which must be the Down of `ref`, and return the reason it gives."""
        down = await self.expect(Down, timeout)
        if down.ref is not ref:
            raise AssertionError(f"Expected the Down of {ref!r}, got {down!r}.")
        return down.reason

    async def expect_none(self) -> None:
        """Let all that is going on come to rest, then see that no message is there."""
        await anyio.wait_all_tasks_blocked()
        if self._received:
            raise AssertionError(f"Expected no message, got {list(self._received)!r}.")

    async def _next(self, expected: str, timeout: float) -> Any:
        with anyio.move_on_after(timeout):
            while not self._received:
                if self._arrived.is_set():  # of which two who wait at once must share the next
                    self._arrived = anyio.Event()
                await self._arrived.wait()
        if not self._received:
            raise AssertionError(f"Expected {expected}, but nothing came within {timeout} s.")
        return self._received.popleft()
