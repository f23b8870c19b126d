"""Interrupting sync bodies: which of several in a thread, in which threads, and the thread that does it."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from tests.engine.gate import WATCHDOG_SECONDS, Gate
from tests.engine.recorder import Recorder
from tests.engine.spinning import Spinning, cancelled, is_interrupted
from tests.engine.subjects import raising
from tests.engine.watched import open_runtime, until

from actwright import flow, runtime, task, wait
from actwright.authoring.context import RunContext, current
from actwright.authoring.interrupts import SyncBody
from actwright.engine import interrupting
from actwright.engine.interrupting import Interrupter
from actwright.engine.threads import MAX_ABANDONED
from actwright.exceptions import CancelledRun, Interrupted
from actwright.runtime import no_interrupt

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


# Several in one thread


async def test_of_bodies_that_call_each_other_in_one_thread_the_innermost_is_interrupted_and_the_others_told() -> None:
    inner, seen = Spinning(), list[BaseException]()

    @task
    def part() -> None:
        inner()

    @flow
    def middle() -> None:
        try:
            part()
        except BaseException as error:
            for _ in range(20):
                time.sleep(0.005)
            seen.append(error)
            raise

    @flow
    def outer() -> None:
        try:
            middle()
        except BaseException as error:
            for _ in range(20):
                time.sleep(0.005)
            seen.append(error)
            raise

    async with open_runtime() as opened:
        handle = opened.submit(outer)
        await inner.spins()
        await cancelled(handle)
        assert {run.state.name for run in opened.journal.runs()} == {"Cancelled"}
    assert [type(error) for error in (*inner.seen, *seen)] == [Interrupted, CancelledRun, CancelledRun]


async def test_a_task_that_is_cancelled_alone_is_interrupted_and_the_body_around_it_goes_on() -> None:
    inner = Spinning()

    @task(task_run_name="part")
    def part() -> None:
        inner()

    @flow
    def outer() -> str:
        with pytest.raises(CancelledRun):
            part()
        for _ in range(20):
            time.sleep(0.005)
        return "went on"

    async with open_runtime() as opened:
        handle = opened.submit(outer)
        await inner.spins()
        [run] = [run for run in opened.journal.runs() if run.name == "part"]
        await opened.cancel(run.id)
        assert await handle == "went on"


async def test_hooks_are_never_interrupted(recorder: Recorder) -> None:
    gate, body = Gate(), Spinning()

    def slow(*_: object) -> None:
        for _tick in range(20):
            time.sleep(0.005)
        recorder.mark("hook")

    async with open_runtime() as opened:
        first = opened.submit(flow(body, name="first", on_cancellation=[slow]))
        await body.spins()
        await cancelled(first)

        def stops(*_: object) -> None:
            gate.stop_here()

        @flow(on_running=[stops, slow])
        def second() -> None:
            recorder.mark("body")

        handle = opened.submit(second)
        await gate.reached()
        await handle.cancel()
        gate.open()
        await wait([handle])
    assert recorder.order == ["hook", "hook"]


# The thread


async def test_a_worker_thread_whose_body_was_interrupted_ends_and_the_next_body_gets_another() -> None:
    body, threads = Spinning(), list[threading.Thread]()

    def first() -> None:
        threads.append(threading.current_thread())
        body()

    async with open_runtime(worker_threads=1) as opened:
        handle = opened.submit(flow(first))
        await body.spins()
        waiting = opened.submit(flow(threading.current_thread, name="waiting"))  # for the thread that it has
        await cancelled(handle)
        assert await waiting is not threads[0]
        await until(lambda: not threads[0].is_alive())


async def test_a_body_that_nobody_cancels_keeps_its_thread_and_starts_none() -> None:
    async with open_runtime(worker_threads=1) as opened:
        seen = {await opened.submit(flow(threading.current_thread, name="work")) for _ in range(3)}
        assert len(seen) == 1
        assert "actwright-interrupter" not in {thread.name for thread in threading.enumerate()}


async def test_the_thread_that_interrupts_ends_with_the_last_body_that_it_was_asked_for() -> None:
    body = Spinning()

    def names() -> set[str]:
        return {thread.name for thread in threading.enumerate()}

    def lingers() -> None:
        try:
            body()
        finally:
            gate.stop_here()

    gate = Gate()
    async with open_runtime() as opened:
        handle = opened.submit(flow(lingers))
        await body.spins()
        await handle.cancel()
        await gate.reached()
        assert "actwright-interrupter" in names()
        gate.open()
        await wait([handle])
        await until(lambda: "actwright-interrupter" not in names())


async def test_fifty_bodies_are_interrupted_at_once() -> None:
    bodies = [Spinning(lambda: time.sleep(0.01)) for _ in range(50)]
    assert len(bodies) < MAX_ABANDONED
    async with open_runtime(worker_threads=50) as opened:
        handles = [opened.submit(flow(body, name="one of many")) for body in bodies]
        await until(lambda: all(body.began for body in bodies))
        async with anyio.create_task_group() as group:
            for handle in handles:
                group.start_soon(cancelled, handle)
        assert all(handle.state.is_cancelled() for handle in handles)
    assert all(is_interrupted(error) for body in bodies for error in body.seen)


# The caller's own thread


def test_a_flow_in_a_script_is_interrupted_when_another_thread_cancels_it(background_backend: str) -> None:
    body, runs = Spinning(), SimpleQueue[Any]()

    @flow
    def in_the_main_thread() -> None:
        context = current()
        assert context is not None
        runs.put(context.run)
        body()

    def cancel() -> None:
        runs.get(timeout=WATCHDOG_SECONDS).cancel("from elsewhere").result(WATCHDOG_SECONDS)

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CancelledRun, match="from elsewhere"):
        in_the_main_thread()
    thread.join()
    assert [is_interrupted(error) for error in body.seen] == [True]


def test_a_task_that_is_called_in_a_script_times_out_and_is_interrupted(background_backend: str) -> None:
    body = Spinning()

    @task(timeout_seconds=0.05, retries=1)
    def slow() -> str:
        if body.began == 1:
            return "the second time"
        body()
        return "never"

    @flow
    def script() -> str:
        return slow()

    assert script() == "the second time"
    assert [is_interrupted(error) for error in body.seen] == [True]


async def test_a_sync_flow_that_holds_the_loop_is_interrupted_in_the_loops_own_thread() -> None:
    body = Spinning()

    @flow(timeout_seconds=0.05)
    def holds_the_loop() -> None:
        body()

    state = holds_the_loop(return_state=True)
    assert state.name == "TimedOut"
    assert [is_interrupted(error) for error in body.seen] == [True]


# Elsewhere


@pytest.mark.parametrize(
    ("name", "version", "supported"),
    [
        ("cpython", (3, 11, 0), True), ("cpython", (3, 12, 9), True), ("cpython", (3, 13, 0), False),
        ("pypy", (3, 11, 13), False),
    ],
)  # fmt: skip
def test_interrupts_are_for_the_interpreters_whose_ways_are_known(
    name: str, version: tuple[int, int, int], supported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupting.interrupts_are_supported.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "implementation", SimpleNamespace(name=name))
        patch.setattr(sys, "version_info", version)
        told = interrupting.interrupts_are_supported()
    interrupting.interrupts_are_supported.cache_clear()
    assert told is supported


def test_where_no_thread_is_to_be_had_that_is_said_and_the_next_one_who_asks_tries_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    interrupter, body = Interrupter(), SyncBody(RunContext(cast("Any", None)))

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        interrupter.interrupt(body)
    assert "can't start new thread" in caplog.text
    with pytest.raises(Interrupted):
        body.call(lambda: spins_after(lambda: interrupter.interrupt(body)), (), {})
    interrupter.note_news()


def test_a_look_that_fails_is_shown_and_the_next_one_who_asks_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupter, body, shown = Interrupter(), SyncBody(RunContext(cast("Any", None))), list[object]()
    died = threading.Event()

    def show(args: threading.ExceptHookArgs) -> None:
        shown.append(args.exc_value)
        died.set()

    error = ValueError("a bug")
    with monkeypatch.context() as patch:
        patch.setattr(threading, "excepthook", show)
        patch.setattr(interrupting, "decide", raising(error))

        def waits() -> None:
            interrupter.interrupt(body)
            died.wait(WATCHDOG_SECONDS)

        body.call(waits, (), {})
    assert shown == [error]
    other = SyncBody(RunContext(cast("Any", None)))
    with pytest.raises(Interrupted):
        other.call(lambda: spins_after(lambda: interrupter.interrupt(other)), (), {})
    interrupter.note_news()


def test_a_child_that_is_forked_during_a_look_collects_its_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 11, 7))
    with interrupting._without_garbage_collection():  # pyright: ignore[reportPrivateUsage]
        assert not gc.isenabled()
        child = os.fork()
        if not child:
            os._exit(0 if gc.isenabled() else 1)
    assert os.waitpid(child, 0) == (child, 0)
    assert gc.isenabled()


def spins_after(first: Callable[[], object]) -> None:
    first()
    while True:
        pass


def test_threads_take_turns_as_before_once_nobody_is_to_be_interrupted() -> None:
    before = sys.getswitchinterval()
    interrupter, body = Interrupter(), SyncBody(RunContext(cast("Any", None)))
    with pytest.raises(Interrupted):
        body.call(lambda: spins_after(lambda: interrupter.interrupt(body)), (), {})
    interrupter.note_news()
    deadline = time.monotonic() + WATCHDOG_SECONDS
    while sys.getswitchinterval() != before and time.monotonic() < deadline:
        time.sleep(0.001)
    assert sys.getswitchinterval() == before


async def test_where_interrupts_are_not_supported_a_body_ends_by_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actwright.engine.interrupting.interrupts_are_supported", lambda: False)
    began = threading.Event()

    def asks() -> None:
        began.set()
        with no_interrupt():
            while not runtime.cancel_requested():
                time.sleep(0.001)

    async with open_runtime() as opened:
        handle = opened.submit(flow(asks))
        await until(began.is_set)
        assert (await cancelled(handle)).is_cancelled()
        assert "actwright-interrupter" not in {thread.name for thread in threading.enumerate()}
