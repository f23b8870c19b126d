"""Tracebacks as an author wants to read them: the author's own frames."""

from __future__ import annotations

from types import TracebackType

__all__ = ["authors_traceback"]

_OURS = ("actwright.engine.", "actwright.isolation.", "actwright.authoring.", "actwright.models.", "actwright_actors.")


def authors_traceback(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """What `exc_info=` of a log call takes, without the frames of the machinery that called the author's code.

    The exception itself keeps all of them: a debugger sees what really happened.
    """
    kept: list[TracebackType] = []
    step = error.__traceback__
    while step is not None:
        if not step.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
            kept.append(step)
        step = step.tb_next
    shown: TracebackType | None = None
    for step in reversed(kept):
        shown = TracebackType(shown, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return type(error), error, shown
