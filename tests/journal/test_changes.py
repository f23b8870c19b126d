"""Whether others have written, asked of one number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert

from actwright.exceptions import JournalError
from actwright.journal.changes import Changes
from actwright.journal.database import Database
from actwright.journal.schema import variables


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(tmp_path / "actwright.db")) as opened:
        yield opened


def write(database: Database, name: str, *, rolled_back: bool = False) -> None:
    with database.writing() as connection:
        connection.execute(insert(variables).values(name=name, value="1", updated_at=""))
        if rolled_back:
            connection.rollback()


def test_at_first_there_is_something_and_then_only_when_somebody_has_committed(database: Database) -> None:
    with Changes(database) as changes:
        assert [changes.any(), changes.any()] == [True, False]
        write(database, "a")
        write(database, "b")
        assert [changes.any(), changes.any()] == [True, False]
        with closing(Database.open(database.path)) as other:
            write(other, "c")
        assert changes.any()


def test_what_is_rolled_back_and_what_is_read_is_no_change(database: Database) -> None:
    with Changes(database) as changes:
        changes.any()
        write(database, "a", rolled_back=True)
        with database.reading() as connection:
            connection.exec_driver_sql("SELECT * FROM variables")
        assert not changes.any()


def test_nothing_is_asked_but_that_number(database: Database) -> None:
    asked: list[str] = []
    raw = database.engine.raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.set_trace_callback(asked.append)
    raw.close()  # back to the pool, whose last one is the first to be taken
    with Changes(database) as changes:
        for _ in range(3):
            changes.any()
    driver.set_trace_callback(None)
    assert asked == ["PRAGMA data_version"] * 3


class Broken:
    """A connection, and its cursor, of a disk that is."""

    def cursor(self) -> Broken:
        return self

    def execute(self, _: str) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
        raise error

    def close(self) -> None: ...


def test_what_sqlite_says_is_told_as_an_error_of_the_journal(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.engine, "raw_connection", Broken)
    with Changes(database) as changes, pytest.raises(JournalError, match="the disk reports an error"):
        changes.any()
