"""What happened to a run, as a stream: each state that it entered, with its place in history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID

    from actwright.models.states import State

__all__ = ["RunEvent"]


@dataclass(frozen=True, slots=True)
class RunEvent:
    """A run entered a state.

    Attributes:
        seq: its place in history, rising: `events(since=seq)` goes on after it, also in another process.
        state: as history keeps it: without what the body returned, unless that is kept.
        run_count: how many attempts had begun.
    """

    seq: int
    run_id: UUID
    state: State[Any]
    run_count: int
