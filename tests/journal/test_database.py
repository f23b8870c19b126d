"""The journal's file: made once whoever comes first, opened only when it is ours, and every fault is said in words."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from textwrap import dedent
from typing import Literal

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from actwright.exceptions import (
    JournalUnavailable,
)
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


def test_an_exception_rolls_a_transaction_back(database: Database) -> None:
    with suppress(KeyError), database.writing() as connection:
        connection.execute(insert(variables).values(name="lost", value="1", updated_at=""))
        raise KeyError
    assert names_in(database) == []


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


def test_eight_processes_that_come_first_make_one_file(path: Path, tmp_path: Path) -> None:
    program = """
        import sys
        from sqlalchemy import insert
        from actwright.journal.database import Database
        from actwright.journal.schema import variables
        sys.stdin.readline()
        database = Database.open(sys.argv[1])
        with database.writing() as connection:
            connection.execute(insert(variables).values(name=sys.argv[2], value="1", updated_at=""))
        database.close()
    """
    programs = [started(program, path, number) for number in range(8)]
    for each in programs:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    said = [each.communicate(timeout=30) for each in programs]
    assert [each.returncode for each in programs] == [0] * 8, said
    with closing(Database.open(path)) as database:
        assert names_in(database) == [str(number) for number in range(8)]
        with database.reading() as connection:
            assert connection.scalars(text("SELECT version_num FROM alembic_version")).all() == [SCHEMA_VERSION]


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
