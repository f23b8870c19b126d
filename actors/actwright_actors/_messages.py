"""What travels in a mailbox besides users' messages."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from actwright_actors._backend import Wake
from actwright_actors.exit import ExitReason
from actwright_actors.replies import Refusal

if TYPE_CHECKING:
    from actwright_actors._cell import Cell
    from actwright_actors._incarnation import Incarnation

__all__ = ["IDLE", "Envelope", "Notice", "Reply", "Special", "StopRequest", "TimerFired", "content"]

IDLE: Final[Any] = object()
"""Stands for no message, since None is a message like any other."""


class Notice:
    """Base of what the library itself sends. The dead need not know, so it is never a dead letter."""

    __slots__ = ()


class Special:
    """Base of what the runner looks into, where anything else goes to `handle` as it is."""

    __slots__ = ()


class StopRequest(Notice, Special):
    """End in order, with this reason, once all earlier system messages are handled."""

    __slots__ = ("reason",)

    def __init__(self, reason: ExitReason) -> None:
        self.reason = reason


class Reply:
    """The way back of an `ask`: settled once, by an answer, an error, its deadline, or an asker that left.

    What would settle it again is late: it says so, and is ignored.
    """

    __slots__ = ("_wake", "asker", "error", "is_taken", "outcome", "value")

    def __init__(self, wake: Wake, asker: Incarnation | None) -> None:
        self._wake = wake
        self.asker = asker
        """The incarnation whose own task waits, if it is one's."""
        self.outcome: Literal["none", "answered", "failed", "expired", "forsaken"] = "none"
        self.value: Any = None
        self.error: BaseException | None = None
        self.is_taken = False
        """Deferred or stashed: what `handle` returns is not the answer."""

    def is_settled(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.outcome != "none"

    def answer(self, value: Any) -> bool:
        """Settle it with what `handle` returned; False: too late."""
        if isinstance(value, Refusal):
            return self.fail(value.error)
        if self.outcome != "none":
            return False
        self.value = value
        return self._settle("answered")

    def fail(self, error: BaseException) -> bool:
        """Settle it with an error; False: too late."""
        if self.outcome != "none":
            return False
        self.error = error
        return self._settle("failed")

    def expire(self) -> None:
        """Its deadline has come."""
        if self.outcome == "none":
            self._settle("expired")

    def forsake(self) -> None:
        """Nobody waits any more."""
        if self.outcome == "none":
            self.outcome = "forsaken"

    def redirect(self, target: Cell | None) -> None:
        """The answer comes from somewhere else than the task of who was asked: from `target`, if it is an actor's."""
        if self.asker is not None and self.outcome == "none":
            self.asker.redirect_wait(target, self.is_settled)

    async def wait(self) -> None:
        """Wait until it is settled. For the asker alone."""
        if self.outcome == "none":
            await self._wake.wait()

    def _settle(self, outcome: Literal["answered", "failed", "expired"]) -> bool:
        self.outcome = outcome
        self._wake.set()
        return True


class Envelope(Special):
    """A user message with something attached: somebody who waits for the answer, or a deadline."""

    __slots__ = ("deadline", "message", "reply")

    def __init__(self, message: Any, reply: Reply | None = None, deadline: float = math.inf) -> None:
        self.message = message
        self.reply = reply
        self.deadline = deadline
        """By the system's clock; after it the message is not handled any more."""


class TimerFired(Notice, Special):
    """A keyed timer's message is due, if the timer has not been cancelled or started anew by the time it is handled."""

    __slots__ = ("is_due", "message")

    def __init__(self, message: Any, is_due: Callable[[], bool]) -> None:
        self.message = message
        self.is_due = is_due


def content(item: Any) -> Any:
    """The message itself, in an envelope or not."""
    return item.message if isinstance(item, Envelope | TimerFired) else item
