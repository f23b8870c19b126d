"""A place in user code, on the loop or in a thread, where a test can meet it."""

from __future__ import annotations

from concurrent.futures import Future

from actwright.authoring.waiting import event_of

__all__ = ["Gate"]

WATCHDOG_SECONDS = 20


class Gate:
    """Code comes to it and waits; the test waits until it is there, looks around, and lets it go on."""

    def __init__(self) -> None:
        self._reached: Future[None] = Future()
        self._opened: Future[None] = Future()

    def stop_here(self) -> None:
        """In a thread: wait until the gate is open."""
        self._arrive()
        self._opened.result(WATCHDOG_SECONDS)

    async def astop_here(self) -> None:
        """On the loop: the same."""
        self._arrive()
        await event_of(self._opened).wait()

    async def reached(self) -> None:
        """Wait until somebody stands before it."""
        await event_of(self._reached).wait()

    def open(self) -> None:
        """Let go whoever waits here, now and later. Any thread may."""
        if not self._opened.done():
            self._opened.set_result(None)

    @property
    def is_reached(self) -> bool:
        return self._reached.done()

    def _arrive(self) -> None:
        if not self._reached.done():
            self._reached.set_result(None)
