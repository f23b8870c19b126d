"""Forks of a process with a journal open: a child that opens it anew can write to it, and loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from tests.journal.test_database import started
from tests.nodes.elsewhere import in_a_forked_child

from actwright.journal import forks
from actwright.journal.database import Database
from actwright.journal.schema import variables

LONG = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT count(*) FROM n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "actwright.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(Database.open(path)) as opened:
        yield opened


def write(database: Database, name: str) -> None:
    with database.writing() as connection:
        connection.execute(insert(variables).values(name=name, value="1", updated_at=""))


def names_in(path: Path) -> list[str]:
    with closing(Database.open(path)) as database, database.reading() as connection:
        return list(connection.scalars(select(variables.c.name).order_by(variables.c.name)))


def writes_anew(path: Path, name: str) -> str:
    """In a child: what a fork must not have spoiled. It does not wait for locks, since nobody holds one."""
    with closing(Database.open(path, busy_seconds=0.0)) as database:
        write(database, name)
    return "written"


@contextmanager
def another_thread(database: Database, *, until: threading.Event | None = None) -> Generator[None]:
    """While the block begins, a thread is in the middle of a transaction: in a long statement, or until it is told."""
    busy = threading.Event()

    def work() -> None:
        with database.writing() as connection:
            busy.set()
            if until is None:
                connection.execute(LONG)
            else:
                until.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    busy.wait()
    try:
        yield
    finally:
        thread.join()


def test_a_child_forked_while_another_thread_writes_can_write_and_so_can_its_parent(
    path: Path, database: Database
) -> None:
    with another_thread(database):
        assert in_a_forked_child(lambda: writes_anew(path, "child")) == "written"
    write(database, "parent")
    assert names_in(path) == ["child", "parent"]


def test_of_threads_that_write_all_the_time_none_spoils_a_fork_or_is_spoilt_by_it(
    path: Path, database: Database
) -> None:
    forked = threading.Event()

    def work(me: int) -> None:
        number = 0
        while not forked.is_set():
            number += 1
            write(database, f"{me} {number}")

    threads = [threading.Thread(target=work, args=(me,)) for me in range(2)]
    for thread in threads:
        thread.start()
    try:
        said = [in_a_forked_child(lambda: opens_anew(path)) for _ in range(8)]
    finally:
        forked.set()
        for thread in threads:
            thread.join()
    assert said == ["opened"] * 8


def opens_anew(path: Path) -> str:
    with closing(Database.open(path)) as database, database.writing():
        return "opened"


OUTLIVED = """
    import os, sys
    from pathlib import Path
    from actwright.journal.database import Database
    from tests.journal.test_forks import write

    database = Database.open(sys.argv[1])
    write(database, "parent")
    reading, writing = os.pipe()
    if os.fork() == 0:
        database = Database.open(sys.argv[1])
        write(database, "child")
        os.write(writing, b".")
        sys.stdin.readline()
        write(database, "late")
    else:
        os.read(reading, 1)
        database.close()
        print("closed", flush=True)
"""


def test_what_a_child_writes_after_its_parent_has_closed_the_journal_is_kept(path: Path) -> None:
    """The parent is not the last that closes it, and must not delete the log."""
    with started(OUTLIVED, path) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "closed\n"
        program.communicate("go on\n", timeout=30)
    assert names_in(path) == ["child", "late", "parent"]


def test_a_thread_that_forks_in_a_transaction_of_its_own_does_not_wait_for_itself(
    path: Path, database: Database
) -> None:
    with database.writing() as connection:
        assert in_a_forked_child(lambda: "went on") == "went on"
        connection.execute(insert(variables).values(name="parent", value="1", updated_at=""))
    assert names_in(path) == ["parent"]


def test_a_fork_waits_for_a_limited_time(monkeypatch: pytest.MonkeyPatch, path: Path, database: Database) -> None:
    monkeypatch.setattr(forks, "FORK_WAITS_SECONDS", 0.05)
    forked = threading.Event()
    with another_thread(database, until=forked):
        assert in_a_forked_child(lambda: "went on") == "went on"
        forked.set()
    write(database, "parent")
    assert names_in(path) == ["parent"]
