"""What is true of every journal, as pure rules over rows. `checking` reads the rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from actwright.models.deliveries import DeliveryStatus
from actwright.models.states import State, StateType
from actwright.models.transitions import may_follow, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DeliveryRow", "Entry", "Finding", "broken_in_delivery", "broken_in_history"]

_FIRST = ("SCHEDULED", "PENDING")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a journal that cannot be. `subject` is what it was found at: "run 1f0c…"."""

    rule: str
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.detail} ({self.rule})"


@dataclass(frozen=True, slots=True)
class Entry:
    """A state as a row has it: of a run's own row, or of one of its transitions."""

    state_id: str
    type: str
    name: str
    run_count: int

    @property
    def state(self) -> State[Any]:
        return State(type=StateType(self.type), name=self.name)


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery's row, as far as rules go."""

    id: str
    status: str
    attempt: int
    started_at: str | None
    ended_at: str | None
    error: str | None
    next_at: str | None = None
    untold: int | None = None


def broken_in_history(
    run_id: str, current: Entry, ended_at: str | None, transitions: Sequence[Entry]
) -> Iterator[Finding]:
    """A run begins in Scheduled or Pending, goes by the table of transitions, and is in the last state it entered."""
    subject = f"run {run_id}"
    if not transitions:
        yield Finding("a run has a history", subject, f"it is {current.name}, and never entered that state")
        return
    known = {state_type.value for state_type in StateType}
    if unknown := [entry.type for entry in (*transitions, current) if entry.type not in known]:
        yield Finding("states are known", subject, f"no state has the type {unknown[0]!r}")
        return
    if row_of(transitions[0].state) not in _FIRST:
        yield Finding("a run begins in Scheduled or Pending", subject, f"it began in {transitions[0].name}")
    for before, after in pairwise(transitions):
        if not may_follow(before.state, after.state):
            yield Finding("what may follow what", subject, f"{after.name} came after {before.name}")
    if current != transitions[-1]:
        detail = f"it says {current.name}, attempt {current.run_count}; it last entered {transitions[-1].name}, "
        yield Finding("a run is in the state it last entered", subject, f"{detail}attempt {transitions[-1].run_count}")
    if current.state.is_final() != (ended_at is not None):
        detail = f"it is {current.name}, and {'has no end' if ended_at is None else f'ended at {ended_at}'}"
        yield Finding("a run has ended when its state is final", subject, detail)


def broken_in_delivery(row: DeliveryRow) -> Iterator[Finding]:
    """Where a delivery stands agrees with when it was begun and ended."""
    begun = row.started_at is not None and row.attempt > 0
    match row.status:
        case DeliveryStatus.DUE:
            # One that waits for its next attempt keeps the times of its last.
            agrees = begun or (row.started_at is None and row.ended_at is None and row.attempt == 0)
        case DeliveryStatus.RUNNING:
            # Its hook has ended where somebody is being told that it failed.
            agrees = begun and (row.ended_at is None) == (row.untold is None)
        case DeliveryStatus.SUCCEEDED:
            agrees = begun and row.ended_at is not None
        case DeliveryStatus.FAILED:
            agrees = row.ended_at is not None and row.error is not None and row.untold is None
        case DeliveryStatus.SKIPPED:
            agrees = row.ended_at is not None
        case _:
            agrees = False
    if row.next_at is not None:
        agrees &= row.status == DeliveryStatus.DUE and begun and row.untold is None
    if not agrees:
        detail = f"{row.status} in attempt {row.attempt}, started at {row.started_at}, ended at {row.ended_at}"
        yield Finding("a delivery's status agrees with its times", f"delivery {row.id}", detail)
