"""How a service is, at one moment: what it tells of itself."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

__all__ = ["Health", "OfferedFlow", "Phase", "Takeover"]


class Phase(StrEnum):
    """Where a service is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    FAILED = "failed"


class Takeover(StrEnum):
    """When the hooks of a process run that was killed.

    AT_ONCE: its understudy outlives it. AT_NEXT_START: it dies too, as in a container, or there is none: so when a
    program next opens the journal, or another service there looks for the dead.
    """

    AT_ONCE = "at once"
    AT_NEXT_START = "at next start"


class OfferedFlow(BaseModel):
    """A flow whose submissions are taken, and from which queues."""

    model_config = ConfigDict(frozen=True)

    entry: str
    queues: tuple[str, ...]


class Health(BaseModel):
    """A service at one moment.

    Attributes:
        phase: where it is in its life.
        trouble: what keeps it from doing its work, in words; empty where nothing does.
        at: when that was; since: when it was opened.
        serves: what, for people: "flow 'report'", "actor 'mail room'".
        offers: the flows that are run here when they are submitted.
        claimed: submitted runs that were claimed here and have not ended; limit: how many may be, None for no limit.
        waiting: submissions for it that are due and wait for a place; None before it has looked.
        waiting_seconds: for how long the first of them has been due.
        open_runs: runs of flows and tasks that have not ended.
        due_hooks: hooks that are due or running.
        ended_runs, ended_hooks: how many have ended so far: by kind and type of state ("flow COMPLETED"), by event and
            status ("on_failure SUCCEEDED").
        restarts: how often something of what is served was started again.
        loop_lag_seconds: the longest that the event loop kept a timer waiting, in the last minute.
        journal_lag_seconds: the longest that a commit took, in the last minute; one that is still under way counts.
        takeover: when its hooks run if it is killed.
    """

    model_config = ConfigDict(frozen=True)

    phase: Phase
    trouble: tuple[str, ...] = ()
    at: AwareDatetime
    since: AwareDatetime
    serves: tuple[str, ...] = ()
    offers: tuple[OfferedFlow, ...] = ()
    claimed: int = 0
    limit: int | None = None
    waiting: int | None = None
    waiting_seconds: float = 0.0
    open_runs: int = 0
    due_hooks: int = 0
    ended_runs: dict[str, int] = Field(default_factory=dict)
    ended_hooks: dict[str, int] = Field(default_factory=dict)
    restarts: int = 0
    loop_lag_seconds: float = 0.0
    journal_lag_seconds: float = 0.0
    takeover: Takeover = Takeover.AT_ONCE

    @property
    def is_ready(self) -> bool:
        """Whether it takes work."""
        return self.phase is Phase.SERVING and not self.trouble
