"""A caller that is cancelled, by whatever means: its run ends Cancelled, once, and nothing is left at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from tests.engine.faults import ON_ASYNCIO, leaks_no_task
from tests.engine.gate import WATCHDOG_SECONDS, Gate
from tests.engine.phases import name_of
from tests.engine.recorder import Recorder
from tests.engine.watched import at_rest, open_runtime

from actwright import Flow, Runtime, flow, run_flow, task
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio

CANCELLED = ["on_running", "body unwound", "on_cancellation", "on_end"]
"""What a run goes through whose body was cancelled."""


def endless(recorder: Recorder, started: anyio.Event) -> Flow[[], Any]:
    """A flow that only a cancellation ends."""

    async def body() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            recorder.mark("body unwound")

    return flow(body, name="endless", **recorder.all_hooks())


@asynccontextmanager
async def anywhere(inside: bool) -> AsyncGenerator[None]:
    """In an open Runtime, or in none: then `run_flow` opens its own."""
    with anyio.fail_after(WATCHDOG_SECONDS), leaks_no_task():
        if inside:
            async with Runtime():
                yield
        else:
            yield


# Each of these calls the flow, and is cancelled in its own way once the body has started.

Canceller = Callable[[Flow[[], Any], anyio.Event], Awaitable[None]]


async def by_move_on_after(endless: Flow[[], Any], started: anyio.Event) -> None:
    async def pass_the_deadline() -> None:
        await started.wait()
        scope.deadline = anyio.current_time()

    scope = anyio.move_on_after(WATCHDOG_SECONDS)
    async with anyio.create_task_group() as group:
        group.start_soon(pass_the_deadline)
        with scope:
            await run_flow(endless)
    assert scope.cancelled_caught


async def by_a_failing_task_group(endless: Flow[[], Any], started: anyio.Event) -> None:
    async def call() -> None:
        await run_flow(endless)

    async def abort() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await started.wait()
            raise ValueError("sibling")

    with pytest.raises(ExceptionGroup) as caught:
        await abort()
    assert caught.group_contains(ValueError, match="sibling")


async def by_wait_for(endless: Flow[[], Any], started: anyio.Event) -> None:
    loop = asyncio.get_running_loop()
    asked = loop.time()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run_flow(endless), 2.0)  # it has to begin within that, on a busy machine too
    assert loop.time() - asked >= 1.9
    assert started.is_set()


async def by_asyncio_timeout(endless: Flow[[], Any], started: anyio.Event) -> None:
    async def pass_the_deadline() -> None:
        await started.wait()
        timeout.reschedule(0)

    side = asyncio.ensure_future(pass_the_deadline())
    timeout = asyncio.timeout(None)

    async def call() -> None:
        async with timeout:
            await run_flow(endless)

    with pytest.raises(TimeoutError):
        await call()
    await side


async def by_an_aborting_asyncio_task_group(endless: Flow[[], Any], started: anyio.Event) -> None:
    async def abort() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(run_flow(endless))
            await started.wait()
            raise ValueError("sibling")

    with pytest.raises(ExceptionGroup) as caught:
        await abort()
    assert caught.group_contains(ValueError, match="sibling")


async def by_two_cancels_of_its_task(endless: Flow[[], Any], started: anyio.Event) -> None:
    caller = asyncio.ensure_future(run_flow(endless))
    await started.wait()
    caller.cancel("first")
    await asyncio.sleep(0.05)
    caller.cancel("second")
    with pytest.raises(asyncio.CancelledError):
        await caller


EVERYWHERE: list[Canceller] = [by_move_on_after, by_a_failing_task_group]
NATIVE: list[Canceller] = [
    by_wait_for,
    by_asyncio_timeout,
    by_an_aborting_asyncio_task_group,
    by_two_cancels_of_its_task,
]


@pytest.mark.parametrize("inside", [True, False], ids=["in a Runtime", "without one"])
@pytest.mark.parametrize("cancel", EVERYWHERE, ids=name_of)
async def test_a_cancelled_caller_leaves_a_cancelled_run_whose_hooks_ran_once(
    cancel: Canceller, inside: bool, recorder: Recorder
) -> None:
    started = anyio.Event()
    async with anywhere(inside):
        await cancel(endless(recorder, started), started)
        assert recorder.order == CANCELLED  # all of it before the caller goes on
    assert recorder.order == CANCELLED
    assert recorder.states("on_end")[0].is_cancelled()


@pytest.mark.parametrize(**ON_ASYNCIO)
@pytest.mark.parametrize("inside", [True, False], ids=["in a Runtime", "without one"])
@pytest.mark.parametrize("cancel", NATIVE, ids=name_of)
async def test_a_natively_cancelled_caller_leaves_a_cancelled_run_whose_hooks_ran_once(
    cancel: Canceller, inside: bool, recorder: Recorder
) -> None:
    started = anyio.Event()
    async with anywhere(inside):
        await cancel(endless(recorder, started), started)
        assert recorder.order == CANCELLED
    assert recorder.order == CANCELLED
    assert recorder.states("on_end")[0].is_cancelled()


@pytest.mark.parametrize(**ON_ASYNCIO)
@pytest.mark.parametrize("inside", [True, False], ids=["in a Runtime", "without one"])
async def test_native_cancels_that_come_while_the_hooks_run_do_not_cut_them(inside: bool, recorder: Recorder) -> None:
    gate, started = Gate(), anyio.Event()

    async def slow(*_: object) -> None:
        await gate.astop_here()
        recorder.mark("slow hook")

    async with anywhere(inside):
        caller = asyncio.ensure_future(
            run_flow(endless(recorder, started).with_options(on_cancellation=[slow], on_running=[]))
        )
        await started.wait()
        caller.cancel()
        await gate.reached()
        for _ in range(3):
            caller.cancel()
            await at_rest()
        assert not caller.done()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert recorder.order == ["body unwound", "slow hook", "on_end"]


async def test_one_of_two_callers_without_a_runtime_that_is_cancelled_leaves_the_other_alone() -> None:
    gate, other = Gate(), Gate()

    @flow
    async def stays() -> str:
        await gate.astop_here()
        return "stayed"

    @flow
    async def goes() -> None:
        await other.astop_here()

    results: list[str] = []

    async def call_stays() -> None:
        results.append(await run_flow(stays))

    with anyio.fail_after(WATCHDOG_SECONDS):
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:

                async def cancel_when_both_run() -> None:
                    await other.reached()
                    group.start_soon(call_stays)
                    await gate.reached()
                    scope.cancel()

                group.start_soon(cancel_when_both_run)
                await run_flow(goes)
            assert scope.cancelled_caught
            gate.open()
    assert results == ["stayed"]


async def test_a_cancelled_caller_of_a_task_cancels_that_alone() -> None:
    child = task(anyio.sleep_forever, name="child")

    @flow
    async def around() -> str:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await child()
        assert scope.cancelled_caught
        return "went on"

    async with open_runtime() as runtime:
        assert await run_flow(around) == "went on"
        assert sorted(run.state.name for run in runtime.journal.runs()) == ["Cancelled", "Completed"]


async def test_a_cancelled_caller_waits_no_longer_than_every_grace_for_a_hook_that_hangs() -> None:
    gate, clock, started = Gate(), ManualClock(), anyio.Event()

    async def hangs(*_: object) -> None:
        await gate.astop_here()

    @flow(on_cancellation=[hangs])
    async def body() -> None:
        started.set()
        await anyio.sleep_forever()

    async with open_runtime(clock=clock, cancel_grace_seconds=10, hook_grace_seconds=20) as runtime:
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:

                async def cancel() -> None:
                    await started.wait()
                    scope.cancel()
                    await gate.reached()
                    clock.advance(36)

                group.start_soon(cancel)
                await run_flow(body)
            assert scope.cancelled_caught
        [run] = runtime.journal.runs()
        assert run.state.is_cancelling()  # it says what is so: its hook still runs
        gate.open()
    assert runtime.journal.runs()[0].state.is_cancelled()
