"""The user lane of a mailbox whose messages have priorities: a heap that keeps the order of equals."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["PriorityLane"]


class PriorityLane:
    """Offers what `Mailbox` uses of a deque: the first is the least by `priority`, then the earliest."""

    __slots__ = ("_back", "_front", "_heap", "_priority")

    def __init__(self, priority: Callable[[Any], float]) -> None:
        self._priority = priority
        self._heap: list[tuple[float, int, Any]] = []
        self._back = 0
        self._front = 0

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Any]:
        return (item for _, _, item in sorted(self._heap, key=_order))

    def append(self, item: Any) -> None:
        """Put it after its equals. O(log n). Raises what `priority` raises, and ValueError when it says NaN."""
        self._back += 1
        heapq.heappush(self._heap, (self._rank(item), self._back, item))

    def extendleft(self, items: Iterable[Any]) -> None:
        """Put each before all that is there, as a deque would: the last one comes first."""
        for item in items:
            self._front -= 1
            heapq.heappush(self._heap, (-math.inf, self._front, item))

    def popleft(self) -> Any:
        """Take the first. O(log n)."""
        return heapq.heappop(self._heap)[2]

    def replace_last(self, item: Any) -> Any:
        """Put `item` in the place of the earliest of those with the greatest number, which is returned. O(n).

        Raises what `append` does, and then nothing has changed.
        """
        rank = self._rank(item)
        last = max(self._heap, key=lambda entry: (entry[0], -entry[1]))
        self._heap.remove(last)
        self._back += 1
        self._heap.append((rank, self._back, item))
        heapq.heapify(self._heap)
        return last[2]

    def clear(self) -> None:
        """Take everything out."""
        self._heap.clear()

    def _rank(self, item: Any) -> float:
        rank = self._priority(item)
        if math.isnan(rank):  # which would spoil the order of all
            raise ValueError("A message's priority must be a number, not NaN.")
        return rank


def _order(entry: tuple[float, int, Any]) -> tuple[float, int]:
    return entry[:2]
