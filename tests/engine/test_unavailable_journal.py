"""A journal that cannot write: it is said, bodies go on, callers are told in time, and in the end nothing is lost."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import pytest
from sqlalchemy import Connection, Engine
from tests.engine.faults import names
from tests.engine.gate import Gate
from tests.engine.recorder import Recorder
from tests.engine.scripts import run_script
from tests.engine.watched import open_runtime, until

from actwright import flow, run_flow, task
from actwright.exceptions import JournalCorrupt, JournalUnavailable
from actwright.journal import database
from actwright.journal.checking import check
from actwright.nodes.node import Node, close_nodes, process_node
from actwright.settings import get_current_settings

pytestmark = pytest.mark.anyio

WAIT_SECONDS = 0.6


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same as ever, in a fraction of the time: another program's lock is waited for less, and so is the journal."""
    monkeypatch.setenv("ACTWRIGHT_JOURNAL_WAIT_SECONDS", str(WAIT_SECONDS))
    real = database.Database.open
    monkeypatch.setattr(database.Database, "open", partial(real, busy_seconds=0.1))
    get_current_settings.cache_clear()
    yield
    get_current_settings.cache_clear()


def node() -> Node:
    """The one that this process is."""
    return process_node(get_current_settings())


# What can befall it: each is there within the block, and gone after it


@contextmanager
def locked() -> Generator[None]:
    with closing(sqlite3.connect(node().database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def _in_each_transaction(statement: str, undo: str) -> Generator[None]:
    """Have each of our own transactions say this first, and leave its connection as it was."""
    whole = database.Database._transaction  # pyright: ignore[reportPrivateUsage]

    @contextmanager
    def faulty(self: database.Database, engine: Engine) -> Generator[Connection]:
        with whole(self, engine) as connection:
            connection.exec_driver_sql(statement)
            try:
                yield connection
            finally:
                connection.exec_driver_sql(undo)

    with patch.object(database.Database, "_transaction", faulty):
        yield


def full() -> AbstractContextManager[None]:
    return _in_each_transaction("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1073741823")


def read_only() -> AbstractContextManager[None]:
    return _in_each_transaction("PRAGMA query_only = 1", "PRAGMA query_only = 0")


@contextmanager
def moved_away() -> Generator[None]:
    path = node().database.path
    away = path.rename(path.with_suffix(".away"))
    yield
    away.rename(path)


FAULTS: dict[str, tuple[Callable[[], AbstractContextManager[None]], str]] = {
    "locked": (locked, "another program holds it locked"),
    "full": (full, "the disk is full"),
    "read-only": (read_only, "read-only"),
    "moved away": (moved_away, "was deleted or replaced while it was in use"),
}
each_fault = pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=list(FAULTS))

BULK = "x" * 20_000
"""A parameter that needs pages of its own, which a full disk has not."""


@flow
async def quick(bulk: str) -> str:
    return "the result"


@task
async def step(bulk: str) -> str:
    return bulk[:1]


@each_fault
async def test_a_finished_run_raises_with_its_state_and_result_on_the_error_and_the_file_has_it_later(
    fault: Any, said: str, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()

    async def body(bulk: str) -> str:
        await gate.astop_here()
        return "the result" + BULK

    async with open_runtime() as opened:
        subject = flow(body, on_completion=[recorder.hook("done")], persist_result=True)
        handle = opened.submit(subject, BULK)
        await gate.reached()
        with fault():
            gate.open()
            with pytest.raises(JournalUnavailable, match=r"its state, with its result, is on this error") as caught:
                await handle
            assert said in str(caught.value)
            assert caught.value.state.is_completed()
            assert caught.value.state.result() == "the result" + BULK
            assert recorder.order == []
            with pytest.raises(JournalUnavailable, match=said):
                await run_flow(quick, BULK)
        await until(lambda: recorder.order == ["done"])
        await until(lambda: names(opened, handle) == ["Pending", "Running", "Completed"])
        assert await run_flow(quick, BULK) == "the result"
    assert "The journal cannot write" in caplog.text
    assert "The journal writes again" in caplog.text
    assert recorder.order == ["done"]
    assert check(node().database) == []


@each_fault
async def test_a_body_goes_on_and_so_does_all_when_it_is_over_in_time(
    fault: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    gate = Gate()

    async def body(bulk: str) -> str:
        await gate.astop_here()
        done.append(await step(bulk))
        done.append("body")
        return "the result"

    async with open_runtime(journal_wait_seconds=60) as opened:
        handle = opened.submit(flow(body), BULK)
        await gate.reached()
        opened.journal.runs()
        with fault():
            gate.open()
            await until(lambda: done == ["x", "body"])
            await until(lambda: "The journal cannot write" in caplog.text)
            assert said in caplog.text
            assert not handle.done()
        assert await handle == "the result"
        assert len(opened.journal.runs()) == 2
    assert check(node().database) == []


async def test_a_run_with_hooks_does_not_begin_before_its_row_is_written(recorder: Recorder) -> None:
    began: list[bool] = []

    async def body() -> None:
        began.append(True)

    subject = flow(body, **recorder.all_hooks())
    async with open_runtime() as opened:
        await run_flow(quick, "")
        with locked():
            handle = opened.submit(subject)
            with pytest.raises(JournalUnavailable, match="did not begin") as caught:
                await handle
            assert caught.value.state is None
            assert began == []
        await until(lambda: "on_end" in recorder.order)
        await until(lambda: names(opened, handle)[-1:] == ["Cancelled"])
    assert began == []
    assert recorder.order[-2:] == ["on_cancellation", "on_end"]


async def test_runs_are_held_back_by_a_full_queue_and_let_in_or_told_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACTWRIGHT_JOURNAL_QUEUE_LIMIT", "5")
    get_current_settings.cache_clear()
    began: list[int] = []

    @task
    async def numbered(number: int) -> None:
        began.append(number)

    async def body(bulk: str) -> int:
        refused = 0
        with locked():
            handles = [numbered.submit(number) for number in range(10)]
            for handle in handles:
                try:
                    await handle
                except JournalUnavailable:
                    refused += 1
        return refused

    async with open_runtime() as opened:
        await run_flow(quick, "")
        handle = opened.submit(flow(body), "")
        refused = await handle
        assert 0 < refused < 10
        assert len(began) == 10 - refused
        await until(lambda: len([run for run in opened.journal.runs() if not run.state.is_final()]) == 0)
        assert await run_flow(quick, "") == "the result"
    assert check(node().database) == []


@pytest.mark.slow
async def test_a_lock_of_many_seconds_loses_nothing_and_is_said_at_once_and_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, recorder: Recorder
) -> None:
    """Forty seconds against a wait of thirty, at a fifteenth of the time."""
    monkeypatch.setattr("actwright.journal.sql_journal.REPEAT_SECONDS", 10 / 15)
    monkeypatch.setenv("ACTWRIGHT_JOURNAL_WAIT_SECONDS", "2.0")
    get_current_settings.cache_clear()
    subject = flow(_nothing, on_completion=[recorder.hook("done")])
    async with open_runtime() as opened:
        await run_flow(subject)
        with locked():
            began = time.monotonic()
            first = opened.submit(subject)
            with pytest.raises(JournalUnavailable):
                await first
            assert 1.5 < time.monotonic() - began < 8
            await until(lambda: time.monotonic() - began > 40 / 15)
        assert caplog.text.count("The journal cannot write") >= 3
        await until(lambda: [run.state.is_final() for run in opened.journal.runs()] == [True, True])
        await run_flow(subject)
    assert recorder.order.count("done") == 2
    assert check(node().database) == []


async def _nothing() -> None: ...


# A journal that is not open yet


@contextmanager
def held_before_it_is_opened() -> Generator[sqlite3.Connection]:
    """By another program; it is there, and this process has not opened it."""
    path = node().database.path
    close_nodes()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


async def test_a_program_that_begins_while_the_journal_is_held_waits_for_it_and_says_so_at_once_and_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("actwright.nodes.opening.REPEAT_SECONDS", 0.1)
    results: list[str] = []

    async def call() -> None:
        results.append(await run_flow(quick, ""))

    with held_before_it_is_opened() as other:
        monkeypatch.setenv("ACTWRIGHT_JOURNAL_WAIT_SECONDS", "60")
        get_current_settings.cache_clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await until(lambda: caplog.text.count("The journal cannot be opened, for") >= 2)
            assert "another program holds it locked" in caplog.text
            assert results == []
            other.execute("ROLLBACK")
    assert results == ["the result"]
    assert "The journal is open, after" in caplog.text
    assert check(node().database) == []


async def test_a_journal_that_is_not_to_be_had_in_time_is_an_error_that_says_why_and_leaves_nothing(
    actwright_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with held_before_it_is_opened() as other:
        began = time.monotonic()
        with pytest.raises(
            JournalUnavailable, match=r"could not be opened for 1 s\. .* another program holds it locked"
        ):
            await run_flow(quick, "")
        assert time.monotonic() - began >= WAIT_SECONDS
        assert caplog.text.count("The journal cannot be opened, for 0 s now") == 1
        assert _lock_files(actwright_home) == []
        other.execute("ROLLBACK")
        assert await run_flow(quick, "") == "the result"


def _make_a_file_that_is_no_journal(home: Path) -> None:
    home.mkdir()
    (home / "actwright.db").write_bytes(b"no journal at all. " * 1000)


def _lock_files(home: Path) -> list[Path]:
    return list(home.glob("nodes/*.lock"))


async def test_what_will_not_pass_is_raised_at_once(actwright_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    _make_a_file_that_is_no_journal(actwright_home)
    with pytest.raises(JournalCorrupt):
        await run_flow(quick, "")
    assert "cannot be opened" not in caplog.text


# The end of a Runtime, and of a program


async def test_leaving_a_runtime_meanwhile_is_bounded_and_said(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    options: Any = {"drain_seconds": 0.2, "cancel_grace_seconds": 0.2, "hook_grace_seconds": 0.2}
    with ExitStack() as fault:
        async with open_runtime(journal_wait_seconds=60, **options) as opened:
            handle = opened.submit(flow(gate.astop_here))
            await gate.reached()
            fault.enter_context(locked())
            gate.open()
            left = time.monotonic()
        assert time.monotonic() - left < 12
        assert handle.done()
    assert "is left behind by its Runtime" in caplog.text


PROGRAM = """
    import sqlite3, sys
    from actwright import flow
    from actwright.exceptions import JournalUnavailable
    from actwright.settings import get_current_settings

    def lock():
        global other
        other = sqlite3.connect(get_current_settings().database, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")

    @flow
    def work():
        lock()
        return "the result"

    if __name__ == "__main__":
        try:
            work()
        except JournalUnavailable as error:
            print(error.state.result(), "|", error)
"""


def test_a_program_that_ends_meanwhile_ends_in_time_and_says_what_it_could_not_write(tmp_path: Path) -> None:
    began = time.monotonic()
    ran = run_script(tmp_path, PROGRAM, journal_wait_seconds="1")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("the result | Flow run ")
    assert "its state, with its result, is on this error" in ran.stdout
    assert "The journal cannot write, for" in ran.stderr
    assert "The journal was closed before it could write" in ran.stderr
    assert time.monotonic() - began < 28


READ_ONLY = """
    import os, sys
    from pathlib import Path
    from actwright import flow
    from actwright.exceptions import JournalError

    @flow
    def work():
        return "the result"

    if __name__ == "__main__":
        try:
            work()
        except JournalError as error:
            print(type(error).__name__, error)
"""


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file, and no folder")
    ran = run_script(tmp_path, READ_ONLY, home=str(home))
    assert ran.stdout.startswith("JournalLocation")
    assert str(home) in ran.stdout
    assert home.is_file()
