"""The pulse of a process: whether its event loops answer, for others to see.

A process whose loop is stuck lives, and nobody may declare it dead: its lock says so. But what is open in it makes no
progress, and `actwright nodes` tells for how long: by the time of the lock file, which is set about every second for as
long as each loop that has something open has answered within that second. Setting it does not open the file, which
would free the lock. User code that opened and closed it has freed it: so it is taken again each time.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from actwright.exceptions import RuntimeClosed
from actwright_actors import SystemClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from actwright.nodes.locks import NodeLock

__all__ = ["PULSE_SECONDS", "Pulse"]

PULSE_SECONDS: Final = 1.0

logger = logging.getLogger("actwright.nodes")


@dataclass(slots=True, eq=False)
class _Loop:
    """A loop that is asked. `answered_at`: when it last did, or had nothing open; by `time.time`."""

    post: Callable[[Callable[[], object]], object]
    is_busy: Callable[[], bool]
    answered_at: float = field(default_factory=time.time)

    def ask(self) -> None:
        if not self.is_busy():
            self._answer()
            return
        try:
            self.post(self._answer)
        except (SystemClosed, RuntimeClosed):
            self._answer()  # it closes, and is taken out soon

    def _answer(self) -> None:
        self.answered_at = time.time()


class Pulse:
    """Asks the loops of this process, in a daemon thread that begins with the first of them.

    Args:
        lock: is kept; the time of its file tells when all of them had last answered.
    """

    def __init__(self, lock: NodeLock) -> None:
        self._lock = lock
        self._mutex = threading.Lock()
        self._loops: set[_Loop] = set()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._failed = False

    def watch(self, post: Callable[[Callable[[], object]], object], is_busy: Callable[[], bool]) -> Callable[[], None]:
        """Ask a loop from now on, until the function that is returned is called.

        Args:
            post: has the loop call a function soon. Called in the pulse's thread.
            is_busy: whether something is open there.
        """
        loop = _Loop(post, is_busy)
        with self._mutex:
            self._loops.add(loop)
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="actwright-pulse", daemon=True)
                self._thread.start()

        def unwatch() -> None:
            with self._mutex:
                self._loops.discard(loop)

        return unwatch

    def close(self) -> None:
        """Ask no longer. Blocks until the thread has ended."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(PULSE_SECONDS):
            with self._mutex:
                loops = list(self._loops)
            answered_at = min((loop.answered_at for loop in loops), default=time.time())
            self._show(answered_at)
            for loop in loops:
                loop.ask()

    def _show(self, answered_at: float) -> None:
        """A lock that another process has is not touched, nor fought for: that one has taken the node over, which the
        next commit finds out."""
        try:
            if self._lock.keep():
                os.utime(self._lock.path, (answered_at, answered_at))
            self._failed = False
        except OSError as error:  # the folder is gone, the disk is full, ...: it may come back
            if not self._failed:
                logger.warning("The lock of this process, %s, cannot be seen to: %s", self._lock.path, error)
            self._failed = True
