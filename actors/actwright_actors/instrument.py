"""What a tracer or a meter implements to hear of all that actors do. After trio's Instrument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actwright_actors.dead_letters import DeadLetter
    from actwright_actors.exit import ExitReason
    from actwright_actors.ref import ActorRef

__all__ = ["Instrument"]


class Instrument:
    """Base of what `ActorSystem(instrument=...)` takes: override what is of interest.

    Every method is called in the loop's thread, at once, and must not block. A method that raises is logged, and the
    instrument is then taken out, so that what it measures does not suffer from it. A system without an instrument
    pays nothing for this.
    """

    def actor_started(self, ref: ActorRef[Any]) -> None:
        """The `on_start` of an incarnation has returned."""

    def actor_restarted(self, ref: ActorRef[Any], reason: ExitReason, restarts: int) -> None:
        """A supervisor is about to start the actor, which ended for `reason`, for the `restarts`-th time after the
        first."""

    def actor_ended(self, ref: ActorRef[Any], reason: ExitReason) -> None:
        """The actor is dead for good; its watchers are told next."""

    def message_handled(self, ref: ActorRef[Any], message: Any, seconds: float) -> None:
        """`handle` has returned for `message`, after `seconds` (by `time.perf_counter`). Not called after a crash."""

    def dead_letter(self, letter: DeadLetter) -> None:
        """A message was not handled, and never will be."""
