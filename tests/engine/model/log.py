"""What happened in a history, in one order: what was written to the journal, and what bodies and hooks say they did."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from actwright import State
from actwright.journal.memory import MemoryJournal
from actwright.journal.protocol import DeliveryChanged, Record, Transition
from actwright.models.deliveries import HookDelivery
from actwright.models.runs import FlowRun, TaskRun

if TYPE_CHECKING:
    from actwright.engine.live_run import LiveRun

__all__ = [
    "Asked",
    "Awaited",
    "BodyBegan",
    "BodyEnded",
    "Changed",
    "Entered",
    "Event",
    "HookBegan",
    "HookEnded",
    "Intervened",
    "Log",
    "LoggedJournal",
    "Noted",
    "Received",
    "Sent",
    "Told",
    "node_name",
]


@dataclass(frozen=True, slots=True)
class Entered:
    """A run entered `run.state`, which made `deliveries` due."""

    run: FlowRun | TaskRun
    deliveries: tuple[HookDelivery, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Changed:
    """Where a delivery stands."""

    delivery: HookDelivery
    at: float


@dataclass(frozen=True, slots=True)
class BodyBegan:
    """The script of this attempt began."""

    run_id: UUID
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class BodyEnded:
    """It ended: `how` is "returned", the name of a state that it returned, "raised" for an error, or "cut" for what is
    none: an exit, a cancellation. `returned` are the runs whose futures it returned."""

    run_id: UUID
    attempt: int
    how: str
    at: float
    returned: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class HookBegan:
    """A hook was called."""

    delivery_id: UUID
    attempt: int
    state: State[Any]
    at: float


@dataclass(frozen=True, slots=True)
class HookEnded:
    """It ended: by returning, or by raising what `how` names."""

    delivery_id: UUID
    attempt: int
    how: str
    at: float


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asked for a run to be cancelled, and got this answer: None for accepted, else the state it was in."""

    run_id: UUID
    answer: str | None


@dataclass(frozen=True, slots=True)
class Intervened:
    """Something was done from outside, when all was at rest: to a run ("cancel", "kill", "crash"), or to all of them
    ("close", "kill hooks", "kill runs")."""

    what: str
    at: float
    run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Whoever waited for a run was given this state as its end."""

    state_id: UUID


@dataclass(frozen=True, slots=True)
class Noted:
    """What an action did, for who reads of a failure."""

    text: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A message was put into a run's mailbox."""

    run_id: UUID
    number: int


@dataclass(frozen=True, slots=True)
class Awaited:
    """The body of a run asks for the next message."""

    run_id: UUID


@dataclass(frozen=True, slots=True)
class Received:
    """It asks no more: it has one, or has had enough of waiting (None)."""

    run_id: UUID
    number: int | None


Event: TypeAlias = (
    Entered
    | Changed
    | BodyBegan
    | BodyEnded
    | HookBegan
    | HookEnded
    | Asked
    | Intervened
    | Told
    | Noted
    | Sent
    | Awaited
    | Received
)


class Log:
    """All that happened. Any thread may add to it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.events: list[Event] = []
        self.labels: dict[UUID, str] = {}
        """Of each run: its node's name, and which run of that it is."""
        self._begun: set[tuple[UUID, int]] = set()
        self._lock = threading.Lock()

    def add(self, event: Event) -> None:
        with self._lock:
            self.events.append(event)
            if isinstance(event, BodyBegan):
                self._begun.add((event.run_id, event.attempt))

    def name(self, run: FlowRun | TaskRun) -> str:
        """The label of a run; the first time that it is asked for, a new one."""
        with self._lock:
            if run.id not in self.labels:
                node = node_name(run)
                number = sum(label.partition("#")[0] == node for label in self.labels.values()) + 1
                self.labels[run.id] = f"{node}#{number}"
            return self.labels[run.id]

    def has_begun(self, run: LiveRun) -> bool:
        """Whether the script of the attempt that a run is in has begun."""
        return (run.snapshot.id, run.snapshot.run_count) in self._begun

    def story(self) -> Iterator[str]:
        """What happened, in lines to read."""
        hooks: dict[UUID, str] = {}
        for event in self.events:
            match event:
                case Noted(text):
                    yield f"> {text}"
                case Entered(run, deliveries):
                    hooks |= {one.id: f"{one.hook_name!r} of {self.labels[run.id]}" for one in deliveries}
                    due = f", due: {', '.join(repr(one.hook_name) for one in deliveries)}" if deliveries else ""
                    yield f"{event.at:g} s  {self.labels[run.id]} enters {run.state.name}{due}"
                case Changed(delivery):
                    told = f": {delivery.error}" if delivery.error else ""
                    yield f"{event.at:g} s  {hooks[delivery.id]} is {delivery.status}, try {delivery.attempt}{told}"
                case BodyBegan(run_id, attempt):
                    yield f"{event.at:g} s  {self.labels[run_id]} plays attempt {attempt}"
                case BodyEnded(run_id, attempt, how):
                    yield f"{event.at:g} s  {self.labels[run_id]} played attempt {attempt}: {how}"
                case HookBegan(delivery_id, attempt) | HookEnded(delivery_id, attempt):
                    ended = event.how if isinstance(event, HookEnded) else "called"
                    yield f"{event.at:g} s  {hooks[delivery_id]}, try {attempt}: {ended}"
                case Asked(run_id, answer):
                    yield f"a cancel of {self.labels[run_id]} is {f'refused: {answer}' if answer else 'accepted'}"
                case Sent(run_id, number):
                    yield f"message {number} is sent to {self.labels[run_id]}"
                case Received(run_id, number):
                    yield f"{self.labels[run_id]} has received {number}"
                case _:
                    pass


def node_name(run: FlowRun | TaskRun) -> str:
    """Of which node this is a run."""
    return run.flow_name if isinstance(run, FlowRun) else run.task_name


class LoggedJournal(MemoryJournal):
    """A journal in memory that tells a log what is written to it."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def append(self, *records: Record, committed: Callable[[], object] | None = None) -> None:
        for record in records:
            match record:
                case Transition(run=run, deliveries=deliveries):
                    self._log.name(run)
                    self._log.add(Entered(run, deliveries, self._log.now()))
                case DeliveryChanged(delivery):
                    self._log.add(Changed(delivery, self._log.now()))
                case _:
                    pass
        super().append(*records, committed=committed)
