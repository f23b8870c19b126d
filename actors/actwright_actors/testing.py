"""A test kit: a clock that stands still, an actor that records, and a look for lost mail.

With a ManualClock every timer, ask deadline and back-off of a system moves only when the test says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar

import anyio
import anyio.lowlevel

from actwright_actors.actor import Actor
from actwright_actors.exit import ExitReason
from actwright_actors.ref import ActorRef, Down
from actwright_actors.system import ActorSystem

__all__ = ["ManualClock", "Probe", "assert_no_dead_letters"]

T = TypeVar("T")


class ManualClock:
    """A clock that moves only by `advance`, for `ActorSystem(clock=...)`."""

    def __init__(self, now: float = 0.0, wall: datetime = datetime(2000, 1, 1, tzinfo=UTC)) -> None:
        self._now = now
        self._started = now
        self._wall = wall
        self._timers: list[tuple[Callable[[], float | None], Callable[[], None]]] = []
        self._waiting: list[tuple[float, anyio.CancelScope]] = []

    def now(self) -> float:
        return self._now

    def wall(self) -> datetime:
        return self._wall + timedelta(seconds=self._now - self._started)

    def attach(self, next_due: Callable[[], float | None], fire_due: Callable[[], None]) -> None:
        self._timers.append((next_due, fire_due))

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`, stopping at each timer on the way to call what is due, in order, before returning.

        Timers that these calls set are met too, if they fall due on the way. What the calls wake (an actor with a new
        message, say) runs once the test awaits something. Call it in the loop's thread.
        """
        if seconds < 0:
            raise ValueError(f"A clock only moves forward; got {seconds} s.")
        target = self._now + seconds
        while (due := self._next_due()) is not None and due <= target:
            self._now = max(self._now, due)
            for _, fire_due in self._timers:
                fire_due()
        self._now = target
        for deadline, scope in self._waiting:
            if deadline <= target:
                scope.cancel()

    async def wait_until(self, deadline: float | None, event: anyio.Event) -> None:
        if deadline is not None and deadline <= self._now:
            await anyio.lowlevel.checkpoint()
            return
        with anyio.CancelScope() as scope:
            entry = (float("inf") if deadline is None else deadline, scope)
            self._waiting.append(entry)
            try:
                await event.wait()
            finally:
                self._waiting.remove(entry)

    def _next_due(self) -> float | None:
        return min((due for next_due, _ in self._timers if (due := next_due()) is not None), default=None)


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
        with anyio.move_on_after(timeout):
            while not self._received:
                self._arrived = anyio.Event()
                await self._arrived.wait()
        if not self._received:
            raise AssertionError(f"Expected {kind.__name__}, but nothing came within {timeout} s.")
        message = self._received.popleft()
        if not isinstance(message, kind):
            raise AssertionError(f"Expected {kind.__name__}, got {message!r}.")
        return message

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


def assert_no_dead_letters(system: ActorSystem) -> None:
    """See that every message found a reader. Raises AssertionError with how many did not."""
    if system.dead_letters:
        raise AssertionError(
            f"Actor system {system.name!r} had {system.dead_letters} dead letters; "
            "pass on_dead_letter=print to ActorSystem to see them."
        )
