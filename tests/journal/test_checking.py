"""A journal that is as it should be gives no finding; each thing that cannot be gives one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from tests.journal.history import AWAITING_RETRY, LONG_AGO, Author, named

from actwright.journal import keeping
from actwright.journal.checking import check
from actwright.journal.database import Database
from actwright.journal.invariants import DeliveryRow, Entry, broken_in_delivery, broken_in_history
from actwright.journal.schema import hook_deliveries, runs
from actwright.models.transitions import TABLE


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(tmp_path / "actwright.db")) as opened:
        yield opened


def found(database: Database) -> list[tuple[str, str]]:
    return [(finding.rule, finding.subject) for finding in check(database)]


def test_a_journal_as_it_should_be_gives_no_finding(database: Database) -> None:
    with database.writing() as connection:
        author = Author(connection)
        author.node()
        author.node("open", settled_at=None)
        author.stored("a" * 64)
        author.run("flow", registration="a" * 64)
        author.run("task", "SCHEDULED", "RUNNING", AWAITING_RETRY, "RUNNING", "FAILED", caller="flow")
        author.run("subflow", "PENDING", "CANCELLING", "CANCELLED", task="task")
        for status in ("SUCCEEDED", "FAILED", "SKIPPED"):
            author.delivery("flow", status)
        author.delivery("task", "DUE", node_id="open")
        author.delivery("subflow", "DUE", node_id="open", attempt=1, started_at=LONG_AGO, ended_at=LONG_AGO)
        author.delivery("task", "RUNNING", node_id="open")
        keeping.set_variable(connection, "v", None, overwrite=False)
        keeping.set_block(connection, "till", "main", "{}", overwrite=False)
    assert check(database) == []


Writing = Callable[[Author], object]


def _without_history(author: Author) -> None:
    author.run("flow")
    author.connection.exec_driver_sql("DELETE FROM transitions")


def _run_with(**columns: Any) -> Writing:
    def write(author: Author) -> None:
        author.run("flow")
        author.connection.execute(update(runs).values(**columns))

    return write


def _delivery_with(**columns: Any) -> Writing:
    def write(author: Author) -> None:
        author.delivery(author.run("flow"))
        author.connection.execute(update(hook_deliveries).values(**columns))

    return write


def _called_before_its_caller(author: Author) -> None:
    author.run("flow", caller="later")
    author.run("later")


def _orphaned_transitions(author: Author) -> None:
    author.run("flow")
    author.connection.exec_driver_sql("DELETE FROM runs")


def _open_in_a_settled_node(author: Author) -> None:
    author.node()
    author.run("flow", "PENDING", "RUNNING", ended_at=None)


def _due_in_a_settled_node(author: Author) -> None:
    author.node()
    author.delivery(author.run("flow"), "DUE", id="delivery")


def _kept_with(damage: str) -> Writing:
    def write(author: Author) -> None:
        for name in ("a", "b"):
            keeping.set_variable(author.connection, name, 1, overwrite=False)
            keeping.set_block(author.connection, "till", name, "{}", overwrite=False)
        author.connection.exec_driver_sql(f"UPDATE variables SET value = {damage} WHERE name = 'a'")
        author.connection.exec_driver_sql(f"UPDATE blocks SET document = {damage} WHERE name = 'b'")

    return write


def _kept_by_no_text(author: Author) -> None:
    keeping.set_variable(author.connection, "a", 1, overwrite=False)
    keeping.set_block(author.connection, "till", "a", "{}", overwrite=False)
    for table in ("variables", "blocks"):
        author.connection.exec_driver_sql(f"UPDATE {table} SET name = CAST(x'ff' AS TEXT)")


BROKEN: dict[str, tuple[Writing, list[tuple[str, str]]]] = {
    "no history": (_without_history, [("a run has a history", "run flow")]),
    "begins in Running": (
        lambda author: author.run("flow", "RUNNING", "COMPLETED"),
        [("a run begins in Scheduled or Pending", "run flow")],
    ),
    "begins in AwaitingRetry": (
        lambda author: author.run("flow", AWAITING_RETRY, "RUNNING", "COMPLETED"),
        [("a run begins in Scheduled or Pending", "run flow")],
    ),
    "goes on after its end": (
        lambda author: author.run("flow", "PENDING", "RUNNING", "COMPLETED", "CRASHED"),
        [("what may follow what", "run flow")],
    ),
    "ends twice": (
        lambda author: author.run("flow", "PENDING", "RUNNING", "COMPLETED", "COMPLETED"),
        [("what may follow what", "run flow")],
    ),
    "an unknown state": (lambda author: author.run("flow", "PENDING", "ASLEEP"), [("states are known", "run flow")]),
    "another state than the last": (
        _run_with(state_type="FAILED", state_name="Failed"),
        [("a run is in the state it last entered", "run flow")],
    ),
    "another state's id": (_run_with(state_id="x"), [("a run is in the state it last entered", "run flow")]),
    "another attempt": (_run_with(run_count=2), [("a run is in the state it last entered", "run flow")]),
    "final without an end": (_run_with(ended_at=None), [("a run has ended when its state is final", "run flow")]),
    "an end, and not final": (
        lambda author: author.run("flow", "PENDING"),
        [("a run has ended when its state is final", "run flow")],
    ),
    "no caller": (_run_with(parent_flow_run_id="gone"), [("a run's caller came before it", "run flow")]),
    "no calling task": (_run_with(parent_task_run_id="gone"), [("a run's caller came before it", "run flow")]),
    "called before its caller": (_called_before_its_caller, [("a run's caller came before it", "run flow")]),
    "transitions without a run": (
        _orphaned_transitions,
        [("a transition has its run", f"transition flow/{number}") for number in range(3)],
    ),
    "a delivery without its transition": (
        _delivery_with(transition_id="gone"),
        [("a delivery has its transition", "delivery flow/SUCCEEDED")],
    ),
    "a delivery of another run's transition": (
        lambda author: (author.run("flow"), author.run("other"), author.delivery("flow", transition_id="other/0")),
        [("a delivery has its transition", "delivery flow/SUCCEEDED")],
    ),
    "a delivery that succeeded and never ended": (
        _delivery_with(ended_at=None),
        [("a delivery's status agrees with its times", "delivery flow/SUCCEEDED")],
    ),
    "a delivery that succeeded and waits to be retried": (
        _delivery_with(next_at=LONG_AGO),
        [("a delivery's status agrees with its times", "delivery flow/SUCCEEDED")],
    ),
    "hooks that are not stored": (_run_with(registration="a" * 64), [("a run's hooks are stored", "run flow")]),
    "open in a settled node": (_open_in_a_settled_node, [("a settled node has nothing open", "run flow")]),
    "a value and a document that are no JSON": (
        _kept_with("'{'"),
        [("a variable can be read", "variable a"), ("a block can be read", "block till/b")],
    ),
    "a value and a document that are no text": (
        _kept_with("CAST(x'ff' AS TEXT)"),
        [("a variable can be read", "variable a"), ("a block can be read", "block till/b")],
    ),
    "a document that is no object": (_kept_with("'[]'"), [("a block can be read", "block till/b")]),
    "names that are no text": (
        _kept_by_no_text,
        [("a variable can be read", "variable (unreadable)"), ("a block can be read", "block till/(unreadable)")],
    ),
    "due in a settled node": (_due_in_a_settled_node, [("a settled node has nothing open", "delivery delivery")]),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_cannot_be_is_found_and_nothing_else(database: Database, broken: str) -> None:
    write, findings = BROKEN[broken]
    with database.writing() as connection:
        write(Author(connection))
    assert found(database) == findings


def test_a_finding_reads_as_a_sentence(database: Database) -> None:
    with database.writing() as connection:
        Author(connection).run("flow", "PENDING", "RUNNING", "COMPLETED", "CRASHED")
    said = "run flow: Crashed came after Completed (what may follow what)"
    assert [str(finding) for finding in check(database)] == [said]


def test_damaged_pages_are_found_and_nothing_is_said_of_rows_then(tmp_path: Path) -> None:
    path = tmp_path / "actwright.db"
    with closing(Database.open(path)) as database, database.writing() as connection:
        for number in range(100):
            Author(connection).run(f"flow {number}")
    with closing(sqlite3.connect(path)) as connection:
        # An index that lost what its table has.
        connection.execute("PRAGMA writable_schema = ON")
        sql = "SELECT sql FROM sqlite_master WHERE name = 'runs_by_start'"
        without = connection.execute(sql).fetchone()[0] + " WHERE id = 'flow 1'"
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'runs_by_start'", (without,))
        connection.commit()
    with closing(Database.open(path)) as database:
        findings = check(database)
    assert {(finding.rule, finding.subject) for finding in findings} == {("the file is whole", str(path))}
    assert "runs_by_start" in findings[0].detail


TYPES = [*(row for row in TABLE if row != "AWAITING_RETRY"), AWAITING_RETRY, "ASLEEP"]


def row(state: str) -> str:
    return "AWAITING_RETRY" if state == AWAITING_RETRY else state


@given(states=st.lists(st.sampled_from(TYPES), min_size=1, max_size=6))
def test_a_history_is_broken_where_the_table_of_transitions_says_so(states: list[str]) -> None:
    entries = [Entry(str(number), *named(state), 1) for number, state in enumerate(states)]
    is_final = row(states[-1]) in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")
    legal = (
        row(states[0]) in ("PENDING", "SCHEDULED")
        and "ASLEEP" not in states
        and all(row(after) in TABLE[row(before)] for before, after in pairwise(states))
    )
    findings = list(broken_in_history("run", entries[-1], LONG_AGO if is_final else None, entries))
    assert (findings == []) == legal


times = st.sampled_from([None, LONG_AGO])


@given(
    status=st.sampled_from(["DUE", "RUNNING", "SUCCEEDED", "FAILED", "SKIPPED", "LOST"]),
    attempt=st.integers(0, 2), started_at=times, ended_at=times, error=st.sampled_from([None, "no"]),
)  # fmt: skip
def test_a_delivery_that_runs_or_succeeded_was_begun_and_one_that_ended_has_an_end(
    status: str, attempt: int, started_at: str | None, ended_at: str | None, error: str | None
) -> None:
    findings = list(broken_in_delivery(DeliveryRow("one", status, attempt, started_at, ended_at, error)))
    if status in ("RUNNING", "SUCCEEDED") and not (started_at and attempt):
        assert findings
    if status in ("SUCCEEDED", "FAILED", "SKIPPED") and not ended_at:
        assert findings
    if status == "RUNNING" and ended_at:
        assert findings
    if status == "LOST":
        assert findings
    if started_at and attempt and status in ("DUE", "SUCCEEDED", "FAILED", "SKIPPED") and ended_at and error:
        assert findings == []
