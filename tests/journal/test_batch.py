"""What one transaction writes, worked out of what was appended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.journal.records import NOW, delivery_for, histories, new_run, steps

from actwright import flow
from actwright.authoring.registration import Registration
from actwright.journal.batch import Batch, Entry
from actwright.journal.protocol import DeliveryChanged, LogLine, Record, Transition
from actwright.journal.rows import columns_of
from actwright.journal.schema import hook_deliveries, runs, transitions
from actwright.models.errors_at_rest import error_from_rest
from actwright.models.states import Failed, Running


def batch_of(*records: Record) -> Batch:
    count = sum(isinstance(record, Transition) for record in records)
    return Batch.of([Entry(records, ("{}",) * count)], "node-1")


def column(rows: Any, table: Any, name: str) -> list[Any]:
    place = columns_of(table).index(name)
    return [row[place] for row in rows]


@given(appends=histories())
def test_every_transition_is_in_it_in_order_and_each_run_and_delivery_once_as_it_last_was(
    appends: list[tuple[Record, ...]],
) -> None:
    records = [record for append in appends for record in append]
    entered = [record.run for record in records if isinstance(record, Transition)]
    last_run = {str(run.id): str(run.state.id) for run in entered}
    last_delivery: dict[str, str] = {}
    for record in records:
        if isinstance(record, Transition):
            last_delivery.update((str(due.id), due.status) for due in record.deliveries)
        elif isinstance(record, DeliveryChanged):
            last_delivery[str(record.delivery.id)] = record.delivery.status
    batch = batch_of(*records)
    assert column(batch.transitions, transitions, "id") == [str(run.state.id) for run in entered]
    assert column(batch.runs.values(), runs, "id") == list(last_run)
    assert column(batch.runs.values(), runs, "state_id") == list(last_run.values())
    assert column(batch.deliveries.values(), hook_deliveries, "id") == list(last_delivery)
    assert column(batch.deliveries.values(), hook_deliveries, "status") == list(last_delivery.values())


@given(sizes=st.lists(st.integers(0, 3), max_size=5))
def test_each_run_gets_the_parameters_that_came_with_its_own_entry(sizes: list[int]) -> None:
    written: dict[str, str] = {}
    entries: list[Entry] = []
    for number, size in enumerate(sizes):
        pending = [new_run() for _ in range(size)]
        texts = tuple(f'{{"n":{number}.{place}}}' for place in range(size))
        entries.append(Entry((*map(Transition, pending),), texts))
        written |= {str(run.id): text for run, text in zip(pending, texts, strict=True)}
    rows = Batch.of(entries, "node-1").runs.values()
    assert dict(zip(column(rows, runs, "id"), column(rows, runs, "parameters"), strict=True)) == written


def test_rows_say_whose_node_they_are_of() -> None:
    run = new_run()
    batch = batch_of(Transition(run, (delivery_for(run),)), LogLine(run.id, NOW, 20, "l", "m"))
    assert column(batch.runs.values(), runs, "node_id") == ["node-1"]
    assert column(batch.deliveries.values(), hook_deliveries, "node_id") == ["node-1"]
    assert len(batch.logs) == 1


def test_what_hooks_are_found_by_goes_with_the_run_that_registered_them() -> None:
    def by_value(*_: object) -> None: ...

    @flow(on_failure=[by_value])
    def subject() -> None: ...

    registration = Registration.of(subject, {})
    run = new_run()
    batch = batch_of(Transition(run, registration=registration), Transition(run.entered(Running()), (), registration))
    assert column(batch.runs.values(), runs, "registration") == [registration.hash]
    assert batch.objects == {**registration.payloads, registration.hash: registration.to_json().encode()}
    assert registration.payloads
    assert batch_of(*steps()).objects == {}


class Untold(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


def test_an_exception_that_nobody_can_tell_of_does_not_stop_the_writer() -> None:
    run = new_run().entered(Failed(timestamp=NOW + timedelta(seconds=1), cause=Untold()))
    (cause,) = column(batch_of(Transition(run)).transitions, transitions, "cause")
    told = error_from_rest(cause)
    assert (told.type_name, told.message) == ("Untold", "<telling it raised KeyboardInterrupt>")
