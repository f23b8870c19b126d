"""Interrupting sync bodies: a body that is cancelled or timed out is ended wherever it stands, and it alone."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

import pytest
from tests.engine.gate import Gate
from tests.engine.recorder import Recorder
from tests.engine.spinning import Spinning, cancelled, is_interrupted
from tests.engine.watched import at_rest, open_runtime, until

from actwright import flow, runtime, task, wait
from actwright.exceptions import CancelledRun, Interrupted
from actwright.runtime import no_interrupt
from actwright_actors.testing import ManualClock

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


# One body


@pytest.mark.parametrize("step", [lambda: None, lambda: time.sleep(0.05), lambda: sum(range(100_000))])
async def test_a_body_that_is_cancelled_is_interrupted_promptly(
    step: Callable[[], object], record_property: Callable[[str, object], None]
) -> None:
    body = Spinning(step)
    async with open_runtime() as opened:
        handle = opened.submit(flow(body, name="spins"))
        await body.spins()
        began = time.monotonic()
        state = await cancelled(handle)
        took = time.monotonic() - began
    record_property("milliseconds", round(took * 1000, 1))
    print(f"interrupted after {took * 1000:.1f} ms")
    assert (state.name, state.message) == ("Cancelled", "enough")
    assert [is_interrupted(error) for error in body.seen] == [True]
    assert took < 5  # on a busy machine; some 15 ms on an idle one


async def test_a_body_that_times_out_is_interrupted_and_its_next_attempt_starts_when_it_has_really_ended(
    recorder: Recorder,
) -> None:
    clock, gate = ManualClock(), Gate()

    def body() -> str:
        attempt = runtime.flow_run.run_count
        recorder.mark(f"{attempt} begins")
        if attempt == 2:
            return "in time"
        try:
            while True:
                pass
        finally:
            gate.stop_here()
            recorder.mark(f"{attempt} ends")

    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(flow(body, timeout_seconds=5, retries=1))
        await until(lambda: recorder.order == ["1 begins"])
        clock.advance(5)
        await gate.reached()
        await at_rest()
        assert recorder.order == ["1 begins"]
        gate.open()
        assert await handle == "in time"
    assert recorder.order == ["1 begins", "1 ends", "2 begins"]


@pytest.mark.parametrize(("timeout", "ends"), [(None, "Cancelled"), (5, "TimedOut")])
async def test_a_body_that_swallows_its_interrupt_is_not_interrupted_again_and_ends_as_it_would_have(
    timeout: float | None, ends: str
) -> None:
    clock, body, ended = ManualClock(), Spinning(), list[str]()

    def swallows() -> str:
        with contextlib.suppress(Interrupted):
            body()
        for _ in range(20):
            time.sleep(0.005)  # as long as it takes to be looked at
        ended.append("whole")
        return "all is well"

    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(flow(swallows, timeout_seconds=timeout))
        await body.spins()
        if timeout is None:
            await handle.cancel()
        else:
            clock.advance(timeout)
        await wait([handle])
        assert handle.state.name == ends
    assert ended == ["whole"]


async def test_except_and_finally_run_whole(recorder: Recorder) -> None:
    body = Spinning()

    def cleans_up() -> None:
        try:
            body()
        except Interrupted:
            for _ in range(10):
                time.sleep(0.005)
            recorder.mark("except")
            raise
        finally:
            for _ in range(10):
                time.sleep(0.005)
            recorder.mark("finally")

    async with open_runtime() as opened:
        handle = opened.submit(flow(cleans_up, on_cancellation=[recorder.hook("hook")]))
        await body.spins()
        await cancelled(handle)
    assert recorder.order == ["except", "finally", "hook"]


async def test_except_exception_does_not_keep_a_body_from_ending() -> None:
    body, swallowed = Spinning(), list[BaseException]()

    def careless() -> None:
        while True:
            try:
                body()
            except Exception as error:
                swallowed.append(error)

    async with open_runtime() as opened:
        handle = opened.submit(flow(careless))
        await body.spins()
        await cancelled(handle)
    assert swallowed == []


async def test_a_body_that_cleans_up_for_longer_than_the_grace_is_abandoned(caplog: pytest.LogCaptureFixture) -> None:
    clock, gate, body = ManualClock(), Gate(), Spinning()

    def hangs() -> None:
        try:
            body()
        finally:
            gate.stop_here()

    async with open_runtime(clock=clock, cancel_grace_seconds=30) as opened:
        handle = opened.submit(flow(hangs))
        await body.spins()
        await handle.cancel()
        await gate.reached()
        assert not handle.done()
        clock.advance(30)
        await wait([handle])
        assert handle.state.is_cancelled()
        assert "abandoned" in caplog.text
        gate.open()


async def test_a_body_that_is_blocked_in_c_is_abandoned_after_the_grace_and_interrupted_when_that_returns() -> None:
    clock, blocked = ManualClock(), SimpleQueue[None]()
    body = Spinning(blocked.get)
    async with open_runtime(clock=clock, cancel_grace_seconds=30) as opened:
        handle = opened.submit(flow(body, name="blocks"))
        await body.spins()
        await handle.cancel()
        clock.advance(30)
        await wait([handle])
        assert handle.state.is_cancelled()
        assert body.seen == []
        blocked.put(None)
        await until(lambda: bool(body.seen))
    assert is_interrupted(body.seen[0])


async def test_a_body_that_waits_for_a_lock_in_c_has_it_by_then_and_gives_it_back() -> None:
    began, lock, seen = threading.Event(), threading.Lock(), list[BaseException]()

    def locks() -> None:
        began.set()
        try:
            while True:
                with lock:
                    pass
        except BaseException as error:
            seen.append(error)
            raise

    async with open_runtime() as opened:
        with lock:
            handle = opened.submit(flow(locks))
            await until(began.is_set)
            await handle.cancel()
        await wait([handle])
    assert is_interrupted(seen[0])
    assert not lock.locked()


# Holding it off


async def test_no_interrupt_holds_it_off_and_the_end_of_the_outermost_block_delivers_it(recorder: Recorder) -> None:
    gate = Gate()

    def holds() -> None:
        try:
            with no_interrupt():
                with no_interrupt():
                    gate.stop_here()
                    for _ in range(10):
                        time.sleep(0.005)
                    recorder.mark("inner")
                for _ in range(10):
                    time.sleep(0.005)
                recorder.mark("outer")
            recorder.mark("after")
        except Interrupted:
            recorder.mark("interrupted")
            raise

    async with open_runtime() as opened:
        handle = opened.submit(flow(holds))
        await gate.reached()
        await handle.cancel()
        gate.open()
        await wait([handle])
        assert handle.state.is_cancelled()
    assert recorder.order == ["inner", "outer", "interrupted"]


async def test_what_leaves_a_no_interrupt_block_anyway_is_not_replaced_and_the_interrupt_comes_later() -> None:
    gate, seen = Gate(), list[BaseException]()

    def fails() -> None:
        try:
            with no_interrupt():
                gate.stop_here()
                raise ValueError("of its own")
        except ValueError as error:
            seen.append(error)
        try:
            while True:
                pass
        except Interrupted as error:
            seen.append(error)
            raise

    async with open_runtime() as opened:
        handle = opened.submit(flow(fails))
        await gate.reached()
        await handle.cancel()
        gate.open()
        await wait([handle])
    assert [type(error) for error in seen] == [ValueError, Interrupted]


async def test_a_no_interrupt_block_that_nobody_cancels_in_does_nothing() -> None:
    @task
    def holds() -> str:
        with no_interrupt():
            return "held"

    @flow
    async def around() -> str:
        with no_interrupt():
            return await holds.submit()

    with no_interrupt():
        async with open_runtime() as opened:
            assert await opened.submit(around) == "held"


@pytest.mark.parametrize("asks", ["asks", "is raised at"])
async def test_a_body_that_has_heard_of_it_by_asking_is_left_in_peace(asks: str, recorder: Recorder) -> None:
    gate = Gate()

    def polite() -> None:
        with no_interrupt():
            gate.stop_here()
            if asks == "asks":
                assert runtime.cancel_requested()
            else:
                with pytest.raises(CancelledRun):
                    runtime.raise_if_cancelled()
        for _ in range(20):
            time.sleep(0.005)
        recorder.mark("ended")

    async with open_runtime() as opened:
        handle = opened.submit(flow(polite))
        await gate.reached()
        await handle.cancel()
        gate.open()
        await wait([handle])
        assert handle.state.is_cancelled()
    assert recorder.order == ["ended"]


async def test_a_thread_that_a_body_started_hears_of_it_for_itself_alone() -> None:
    body, told = Spinning(), list[bool]()

    def asks_in_a_thread() -> None:
        import contextvars

        context = contextvars.copy_context()

        def ask() -> None:
            while not context.run(runtime.cancel_requested):
                time.sleep(0.001)
            told.append(True)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            with no_interrupt():
                body.began += 1
                thread.join()
            body()
        finally:
            thread.join()

    async with open_runtime() as opened:
        handle = opened.submit(flow(asks_in_a_thread))
        await body.spins()
        await cancelled(handle)
    assert told == [True]
    assert body.began == 1  # it was interrupted at the end of the block
