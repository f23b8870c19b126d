"""An answer that a test may have to wait for."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from actwright_actors._messages import Reply
from actwright_actors.ref import ActorRef

__all__ = ["PendingAnswer"]

R_co = TypeVar("R_co", covariant=True)


class PendingAnswer(Generic[R_co]):
    """The answer to what a test has asked an actor, now or later."""

    def __init__(self, ref: ActorRef[Any], message: Any, reply: Reply) -> None:
        self._ref = ref
        self._message = message
        self._reply = reply

    @property
    def done(self) -> bool:
        """Whether it has come, be it an error."""
        return self._reply.outcome != "none"

    def result(self) -> R_co:
        """The answer. Raises the error of a Refusal, ActorDead if the actor ended without an answer, and
        AssertionError if there is none yet."""
        if not self.done:
            raise AssertionError(
                f"Actor {self._ref.name!r} has not answered {self._message!r} yet: it has deferred the answer, or "
                "stashed the message. Ask with `ask_deferred`, and look at `result()` when it should be there."
            )
        if self._reply.error is not None:
            raise self._reply.error
        answer: R_co = self._reply.value
        return answer
