"""Runs that a body starts: who waits for them, who cancels them, and that they are final before their parent."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from tests.engine.faults import leaks_no_task, live, names
from tests.engine.gate import WATCHDOG_SECONDS, Gate
from tests.engine.recorder import Recorder
from tests.engine.watched import at_rest, open_runtime

from actwright import Flow, Handle, Task, flow, task, wait
from actwright.authoring.context import CURRENT, RunContext
from actwright.exceptions import CancelledRun
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


# Bodies that return


@pytest.mark.parametrize("is_async", [True, False], ids=["async body", "sync body"])
async def test_a_run_whose_body_returned_waits_for_its_children(is_async: bool) -> None:
    gate = Gate()
    child = task(gate.astop_here, name="child")

    async def returns() -> str:
        child.submit()
        return "returned"

    def returns_in_a_thread() -> str:
        child.submit()
        return "returned"

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(returns) if is_async else flow(returns_in_a_thread))
        await gate.reached()
        await at_rest()
        assert handle.state.is_running()
        gate.open()
        assert await handle == "returned"
        assert all(run.state.is_completed() for run in runtime.journal.runs())


async def test_a_child_that_was_not_returned_decides_nothing() -> None:
    async def fail() -> None:
        raise ValueError("boom")

    @flow
    async def returns() -> str:
        task(fail).submit()
        return "returned"

    async with open_runtime() as runtime:
        assert await runtime.submit(returns) == "returned"
        assert sorted(run.state.name for run in runtime.journal.runs()) == ["Completed", "Failed"]


async def test_a_child_that_was_returned_decides() -> None:
    gate = Gate()

    async def fail() -> None:
        await gate.astop_here()
        raise ValueError("boom")

    @flow
    async def returns() -> Handle[None]:
        return task(fail).submit()

    async with open_runtime() as runtime:
        handle = runtime.submit(returns)
        await gate.reached()
        await at_rest()
        assert handle.state.is_running()
        gate.open()
        await wait([handle])
        assert handle.state.is_failed()
        assert isinstance(handle.state.cause, ValueError)


async def test_grandchildren_are_waited_for_as_well() -> None:
    gate = Gate()

    @flow
    async def middle() -> None:
        task(gate.astop_here, name="leaf").submit()

    @flow
    async def root() -> None:
        await middle()

    async with open_runtime() as runtime:
        handle = runtime.submit(root)
        await gate.reached()
        await at_rest()
        assert [run.state.name for run in runtime.journal.runs()] == ["Running"] * 3
        gate.open()
        await handle
        assert [run.state.name for run in runtime.journal.runs()] == ["Completed"] * 3


# Bodies that end badly


async def fails() -> None:
    raise ValueError("boom")


async def times_out() -> None:
    await anyio.sleep_forever()


async def exits() -> None:
    raise SystemExit(3)


async def forges_a_cancellation() -> None:
    raise asyncio.CancelledError


BADLY = [
    pytest.param(fails, "Failed", id="fails"),
    pytest.param(times_out, "TimedOut", id="times out"),
    pytest.param(exits, "Crashed", id="exits"),
    pytest.param(forges_a_cancellation, "Crashed", id="forges a cancellation"),
]


class Slow:
    """A child that is told to stop and takes its time, until the gate is open."""

    def __init__(self, recorder: Recorder) -> None:
        self.started = anyio.Event()
        self.gate = Gate()
        self.task: Task[[], Any] = task(self._body, name="child", on_end=[recorder.async_hook("child ended")])

    async def _body(self) -> None:
        self.started.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await self.gate.astop_here()


def parent_of(slow: Slow, end: Callable[[], Any], recorder: Recorder, **options: Any) -> Flow[[], Any]:
    async def body() -> None:
        slow.task.submit()
        await slow.started.wait()
        recorder.mark("body ends")
        await end()

    return flow(body, name="parent", timeout_seconds=5, **options)


async def stands_at(slow: Slow, clock: ManualClock) -> None:
    """Wait until the body has ended and only its child still unwinds."""
    await slow.started.wait()
    await at_rest()
    clock.advance(5)  # for the body that times out
    await slow.gate.reached()
    await at_rest()


@pytest.mark.parametrize(("end", "final"), BADLY)
async def test_children_of_a_body_that_ends_badly_are_cancelled_and_final_before_it(
    end: Callable[[], Any], final: str, recorder: Recorder
) -> None:
    slow, clock = Slow(recorder), ManualClock()
    on_end = [recorder.async_hook("parent ended")]
    with leaks_no_task():
        async with open_runtime(clock=clock) as runtime:
            handle = runtime.submit(parent_of(slow, end, recorder, on_end=on_end))
            await stands_at(slow, clock)
            assert handle.state.is_running()  # it is over, and yet not final
            slow.gate.open()
            await wait([handle])
            assert handle.state.name == final
            states = {run.kind: run.state for run in runtime.journal.runs()}
            assert states["task"].is_cancelled()
            assert states["task"].timestamp <= states["flow"].timestamp
    assert recorder.order == ["body ends", "child ended", "parent ended"]


@pytest.mark.parametrize(("end", "final"), BADLY[:2])
async def test_children_of_an_attempt_are_final_before_the_next_one_is_awaited(
    end: Callable[[], Any], final: str, recorder: Recorder
) -> None:
    slow, clock = Slow(recorder), ManualClock()
    on_retry = [recorder.async_hook("on_retry")]
    async with open_runtime(clock=clock) as runtime:
        handle = runtime.submit(parent_of(slow, end, recorder, retries=1, retry_delay_seconds=1_000, on_retry=on_retry))
        await stands_at(slow, clock)
        assert names(runtime, handle) == ["Pending", "Running"]
        slow.gate.open()
        await at_rest()
        assert names(runtime, handle)[2] == "AwaitingRetry"
        assert recorder.order == ["body ends", "child ended", "on_retry"]
        await handle.cancel()
        await wait([handle])


async def test_an_attempt_is_made_again_only_once_its_body_has_really_ended(recorder: Recorder) -> None:
    gate, clock = Gate(), ManualClock()

    async def stubborn() -> None:
        recorder.mark("begins")
        if len(recorder.order) == 1:
            with anyio.CancelScope(shield=True):
                await gate.astop_here()
            recorder.mark("ends")

    async with open_runtime(clock=clock) as runtime:
        handle = runtime.submit(flow(stubborn, timeout_seconds=5, retries=1))
        await gate.reached()
        clock.advance(5)
        await at_rest()
        assert names(runtime, handle) == ["Pending", "Running"]
        gate.open()
        await wait([handle])
        assert handle.state.is_completed()
    assert recorder.order == ["begins", "ends", "begins"]


async def test_a_sync_child_that_waits_is_woken_when_its_parent_fails(recorder: Recorder) -> None:
    gate, inner = Gate(), Gate()

    @task
    def child() -> None:
        gate_task = task(inner.astop_here, name="inner").submit()
        gate.open()
        with pytest.raises(CancelledRun):
            gate_task.result()
        recorder.mark("woken")

    @flow
    async def parent() -> None:
        child.submit()
        await inner.reached()
        await gate.astop_here()
        raise ValueError("boom")

    async with open_runtime() as runtime:
        handle = runtime.submit(parent)
        await wait([handle])
        assert handle.state.is_failed()
        assert recorder.order == ["woken"]
        assert all(run.state.is_final() for run in runtime.journal.runs())


# Too late


class Leftover:
    """A thread that a body leaves behind, and that submits when the test says so."""

    def __init__(self) -> None:
        self.now = threading.Event()
        self.error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def leave(self, child: Task[[], Any]) -> None:
        """In a body: start the thread, with the body's context variables."""

        def submit_late() -> None:
            self.now.wait(WATCHDOG_SECONDS)
            try:
                child.submit()
            except BaseException as error:
                self.error = error

        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(submit_late,))
        self._thread.start()

    async def submit(self) -> None:
        """Let it submit, and wait until it has."""
        self.now.set()
        assert self._thread is not None
        await anyio.to_thread.run_sync(self._thread.join)


@pytest.mark.parametrize("still", ["running", "final"])
async def test_what_a_body_left_behind_can_start_nothing_any_more(still: str, recorder: Recorder) -> None:
    gate, leftover = Gate(), Leftover()
    sibling = task(gate.astop_here, name="sibling")

    @task
    async def late() -> None:
        recorder.mark("late")

    @flow
    async def parent() -> None:
        leftover.leave(late)
        sibling.submit()

    async with open_runtime() as runtime:
        handle = runtime.submit(parent)
        await gate.reached()
        await at_rest()
        if still == "final":
            gate.open()
            await handle
        await leftover.submit()
        assert isinstance(leftover.error, CancelledRun)
        gate.open()
        await handle
        assert len(runtime.journal.runs()) == 2
    assert recorder.order == []


async def test_a_cancelled_body_can_start_nothing_as_it_unwinds(recorder: Recorder) -> None:
    started = anyio.Event()

    @task
    async def cleanup() -> None:
        recorder.mark("cleanup")

    @flow
    async def parent() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            with pytest.raises(CancelledRun, match="enough"):
                cleanup.submit()
            recorder.mark("refused")

    async with open_runtime() as runtime:
        handle = runtime.submit(parent)
        await started.wait()
        await handle.cancel("enough")
        await wait([handle])
        assert handle.state.is_cancelled()
    assert recorder.order == ["refused"]


async def test_a_child_that_reaches_its_parent_after_the_end_is_cancelled(recorder: Recorder) -> None:
    """The thread that starts it has looked at the parent before that ended, and hands it over afterwards."""
    leftover = Leftover()

    @task(on_end=[recorder.hook("ended")])
    async def late() -> None:
        recorder.mark("late")

    @flow
    async def parent() -> None:
        leftover.leave(late)

    async with open_runtime() as runtime:
        handle = runtime.submit(parent)
        await handle
        # Past the check, as if the look had been earlier.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("actwright.engine.live_run.LiveRun.raise_if_stopped", _looked_earlier)
            await leftover.submit()
        assert leftover.error is None
    assert recorder.order == ["ended"]
    assert sorted(run.state.name for run in runtime.journal.runs()) == ["Cancelled", "Completed"]


def _looked_earlier(*_: object) -> None: ...


async def test_a_run_whose_caller_had_ended_before_it_came_to_its_loop_is_cancelled_and_nothing_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Called in a thread, it takes a moment to come there."""

    async def child() -> None: ...

    async with open_runtime() as opened:
        parent = opened.submit(flow(child, name="parent"))
        within = contextvars.copy_context()
        within.run(CURRENT.set, RunContext(live(opened, parent), attempt=2))
        await parent
        late: Handle[None] = within.run(task(child).submit)
        await wait([late])
    assert names(opened, late) == ["Pending", "Cancelling", "Cancelled"]
    assert "refused" not in caplog.text
