"""A process as a node: one journal and one lock, for all Runtimes in it; and several processes on one journal."""

from __future__ import annotations

import faulthandler
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from textwrap import dedent
from typing import Any

import anyio
import pytest
from sqlalchemy import func, select
from tests.conftest import BACKENDS
from tests.journal.records import new_run
from tests.nodes.elsewhere import is_free

from actwright import Runtime, flow, run_flow, task
from actwright.exceptions import JournalUnavailable
from actwright.journal.checking import check
from actwright.journal.database import Database
from actwright.journal.protocol import Transition
from actwright.journal.schema import hook_deliveries, nodes, runs
from actwright.nodes import locks, rows
from actwright.nodes.companion import Recovery
from actwright.nodes.node import Node, close_nodes, lock_path, open_nodes, process_node
from actwright.settings import get_current_settings

WATCHDOG_SECONDS = 50


def this_node() -> Node:
    return process_node(get_current_settings())


def counted(database: Database, query: Any) -> list[tuple[Any, ...]]:
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(query)]


# One node


def test_a_process_is_one_node_and_holds_its_lock_until_it_is_closed() -> None:
    node = this_node()
    assert this_node() is node
    path = lock_path(node.id, node.database)
    assert not is_free(path)
    close_nodes()
    assert not path.exists()
    assert open_nodes() == []


def test_closed_with_nothing_open_it_is_settled_and_the_next_one_is_another() -> None:
    first = this_node().id
    close_nodes()
    second = this_node()
    assert second.id != first
    query = select(nodes.c.id, nodes.c.settled_at.is_not(None))
    assert dict(counted(second.database, query)) == {first: True, second.id: False}


def test_closed_with_a_run_open_it_leaves_the_lock_for_whoever_recovers_it(caplog: pytest.LogCaptureFixture) -> None:
    node = this_node()
    node.journal.append(Transition(new_run()))
    path = lock_path(node.id, node.database)
    close_nodes()
    assert path.exists()
    assert is_free(path)
    with caplog.at_level(logging.WARNING):
        this_node()
    assert f"Node {node.id} (pid " in caplog.text
    assert "`actwright recover` sees to them" in caplog.text


def dead_node() -> str:
    """One with a run open, whose process and understudy are gone; its id."""
    node = this_node()
    node.journal.append(Transition(new_run()))
    close_nodes()
    return node.id


def test_a_dead_node_that_cannot_be_recovered_from_here_is_named_and_holds_up_neither_others_nor_this_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dead = {dead_node(), dead_node()}
    monkeypatch.setenv("ACTWRIGHT_UNDERSTUDY", "true")
    get_current_settings.cache_clear()
    tried: list[str] = []

    def refuse(recovery: Recovery) -> bool:
        tried.append(recovery.node_id)
        raise PermissionError(f"the log of {recovery.node_id} is another user's")

    monkeypatch.setattr("actwright.nodes.node.recover_dead", refuse)
    caplog.clear()
    assert this_node().journal.flush()
    assert set(tried) == dead
    for each in dead:
        assert f"wait for the next Runtime, or for `actwright recover`. the log of {each}" in caplog.text


def test_a_node_of_which_it_cannot_be_told_whether_it_lives_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = dead_node()
    real = locks.holder

    def holder(path: Path, pid: int | None = None) -> int | None:
        if path.stem == other:
            raise PermissionError(f"{path} is another user's")
        return real(path, pid)

    monkeypatch.setattr(locks, "holder", holder)
    caplog.clear()
    node = this_node()
    assert f"Whether node {other} is alive cannot be told from here: " in caplog.text
    assert "recover" not in caplog.text
    assert lock_path(other, node.database).exists()


def test_a_journal_that_cannot_be_written_just_as_others_are_seen_to_is_no_reason_to_fail(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unsettled(_: object) -> None:
        raise JournalUnavailable("the disk is full")

    monkeypatch.setattr(rows, "unsettled", unsettled)
    assert this_node().journal.flush()
    assert "is not seen to from here: the disk is full" in caplog.text


@task
async def step() -> int:
    return 1


@flow
async def several(times: int) -> int:
    return sum([await step() for _ in range(times)])


def test_runtimes_on_different_loops_of_one_process_share_its_node_and_lose_no_row() -> None:
    """On each back end, in a thread of its own, all at once."""
    done = {name: Future[int]() for name in BACKENDS}

    async def work() -> int:
        async with Runtime():
            return sum([await run_flow(several, 10) for _ in range(10)])

    def run(name: str) -> None:
        backend, options = BACKENDS[name]
        done[name].set_result(anyio.run(work, backend=backend, backend_options=options))

    threads = [threading.Thread(target=run, args=(name,)) for name in BACKENDS]
    for thread in threads:
        thread.start()
    assert [each.result(WATCHDOG_SECONDS) for each in done.values()] == [100, 100, 100]
    for thread in threads:
        thread.join(WATCHDOG_SECONDS)
    (node,) = open_nodes()
    assert node.journal.flush()
    assert counted(node.database, select(runs.c.kind, func.count()).group_by(runs.c.kind)) == [
        ("flow", 30),
        ("task", 300),
    ]
    assert check(node.database) == []


# Several processes

FLOWS = """
    import anyio, sys
    from actwright import flow, run_flow, task

    def told(subject, run, state): ...
    async def atold(subject, run, state): ...

    @task
    async def step(): ...

    @task(on_completion=[atold])
    async def hooked_step(): ...

    @flow(on_running=[told], on_completion=[told, atold])
    async def hooked():
        await step()
        await hooked_step()

    @flow
    def plain():
        plain_step()

    @task
    def plain_step(): ...

    async def main():
        for _ in range(10):
            await run_flow(hooked)

    if __name__ == "__main__":
        print("ready", flush=True)
        sys.stdin.readline()
        anyio.run(main, backend=sys.argv[1])
        for _ in range(10):
            plain()
"""

PROCESSES = 8


@pytest.mark.slow
def test_eight_processes_at_once_on_one_journal_lose_no_row_and_find_it_never_locked(tmp_path: Path) -> None:
    program = tmp_path / "flows.py"
    program.write_text(dedent(FLOWS))
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", program, ("asyncio", "trio")[number % 2]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    told = [each.communicate(timeout=WATCHDOG_SECONDS)[1] for each in started]
    assert [each.returncode for each in started] == [0] * PROCESSES, told
    assert not any("locked" in said or "cannot write" in said for said in told)
    node = this_node()
    ended = runs.c.subject_name, runs.c.state_name
    by_name = select(*ended, func.count()).group_by(*ended)
    assert sorted(counted(node.database, by_name)) == [
        (name, "Completed", 10 * PROCESSES) for name in ("hooked", "hooked_step", "plain", "plain_step", "step")
    ]
    ran = hook_deliveries.c.status, hook_deliveries.c.attempt
    statuses = select(*ran, func.count()).group_by(*ran)
    assert counted(node.database, statuses) == [("SUCCEEDED", 1, 4 * 10 * PROCESSES)]
    settled = select(func.count()).where(nodes.c.settled_at.is_not(None))
    assert counted(node.database, settled) == [(PROCESSES,)]
    assert check(node.database) == []


# Many runs

MANY, AT_ONCE = 20_000, 1_000

ADDED_LATER = 4
"""What a run without hooks still adds once it was let in: two transitions, and two lines of its log."""


@pytest.mark.slow
def test_twenty_thousand_task_runs_leave_the_file_consistent_and_no_run_is_let_into_a_full_queue(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The limit is for letting runs in. What has begun adds to it: what has happened has happened."""
    caplog.set_level(logging.WARNING, "actwright")  # what is not shown costs nothing
    peak, queue = 0, this_node().journal._queue  # pyright: ignore[reportPrivateUsage]

    @task
    async def measured() -> None:
        nonlocal peak
        peak = max(peak, len(queue))

    async def body() -> None:
        for _ in range(MANY // AT_ONCE):
            for handle in [measured.submit() for _ in range(AT_ONCE)]:
                await handle

    async def main() -> None:
        async with Runtime():
            await run_flow(flow(body))

    with capfd.disabled():
        faulthandler.dump_traceback_later(180, exit=True, file=2)  # 20 s alone, a minute on a busy machine
        anyio.run(main)
        print(f"at most {peak} records stood before the writer")
    node = this_node()
    assert node.journal.flush()
    assert peak <= get_current_settings().journal_queue_limit + ADDED_LATER * AT_ONCE
    assert counted(node.database, select(func.count()).where(runs.c.kind == "task")) == [(MANY,)]
    assert check(node.database) == []
