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
        self._messages: list[object] = []
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
            self._messages.append(message)
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
        for message in tuple(self._messages):
            found = wanted(message)
            if found and self._remove(message):
                return found
        return ()

    def _remove(self, message: object) -> bool:
        """False when another receiver of the same run was quicker."""
        with self._lock:
            for index, other in enumerate(self._messages):
                if other is message:
                    del self._messages[index]
                    return True
            return False

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
