"""How timers are kept: one heap, one task.

A deadline is a heap entry, not a cancel scope of its own (which costs an `ask` 60 % of its throughput). Cancelled
entries stay in the heap until they surface or outnumber the live ones.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from threading import get_ident

import anyio

from actwright_actors._log import logger
from actwright_actors.clock import Clock, SteppedClock
from actwright_actors.errors import WrongThread

__all__ = ["HeapTimer", "TimerHeap"]


class HeapTimer:
    """A call that is due at `when`, in seconds of the system's clock."""

    __slots__ = ("_fn", "_timers", "when")

    def __init__(self, timers: TimerHeap, when: float, fn: Callable[[], object]) -> None:
        self.when = when
        self._timers = timers
        self._fn: Callable[[], object] | None = fn

    @property
    def is_pending(self) -> bool:
        """Neither fired nor cancelled yet."""
        return self._fn is not None

    def cancel(self) -> None:
        """See that it never fires. Does nothing when it has fired or was cancelled."""
        self._timers.require_loop_thread("Cancelling a timer")
        if self._fn is not None:
            self._fn = None
            self._timers.note_cancelled()

    def take(self) -> Callable[[], object]:
        """What to call, now that it is due. Only of a pending one."""
        fn, self._fn = self._fn, None
        assert fn is not None
        return fn


def _log_error(error: BaseException) -> None:
    logger.error("A timer's callback raised; the other timers go on.", exc_info=error)


class TimerHeap:
    """Calls functions when their time has come, in the loop's thread: by deadline, then in the order of asking.

    A function that raises is reported to `on_error` and disturbs no other timer.
    """

    def __init__(self, clock: Clock, *, on_error: Callable[[BaseException], None] = _log_error) -> None:
        self._clock = clock
        self._on_error = on_error
        self._heap: list[tuple[float, int, HeapTimer]] = []
        self._count = 0
        self._cancelled = 0
        self._thread_id = get_ident()
        self._wake: anyio.Event | None = None
        self._wakes_at = math.inf
        if isinstance(clock, SteppedClock):
            clock.attach(self.next_due, self.fire_due)

    def __len__(self) -> int:
        """How many timers are pending."""
        return len(self._heap) - self._cancelled

    def call_later(self, seconds: float, fn: Callable[[], object]) -> HeapTimer:
        """Call `fn()` in `seconds`; with `math.inf` never, with zero or less in the loop's next round."""
        self.require_loop_thread("Setting a timer")
        return self._add(self._clock.now() + seconds, fn)

    def call_at(self, when: float, fn: Callable[[], object]) -> HeapTimer:
        """Call `fn()` when the clock's `now()` has reached `when`. O(log n). Raises WrongThread in a foreign thread."""
        self.require_loop_thread("Setting a timer")
        return self._add(when, fn)

    def require_loop_thread(self, operation: str) -> None:
        """Raise WrongThread, which names `operation`, unless the caller is in the loop's thread."""
        if get_ident() != self._thread_id:
            raise WrongThread(operation, "Hand it over with system.post(...).")

    def _add(self, when: float, fn: Callable[[], object]) -> HeapTimer:
        if math.isnan(when):  # one of these would spoil the order of all
            raise ValueError("A timer cannot be due at NaN: give it seconds as a number.")
        timer = HeapTimer(self, when, fn)
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, timer))
        if when < self._wakes_at and self._wake is not None:
            self._wake.set()
        return timer

    def next_due(self) -> float | None:
        """When the next pending timer is due; None if there is none that ever will be."""
        heap = self._heap
        while heap and not heap[0][2].is_pending:
            heapq.heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap and heap[0][0] < math.inf else None

    def fire_due(self) -> None:
        """Call all that is due now. What these calls add is left for the next round, so none can starve the loop."""
        now, last = self._clock.now(), self._count
        while (due := self.next_due()) is not None and due <= now and self._heap[0][1] <= last:
            self._call(heapq.heappop(self._heap)[2].take())

    def clear(self) -> None:
        """Forget all that is pending, since the actors are gone."""
        forgotten, self._heap = self._heap, []
        for _, _, timer in forgotten:
            if timer.is_pending:
                timer.take()
        self._cancelled = 0

    def note_cancelled(self) -> None:
        """One of the timers was cancelled where it stands."""
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].is_pending]
            heapq.heapify(self._heap)
            self._cancelled = 0

    async def run(self) -> None:
        """Fire timers until cancelled."""
        while True:
            self.fire_due()
            # Nothing runs between here and the wait, so no earlier timer can slip in unseen.
            self._wake = anyio.Event()
            due = self.next_due()
            self._wakes_at = math.inf if due is None else due
            await self._clock.wait_until(due, self._wake)

    def _call(self, fn: Callable[[], object]) -> None:
        try:
            fn()
        except BaseException as error:
            # A SystemExit here would end the timers of every actor, and on asyncio the loop as well.
            self._on_error(error)
