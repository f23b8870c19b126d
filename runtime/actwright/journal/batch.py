"""What one transaction writes: records in the order in which they came, each run and each delivery as it last was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from actwright.exceptions import RecordedError
from actwright.journal.commands import answered_row
from actwright.journal.protocol import CommandAnswered, DeliveryChanged, LogLine, Record, Transition
from actwright.journal.rows import delivery_row, log_row, run_row, transition_row
from actwright.models.errors_at_rest import error_at_rest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from actwright.models.deliveries import HookDelivery

__all__ = ["Batch", "Entry"]


class Entry(NamedTuple):
    """What one `append` added.

    Attributes:
        parameters: of each transition's run, as JSON, from the moment of the call: a body may change what it was given.
    """

    records: tuple[Record, ...]
    parameters: tuple[str, ...]
    committed: Callable[[], object] | None = None


@dataclass(slots=True)
class Batch:
    """Rows for each table, in order. A run's row is that of its last transition here: made once, since most runs begin
    and end within a batch.

    Attributes:
        objects: hash -> payload, of the hooks that its runs registered.
        answers: to commands of other processes, as `statements.ANSWER_COMMAND` takes them.
    """

    runs: dict[UUID, list[Any]] = field(default_factory=dict["UUID", "list[Any]"])
    transitions: list[list[Any]] = field(default_factory=list["list[Any]"])
    deliveries: dict[UUID, list[Any]] = field(default_factory=dict["UUID", "list[Any]"])
    logs: list[list[Any]] = field(default_factory=list["list[Any]"])
    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    answers: list[dict[str, Any]] = field(default_factory=list["dict[str, Any]"])

    @classmethod
    def of(cls, entries: Iterable[Entry], node_id: str) -> Batch:
        batch = cls()
        last: dict[UUID, tuple[Transition, str]] = {}
        for entry in entries:
            parameters = iter(entry.parameters)
            for record in entry.records:
                match record:
                    case Transition():
                        batch._add_transition(record, node_id)
                        last[record.run.id] = record, next(parameters)
                    case DeliveryChanged(delivery):
                        batch._add_delivery(delivery, node_id)
                    case LogLine():
                        batch.logs.append(log_row(record))
                    case CommandAnswered():
                        batch.answers.append(answered_row(record))
        batch.runs = {run_id: _run_row(*transition, node_id) for run_id, transition in last.items()}
        return batch

    def _add_transition(self, record: Transition, node_id: str) -> None:
        run, registration = record.run, record.registration
        cause = run.state.cause
        self.transitions.append(transition_row(run, None if cause is None else _at_rest(cause)))
        for delivery in record.deliveries:
            self._add_delivery(delivery, node_id)
        if registration is not None:
            self.objects.update(registration.payloads)
            self.objects[registration.hash] = registration.to_json().encode()

    def _add_delivery(self, delivery: HookDelivery, node_id: str) -> None:
        self.deliveries[delivery.id] = delivery_row(delivery, node_id)


def _run_row(record: Transition, parameters: str, node_id: str) -> list[Any]:
    registration = record.registration
    return run_row(record.run, node_id, parameters, record.result, registration.hash if registration else None)


def _at_rest(cause: BaseException) -> str:
    try:
        return error_at_rest(cause)
    except KeyboardInterrupt:  # nobody interrupts the writer's thread: an author's `__str__` raised it
        kind = type(cause).__qualname__
        return error_at_rest(RecordedError(kind, "<telling it raised KeyboardInterrupt>"))
