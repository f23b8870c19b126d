"""How long a life may take to end, not counting its waits for others, which have deadlines themselves."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from actwright_actors.timers import Timer, Timers

__all__ = ["Deadline", "Deadlines"]


class Deadlines:
    """Those of one life."""

    __slots__ = ("_are_paused", "_now", "_pending", "_timers")

    def __init__(self, timers: Timers, now: Callable[[], float]) -> None:
        self._timers = timers
        self._now = now
        self._pending: dict[Deadline, None] = {}
        self._are_paused = False

    def start(self, seconds: float, act: Callable[[], object]) -> Deadline:
        """Call `act()` in `seconds` that are not paused; with `math.inf` never."""
        deadline = Deadline(seconds, act, self)
        self._pending[deadline] = None
        deadline.run(self._timers)
        if self._are_paused:
            deadline.pause(self._now())
        return deadline

    def forget(self, deadline: Deadline) -> None:
        """It has acted, or is not to."""
        self._pending.pop(deadline, None)

    @contextmanager
    def paused(self) -> Generator[None]:
        """No time counts for the length of the block."""
        self._are_paused = True
        for deadline in self._pending:
            deadline.pause(self._now())
        try:
            yield
        finally:
            self._are_paused = False
            for deadline in self._pending:
                deadline.run(self._timers)


class Deadline:
    """Calls `act()` when its seconds are over. Made by `Deadlines.start`."""

    __slots__ = ("_act", "_deadlines", "_left", "_timer")

    def __init__(self, seconds: float, act: Callable[[], object], deadlines: Deadlines) -> None:
        self._left = seconds
        self._act = act
        self._deadlines = deadlines
        self._timer: Timer  # from `run` on

    def run(self, timers: Timers) -> None:
        """What is left of its time counts from now on."""
        self._timer = timers.call_later(self._left, self._fire)

    def pause(self, now: float) -> None:
        """Keep what is left of its time."""
        self._timer.cancel()
        self._left = self._timer.when - now

    def cancel(self) -> None:
        """See that it never acts. Does nothing when it has, or was cancelled."""
        self._timer.cancel()
        self._deadlines.forget(self)

    def _fire(self) -> None:
        self._deadlines.forget(self)
        self._act()
