"""The journal in a database: what it keeps, what it promises of its file, its fence, and when it cannot write."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Connection, event, select, update
from tests.journal.history import Author, counted
from tests.journal.records import NOW, delivery_for, histories, new_run, steps

from actwright import flow
from actwright.authoring.registration import Registration
from actwright.exceptions import Fenced, JournalUnavailable
from actwright.journal import queue, sql_journal
from actwright.journal.checking import check
from actwright.journal.database import Database
from actwright.journal.memory import MemoryJournal
from actwright.journal.protocol import DeliveryChanged, Journal, LogLine, Record, Transition
from actwright.journal.schema import nodes, runs, stored_objects
from actwright.journal.sql_journal import JournalLimits, SqlJournal
from actwright.models.runs import FlowRun, TaskRun
from actwright.models.states import Failed, Running

WATCHDOG_SECONDS = 20
NODE = "node-1"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(tmp_path / "home" / "actwright.db", busy_seconds=0.05)) as opened:
        with opened.writing() as connection:
            Author(connection).node(NODE, settled_at=None)
        yield opened


@contextmanager
def opened(database: Database, node_id: str = NODE, **options: Any) -> Generator[SqlJournal]:
    journal = SqlJournal(database, node_id, 1, **options)
    try:
        yield journal
    finally:
        journal.close(0.5)


@pytest.fixture
def journal(database: Database) -> Iterator[SqlJournal]:
    with opened(database) as journal:
        yield journal


def commit(journal: SqlJournal, *records: Record) -> None:
    """Append, and wait until it is committed."""
    committed: Future[None] = Future()
    journal.append(*records, committed=lambda: committed.set_result(None))
    committed.result(WATCHDOG_SECONDS)


# What it keeps


def told(journal: Journal) -> dict[str, Any]:
    """Everything that a journal can be asked about runs."""

    def seen(run: FlowRun | TaskRun) -> Any:
        return run.model_dump(), run.state.id

    listed = journal.runs()
    return {
        "runs": [seen(run) for run in listed],
        "each": [seen(found) for run in listed if (found := journal.run(run.id))],
        "transitions": [[(seen(step.run), step.deliveries) for step in journal.transitions(run.id)] for run in listed],
        "deliveries": journal.deliveries(),
        "of each": [journal.deliveries(run.id) for run in listed],
    }


_node_numbers = count()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(appends=histories())
def test_it_tells_the_same_as_a_journal_in_memory(tmp_path: Path, appends: list[tuple[Record, ...]]) -> None:
    model = MemoryJournal()
    with closing(Database.open(tmp_path / f"home-{next(_node_numbers)}" / "actwright.db")) as database:
        with database.writing() as connection:
            Author(connection).node(NODE, settled_at=None)
        with opened(database) as journal:
            for records in appends:
                journal.append(*records)
                model.append(*records)
            found, expected = told(journal), told(model)
            # In memory each step keeps its deliveries as they became due; the rows tell them as they now are.
            assert [[run for run, _ in each] for each in found.pop("transitions")] == [
                [run for run, _ in each] for each in expected.pop("transitions")
            ]
            assert found == expected
            assert check(database) == []


def test_what_is_asked_includes_what_was_appended_a_moment_ago(journal: SqlJournal) -> None:
    run = new_run()
    journal.append(Transition(run))
    assert journal.run(run.id) == run or journal.runs()[0].id == run.id
    assert journal.appended == 1
    assert journal.is_durable


def test_parameters_are_those_of_the_moment_of_the_call(journal: SqlJournal) -> None:
    given: dict[str, Any] = {"numbers": [1]}
    run = new_run(parameters=given)
    journal.append(Transition(run))
    given["numbers"].append(2)
    journal.append(Transition(run.entered(Running())))
    found = journal.run(run.id)
    assert found is not None
    assert found.parameters == {"numbers": [1]}


def test_text_that_no_database_takes_does_not_stop_the_writer(journal: SqlJournal) -> None:
    run = new_run(name="caf\udce9", tags=["\ud800"]).entered(Failed(message="no file \udcff\0 here"))
    commit(journal, Transition(run), LogLine(run.id, NOW, 20, "\udcff", "\0"))
    found = journal.run(run.id)
    assert found is not None
    assert (found.name, found.tags) == ("caf\\udce9", ["\\ud800"])
    assert found.state.message == "no file \\udcff\0 here"


# Order, and what shares a commit


def parents_and_children(count: int) -> list[Record]:
    """Runs each of which is called by the one before."""
    records: list[Record] = []
    parent = None
    for _ in range(count):
        run = steps(parent=parent, hooks=1)
        records += run
        assert isinstance(run[0], Transition)
        parent = run[0].run.id
    return records


def test_whoever_looks_into_the_file_sees_a_beginning_of_what_was_appended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_BATCH_RECORDS", 7)
    records = parents_and_children(60)
    entered = [str(record.run.state.id) for record in records if isinstance(record, Transition)]
    seen: set[int] = set()
    looked = threading.Semaphore(0)
    with opened(database) as journal, closing(sqlite3.connect(database.path)) as reader:
        appender = threading.Thread(target=partial(_append_each, journal, records, looked))
        appender.start()
        while len(entered) not in seen:
            seen.add(_checked_prefix(reader, database, entered))
            looked.release()
        appender.join(WATCHDOG_SECONDS)
    assert len(seen) > 2


def _append_each(journal: SqlJournal, records: list[Record], looked: threading.Semaphore) -> None:
    """With a look between any fifty of them, or the writer might be done before the first."""
    for place, record in enumerate(records):
        if place % 50 == 49:
            assert looked.acquire(timeout=WATCHDOG_SECONDS)
        journal.append(record, committed=int)


def _checked_prefix(reader: sqlite3.Connection, database: Database, entered: list[str]) -> int:
    found = [row[0] for row in reader.execute("SELECT id FROM transitions ORDER BY seq")]
    assert found == entered[: len(found)]
    assert check(database) == []  # among its rules: callers come first, each run is in the state it entered last
    return len(found)


@contextmanager
def commits(database: Database) -> Generator[list[Connection]]:
    """The transactions that are committed meanwhile."""
    made: list[Connection] = []

    def note(connection: Connection) -> None:
        made.append(connection)

    event.listen(database.engine, "commit", note)
    yield made


def test_what_comes_while_a_commit_is_under_way_shares_the_next_one(database: Database) -> None:
    under_way, gate = threading.Event(), threading.Event()

    def before_hooks() -> None:
        under_way.set()
        gate.wait(WATCHDOG_SECONDS)

    registration = Registration.of(subject_with_hook(), {})
    with opened(database, before_hooks=before_hooks) as journal, commits(database) as made:
        journal.append(Transition(new_run(), registration=registration), committed=int)
        assert under_way.wait(WATCHDOG_SECONDS)
        done = [Future[None]() for _ in range(50)]
        for each in done:
            journal.append(*steps(), committed=partial(each.set_result, None))
        gate.set()
        for each in done:
            each.result(WATCHDOG_SECONDS)
        assert len(made) == 2


def test_commits_are_told_in_the_order_of_the_appends_and_after_the_fact(database: Database) -> None:
    order: list[int] = []
    with opened(database) as journal:
        for number in range(20):
            run = new_run()

            def committed(number: int = number, run_id: Any = run.id) -> None:
                with database.reading() as connection:
                    assert connection.scalar(select(runs.c.id).where(runs.c.id == str(run_id)))
                order.append(number)

            journal.append(Transition(run), committed=committed)
        assert journal.flush()
    assert order == list(range(20))


def test_one_who_is_told_and_raises_keeps_nobody_else_from_being_told(
    journal: SqlJournal, caplog: pytest.LogCaptureFixture
) -> None:
    def raises() -> None:
        raise ValueError("on purpose")

    journal.append(Transition(new_run()), committed=raises)
    commit(journal, Transition(new_run()))
    assert "What was to be told by the journal raised." in caplog.text


def test_a_batch_that_is_sent_again_leaves_no_row_twice(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its writer cannot know whether what it was told to be an error had been written."""
    writing, broken = database.writing, iter([True])

    @contextmanager
    def breaking_after_the_commit() -> Generator[Connection]:
        with writing() as connection:
            yield connection
        if next(broken, False):
            raise JournalUnavailable("the answer was lost")

    monkeypatch.setattr(database, "writing", breaking_after_the_commit)
    monkeypatch.setattr(sql_journal, "_FIRST_PAUSE_SECONDS", 0.0)
    with opened(database) as journal:
        commit(journal, *steps(hooks=2))
    assert counted(database) | {"nodes": 1} == {"nodes": 1, "runs": 1, "transitions": 3, "hook_deliveries": 2}
    assert check(database) == []


def test_what_a_process_held_back_is_bounded_and_let_in_as_it_is_written(database: Database) -> None:
    told: Future[None] = Future()
    with opened(database, limits=JournalLimits(queue_records=5)) as journal, held(database):
        journal.append(*steps(), *steps())
        assert not journal.has_room(lambda: told.set_result(None))
        assert not told.done()
    told.result(WATCHDOG_SECONDS)


# Hooks


def subject_with_hook() -> Any:
    @flow(on_crashed=[print])
    def subject() -> None: ...

    return subject


def test_somebody_stands_by_before_the_first_row_of_a_run_with_hooks_is_written(database: Database) -> None:
    registration = Registration.of(subject_with_hook(), {})
    rows_then: list[dict[str, int]] = []
    with opened(database, before_hooks=lambda: rows_then.append(counted(database))) as journal:
        commit(journal, *steps())
        assert rows_then == []
        commit(journal, Transition(new_run(), registration=registration))
        commit(journal, Transition(new_run(), registration=registration))
    assert rows_then[0] == {"nodes": 1, "runs": 1, "transitions": 3}
    with database.reading() as connection:
        stored = connection.scalars(select(stored_objects.c.hash)).all()
    assert sorted(stored) == sorted({registration.hash, *registration.payloads})


def test_while_nobody_can_stand_by_nothing_of_a_run_with_hooks_is_written(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_journal, "_FIRST_PAUSE_SECONDS", 0.0)
    fails = iter([OSError("no understudy"), OSError("no understudy")])

    def before_hooks() -> None:
        if error := next(fails, None):
            assert "runs" not in counted(database)
            raise error

    with opened(database, before_hooks=before_hooks) as journal:
        commit(journal, Transition(new_run(), registration=Registration.of(subject_with_hook(), {})))
    assert "no understudy" in caplog.text
    assert counted(database)["runs"] == 1


# The fence


def take_over(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(update(nodes).values(epoch=nodes.c.epoch + 1))


@contextmanager
def fenced(database: Database) -> Generator[SqlJournal]:
    """A journal whose node was taken over, and that has heard of it."""
    with opened(database) as journal:
        commit(journal, *steps())
        take_over(database)
        heard = threading.Event()
        journal.on_fenced(lambda _: heard.set())
        journal.append(*steps(hooks=1), committed=lambda: pytest.fail("it was refused"))
        assert heard.wait(WATCHDOG_SECONDS)
        yield journal


def test_a_batch_of_a_node_that_was_taken_over_is_refused_whole(database: Database) -> None:
    with fenced(database) as journal:
        assert counted(database) == {"nodes": 1, "runs": 1, "transitions": 3}
        with pytest.raises(Fenced, match=f"taken over node {NODE}"):
            journal.check()
        journal.append(*steps())
        assert journal.has_room(lambda: pytest.fail("nobody is held back any more"))
    assert counted(database)["runs"] == 1


def test_whoever_asks_later_hears_of_it_at_once_and_who_took_it_back_does_not(database: Database) -> None:
    with opened(database) as journal:
        heard: list[str] = []
        take_back = journal.on_fenced(lambda _: heard.append("taken back"))
        take_back()

        def raises(_: object) -> None:
            raise ValueError("on purpose")

        journal.on_fenced(raises)
        last: Future[Exception] = Future()
        journal.on_fenced(last.set_result)
        take_over(database)
        journal.append(Transition(new_run()), committed=int)
        assert isinstance(last.result(WATCHDOG_SECONDS), Fenced)
        journal.on_fenced(lambda error: heard.append(type(error).__name__))
        assert heard == ["Fenced"]


def test_history_can_be_read_when_it_can_be_written_no_more(database: Database) -> None:
    with fenced(database) as journal:
        assert not journal.flush()
        assert len(journal.runs()) == 1


def test_who_waits_for_a_commit_when_the_fence_falls_does_not_wait_for_ever(database: Database) -> None:
    gate = threading.Event()
    registration = Registration.of(subject_with_hook(), {})
    with opened(database, before_hooks=lambda: gate.wait(WATCHDOG_SECONDS)) as journal:
        journal.append(Transition(new_run(), registration=registration), committed=int)
        waiting = [threading.Thread(target=journal.flush) for _ in range(3)]
        for each in waiting:
            each.start()
        take_over(database)
        gate.set()
        for each in waiting:
            each.join(WATCHDOG_SECONDS)
            assert not each.is_alive()


def test_a_node_that_is_not_there_is_fenced_as_well(database: Database) -> None:
    with opened(database, "another node") as journal:
        heard: Future[Exception] = Future()
        journal.on_fenced(heard.set_result)
        journal.append(Transition(new_run()))
        assert isinstance(heard.result(WATCHDOG_SECONDS), Fenced)


# It cannot write


@contextmanager
def sqlite_of(database: Database) -> Generator[sqlite3.Connection]:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as connection:
        yield connection


@contextmanager
def held(database: Database) -> Generator[None]:
    """Meanwhile another program writes."""
    with sqlite_of(database) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def said(caplog: pytest.LogCaptureFixture, words: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if words in record.getMessage()]


def until(holds: Callable[[], object]) -> None:
    for _ in range(WATCHDOG_SECONDS * 1_000):
        if holds():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it has not happened")


def test_it_says_at_once_that_it_cannot_write_and_again_and_when_it_can(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_journal, "REPEAT_SECONDS", 0.2)
    run = new_run()
    with opened(database) as journal, caplog.at_level(logging.WARNING):
        with held(database):
            journal.append(Transition(run), committed=int)
            until(lambda: len(said(caplog, "The journal cannot write")) == 2)
            first, second = said(caplog, "The journal cannot write")
        assert first.levelname == "ERROR"
        assert "for 0 s now; 1 records wait, bodies go on, new runs wait" in first.getMessage()
        assert str(database.path) in first.getMessage()
        assert "another program holds it locked" in first.getMessage()
        assert second.created - first.created >= 0.2
        until(lambda: said(caplog, "The journal writes again, after 0."))
        assert journal.run(run.id) == run or journal.runs()


def test_it_says_so_once_and_then_every_ten_seconds(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    assert sql_journal.REPEAT_SECONDS == 10.0  # pyright: ignore[reportPrivateUsage]
    tries: list[object] = []
    with opened(database) as journal, held(database):
        event.listen(database.engine, "checkout", lambda *_: tries.append(None))
        journal.append(Transition(new_run()), committed=int)
        until(lambda: len(tries) >= 4)
        assert len(said(caplog, "The journal cannot write")) == 1


def test_new_runs_are_refused_once_it_could_not_write_for_as_long_as_one_waits(database: Database) -> None:
    with opened(database, limits=JournalLimits(wait_seconds=0.3)) as journal:
        with held(database):
            journal.append(Transition(new_run()), committed=int)
            journal.check()
            until(lambda: _is_refused(journal))
            with pytest.raises(
                JournalUnavailable, match=r"unable to write for 0 s: .*actwright.db cannot be used now: .*locked"
            ):
                journal.check()
            journal.check(wait_seconds=3600)
        until(lambda: not _is_refused(journal))


def _is_refused(journal: SqlJournal) -> bool:
    try:
        journal.check()
    except JournalUnavailable:
        return True
    return False


def test_the_time_that_it_waited_for_another_program_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Database.open(tmp_path / "home" / "actwright.db", busy_seconds=1.2)) as database:
        with database.writing() as connection:
            Author(connection).node(NODE, settled_at=None)
        with opened(database) as journal, held(database):
            journal.append(Transition(new_run()), committed=int)
            until(lambda: said(caplog, "The journal cannot write, for 1 s now"))


def test_history_can_be_read_while_it_cannot_be_written(database: Database) -> None:
    kept, not_yet = new_run(), new_run()
    with opened(database) as journal:
        commit(journal, Transition(kept))
        with held(database):
            journal.append(Transition(not_yet))
            assert not journal.flush()
            assert [run.id for run in journal.runs()] == [kept.id]
        until(lambda: len(journal.runs()) == 2)


def test_nothing_is_lost_and_all_is_in_order_when_it_can_write_again(database: Database) -> None:
    records = parents_and_children(5)
    with opened(database) as journal:
        with held(database):
            for record in records:
                journal.append(record)
            assert not journal.flush()
        until(journal.flush)
    entered = [str(record.run.state.id) for record in records if isinstance(record, Transition)]
    with sqlite_of(database) as reader:
        _checked_prefix(reader, database, entered)
    assert counted(database)["transitions"] == len(entered)


# The end


def test_closing_writes_what_is_left(database: Database) -> None:
    with opened(database) as journal:
        journal.append(*steps())
    assert counted(database)["transitions"] == 3


def test_closing_a_journal_that_cannot_write_is_bounded_and_says_what_is_lost(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with held(database):
        journal = SqlJournal(database, NODE, 1)
        journal.append(*steps())
        journal.close(0.2)
    assert "The journal was closed before it could write 3 records" in caplog.text
    assert "locked" in caplog.messages[-1]


def test_what_comes_after_it_was_closed_is_said_to_be_lost(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(database) as journal:
        pass
    journal.append(*steps())
    assert "The journal is closed: 3 records came too late and are not kept." in caplog.text


@pytest.mark.parametrize("hooks", [0, 2])
def test_a_delivery_is_kept_as_it_last_was(journal: SqlJournal, hooks: int) -> None:
    run = new_run().entered(Failed())
    dues = tuple(delivery_for(run, position) for position in range(hooks))
    journal.append(Transition(run, dues))
    for due in dues:
        journal.append(DeliveryChanged(due.started(NOW).failed(NOW, "no")))
    assert [(each.attempt, each.status, each.error) for each in journal.deliveries()] == [(1, "FAILED", "no")] * hooks
