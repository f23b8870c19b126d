"""Where am I? The run around the code that asks, by attributes: `from actwright import runtime`.

    runtime.flow_run.id        runtime.task_run.name        runtime.flow.name        runtime.hook.attempt

`flow_run` is the flow run around the code, at any distance; `task_run` the task run whose body it is. Outside of runs
they have empty values: None, an empty list or dict, 0. In a hook they tell of the run that the hook is for. The
names are those that users of Prefect know from `prefect.runtime`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actwright.authoring.context import current
from actwright.authoring.interrupts import no_interrupt, note_told
from actwright.models.runs import FlowRun, TaskRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from actwright.authoring.context import ActiveRun
    from actwright.models.deliveries import HookDelivery
    from actwright.models.runs import Run

__all__ = ["cancel_requested", "flow", "flow_run", "hook", "no_interrupt", "raise_if_cancelled", "task_run"]


def cancel_requested() -> bool:
    """Whether the body that asks was told to stop: its run was cancelled, timed out, or crashed. For a plain body, in a
    loop under `no_interrupt` say, to stop where it likes: one that has heard that it is to end is interrupted no more.
    False in hooks and outside of runs."""
    context = current()
    if context is None or not context.run.is_stopped(context):
        return False
    note_told(context)
    return True


def raise_if_cancelled() -> None:
    """The same, as an exception that ends the body.

    Raises:
        CancelledRun: the body that asks was told to stop.
    """
    context = current()
    if context is not None:
        context.run.raise_if_stopped(context)


def _flow() -> ActiveRun | None:
    context = current()
    return context.run.flow if context else None


def _flow_run() -> FlowRun | None:
    flow = _flow()
    return flow.snapshot if flow and isinstance(flow.snapshot, FlowRun) else None


def _task_run() -> TaskRun | None:
    context = current()
    return context.run.snapshot if context and isinstance(context.run.snapshot, TaskRun) else None


class _RunAttributes:
    """What flow runs and task runs both tell."""

    def __init__(self, find: Callable[[], Run | None]) -> None:
        self._run = find

    @property
    def id(self) -> UUID | None:
        """The run's id."""
        run = self._run()
        return run.id if run else None

    @property
    def name(self) -> str | None:
        """The run's name."""
        run = self._run()
        return run.name if run else None

    @property
    def tags(self) -> list[str]:
        """The run's tags, sorted."""
        run = self._run()
        return list(run.tags) if run else []

    @property
    def parameters(self) -> dict[str, Any]:
        """Name -> value, as the body gets them."""
        run = self._run()
        return dict(run.parameters) if run else {}

    @property
    def run_count(self) -> int:
        """How many attempts have begun."""
        run = self._run()
        return run.run_count if run else 0

    @property
    def start_time(self) -> datetime | None:
        """When the first attempt began."""
        run = self._run()
        return run.start_time if run else None

    @property
    def expected_start_time(self) -> datetime | None:
        """When it was to start; for a direct call, when it was called."""
        run = self._run()
        return run.expected_start_time if run else None

    scheduled_start_time = expected_start_time

    @property
    def state_name(self) -> str | None:
        """The name of the state that it is in."""
        run = self._run()
        return run.state.name if run else None

    @property
    def parent_flow_run_id(self) -> UUID | None:
        """The flow run whose body called it."""
        run = self._run()
        return run.parent_flow_run_id if run else None

    @property
    def parent_task_run_id(self) -> UUID | None:
        """The task run whose body called it."""
        run = self._run()
        return run.parent_task_run_id if run else None


class _FlowRunAttributes(_RunAttributes):
    @property
    def flow_name(self) -> str | None:
        """The name of the flow."""
        run = _flow_run()
        return run.flow_name if run else None

    @property
    def flow_version(self) -> str | None:
        """The version of the flow."""
        return flow.version

    @property
    def root_flow_run_id(self) -> UUID | None:
        """The flow run around all others: this one itself, where it is nobody's subflow."""
        run = _flow()
        while run and run.parent and run.parent.flow:
            run = run.parent.flow
        return run.snapshot.id if run else None


class _TaskRunAttributes(_RunAttributes):
    @property
    def task_name(self) -> str | None:
        """The name of the task."""
        run = _task_run()
        return run.task_name if run else None

    @property
    def flow_run_id(self) -> UUID | None:
        """The flow run around it, at any distance."""
        run = _task_run()
        return run.flow_run_id if run else None


class _FlowAttributes:
    """The flow that `flow_run` is a run of."""

    @property
    def name(self) -> str | None:
        flow = _flow()
        return flow.subject.name if flow else None

    @property
    def version(self) -> str | None:
        flow = _flow()
        return flow.subject.version if flow else None

    @property
    def description(self) -> str | None:
        flow = _flow()
        return flow.subject.description if flow else None


class _HookAttributes:
    """The delivery that the hook at work is; empty outside of hooks."""

    def _delivery(self) -> HookDelivery | None:
        context = current()
        return context.delivery if context else None

    @property
    def name(self) -> str | None:
        """The name of the hook."""
        delivery = self._delivery()
        return delivery.hook_name if delivery else None

    @property
    def event(self) -> str | None:
        """Which list it stands in: "on_failure", ...; one function may stand in several."""
        delivery = self._delivery()
        return delivery.event if delivery else None

    @property
    def delivery_id(self) -> UUID | None:
        """The same at each attempt: what an idempotent hook remembers."""
        delivery = self._delivery()
        return delivery.id if delivery else None

    @property
    def attempt(self) -> int:
        """How often it was begun, this time included."""
        delivery = self._delivery()
        return delivery.attempt if delivery else 0

    @property
    def replayed(self) -> bool:
        """Whether another process than the run's own delivers it."""
        delivery = self._delivery()
        return delivery is not None and delivery.replayed

    @property
    def due_at(self) -> datetime | None:
        """When its state was entered."""
        delivery = self._delivery()
        return delivery.due_at if delivery else None


flow_run = _FlowRunAttributes(_flow_run)
task_run = _TaskRunAttributes(_task_run)
flow = _FlowAttributes()
hook = _HookAttributes()
