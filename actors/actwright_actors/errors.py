"""Everything this library raises by itself.

ActorError
├── ActorDead                   an answer was wanted from an actor that is dead, or died before it answered
├── AlreadySpawned              an actor object is used a second time
├── AskTimeout (TimeoutError)   the answer did not come in time
├── DeadlockDetected            actors wait for each other in a circle
├── LinkBroken                  an actor ends with the one it is linked to; the crash's error, never raised
├── MailboxFull                 a bounded mailbox had no room for a message
├── NameTaken                   another live actor of that system has the name
├── NoSuchChild (LookupError)   a supervisor has no child of that name
├── RestartIntensityExceeded    a supervisor's children died too often; the supervisor crashes with it
├── StashFull                   an actor put aside more messages than its stash holds
├── SystemClosed                the system is not open: not yet, or no longer
└── WrongThread                 a call that only the loop's thread may make came from another one
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actwright_actors.actor import Actor
    from actwright_actors.exit import ExitReason
    from actwright_actors.ref import ActorRef

__all__ = [
    "ActorDead",
    "ActorError",
    "AlreadySpawned",
    "AskTimeout",
    "DeadlockDetected",
    "LinkBroken",
    "MailboxFull",
    "NameTaken",
    "NoSuchChild",
    "RestartIntensityExceeded",
    "StashFull",
    "SystemClosed",
    "WrongThread",
]


def _told(reason: ExitReason) -> str:
    try:
        return str(reason)
    except BaseException:  # of the repr of a user's exception; who waits for an end must hear of it all the same
        return f"{type(reason).__name__} by an exception whose repr raises"


class ActorError(Exception):
    """The root of this library's exceptions."""


class ActorDead(ActorError):
    """`ref` is dead, or died before it answered. `reason` says why; a crash's exception is also the `__cause__`.

    `reason` is None when the actor was stopping or draining, and so refused the request, but had not ended yet.
    """

    def __init__(self, ref: ActorRef[Any], reason: ExitReason | None) -> None:
        why = "it takes no more requests" if reason is None else f"it ended with {_told(reason)}"
        super().__init__(f"Actor {ref.name!r} cannot answer: {why}. Ask a live actor, or handle ActorDead.")
        self.ref = ref
        self.reason = reason
        self.__cause__ = getattr(reason, "error", None)


class AlreadySpawned(ActorError):
    """`actor` has been started once; a second start would have two tasks work on the same state."""

    def __init__(self, actor: Actor[Any]) -> None:
        super().__init__(
            f"This {type(actor).__name__} object has been started before, as {actor.context.name!r}. Make a new one "
            "for each spawn, and have a child spec's factory make a new one for each start."
        )
        self.actor = actor


class AskTimeout(ActorError, TimeoutError):
    """`ref` did not answer within `timeout` seconds. If it began to handle the message, it goes on with it."""

    def __init__(self, ref: ActorRef[Any], message: object, timeout: float, why: str = "") -> None:
        super().__init__(
            f"Actor {ref.name!r} did not answer {type(message).__name__} within {timeout:.6g} s{why}. "
            "Pass a longer timeout= if that is expected."
        )
        self.ref = ref
        self.message = message
        self.timeout = timeout


class DeadlockDetected(ActorError):
    """`cycle` lists actors of which each would wait for the next, the last being the first again."""

    def __init__(self, cycle: Sequence[ActorRef[Any]]) -> None:
        chain = " -> ".join(repr(ref.name) for ref in cycle)
        super().__init__(
            f"Deadlock: {chain}. Each waits in a callback for the next. Have one of them tell and not ask, or ask in "
            "a child task (context.start_soon) and answer with context.defer_reply()."
        )
        self.cycle = tuple(cycle)


class LinkBroken(ActorError):
    """`ref`, to which the actor was linked, ended abnormally; a crash's exception is also the `__cause__`."""

    def __init__(self, ref: ActorRef[Any], reason: ExitReason) -> None:
        super().__init__(f"Actor {ref.name!r}, to which this one is linked, ended with {_told(reason)}.")
        self.ref = ref
        self.reason = reason
        self.__cause__ = getattr(reason, "error", None)


class MailboxFull(ActorError):
    """The mailbox of `ref` holds `capacity` user messages and its policy admits no more."""

    def __init__(self, ref: ActorRef[Any], capacity: int) -> None:
        super().__init__(
            f"The mailbox of actor {ref.name!r} is full ({capacity} messages). With the policy 'wait', "
            "`await ref.send(message)` waits for room; otherwise send less, or raise the capacity."
        )
        self.ref = ref
        self.capacity = capacity


class NameTaken(ActorError):
    """A live actor of the system is called `name` already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"An actor named {name!r} is alive. Choose another name, or wait until it has stopped.")
        self.name = name


class NoSuchChild(ActorError, LookupError):
    """`supervisor` has no child called `name`."""

    def __init__(self, supervisor: str, name: str) -> None:
        super().__init__(f"Supervisor {supervisor!r} has no child {name!r}: it was never started, or is gone for good.")
        self.supervisor = supervisor
        self.name = name


class StashFull(ActorError):
    """The stash of `ref` holds `capacity` messages."""

    def __init__(self, ref: ActorRef[Any], capacity: int) -> None:
        super().__init__(
            f"The stash of actor {ref.name!r} is full ({capacity} messages). Unstash earlier, refuse the message, or "
            "give the actor's class a larger stash_capacity."
        )
        self.ref = ref
        self.capacity = capacity


class SystemClosed(ActorError):
    """The system `name` is not open."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Actor system {name!r} is not open. Use it inside `async with` it, before it begins to stop.")
        self.name = name


class WrongThread(ActorError):
    """`operation` was called outside the thread of the system's loop."""

    def __init__(self, operation: str, advice: str) -> None:
        super().__init__(f"{operation} may only be called in the thread of the system's event loop. {advice}")
        self.operation = operation


class RestartIntensityExceeded(ActorError):
    """Children of `supervisor` died more than `intensity` times within `period` seconds."""

    def __init__(self, supervisor: str, child: str, intensity: int, period: float) -> None:
        super().__init__(
            f"Supervisor {supervisor!r} gave up: with {child!r} its children died more than {intensity} times "
            f"within {period} s. See the cause, or allow more with intensity= and period=."
        )
        self.supervisor = supervisor
        self.child = child
        self.intensity = intensity
        self.period = period
