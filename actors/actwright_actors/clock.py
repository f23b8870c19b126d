"""The one source of time. A test kit's clock in its place drives every timer, deadline and delay."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

import anyio

from actwright_actors import _backend

__all__ = ["Clock", "SteppedClock", "SystemClock"]


class Clock(Protocol):
    """What a system needs of time. All methods are called in the loop's thread."""

    def now(self) -> float:
        """Monotonic seconds, from an arbitrary origin."""
        ...

    def wall(self) -> datetime:
        """The date and time, aware, in UTC."""
        ...

    async def wait_until(self, deadline: float | None, event: anyio.Event) -> None:
        """Wait until `now()` has reached `deadline` or `event` is set; with None, for the event alone.

        May return a little early; the caller looks again. Cancellation passes through.
        """
        ...


@runtime_checkable
class SteppedClock(Protocol):
    """A clock that moves only when told to, and then fires what is due before that call returns."""

    def attach(self, next_due: Callable[[], float | None], fire_due: Callable[[], None]) -> None:
        """Called once by each set of timers that runs on this clock."""
        ...

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`. A system that closes calls it too: after `stop_timeout` seconds of the loop's own time
        in which its actors did not end, it goes on to the next deadline."""
        ...


class SystemClock:
    """The loop's own time, so trio's MockClock drives it too. Make one per loop, inside the loop or before it."""

    def __init__(self) -> None:
        self._time = _backend.loop_time()

    def now(self) -> float:
        return self._time()

    def wall(self) -> datetime:
        return datetime.now(UTC)

    async def wait_until(self, deadline: float | None, event: anyio.Event) -> None:
        with anyio.move_on_at(deadline):
            await event.wait()
