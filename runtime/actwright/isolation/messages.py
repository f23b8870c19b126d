"""What a process with a body and the process of its Runtime say to each other.

The Runtime's side speaks first: `Setup`, then `Work`. After that the body's side asks (each `Ask` gets an `Answer`), or
tells (`Kept`, `Logged`, `Watch`, `Waits`, ...); the last thing that it says is `BodyOver`.

Each message is pickled plainly, and so arrives whatever it carries. What is of the program's own is in it as bytes,
which `Crossing` has made.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from uuid import UUID

    from actwright.authoring.entry import Call
    from actwright.authoring.runnable import Runnable
    from actwright.models.runs import FlowRun, TaskRun
    from actwright_actors.backends import BackendName

__all__ = [
    "Answer", "Around", "Ask", "BodyOver", "CancelRun", "ClaimMessage", "Ended", "EndedHow", "EventsOf", "Forget",
    "Kept", "Launch", "Logged", "LookAt", "MessageCame", "MessagesAfter", "Outside", "SendTo", "Setup", "StartTimer",
    "Stop", "StopTimer", "Stored", "TimePassed", "Variables", "Waits", "WaitsNoMore", "Watch", "WatchMailbox", "Why",
    "Work",
]  # fmt: skip

Variables = list[tuple[ContextVar[Any], Any]]
"""Context variables, and what each is set to."""

EndedHow = Literal["returned", "raised", "crashed", "stopped"]


# To the body's process


@dataclass(frozen=True, slots=True)
class Setup:
    """What comes before anything of the program is loaded. Of plain types: anybody can unpickle it.

    Attributes:
        argv, sys_path: as the program has them.
        backend: what runs the event loop of the Runtime, for an async body.
        claim: the file whose lock tells others of this process; None where nobody would look for it.
        levels: name -> level of the loggers for which the program has set one; "" is the root's.
    """

    argv: tuple[str, ...]
    sys_path: tuple[str, ...]
    backend: BackendName
    claim: str | None
    levels: dict[str, int]


@dataclass(frozen=True, slots=True)
class Work:
    """The body, and what it can see. The second message, as `Crossing` made it.

    Attributes:
        subject: the flow or task.
        args, kwargs: what its function is called with.
        snapshot: the run as it is now.
        attempt: which attempt of its body this is.
        logs_prints: whether `print` in it goes to the run's log.
        variables: its caller's context variables, as far as they can be pickled.
    """

    subject: Runnable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    snapshot: FlowRun | TaskRun
    attempt: int
    logs_prints: bool
    variables: Variables


@dataclass(frozen=True, slots=True)
class Answer:
    """To an `Ask`: a value; or the exception that it raised."""

    number: int
    value: bytes
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that was asked to be watched is done: its final state; or the exception for which nobody will know that."""

    run_id: UUID
    value: bytes
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """SIGTERM was sent. It may have come in a moment in which nobody noticed."""


@dataclass(frozen=True, slots=True)
class MessageCame:
    """Something was sent to the run."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Of a timer that the body's side has started."""

    number: int


# From the body's process


@dataclass(frozen=True, slots=True)
class Ask:
    """Something that is answered, by the number: one of the requests below."""

    number: int
    request: bytes


@dataclass(frozen=True, slots=True)
class Launch:
    """Start a run that the body called. Answered with its first snapshot.

    Attributes:
        variables: the context variables that are not as in `Work`.
        trace_context: where in a trace it is called, as `Run.trace_context`.
    """

    call: Call
    variables: Variables
    trace_context: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Cancel a run that the body knows by a future. Answered when that is committed, as by `Handle.cancel`."""

    run_id: UUID
    reason: str | None


@dataclass(frozen=True, slots=True)
class SendTo:
    """Send a message to a run that the body knows by a future. Answered as `Handle.send`."""

    run_id: UUID
    message: Any


@dataclass(frozen=True, slots=True)
class EventsOf:
    """Answered with the states that such a run has entered after that place in history."""

    run_id: UUID
    since: int


@dataclass(frozen=True, slots=True)
class MessagesAfter:
    """Answered with the number to ask from next, and what was sent to the run since, each with its own, and sealed."""

    number: int


@dataclass(frozen=True, slots=True)
class ClaimMessage:
    """Answered with whether the message of that number was there, and is the asker's now."""

    number: int


@dataclass(frozen=True, slots=True)
class WatchMailbox:
    """Say from now on when something is sent to the run: `MessageCame`."""


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Say `TimePassed` once so many seconds have passed, by the Runtime's clock."""

    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Nobody waits for that any more."""

    number: int


@dataclass(frozen=True, slots=True)
class LookAt:
    """Answered with the snapshot, now, of a run that the body knows by a future."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class Around:
    """Answered with an `Outside`: of the run `distance` calls above the body's."""

    distance: int


@dataclass(frozen=True, slots=True)
class Outside:
    """A run around the body's, and what a body may ask of its flow or task."""

    snapshot: FlowRun | TaskRun
    name: str
    version: str | None
    description: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """Call a method of where variables and blocks are kept. Answered with what it returns."""

    method: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Why:
    """Answered with the reason for which the body was told to stop."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Say when that run is done: `Ended`."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class Forget:
    """Nobody in the body can ask for that run any more."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class Kept:
    """A line of the run's log, to be kept with its history."""

    level: int
    logger: str
    message: str
    fields: str | None


@dataclass(frozen=True, slots=True)
class Logged:
    """The attributes of a record of `logging`, with its message formatted."""

    attributes: bytes


@dataclass(frozen=True, slots=True)
class Waits:
    """A thread of the body waits for a run from here on: the place that the body takes is free meanwhile."""


@dataclass(frozen=True, slots=True)
class WaitsNoMore:
    """That wait is over."""


@dataclass(frozen=True, slots=True)
class BodyOver:
    """How the body ended.

    Attributes:
        how: it returned; it raised; it was cut short by an exception that is no `Exception`; it was stopped.
        value: what it returned or raised; None for an exception that cannot be pickled.
        said: of an exception, its type and message.
        why: of one that cannot be pickled, why.
        traceback: where it was raised.
    """

    how: EndedHow
    value: bytes | None = None
    said: str = ""
    why: str = ""
    traceback: str = ""
