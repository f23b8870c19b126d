"""Following a run: `async for event in handle.events()`."""

from __future__ import annotations

import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from actwright.authoring.context import current
from actwright.authoring.waiting import blocking, take

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from actwright.models.events import RunEvent

__all__ = ["LOOK_SECONDS", "RunEvents", "pause"]

LOOK_SECONDS: Final = 0.05
"""How often history is looked into for what is new."""


class RunEvents:
    """The states that a run enters, each once and in order: those of before first, until it is final.

    `async for event in …` in async code, `for event in …` in sync code, which blocks. To leave the loop, or to be
    cancelled in it, does nothing to the run; `events(since=event.seq)` goes on where one was left.

    Args:
        read: what happened after a place in history; None where nothing did and nothing will. Blocks.
        since: the place to begin after; 0 is the beginning.
    """

    def __init__(self, read: Callable[[int], Sequence[RunEvent] | None], since: int) -> None:
        self._read = read
        self._seen = since
        self._next: deque[RunEvent] = deque()
        self._is_over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RunEvent:
        while not self._next:
            if self._is_over:
                raise StopIteration
            self._note(self._read(self._seen))
            if not (self._next or self._is_over):
                pause(LOOK_SECONDS)
        return self._next.popleft()

    # No async generator: trio, and a loop that ends, would complain of one that is left in the midst.

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        while not self._next:
            if self._is_over:
                raise StopAsyncIteration
            self._note(await anyio.to_thread.run_sync(self._read, self._seen))
            if not (self._next or self._is_over):
                await anyio.sleep(LOOK_SECONDS)
        return self._next.popleft()

    def _note(self, events: Sequence[RunEvent] | None) -> None:
        if events is None:
            self._is_over = True
        elif events:
            self._next.extend(events)
            self._seen = events[-1].seq
            self._is_over = events[-1].state.is_final()


def pause(seconds: float) -> None:
    """Block this thread for a while. A body that pauses here is woken when its run is cancelled.

    Raises:
        CancelledRun: in that case.
    """
    context = current()
    if context is None:
        time.sleep(seconds)
        return
    inbox: SimpleQueue[None] = SimpleQueue()
    with blocking(), context.run.waking(context, inbox):
        context.run.raise_if_stopped(context)
        try:
            take(inbox, seconds)
        except Empty:
            return
    context.run.raise_if_stopped(context)
