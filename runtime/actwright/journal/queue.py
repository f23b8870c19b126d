"""The queue before the journal's writer: ordered, bounded by asking whoever would add more to wait."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from actwright.journal.batch import Entry

__all__ = ["WriteQueue"]

_LINGER_SECONDS: Final = 0.01
"""How long what nobody waits for may stand, so that more comes to share its commit."""

_BATCH_RECORDS: Final = 1_000


class WriteQueue:
    """Entries on their way to the writer. Any thread adds; one takes.

    Args:
        limit: in records. What is beyond it is taken all the same, since what has happened has happened; but `has_room`
            makes whoever would begin something new wait.

    Attributes:
        added: how many records came in, in all.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: deque[Entry] = deque()
        self._lock = threading.RLock()  # a finalizer or signal handler that logs may come in between
        self._changed = threading.Condition(self._lock)
        self._size = 0
        self.added = 0
        self._awaited = 0  # entries that somebody waits for
        self._taker: str = "busy"  # or "idle", or "lingering"
        self._closed = False
        self._waiting_for_room: deque[Callable[[], object]] = deque()

    def __len__(self) -> int:
        """How many records stand in it."""
        return self._size

    def add(self, entry: Entry) -> bool:
        """Whether it was taken: a closed queue takes nothing more. Never waits."""
        with self._lock:
            if self._closed:
                return False
            self._entries.append(entry)
            records = len(entry.records)
            self._size += records
            self.added += records
            self._awaited += entry.committed is not None
            if self._taker == "idle" or (self._taker == "lingering" and self._is_urgent):
                self._changed.notify()
            return True

    def take(self) -> list[Entry]:
        """The oldest entries, for one transaction; waits until there are some. Empty when it is closed and done."""
        with self._changed:
            self._wait("idle", lambda: bool(self._entries) or self._closed)
            self._wait("lingering", lambda: self._is_urgent, _LINGER_SECONDS)
            return self._take_batch()

    def _wait(self, how: str, until: Callable[[], bool], timeout: float | None = None) -> None:
        self._taker = how
        self._changed.wait_for(until, timeout)
        self._taker = "busy"

    @property
    def _is_urgent(self) -> bool:
        return self._awaited > 0 or self._size >= _BATCH_RECORDS or self._closed

    def _take_batch(self) -> list[Entry]:
        taken: list[Entry] = []
        size = 0
        while self._entries and size < _BATCH_RECORDS:
            entry = self._entries.popleft()
            taken.append(entry)
            size += len(entry.records)
            self._awaited -= entry.committed is not None
        return taken

    def written(self, entries: list[Entry]) -> list[Callable[[], object]]:
        """What was taken is done: there is room for more. Returns whom to tell, which is for the caller to do."""
        with self._changed:
            self._size -= sum(len(entry.records) for entry in entries)
            ready: list[Callable[[], object]] = []
            while self._waiting_for_room and self._size + len(ready) < self._limit:
                ready.append(self._waiting_for_room.popleft())
            return ready

    def has_room(self, or_call: Callable[[], object]) -> bool:
        """Whether there is room; if not, `written` returns `or_call` when there is. A closed queue never has too
        little: nobody would be called."""
        if self._size < self._limit and not self._waiting_for_room:
            return True
        with self._changed:
            if self._closed or (self._size < self._limit and not self._waiting_for_room):
                return True
            self._waiting_for_room.append(or_call)
            return False

    def close(self) -> list[Callable[[], object]]:
        """Add nothing more; what stands in it can still be taken. Returns who waited for room, to be told."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            waiting = list(self._waiting_for_room)
            self._waiting_for_room.clear()
            return waiting

    def clear(self) -> None:
        """Drop what stands in it."""
        with self._changed:
            self._entries.clear()
            self._size = self._awaited = 0
