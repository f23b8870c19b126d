"""Interrupting sync bodies: `Interrupted` is raised in the thread of a body that is to end, and in that body alone.

A thread looks every few milliseconds at each body that is to be interrupted, and strikes where `strikes.decide` allows
it: never while code of the engine's, an import, a finalizer or an `__exit__` is on the body's part of the stack.

What makes that exact is how CPython, up to 3.12, takes such an exception (`PyThreadState_SetAsyncExc`). It looks for
one where it also hands over its lock, the GIL: at a function's entry, at a jump back, and after a call. A thread that
waits for the GIL at such a point looks just after it has got it, and one that is in a C call looks just after that
call: both raise in the frame that was on top while the striker held the GIL. So it suffices that the striker does not
lose the GIL between its last look and the strike, and it loses it at such points only. `strike` has none between the
two, which a test reads in its bytecode: the look is made by `for`, after whose `__next__` nothing is checked, and the
strike is a call whose arguments are ready, into a function that keeps the GIL. Nor is memory asked for that a
collection of garbage, and thereby a finalizer, could come with.

What is left is a finalizer, or a callback from C, that the thread enters on its way out of that C call, and that takes
the exception. The interpreter then tells `sys.unraisablehook`, and the body is struck again. (In the main thread, a
signal that ends that C call has its handler cut at its entry: see `signals.see_to_cut_handler`.)

Since 3.13 a thread that waits for the GIL does not look once it has it, but at the next such point, which may be in any
frame; and without a GIL nothing of this holds. Bodies are not interrupted there: see `interrupts_are_supported`.
"""

# pyright: reportPrivateUsage=false
# `sys._current_frames` is the one way to see another thread's frames, and documented.

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from functools import cache, partial
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from actwright.authoring.interrupts import SyncBody, innermost_body
from actwright.engine.strikes import Verdict, decide, level_of
from actwright.exceptions import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

__all__ = ["Interrupter", "interrupt", "interrupts_are_supported", "note_end", "strike"]

logger = logging.getLogger("actwright.engine")

_LOOK_SECONDS = 0.002
_ASK_SECONDS = 0.0001
_PATIENCE_SECONDS = 1.0
"""For how long a body that stands where it would rather not be struck is waited for to go on."""


@cache
def interrupts_are_supported() -> bool:
    """Whether bodies are interrupted in this interpreter. Elsewhere they end by asking, or are abandoned."""
    is_known = sys.implementation.name == "cpython" and (3, 11) <= sys.version_info < (3, 13)
    return is_known and find_spec("_ctypes") is not None


class Interrupter:
    """Interrupts bodies. Its thread is there for as long as there is one that it was asked to interrupt."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[SyncBody, float] = {}
        self._thread: threading.Thread | None = None
        self._hook_before = sys.unraisablehook
        # Unlike a Condition, it may be told something by a finalizer, in whatever thread.
        self._news: SimpleQueue[None] = SimpleQueue()

    def interrupt(self, body: SyncBody) -> None:
        """Have `Interrupted` raised in `body`, as soon as that can be. In any thread. Twice is as good as once."""
        body.is_wanted = True
        with self._lock:
            self._since.setdefault(body, time.monotonic())
            if self._thread is None:
                self._start()
        self.note_news()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="actwright-interrupter", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # too many, or so late in the exit of Python that there are none to be had
            logger.warning("A body that is to end is not interrupted, since no thread could be started: %s", error)
        else:
            self._thread = thread
            self._hook_before, sys.unraisablehook = sys.unraisablehook, self._hear_of_lost_strike

    def _stop(self) -> None:
        """With the lock: the next one who asks starts another thread."""
        self._thread = None
        if sys.unraisablehook == self._hear_of_lost_strike:  # else somebody else's has come, which calls this one
            sys.unraisablehook = self._hook_before

    def note_news(self) -> None:
        """A body has ended, or its interrupt was lost."""
        self._news.put(None)

    def _work(self) -> None:
        sys.settrace(None)  # a debugger's code would run between the look and the strike
        sys.setprofile(None)
        try:
            while bodies := self._bodies():
                self._go_round(bodies)
        except BaseException:
            with self._lock:
                self._stop()
            raise

    def _go_round(self, bodies: list[SyncBody]) -> None:
        waiting = [body for body in bodies if not body.was_told]
        for body in waiting:
            if not body.holds:
                self._look_at(body)
        with _let_in_soon() if waiting else nullcontext(), suppress(Empty):
            self._news.get(timeout=_LOOK_SECONDS if waiting else None)

    def _bodies(self) -> list[SyncBody]:
        """Those that have not ended; with none the thread is to end."""
        with self._lock:
            for body in [body for body in self._since if body.is_over]:
                del self._since[body]
            if not self._since:
                self._stop()
            return list(self._since)

    def _look_at(self, body: SyncBody) -> None:
        blows = _blows(body.thread_id)
        with _without_garbage_collection():
            top = sys._current_frames().get(body.thread_id)
            stack = _stack_of(body, top)
            if top is None or not stack:
                return
            verdict = decide([level_of(frame, is_top=frame is top) for frame in stack])
            waited = time.monotonic() - self._since[body]
            if verdict is Verdict.STRIKE or (verdict is Verdict.RATHER_NOT and waited > _PATIENCE_SECONDS):
                strike(body, top, top.f_back, top.f_lasti, *blows)

    def _hear_of_lost_strike(self, lost: sys.UnraisableHookArgs, /) -> None:
        body = innermost_body()
        if lost.exc_type is Interrupted and body is not None and body.unstrike is not None:
            body.was_told = False
            self.note_news()
        else:
            self._hook_before(lost)


def _stack_of(body: SyncBody, top: FrameType | None) -> list[FrameType]:
    """The frames of a body, the innermost first; none when it is not on that stack."""
    stack: list[FrameType] = []
    frame, root = top, body.root
    while frame is not None and frame is not root:
        stack.append(frame)
        frame = frame.f_back
    return stack if frame is not None else []


def _blows(thread_id: int) -> tuple[Callable[..., object], tuple[object, ...], Callable[[], object]]:
    """The function that strikes a thread, its arguments, and what takes that back. All of it is C."""
    import ctypes

    send, ident = ctypes.pythonapi.PyThreadState_SetAsyncExc, ctypes.c_ulong(thread_id)
    return send, (ident, ctypes.py_object(Interrupted)), partial(send, ident, None)


def strike(
    body: SyncBody,
    top: FrameType,
    back: FrameType | None,
    instruction: int,
    send: Callable[..., object],
    blow: tuple[object, ...],
    unstrike: Callable[[], object],
) -> None:
    """Strike a body, if its thread is still in `top`, called by `back`, at that instruction.

    From the `for` to the call there is neither a call nor a jump back: nothing may be added that makes one.
    """
    ident = body.thread_id
    for frames in iter(sys._current_frames, None):
        stands = ident in frames and frames[ident] is top and top.f_back is back and top.f_lasti == instruction
        if stands and not body.was_told and not body.holds:
            body.was_told = True
            body.unstrike = unstrike
            send(*blow)
        break


@contextmanager
def _let_in_soon() -> Generator[None]:
    """Around a pause: whoever wakes asks for the GIL after a fraction of the usual 5 ms. An event loop in the body lets
    go of it more often than that, to poll: else this thread would be let in there alone, where nothing is struck."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _ASK_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def _without_garbage_collection() -> Generator[None]:
    """Before 3.11.9, a collection within `sys._current_frames` may block the interpreter for ever."""
    if sys.version_info >= (3, 11, 9) or not gc.isenabled():
        yield
        return
    global _collects_no_garbage
    gc.disable()
    _collects_no_garbage = True
    try:
        yield
    finally:
        _collects_no_garbage = False
        gc.enable()


_collects_no_garbage = False
_interrupter = Interrupter()


def interrupt(body: SyncBody) -> None:
    """Have `Interrupted` raised in `body`, where that is supported. In any thread."""
    if interrupts_are_supported():
        _interrupter.interrupt(body)


def note_end(body: SyncBody) -> None:
    """The body has ended: nobody waits for a moment to interrupt it any more."""
    if body.is_wanted:
        _interrupter.note_news()


def _forget() -> None:
    """In a forked child its thread is not there, and perhaps somebody held its lock, or it was looking."""
    global _interrupter, _collects_no_garbage
    if _collects_no_garbage:
        _collects_no_garbage = False
        gc.enable()
    _interrupter = Interrupter()


os.register_at_fork(after_in_child=_forget)
