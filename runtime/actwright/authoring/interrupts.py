"""The sync body that a thread runs, and `no_interrupt`, by which that body holds an interrupt off.

Here is what the body's side knows; `engine.interrupting` is the one that interrupts.
"""

# pyright: reportPrivateUsage=false
# `sys._getframe` is the one way to know of one's own frame, and documented.

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from actwright.authoring.waiting import take
from actwright.exceptions import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    from actwright.authoring.context import RunContext

__all__ = ["SyncBody", "cuts_a_step", "innermost_body", "no_interrupt", "note_told"]


class _Thread(threading.local):
    body: SyncBody | None = None


_thread = _Thread()


class SyncBody:
    """One call of a sync body, as its thread and the one who interrupts it see it.

    Its own thread and the interrupter write to it, each in single steps under the interpreter's lock: so it has no lock
    of its own, which an interrupt could leave locked.

    Attributes:
        context: where its code stands.
        thread_id: of the thread that it runs in.
        outer: the body that called it, and whose thread it borrows.
        root: the frame of `call`, just below the author's; None before and after that.
        holds: how many `no_interrupt` blocks it is in.
        is_wanted: it is to be interrupted.
        was_told: it has heard, by an exception or an answer, that it is to end. It is told once, so that it can clean
            up in peace.
        unstrike: takes an interrupt back that was sent and not raised yet; None when none was sent.
        is_over: it has ended, whether anybody still waited for that or not.
    """

    __slots__ = ("context", "holds", "is_over", "is_wanted", "outer", "root", "thread_id", "unstrike", "was_told")

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.thread_id = threading.get_ident()
        self.outer = _thread.body
        self.root: FrameType | None = None
        self.holds = 0
        self.is_wanted = False
        self.was_told = False
        self.unstrike: Callable[[], object] | None = None
        self.is_over = False

    def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the author's function: in the frames above this one, and nowhere else, it may be interrupted."""
        thread = _thread
        try:
            thread.body = self
            self.root = sys._getframe()
            return fn(*args, **kwargs)
        finally:
            # An interrupt that was sent in the last moment is this body's own. It is raised just after the call above,
            # inside of the `try`, or taken back here: up to there the interpreter has no reason to raise it, since it
            # looks for one after calls, and none stands before this one.
            thread.body = self.outer
            self.is_over = True
            self.root = None
            if self.unstrike is not None:
                self.unstrike()


def innermost_body() -> SyncBody | None:
    """The sync body that runs in this thread; of several, which call each other, the last one. Not that of a hook."""
    return _thread.body


def note_told(context: RunContext | None = None) -> None:
    """The code of this thread's body has heard that it is to end, or is about to: it is interrupted no more.

    Args:
        context: where that code stands; a thread or a task that a body has started stands where the body does, and
            whoever hears of it there, the body has not.
    """
    body = _thread.body
    if body is not None and (context is None or body.context is context):
        body.was_told = True


_HOLDS_LOCKS = {"actwright", "actwright_actors", "logging"}


def cuts_a_step(frame: FrameType | None) -> bool:
    """Whether a signal's handler that raises would cut what must not be cut: a call of the body's into Actwright, or
    into `logging`. These take locks that other threads need, of futures, of the journal's queue, of log handlers, by
    Python code (`Condition.__exit__`) that an exception leaves with the lock taken.

    Args:
        frame: where the signal struck.
    """
    if frame is None or frame.f_code is take.__code__:  # that blocks in C, and holds nothing
        return False
    body = _thread.body
    root = None if body is None else body.root
    while frame is not None and frame is not root:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in _HOLDS_LOCKS:
            return True
        frame = frame.f_back
    return root is None or frame is None


class no_interrupt:
    """Hold an interrupt off: `with no_interrupt(): …` in a plain body.

    When its run is cancelled, or times out, a plain body is interrupted: `Interrupted` is raised in it. Inside the
    block it is not; if it would have been, the end of the (outermost) block raises it, unless an exception leaves the
    block anyway, or the body has heard of it otherwise. Runs that are called inside are cancelled all the same, and
    raise CancelledRun. Around anything else, in hooks and in async bodies, the block does nothing.
    """

    def __enter__(self) -> None:
        body = _thread.body
        if body is not None:
            body.holds += 1

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        body = _thread.body
        if body is None:
            return
        body.holds -= 1
        if body.is_wanted and not (body.was_told or body.holds or exc_type):
            body.was_told = True
            raise Interrupted


def _forget() -> None:
    """In a forked child nobody interrupts: what the body is part of goes on in the other process."""
    _thread.body = None


os.register_at_fork(after_in_child=_forget)
