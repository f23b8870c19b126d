"""The mailbox and the clock of an isolated body's run, for the process of that body."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from actwright.exceptions import RuntimeClosed
from actwright.isolation.crossing import Sealed
from actwright.isolation.messages import MessageCame, TimePassed
from actwright_actors import SystemClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from actwright.engine.live_run import LiveRun

__all__ = ["BodyMailbox"]


class BodyMailbox:
    """Serves one body, in the thread of its service.

    Args:
        say: says something to it soon; in any thread.
    """

    def __init__(self, run: LiveRun, say: Callable[[object], object]) -> None:
        self._run = run
        self._say = say
        self._watch = ExitStack()
        self._timers: dict[int, ExitStack] = {}

    def watch(self) -> None:
        """Say from now on when a message comes."""
        self._watch.enter_context(self._run.inbox.waking(partial(self._say, MessageCame())))

    def messages_after(self, number: int) -> tuple[int, list[tuple[int, Sealed]]]:
        """The number to ask from next, and the messages that came since, each with its own."""
        found = self._run.inbox.since(number)
        return max((each + 1 for each, _ in found), default=number), [(each, Sealed(item)) for each, item in found]

    def claim(self, number: int) -> bool:
        """Take a message out; False when another one has."""
        return self._run.inbox.claim(number)

    def start_timer(self, number: int, seconds: float) -> None:
        """Say when so many seconds have passed."""
        with suppress(SystemClosed, RuntimeClosed), ExitStack() as timer:  # closed: the body is ended anyway
            timer.enter_context(self._run.after(seconds, partial(self._say, TimePassed(number))))
            self._timers[number] = timer.pop_all()

    def stop_timer(self, number: int) -> None:
        """Say it no more."""
        if timer := self._timers.pop(number, None):
            timer.close()

    def close(self) -> None:
        """The body is over."""
        self._watch.close()
        for number in tuple(self._timers):
            self.stop_timer(number)
