"""Runs that somebody wants gone go whole, or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from tests.journal.history import LONG_AGO, Author, counted

from actwright.journal.database import Database
from actwright.journal.pruning import Counts, Obstacles, delete_runs, obstacles, still_there
from actwright.journal.schema import hook_deliveries, runs
from actwright.journal.upkeep import check


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(tmp_path / "actwright.db")) as opened:
        yield opened


def left(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.scalars(select(runs.c.id).order_by(runs.c.id)))


def in_the_way(database: Database, *run_ids: str) -> dict[str, Obstacles]:
    with database.reading() as connection:
        return obstacles(connection, run_ids)


def test_a_run_goes_with_all_that_it_called_and_all_that_belongs_to_them_and_others_stay(database: Database) -> None:
    with database.writing() as connection:
        author = Author(connection)
        for root in ("goes", "stays"):
            author.run(root, registration=author.stored(root[0] * 64))
            author.run(f"{root}: task", task=root)
            author.run(f"{root}: its task", caller=f"{root}: task")
            for run_id in (root, f"{root}: task", f"{root}: its task"):
                author.delivery(run_id)
                author.log(run_id)
                author.command(run_id)
    gone = Counts(runs=3, transitions=9, hook_deliveries=3, commands=3, logs=3, stored_objects=1)
    assert delete_runs(database, ["goes"]) == gone
    assert left(database) == ["stays", "stays: its task", "stays: task"]
    assert counted(database)["stored_objects"] == 1
    assert delete_runs(database, ["goes", "nobody"]) == Counts()


def test_what_a_run_called_can_go_without_it(database: Database) -> None:
    with database.writing() as connection:
        author = Author(connection)
        author.run("flow")
        author.run("subflow", caller="flow")
        author.run("its task", caller="subflow")
    delete_runs(database, ["subflow", "its task"])
    assert left(database) == ["flow"]
    assert check(database) == []


@pytest.mark.parametrize("whose", ["flow", "task"])
def test_what_stands_in_the_way_is_counted_in_the_whole_tree_and_keeps_all_of_it(
    database: Database, whose: str
) -> None:
    with database.writing() as connection:
        author = Author(connection)
        author.run("flow")
        author.run("task", caller="flow")
        for status in ("SUCCEEDED", "SKIPPED"):
            author.delivery("flow", status)
        author.run("free")
    assert in_the_way(database, "flow", "free") == {}
    with database.writing() as connection:
        for status in ("DUE", "RUNNING", "FAILED"):
            Author(connection).delivery(whose, status)
    assert in_the_way(database, "flow", "free") == {"flow": Obstacles(open_hooks=2, failed_hooks=1)}
    for with_failed_hooks in (False, True):
        assert delete_runs(database, ["flow"], with_failed_hooks=with_failed_hooks) == Counts()
    with database.writing() as connection:
        connection.execute(update(runs).where(runs.c.id == whose).values(ended_at=None))
    assert in_the_way(database, "flow")["flow"].open_runs == 1


def test_failed_hooks_go_where_that_is_asked_for(database: Database) -> None:
    with database.writing() as connection:
        author = Author(connection)
        author.run("flow")
        author.delivery("flow", "FAILED")
    assert delete_runs(database, ["flow"]) == Counts()
    assert delete_runs(database, ["flow"], with_failed_hooks=True).hook_deliveries == 1
    assert left(database) == []


def test_a_run_whose_hook_is_retried_meanwhile_stays_whole(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It happens in the pause between two transactions: each looks anew."""
    names = [f"{number:02}" for number in range(30)]
    with database.writing() as connection:
        for name in names:
            Author(connection).run(name)
            Author(connection).run(f"{name}: task", caller=name)
            Author(connection).delivery(name, "FAILED")

    def retried(_: float) -> None:
        with database.writing() as connection:
            due = update(hook_deliveries).where(hook_deliveries.c.run_id == names[-1])
            connection.execute(due.values(status="DUE", ended_at=None))

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", retried)
        assert delete_runs(database, names, with_failed_hooks=True).runs == 58
    assert left(database) == [names[-1], f"{names[-1]}: task"]
    with database.reading() as connection:
        assert still_there(connection, names) == {names[-1]}


def test_more_runs_than_a_statement_takes_go_in_one_transaction_with_their_caller(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.writing() as connection:
        author = Author(connection)
        author.run("flow")
        for number in range(2_100):
            author.run(f"task {number}", "PENDING", caller="flow")

    def nothing_is_half_done(_: float) -> None:
        assert left(database) == []

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", nothing_is_half_done)
        assert delete_runs(database, ["flow"]).runs == 2_101
    assert counted(database) == {}


ENDINGS = st.sampled_from([LONG_AGO, None])
STATUSES = st.sampled_from(["SUCCEEDED", "SKIPPED", "FAILED", "DUE", "RUNNING", None])


@settings(max_examples=40, deadline=None)
@given(
    forest=st.lists(st.tuples(st.integers(-3, 8), ENDINGS, STATUSES), max_size=10),
    wanted=st.sets(st.integers(0, 9)),
    with_failed_hooks=st.booleans(),
)
def test_of_those_that_are_wanted_gone_each_goes_with_its_tree_where_nothing_in_that_is_in_the_way(
    tmp_path_factory: pytest.TempPathFactory,
    forest: list[tuple[int, str | None, str | None]],
    wanted: set[int],
    with_failed_hooks: bool,
) -> None:
    """Against the plain reading: a run is called by an earlier one, or by nobody."""
    callers = [min(caller, n - 1) if caller >= 0 and n else -1 for n, (caller, _, _) in enumerate(forest)]

    def is_within(number: int, root: int) -> bool:
        return number == root or (callers[number] >= 0 and is_within(callers[number], root))

    bad = {"DUE", "RUNNING"} if with_failed_hooks else {"DUE", "RUNNING", "FAILED"}
    trees = {root: [n for n in range(len(forest)) if is_within(n, root)] for root in range(len(forest))}
    free = {root for root, tree in trees.items() if all(forest[n][1] and forest[n][2] not in bad for n in tree)}
    with closing(Database.open(tmp_path_factory.mktemp("forest") / "actwright.db")) as database:
        with database.writing() as connection:
            for number, (_, ended_at, status) in enumerate(forest):
                states = () if ended_at else ("PENDING", "RUNNING")
                caller = None if callers[number] < 0 else f"{callers[number]:02}"
                Author(connection).run(f"{number:02}", *states, caller=caller, ended_at=ended_at)
                if status is not None:
                    Author(connection).delivery(f"{number:02}", status)
        delete_runs(database, [f"{number:02}" for number in sorted(wanted)], with_failed_hooks=with_failed_hooks)
        gone = {number for root in wanted & free for number in trees[root]}
        assert left(database) == [f"{number:02}" for number in range(len(forest)) if number not in gone]
        assert check(database) == []
