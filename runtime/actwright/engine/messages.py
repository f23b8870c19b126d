"""What is said to a run's actor: commands in the imperative, facts in the past tense.

Everything that changes a run is one of these, in the system lane of its mailbox, first in first out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future

    from actwright.engine.live_run import LiveRun
    from actwright.models.outcomes import Outcome
    from actwright.models.states import State

__all__ = [
    "Admitted",
    "AwaitedEnded",
    "Begin",
    "BodyEnded",
    "Cancel",
    "ChildrenEnded",
    "CommitIsLate",
    "Committed",
    "Crash",
    "GracePassed",
    "HooksDone",
    "RetryDecided",
    "RetryDelayPassed",
    "RoomInJournal",
    "RunMessage",
    "TimeoutPassed",
]


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message of every run."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop the work of `run`. `answer` is done when Cancelling is committed, or gets RunIsFinal.

    Attributes:
        names_origin: the reason tells where it began, which is further up: it is passed on as it is. With the name of
            each run on the way, those of a thousand would be as long as a book.
        is_cut: its Runtime closes, and has waited for it for as long as it was to.
    """

    reason: str | None = None
    answer: Future[None] | None = None
    run: LiveRun | None = None
    names_origin: bool = False
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Crash:
    """Something ended the run from outside of its body: a signal, a death, a bug of ours."""

    error: BaseException
    message: str | None = None


@dataclass(frozen=True, slots=True)
class RoomInJournal:
    """The journal has room for what the run will add to it."""


@dataclass(frozen=True, slots=True)
class AwaitedEnded:
    """The futures that the run waits for are done: those in its arguments, or those that its body returned."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The run has a slot of each limited tag of its own; or never will, for that error."""

    claim_id: str
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """The transition into this state is committed."""

    state: State[Any]


@dataclass(frozen=True, slots=True)
class CommitIsLate:
    """The commit of this state takes so long that whoever waits for it goes on without it."""

    state: State[Any]


@dataclass(frozen=True, slots=True)
class HooksDone:
    """Of the hooks that this state made due, those that were released and that the run waits for are done."""

    state: State[Any]


@dataclass(frozen=True, slots=True)
class BodyEnded:
    """An attempt of the body ended."""

    attempt: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class TimeoutPassed:
    """An attempt has taken `timeout_seconds`."""

    attempt: int


@dataclass(frozen=True, slots=True)
class GracePassed:
    """A body that was told to stop has had `cancel_grace_seconds` to do so."""

    attempt: int


@dataclass(frozen=True, slots=True)
class RetryDecided:
    """`retry_condition_fn` has answered."""

    again: bool


@dataclass(frozen=True, slots=True)
class RetryDelayPassed:
    """The delay before the next attempt is over."""


@dataclass(frozen=True, slots=True)
class ChildrenEnded:
    """No body is at work, and of the runs that it started the last one is done."""


RunMessage = (
    Begin
    | Cancel
    | Crash
    | RoomInJournal
    | AwaitedEnded
    | Admitted
    | Committed
    | CommitIsLate
    | HooksDone
    | BodyEnded
    | TimeoutPassed
    | GracePassed
    | RetryDecided
    | RetryDelayPassed
    | ChildrenEnded
)
