"""The largest of what was measured lately."""

from __future__ import annotations

from collections import deque

__all__ = ["Worst"]


class Worst:
    """Keeps the largest of the values that were noted in the last `seconds`. Pure: who notes says when.

    It holds what may still become the largest: newer values that are smaller, from the largest to the newest.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._noted: deque[tuple[float, float]] = deque()

    def note(self, value: float, now: float) -> None:
        """A value, and when it was measured, which is never earlier than the last one was."""
        while self._noted and self._noted[-1][1] <= value:
            self._noted.pop()
        self._noted.append((now, value))

    def at(self, now: float) -> float:
        """The largest; 0 if nothing was noted lately."""
        while self._noted and self._noted[0][0] <= now - self._seconds:
            self._noted.popleft()
        return self._noted[0][1] if self._noted else 0.0
