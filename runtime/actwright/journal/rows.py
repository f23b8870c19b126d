"""Runs, transitions and deliveries as rows of the journal's tables, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from uuid import UUID

from pydantic_core import to_json

from actwright.exceptions import MissingResult
from actwright.journal.protocol import LogLine
from actwright.journal.schema import runs
from actwright.models.deliveries import DeliveryStatus, HookDelivery
from actwright.models.errors_at_rest import error_from_rest
from actwright.models.runs import FlowRun, TaskRun
from actwright.models.states import RESULT_NOT_KEPT, State, StateType
from actwright.models.values_at_rest import UNREADABLE, parameters_from_rest, result_from_rest, tags_from_rest

if TYPE_CHECKING:
    from sqlalchemy import RowMapping, Table

__all__ = [
    "Row",
    "carried_at_rest",
    "carried_from_rest",
    "columns_of",
    "delivery_of",
    "delivery_row",
    "id_or_none",
    "iso",
    "line_of",
    "log_row",
    "run_as_it_was",
    "run_of",
    "run_row",
    "time_or_none",
    "transition_row",
    "unreadable",
    "utf8",
    "words_or_mark",
]

Row: TypeAlias = "RowMapping"

_GENERATED: Final = {"seq"}


def columns_of(table: Table) -> tuple[str, ...]:
    """The columns that a row gives values for, in the order in which the functions here give them."""
    return tuple(column.name for column in table.columns if column.name not in _GENERATED)


_id_text: Final = lru_cache(maxsize=64)(str)
"""Of ids that stand in many rows of a batch, as that of a run does; it takes longer to spell one than to find it."""


def iso(at: datetime | None) -> str | None:
    """A time as the tables have it: of one length, so that it sorts as text."""
    return None if at is None else at.isoformat(timespec="microseconds")


def utf8(said: str) -> str:
    """Text that can be written: half a surrogate pair, as in the name of a file that is no UTF-8, cannot."""
    return said if said.isascii() else said.encode("utf-8", "backslashreplace").decode()


def _utf8_or_none(said: str | None) -> str | None:
    return None if said is None else utf8(said)


def carried_at_rest(carried: Mapping[str, str] | None) -> str | None:
    """A context of a trace as JSON."""
    return None if carried is None else json.dumps(carried)


def carried_from_rest(text: object) -> dict[str, str] | None:
    """A context of a trace; None where there is none, or none that can be read."""
    try:
        kept = json.loads(cast("str", text))
    except (TypeError, ValueError, RecursionError):
        return None
    if not isinstance(kept, dict):
        return None
    return {name: value for name, value in cast("dict[str, object]", kept).items() if isinstance(value, str)}


def run_row(
    run: FlowRun | TaskRun, node_id: str, parameters: str, result: str | None, registration: str | None
) -> list[Any]:
    """A run as it is now. `parameters` and `result` are JSON already."""
    state = run.state
    return [
        _id_text(run.id),
        run.kind,
        utf8(run.flow_name if isinstance(run, FlowRun) else run.task_name),
        utf8(run.name),
        node_id,
        str(state.id),
        str(state.type),
        utf8(state.name),
        _utf8_or_none(state.message),
        iso(state.timestamp),
        run.run_count,
        parameters,
        to_json(list(map(utf8, run.tags))).decode() if run.tags else "[]",
        _text(run.parent_flow_run_id),
        _text(run.parent_task_run_id),
        None if isinstance(run, FlowRun) else _text(run.flow_run_id),
        iso(run.expected_start_time),
        iso(run.start_time),
        iso(run.end_time),
        result,
        registration,
        _text(run.retry_of),
        _utf8_or_none(run.entry),
        carried_at_rest(run.trace_context),
    ]


def transition_row(run: FlowRun | TaskRun, cause: str | None) -> list[Any]:
    """The state that a run entered. `cause` is JSON already."""
    state = run.state
    at, name, message = iso(state.timestamp), utf8(state.name), _utf8_or_none(state.message)
    return [str(state.id), _id_text(run.id), str(state.type), name, message, at, run.run_count, cause]


def delivery_row(delivery: HookDelivery, node_id: str) -> list[Any]:
    """A delivery as it is now."""
    return [
        str(delivery.id),
        str(delivery.transition_id),
        _id_text(delivery.run_id),
        node_id,
        delivery.event,
        utf8(delivery.hook_name),
        delivery.position,
        iso(delivery.due_at),
        delivery.status.value,
        delivery.attempt,
        delivery.cuts,
        iso(delivery.started_at),
        iso(delivery.ended_at),
        _utf8_or_none(delivery.error),
        delivery.replayed,
        iso(delivery.next_at),
        delivery.untold,
    ]


def log_row(line: LogLine) -> list[Any]:
    return [_id_text(line.run_id), iso(line.at), line.level, utf8(line.logger), utf8(line.message), line.fields]


def line_of(row: Row) -> LogLine:
    """A line from its row."""
    run_id, at = id_or_none(row["run_id"]) or _NO_RUN, time_or_none(row["at"]) or _SOME_TIME
    return LogLine(run_id, at, row["level"], row["logger"], row["message"], row["fields"])


def run_of(row: Row) -> FlowRun | TaskRun:
    """A run from its row, which has the columns of `runs`, and `cause` of the transition into its state.

    A column that cannot be read (`unreadable` tells which) costs what it says, and no more: the hooks are to run.
    """
    is_flow = row["kind"] == "flow"
    fields: dict[str, Any] = {
        "id": UUID(row["id"]),
        "name": words_or_mark(row["name"]),
        "state": _state(
            row["state_id"], row["state_type"], row["state_name"], row["state_message"], row["state_at"], row
        ),
        "parameters": parameters_from_rest(row["parameters"]),
        "tags": tags_from_rest(row["tags"]),
        "run_count": _count(row["run_count"]) or 0,
        "expected_start_time": time_or_none(row["expected_start_at"]) or _SOME_TIME,
        "start_time": time_or_none(row["started_at"]),
        "end_time": time_or_none(row["ended_at"]),
        "parent_flow_run_id": id_or_none(row["parent_flow_run_id"]),
        "parent_task_run_id": id_or_none(row["parent_task_run_id"]),
        "retry_of": id_or_none(row["retry_of"]),
        "entry": None if row["entry"] is None else words_or_mark(row["entry"]),
        "trace_context": carried_from_rest(row["trace_context"]),
    }
    if is_flow:
        return FlowRun(flow_name=words_or_mark(row["subject_name"]), **fields)
    return TaskRun(task_name=words_or_mark(row["subject_name"]), flow_run_id=id_or_none(row["flow_run_id"]), **fields)


def run_as_it_was(run: FlowRun | TaskRun, row: Row) -> FlowRun | TaskRun:
    """A run at one of its transitions: what it is now, with what differed then.

    Args:
        row: of `transitions`, with `result` of the run.
    """
    state = _state(row["id"], row["type"], row["name"], row["message"], row["at"], row)
    began = run.start_time if run.start_time is not None and run.start_time <= state.timestamp else None
    then: dict[str, Any] = {
        "state": state,
        "run_count": _count(row["run_count"]) or 0,
        "start_time": began,
        "end_time": state.timestamp if state.is_final() else None,
    }
    return run.model_copy(update=then)


def delivery_of(row: Row) -> HookDelivery:
    """A delivery from its row."""
    return HookDelivery(
        id=UUID(row["id"]),
        transition_id=UUID(row["transition_id"]),
        run_id=UUID(row["run_id"]),
        event=row["event"],
        hook_name=row["hook_name"],
        position=row["position"],
        due_at=datetime.fromisoformat(row["due_at"]),
        status=DeliveryStatus(row["status"]),
        attempt=row["attempt"],
        cuts=row["cuts"],
        started_at=time_or_none(row["started_at"]),
        ended_at=time_or_none(row["ended_at"]),
        error=row["error"],
        replayed=bool(row["replayed"]),
        next_at=time_or_none(row["next_at"]),
        untold=row["untold"],
    )


def unreadable(row: Row) -> list[str]:
    """The columns of a run's row that cannot be read: words, times and numbers; the others say so themselves."""
    return [
        column
        for column, read in _READERS.items()
        if read(row[column]) is None and not (row[column] is None and runs.c[column].nullable)
    ]


def _state(id: str, type: str, name: object, message: object, at: object, row: Row) -> State[Any]:
    state: State[Any] = State(  # not State[Any](...): pickle would look for that class wherever it was made first
        id=UUID(id),
        type=StateType(type) if type in _TYPES else StateType.CRASHED,
        name=words_or_mark(name),
        message=None if message is None else words_or_mark(message),
        timestamp=time_or_none(at) or _SOME_TIME,
        cause=None if row["cause"] is None else error_from_rest(row["cause"]),
    )
    if not state.is_completed():
        return state
    kept = row["result"]
    result = MissingResult(RESULT_NOT_KEPT) if kept is None else result_from_rest(kept)
    return state.model_copy(update={"data": result})


_TYPES: Final = frozenset(StateType)
_SOME_TIME: Final = datetime.fromtimestamp(0, UTC)
_NO_RUN: Final = UUID(int=0)


def words_or_mark(text: object) -> str:
    """Words; `(unreadable)` where they cannot be read."""
    read = _words(text)
    return UNREADABLE if read is None else read


def _words(text: object) -> str | None:
    return text if isinstance(text, str) else None


def _count(number: object) -> int | None:
    return number if isinstance(number, int) else None


def time_or_none(at: object) -> datetime | None:
    """An aware time; None where there is none, or none that can be read."""
    try:
        read = datetime.fromisoformat(cast("str", at))
    except (TypeError, ValueError):
        return None
    return read if read.tzinfo is not None else None


def _text(id: UUID | None) -> str | None:
    return None if id is None else _id_text(id)


def id_or_none(id: object) -> UUID | None:
    """An id; None where there is none, or none that can be read."""
    try:
        return UUID(cast("str", id))
    except (AttributeError, TypeError, ValueError):
        return None


_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "name": _words,
    "subject_name": _words,
    "state_name": _words,
    "state_message": _words,
    "state_at": time_or_none,
    "expected_start_at": time_or_none,
    "started_at": time_or_none,
    "ended_at": time_or_none,
    "run_count": _count,
}
