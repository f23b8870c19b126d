"""What is left to do of a restart in order, which a death in its middle may add to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from actwright_actors._child import Child

__all__ = ["Agenda"]


class Agenda:
    """Whom to stop, the last first, and then whom to start, the first first. One at a time: `advance` takes a step,
    and is called again when that step's end is known. Empty for children that do not depend on each other."""

    __slots__ = ("_to_start", "_to_stop")

    def __init__(self) -> None:
        self._to_stop: list[Child] = []
        self._to_start: deque[Child] = deque()

    def __len__(self) -> int:
        return len(self._to_stop) + len(self._to_start)

    def revise(self, children: Iterable[Child]) -> None:
        """Write down what there is to do by what is known of `children`: all of them, in start order."""
        children = list(children)
        self._to_stop = [child for child in children if child.must_stop]
        self._to_start = deque(child for child in children if child.must_stop or child.is_down or child.is_starting)

    def advance(self, now: float, restart: Callable[[Child], None]) -> None:
        """Take the next step, if it is time for one."""
        while self._to_stop:
            if self._to_stop[-1].must_stop:
                self._to_stop[-1].shut_down()
                return
            self._to_stop.pop()
        while self._to_start:
            child = self._to_start[0]
            if child.is_down and child.ready_at <= now:
                restart(child)
            if child.is_down or child.is_starting:
                return
            self._to_start.popleft()
