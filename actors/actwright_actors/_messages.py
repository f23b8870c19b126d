"""What travels in a mailbox besides users' messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actwright_actors._latch import Latch
from actwright_actors.exit import ExitReason

__all__ = ["Ask", "Notice", "Refusal", "Reply", "StopRequest"]


class Notice:
    """Base of what the library itself sends. The dead need not know, so it is never a dead letter."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What `handle` returns to have the asker get an error, and yet live on: `ask` raises `error`."""

    error: Exception


class Reply:
    """The way back of an `ask`: settled once, by an answer, an error or its deadline. What comes later is ignored."""

    __slots__ = ("error", "expired", "settled", "value")

    def __init__(self) -> None:
        self.settled = Latch()
        self.value: Any = None
        self.error: BaseException | None = None
        self.expired = False

    def answer(self, value: Any) -> None:
        if not self.settled.is_set():
            if isinstance(value, Refusal):
                self.error = value.error
            else:
                self.value = value
            self.settled.set()

    def fail(self, error: BaseException) -> None:
        if not self.settled.is_set():
            self.error = error
            self.settled.set()

    def expire(self) -> None:
        if not self.settled.is_set():
            self.expired = True
            self.settled.set()


@dataclass(frozen=True, slots=True)
class Ask:
    """A user message whose sender waits for what `handle` returns."""

    message: Any
    reply: Reply


@dataclass(frozen=True, slots=True)
class StopRequest(Notice):
    """End in order, with this reason, once all earlier system messages are handled."""

    reason: ExitReason
