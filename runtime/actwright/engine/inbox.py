"""The mailbox of a run that users reach: what was sent to it, until its body receives it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["MAILBOX_LIMIT", "Inbox"]

MAILBOX_LIMIT = 10_000
"""How many messages may wait in one run's mailbox. Beyond, whoever sends is told."""


class Inbox:
    """Messages in the order in which they came. Any thread puts, any thread takes; none of it waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: dict[int, object] = {}  # by number, in the order in which they came
        self._next = 0
        self._waiting: set[Callable[[], object]] = set()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def is_watched(self) -> bool:
        """Whether somebody waits for a message."""
        return bool(self._waiting)

    def put(self, message: object) -> bool:
        """Add a message and wake whoever waits for one; False when the mailbox is full."""
        with self._lock:
            if len(self._messages) >= MAILBOX_LIMIT:
                return False
            self._messages[self._next] = message
            self._next += 1
            waiting = tuple(self._waiting)
        for wake in waiting:
            wake()
        return True

    def take(self, wanted: Callable[[object], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Take out the first message that is wanted; what is not stays, in its order.

        Args:
            wanted: of a message: `(what the receiver gets,)`, or `()`. Code of users': called under no lock.

        Returns:
            What `wanted` made of it, or `()`.
        """
        for number, message in self.since(0):
            found = wanted(message)
            if found and self.claim(number):
                return found
        return ()

    def since(self, number: int) -> list[tuple[int, object]]:
        """Those with this number or a higher one that are still there."""
        with self._lock:
            return [(each, message) for each, message in self._messages.items() if each >= number]

    def claim(self, number: int) -> bool:
        """Take the message of that number out; False when another receiver of the same run was quicker."""
        with self._lock:
            return self._messages.pop(number, self) is not self

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Generator[None]:
        """While inside: call `wake` for each message that comes, in the thread of whoever sends it."""
        with self._lock:
            self._waiting.add(wake)
        try:
            yield
        finally:
            with self._lock:
                self._waiting.discard(wake)
