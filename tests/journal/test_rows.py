"""Runs, transitions and deliveries as rows: what comes back is what was written, whatever the models allow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select
from tests.journal.records import NOW, any_delivery, any_run, new_run

from actwright.exceptions import MissingResult, RecordedError
from actwright.journal import reading, statements
from actwright.journal.batch import Batch, Entry
from actwright.journal.database import Database
from actwright.journal.protocol import DeliveryChanged, LogLine, Transition
from actwright.journal.rows import columns_of, delivery_of, delivery_row, run_row, transition_row
from actwright.journal.schema import hook_deliveries, logs, runs, transitions
from actwright.models.deliveries import HookDelivery
from actwright.models.runs import FlowRun, TaskRun
from actwright.models.states import Completed, Failed, Running
from actwright.models.values_at_rest import parameters_at_rest, parameters_from_rest, result_at_rest

one_file_for_all = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(tmp_path / "home" / "actwright.db")) as opened:
        yield opened


def write(connection: Connection, *records: Transition | DeliveryChanged | LogLine) -> None:
    parameters = [parameters_at_rest(each.run.parameters, 10_000) for each in records if isinstance(each, Transition)]
    statements.write(connection, Batch.of([Entry(records, tuple(parameters))], "node-1"))


def fits(text: str | None) -> str | None:
    """What can be kept of a text: no half of a surrogate pair."""
    return text and text.encode("utf-8", "backslashreplace").decode()


def as_kept(run: FlowRun | TaskRun) -> dict[str, Any]:
    """The fields of a run, and those of its state, as they come back."""
    told = run.model_dump(exclude={"state": {"data", "cause"}})
    told["tags"] = list(map(fits, run.tags))
    told["state"] |= {"name": fits(run.state.name), "message": fits(run.state.message)}
    told["parameters"] = parameters_from_rest(parameters_at_rest(run.parameters, 10_000))
    return {key: fits(value) if isinstance(value, str) else value for key, value in told.items()}


@one_file_for_all
@given(run=any_run())
def test_a_run_comes_back_as_it_was(database: Database, run: FlowRun | TaskRun) -> None:
    with database.writing() as connection:
        write(connection, Transition(run))
        found = reading.run(connection, run.id)
    assert found is not None
    assert type(found) is type(run)
    assert as_kept(found) == as_kept(run)


@one_file_for_all
@given(delivery=any_delivery())
def test_a_delivery_comes_back_as_it_was(database: Database, delivery: HookDelivery) -> None:
    with database.writing() as connection:
        write(connection, DeliveryChanged(delivery))
        query = select(hook_deliveries).where(hook_deliveries.c.id == str(delivery.id))
        found = delivery_of(connection.execute(query).mappings().one())
    expected = dict(vars(delivery))
    expected |= {"hook_name": fits(delivery.hook_name), "error": fits(delivery.error)}
    assert vars(found) == expected


@one_file_for_all
@given(message=st.text(st.characters(exclude_categories=()), min_size=1))
def test_a_line_of_a_log_is_kept_whatever_is_in_it(database: Database, message: str) -> None:
    run = new_run()
    with database.writing() as connection:
        write(connection, LogLine(run.id, NOW, 20, message, message))
        query = select(logs.c.message, logs.c.logger).where(logs.c.run_id == str(run.id))
        assert tuple(connection.execute(query).one()) == (fits(message), fits(message))


def test_a_row_has_a_value_for_each_column_in_the_order_of_the_table() -> None:
    run = new_run(name="brave-otter")
    assert dict(zip(columns_of(runs), run_row(run, "n", "{}", None, "h"), strict=True))["name"] == "brave-otter"
    assert dict(zip(columns_of(transitions), transition_row(run, None), strict=True))["run_id"] == str(run.id)
    delivery = HookDelivery(run.id, run.id, run.id, "on_end", "tell", 3, NOW)
    row = dict(zip(columns_of(hook_deliveries), delivery_row(delivery, "n"), strict=True))
    assert (row["position"], row["node_id"]) == (3, "n")


# A run as it was


def test_each_transition_tells_the_run_as_it_was_when_it_entered_that_state(database: Database) -> None:
    pending = new_run()
    running = pending.entered(Running(timestamp=NOW + timedelta(seconds=1)))
    failed = running.entered(Failed(timestamp=NOW + timedelta(seconds=2), cause=ValueError("no")))
    with database.writing() as connection:
        write(connection, *map(Transition, (pending, running, failed)))
        found = [step.run for step in reading.transitions(connection, pending.id)]
    for then, expected in zip(found, (pending, running, failed), strict=True):
        assert as_kept(then) == as_kept(expected)
    cause = found[-1].state.cause
    assert isinstance(cause, RecordedError)
    assert (cause.type_name, cause.message) == ("ValueError", "no")


def test_a_result_that_was_kept_comes_back_with_its_state_and_one_that_was_not_says_so(database: Database) -> None:
    kept, not_kept = (new_run(Completed(data=data)) for data in ({"a": [1, None]}, "gone"))
    with database.writing() as connection:
        write(connection, Transition(kept, result=result_at_rest(kept.state.data)), Transition(not_kept))
        found, other = reading.run(connection, kept.id), reading.run(connection, not_kept.id)
    assert found is not None
    assert other is not None
    assert found.state.result() == {"a": [1, None]}
    with pytest.raises(MissingResult, match="persist_result=True"):
        other.state.result()
