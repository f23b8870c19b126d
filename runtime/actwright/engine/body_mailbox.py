"""The mailbox and the clock of an isolated body's run, for the process of that body."""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from actwright.exceptions import RuntimeClosed
from actwright.isolation.messages import MessageCame, TimePassed
from actwright_actors import SystemClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from actwright.engine.live_run import LiveRun

__all__ = ["BodyMailbox"]

logger = logging.getLogger("actwright.engine")


class BodyMailbox:
    """Serves one body, in the thread of its service.

    Args:
        can_send: whether an object can be pickled for the body's process.
        say: says something to it soon; in any thread.
    """

    def __init__(self, run: LiveRun, can_send: Callable[[object], bool], say: Callable[[object], object]) -> None:
        self._run = run
        self._can_send = can_send
        self._say = say
        self._watch = ExitStack()
        self._timers: dict[int, ExitStack] = {}

    def watch(self) -> None:
        """Say from now on when a message comes."""
        self._watch.enter_context(self._run.inbox.waking(partial(self._say, MessageCame())))

    def messages_after(self, number: int) -> tuple[int, list[tuple[int, Any]]]:
        """The number to ask from next, and the messages that came since, each with its own. One that cannot be sent
        stays where it is, which is said once, since each is looked at once."""
        found = self._run.inbox.since(number)
        for _, message in found:
            if not self._can_send(message):
                logger.warning(
                    "%s: a message cannot be pickled for the process of its body, and is not received there: %s.%s",
                    self._run.title, type(message).__module__, type(message).__qualname__,
                )  # fmt: skip
        after_these = max((each + 1 for each, _ in found), default=number)
        return after_these, [(each, message) for each, message in found if self._can_send(message)]

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
