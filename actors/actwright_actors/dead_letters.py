"""Messages that nobody will handle, and what a system does with them by default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from actwright_actors._log import logger

if TYPE_CHECKING:
    from actwright_actors.ref import ActorRef

__all__ = ["DeadLetter", "DeadLetterHandler", "DeadLetterReason", "log_dead_letter"]


class DeadLetterReason(StrEnum):
    """Why a message was not handled."""

    DEAD = "the actor was dead"
    DRAINING = "the actor was draining"
    UNHANDLED = "the actor ended before it came to this message"
    DROPPED_OLDEST = "the mailbox was full and dropped its oldest message"
    DROPPED_NEWEST = "the mailbox was full and dropped the new message"
    EXPIRED = "its deadline passed before the actor came to it"
    REJECTED = "the mailbox refused it, and the sender could not be told"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`message`, sent to `target`, was not handled and never will be."""

    message: Any
    target: ActorRef[Any]
    reason: DeadLetterReason


DeadLetterHandler = Callable[[DeadLetter], object]


def log_dead_letter(letter: DeadLetter) -> None:
    """The default: a line for the logger `actwright_actors`, at level debug."""
    logger.debug("Dead letter for actor %r: %r (%s).", letter.target.name, letter.message, letter.reason)
