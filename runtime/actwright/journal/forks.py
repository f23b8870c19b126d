"""Forks of a process that uses SQLite: none while a call of SQLite is under way, or a connection open.

What SQLite knows of a file, its locks on it above all, it keeps once for the process, and a forked child inherits that
while the locks stay the parent's. With a connection open in the parent, one that the child opens anew takes no lock of
its own on that file: its log is deleted under its hands when the parent closes. With a transaction under way there, the
child waits for its end for ever. So a fork waits for what is under way, and closes what is open before it happens.
"""

from __future__ import annotations

import _thread
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["FORK_WAITS_SECONDS", "Forks"]

FORK_WAITS_SECONDS: Final = 10.0
"""How long a fork waits at most for who uses SQLite; then it happens all the same, since whoever forks may be waited
for in turn."""

_LOOK_UP_SECONDS: Final = 0.001


class Forks:
    """Of this process, one after another; each either waits for those who use SQLite, or they for it.

    What a signal handler raises while a thread forks, Python prints and drops. So what must not be left out around a
    fork are methods of locks, which no handler can cut in two, and the rest is done again.

    Args:
        close: closes all connections that nobody uses, before a fork.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._next = threading.RLock()
        """Held by who forks or is the next to: so that users compete with one thread for their turn, not with all."""
        self._turn = threading.RLock()
        """Held from before a fork until after it, and by each user as it begins."""
        self._closing = threading.Lock()
        self._users: dict[object, int] = {}
        """The threads that use SQLite: one that forks does not wait for itself."""
        os.register_at_fork(before=self._before, after_in_child=self._in_child)
        for lock in (self._turn, self._next):  # the last that is registered is the first to be called before a fork
            os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)

    @contextmanager
    def none(self) -> Generator[None]:
        """Around every use of SQLite: no other thread forks inside of the block. It waits for one that is about to."""
        me, use = threading.get_ident(), object()
        try:
            if me in list(self._users.values()):  # it may be what a fork waits for
                self._users[use] = me
            else:
                with self._turn:
                    self._users[use] = me
            yield
        finally:
            self._users.pop(use, None)

    def _before(self) -> None:
        try:
            self._wait_and_close()
        except BaseException:  # of a signal handler
            self._wait_and_close()
            raise

    def _wait_and_close(self) -> None:
        me, deadline = threading.get_ident(), time.monotonic() + FORK_WAITS_SECONDS
        while any(user != me for user in list(self._users.values())):
            if time.monotonic() > deadline:
                return
            time.sleep(_LOOK_UP_SECONDS)
        closed = _thread.allocate_lock()
        closed.acquire()
        # Elsewhere, since a signal handler strikes the main thread: it would leave the locks of the pool taken.
        _thread.start_new_thread(self._close_and_release, (closed,))
        closed.acquire()

    def _close_and_release(self, closed: _thread.LockType) -> None:
        try:
            with self._closing:  # the one before, of whoever was struck while it waited
                self._close()
        finally:
            closed.release()

    def _in_child(self) -> None:
        me = threading.get_ident()
        self._closing = threading.Lock()
        self._users = {use: user for use, user in self._users.items() if user == me}
