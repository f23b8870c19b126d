"""The journal's file: made once whoever comes first, opened only when it is ours, and every fault is said in words."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from actwright.exceptions import JournalUnavailable, JournalVersionError, RuntimeClosed
from actwright.journal import keeping
from actwright.journal.checking import check
from actwright.journal.database import Database
from actwright.journal.schema import SCHEMA_VERSION, variables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "actwright.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(Database.open(path, busy_seconds=0.05)) as opened:
        yield opened


def write(database: Database, name: str, value: str = "1") -> None:
    with database.writing() as connection:
        connection.execute(insert(variables).values(name=name, value=value, updated_at=""))


def names_in(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.scalars(select(variables.c.name).order_by(variables.c.name)))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_written_is_there_when_the_file_is_opened_again(path: Path) -> None:
    with closing(Database.open(path)) as database:
        write(database, "kept")
    with closing(Database.open(path, create=False)) as database:
        assert names_in(database) == ["kept"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_folder_and_files_are_their_owners_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        database = Database.open(tmp_path / "deep" / "home" / "actwright.db")
    finally:
        os.umask(before)
    with closing(database):
        write(database, "one")
        assert [mode_of(tmp_path / folder) for folder in ("deep", "deep/home")] == [0o700, 0o700]
        files = {file.name: mode_of(file) for file in (tmp_path / "deep" / "home").iterdir()}
        assert files == {"actwright.db": 0o600, "actwright.db-wal": 0o600, "actwright.db-shm": 0o600}
        assert database.exposed is None


def test_a_folder_and_a_file_that_were_shared_on_purpose_stay_so_and_it_is_said(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    Database.open(path).close()
    assert mode_of(path.parent) == 0o755
    path.chmod(0o640)
    with closing(Database.open(path)) as database:
        assert (mode_of(path), database.exposed) == (
            0o640,
            f"Others can read {path} (mode 0640); it holds parameters. Keep them out: chmod 600 {path}",
        )


@pytest.mark.parametrize("synchronous", [("NORMAL", 1), ("FULL", 2)])
def test_every_connection_syncs_as_asked(path: Path, synchronous: tuple[Literal["NORMAL", "FULL"], int]) -> None:
    name, number = synchronous
    database = Database.open(path, synchronous=name)
    with closing(database), database.reading() as one, database.reading() as other:
        assert [each.scalar(text("PRAGMA synchronous")) for each in (one, other)] == [number, number]
        assert one.scalar(text("PRAGMA journal_mode")) == "wal"


def test_a_transaction_gets_the_connection_of_the_one_before_and_one_beside_it_another(database: Database) -> None:
    def used(connection: Connection) -> object:
        return connection.connection.driver_connection

    with database.reading() as connection:
        first = used(connection)
    with database.reading() as connection, database.reading() as beside:
        assert used(connection) is first
        assert used(beside) is not first
    with database.reading() as connection:
        connection.close()  # by mistake
    with database.reading() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_an_exception_rolls_a_transaction_back(database: Database) -> None:
    with suppress(KeyError), database.writing() as connection:
        connection.execute(insert(variables).values(name="lost", value="1", updated_at=""))
        raise KeyError
    assert names_in(database) == []


def test_a_commit_that_fails_leaves_no_transaction_behind(database: Database) -> None:
    def deny_commit(action: int, operation: str | None, *_: object) -> int:
        is_commit = action == sqlite3.SQLITE_TRANSACTION and operation == "COMMIT"
        return sqlite3.SQLITE_DENY if is_commit else sqlite3.SQLITE_OK

    used: list[Any] = []

    def fail_to_commit() -> None:
        with database.writing() as connection:
            used.append(connection.connection.driver_connection)
            used[0].set_authorizer(deny_commit)

    with pytest.raises(JournalUnavailable):
        fail_to_commit()
    used[0].set_authorizer(None)
    assert not used[0].in_transaction
    write(database, "after")
    assert names_in(database) == ["after"]


def test_an_error_that_is_no_fault_of_the_file_stays_what_it_is(database: Database) -> None:
    write(database, "once")
    with pytest.raises(IntegrityError):
        write(database, "once")


def test_who_reads_sees_one_state_of_the_file_while_another_writes(database: Database) -> None:
    with database.reading() as connection:
        assert list(connection.scalars(select(variables.c.name))) == []
        write(database, "later")
        assert list(connection.scalars(select(variables.c.name))) == []
    assert names_in(database) == ["later"]


def test_a_transaction_that_writes_has_the_lock_from_its_beginning(database: Database) -> None:
    with database.writing(), pytest.raises(JournalUnavailable), database.writing():
        raise AssertionError("two write at once")
    with database.engine.begin(), pytest.raises(JournalUnavailable), database.writing():
        raise AssertionError("the engine's own transactions begin as ones that write")


def test_eight_processes_that_come_first_make_one_file(tmp_path: Path) -> None:
    """Ten times, since who is first is a matter of microseconds."""
    program = """
        import sys
        from sqlalchemy import insert
        from actwright.journal.database import Database
        from actwright.journal.schema import variables
        folder, name = sys.argv[1:]
        for number in range(10):
            print("ready", flush=True)
            sys.stdin.readline()
            database = Database.open(f"{folder}/home {number}/actwright.db")
            with database.writing() as connection:
                connection.execute(insert(variables).values(name=name, value="1", updated_at=""))
            database.close()
    """
    programs = [started(program, tmp_path, name) for name in range(8)]
    for _ in range(10):
        assert [each.stdout and each.stdout.readline() for each in programs] == ["ready\n"] * 8
        for each in programs:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
    said = [each.communicate(timeout=30) for each in programs]
    assert [each.returncode for each in programs] == [0] * 8, said
    for number in range(10):
        with closing(Database.open(tmp_path / f"home {number}" / "actwright.db")) as database:
            assert names_in(database) == [str(name) for name in range(8)]
            with database.reading() as connection:
                assert connection.scalars(text("SELECT version_num FROM alembic_version")).all() == [SCHEMA_VERSION]


def test_a_fresh_file_that_another_is_about_to_make_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite does not wait by itself then: switching to a write-ahead log fails at once."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def sleep(_: float) -> None:
            other.rollback()

        monkeypatch.setattr(time, "sleep", sleep)
        Database.open(path).close()
        assert not other.in_transaction


def started(program: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", dedent(program), *map(str, args)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_fresh_file_is_made_without_alembic(path: Path) -> None:
    program = """
        import sys
        from actwright.journal.database import Database
        Database.open(sys.argv[1]).close()
        assert "alembic" not in sys.modules
    """
    with started(program, path) as process:
        assert (process.wait(timeout=30), process.stderr and process.stderr.read()) == (0, "")


def test_closing_leaves_nothing_open_whatever_threads_used_it(path: Path) -> None:
    """The check after each test sees descriptors and threads; a file that nobody has open has no log beside it."""
    database = Database.open(path)
    threads = [threading.Thread(target=write, args=(database, str(number))) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names_in(database) == [str(number) for number in range(8)]
    database.close()
    database.close()
    assert list(path.parent.iterdir()) == [path]


def test_a_transaction_that_goes_on_while_it_is_closed_is_finished_and_then_closed(path: Path) -> None:
    database = Database.open(path)
    with database.writing() as connection:
        database.close()
        connection.execute(insert(variables).values(name="kept", value="1", updated_at=""))
    assert list(path.parent.iterdir()) == [path]
    with closing(Database.open(path)) as again:
        assert names_in(again) == ["kept"]


@pytest.mark.parametrize("use", [Database.reading, Database.writing])
def test_what_was_closed_cannot_be_used(path: Path, use: Callable[[Database], AbstractContextManager[object]]) -> None:
    database = Database.open(path)
    database.close()
    with pytest.raises(RuntimeClosed, match=f"{re.escape(str(path))} was closed"), use(database):
        raise AssertionError("it was used")


def test_an_open_that_is_refused_leaves_nothing_open(path: Path) -> None:
    Database.open(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
        other.commit()
    with pytest.raises(JournalVersionError):
        Database.open(path)


def test_a_copy_that_has_no_write_ahead_log_gets_one(path: Path, tmp_path: Path) -> None:
    with closing(Database.open(path)) as database:
        write(database, "one")
    with closing(sqlite3.connect(path)) as other:
        other.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
    with closing(Database.open(tmp_path / "copy.db")) as copy, copy.reading() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"


FORKING = """
    import os, sys
    from sqlalchemy import insert
    from actwright.exceptions import ForkedRuntime
    from actwright.journal.database import Database
    from actwright.journal.schema import variables

    def write(name):
        with database.writing() as connection:
            connection.execute(insert(variables).values(name=name, value="1", updated_at=""))

    database = Database.open(sys.argv[1])
    write("parent")
    if os.fork() == 0:
        for use in (database.writing, database.reading):
            try:
                with use():
                    print("used", flush=True)
            except ForkedRuntime as error:
                print(error, flush=True)
        database.close()
        print("forked", flush=True)
        sys.stdin.readline()
        print("ends", flush=True)  # and its interpreter takes down whatever is left
    else:
        os._exit(0)  # as a kill would
"""

KILLED = """
    import os, sys
    from sqlalchemy import insert
    from actwright.journal.database import Database
    from actwright.journal.schema import variables

    database = Database.open(sys.argv[1])
    with database.writing() as connection:
        connection.execute(insert(variables).values(name="other", value="1", updated_at=""))
    os._exit(0)
"""


def test_a_forked_child_can_use_nothing_and_takes_nothing_along_when_it_ends(path: Path) -> None:
    """A child that closed what it inherited would delete the log that others have begun since, with what is in it."""
    child = started(FORKING, path)
    assert child.stdout is not None
    refusals = [child.stdout.readline() for _ in range(2)]
    assert [f"{path} was opened by the process that this one was forked from" in line for line in refusals] == [
        True
    ] * 2
    assert child.stdout.readline() == "forked\n"
    with closing(Database.open(path)) as database:  # the last that closes it: the log of before is gone
        assert names_in(database) == ["parent"]
    with started(KILLED, path) as other:
        other.wait(timeout=30)
    assert path.with_name("actwright.db-wal").stat().st_size > 0
    assert child.communicate("end\n", timeout=30)[0] == "ends\n"
    with closing(Database.open(path)) as database:
        assert names_in(database) == ["other", "parent"]


def test_a_file_that_was_moved_away_is_not_made_anew_by_a_connection_and_is_whole_when_it_is_back(
    tmp_path: Path,
) -> None:
    with closing(Database.open(tmp_path / "with ? # % in it.db")) as database:
        with database.writing() as connection:
            keeping.set_variable(connection, "before", 1, overwrite=False)
        away = database.path.rename(tmp_path / "away.db")
        database.engine.pool.dispose()  # as where one more is needed than there are idle ones
        with pytest.raises(JournalUnavailable, match="was deleted or replaced"), database.reading():
            raise AssertionError("it was read")
        with pytest.raises(OperationalError):
            database.engine.connect()
        assert not database.path.exists()
        away.rename(database.path)
        with database.writing() as connection:
            assert keeping.variable(connection, "before") == 1
        assert check(database) == []
