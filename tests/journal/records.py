"""Records of every kind that the models allow, for properties, and runs made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st

from actwright.journal.protocol import DeliveryChanged, Record, Transition
from actwright.models.deliveries import DeliveryStatus, HookDelivery
from actwright.models.runs import FlowRun, TaskRun
from actwright.models.states import Completed, Pending, Running, State, StateType

__all__ = ["NOW", "any_delivery", "any_run", "any_state", "delivery_for", "histories", "new_run", "steps"]

NOW = datetime(2026, 1, 1, tzinfo=UTC)

ids = st.builds(uuid4)
texts = st.text(st.characters(exclude_categories=()), max_size=20)  # surrogates and NUL among them
times = st.datetimes(
    datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3))])
)


@st.composite
def any_state(draw: st.DrawFn) -> State[Any]:
    return State(
        type=draw(st.sampled_from(StateType)),
        name=draw(st.sampled_from(["", "AwaitingRetry", "TimedOut"]) | texts),
        message=draw(st.none() | texts),
        timestamp=draw(times),
    )


parameters = st.dictionaries(
    st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
)


@st.composite
def any_run(draw: st.DrawFn) -> FlowRun | TaskRun:
    fields: dict[str, Any] = {
        "id": draw(ids), "name": draw(texts), "state": draw(any_state()), "parameters": draw(parameters),
        "tags": draw(st.lists(texts, max_size=3)), "run_count": draw(st.integers(0, 2**31)),
        "expected_start_time": draw(times), "start_time": draw(st.none() | times), "end_time": draw(st.none() | times),
        "parent_flow_run_id": draw(st.none() | ids), "parent_task_run_id": draw(st.none() | ids),
        "retry_of": draw(st.none() | ids), "entry": draw(st.none() | texts),
        "trace_context": draw(st.none() | st.dictionaries(texts, texts, max_size=2)),
    }  # fmt: skip
    if draw(st.booleans()):
        return FlowRun(flow_name=draw(texts), **fields)
    return TaskRun(task_name=draw(texts), flow_run_id=draw(st.none() | ids), **fields)


@st.composite
def any_delivery(draw: st.DrawFn) -> HookDelivery:
    return HookDelivery(
        id=draw(ids), transition_id=draw(ids), run_id=draw(ids), event=draw(st.sampled_from(["on_end", "on_failure"])),
        hook_name=draw(texts), position=draw(st.integers(0, 99)), due_at=draw(times),
        status=draw(st.sampled_from(DeliveryStatus)), attempt=draw(st.integers(0, 99)),
        started_at=draw(st.none() | times), ended_at=draw(st.none() | times), error=draw(st.none() | texts),
        replayed=draw(st.booleans()), cuts=draw(st.integers(0, 9)),
        next_at=draw(st.none() | times), untold=draw(st.none() | st.integers(0, 9)),
    )  # fmt: skip


def new_run(state: State[Any] | None = None, **fields: Any) -> FlowRun:
    """A run as it comes to be."""
    first = state or Pending(timestamp=NOW)
    given: dict[str, Any] = {"id": uuid4(), "name": "r", "flow_name": "f", "expected_start_time": NOW, **fields}
    return FlowRun(state=first, **given)


def delivery_for(run: FlowRun | TaskRun, position: int = 0, event: str = "on_end", **fields: Any) -> HookDelivery:
    """A hook that the state which the run is in makes due."""
    given: dict[str, Any] = {
        "id": uuid4(), "transition_id": run.state.id, "run_id": run.id, "event": event, "hook_name": "tell",
        "position": position, "due_at": run.state.timestamp,
        **fields,
    }  # fmt: skip
    return HookDelivery(**given)


def steps(parent: UUID | None = None, hooks: int = 0, data: object = None) -> list[Record]:
    """What a run that completes adds to the journal, one record after another."""
    pending = new_run(parent_flow_run_id=parent)
    running = pending.entered(Running(timestamp=NOW + timedelta(seconds=1)))
    completed = running.entered(Completed(timestamp=NOW + timedelta(seconds=2), data=data))
    dues = tuple(delivery_for(completed, position) for position in range(hooks))
    records: list[Record] = [Transition(pending), Transition(running), Transition(completed, dues)]
    for due in dues:
        begun = due.started(NOW)
        records += [DeliveryChanged(begun), DeliveryChanged(begun.succeeded(NOW))]
    return records


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Record, ...]]:
    """Appends of several runs, shuffled into each other, each run's own in order."""
    runs = [steps(hooks=draw(st.integers(0, 3))) for _ in range(draw(st.integers(1, 4)))]
    appends: list[tuple[Record, ...]] = []
    while any(runs):
        of_one = draw(st.sampled_from([run for run in runs if run]))
        count = draw(st.integers(1, 3))
        appends.append(tuple(of_one[:count]))
        del of_one[:count]
    return appends
