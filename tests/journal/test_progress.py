"""A run read bit by bit: whenever one looks, all comes, once and in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from tests.journal.records import NOW, delivery_for, new_run, steps

from actwright.journal import queries, statements
from actwright.journal.batch import Batch, Entry
from actwright.journal.database import Database
from actwright.journal.progress import Entered, HookChanged, Progress, chunks
from actwright.journal.protocol import DeliveryChanged, Record, Transition
from actwright.journal.schema import metadata, runs
from actwright.models.deliveries import DeliveryStatus
from actwright.models.states import Completed, Running


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(tmp_path / "home" / "actwright.db")) as opened:
        yield opened


def write(database: Database, *records: Record) -> None:
    count = sum(isinstance(record, Transition) for record in records)
    with database.writing() as connection:
        statements.write(connection, Batch.of([Entry(records, ("{}",) * count)], "node-1"))


def look(database: Database, progress: Progress) -> list[Entered | HookChanged]:
    with database.reading() as connection:
        return progress.look(connection)


def states(events: Sequence[Entered | HookChanged]) -> list[tuple[UUID, str]]:
    return [(each.run.id, each.run.state.name) for each in events if isinstance(each, Entered)]


def statuses(events: Sequence[Entered | HookChanged]) -> list[str]:
    return [each.found.delivery.status.value for each in events if isinstance(each, HookChanged)]


def id_of(records: Sequence[Record]) -> UUID:
    first = records[0]
    assert isinstance(first, Transition)
    return first.run.id


@st.composite
def trees(draw: st.DrawFn) -> tuple[UUID, set[UUID], list[Record]]:
    """A run, the ids of its whole tree, and what it, its tree and strangers add to the journal."""
    lives = [steps(hooks=draw(st.integers(0, 2)))]
    root = id_of(lives[0])
    within = {root}
    for _ in range(draw(st.integers(0, 4))):
        parent = draw(st.sampled_from([None, *sorted(within)]))
        lives.append(steps(parent=parent, hooks=draw(st.integers(0, 2))))
        if parent is not None:
            within.add(id_of(lives[-1]))
    history: list[Record] = []
    begun = 0
    while any(lives):  # who is called comes after its caller
        place = draw(st.sampled_from([place for place, left in enumerate(lives) if left and place <= begun]))
        history.append(lives[place].pop(0))
        begun = max(begun, place + 1)
    return root, within, history


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(tree=trees(), data=st.data())
def test_whenever_one_looks_each_transition_of_the_tree_comes_once_and_all_ends_as_history_has_it(
    database: Database, tree: tuple[UUID, set[UUID], list[Record]], data: st.DataObject
) -> None:
    root, within, history = tree
    with database.writing() as connection:
        for table in metadata.tables.values():
            connection.execute(delete(table))
    progress = Progress(root)
    seen: list[Entered | HookChanged] = []
    is_there = False
    for record in history:
        write(database, record)
        is_there |= isinstance(record, Transition) and record.run.id == root
        if is_there and data.draw(st.booleans()):
            seen += look(database, progress)
    seen += look(database, progress)
    entered = [(each.run.id, each.run.state.name) for each in history if isinstance(each, Transition)]
    of_tree = [each for each in entered if each[0] in within]
    assert sorted(states(seen)) == sorted(of_tree)
    for run_id in within:
        assert [name for id, name in states(seen) if id == run_id] == ["Pending", "Running", "Completed"]
    assert set(progress.runs) == within
    assert {each.run.state.name for each in progress.runs.values()} == {"Completed"}
    assert {each.delivery.status for each in progress.deliveries.values()} <= {DeliveryStatus.SUCCEEDED}
    assert progress.is_over
    assert look(database, progress) == []


def test_it_is_over_when_the_run_is_final_and_no_hook_of_the_tree_is_open(database: Database) -> None:
    root = new_run()
    child = new_run(parent_flow_run_id=root.id)
    ended_child, ended = (
        run.entered(Running(timestamp=NOW)).entered(Completed(timestamp=NOW)) for run in (child, root)
    )
    due = delivery_for(ended_child)
    progress = Progress(root.id)
    write(database, Transition(root), Transition(child))
    assert statuses(look(database, progress)) == []
    assert not progress.is_over
    write(database, Transition(ended_child, (due,)), Transition(ended))
    assert statuses(look(database, progress)) == ["DUE"]
    assert not progress.is_over
    begun = due.started(NOW)
    write(database, DeliveryChanged(begun))
    assert statuses(look(database, progress)) == ["RUNNING"]
    write(database, DeliveryChanged(begun.succeeded(NOW)))
    assert statuses(look(database, progress)) == ["SUCCEEDED"]
    assert progress.is_over


def test_a_hook_that_waits_to_be_tried_again_is_still_open(database: Database) -> None:
    run = new_run().entered(Running(timestamp=NOW)).entered(Completed(timestamp=NOW))
    waits = delivery_for(run).started(NOW).changed(status=DeliveryStatus.DUE, ended_at=NOW, next_at=NOW)
    write(database, Transition(run, (waits,)))
    progress = Progress(run.id)
    look(database, progress)
    assert not progress.is_over


def test_a_run_that_was_deleted_is_not_there_any_more(database: Database) -> None:
    records = steps()
    write(database, *records)
    progress = Progress(id_of(records))
    look(database, progress)
    assert progress.root is not None
    with database.writing() as connection:
        connection.execute(delete(runs))
    look(database, progress)
    assert progress.root is None
    assert not progress.is_over


def test_the_ids_of_a_tree_are_those_of_all_that_was_called_at_any_depth(database: Database) -> None:
    root = new_run()
    child = new_run(parent_flow_run_id=root.id)
    grandchild, stranger = new_run(parent_flow_run_id=child.id), new_run()
    write(database, *map(Transition, (root, child, grandchild, stranger)))
    with database.reading() as connection:
        found = connection.scalars(queries.tree_of(str(root.id))).all()
    assert set(found) == {str(run.id) for run in (root, child, grandchild)}


def test_keys_are_taken_so_many_at_a_time() -> None:
    keys = [str(uuid4()) for _ in range(2_001)]
    pieces = list(chunks(keys))
    assert [len(piece) for piece in pieces] == [1_000, 1_000, 1]
    assert [key for piece in pieces for key in piece] == keys
    assert list(chunks([])) == []
