"""Hook deliveries: one for each transition and each hook that the transition makes due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from typing import Self

__all__ = ["DeliveryStatus", "HookDelivery"]


class DeliveryStatus(StrEnum):
    """Where a delivery stands. DUE and RUNNING are open; the others are its end."""

    DUE = "DUE"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True)
class HookDelivery:
    """One hook's due call for one transition.

    Attributes:
        id: the same at each attempt, so that a hook can make itself idempotent.
        transition_id: the id of the state that was entered.
        run_id: the run that entered it.
        event: which list the hook stands in: "on_failure", ...
        hook_name: for people.
        position: its place among the deliveries of its transition, from 0.
        due_at: when its state was entered; aware, UTC.
        status, attempt: where it stands, and how often it was begun.
        started_at, ended_at: of the last attempt.
        error: of the last failed attempt, in one line.
        replayed: whether another process than the run's own delivers it.
        cuts: how many attempts the death of their process cut short.
        next_at: while it waits to be retried: before that its next attempt does not begin, whichever process makes it.
        untold: None, except for one that failed for good and of which `on_hook_failure` is still to be told: how often
            a death cut that short. It is open until then, so that whoever takes it over tells of it.
    """

    id: UUID
    transition_id: UUID
    run_id: UUID
    event: str
    hook_name: str
    position: int
    due_at: datetime
    status: DeliveryStatus = DeliveryStatus.DUE
    attempt: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    replayed: bool = False
    cuts: int = 0
    next_at: datetime | None = None
    untold: int | None = None

    def changed(self, **fields: Any) -> Self:
        """This one with other values. `dataclasses.replace` does the same, in ten times the time."""
        copy = object.__new__(type(self))
        vars(copy).update(vars(self), **fields)
        return copy

    @property
    def is_open(self) -> bool:
        """Whether something is left to do for it."""
        return self.status in (DeliveryStatus.DUE, DeliveryStatus.RUNNING)

    @property
    def deaths(self) -> int:
        """How many deaths cut short what is to be done for it next: its hook, or telling that this failed."""
        return self.cuts if self.untold is None else self.untold

    def started(self, at: datetime) -> Self:
        """The next attempt begins."""
        return self.changed(
            status=DeliveryStatus.RUNNING, attempt=self.attempt + 1, started_at=at, ended_at=None, next_at=None
        )

    def succeeded(self, at: datetime) -> Self:
        return self.changed(status=DeliveryStatus.SUCCEEDED, ended_at=at, error=None)

    def to_be_retried(self, at: datetime, error: str, next_at: datetime | None = None) -> Self:
        """The attempt failed, and another follows: at once, or not before `next_at`."""
        return self.changed(status=DeliveryStatus.DUE, ended_at=at, error=error, next_at=next_at)

    def waiting_at_most(self, seconds: float, now: datetime) -> Self:
        """It waits for its next attempt for so long from now at most: the time of day may have been set back."""
        if self.next_at is None or (self.next_at - now).total_seconds() <= seconds:
            return self
        return self.changed(next_at=now + timedelta(seconds=seconds))

    def failed(self, at: datetime, error: str) -> Self:
        """The last attempt failed, and nobody is to be told."""
        return self.changed(status=DeliveryStatus.FAILED, ended_at=at, error=error, next_at=None)

    def to_be_told(self, at: datetime, error: str) -> Self:
        """The last attempt failed, which somebody is to be told."""
        return self.changed(status=DeliveryStatus.DUE, ended_at=at, error=error, untold=0)

    def telling(self) -> Self:
        """Somebody is being told that it failed."""
        return self.changed(status=DeliveryStatus.RUNNING)

    def told(self) -> Self:
        """It failed, and who was to be told was."""
        return self.changed(status=DeliveryStatus.FAILED, untold=None)

    def skipped(self, at: datetime, why: str) -> Self:
        return self.changed(status=DeliveryStatus.SKIPPED, ended_at=at, error=why, next_at=None)
