"""Submitting and claiming, as the journal's database sees it: without a process that serves."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import event
from tests.serving import flows as f

from actwright import flow
from actwright.client.requests import ask
from actwright.client.steps import run_steps
from actwright.client.submitting import entry_of_flow, submit
from actwright.exceptions import FlowNotFound, ParameterBindError, ParameterTypeError, RunError, UnansweredCommand
from actwright.journal import commands, reading, submissions
from actwright.journal.batch import Batch, Entry
from actwright.journal.checking import check
from actwright.journal.database import Database
from actwright.journal.protocol import Transition
from actwright.journal.schema import metadata
from actwright.journal.statements import write
from actwright.models.commands import Answer, Command, CommandKind, Outcome
from actwright.models.states import Running
from actwright.models.submissions import Claimed, Offer
from actwright.nodes import rows
from actwright.nodes.program import Program
from actwright.replay.takeover import take_over

NODE = str(uuid4())
LATER = timedelta(hours=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path / "actwright.db")
    yield opened
    assert check(opened) == []
    opened.close()


def offer(served: Any, **options: Any) -> Offer:
    return Offer(entry_of_flow(served), **options)


def claim(database: Database, *offers: Offer, room: int = 100, now: datetime | None = None) -> list[Claimed]:
    with database.writing() as connection:
        return submissions.claim(connection, NODE, offers, room, now or datetime.now(UTC))


def numbers(claimed: list[Claimed]) -> list[int]:
    return [each.parameters["number"] for each in claimed]


# Submitting


def test_a_submitted_run_is_scheduled_and_belongs_to_nobody(database: Database) -> None:
    run = submit(database, f.quick, {"number": 1}, {})
    with database.reading() as connection:
        found = reading.run(connection, run.id)
    assert found is not None
    assert found == run
    assert found.state.is_scheduled()
    assert found.parameters == {"number": 1}


@pytest.mark.parametrize(
    ("parameters", "error", "said"),
    [
        ({"nummer": 1}, ParameterBindError, "nummer"),
        ({"number": "many"}, ParameterTypeError, "number='many'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_and_nothing_is_submitted(
    database: Database, parameters: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        submit(database, f.quick, parameters, {})
    with database.reading() as connection:
        assert reading.runs(connection) == []


def test_an_argument_that_json_cannot_hold_is_refused_with_its_name(database: Database) -> None:
    with pytest.raises(ParameterTypeError, match=r"'more' \(object cannot be written as JSON\)"):
        submit(database, f.takes, {"order": {"number": 1}, "more": object()}, {})


def test_a_secret_is_refused_since_it_would_be_kept_in_the_clear(database: Database) -> None:
    with pytest.raises(ParameterTypeError, match=r"'key' \(it is a secret.*Block"):
        submit(database, f.secret, {"key": SecretStr("hunter2")}, {})
    assert b"hunter2" not in database.path.read_bytes()


def test_a_flow_that_no_other_process_finds_is_refused(database: Database) -> None:
    with pytest.raises(FlowNotFound, match="top level of a module"):
        submit(database, flow(lambda: None, name="nameless"), {}, {})  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"at": datetime(2027, 1, 1)}, TypeError, "time zone"),
        ({"at": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))}, ValueError, "UTC"),
        ({"queue": ""}, ValueError, "queue must be text that is not empty"),
        ({"queue": "\udcff"}, ValueError, "queue must be text"),
        ({"idempotency_key": ""}, ValueError, "idempotency_key must be text"),
        ({"idempotency_key": "\udcff"}, ValueError, "idempotency_key must be text"),
        ({"idempotency_key": 7}, TypeError, "idempotency_key must be text"),
        ({"name": ""}, ValueError, "name must be text"),
        ({"name": 7}, TypeError, "name must be text"),
        ({"priority": 10**20}, ValueError, "at most 1000000"),
        ({"priority": -(10**20)}, ValueError, "at least -1000000"),
        ({"priority": "high"}, TypeError, "priority"),
    ],
)
def test_options_that_cannot_be_are_refused(
    database: Database, options: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        submit(database, f.quick, {}, options)


def test_something_else_than_a_flow_is_refused(database: Database) -> None:
    with pytest.raises(TypeError, match="Put @flow above the function"):
        submit(database, f.quick.fn, {}, {})  # type: ignore[arg-type]


def test_ten_megabytes_arrive_whole_and_history_shows_that_they_were_too_much(database: Database) -> None:
    bulk = "x" * 10_000_000
    run = submit(database, f.takes, {"order": {"number": 1}, "more": bulk}, {})
    with database.reading() as connection:
        shown = reading.run(connection, run.id)
    assert shown is not None
    assert "too large" in str(shown.parameters["more"])
    (claimed,) = claim(database, offer(f.takes))
    assert claimed.parameters["more"] == bulk


def test_with_the_same_key_a_flow_is_submitted_once_by_however_many_threads(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(submit, database, f.quick, {}, {"idempotency_key": "monday"}) for _ in range(16)]
        runs = [each.result() for each in futures]
    assert len({run.id for run in runs}) == 1
    assert submit(database, f.takes, {"order": {"number": 1}}, {"idempotency_key": "monday"}).id != runs[0].id
    assert submit(database, f.quick, {}, {"idempotency_key": "tuesday"}).id != runs[0].id
    assert len(claim(database, offer(f.quick), offer(f.takes))) == 3


def test_the_key_gives_the_run_as_it_is_by_now(database: Database) -> None:
    first = submit(database, f.quick, {}, {"idempotency_key": "monday"})
    cancel(database, first.id)
    again = submit(database, f.quick, {"number": 2}, {"idempotency_key": "monday"})
    assert again.id == first.id
    assert again.state.is_cancelled()


# Claiming


def test_what_is_claimed_is_claimed_by_nobody_else(database: Database) -> None:
    for number in range(40):
        submit(database, f.quick, {"number": number}, {})
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(claim, database, offer(f.quick), room=7) for _ in range(8)]
    assert sorted(chain.from_iterable(numbers(each.result()) for each in futures)) == list(range(40))


def test_it_is_claimed_when_it_is_due_the_higher_priority_first_then_the_earlier(database: Database) -> None:
    now = datetime.now(UTC)
    for number, minutes, priority in [(1, -1, 0), (2, -2, 0), (3, -1, 5), (4, 10, 9), (5, -3, -1)]:
        submit(database, f.quick, {"number": number}, {"at": now + timedelta(minutes=minutes), "priority": priority})
    assert numbers(claim(database, offer(f.quick), room=2, now=now)) == [3, 2]
    assert numbers(claim(database, offer(f.quick), now=now)) == [1, 5]
    assert numbers(claim(database, offer(f.quick), now=now + LATER)) == [4]


def test_only_flows_and_queues_that_are_offered_are_claimed(database: Database) -> None:
    submit(database, f.quick, {"number": 1}, {})
    submit(database, f.quick, {"number": 2}, {"queue": "slow"})
    submit(database, f.waits, {"number": 3}, {})
    assert claim(database) == []
    assert numbers(claim(database, offer(f.quick, queues=frozenset({"slow"})))) == [2]
    assert numbers(claim(database, offer(f.quick))) == [1]
    assert numbers(claim(database, offer(f.waits))) == [3]


def test_a_flows_limit_counts_what_has_not_ended_in_all_processes_and_holds_up_no_other_flow(
    database: Database,
) -> None:
    for number in range(5):
        submit(database, f.quick, {"number": number}, {})
    submit(database, f.waits, {"number": 9}, {})
    limited = offer(f.quick, limit=2)
    assert numbers(claim(database, limited, offer(f.waits))) == [0, 1, 9]
    assert claim(database, limited) == []
    (first,) = (run for run in _runs(database) if run.parameters == {"number": 0})
    with database.writing() as connection:
        submissions.put_back(connection, [first.id])
    assert numbers(claim(database, limited)) == [0]
    assert claim(database, limited) == []


@pytest.mark.parametrize("limit", [None, 2])
def test_a_claim_looks_at_what_waits_and_not_at_all_that_was_ever_submitted(
    database: Database, limit: int | None
) -> None:
    submit(database, f.quick, {}, {})
    asked: list[tuple[str, Any]] = []
    with database.writing() as connection:

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            asked.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", note)
        assert len(submissions.claim(connection, NODE, [offer(f.quick, limit=limit)], 5, datetime.now(UTC))) == 1
        event.remove(connection, "before_cursor_execute", note)
        looks = [each for each in asked if each[0].startswith("SELECT")]
        plans = [
            row.detail
            for statement, parameters in looks
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    assert any("submissions_open" in step for step in plans)
    few = "SCAN commands USING INDEX commands_open"  # of those that have no answer yet
    assert not [step for step in plans if "submissions_by_key" in step or (step.startswith("SCAN") and step != few)]


def _runs(database: Database) -> list[Any]:
    with database.reading() as connection:
        return list(reading.runs(connection))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it is emptied for each example
@given(
    given=st.lists(
        st.tuples(st.integers(-2, 2), st.integers(-5, 5), st.sampled_from(["default", "slow"])), max_size=12
    ),
    limit=st.none() | st.integers(0, 4),
    room=st.integers(0, 6),
)
def test_in_whatever_order_all_that_is_due_is_claimed_once_and_never_more_than_may_begin(
    given: list[tuple[int, int, str]], limit: int | None, room: int, database: Database
) -> None:
    with database.writing() as connection:  # one file for all examples: to make one takes longer than to look at it
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
    now = datetime.now(UTC)
    for number, (priority, minutes, queue) in enumerate(given):
        at = now + timedelta(minutes=minutes)
        submit(database, f.quick, {"number": number}, {"at": at, "priority": priority, "queue": queue})
    served = offer(f.quick, limit=limit)
    due = {number for number, (_, minutes, queue) in enumerate(given) if minutes <= 0 and queue == "default"}
    first = claim(database, served, room=room, now=now)
    may_begin = min(len(due), room, len(due) if limit is None else limit)
    assert len(first) == may_begin
    assert set(numbers(first)) <= due
    keys = [(-given[each][0], given[each][1]) for each in numbers(first)]
    assert keys == sorted(keys)
    rest = claim(database, offer(f.quick), now=now)
    assert sorted(numbers(first) + numbers(rest)) == sorted(due)


# Cancelling what nobody has claimed


def cancel(database: Database, run_id: UUID, timeout: float = 0.0) -> None:
    run_steps(ask(database, run_id, CommandKind.CANCEL, {"reason": "not needed"}, timeout))


def test_without_hooks_it_is_cancelled_at_once_and_never_claimed(database: Database) -> None:
    run = submit(database, f.quick, {}, {})
    cancel(database, run.id)
    with database.reading() as connection:
        steps = [step.run.state for step in reading.transitions(connection, run.id)]
    assert [state.name for state in steps] == ["Scheduled", "Cancelling", "Cancelled"]
    assert steps[-1].message == "not needed"
    assert claim(database, offer(f.quick)) == []


def test_with_hooks_it_waits_for_who_serves_it_before_its_time_and_beyond_every_limit(database: Database) -> None:
    run = submit(database, f.hooked, {}, {"at": datetime.now(UTC) + LATER})
    with pytest.raises(UnansweredCommand, match="no process serves its flow now"):
        cancel(database, run.id)
    (claimed,) = claim(database, offer(f.hooked, limit=0), room=0)
    assert [command.reason for command in claimed.cancels] == ["not needed"]


def test_it_receives_nothing_before_it_begins(database: Database) -> None:
    run = submit(database, f.quick, {}, {})
    with pytest.raises(RunError, match="waits to be claimed"):
        run_steps(ask(database, run.id, CommandKind.SEND, {}, 0.0))


# When its process dies


def test_what_was_sent_to_it_and_its_process_died_before_it_answered_is_refused_and_not_waited_for(
    database: Database,
) -> None:
    run = submit(database, f.dies, {"times": 1}, {})
    with database.writing() as connection:
        rows.add(connection, NODE, os.getpid(), socket.gethostname(), Program.of_this_process())
    assert len(claim(database, offer(f.dies))) == 1
    with database.writing() as connection:
        write(connection, Batch.of([Entry((Transition(run.entered(Running())),), ("{}",))], NODE))
    letter = Command(uuid4(), run.id, CommandKind.SEND, datetime.now(UTC), {})
    with database.writing() as connection:
        commands.add(connection, letter)
    take_over(database, NODE, 3)
    with database.reading() as connection:
        answer = commands.answer_to(connection, letter.id)
        again = reading.run(connection, run.id)
    assert answer == Answer(Outcome.REFUSED, "its process died before it answered.")
    assert again is not None
    assert again.state.name == "AwaitingRetry"
    with database.writing() as connection:
        assert submissions.is_unclaimed(connection, run.id)
