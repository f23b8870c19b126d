"""A run of a schedule is due while an earlier one has not ended. Pure: who still goes on is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

if TYPE_CHECKING:
    from actwright.serving.schedules import Schedule

__all__ = ["OpenRun", "Skip", "Submit", "Verdict", "meet"]


@dataclass(frozen=True, slots=True)
class OpenRun:
    """An earlier run of the schedule that is not final.

    Attributes:
        begun: its body has begun. One that waits (for its due time, or in a queue) has not.
    """

    id: UUID
    begun: bool


@dataclass(frozen=True, slots=True)
class Submit:
    """The new run is submitted.

    Attributes:
        after: it begins once these are final; empty: when it is due.
        cancel: these are cancelled first.
    """

    after: tuple[UUID, ...] = ()
    cancel: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """The new run does not take place; its time is settled, and must be written down as such.

    Attributes:
        reason: for people.
    """

    reason: str


Verdict: TypeAlias = Submit | Skip


def meet(schedule: Schedule, open_runs: Sequence[OpenRun]) -> Verdict:
    """What becomes of a time of the schedule, given its earlier runs that are not final.

    Of several times that are due at once each is asked about in turn, with those before it among `open_runs`.
    """
    ids = tuple(run.id for run in open_runs)
    if not ids or schedule.overlap == "allow":
        return Submit()
    if schedule.overlap == "cancel":
        return Submit(after=ids, cancel=ids)
    if schedule.overlap == "skip":
        return Skip(f"run {ids[-1]} of schedule {schedule.name!r} has not ended")
    waiting = sum(not run.begun for run in open_runs)
    if waiting >= schedule.queue_limit:
        return Skip(
            f"{waiting} runs of schedule {schedule.name!r} wait already, and its queue_limit is {schedule.queue_limit}"
        )
    return Submit(after=ids)
