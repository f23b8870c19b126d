"""Whether an error means that somebody pressed Ctrl-C, which is for the whole program and not for one actor."""

from __future__ import annotations

from typing import cast

__all__ = ["interrupt_in"]


def interrupt_in(error: BaseException) -> KeyboardInterrupt | None:
    """The KeyboardInterrupt that `error` is, or that it holds: a task group in a handler makes a group of one."""
    unseen = [error]
    while unseen:
        one = unseen.pop()
        if isinstance(one, KeyboardInterrupt):
            return one
        if isinstance(one, BaseExceptionGroup):
            unseen.extend(cast("BaseExceptionGroup[BaseException]", one).exceptions)
    return None
