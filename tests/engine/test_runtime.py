"""A Runtime: which calls are its own, and how it is left."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import anyio
import pytest
from tests.engine.faults import ON_ASYNCIO, leaks_no_task
from tests.engine.gate import WATCHDOG_SECONDS, Gate
from tests.engine.recorder import Recorder
from tests.engine.watched import at_rest, open_runtime

from actwright import Handle, Runtime, flow, hook, run_flow, task
from actwright.exceptions import CancelledRun, RuntimeClosed
from actwright.models.deliveries import DeliveryStatus
from actwright.nodes.journal import journal_of_this_process
from actwright_actors.backends import BackendName, backend_options
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


@flow
async def hello() -> str:
    return "hello"


@flow
def hello_from_a_thread() -> str:
    return "hello"


class Leaving:
    """A Runtime with one run at work that stands at a gate, being left in a task of its own."""

    def __init__(self, recorder: Recorder, **options: Any) -> None:
        self.recorder = recorder
        self.gate = Gate()
        self.runtime = Runtime(**options)
        self.left = anyio.Event()
        self.handle: Handle[Any]

    async def body(self) -> str:
        try:
            await self.gate.astop_here()
        except BaseException:
            self.recorder.mark("cancelled")
            raise
        return "done"

    async def leave(self) -> None:
        async with self.runtime:
            self.handle = self.runtime.submit(flow(self.body, name="body", **self.recorder.all_hooks()))
            await self.gate.reached()
        self.left.set()

    @asynccontextmanager
    async def at_the_exit(self) -> AsyncGenerator[None]:
        """While the block's end waits for the run."""
        with anyio.fail_after(WATCHDOG_SECONDS), leaks_no_task():
            async with anyio.create_task_group() as group:
                group.start_soon(self.leave)
                await self.gate.reached()
                await at_rest()
                assert not self.left.is_set()
                yield


COMPLETED = ["on_running", "on_completion", "on_end"]
CANCELLED = ["on_running", "cancelled", "on_cancellation", "on_end"]


# Leaving


async def test_leaving_waits_for_what_runs_and_for_its_hooks(recorder: Recorder) -> None:
    leaving = Leaving(recorder)
    async with leaving.at_the_exit():
        leaving.gate.open()
    assert await leaving.handle == "done"
    assert recorder.order == COMPLETED


async def test_while_it_drains_new_runs_are_refused_and_those_of_what_runs_are_not(recorder: Recorder) -> None:
    gate = Gate()

    @flow(on_completion=[hook(lambda *_: hello_from_a_thread())])
    async def parent() -> str:
        await gate.astop_here()
        return await hello()

    runtime = Runtime()
    handles: list[Handle[str]] = []

    async def leave() -> None:
        async with runtime:
            handles.append(runtime.submit(parent))
            await gate.reached()

    with anyio.fail_after(WATCHDOG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(leave)
            await gate.reached()
            await at_rest()
            with pytest.raises(RuntimeClosed, match="draining"):
                runtime.submit(hello)
            with pytest.raises(RuntimeClosed, match="draining"):
                await run_flow(hello)
            gate.open()
    assert await handles[0] == "hello"
    assert [run.state.name for run in runtime.journal.runs()] == ["Completed"] * 3


async def test_a_drain_that_is_over_cancels_what_still_runs(recorder: Recorder) -> None:
    clock = ManualClock()
    leaving = Leaving(recorder, drain_seconds=30, clock=clock)
    async with leaving.at_the_exit():
        clock.advance(29.9)
        await at_rest()
        assert leaving.handle.state.is_running()
        clock.advance(0.2)
        await leaving.left.wait()
    assert recorder.order == CANCELLED
    with pytest.raises(CancelledRun, match="its Runtime is closing"):
        await leaving.handle


async def test_on_exit_cancel_cancels_at_once(recorder: Recorder) -> None:
    leaving = Leaving(recorder, on_exit="cancel")
    with anyio.fail_after(WATCHDOG_SECONDS), leaks_no_task():
        await leaving.leave()
    assert recorder.order == CANCELLED


async def test_an_exception_that_leaves_the_block_cancels_and_goes_on(recorder: Recorder) -> None:
    leaving = Leaving(recorder)

    async def fail() -> None:
        async with leaving.runtime:
            leaving.handle = leaving.runtime.submit(flow(leaving.body, name="body", **recorder.all_hooks()))
            await leaving.gate.reached()
            raise ValueError("boom")

    with anyio.fail_after(WATCHDOG_SECONDS), leaks_no_task(), pytest.raises(ValueError, match="boom"):
        await fail()
    assert recorder.order == CANCELLED


@pytest.mark.parametrize("when", ["inside", "while it drains"])
async def test_a_cancellation_that_leaves_the_block_cancels_what_runs_and_goes_on(
    when: str, recorder: Recorder
) -> None:
    leaving = Leaving(recorder)
    with anyio.fail_after(WATCHDOG_SECONDS), leaks_no_task():
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                await leaving.gate.reached()
                await at_rest()
                scope.cancel()

            group.start_soon(cancel)
            with anyio.CancelScope() as scope:
                async with leaving.runtime:
                    leaving.handle = leaving.runtime.submit(flow(leaving.body, name="body", **recorder.all_hooks()))
                    if when == "inside":
                        await anyio.sleep_forever()
            assert scope.cancelled_caught
    assert recorder.order == CANCELLED


@pytest.mark.parametrize(**ON_ASYNCIO)
async def test_any_number_of_native_cancels_is_waited_through(recorder: Recorder) -> None:
    gate = Gate()

    async def slow(*_: object) -> None:
        await gate.astop_here()
        recorder.mark("slow hook")

    begun = anyio.Event()

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    async def leave() -> None:
        async with Runtime() as runtime:
            runtime.submit(flow(endless, on_cancellation=[slow]))
            await anyio.sleep_forever()

    with anyio.fail_after(WATCHDOG_SECONDS), leaks_no_task():
        caller = asyncio.ensure_future(leave())
        await begun.wait()
        caller.cancel()
        await gate.reached()
        for _ in range(3):
            caller.cancel()
            await at_rest()
        assert not caller.done()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert recorder.order == ["slow hook"]


@pytest.mark.parametrize(**ON_ASYNCIO)
async def test_native_cancels_while_it_closes_what_stands_in_for_it_elsewhere_leave_nothing_open(
    recorder: Recorder,
) -> None:
    gate = Gate()

    def slow(*_: object) -> None:
        gate.stop_here()
        recorder.mark("hook")

    @flow(on_completion=[hook(slow, wait=False)])
    def blocks_the_loop() -> None: ...

    async def leave() -> None:
        async with Runtime():
            blocks_the_loop()  # its actors live on a background loop

    with anyio.fail_after(WATCHDOG_SECONDS), leaks_no_task():
        caller = asyncio.ensure_future(leave())
        await gate.reached()
        await at_rest()
        for _ in range(3):
            caller.cancel()
            await at_rest()
        assert not caller.done()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert recorder.order == ["hook"]


@pytest.mark.parametrize("is_sync", [True, False], ids=["sync hook", "async hook"])
async def test_hooks_that_nobody_waits_for_are_done_before_it_is_left(is_sync: bool, recorder: Recorder) -> None:
    gate = Gate()

    def slow(*_: object) -> None:
        gate.stop_here()
        recorder.mark("hook")

    async def slow_on_the_loop(*_: object) -> None:
        await gate.astop_here()
        recorder.mark("hook")

    @flow(on_completion=[hook(slow if is_sync else slow_on_the_loop, wait=False)])
    async def body() -> None: ...

    async def leave() -> None:
        async with Runtime():
            await body()
            recorder.mark("body's caller went on")
        recorder.mark("left")

    with anyio.fail_after(WATCHDOG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(leave)
            await gate.reached()
            await at_rest()
            assert recorder.order == ["body's caller went on"]
            gate.open()
    assert recorder.order == ["body's caller went on", "hook", "left"]


async def test_what_a_hook_calls_is_not_cut_short_by_leaving(recorder: Recorder) -> None:
    gate = Gate()

    @flow
    async def cleanup() -> None:
        await gate.astop_here()
        recorder.mark("cleaned up")

    async def cleans_up(*args: Any) -> None:
        await run_flow(cleanup)

    async def opens(*args: Any) -> None:
        gate.open()

    @flow(on_completion=[cleans_up])
    async def work() -> None: ...

    @flow(on_cancellation=[opens])
    async def service() -> None:
        await anyio.sleep_forever()

    async with open_runtime(on_exit="cancel") as opened:
        opened.submit(service)
        opened.submit(work)
        await gate.reached()
    assert recorder.order == ["cleaned up"]


async def past_every_grace(leave: Callable[[], Coroutine[Any, Any, None]], gate: Gate, clock: ManualClock) -> None:
    """Leave a Runtime with graces of 10 and 20 seconds while something in it stands at the gate, until it is left."""
    with anyio.fail_after(WATCHDOG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(leave)
            await gate.reached()
            await at_rest()
            clock.advance(36)


@pytest.mark.parametrize("what", ["sync hook", "async hook", "sync on_hook_failure", "async on_hook_failure"])
async def test_past_every_grace_it_is_left_though_a_hook_hangs_and_says_so(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate, clock = Gate(), ManualClock()

    def hangs(*_: object) -> None:
        gate.stop_here()

    async def hangs_on_the_loop(*_: object) -> None:
        await gate.astop_here()

    def fails(*_: object) -> None:
        raise ValueError("on purpose")

    hanging: Callable[..., object] = hangs if what.startswith("sync") else hangs_on_the_loop
    listed, told = (fails, hanging) if what.endswith("on_hook_failure") else (hanging, print)
    handles: list[Handle[None]] = []

    async def leave() -> None:
        async with Runtime(
            clock=clock, on_exit="cancel", cancel_grace_seconds=10, hook_grace_seconds=20, hook_timeout_seconds=1_000,
            on_hook_failure=told,
        ) as runtime:  # fmt: skip
            handles.append(runtime.submit(flow(anyio.sleep_forever, name="endless", on_cancellation=[listed])))
            await at_rest()

    await past_every_grace(leave, gate, clock)
    with anyio.fail_after(WATCHDOG_SECONDS), pytest.raises(RuntimeClosed, match="is Cancelling"):
        await handles[0]
    assert "left undone" in caplog.text
    assert "finished running successfully" not in caplog.text
    gate.open()
    (delivery,) = journal_of_this_process().deliveries()
    assert delivery.status is DeliveryStatus.RUNNING  # so that another process runs it when this one has ended


async def test_a_plain_hook_that_hands_on_a_coroutine_after_its_runtime_has_closed_ends_and_says_nothing() -> None:
    gate, clock = Gate(), ManualClock()
    threads: list[threading.Thread] = []

    async def never_awaited() -> None: ...

    def hands_on(*_: object) -> Awaitable[None]:
        threads.append(threading.current_thread())
        gate.stop_here()
        return never_awaited()

    async def leave() -> None:
        async with Runtime(clock=clock, on_exit="cancel", cancel_grace_seconds=10, hook_grace_seconds=20) as runtime:
            runtime.submit(flow(anyio.sleep_forever, on_cancellation=[hands_on]))
            await at_rest()

    await past_every_grace(leave, gate, clock)
    gate.open()
    (thread,) = threads
    thread.join(WATCHDOG_SECONDS)  # what it raised would be a warning, as would a coroutine that nobody awaited
    gc.collect()
    assert not thread.is_alive()


@pytest.fixture
def ctrl_c_raises() -> Iterator[None]:
    """As in a program that a terminal started; one that a shell put into the background ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_raises")
@pytest.mark.parametrize("backend", get_args(BackendName))
def test_ctrl_c_in_a_body_cancels_what_runs_and_its_hooks_run(backend: BackendName) -> None:
    """A sync test, since the back end's own runner is what turns the signal into a KeyboardInterrupt."""
    name, options = backend_options(backend)
    recorder = Recorder()

    @flow(**recorder.all_hooks())
    async def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep_forever()

    async def main() -> None:
        async with open_runtime():
            await run_flow(interrupted)

    with pytest.raises(KeyboardInterrupt):
        anyio.run(main, backend=name, backend_options=options)
    assert recorder.order == ["on_running", "on_cancellation", "on_end"]


# Closed


async def test_a_runtime_that_is_not_open_says_what_it_is() -> None:
    runtime = Runtime()
    with pytest.raises(RuntimeClosed, match="new"):
        runtime.submit(hello)
    async with runtime:
        with pytest.raises(RuntimeClosed, match="used once"):
            await runtime.__aenter__()
    with pytest.raises(RuntimeClosed, match="closed"):
        runtime.submit(hello)
    with pytest.raises(RuntimeClosed, match="used once"):
        await runtime.__aenter__()


async def test_what_is_not_a_flow_is_not_submitted() -> None:
    async with open_runtime() as runtime:
        with pytest.raises(TypeError, match="expects a flow"):
            runtime.submit(task(hello.fn))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def test_a_call_after_the_end_of_a_runtime_has_one_of_its_own() -> None:
    async with open_runtime(journal="memory") as runtime:
        await hello()
    with anyio.fail_after(WATCHDOG_SECONDS):
        assert await hello() == "hello"
    assert len(runtime.journal.runs()) == 1


async def test_a_thread_that_submits_as_it_closes_gets_a_run_that_ends_or_is_refused() -> None:
    outcomes: list[str] = []

    def submit_on_and_on(runtime: Runtime, begun: threading.Event) -> None:
        try:
            while True:
                handle = runtime.submit(hello)
                begun.set()
                outcomes.append(handle.result(WATCHDOG_SECONDS))
        except RuntimeClosed:
            outcomes.append("refused")

    for _ in range(20):
        begun = threading.Event()
        with anyio.fail_after(WATCHDOG_SECONDS):
            async with Runtime() as runtime:
                thread = threading.Thread(target=submit_on_and_on, args=(runtime, begun))
                thread.start()
                await anyio.to_thread.run_sync(begun.wait)
            await anyio.to_thread.run_sync(thread.join)
        assert outcomes[-1] == "refused"
        assert set(outcomes) == {"hello", "refused"}
        assert all(run.state.is_completed() for run in runtime.journal.runs())
