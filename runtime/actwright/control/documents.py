"""What `-o json` prints of runs, deliveries and nodes. The keys are a contract: `docs/commands.md` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from actwright.control.output import iso_or_none
from actwright.exceptions import RecordedError
from actwright.models.log_fields import exception_of, fields_from_rest
from actwright.models.marks import unmistakable
from actwright.models.runs import FlowRun
from actwright.models.values_at_rest import kept_result

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from actwright.control.liveness import KnownNode
    from actwright.journal.protocol import LogLine, Transition
    from actwright.journal.queries import FoundDelivery, FoundRun
    from actwright.models.runs import TaskRun
    from actwright.models.states import State

__all__ = [
    "cause_document",
    "delivery_document",
    "is_dead",
    "line_document",
    "line_text",
    "node_document",
    "program_text",
    "result_document",
    "run_document",
    "state_document",
    "subject_of",
    "transition_document",
]


def subject_of(run: Any) -> str:
    """The name of its flow or task."""
    return run.flow_name if isinstance(run, FlowRun) else str(run.task_name)


def is_dead(found: FoundRun, dead: Collection[str]) -> bool:
    """Whether the run is open and its process gone: recovery ends it."""
    return not found.run.state.is_final() and found.node_id in dead


def run_document(found: FoundRun, dead: Collection[str]) -> dict[str, Any]:
    run = found.run
    return {
        "id": str(run.id),
        "kind": run.kind,
        "subject": subject_of(run),
        "name": run.name,
        "state_type": run.state.type.value,
        "state_name": run.state.name,
        "state_message": run.state.message,
        "state_at": iso_or_none(run.state.timestamp),
        "process_is_dead": is_dead(found, dead),
        "tags": list(run.tags),
        "run_count": run.run_count,
        "parent_flow_run_id": _text(run.parent_flow_run_id),
        "parent_task_run_id": _text(run.parent_task_run_id),
        "retry_of": _text(run.retry_of),
        "entry": run.entry,
        "expected_start_at": iso_or_none(run.expected_start_time),
        "started_at": iso_or_none(run.start_time),
        "ended_at": iso_or_none(run.end_time),
        "node_id": found.node_id or None,
    }


def result_document(at_rest: str | None) -> dict[str, Any] | None:
    """What history keeps of a result: `{"value": ...}`, or `{"missing": why}`; None when it was not asked to."""
    if at_rest is None:
        return None
    return {key: _unmistakable(value) for key, value in kept_result(at_rest).items()}


def _unmistakable(value: Any) -> Any:
    """With a dict of the user's that has our own key wrapped, as those among parameters are."""
    if isinstance(value, list):
        return [_unmistakable(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    made = {key: _unmistakable(item) for key, item in cast("dict[str, Any]", value).items()}
    return unmistakable(made)


def transition_document(step: Transition) -> dict[str, Any]:
    return state_document(step.run)


def state_document(run: FlowRun | TaskRun) -> dict[str, Any]:
    """The state that a run entered."""
    state = run.state
    return {
        "id": str(state.id),
        "type": state.type.value,
        "name": state.name,
        "message": state.message,
        "at": iso_or_none(state.timestamp),
        "run_count": run.run_count,
        "cause": cause_document(state),
    }


def cause_document(state: State[Any]) -> dict[str, Any] | None:
    cause = state.cause
    if not isinstance(cause, RecordedError):  # of history nothing else comes
        return None
    return {"type": cause.type_name, "message": cause.message, "traceback": cause.traceback}


def delivery_document(found: FoundDelivery) -> dict[str, Any]:
    delivery = found.delivery
    return {
        "id": str(delivery.id),
        "event": delivery.event,
        "hook_name": delivery.hook_name,
        "status": delivery.status.value,
        "attempt": delivery.attempt,
        "cuts": delivery.cuts,
        "replayed": delivery.replayed,
        "error": delivery.error,
        "due_at": iso_or_none(delivery.due_at),
        "next_at": iso_or_none(delivery.next_at),
        "started_at": iso_or_none(delivery.started_at),
        "ended_at": iso_or_none(delivery.ended_at),
        "run_id": str(delivery.run_id),
        "run_kind": found.run_kind,
        "run_name": found.run_name,
        "subject": found.subject_name,
        "transition_id": str(delivery.transition_id),
        "node_id": found.node_id,
    }


def line_document(line: LogLine) -> dict[str, Any]:
    return {
        "at": iso_or_none(line.at),
        "level": line.level,
        "logger": line.logger,
        "message": line.message,
        "fields": fields_from_rest(line.fields),
        "run_id": str(line.run_id),
    }


def line_text(line: LogLine) -> str:
    """What a line says, with the traceback of the exception that it tells of."""
    traceback = exception_of(fields_from_rest(line.fields))
    return line.message if traceback is None else f"{line.message}\n{traceback.rstrip()}"


def node_document(node: KnownNode) -> dict[str, Any]:
    row = node.row
    silent = node.unresponsive_seconds
    return {
        "id": row.id,
        "status": node.status.value,
        "unresponsive_seconds": None if silent is None else round(silent, 1),
        "pid": row.pid,
        "host": row.host,
        "holder_pid": node.holder or None,
        "program": program_text(node),
        "started_at": iso_or_none(row.started_at),
        "settled_at": iso_or_none(row.settled_at),
        "epoch": row.epoch,
        "open_runs": node.work.open_runs,
        "due_hooks": node.work.due_hooks,
    }


def program_text(node: KnownNode) -> str:
    """What was started, as far as it fits a line."""
    program = node.row.program
    if program.main_module is not None:
        return " ".join(["-m", program.main_module.removesuffix(".__main__"), *program.argv[1:]])
    return " ".join(program.argv) or program.interpreter


def _text(id: UUID | None) -> str | None:
    return None if id is None else str(id)
