"""Flow runs and task runs, as the rest of the world sees them: snapshots that never change."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from actwright.models.shortening import shorten
from actwright.models.states import State, StateType

if TYPE_CHECKING:
    from typing import Self

__all__ = ["FlowRun", "Run", "TaskRun"]


class Run(BaseModel):
    """What flow runs and task runs have in common.

    Attributes:
        id: the run's own.
        name: two words, or what `flow_run_name` / `task_run_name` made.
        state: the state that this snapshot shows.
        parameters: name -> value, as the body gets them.
        tags: sorted.
        run_count: how many attempts have begun.
        expected_start_time: when it was to start; for a direct call, when it was called.
        start_time: when its first attempt began, or None.
        end_time: when it became final, or None.
        parent_flow_run_id, parent_task_run_id: the run whose body called it, if one did.
        retry_of: the run that this one tries again, if somebody asked for that (`actwright runs retry`).
        entry: where its flow or task is found by name, "module:qualname" or "/the/script.py:qualname"; None where it
            has no such name.
        trace_context: its OpenTelemetry span, as names and values by which another process goes on below it; None where
            nobody listened.
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
    entry: str | None = Field(default=None, repr=False)
    trace_context: dict[str, str] | None = Field(default=None, repr=False)

    @property
    def title(self) -> str:
        """For logs and errors: Flow run 'brave-otter'."""
        return f"{self.kind.capitalize()} run {self.name!r}"

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

    def entered(self, state: State[Any]) -> Self:
        """This run once it has entered `state`: its attempt is counted, its start or end noted."""
        changes: dict[str, Any] = {"state": state}
        if state.is_running():
            changes |= {"run_count": self.run_count + 1, "start_time": self.start_time or state.timestamp}
        elif state.is_final():
            changes["end_time"] = state.timestamp
        return self.model_copy(update=changes)

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={shorten(value, 60)}" for name, value in self.parameters.items())
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
