"""An event that is free until somebody waits for it."""

from __future__ import annotations

from collections.abc import Callable

from actwright_actors._backend import Wake
from actwright_actors.exit import ExitReason

__all__ = ["Ending", "Latch"]


class Latch:
    """A one-shot event whose loop primitives are made by its waiters, so an unwatched one costs nothing."""

    __slots__ = ("_is_set", "_make_wake", "_waiting")

    def __init__(self, make_wake: Callable[[], Wake]) -> None:
        self._is_set = False
        self._make_wake = make_wake
        self._waiting: list[Wake] | None = None

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Set it for good and wake every waiter. Only in the loop's thread."""
        self._is_set = True
        waiting, self._waiting = self._waiting, None
        for wake in waiting or ():
            wake.set()

    async def wait(self) -> None:
        """Wait until it is set; at once, without a checkpoint, if it is."""
        if self._is_set:
            return
        wake = self._make_wake()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(wake)
        try:
            await wake.wait()
        except BaseException:
            self._forget(wake)
            raise

    def _forget(self, wake: Wake) -> None:
        if self._waiting is not None:
            self._waiting.remove(wake)


class Ending(Latch):
    """The end of one life of an actor, for those who wait for it."""

    __slots__ = ("reason",)

    def __init__(self, make_wake: Callable[[], Wake]) -> None:
        super().__init__(make_wake)
        self.reason: ExitReason | None = None

    def come(self, reason: ExitReason) -> None:
        """It has ended, for `reason`."""
        self.reason = reason
        self.set()
