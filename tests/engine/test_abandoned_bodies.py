"""Bodies that were told to stop and do not, or that never started."""

from __future__ import annotations

import logging
import threading

import anyio
import pytest
from tests.engine.gate import WATCHDOG_SECONDS, Gate
from tests.engine.recorder import Recorder
from tests.engine.watched import at_rest, open_runtime

from actwright import flow, task, wait
from actwright.exceptions import CancelledRun
from actwright.runtime import no_interrupt
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


async def test_an_async_body_that_swallows_its_cancellation_is_abandoned_after_the_grace(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    gate, clock, later, started = Gate(), ManualClock(), list[BaseException](), anyio.Event()
    child = task(anyio.sleep_forever, name="child")

    @flow(**recorder.all_hooks())
    async def stubborn() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await gate.astop_here()
                try:
                    child.submit()
                except CancelledRun as error:
                    later.append(error)

    async with open_runtime(clock=clock, cancel_grace_seconds=30) as runtime:
        handle = runtime.submit(stubborn)
        await started.wait()
        await handle.cancel()
        await gate.reached()
        clock.advance(29.9)
        await at_rest()
        assert handle.state.is_cancelling()
        assert recorder.order == ["on_running"]  # its hooks wait for the body to unwind
        with caplog.at_level(logging.WARNING, "actwright.engine"):
            clock.advance(0.2)
            await wait([handle])
        assert "abandoned" in caplog.text
        assert handle.state.is_cancelled()
        gate.open()
        await at_rest()
        assert len(later) == 1
        assert handle.state.is_cancelled()
    assert recorder.order == ["on_running", "on_cancellation", "on_end"]


async def test_a_sync_body_that_does_not_end_is_abandoned_and_can_start_nothing_any_more(recorder: Recorder) -> None:
    gate, clock, later = Gate(), ManualClock(), list[BaseException]()
    ended = threading.Event()
    child = task(anyio.sleep_forever, name="child")

    @flow(**recorder.all_hooks())
    def stubborn() -> None:
        with no_interrupt():
            gate.stop_here()
            try:
                child.submit()
            except CancelledRun as error:
                later.append(error)
            ended.set()

    async with open_runtime(clock=clock, cancel_grace_seconds=30, worker_threads=1) as runtime:
        handle = runtime.submit(stubborn)
        await gate.reached()
        await handle.cancel()
        clock.advance(30)
        await wait([handle])
        assert handle.state.is_cancelled()
        # Its place is free for others.
        assert await runtime.submit(flow(lambda: "next", name="next")) == "next"
        gate.open()
        assert await anyio.to_thread.run_sync(ended.wait, WATCHDOG_SECONDS)
        assert len(later) == 1
    assert recorder.order == ["on_running", "on_cancellation", "on_end"]


async def test_a_body_that_was_abandoned_is_not_tried_again() -> None:
    gate, clock, attempts = Gate(), ManualClock(), list[int]()

    async def stubborn() -> None:
        attempts.append(1)
        with anyio.CancelScope(shield=True):
            await gate.astop_here()

    async with open_runtime(clock=clock, cancel_grace_seconds=30) as runtime:
        handle = runtime.submit(flow(stubborn, timeout_seconds=5, retries=3))
        await gate.reached()
        clock.advance(5)
        await at_rest()
        clock.advance(30)
        await wait([handle])
        assert handle.state.name == "TimedOut"
        gate.open()
    assert attempts == [1]


async def test_a_sync_body_that_waits_in_a_queue_for_a_thread_is_cancelled_without_starting(
    recorder: Recorder,
) -> None:
    gate = Gate()
    async with open_runtime(worker_threads=1) as runtime:
        first = runtime.submit(flow(gate.stop_here, name="first"))
        await gate.reached()
        queued = runtime.submit(flow(lambda: recorder.mark("body"), name="queued"))
        await at_rest()
        assert queued.state.is_running()
        await queued.cancel()
        await wait([queued])
        assert queued.state.is_cancelled()
        gate.open()
        await first
    assert recorder.order == []
