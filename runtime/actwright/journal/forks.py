"""Forks of a process that uses SQLite: none while a call of SQLite is under way, or a connection open.

What SQLite knows of a file, its locks on it above all, it keeps once for the process, and a forked child inherits that
while the locks stay the parent's. With a connection open in the parent, one that the child opens anew takes no lock of
its own on that file: its log is deleted under its hands when the parent closes. With a transaction under way there, the
child waits for its end for ever. So a fork waits for what is under way, and closes what is open before it happens.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["FORK_WAITS_SECONDS", "Forks"]

FORK_WAITS_SECONDS: Final = 10.0
"""How long a fork waits at most; then it happens all the same, since whoever forks may be waited for in turn."""


class Forks:
    """Of this process; each either waits for those who use SQLite, or they for it.

    Args:
        close: closes all connections that nobody uses, before a fork.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._changed = threading.Condition()
        self._users: Counter[int] = Counter()  # by thread: one that forks does not wait for itself
        self._begun = 0
        os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    @contextmanager
    def none(self) -> Generator[None]:
        """Around every use of SQLite: no other thread forks inside of the block. It waits for one that is about to."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not self._begun or me in self._users)
            self._users[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._users[me] -= 1
                self._users += Counter()  # without those at zero
                self._changed.notify_all()

    def _before(self) -> None:
        me = threading.get_ident()
        with self._changed:
            self._begun += 1
            is_free = self._changed.wait_for(lambda: self._users.keys() <= {me}, FORK_WAITS_SECONDS)
        if is_free:
            self._close()

    def _in_parent(self) -> None:
        with self._changed:
            self._begun -= 1
            self._changed.notify_all()

    def _in_child(self) -> None:
        me = threading.get_ident()
        self._changed = threading.Condition()  # another thread of the parent's may have held that one
        self._users = Counter({me: self._users[me]}) + Counter()
        self._begun = 0
