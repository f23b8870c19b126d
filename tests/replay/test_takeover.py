"""Taking over a node that died: one transaction, after which its process can add nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, insert
from tests.journal.records import NOW, new_run
from tests.replay.dead import DeadNode, dead_node, entering

from actwright import flow
from actwright.exceptions import Fenced, MissingResult, RecordedError
from actwright.journal import schema
from actwright.journal.checking import check
from actwright.journal.protocol import DeliveryChanged, Transition
from actwright.journal.sql_journal import SqlJournal
from actwright.models.deliveries import DeliveryStatus
from actwright.models.states import Cancelling, Completed, Failed, Pending, Running
from actwright.replay import takeover
from actwright.replay.takeover import take_over


@pytest.fixture
def node(tmp_path: Path) -> Iterator[DeadNode]:
    with dead_node(tmp_path) as dead:
        yield dead


def tell(subject: object, run: object, state: object) -> None: ...
def also(subject: object, run: object, state: object) -> None: ...


@flow(on_running=[tell], on_failure=[tell, also], on_crashed=[tell, also], on_cancellation=[tell], on_end=[also])
def subject() -> None: ...


def test_open_runs_end_children_first_and_what_that_makes_due_is_due_after_what_was_due_before(node: DeadNode) -> None:
    parent, _, of_parent = entering(Running(), subject)
    child, _, of_child = entering(Running(), subject, run=new_run(parent_flow_run_id=parent.id))
    failed, dues, of_failed = entering(Failed(), subject)
    node.write(*of_parent, *of_child, *of_failed)
    before = node.entered()
    found = take_over(node.database, node.id, 3)
    assert node.entered() == [*before, (child.id, "Crashed"), (parent.id, "Crashed")]
    assert [(each.run.id, each.delivery.event, each.delivery.hook_name) for each in found.due] == [
        *[(failed.id, due.event, due.hook_name) for due in dues],
        *[(child.id, "on_crashed", "tell"), (child.id, "on_crashed", "also"), (child.id, "on_end", "also")],
        *[(parent.id, "on_crashed", "tell"), (parent.id, "on_crashed", "also"), (parent.id, "on_end", "also")],
    ]
    assert [each.hook.name for each in found.due] == [each.delivery.hook_name for each in found.due]
    assert check(node.database) == []


def test_why_a_run_crashed_names_the_process_and_what_the_run_was(node: DeadNode) -> None:
    _, _, records = entering(Running(), subject)
    node.write(*records)
    found = take_over(node.database, node.id, 3)
    message = found.due[0].run.state.message
    assert message == f"Its process (pid {found.node.pid} on {found.node.host}) died. It was Running."


def test_runs_that_were_final_and_deliveries_that_had_ended_stay_as_they_are(node: DeadNode) -> None:
    failed, dues, records = entering(Failed(cause=ValueError("no")), subject)
    ended = [
        dues[0].started(NOW).succeeded(NOW),
        dues[1].skipped(NOW, "why not"),
        dues[2].started(NOW).failed(NOW, "x"),
    ]
    completed, _, more = entering(Completed(), subject)
    node.write(*records, *map(DeliveryChanged, ended), *more)
    before = node.deliveries()
    found = take_over(node.database, node.id, 3)
    assert node.states() == {failed.id: "Failed", completed.id: "Completed"}
    changed = {each.delivery.id for each in found.due}
    assert {key: kept for key, kept in node.deliveries().items() if key not in changed} == {
        key: kept for key, kept in before.items() if key not in changed
    }
    assert changed.isdisjoint(due.id for due in ended)


def test_a_run_whose_cancel_was_committed_ends_in_cancelled(node: DeadNode) -> None:
    run, dues, records = entering(Cancelling(message="as asked"), subject)
    node.write(*records)
    found = take_over(node.database, node.id, 3)
    assert node.states() == {run.id: "Cancelled"}
    assert [each.delivery.event for each in found.due] == ["on_cancellation", "on_end"]
    assert found.due[0].delivery.id == dues[0].id
    assert found.due[0].run.state.name == "Cancelling"


@pytest.mark.parametrize(
    ("kind", "payload", "becomes"),
    [
        ("cancel", '{"reason": "as asked"}', "Cancelled"),
        ("cancel", '{"reason": 5}', "Cancelled"),
        ("cancel", "{}", "Cancelled"),
        ("cancel", "no JSON", "Crashed"),
        ("cancel", "[1]", "Crashed"),
        ("pause", "{}", "Crashed"),
    ],
)
def test_whatever_was_asked_of_a_run_its_node_is_recovered(
    node: DeadNode, kind: str, payload: str, becomes: str
) -> None:
    run, _, records = entering(Running(), subject)
    node.write(*records)
    row = {"id": str(uuid4()), "run_id": str(run.id), "kind": kind, "payload": payload, "at": NOW.isoformat()}
    with node.database.writing() as connection:
        connection.execute(insert(schema.commands).values(row))
    take_over(node.database, node.id, 3)
    assert node.states() == {run.id: becomes}


def test_a_run_that_had_not_begun_crashes_too(node: DeadNode) -> None:
    run, _, records = entering(Pending(), subject)
    node.write(*records)
    take_over(node.database, node.id, 3)
    assert node.states() == {run.id: "Crashed"}


def test_a_hook_gets_the_state_of_its_transition_with_the_cause_as_it_was_kept(node: DeadNode) -> None:
    _, _, records = entering(Failed(message="it broke", cause=ValueError("no")), subject)
    node.write(*records)
    state = take_over(node.database, node.id, 3).due[0].run.state
    assert (state.name, state.message) == ("Failed", "it broke")
    assert isinstance(state.cause, RecordedError)


def test_an_on_running_that_had_not_begun_is_skipped_and_one_under_way_is_replayed(node: DeadNode) -> None:
    _, not_begun, records = entering(Running(), subject)
    _, begun, more = entering(Running(), subject, begun=1)
    node.write(*records, *more)
    found = take_over(node.database, node.id, 3)
    assert node.deliveries()[not_begun[0].id][0] == DeliveryStatus.SKIPPED
    assert node.deliveries()[begun[0].id] == (DeliveryStatus.DUE, 1, 1)
    assert [each.delivery.id for each in found.due if each.delivery.event == "on_running"] == [begun[0].id]


def test_taken_over_again_it_changes_nothing_but_what_was_under_way(node: DeadNode) -> None:
    _, _, records = entering(Running(), subject)
    node.write(*records)
    first = take_over(node.database, node.id, 3)
    entered, deliveries = node.entered(), node.deliveries()
    second = take_over(node.database, node.id, 3)
    assert (node.entered(), node.deliveries()) == (entered, deliveries)
    assert [each.delivery for each in second.due] == [each.delivery for each in first.due]
    assert (first.node.epoch, second.node.epoch) == (2, 3)


def test_a_hook_that_ends_its_process_each_time_is_given_up(node: DeadNode) -> None:
    _, dues, records = entering(Failed(), subject, begun=1)
    node.write(*records)
    for _ in range(4):
        found = take_over(node.database, node.id, 3)
        node.write(DeliveryChanged(found.due[0].delivery.started(NOW)))
    found = take_over(node.database, node.id, 3)
    assert [each.delivery.id for each in found.due] == [due.id for due in dues[1:]]
    assert node.deliveries()[dues[0].id] == (DeliveryStatus.FAILED, 5, 5)


def test_many_runs_are_read_by_as_few_statements_as_one(node: DeadNode) -> None:
    def taking_over() -> int:
        reads = list[str]()

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            reads.extend([statement] if statement.startswith("SELECT") else [])

        event.listen(node.database.engine, "before_cursor_execute", note)
        take_over(node.database, node.id, 3)
        event.remove(node.database.engine, "before_cursor_execute", note)
        return len(reads)

    node.write(*entering(Running(), subject)[2], *entering(Failed(), subject)[2])
    once = taking_over()
    for _ in range(20):
        node.write(*entering(Running(), subject)[2], *entering(Failed(), subject)[2])
    assert taking_over() == once


# What cannot be read


UNREADABLE = "1" * 5000
"""JSON, and a number of more digits than Python reads."""


@pytest.mark.parametrize("column", ["parameters", "result"])
def test_a_value_that_cannot_be_read_is_missing_and_keeps_nobody_from_running(node: DeadNode, column: str) -> None:
    done, _, records = entering(Completed(), flow(subject.fn, name="done", on_completion=[tell]))
    run, _, more = entering(Running(), subject)
    node.write(*records, *more)
    unreadable = f'{{"value": {UNREADABLE}}}'
    with node.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET {column} = ?", (unreadable,))
    found = take_over(node.database, node.id, 3)
    assert node.states() == {done.id: "Completed", run.id: "Crashed"}
    assert len(found.due) == 4
    of_done = found.due[0].run
    missing = of_done.state.data if column == "result" else of_done.parameters["value"]
    assert isinstance(missing, MissingResult)
    assert "digits" in str(missing)


def test_a_cause_that_cannot_be_read_says_so(node: DeadNode) -> None:
    _, _, records = entering(Failed(cause=ValueError("no")), subject)
    node.write(*records)
    with node.database.writing() as connection:
        connection.exec_driver_sql("UPDATE transitions SET cause = '{' WHERE cause IS NOT NULL")
    assert "cannot be read from history" in str(take_over(node.database, node.id, 3).due[0].run.state.cause)


UNREADABLE_COLUMNS = [
    ("tags", "nightly"),
    *((column, b"\xff") for column in ("name", "subject_name", "state_name", "state_message", "state_type")),
    *((column, "x") for column in ("state_at", "expected_start_at", "started_at", "run_count")),
    *((column, "x") for column in ("parent_flow_run_id", "parent_task_run_id")),
]


@pytest.mark.parametrize(("column", "value"), UNREADABLE_COLUMNS, ids=[column for column, _ in UNREADABLE_COLUMNS])
def test_a_column_that_cannot_be_read_is_found_by_a_check_and_keeps_no_hook_from_running(
    node: DeadNode, column: str, value: Any
) -> None:
    run, _, records = entering(Running(), subject)
    other, _, more = entering(Running(), subject)
    node.write(*records, *more)
    with node.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET {column} = ? WHERE id = ?", (value, str(run.id)))
    (finding, *_) = check(node.database)
    assert finding.subject == f"run {run.id}"
    found = take_over(node.database, node.id, 3)
    assert {each.run.id for each in found.due} == {run.id, other.id}
    assert node.states() == {run.id: "Crashed", other.id: "Crashed"}


def test_hooks_whose_registration_cannot_be_read_fail_with_the_reason_and_others_are_due(node: DeadNode) -> None:
    _, lost, records = entering(Failed(), subject)
    _, kept, more = entering(Failed(), flow(subject.fn, name="other", on_failure=[tell]))
    node.write(*records, *more)
    with node.database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE stored_objects SET payload = X'7B' "
            "WHERE hash = (SELECT registration FROM runs WHERE subject_name = 'subject')"
        )
    found = take_over(node.database, node.id, 3)
    assert [each.delivery.id for each in found.due] == [kept[0].id]
    assert {node.deliveries()[due.id][0] for due in lost} == {DeliveryStatus.FAILED}


def test_one_that_is_given_up_is_due_until_that_is_told(node: DeadNode) -> None:
    _, dues, records = entering(Failed(), subject, begun=1, on_hook_failure=tell)
    node.write(*records)
    node.write(DeliveryChanged(dues[0].changed(cuts=4, attempt=5)))
    for deaths in range(5):
        first = take_over(node.database, node.id, 3).due[0].delivery
        assert (first.id, first.status, first.untold) == (dues[0].id, DeliveryStatus.DUE, deaths)
        node.write(DeliveryChanged(first.telling()))
    found = take_over(node.database, node.id, 3)
    assert [each.delivery.id for each in found.due] == [due.id for due in dues[1:]]
    assert node.deliveries()[dues[0].id] == (DeliveryStatus.FAILED, 5, 5)


# All or nothing


def test_a_takeover_that_is_cut_short_has_not_happened(node: DeadNode, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, records = entering(Failed(), subject, begun=1)
    run, _, more = entering(Running(), subject)
    node.write(*records, *more)
    before = node.entered(), node.deliveries(), node.epoch

    def cut(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(takeover, "open_deliveries", _after(1, cut))
    with pytest.raises(KeyboardInterrupt):
        take_over(node.database, node.id, 3)
    assert (node.entered(), node.deliveries(), node.epoch) == before
    assert node.states()[run.id] == "Running"


def _after(calls: int, then: Any) -> Any:
    """`open_deliveries` for so many calls, and then another function."""
    real, made = takeover.open_deliveries, list[None]()

    def called(*args: Any) -> Any:
        made.append(None)
        return real(*args) if len(made) <= calls else then(*args)

    return called


def test_what_the_old_process_still_adds_is_refused(node: DeadNode) -> None:
    run, _, records = entering(Running(), subject)
    node.write(*records)
    stopped = SqlJournal(node.database, node.id, node.epoch)
    take_over(node.database, node.id, 3)
    stopped.append(Transition(run.entered(Completed())))
    stopped.close()
    with pytest.raises(Fenced):
        stopped.check()
    assert node.states() == {run.id: "Crashed"}


def test_a_node_that_is_not_there_is_named(node: DeadNode) -> None:
    with pytest.raises(LookupError, match=r"There is no node nobody in .*actwright\.db"):
        take_over(node.database, "nobody", 3)


def test_runs_of_other_nodes_are_left_alone(node: DeadNode) -> None:
    run, dues, records = entering(Failed(), subject)
    node.write(*records)
    with node.database.writing() as connection:
        connection.exec_driver_sql("UPDATE runs SET node_id = 'other'")
        connection.exec_driver_sql("UPDATE hook_deliveries SET node_id = 'other'")
    found = take_over(node.database, node.id, 3)
    assert found.due == []
    assert node.deliveries() == {due.id: (DeliveryStatus.DUE, 0, 0) for due in dues}
    assert node.states() == {run.id: "Failed"}
