"""How runs end: what a body raises or returns, its timeouts and retries, decides one final state, the same on each
back end and for flows and tasks, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS
from tests.engine.faults import Unspeakable
from tests.engine.gate import Gate
from tests.engine.recorder import Recorder
from tests.engine.subjects import bodies, final_state, kinds, made, raising, started
from tests.engine.watched import at_rest, open_runtime

from actwright import Cancelled, Cancelling, Completed, Crashed, Failed, State, StateType, flow, run_flow, task, wait
from actwright.exceptions import CancelledRun, CrashedRun, FailedRun, InvalidReturn, RunTimedOut
from actwright.runtime import no_interrupt
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


def doing(kind: str, is_async: bool, does: Callable[[], Any], **options: Any) -> Any:
    """A flow or task whose body, sync or async, gives what `does()` gives."""

    def sync_body() -> Any:
        return does()

    async def async_body() -> Any:
        return does()

    return made(kind, async_body if is_async else sync_body, **options)


# What a body raises


@kinds
@bodies
async def test_an_exception_fails_the_run_and_reaches_the_caller_as_it_is(kind: str, is_async: bool) -> None:
    error = ValueError("on purpose")
    async with open_runtime():
        state = await final_state(doing(kind, is_async, raising(error)))
    assert (state.type, state.name) == (StateType.FAILED, "Failed")
    assert state.message == "The body raised ValueError: on purpose"
    with pytest.raises(ValueError, match="on purpose") as caught:
        state.result()
    assert caught.value is error


@kinds
@bodies
@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), BaseExceptionGroup("", [SystemExit(3)])],
    ids=lambda error: type(error).__name__,
)
async def test_what_cuts_a_body_short_crashes_its_run_with_its_hooks(
    kind: str, is_async: bool, error: BaseException, recorder: Recorder
) -> None:
    hooks: Any = {event: [recorder.hook(event)] for event in ("on_crashed", "on_failure", "on_cancellation")}
    async with open_runtime():
        state = await final_state(doing(kind, is_async, raising(error), retries=2, **hooks))
    assert (state.type, state.name) == (StateType.CRASHED, "Crashed")
    assert state.cause is error
    assert recorder.order == ["on_crashed"]


@bodies
async def test_a_forged_cancellation_reaches_the_caller_as_a_crash_and_not_as_a_cancellation(is_async: bool) -> None:
    async with open_runtime():
        with pytest.raises(CrashedRun, match="CancelledError"):
            await run_flow(doing("flow", is_async, raising(asyncio.CancelledError())))


@kinds
@bodies
async def test_a_body_whose_exception_cannot_even_be_printed_fails_as_with_any_other(
    kind: str, is_async: bool, recorder: Recorder
) -> None:
    error = Unspeakable()
    async with open_runtime():
        state = await final_state(doing(kind, is_async, raising(error), on_failure=[recorder.hook("on_failure")]))
    assert state.name == "Failed"
    assert state.cause is error
    assert state.message == "The body raised Unspeakable: its __str__ raised SystemExit"
    assert recorder.order == ["on_failure"]


@pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)
async def test_a_body_that_awaits_a_cancelled_native_future_crashes() -> None:
    async def waits_for_what_is_cancelled() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with open_runtime():
        state = await flow(waits_for_what_is_cancelled)(return_state=True)
    assert state.name == "Crashed"


@bodies
async def test_a_process_exit_in_a_task_crashes_the_task_then_its_flow_and_reaches_the_caller(
    is_async: bool, recorder: Recorder
) -> None:
    exiting = doing("task", is_async, raising(SystemExit(3)), retries=2, **recorder.all_hooks("task "))

    async def async_body() -> None:
        await exiting()

    def sync_body() -> None:
        exiting()

    subject: Any = flow(async_body if is_async else sync_body, **recorder.all_hooks("flow "))
    async with open_runtime():
        with pytest.raises(SystemExit) as caught:
            await run_flow(subject)
    assert caught.value.code == 3
    assert recorder.order == [
        "flow on_running",
        "task on_running",
        "task on_crashed",
        "task on_end",
        "flow on_crashed",
        "flow on_end",
    ]


# What a body returns


COMPLETED, FAILED, CRASHED, CANCELLED = Completed(data=1), Failed(), Crashed(), Cancelled()
VALUES: list[Any] = [None, 0, "text", [], [1, COMPLETED, FAILED], (FAILED, None), {"a": FAILED, "b": 2}]


@kinds
@bodies
@pytest.mark.parametrize("value", VALUES)
async def test_a_value_or_a_mix_of_values_and_states_completes(kind: str, is_async: bool, value: Any) -> None:
    async with open_runtime():
        state = await final_state(doing(kind, is_async, lambda: value))
    assert state.name == "Completed"
    assert state.result() is value


@kinds
@bodies
@pytest.mark.parametrize(
    ("returned", "name"),
    [
        (COMPLETED, "Completed"),
        (Completed(name="Cached"), "Cached"),
        (FAILED, "Failed"),
        (Failed(name="TimedOut"), "TimedOut"),
        (CRASHED, "Crashed"),
        (Cancelling(), "Cancelled"),
        (CANCELLED, "Cancelled"),
        ([COMPLETED, COMPLETED], "Completed"),
        ([COMPLETED, FAILED], "Failed"),
        ((CRASHED,), "Failed"),
        ({"a": COMPLETED, "b": CANCELLED}, "Failed"),
    ],
    ids=repr,
)
async def test_states_that_a_body_returns_decide_how_it_ends(
    kind: str, is_async: bool, returned: Any, name: str
) -> None:
    async with open_runtime() as opened:
        state = await final_state(doing(kind, is_async, lambda: returned))
    assert state.name == name
    assert state != returned  # the same words, but an event of its own
    went_through = [transition.run.state.name for transition in opened.journal.transitions(opened.journal.runs()[0].id)]
    assert ("Cancelling" in went_through) == (name == "Cancelled")


@kinds
@bodies
@pytest.mark.parametrize("type_", [StateType.PENDING, StateType.RUNNING, StateType.SCHEDULED, StateType.PAUSED])
async def test_a_returned_state_that_ends_nothing_is_a_failure_that_says_so(
    kind: str, is_async: bool, type_: StateType
) -> None:
    returned: State[Any] = State(type=type_)
    async with open_runtime():
        state = await final_state(doing(kind, is_async, lambda: returned))
    assert state.name == "Failed"
    with pytest.raises(
        InvalidReturn, match=rf"returned the state {type_.capitalize()} \({type_}\), which ends nothing"
    ):
        state.result()


@pytest.mark.parametrize(
    ("returned", "error"), [(FAILED, FailedRun), (CRASHED, CrashedRun), (CANCELLED, CancelledRun)], ids=repr
)
async def test_a_returned_bad_state_raises_in_the_caller_what_it_stands_for(
    returned: State[Any], error: type[Exception]
) -> None:
    async with open_runtime():
        with pytest.raises(error):
            await run_flow(doing("flow", True, lambda: returned))


@bodies
async def test_a_future_that_is_returned_decides_how_the_flow_ends(is_async: bool) -> None:
    inner = doing("task", is_async, raising(ValueError("on purpose")))
    async with open_runtime():
        state = await final_state(doing("flow", is_async, lambda: inner.submit()))
    assert state.name == "Failed"
    with pytest.raises(ValueError, match="on purpose"):
        state.result()


@bodies
async def test_futures_that_are_returned_come_back_as_results_or_states(is_async: bool) -> None:
    good, bad = doing("task", is_async, lambda: 1), doing("task", is_async, raising(ValueError()))
    async with open_runtime():
        outer = doing("flow", is_async, lambda: {"good": good.submit(), "bad": bad.submit(), "word": "x"})
        result = (await final_state(outer)).result()
    assert (result["good"], result["word"]) == (1, "x")
    assert result["bad"].name == "Failed"


# Children


async def test_a_body_that_returns_waits_for_its_children_which_decide_nothing(recorder: Recorder) -> None:
    gate = Gate()

    @task(on_failure=[recorder.hook("child fails")])
    async def child() -> None:
        await gate.astop_here()
        raise ValueError("on purpose")

    @flow(on_completion=[recorder.hook("parent completes")])
    async def parent() -> str:
        child.submit()
        return "the result"

    async with open_runtime() as opened:
        handle = opened.submit(parent)
        await gate.reached()
        await at_rest()
        assert handle.state.name == "Running"
        gate.open()
        assert await handle == "the result"
    assert recorder.order == ["child fails", "parent completes"]


@pytest.mark.parametrize(("error", "end"), [(ValueError(), "on_failure"), (SystemExit(), "on_crashed")])
async def test_children_of_a_body_that_goes_wrong_are_cancelled_before_it_ends(
    error: BaseException, end: str, recorder: Recorder
) -> None:
    gate = Gate()
    child = task(gate.astop_here, name="child", on_end=[recorder.hook("child ends")])

    async def body() -> None:
        child.submit()
        await gate.reached()
        raise error

    hooks: Any = {end: [recorder.hook("parent ends")]}
    async with open_runtime():
        await flow(body, **hooks)(return_state=True)
    assert recorder.order == ["child ends", "parent ends"]
    assert recorder.states("child ends")[0].name == "Cancelled"


# Timeouts


@kinds
async def test_an_async_body_past_its_timeout_is_cancelled_and_the_run_timed_out(kind: str, recorder: Recorder) -> None:
    clock, gate = ManualClock(), Gate()

    async def endless() -> None:
        try:
            await gate.astop_here()
        finally:
            recorder.mark("unwound")

    subject = made(kind, endless, timeout_seconds=5, **recorder.all_hooks())
    async with open_runtime(clock=clock) as opened:
        handle = started(opened, subject)
        await gate.reached()
        clock.advance(4.9)
        await at_rest()
        assert not handle.done()
        clock.advance(0.1)
        with pytest.raises(RunTimedOut, match="took longer than its timeout of 5 s"):
            await handle
    assert handle.state.name == "TimedOut"
    assert recorder.order == ["on_running", "unwound", "on_failure", "on_end"]


@kinds
async def test_a_sync_body_past_its_timeout_ends_when_it_ends_and_the_run_is_timed_out(
    kind: str, recorder: Recorder
) -> None:
    clock, gate = ManualClock(), Gate()

    def slow() -> None:
        with no_interrupt():
            gate.stop_here()
            recorder.mark("ended")

    subject = made(kind, slow, timeout_seconds=5, on_failure=[recorder.hook("on_failure")])
    async with open_runtime(clock=clock) as opened:
        handle = started(opened, subject)
        await gate.reached()
        clock.advance(5)
        await at_rest()
        assert not handle.done()
        gate.open()
        await wait([handle])
    assert handle.state.name == "TimedOut"
    assert recorder.order == ["ended", "on_failure"]


@bodies
async def test_a_body_that_does_not_end_within_its_grace_is_abandoned_and_not_tried_again(
    is_async: bool, recorder: Recorder
) -> None:
    clock, gate = ManualClock(), Gate()

    async def stubborn() -> None:
        recorder.mark("begins")
        with anyio.CancelScope(shield=True):
            await gate.astop_here()

    def blocked() -> None:
        recorder.mark("begins")
        gate.stop_here()

    subject: Any = flow(stubborn if is_async else blocked, timeout_seconds=5, retries=3, **late(recorder))
    async with open_runtime(clock=clock, cancel_grace_seconds=10) as opened:
        handle = opened.submit(subject)
        await gate.reached()
        await at_rest()
        clock.advance(5)
        await at_rest()
        clock.advance(10)
        await wait([handle])
        gate.open()
    assert handle.state.name == "TimedOut"
    assert recorder.order == ["begins", "on_failure"]


def late(recorder: Recorder) -> Any:
    return {event: [recorder.hook(event)] for event in ("on_failure", "on_retry")}


async def test_a_timeout_that_passes_after_the_body_has_ended_changes_nothing() -> None:
    clock, gate = ManualClock(), Gate()
    child = task(gate.astop_here, name="child")

    async def body() -> str:
        child.submit()
        return "the result"

    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(flow(body, timeout_seconds=5))
        await gate.reached()
        await at_rest()
        clock.advance(100)
        await at_rest()
        gate.open()
        assert await handle == "the result"
