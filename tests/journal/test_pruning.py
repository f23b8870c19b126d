"""What is over is deleted, and nothing else is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select
from tests.journal.history import LONG_AGO, NODE, Author, counted
from tests.journal.records import new_run

from actwright import flow
from actwright.authoring.registration import Registration
from actwright.journal.database import Database
from actwright.journal.protocol import Transition
from actwright.journal.pruning import Counts, prune, size_of_next_slice
from actwright.journal.schema import nodes, runs, stored_objects, variables
from actwright.journal.sql_journal import SqlJournal
from actwright.journal.upkeep import check
from actwright.models.states import Completed, Running

NOW = datetime(2020, 2, 1, tzinfo=UTC)
RECENTLY = "2020-02-01T00:00:00.000001+00:00"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(tmp_path / "actwright.db")) as opened:
        yield opened


def left(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.scalars(select(runs.c.id).order_by(runs.c.id)))


def test_a_finished_run_goes_with_all_that_belongs_to_it_and_all_that_it_called(database: Database) -> None:
    with database.writing() as connection:
        author = Author(connection)
        author.node()
        for run_id, caller in (("flow", None), ("task", "flow"), ("subflow", "task"), ("its task", "subflow")):
            author.run(run_id, **({"task": caller} if caller == "task" else {"caller": caller}))
            author.delivery(run_id)
            author.delivery(run_id, "SKIPPED")
            author.log(run_id)
            author.command(run_id)
    gone = Counts(runs=4, transitions=12, hook_deliveries=8, commands=4, logs=4, nodes=1)
    assert prune(database, NOW) == gone
    assert counted(database) == {}
    assert prune(database, NOW) == Counts()


def test_a_run_that_ended_later_stays_whatever_the_time_zone_of_the_limit(database: Database) -> None:
    with database.writing() as connection:
        Author(connection).run("old", ended_at="2020-01-31T23:59:59.999999+00:00")
        Author(connection).run("just", ended_at="2020-02-01T00:00:00.000000+00:00")
        Author(connection).run("new", ended_at=RECENTLY)
    prune(database, NOW.astimezone(datetime.now().astimezone().tzinfo))
    assert left(database) == ["just", "new"]


@pytest.mark.parametrize("status", ["FAILED", "DUE", "RUNNING"])
@pytest.mark.parametrize("whose", ["flow", "task"])
def test_a_delivery_that_did_not_end_well_keeps_all_that_it_belongs_to(
    database: Database, status: str, whose: str
) -> None:
    with database.writing() as connection:
        author = Author(connection)
        author.run("flow")
        author.run("task", caller="flow")
        author.run("another task", caller="flow")
        author.delivery(whose, status)
        author.log("flow")
    before = counted(database)
    assert prune(database, NOW) == Counts()
    assert counted(database) == before


def test_what_has_not_ended_stays_with_its_caller(database: Database) -> None:
    with database.writing() as connection:
        author = Author(connection)
        author.run("open", "PENDING", "RUNNING", ended_at=None)
        author.run("its task", caller="open")
        author.run("over")
        author.run("still open", "PENDING", "RUNNING", ended_at=None, caller="over")
    prune(database, NOW)
    assert left(database) == ["its task", "open", "over", "still open"]


def test_what_is_no_history_stays(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(insert(variables).values(name="mine", value="1", updated_at=LONG_AGO))
    prune(database, NOW)
    assert counted(database) == {"variables": 1}


def test_logs_without_a_run_go_when_they_are_old(database: Database) -> None:
    with database.writing() as connection:
        author = Author(connection)
        author.run("new", ended_at=RECENTLY)
        author.log("new")
        author.log("gone")
        author.log("not here yet", at=RECENTLY)
    assert prune(database, NOW) == Counts(logs=1)
    assert counted(database)["logs"] == 2


def test_a_node_goes_when_it_is_settled_and_has_no_run_left(database: Database) -> None:
    with database.writing() as connection:
        author = Author(connection)
        author.node("open", settled_at=None)
        author.node("settled lately", settled_at=RECENTLY)
        author.node("settled")
    assert prune(database, NOW) == Counts(nodes=1)


def test_stored_objects_stay_as_long_as_a_run_leads_to_them(database: Database) -> None:
    registration, payload, unused = ("a" * 64, "b" * 64, "c" * 64)
    with database.writing() as connection:
        author = Author(connection)
        author.stored(payload, "pickled")
        author.stored(registration, f'{{"hooks": [{{"where": "{payload}"}}]}}')
        author.stored(unused)
        author.run("old")
        author.run("new", ended_at=RECENTLY, registration=registration)
    assert prune(database, NOW).stored_objects == 1
    assert counted(database)["stored_objects"] == 2
    assert prune(database, NOW + timedelta(days=1)).stored_objects == 2


def test_stored_objects_go_also_while_a_node_is_open_and_it_is_told(database: Database) -> None:
    with database.writing() as connection:
        author = Author(connection)
        author.node("over", settled_at=RECENTLY)
        author.node(settled_at=None)
        author.stored("a" * 64)
    assert prune(database, NOW) == Counts(stored_objects=1)
    with database.reading() as connection:
        told = connection.execute(select(nodes.c.id, nodes.c.prunings)).all()
    assert sorted(told) == [(NODE, 1), ("over", 0)]
    assert prune(database, NOW) == Counts()


def test_a_program_whose_objects_were_deleted_stores_them_again_for_its_next_run(database: Database) -> None:
    def by_value(*_: object) -> None: ...

    registration = Registration.of(flow(print, on_end=[by_value]), {})
    with database.writing() as connection:
        Author(connection).node(settled_at=None)
    with closing(SqlJournal(database, NODE, 1)) as journal:
        for _ in range(2):
            run = new_run()
            for state in (run.state, Running(), Completed(timestamp=NOW)):
                run = run.entered(state)
                journal.append(Transition(run, registration=registration))
            assert journal.flush()
            assert counted(database)["stored_objects"] == 1 + len(registration.payloads) > 1
            assert check(database) == []
            assert prune(database, NOW + timedelta(days=1)).stored_objects == 1 + len(registration.payloads)
    assert check(database) == []


def test_stored_objects_stay_that_a_run_has_come_to_refer_to_since_they_were_looked_up(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found is deleted in slices; it happens between two of them."""
    payload, registration = ("e" * 64, "f" * 64)
    with database.writing() as connection:
        author = Author(connection)
        author.node(settled_at=None)
        author.run("new", ended_at=RECENTLY)
        for number in range(100):
            author.stored(f"{number:064x}")
        author.stored(payload)
        author.stored(registration, f'{{"hooks": [{{"where": "{payload}"}}]}}')
    begun: list[str] = []

    def begin(_: float) -> None:
        if not begun:
            with database.writing() as connection:
                begun.append(Author(connection).run("begun", ended_at=None, registration=registration))

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", begin)
        assert prune(database, NOW).stored_objects == 100
    with database.reading() as connection:
        assert set(connection.scalars(select(stored_objects.c.hash))) == {payload, registration}


def test_pruning_that_is_cut_short_leaves_a_journal_as_it_should_be(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.writing() as connection:
        for number in range(30):
            Author(connection).run(f"{number}", caller=f"{number - 1}" if number else None)
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", _cut)
        with pytest.raises(InterruptedError):
            prune(database, NOW)
    assert 0 < len(left(database)) < 30
    assert check(database) == []
    prune(database, NOW)
    assert left(database) == []


def _cut(_: float) -> None:
    """In the pause after the first slice."""
    raise InterruptedError


@pytest.mark.slow
def test_many_runs_go_while_others_write_and_none_of_these_waits_for_long(database: Database) -> None:
    with database.writing() as connection:
        author = Author(connection)
        for number in range(100):
            author.run(f"flow {number}")
            for task in range(10):
                author.run(f"flow {number} task {task}", caller=f"flow {number}")
                author.delivery(f"flow {number} task {task}")
    done = threading.Event()
    waits: list[float] = []

    def write() -> None:
        while not done.wait(0.001):  # busy, as a program is; one that never lets go would keep the pruning waiting
            began = time.monotonic()
            with database.writing() as connection:
                Author(connection).run(f"new {len(waits)}", ended_at=RECENTLY)
            waits.append(time.monotonic() - began)

    writer = threading.Thread(target=write)
    writer.start()
    gone = prune(database, NOW)
    done.set()
    writer.join()
    assert gone.runs == 1_100
    assert len(left(database)) == len(waits) > 5
    assert max(waits) < 1.0
    assert check(database) == []


@given(size=st.integers(1, 1_000), took=st.floats(0, 10))
def test_slices_grow_while_they_are_quick_and_shrink_when_they_were_slow(size: int, took: float) -> None:
    following = size_of_next_slice(size, took)
    assert 1 <= following <= 1_000
    assert following <= size if took > 0.02 else following >= size


ENDINGS = st.sampled_from([LONG_AGO, RECENTLY, None])
STATUSES = st.sampled_from(["SUCCEEDED", "SKIPPED", "FAILED", "DUE", "RUNNING", None])


@settings(max_examples=60)
@given(forest=st.lists(st.tuples(st.integers(-3, 8), ENDINGS, STATUSES), max_size=12))
def test_a_tree_of_runs_goes_whole_or_stays_whole(
    tmp_path_factory: pytest.TempPathFactory, forest: list[tuple[int, str | None, str | None]]
) -> None:
    """Against the plain reading: a run is called by an earlier one, or by nobody."""
    callers = [
        min(caller, number - 1) if caller >= 0 and number else -1 for number, (caller, _, _) in enumerate(forest)
    ]

    def root(number: int) -> int:
        return number if callers[number] < 0 else root(callers[number])

    with closing(Database.open(tmp_path_factory.mktemp("forest") / "actwright.db")) as database:
        with database.writing() as connection:
            for number, (_, ended_at, status) in enumerate(forest):
                states = () if ended_at else ("PENDING", "RUNNING")
                caller = None if callers[number] < 0 else f"{callers[number]:02}"
                Author(connection).run(f"{number:02}", *states, caller=caller, ended_at=ended_at)
                if status is not None:
                    Author(connection).delivery(f"{number:02}", status)
        prune(database, NOW)
        keeps = {
            root(number)
            for number, (_, ended_at, status) in enumerate(forest)
            if ended_at is None or status in ("FAILED", "DUE", "RUNNING")
        } | {
            number for number, (_, ended_at, _) in enumerate(forest) if ended_at == RECENTLY and root(number) == number
        }
        assert left(database) == [f"{number:02}" for number in range(len(forest)) if root(number) in keeps]
        assert check(database) == []
