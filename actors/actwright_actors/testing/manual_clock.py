"""A clock that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel

__all__ = ["ManualClock"]


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
        if not seconds >= 0:  # nor NaN
            raise ValueError(f"A clock only moves forward; got {seconds} s.")
        target = self._now + seconds
        while (due := self._next_due()) is not None and due <= target:
            self._now = max(self._now, due)
            for _, fire_due in self._timers:
                fire_due()
        self._now = max(self._now, target)  # a timer's callback may have moved on by itself
        for deadline, scope in self._waiting:
            if deadline <= self._now:
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
