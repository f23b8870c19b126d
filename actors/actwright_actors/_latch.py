"""An event that is free until somebody waits for it."""

from __future__ import annotations

import anyio

__all__ = ["Latch"]


class Latch:
    """A one-shot event whose loop primitive is made by the first waiter, so an unwatched one costs nothing."""

    __slots__ = ("_event", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._event: anyio.Event | None = None

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Set it for good and wake every waiter. Only in the loop's thread."""
        self._is_set = True
        event, self._event = self._event, None  # not kept: on asyncio an event is close to a kilobyte
        if event is not None:
            event.set()

    async def wait(self) -> None:
        """Wait until it is set; at once, without a checkpoint, if it is."""
        if not self._is_set:
            if self._event is None:
                self._event = anyio.Event()
            await self._event.wait()
