"""How a handler answers an `ask` other than by returning a value: later, or with an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from actwright_actors._incarnation import Incarnation
    from actwright_actors._messages import Reply

__all__ = ["DeferredReply", "Refusal"]

R_contra = TypeVar("R_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What `handle` returns to have the asker get an error, and yet live on: `ask` raises `error`."""

    error: BaseException


class DeferredReply(Generic[R_contra]):
    """An answer that is owed: made by `context.defer_reply()`, given once, from any task or thread.

    When the actor ends before it is given, the asker gets ActorDead. An answer that comes after the asker's deadline,
    after the asker was cancelled, or after another answer, is counted in `system.late_replies` and dropped.
    """

    __slots__ = ("_owner", "_reply")

    def __init__(self, owner: Incarnation, reply: Reply | None) -> None:
        self._owner = owner
        self._reply = reply

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for it: false after an answer or a deadline, and for a message that was told."""
        return self._reply is not None and self._reply.outcome == "none"

    def answer(self, value: R_contra) -> None:
        """Let `ask` return `value`."""
        if self._reply is not None:
            self._owner.pay(self._reply, value)

    def fail(self, error: BaseException) -> None:
        """Let `ask` raise `error`."""
        if self._reply is not None:
            self._owner.pay(self._reply, Refusal(error))
