"""How the process of a body is told to end: by SIGTERM; and how it ends with the process of its Runtime."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final

from actwright.authoring.interrupts import cuts_a_step, innermost_body, note_told
from actwright.exceptions import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from actwright.authoring.interrupts import SyncBody

__all__ = ["Termination", "end_with", "end_with_group"]

_WAKE_SECONDS: Final = 0.05


class Termination:
    """What SIGTERM does to the body: it is told to stop. A plain body is interrupted, once, wherever it is; an async
    one is cancelled by what stands in `on_stop`.

    Attributes:
        is_asked: whether the body was told to stop.
        on_stop: called then, once or more often, between any two steps of the main thread or in another one.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.on_stop: list[Callable[[], object]] = []
        self._in_body = False
        self._is_due = False
        self._held: SyncBody | None = None
        self._has_struck = False  # no threading.Event: a handler may strike within a handler, and wait for its lock

    def install(self) -> None:
        """In the main thread. What this process inherited does not decide: neither what is blocked nor ignored."""
        signal.signal(signal.SIGTERM, self._handle)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def leave_to_parent(self) -> None:
        """In a forked child: SIGTERM is for that process, and not for the body."""
        if signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def insist(self) -> None:
        """See to it that a SIGTERM that was sent is seen. In any thread but the main one; does not wait.

        One that strikes in the very moment in which the main thread begins to block does not wake it; and a body may
        have a handler of its own.
        """
        self._ask()
        threading.Thread(target=self._insist, name="actwright-termination", daemon=True).start()

    def _insist(self) -> None:
        main = threading.main_thread().ident
        while True:
            time.sleep(_WAKE_SECONDS)
            if self._held is not None and self._held.holds:
                continue
            has_struck = self._has_struck and not self._is_due
            if has_struck or main is None or signal.getsignal(signal.SIGTERM) != self._handle:
                return
            signal.pthread_kill(main, signal.SIGTERM)

    def _ask(self) -> None:
        self.is_asked = True
        for tell in tuple(self.on_stop):
            tell()

    def body(self) -> AbstractContextManager[None]:
        """Around a plain body: here, and nowhere in our own code, SIGTERM raises."""
        return self._raising(True)

    def ours(self) -> AbstractContextManager[None]:
        """Around our own code that a body calls, and that must not be cut in two; it raises after that. Any thread."""
        return self._raising(False)

    @contextmanager
    def _raising(self, wanted: bool) -> Generator[None]:
        if not _in_main_thread():  # no signal strikes there
            yield
            return
        before, self._in_body = self._in_body, wanted
        try:
            self._raise_if_wanted()
            yield
        finally:
            self._in_body = before
        self._raise_if_wanted()

    def _raise_if_wanted(self) -> None:
        if not (self._in_body and self._is_due):
            return
        body = self._held = innermost_body()
        if body is not None and body.holds:
            body.is_wanted = True  # the end of its `no_interrupt` raises, or, if another exception leaves it, `insist`
            return
        self._is_due = False
        if body is None or not body.was_told:
            note_told()
            raise Interrupted

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._is_due = self._is_due or not self._has_struck
        self._has_struck = True
        self._ask()
        if not cuts_a_step(frame):
            self._raise_if_wanted()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def end_with(lifeline: int) -> None:
    """Have the kernel end this process's group as soon as nobody holds the other end of this pipe open any more.

    So it ends with the process that started it even where no thread of it can run: in code that does not let go of
    the interpreter's lock, or stopped. Only Linux can; elsewhere who hears from the other process sees to it.
    """
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def end_with_group() -> None:
    """End this process, with all that it started and that stayed in its group. At once."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
