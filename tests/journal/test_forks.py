"""Forks of a process with a journal open: a child that opens it anew can write to it, and loses nothing."""

from __future__ import annotations

import sys
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


def test_threads_that_fork_at_once_do_so_one_after_another_and_each_child_can_write(
    path: Path, database: Database
) -> None:
    said, all_fork = list[str](), threading.Barrier(8)

    def work(me: int) -> None:
        all_fork.wait()
        said.append(in_a_forked_child(lambda: writes_anew(path, f"child {me}")))

    for number in range(3):
        write(database, f"parent {number}")  # which opens the file again
        threads = [threading.Thread(target=work, args=(8 * number + me,)) for me in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # A child does not wait for the lock of another, of which it is told: that is no lock that nobody holds.
    assert len(said) == 24
    assert sum(each == "written" for each in said) == len(names_in(path)) - 3
    assert not [each for each in said if each != "written" and "locked" not in each]
    with closing(Database.open(path)) as reopened, reopened.reading() as connection:
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"


AT_ONCE = """
    import os, threading, time
    from actwright.journal.forks import Forks

    events = []

    def close():
        events.append("closes")
        time.sleep(0.02)
        events.append("has closed")

    def fork():
        if os.fork() == 0:
            os._exit(0)
        os.wait()

    os.register_at_fork(before=lambda: events.append("forks"))  # the last before it
    forks = Forks(close)
"""


def test_no_thread_forks_while_another_that_is_about_to_closes_the_file(path: Path) -> None:
    program = (
        AT_ONCE
        + """
    threads = [threading.Thread(target=fork) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(events == ["closes", "has closed", "forks"] * 8)
    """
    )
    with started(program, path) as run:
        assert run.communicate(timeout=30)[0] == "True\n"


def test_who_uses_sqlite_has_its_turn_however_many_threads_fork(path: Path) -> None:
    program = (
        AT_ONCE
        + """
    def fork_often():
        for _ in range(20):
            fork()

    threads = [threading.Thread(target=fork_often) for _ in range(16)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        with forks.none():
            pass
    print(events.count("forks") < 160)  # of 320
    for thread in threads:
        thread.join()
    """
    )
    with started(program, path) as run:
        assert run.communicate(timeout=50)[0] == "True\n"


@pytest.mark.parametrize("struck", ["waiting", "closing"])
def test_what_a_signal_handler_raises_in_a_fork_neither_spoils_it_nor_holds_up_the_next(
    struck: str, monkeypatch: pytest.MonkeyPatch, path: Path, database: Database
) -> None:
    ignored, strikes = list[str](), iter([True])

    def strike(*_: object) -> None:
        if next(strikes, False):
            raise TimeoutError("a signal handler's")

    def note(unraisable: sys.UnraisableHookArgs) -> None:
        ignored.append(str(unraisable.exc_value))

    class Lock:
        """Of which to wait for is cut short, once."""

        def __init__(self) -> None:
            self.acquire_it, self.release = (lock := threading.Lock()).acquire, lock.release
            self.times = 0

        def acquire(self) -> None:
            self.times += 1
            if self.times > 1:
                strike()
            self.acquire_it()

    monkeypatch.setattr("sys.unraisablehook", note)
    if struck == "waiting":
        monkeypatch.setattr("actwright.journal.forks.time.sleep", strike)
    else:
        monkeypatch.setattr("actwright.journal.forks._thread.allocate_lock", Lock)
    with another_thread(database):
        assert in_a_forked_child(lambda: writes_anew(path, "child")) == "written"
    assert ignored == ["a signal handler's"]
    write(database, "parent")
    assert in_a_forked_child(lambda: writes_anew(path, "next child")) == "written"
    assert names_in(path) == ["child", "next child", "parent"]


def test_a_fork_waits_for_a_limited_time(monkeypatch: pytest.MonkeyPatch, path: Path, database: Database) -> None:
    monkeypatch.setattr(forks, "FORK_WAITS_SECONDS", 0.05)
    forked = threading.Event()
    with another_thread(database, until=forked):
        assert in_a_forked_child(lambda: "went on") == "went on"
        forked.set()
    write(database, "parent")
    assert names_in(path) == ["parent"]
