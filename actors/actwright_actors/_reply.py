"""The way back of an `ask`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actwright_actors._latch import Latch
from actwright_actors.exit import ExitReason

__all__ = ["Ask", "Refusal", "Reply", "StopRequest"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What `handle` returns to have the asker get an error, and yet live on: `ask` raises `error`."""

    error: Exception


class Reply:
    """Settled once: by an answer, by an error, or by its deadline. Whatever comes later is ignored."""

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
class StopRequest:
    """End in order, with this reason, once all earlier system messages are handled."""

    reason: ExitReason
