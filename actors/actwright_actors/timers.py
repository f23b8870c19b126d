"""Calls that are due at a time: what a system offers to whoever is in its loop.

An actor's own timers, which send it messages, are `context.timers`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Timer", "Timers"]


class Timer(Protocol):
    """A call that is due at `when`, in seconds of the system's clock."""

    @property
    def when(self) -> float:
        """When it is due."""
        ...

    @property
    def is_pending(self) -> bool:
        """Neither fired nor cancelled yet."""
        ...

    def cancel(self) -> None:
        """See that it never fires. Does nothing when it has fired or was cancelled. Raises WrongThread in a foreign
        thread."""
        ...


class Timers(Protocol):
    """Calls functions when their time has come, in the loop's thread: by deadline, then in the order of asking.

    A function that raises is logged, and disturbs no other timer. The end of the system forgets all that are pending.
    """

    def call_later(self, seconds: float, fn: Callable[[], object]) -> Timer:
        """Call `fn()` in `seconds`; with `math.inf` never, with zero or less in the loop's next round. Raises
        WrongThread in a foreign thread."""
        ...

    def call_at(self, when: float, fn: Callable[[], object]) -> Timer:
        """Call `fn()` when the clock's `now()` has reached `when`. O(log n). Raises WrongThread in a foreign thread."""
        ...

    def __len__(self) -> int:
        """How many timers are pending."""
        ...
