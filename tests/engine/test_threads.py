"""Worker threads: places, waits that give them back, withdrawal, abandonment and the close."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager

import anyio
import hypothesis.strategies as st
import pytest
from hypothesis import given
from tests.engine.gate import WATCHDOG_SECONDS, Gate

from actwright.authoring.waiting import blocking
from actwright.engine import threads
from actwright.engine.threads import Job, WorkerThreads


@contextmanager
def pool(limit: int) -> Generator[WorkerThreads]:
    workers = WorkerThreads(limit, "test-worker")
    try:
        yield workers
    finally:
        workers.close()


class Held:
    """A job that stops at a gate, and that can be seen."""

    def __init__(self, workers: WorkerThreads) -> None:
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.runs = 0
        self.job: Job = workers.submit(self._run)

    def _run(self) -> None:
        self.runs += 1
        self.entered.set()
        assert self.leave.wait(WATCHDOG_SECONDS)

    def is_entered(self) -> bool:
        return self.entered.wait(WATCHDOG_SECONDS)


def sync_with(workers: WorkerThreads) -> None:
    """Wait until a thread had its turn: whatever could start before this job has started."""
    turn = threading.Event()
    workers.submit(turn.set)
    assert turn.wait(WATCHDOG_SECONDS)


def test_a_pool_without_threads_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        WorkerThreads(0, "none")


def test_no_more_jobs_run_at_once_than_there_are_places_and_they_start_in_order() -> None:
    with pool(2) as workers:
        jobs = [Held(workers) for _ in range(4)]
        assert jobs[0].is_entered()
        assert jobs[1].is_entered()
        assert not jobs[2].entered.is_set()
        jobs[0].leave.set()
        assert jobs[2].is_entered()
        assert not jobs[3].entered.is_set()
        for held in jobs:
            held.leave.set()
        assert jobs[3].is_entered()


def test_a_job_that_waits_gives_its_place_to_the_next_and_has_it_again_at_once() -> None:
    order: list[str] = []
    with pool(1) as workers:
        let_go, is_back, leave = threading.Event(), threading.Event(), threading.Event()

        def waits() -> None:
            with blocking():
                assert let_go.wait(WATCHDOG_SECONDS)
            order.append("back")
            is_back.set()
            assert leave.wait(WATCHDOG_SECONDS)

        workers.submit(waits)
        second = Held(workers)
        assert second.is_entered()  # in the place of the first
        let_go.set()
        assert is_back.wait(WATCHDOG_SECONDS)  # though the second has that place still
        third = Held(workers)
        second.leave.set()
        assert not third.entered.is_set()  # the first is at work in it
        leave.set()
        assert third.is_entered()
        third.leave.set()
    assert order == ["back"]


def test_jobs_that_wait_for_jobs_end_at_any_depth_with_one_thread() -> None:
    with pool(1) as workers:

        def nest(depth: int, done: threading.Event) -> None:
            if depth:
                inner = threading.Event()
                workers.submit(lambda: nest(depth - 1, inner))
                with blocking():
                    assert inner.wait(WATCHDOG_SECONDS)
            done.set()

        finished = threading.Event()
        workers.submit(lambda: nest(20, finished))
        assert finished.wait(WATCHDOG_SECONDS)


def test_a_job_in_the_queue_can_be_withdrawn_once_and_never_runs() -> None:
    with pool(1) as workers:
        first, queued = Held(workers), Held(workers)
        assert first.is_entered()
        assert queued.job.withdraw()
        assert not queued.job.withdraw()
        first.leave.set()
    assert queued.runs == 0


def test_a_job_that_has_started_cannot_be_withdrawn() -> None:
    with pool(1) as workers:
        first = Held(workers)
        assert first.is_entered()
        assert not first.job.withdraw()
        first.leave.set()
    assert first.runs == 1


def test_the_place_of_an_abandoned_job_is_free_and_its_thread_is_counted_until_it_ends() -> None:
    with pool(1) as workers:
        stuck = Held(workers)
        assert stuck.is_entered()
        stuck.job.abandon()
        stuck.job.abandon()
        assert workers.abandoned == 1
        sync_with(workers)
        stuck.leave.set()
        assert stuck.job.thread is not None
        sync_with(workers)
    stuck.job.thread.join(WATCHDOG_SECONDS)
    assert workers.abandoned == 0


def test_to_abandon_what_has_just_ended_counts_nothing_and_the_close_waits_for_its_thread() -> None:
    with pool(1) as workers:
        held = Held(workers)
        held.leave.set()
        sync_with(workers)
        held.job.abandon()
        assert workers.abandoned == 0
    assert held.job.thread is not None
    held.job.thread.join(0.1)
    assert not held.job.thread.is_alive()


def test_an_abandoned_job_that_comes_back_from_a_wait_takes_no_place_any_more() -> None:
    with pool(1) as workers:
        waits, let_go, is_back, leave = (threading.Event() for _ in range(4))

        def wait() -> None:
            with blocking():
                waits.set()
                assert let_go.wait(WATCHDOG_SECONDS)
            is_back.set()
            assert leave.wait(WATCHDOG_SECONDS)

        stuck = workers.submit(wait)
        assert waits.wait(WATCHDOG_SECONDS)
        stuck.abandon()
        let_go.set()
        assert is_back.wait(WATCHDOG_SECONDS)
        first, second = Held(workers), Held(workers)
        assert first.is_entered()
        leave.set()
        assert stuck.thread is not None
        assert not second.entered.wait(0.02)  # nor gives one back as it ends
        first.leave.set()
        assert second.is_entered()
        second.leave.set()


def test_of_waits_within_each_other_the_outermost_takes_the_place_again() -> None:
    with pool(1) as workers:
        inner_is_over, let_go, leave = (threading.Event() for _ in range(3))

        def wait() -> None:
            with blocking():
                with blocking():
                    pass
                inner_is_over.set()
                assert let_go.wait(WATCHDOG_SECONDS)
            assert leave.wait(WATCHDOG_SECONDS)

        workers.submit(wait)
        assert inner_is_over.wait(WATCHDOG_SECONDS)
        other = Held(workers)
        assert other.is_entered()
        other.leave.set()
        let_go.set()
        leave.set()


def test_to_abandon_what_waits_in_the_queue_takes_it_out() -> None:
    with pool(1) as workers:
        first, queued = Held(workers), Held(workers)
        assert first.is_entered()
        queued.job.abandon()
        assert workers.abandoned == 0
        first.leave.set()
        sync_with(workers)
    assert queued.runs == 0


def test_past_the_cap_an_abandoned_thread_keeps_its_place_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "MAX_ABANDONED", 1)
    with pool(1) as workers:
        stuck = [Held(workers)]
        assert stuck[0].is_entered()
        stuck[0].job.abandon()
        stuck.append(Held(workers))
        assert stuck[1].is_entered()
        with caplog.at_level(logging.ERROR, "actwright.engine"):
            stuck[1].job.abandon()
        assert "2 threads are abandoned" in caplog.text
        waiting = Held(workers)
        assert not waiting.entered.wait(0.02)
        stuck[1].leave.set()
        assert waiting.is_entered()
        for held in (*stuck, waiting):
            held.leave.set()
    for held in stuck:
        assert held.job.thread is not None
        held.job.thread.join(WATCHDOG_SECONDS)


def test_a_close_runs_what_was_submitted_before_it_and_refuses_what_comes_after() -> None:
    ran: list[int] = []
    with pool(1) as workers:
        for number in range(5):
            workers.submit(lambda number=number: ran.append(number))  # type: ignore[misc]
    assert ran == [0, 1, 2, 3, 4]
    with pytest.raises(RuntimeError, match="closed"):
        workers.submit(ran.clear)


def test_a_close_waits_for_threads_that_start_while_it_waits() -> None:
    workers = WorkerThreads(2, "test-worker")
    first, second, queued = Held(workers), Held(workers), [Held(workers) for _ in range(20)]
    assert first.is_entered()
    assert second.is_entered()
    closer = threading.Thread(target=workers.close)
    closer.start()
    for held in (*queued, second, first):
        held.leave.set()
    closer.join(WATCHDOG_SECONDS)
    assert [held.runs for held in queued] == [1] * 20


def test_a_queue_is_worked_off_by_as_many_threads_as_there_are_places() -> None:
    with pool(1) as workers:
        first = Held(workers)
        assert first.is_entered()
        jobs = [Held(workers) for _ in range(20)]
        for held in (first, *jobs):
            held.leave.set()
    assert {held.job.thread for held in jobs} == {first.job.thread}


def test_a_close_does_not_wait_for_what_was_abandoned() -> None:
    workers = WorkerThreads(1, "test-worker")
    stuck = Held(workers)
    assert stuck.is_entered()
    stuck.job.abandon()
    workers.close()
    assert stuck.job.thread is not None
    assert stuck.job.thread.is_alive()
    assert stuck.job.thread.daemon
    stuck.leave.set()
    stuck.job.thread.join(WATCHDOG_SECONDS)
    assert not stuck.job.thread.is_alive()


def test_a_thread_that_is_idle_for_long_ends_and_the_next_job_gets_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE_SECONDS", 0.0)
    with pool(1) as workers:
        for _ in range(3):
            held = Held(workers)
            assert held.is_entered()
            held.leave.set()
            assert held.job.thread is not None
            held.job.thread.join(WATCHDOG_SECONDS)
            assert not held.job.thread.is_alive()


def test_a_thread_is_used_again() -> None:
    seen: set[int] = set()
    with pool(3) as workers:
        for _ in range(10):
            done = threading.Event()
            job = workers.submit(done.set)
            assert done.wait(WATCHDOG_SECONDS)
            sync_with(workers)
            assert job.thread is not None
            seen.add(id(job.thread))
    assert len(seen) <= 3


@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from(["submit", "leave", "withdraw", "abandon"]), st.integers(0, 9))),
)
def test_whatever_is_asked_of_it_each_job_runs_once_or_was_withdrawn(limit: int, asked: list[tuple[str, int]]) -> None:
    jobs: list[Held] = []
    taken_out: set[int] = set()
    with pool(limit) as workers:
        for what, which in asked:
            if what == "submit" or not jobs:
                jobs.append(Held(workers))
                continue
            number = which % len(jobs)
            held = jobs[number]
            if what == "leave":
                held.leave.set()
            elif what == "withdraw":
                if held.job.withdraw():
                    taken_out.add(number)
            elif held.job.thread is not None:
                held.job.abandon()
            at_work = [held for held in jobs if held.job.holds_place]
            assert len(at_work) <= limit
        for held in jobs:
            held.leave.set()
    for held in jobs:
        if held.job.thread is not None:
            held.job.thread.join(WATCHDOG_SECONDS)
    assert [held.runs for held in jobs] == [0 if number in taken_out else 1 for number in range(len(jobs))]
    assert workers.abandoned == 0


# From the loop


@pytest.mark.anyio
async def test_run_gives_what_the_call_returned_or_raises_what_it_raised() -> None:
    def fail() -> None:
        raise SystemExit(3)

    with pool(1) as workers, anyio.fail_after(WATCHDOG_SECONDS):
        assert await workers.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(SystemExit):
            await workers.run(fail)


@pytest.mark.anyio
@pytest.mark.parametrize("has_started", [True, False], ids=["started", "queued"])
async def test_a_cancelled_run_is_abandoned_if_it_had_started_and_withdrawn_if_not(has_started: bool) -> None:
    gate, block = Gate(), Gate()
    with pool(1) as workers, anyio.fail_after(WATCHDOG_SECONDS):
        if not has_started:
            workers.submit(block.stop_here)
            await block.reached()
        async with anyio.create_task_group() as group:
            group.start_soon(workers.run, gate.stop_here)
            await anyio.wait_all_tasks_blocked()
            if has_started:
                await gate.reached()
            group.cancel_scope.cancel()
        assert workers.abandoned == (1 if has_started else 0)
        gate.open()
        block.open()
        await workers.run(threading.get_ident)
    assert gate.is_reached == has_started
