"""A run that waits for a process that serves its flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from actwright.models.commands import Command
    from actwright.models.runs import FlowRun

__all__ = ["DEFAULT_QUEUE", "NOBODY", "Claimed", "Offer", "Submission", "TakesSubmissions", "Waiting"]

DEFAULT_QUEUE: Final = "default"

NOBODY: Final = ""
"""In the place of a node's id: of a run that no process has claimed."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What is wanted.

    Attributes:
        run: in Scheduled; its `entry` says which flow, its `expected_start_time` when.
        parameters: all of its body's arguments, as JSON.
        queue: those who serve this queue may claim it.
        priority: of those that are due, the higher ones are claimed first.
        idempotency_key: a second submission of the same flow with this key gets the first one's run.
        schedule: the name of what submits it by the clock.
        takes_turns: it begins once the earlier runs of its schedule have ended.
        crash_retries: how many processes may die while its body runs, before it ends Crashed.
        is_named: whoever submits it has given the run its name; else its flow may.
        caller_context: where in a trace it is submitted, as `Run.trace_context`.
    """

    run: FlowRun
    parameters: str
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    idempotency_key: str | None = None
    schedule: str | None = None
    takes_turns: bool = False
    crash_retries: int = 0
    is_named: bool = False
    caller_context: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A flow that a process serves.

    Attributes:
        entry: where the flow is found by name, as in `Run.entry`.
        queues: whose submissions it claims.
        limit: how many of its runs may have begun and not ended, in all processes; None: as many as come.
    """

    entry: str
    queues: frozenset[str] = frozenset({DEFAULT_QUEUE})
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A submission that this process has claimed, and nobody else.

    Attributes:
        run: as it is in history: Scheduled, or AwaitingRetry where an earlier process died.
        parameters: name -> value, as JSON has them.
        deaths: how many processes died while its body ran.
        is_named: whoever submitted it gave it its name.
        cancels: that were asked for before it was claimed, and have no answer yet.
        caller_context: where in a trace it was submitted.
    """

    run: FlowRun
    parameters: dict[str, Any]
    deaths: int = 0
    is_named: bool = False
    cancels: tuple[Command, ...] = ()
    caller_context: dict[str, str] | None = None


class TakesSubmissions(Protocol):
    """A flow, and the queues whose submissions of it are taken: an `Offer`, or what a service tells of one."""

    @property
    def entry(self) -> str: ...
    @property
    def queues(self) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """Submissions of one flow to one queue that no process has claimed.

    Attributes:
        due: how many may begin, where there is a place.
        later: how many wait for their time, for an earlier run, or for hooks.
        due_since: since when the first of those that are due is; None where none is.
    """

    entry: str
    queue: str
    due: int
    later: int
    due_since: datetime | None

    def is_for(self, offers: Iterable[TakesSubmissions]) -> bool:
        """Whether one of these offers takes them."""
        return any(self.entry == offer.entry and self.queue in offer.queues for offer in offers)
