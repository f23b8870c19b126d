"""How the process of a body is told to end: by SIGTERM; and how it ends with the process of its Runtime."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from actwright.exceptions import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Termination", "end_with_group"]


class Termination:
    """What SIGTERM does to the body: it is told to stop. A plain body is interrupted, wherever it is; an async one is
    cancelled by what stands in `on_stop`.

    Attributes:
        is_asked: whether SIGTERM has come.
        on_stop: called then, in the main thread, between any two of its steps.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.on_stop: list[Callable[[], object]] = []
        self._in_body = False
        self._has_struck = False

    def install(self) -> None:
        """In the main thread. What this process inherited does not decide: neither what is blocked nor ignored."""
        signal.signal(signal.SIGTERM, self._handle)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

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
        if self._in_body and self._has_struck:
            self._has_struck = False
            raise Interrupted("The body was told to stop.")

    def _handle(self, number: int, frame: object) -> None:
        self.is_asked = self._has_struck = True
        for tell in tuple(self.on_stop):
            tell()
        self._raise_if_wanted()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def end_with_group() -> None:
    """End this process, with all that it started and that stayed in its group. At once."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
