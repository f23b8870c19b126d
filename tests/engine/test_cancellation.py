"""Cancelling a run: by whatever means and at whatever moment, it ends Cancelled, once, with its hooks run once."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import anyio
import pytest
from tests.engine.faults import ON_ASYNCIO, leaks_no_task, live, names
from tests.engine.gate import WATCHDOG_SECONDS, Gate
from tests.engine.phases import BEFORE_THE_END, Phase, name_of
from tests.engine.recorder import Recorder
from tests.engine.watched import at_rest, open_runtime

from actwright import Completed, Failed, Flow, Handle, Runtime, State, flow, hook, run_flow, task, wait
from actwright.engine.messages import BodyEnded
from actwright.exceptions import CancelledRun, RunError, RunIsFinal
from actwright.models.outcomes import Returned
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
        await asyncio.wait_for(run_flow(endless), 0.2)
    assert loop.time() - asked >= 0.19
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


# Outcome and Cancel


@pytest.mark.parametrize("kind", ["flow", "task", "task with hooks"])
async def test_an_outcome_posted_before_a_cancel_stands_and_the_cancel_names_the_state(kind: str) -> None:
    handles: list[Handle[Any]] = []
    recorder, started = Recorder(), anyio.Event()

    async def body() -> None:
        started.set()
        await anyio.sleep_forever()

    hooks: dict[str, Any] = recorder.all_hooks() if "hooks" in kind else {}

    @flow
    async def around() -> None:
        handles.append(task(body, **hooks).submit())
        await wait(handles)

    async with open_runtime() as runtime:
        outer = runtime.submit(flow(body) if kind == "flow" else around)
        await started.wait()
        handle = handles[0] if handles else outer
        live(runtime, handle).signal(BodyEnded(1, Returned(42)))
        with pytest.raises(RunIsFinal, match="Completed") as caught:
            await handle.cancel()
        assert caught.value.state_name == "Completed"
        assert await handle == 42
        await outer
    assert "on_cancellation" not in recorder.order


async def test_an_outcome_after_a_cancel_ends_in_cancelled(recorder: Recorder) -> None:
    started = anyio.Event()

    @flow(**recorder.all_hooks())
    async def ends_well() -> int:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            return 42  # noqa: B012

    async with open_runtime() as runtime:
        handle = runtime.submit(ends_well)
        await started.wait()
        await handle.cancel("enough")
        with pytest.raises(CancelledRun, match="enough"):
            await handle
        assert names(runtime, handle) == ["Pending", "Running", "Cancelling", "Cancelled"]
    assert recorder.order == ["on_running", "on_cancellation", "on_end"]


async def test_to_cancel_what_has_ended_names_the_state_it_ended_in() -> None:
    @flow
    async def failing() -> None:
        raise ValueError("boom")

    async with open_runtime() as runtime:
        handle = runtime.submit(failing)
        await wait([handle])
        with pytest.raises(RunIsFinal, match="already Failed"):
            await handle.cancel()
        with pytest.raises(RunIsFinal, match="already Failed"):
            await runtime.cancel(handle.id)
    with pytest.raises(RunIsFinal, match="already Failed"):
        await runtime.cancel(handle.id)
    with pytest.raises(RunIsFinal, match="already Failed"):
        await handle.cancel()


# The phases


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("phase", BEFORE_THE_END, ids=name_of)
async def test_a_cancel_before_the_end_ends_in_cancelled_with_each_hook_once(
    phase: Phase, times: int, recorder: Recorder
) -> None:
    gate = Gate()
    with leaks_no_task():
        async with open_runtime() as runtime:
            handle = await phase(runtime, recorder, gate)
            for _ in range(times):
                await handle.cancel("enough")
            assert not handle.state.is_final() or handle.state.is_cancelled()
            gate.open()
            await wait([handle])
            assert handle.state.is_cancelled()
            assert handle.state.message == "enough"
            assert names(runtime, handle)[-2:] == ["Cancelling", "Cancelled"]
            assert all(run.state.is_final() for run in runtime.journal.runs())
    assert recorder.order == ["on_running", "on_cancellation", "on_end"]


async def test_a_run_that_waits_for_another_is_cancelled_without_having_started(recorder: Recorder) -> None:
    gate = Gate()
    upstream = task(gate.astop_here, name="upstream")

    @task(**recorder.all_hooks())
    def starts(_: object) -> None:
        recorder.mark("body")

    @flow
    async def around() -> tuple[str, str]:
        first = upstream.submit()
        waiting = starts.submit(first)
        await gate.reached()
        await waiting.cancel("not needed")
        await wait([waiting])
        gate.open()
        await first
        return first.state.name, waiting.state.name

    async with open_runtime() as runtime:
        assert await runtime.submit(around) == ("Completed", "Cancelled")
    assert recorder.order == ["on_cancellation", "on_end"]


@pytest.mark.parametrize(("final", "event"), [(Completed(), "on_completion"), (Failed(message="no"), "on_failure")])
async def test_a_cancel_during_the_last_hooks_is_refused_with_the_state(
    final: State[Any], event: str, recorder: Recorder
) -> None:
    gate = Gate()

    async def slow(*_: object) -> None:
        await gate.astop_here()

    async def body() -> State[Any]:
        return final

    async with open_runtime() as runtime:
        hooks: dict[str, Any] = {**recorder.all_hooks(), event: [slow]}
        handle = runtime.submit(flow(body, **hooks))
        await gate.reached()
        with pytest.raises(RunIsFinal, match=final.name):
            await handle.cancel()
        by_id = runtime.cancel(handle.id)
        gate.open()
        with pytest.raises(RunIsFinal, match=final.name):
            await by_id
        await wait([handle])
        assert handle.state.name == final.name
    assert recorder.order == ["on_running", "on_end"]


async def test_a_second_cancel_during_on_cancellation_hooks_neither_fails_nor_runs_them_again(
    recorder: Recorder,
) -> None:
    gate = Gate()

    async def slow(*_: object) -> None:
        recorder.mark("slow")
        await gate.astop_here()

    async with open_runtime() as runtime:
        handle = runtime.submit(flow(anyio.sleep_forever, name="f", on_cancellation=[slow]))
        await at_rest()
        await handle.cancel("first")
        await gate.reached()
        await handle.cancel("second")
        await runtime.cancel(handle.id)
        gate.open()
        await wait([handle])
        assert handle.state.message == "first"
    assert recorder.order == ["slow"]


async def test_a_cancel_in_the_moment_of_the_start_never_runs_the_body(recorder: Recorder) -> None:
    @flow(**recorder.all_hooks())
    async def never() -> None:
        recorder.mark("body")

    async with open_runtime() as runtime:
        handle = runtime.submit(never)
        await handle.cancel()
        await wait([handle])
        assert handle.state.is_cancelled()
    assert "body" not in recorder.order
    assert recorder.order[-2:] == ["on_cancellation", "on_end"]


# Who asks


async def test_a_run_is_cancelled_by_its_id_from_another_thread() -> None:
    async with open_runtime() as runtime:
        handle = runtime.submit(flow(anyio.sleep_forever, name="f"))
        await at_rest()
        await anyio.to_thread.run_sync(runtime.cancel, handle.id, "by id")
        assert handle.state.name in ("Cancelling", "Cancelled")
        await wait([handle])
        assert handle.state.message == "by id"


async def test_a_sync_body_cancels_what_it_submitted() -> None:
    child = task(anyio.sleep_forever, name="child")

    @flow
    def cancels() -> str:
        handle = child.submit()
        handle.cancel("enough")
        assert handle.state.name in ("Cancelling", "Cancelled")
        handle.wait()
        return handle.state.name

    async with open_runtime() as runtime:
        assert await runtime.submit(cancels) == "Cancelled"


def test_a_script_cancels_what_it_submitted() -> None:
    child = task(anyio.sleep_forever, name="child")
    handle = child.submit()
    handle.cancel("enough")
    assert handle.wait(WATCHDOG_SECONDS)
    assert handle.state.is_cancelled()
    with pytest.raises(RunIsFinal, match="already Cancelled"):
        handle.cancel()


async def test_a_single_task_run_is_cancelled_and_its_flow_goes_on() -> None:
    child = task(anyio.sleep_forever, name="child")

    @flow
    async def around(runtime: Runtime) -> str:
        handle = child.submit()
        await runtime.cancel(handle.id)
        with pytest.raises(CancelledRun):
            await handle
        return "went on"

    async with open_runtime() as runtime:
        assert await runtime.submit(around.with_options(validate_parameters=False), runtime) == "went on"


async def test_a_body_can_cancel_its_own_run() -> None:
    box: list[Handle[Any]] = []

    @flow
    async def suicidal() -> None:
        await box[0].cancel("me")
        await anyio.sleep_forever()

    async with open_runtime() as runtime:
        box.append(runtime.submit(suicidal))
        with pytest.raises(CancelledRun, match="me"):
            await box[0]


async def test_to_cancel_an_unknown_run_says_that_there_is_none() -> None:
    async with open_runtime() as runtime:
        with pytest.raises(RunError, match="There is no run"):
            await runtime.cancel(uuid4())


async def test_a_cancel_that_comes_as_the_runtime_closes_is_answered() -> None:
    async with open_runtime() as runtime:
        handle = runtime.submit(flow(anyio.sleep_forever, name="f"))
        await at_rest()
        await handle.cancel()
        await wait([handle])
        answers = [runtime.cancel(handle.id), handle.cancel()]
    with anyio.fail_after(WATCHDOG_SECONDS):
        for answer in answers:
            with pytest.raises(RunIsFinal, match="Cancelled"):
                await answer


async def test_to_cancel_whoever_awaits_a_handle_does_not_cancel_the_run() -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle = runtime.submit(flow(gate.astop_here, name="f"))
        await gate.reached()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await handle
        with anyio.CancelScope() as scope:
            scope.cancel()
            await wait([handle])
        await at_rest()
        assert handle.state.is_running()
        gate.open()
        await handle


# Bodies that do not end


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


# Hooks of a cancellation


async def test_an_at_once_hook_runs_before_the_body_unwinds_and_may_unblock_it(recorder: Recorder) -> None:
    gate = Gate()

    def release(*_: object) -> None:
        recorder.mark("at once")
        gate.open()

    @flow(on_cancellation=[recorder.hook("later"), hook(release, at_once=True)])
    def blocked() -> None:
        gate.stop_here()
        recorder.mark("body ended")

    async with open_runtime() as runtime:
        handle = runtime.submit(blocked)
        await gate.reached()
        await handle.cancel()
        await wait([handle])
        assert handle.state.is_cancelled()
    assert recorder.order == ["at once", "body ended", "later"]


async def test_on_cancellation_hooks_get_cancelling_and_run_while_it_is_that(recorder: Recorder) -> None:
    seen: list[str] = []
    box: list[Handle[Any]] = []

    def look(_flow: object, _run: object, state: State[Any]) -> None:
        seen.append(f"{state.name} in {box[0].state.name}")

    async with open_runtime() as runtime:
        box.append(runtime.submit(flow(anyio.sleep_forever, name="f", on_cancellation=[look], on_end=[look])))
        await at_rest()
        await box[0].cancel()
        await wait(box)
    assert seen == ["Cancelling in Cancelling", "Cancelled in Cancelled"]


# Cascade


async def test_a_cancel_goes_down_to_all_descendants_and_these_are_final_first(recorder: Recorder) -> None:
    gate = Gate()
    reached = anyio.Event()

    def ended(_subject: object, run: Any, _state: State[Any]) -> None:
        recorder.mark(run.name)

    @task(task_run_name="leaf")
    async def leaf() -> None:
        reached.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await gate.astop_here()

    @flow(flow_run_name="branch")
    async def branch() -> None:
        leaf.submit()

    @flow(flow_run_name="root")
    async def root() -> None:
        await branch()

    async with open_runtime(flow_hooks={"on_end": [ended]}, task_hooks={"on_end": [ended]}) as runtime:
        handle = runtime.submit(root)
        await reached.wait()
        await at_rest()
        await handle.cancel()
        await gate.reached()
        await at_rest()
        assert {run.state.name for run in runtime.journal.runs()} == {"Cancelling"}
        gate.open()
        await wait([handle])
        assert {run.state.name for run in runtime.journal.runs()} == {"Cancelled"}
    assert recorder.order == ["leaf", "branch", "root"]


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
