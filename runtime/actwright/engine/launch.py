"""From a call to a run: the record of who called, the run's first snapshot, and off it goes."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

from actwright.authoring.context import RunContext, within_reach
from actwright.authoring.names import default_run_name
from actwright.authoring.replay_guard import refuse_while_loading
from actwright.authoring.stored import entry_of
from actwright.authoring.tags import current_tags
from actwright.engine.bodies import OnLoop, Place, WorkerThread
from actwright.engine.live_run import LiveRun, Origin
from actwright.models.ids import new_id
from actwright.models.runs import FlowRun, TaskRun
from actwright.models.states import Pending

if TYPE_CHECKING:
    from uuid import UUID

    from actwright.authoring.entry import Call
    from actwright.engine.host import Host

__all__ = ["launch", "usual_place"]


def usual_place(call: Call) -> Place:
    """Where a body runs that was not lent its caller's thread."""
    if call.subject.options.isolation is not None:
        from actwright.engine.isolated_process import IsolatedProcess  # it takes a while to load; few programs need it

        return IsolatedProcess()
    return OnLoop() if call.subject.isasync else WorkerThread()


def launch(host: Host, call: Call, place: Place) -> LiveRun:
    """Start a run, and return at once. In any thread.

    Raises:
        CancelledRun: it was called by a body that was told to stop.
        RuntimeClosed: the host takes no new runs.
    """
    refuse_while_loading("A flow or task was called")
    context = within_reach()
    host.admit(is_inner=context is not None)
    caller = _caller(context)
    if context is not None:
        context.run.raise_if_stopped(context)
    # A run called in a hook has no parent: the run that the hook is for may have ended.
    parent = None if context is None or context.in_hook else caller
    origin = Origin(
        parent,
        contextvars.copy_context(),
        in_hook=bool(caller and context and (context.in_hook or caller.origin.in_hook)),
        from_runtime_hook=bool(caller and context and (context.runtime_wide or caller.origin.from_runtime_hook)),
        log_prints=parent is not None and parent.logs_prints,
    )
    snapshot = call.known.run if call.known else _first_snapshot(host, call, parent)
    run = LiveRun(host, call, snapshot, origin, place)
    host.launch(run)
    return run


def _caller(context: RunContext | None) -> LiveRun | None:
    """The run whose body or hook calls."""
    if context is None:
        return None
    if not isinstance(context.run, LiveRun):
        raise TypeError(f"Expected a run of this engine's around the call; got {context.run!r}.")
    return context.run


def _first_snapshot(host: Host, call: Call, parent: LiveRun | None) -> FlowRun | TaskRun:
    subject, retry, now = call.subject, call.retry, host.now()
    run_id = new_id() if retry is None else retry.run_id
    around = parent.snapshot if parent else None
    shared: dict[str, Any] = {
        "id": run_id,
        "name": default_run_name(subject, run_id),  # until the arguments are known, of which the author may make one
        "state": Pending(timestamp=now),
        "parameters": subject.parameters.concealed(call.parameters),
        "tags": sorted(subject.options.tags | current_tags()),
        "expected_start_time": now,
        "parent_flow_run_id": around.id if around and around.kind == "flow" else None,
        "parent_task_run_id": around.id if around and around.kind == "task" else None,
        "retry_of": None if retry is None else retry.of,
        "entry": entry_of(subject),
    }
    if subject.kind == "flow":
        return FlowRun(flow_name=subject.name, **shared)
    return TaskRun(task_name=subject.name, flow_run_id=_flow_id(parent), **shared)


def _flow_id(parent: LiveRun | None) -> UUID | None:
    flow = parent.flow if parent else None
    return flow.snapshot.id if flow else None
