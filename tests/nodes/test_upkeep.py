"""What a process does for a journal that it opens: it removes what is over, and tells its user what to know."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from sqlalchemy import func, select

from actwright import flow, run_flow
from actwright.journal.checking import check
from actwright.journal.database import Database
from actwright.journal.schema import stored_objects
from actwright.models.health import Takeover
from actwright.nodes import locks, upkeep
from actwright.nodes.locks import hold
from actwright.nodes.node import process_node
from actwright.nodes.upkeep import (
    Pruning,
    remove_lock_files,
    takeover_of_this_process,
    where_the_understudy_dies_too,
)
from actwright.settings import get_current_settings


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.open(tmp_path / "actwright.db")


def test_lock_files_that_nobody_holds_go_and_those_held_or_waited_for_stay(tmp_path: Path) -> None:
    for name in ("over", "dead"):
        (tmp_path / f"{name}.lock").touch()
    ours = hold(tmp_path / "ours.lock")
    assert ours is not None
    remove_lock_files(tmp_path, of_nodes_but={"dead"})
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["dead", "ours"]
    ours.release(unlink=True)


def test_a_lock_file_of_another_user_stays_and_the_others_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine", "theirs", "zero"):
        (tmp_path / f"{name}.lock").touch()
    real = locks.is_held

    def is_held(path: Path) -> bool:
        if path.stem == "theirs":
            raise PermissionError
        return real(path)

    monkeypatch.setattr(locks, "is_held", is_held)
    remove_lock_files(tmp_path, of_nodes_but=set())
    assert [path.stem for path in tmp_path.iterdir()] == ["theirs"]


def test_old_runs_are_pruned_at_most_once_a_day(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    class Counts:
        runs = 0

    def prune(_: Database, older_than: object) -> Counts:
        asked.append(older_than)
        return Counts()

    monkeypatch.setattr("actwright.journal.upkeep.prune", prune)

    def open_once() -> None:
        pruning = Pruning(database, timedelta(days=30), tmp_path)
        pruning.start()
        pruning.join()

    open_once()
    assert asked == []  # a journal that is new
    yesterday = (tmp_path / "pruned").stat().st_mtime - 90_000
    os.utime(tmp_path / "pruned", (yesterday, yesterday))
    open_once()
    open_once()
    assert len(asked) == 1
    database.close()


def test_old_runs_go_with_the_hooks_that_were_stored_for_them_by_a_program_that_goes_on(tmp_path: Path) -> None:
    def by_value(*_: object) -> None: ...

    @flow(on_completion=[by_value])
    async def work() -> None: ...

    def stored() -> int:
        with node.database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(stored_objects)) or 0

    anyio.run(run_flow, work)
    node = process_node(get_current_settings())
    kept = stored()
    assert kept > 1
    (tmp_path / "pruned").touch()
    os.utime(tmp_path / "pruned", (0, 0))
    pruning = Pruning(node.database, timedelta(0), tmp_path)
    pruning.start()
    pruning.join()
    assert (stored(), list(node.journal.runs())) == (0, [])
    anyio.run(run_flow, work)
    assert stored() == kept
    assert check(node.database) == []


def test_history_that_is_kept_for_ever_is_not_pruned(database: Database, tmp_path: Path) -> None:
    Pruning(database, None, tmp_path).start()
    assert not (tmp_path / "pruned").exists()
    database.close()


def test_the_first_process_of_a_container_and_a_service_hear_that_their_understudy_dies_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    monkeypatch.setattr(upkeep, "_MARKS_OF_CONTAINERS", ())
    assert where_the_understudy_dies_too() is None
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert "container" in str(where_the_understudy_dies_too())
    monkeypatch.setattr(os, "getpid", lambda: 70)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    monkeypatch.setenv("INVOCATION_ID", "of a unit")
    assert "KillMode" in str(where_the_understudy_dies_too())


def test_so_does_what_the_first_process_of_a_container_has_started_unless_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / ".dockerenv"
    monkeypatch.setattr(upkeep, "_MARKS_OF_CONTAINERS", (mark,))
    monkeypatch.setattr(os, "getppid", lambda: 1)
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    assert where_the_understudy_dies_too() is None  # a daemon, on no container
    mark.touch()
    assert "started it" in str(where_the_understudy_dies_too())
    monkeypatch.setattr(upkeep, "_first_process_waits", False)
    upkeep.note_that_the_first_process_waits()
    assert where_the_understudy_dies_too() is None
    monkeypatch.undo()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert "started it" in str(where_the_understudy_dies_too())


def test_takeover_is_at_once_only_where_an_understudy_stands_by_and_outlives_its_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    monkeypatch.setattr(os, "getppid", lambda: 7)
    for stands_by, takeover in (("false", Takeover.AT_NEXT_START), ("true", Takeover.AT_ONCE)):
        monkeypatch.setenv("ACTWRIGHT_UNDERSTUDY", stands_by)
        get_current_settings.cache_clear()
        assert takeover_of_this_process() is takeover
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert takeover_of_this_process() is Takeover.AT_NEXT_START
