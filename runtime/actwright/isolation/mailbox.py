"""What others send to the run, as the process of its body receives it: the messages stay with the Runtime, where a
retry finds those that were not taken."""

from __future__ import annotations

import itertools
import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from actwright.isolation.crossing import Unreadable
from actwright.isolation.messages import (
    ClaimMessage,
    MessageCame,
    MessagesAfter,
    StartTimer,
    StopTimer,
    TimePassed,
    WatchMailbox,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from actwright.isolation.conversation import Conversation

__all__ = ["RemoteMailbox", "RemoteTimers"]

logger = logging.getLogger("actwright.isolation")


class RemoteMailbox:
    """A `Mailbox`. It has copies of the messages that it has looked at, and takes one by asking for it. One that
    cannot be had here stays where it is, for an attempt elsewhere: which is said once."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._looking = threading.Lock()  # held while an answer is waited for: never by the thread that hears
        self._lock = threading.Lock()
        self._copies: dict[int, Any] = {}
        self._next = 0
        self._waiting: set[Callable[[], object]] = set()
        self._is_watched = False
        conversation.listen(MessageCame, self._came)

    def take(self, wanted: Callable[[object], tuple[Any, ...]]) -> tuple[Any, ...]:
        self._look()
        for number, message in tuple(self._copies.items()):
            found = wanted(message)
            if found and self._claim(number):
                return found
        return ()

    def _look(self) -> None:
        with self._looking:
            self._next, new = self._conversation.ask(MessagesAfter(self._next))
            for number, message in new:
                if isinstance(message, Unreadable):
                    logger.warning("A message cannot be received in this process: %s: %s", message.what, message.why)
                else:
                    self._copies[number] = message.item

    def _claim(self, number: int) -> bool:
        with self._looking:
            if number not in self._copies:  # another thread of this body was quicker
                return False
            del self._copies[number]
        return bool(self._conversation.ask(ClaimMessage(number)))

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Generator[None]:
        with self._lock:
            self._waiting.add(wake)
            is_first, self._is_watched = not self._is_watched, True
        if is_first:
            self._conversation.tell(WatchMailbox())
        try:
            yield
        finally:
            with self._lock:
                self._waiting.discard(wake)

    def _came(self, _: object) -> None:
        with self._lock:
            waiting = tuple(self._waiting)
        for wake in waiting:
            wake()


class RemoteTimers:
    """Times of the Runtime's clock."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._numbers = itertools.count()
        self._open: dict[int, Callable[[], object]] = {}
        conversation.listen(TimePassed, self._passed)

    @contextmanager
    def after(self, seconds: float, fn: Callable[[], object]) -> Generator[None]:
        """While inside: have `fn` called, in the thread that hears, once so many seconds have passed."""
        number = next(self._numbers)
        self._open[number] = fn
        self._conversation.tell(StartTimer(number, seconds))
        try:
            yield
        finally:
            del self._open[number]
            self._conversation.tell(StopTimer(number))

    def _passed(self, message: TimePassed) -> None:
        if fn := self._open.get(message.number):
            fn()
