"""What takes the place of a flow or task that cannot be loaded: hooks may ask it who it is, and not run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actwright.authoring.entry import Call
from actwright.authoring.flows import Flow
from actwright.authoring.registration import RegisteredSubject
from actwright.authoring.runnable import Runnable
from actwright.authoring.stored import StoredObject
from actwright.authoring.tasks import Task
from actwright.models.runs import FlowRun, TaskRun
from actwright.replay.loading import NotLoadable

__all__ = ["StandInFlow", "StandInTask", "stand_in", "stand_in_for"]


class _StandIn(Runnable[..., Any]):
    """Has the name and the options of another; each call raises what stood in the way of loading that."""

    why: NotLoadable

    def prepare(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        raise NotLoadable(self.why.name, self.why.failures) from self.why


class StandInFlow(_StandIn, Flow[..., Any]):
    """In the place of a flow."""


class StandInTask(_StandIn, Task[..., Any]):
    """In the place of a task."""


def stand_in_for(run: FlowRun | TaskRun) -> Flow[..., Any] | Task[..., Any]:
    """In the place of what a run is of, where nobody needs more than its name."""
    why = NotLoadable(run.title, ["only its run is known here"])
    name = run.flow_name if isinstance(run, FlowRun) else run.task_name
    return stand_in(RegisteredSubject(run.kind, name, StoredObject(name), {}), why)


def stand_in(subject: RegisteredSubject, why: NotLoadable) -> Flow[..., Any] | Task[..., Any]:
    """A flow or task of that name and those options. Calling, submitting or mapping it raises `NotLoadable`."""

    def not_loaded(*args: Any, **kwargs: Any) -> Any:
        raise NotLoadable(why.name, why.failures) from why

    kind = StandInFlow if subject.kind == "flow" else StandInTask
    made = kind(not_loaded, name=subject.name, **subject.options)
    made.why = why
    return made
