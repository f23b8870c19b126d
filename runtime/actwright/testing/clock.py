"""A clock that a test need not wait for."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import anyio

from actwright_actors.backends import thread_safe_caller

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SkippingClock"]

_LOOK_SECONDS: Final = 0.002
"""How often it looks whether anything but time is waited for. Twice in a row, so that what has only just been said,
between threads say, is heard first."""


class SkippingClock:
    """Time passes as ever, but for the time in which nothing is done but to wait for it: that is skipped.

    Args:
        only_time_helps: whether the one whose clock this is waits for nothing but time; called in its thread.
    """

    def __init__(self, only_time_helps: Callable[[], bool]) -> None:
        self._only_time_helps = only_time_helps
        self._skipped = 0.0
        self._lock = threading.Lock()
        self._wake: Callable[[], object] | None = None

    def now(self) -> float:
        return time.monotonic() + self._skipped

    def wall(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._skipped)

    def advance(self, seconds: float) -> None:
        """Have it be that much later, as when a computer was asleep: what fell due meanwhile happens now, in order.
        In any thread."""
        with self._lock:
            self._skipped += seconds
            if self._wake is not None:
                self._wake()

    async def wait_until(self, deadline: float | None, event: anyio.Event) -> None:
        if deadline is None:
            await event.wait()
            return
        call, woken = thread_safe_caller(), anyio.Event()
        with self._lock:
            self._wake = lambda: call(woken.set)
        try:
            async with anyio.create_task_group() as either:
                either.start_soon(_cancel_after, either.cancel_scope, event)
                either.start_soon(_cancel_after, either.cancel_scope, woken)
                await self._wait_for_time(deadline)
                either.cancel_scope.cancel()
        finally:
            with self._lock:
                self._wake = None

    async def _wait_for_time(self, deadline: float) -> None:
        rested = False
        while (left := deadline - self.now()) > 0:
            await anyio.sleep(min(left, _LOOK_SECONDS))
            rests = self._only_time_helps()
            if rests and rested:
                self.advance(max(0.0, deadline - self.now()))
            rested = rests


async def _cancel_after(scope: anyio.CancelScope, event: anyio.Event) -> None:
    await event.wait()
    scope.cancel()
