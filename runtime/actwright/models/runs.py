"""Flow runs and task runs, as the rest of the world sees them: snapshots that never change."""

from __future__ import annotations

import reprlib
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from actwright.models.states import State, StateType

__all__ = ["FlowRun", "Run", "TaskRun"]


class Run(BaseModel):
    """What flow runs and task runs have in common.

    Attributes:
        id: the run's own; also the name of its actor.
        name: two words, or what `flow_run_name` / `task_run_name` made.
        state: the state that this snapshot shows.
        parameters: name -> value, as the body gets them.
        tags: sorted.
        run_count: how many attempts have begun.
        expected_start_time: when it was to start; for a direct call, when it was called.
        start_time: when its first attempt began, or None.
        end_time: when it became final, or None.
        parent_flow_run_id, parent_task_run_id: the run whose body called it, if one did.
        retry_of: the run that this one does again.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    kind: Literal["flow", "task"]
    id: UUID
    name: str
    state: State[Any]
    parameters: dict[str, Any] = Field(default_factory=dict, repr=False)
    tags: list[str] = Field(default_factory=list)
    run_count: int = 0
    expected_start_time: datetime
    start_time: datetime | None = None
    end_time: datetime | None = None
    parent_flow_run_id: UUID | None = None
    parent_task_run_id: UUID | None = None
    retry_of: UUID | None = None

    @property
    def state_type(self) -> StateType:
        return self.state.type

    @property
    def state_name(self) -> str:
        return self.state.name

    @property
    def parent_id(self) -> UUID | None:
        """The run whose body called this one."""
        return self.parent_task_run_id or self.parent_flow_run_id

    @property
    def duration_seconds(self) -> float | None:
        """From its first attempt's start to its end, or None while it has not ended or if it never started."""
        if self.start_time is None or self.end_time is None:
            return None
        return (self.end_time - self.start_time).total_seconds()

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={_shown(value)}" for name, value in self.parameters.items())
        return f"<{type(self).__name__} {self.name!r} {self.state.name} ({parameters})>"

    __str__ = __repr__


class FlowRun(Run):
    """One run of a flow. `flow_name` names the flow."""

    kind: Literal["flow", "task"] = "flow"
    flow_name: str


class TaskRun(Run):
    """One run of a task. `task_name` names the task; `flow_run_id` is the flow run around it, at any distance."""

    kind: Literal["flow", "task"] = "task"
    task_name: str
    flow_run_id: UUID | None = None


def _shown(value: object) -> str:
    try:
        return reprlib.repr(value)
    except Exception as error:  # a value's own __repr__ must not break a log line
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
