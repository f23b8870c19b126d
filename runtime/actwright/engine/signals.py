"""SIGINT and SIGTERM while a plain script runs a flow in its main thread.

SIGINT cancels: Cancelled, hooks run, KeyboardInterrupt. SIGTERM crashes: Crashed, hooks run, exit code 143. A second
signal exits now. The handlers are there for the length of the outermost call alone, and only where the script has none
of its own.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from actwright.authoring.interrupts import cuts_a_step, note_told
from actwright.engine.messages import Crash
from actwright.exceptions import Interrupted
from actwright_actors.backends import current_backend_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from actwright.engine.live_run import LiveRun

__all__ = ["Interrupts", "interrupts_call", "interrupts_of_script", "see_to_cut_handler", "without_interrupts"]

_DEFAULTS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


class Interrupts:
    """What a signal does to the runs whose bodies are on the main thread's stack, outermost first."""

    def __init__(self) -> None:
        self._runs: list[LiveRun] = []
        self._in_body = False
        self._before: dict[signal.Signals, Any] = {}
        self.pending: BaseException | None = None

    @contextmanager
    def calling(self, run: LiveRun) -> Generator[None]:
        """While the main thread waits for `run`, or lends it itself."""
        self._runs.append(run)
        if isinstance(self.pending, SystemExit):
            run.signal(Crash(self.pending, "SIGTERM"))
        elif self.pending is not None:
            run.cancel("SIGINT")
        try:
            yield
        finally:
            self._runs.remove(run)

    def body(self) -> AbstractContextManager[None]:
        """Around a body: here, and nowhere in the engine, a signal raises."""
        return self._raising(True)

    def engine(self) -> AbstractContextManager[None]:
        """Around the engine's own code that a body calls: a signal that strikes there is raised when it is done."""
        return self._raising(False)

    @contextmanager
    def _raising(self, wanted: bool) -> Generator[None]:
        before, self._in_body = self._in_body, wanted
        try:
            self._raise_pending()
            yield
        finally:
            self._in_body = before
        self._raise_pending()

    def _raise_pending(self) -> None:
        if self._in_body and self.pending is not None:
            note_told()
            raise self.pending

    def install(self) -> None:
        for number, default in _DEFAULTS.items():
            if signal.getsignal(number) is default:  # a script's own handler is its own business
                self._before[number] = signal.signal(number, self.handle)

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def handle(self, number: int, frame: FrameType | None) -> None:
        if self.pending is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        # The messages go first: whatever the exception then makes of a body, the run knows why it ends. The innermost
        # run hears of it first, or it might be told to stop by the one around it instead.
        if number == signal.SIGINT:
            self.pending = KeyboardInterrupt()
            for run in reversed(self._runs):
                run.cancel("SIGINT")
        else:
            self.pending = SystemExit(128 + number)
            for run in reversed(self._runs):
                run.signal(Crash(self.pending, "SIGTERM"))
        if not cuts_a_step(frame):  # else the runs see to it, which were told: waits are woken, bodies interrupted
            self._raise_pending()


_current: Interrupts | None = None


@contextmanager
def interrupts_of_script() -> Generator[Interrupts | None]:
    """Around each call of a sync body: the script's interrupts, which the outermost call installs and restores.

    None where the thread is not the main one, or has an event loop: there signals are the host's business.
    """
    global _current
    if threading.current_thread() is not threading.main_thread() or current_backend_name() is not None:
        yield None
        return
    if _current is not None:
        with _current.engine():
            yield _current
        return
    _current = interrupts = Interrupts()
    interrupts.install()
    try:
        yield interrupts
    finally:
        _current = None
        interrupts.restore()
    if interrupts.pending is not None:
        raise interrupts.pending


def see_to_cut_handler(error: BaseException) -> None:
    """Handle the signal whose handler was cut before its first step, by an interrupt of the body: that was sent while
    the body blocked in C, and the signal ended that call. In whatever thread, with what a body raised.

    A body that swallows the interrupt has swallowed the signal with it; the next one is heard.
    """
    if _current is None or not isinstance(error, Interrupted):
        return
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code is Interrupts.handle.__code__:
            _current.handle(frame.f_locals["number"], None)


def without_interrupts() -> AbstractContextManager[None]:
    """Around what a signal must not cut in two; in whatever thread. It is raised after it."""
    if _current is None or threading.current_thread() is not threading.main_thread():
        return nullcontext()
    return _current.engine()


@contextmanager
def interrupts_call(fn: Callable[[], object]) -> Generator[None]:
    """Around what the main thread waits for: a first SIGINT calls `fn`, and is raised when the block is done; a second
    one is raised at once. Nothing changes in another thread, or where the script has a handler of its own."""
    struck = False

    def handle(number: int, frame: object) -> None:
        nonlocal struck
        if struck:
            raise KeyboardInterrupt
        struck = True
        fn()

    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if struck:
        raise KeyboardInterrupt


def _forget() -> None:
    """In a forked child the runs that a signal would end are those of the parent."""
    global _current
    if _current is not None:
        _current.restore()
        _current = None


os.register_at_fork(after_in_child=_forget)
