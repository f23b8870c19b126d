"""Who waits for hooks, and whom they keep waiting: the next hook, the body, the caller; cancelling and leaving."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.engine.gate import Gate
from tests.engine.recorder import Recorder
from tests.engine.subjects import bodies, ends_in, final_state, kinds, made, started
from tests.engine.watched import at_rest, open_runtime

from actwright import (
    flow,
    hook,
    runtime,
)
from actwright.exceptions import RunIsFinal
from actwright.models.deliveries import DeliveryStatus
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


def stops_at(gate: Gate) -> Callable[..., None]:
    """A sync hook that waits at the gate."""

    def patient(*args: Any) -> None:
        gate.stop_here()

    return patient


# One after another, side by side, and who waits


async def test_hooks_of_one_transition_run_one_after_another(recorder: Recorder) -> None:
    gates = [Gate(), Gate()]

    def slow(*args: Any) -> None:
        gates[0].stop_here()
        recorder.mark("sync ends")

    async def slow_async(*args: Any) -> None:
        await gates[1].astop_here()
        recorder.mark("async ends")

    async with open_runtime() as opened:
        opened.submit(flow(ends_in, on_completion=[slow, slow_async], on_end=[recorder.hook("last")]), 1)
        await gates[0].reached()
        assert not gates[1].is_reached
        gates[0].open()
        await gates[1].reached()
        assert recorder.order == ["sync ends"]
        gates[1].open()
    assert recorder.order == ["sync ends", "async ends", "last"]


@bodies
async def test_hooks_of_different_runs_run_side_by_side(is_async: bool) -> None:
    here, there = Gate(), Gate()

    def meet(subject: Any, run: Any, state: Any) -> None:
        (here if run.parameters["returned"] == 1 else there).stop_here()

    async def ameet(subject: Any, run: Any, state: Any) -> None:
        await (here if run.parameters["returned"] == 1 else there).astop_here()

    async with open_runtime() as opened:
        subject = flow(ends_in, on_end=[ameet if is_async else meet])
        handles = [opened.submit(subject, number) for number in (1, 2)]
        await here.reached()
        await there.reached()
        here.open()
        there.open()
        assert await handles[0] + await handles[1] == 3


async def test_the_body_starts_when_the_on_running_hooks_are_done(recorder: Recorder) -> None:
    gate = Gate()

    async def body() -> None:
        recorder.mark("body")

    async with open_runtime() as opened:
        handle = opened.submit(flow(body, on_running=[stops_at(gate), recorder.hook("last")]))
        await gate.reached()
        assert recorder.order == []
        gate.open()
        await handle
    assert recorder.order == ["last", "body"]


async def test_the_outcome_reaches_the_caller_when_the_hooks_are_done(recorder: Recorder) -> None:
    gate = Gate()
    async with open_runtime() as opened:
        handle = opened.submit(flow(ends_in, on_end=[stops_at(gate), recorder.async_hook("last")]), 1)
        await gate.reached()
        assert handle.state.is_completed()
        assert not handle.done()
        gate.open()
        await handle
        assert recorder.order == ["last"]


async def test_a_hook_that_nobody_waits_for_lets_the_caller_go_and_still_runs(recorder: Recorder) -> None:
    gate = Gate()

    async def patient(*args: Any) -> None:
        await gate.astop_here()
        recorder.note("patient", *args)

    async with open_runtime() as opened:
        state = await flow(ends_in, on_end=[hook(patient, wait=False)])(1, return_state=True)
        await gate.reached()
        assert recorder.order == []
        gate.open()
    assert recorder.states("patient") == [state]
    (delivery,) = opened.journal.deliveries()
    assert delivery.status is DeliveryStatus.SUCCEEDED


async def test_the_caller_waits_for_the_last_hook_that_wants_it_and_for_those_before() -> None:
    before, wanted, after = Gate(), Gate(), Gate()
    hooks: list[Any] = [hook(stops_at(before), wait=False), stops_at(wanted), hook(stops_at(after), wait=False)]
    async with open_runtime() as opened:
        handle = opened.submit(flow(ends_in, on_end=hooks), 1)
        for gate in (before, wanted):
            await gate.reached()
            await at_rest()
            assert not handle.done()
            gate.open()
        await handle
        await after.reached()
        after.open()


# Time


async def test_hooks_take_none_of_a_runs_timeout() -> None:
    clock = ManualClock()

    async def slow(*args: Any) -> None:
        clock.advance(100)

    subject = flow(ends_in, timeout_seconds=1, on_running=[slow], on_completion=[slow], on_end=[slow])
    async with open_runtime(clock=clock):
        state = await subject("in time", return_state=True)
    assert state.name == "Completed"


async def test_an_async_hook_that_holds_the_loop_is_named_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    async def blocking_hook(*args: Any) -> None:
        release.wait(0.15)

    async with open_runtime():
        await flow(ends_in, on_end=[blocking_hook])(1)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    (warning,) = [warning for warning in warnings if "event loop" in warning]
    assert warning.startswith("Hook 'blocking_hook' is async and held the event loop for ")


# Cancelling, and leaving


@kinds
async def test_on_cancellation_runs_while_its_run_is_cancelling_and_after_the_body_has_unwound(
    kind: str, recorder: Recorder
) -> None:
    async def body() -> None:
        recorder.mark("body")
        try:
            await anyio.sleep_forever()
        finally:
            recorder.mark("unwound")

    def look(*args: Any) -> None:
        recorder.mark(f"{(runtime.task_run if kind == 'task' else runtime.flow_run).state_name}")

    async with open_runtime() as opened:
        handle = started(opened, made(kind, body, on_cancellation=[look], on_end=[recorder.hook("end")]))
        await at_rest()
        await handle.cancel("enough")
    assert recorder.order == ["body", "unwound", "Cancelling", "end"]
    assert (handle.state.name, handle.state.message) == ("Cancelled", "enough")


@kinds
async def test_an_at_once_hook_can_unblock_the_body_and_the_others_wait_for_that(kind: str, recorder: Recorder) -> None:
    gate = Gate()

    def body() -> None:
        try:
            gate.stop_here()
        finally:
            recorder.mark("unwound")

    def unblock(*args: Any) -> None:
        recorder.mark("at once")
        gate.open()

    hooks = [recorder.hook("later"), hook(unblock, at_once=True)]
    async with open_runtime() as opened:
        handle = started(opened, made(kind, body, on_cancellation=hooks))
        await gate.reached()
        await handle.cancel()
    assert recorder.order == ["at once", "unwound", "later"]
    assert handle.state.name == "Cancelled"


@pytest.mark.parametrize("event", ["on_running", "on_retry"])
@bodies
async def test_cancelling_a_run_does_not_cancel_its_hooks(event: str, is_async: bool, recorder: Recorder) -> None:
    gate = Gate()

    def patient(*args: Any) -> None:
        gate.stop_here()
        recorder.mark("done")

    async def patient_async(*args: Any) -> None:
        await gate.astop_here()
        recorder.mark("done")

    hooks: dict[str, Any] = {event: [patient_async if is_async else patient]}
    subject = flow(ends_in, retries=1, on_cancellation=[recorder.hook("on_cancellation")], **hooks)
    async with open_runtime() as opened:
        handle = opened.submit(subject, ValueError())
        await gate.reached()
        await handle.cancel()
        await at_rest()
        assert handle.state.name == "Cancelling"
        assert recorder.order == []
        gate.open()
    assert recorder.order == ["done", "on_cancellation"]
    assert handle.state.name == "Cancelled"


async def test_a_cancel_that_comes_while_the_last_hooks_run_changes_nothing(recorder: Recorder) -> None:
    gate = Gate()

    async def patient(*args: Any) -> None:
        await gate.astop_here()
        recorder.mark("done")

    async with open_runtime() as opened:
        handle = opened.submit(flow(ends_in, on_completion=[patient], **late_hooks(recorder)), "the result")
        await gate.reached()
        with pytest.raises(RunIsFinal, match="already Completed"):
            await handle.cancel()
        gate.open()
        assert await handle == "the result"
    assert recorder.order == ["done", "on_end"]


def late_hooks(recorder: Recorder) -> dict[str, Any]:
    return {event: [recorder.hook(event)] for event in ("on_cancellation", "on_end")}


@pytest.mark.parametrize("wait", [True, False], ids=["awaited", "not-awaited"])
async def test_leaving_a_runtime_in_a_hurry_does_not_cancel_hooks(wait: bool, recorder: Recorder) -> None:
    gate = Gate()

    async def patient(*args: Any) -> None:
        await gate.astop_here()
        recorder.mark("done")

    async with anyio.create_task_group() as tasks:

        async def open_when_reached() -> None:
            await gate.reached()
            await at_rest()
            gate.open()

        tasks.start_soon(open_when_reached)
        async with open_runtime(on_exit="cancel") as opened:
            handle = opened.submit(flow(ends_in, on_end=[hook(patient, wait=wait)]), 1)
            await gate.reached()
        assert recorder.order == ["done"]
        assert handle.state.name == "Completed"


@kinds
async def test_a_body_waits_for_its_on_running_hooks_also_for_those_that_let_the_caller_go(
    kind: str, recorder: Recorder
) -> None:
    async def slow(*args: Any) -> None:
        await anyio.lowlevel.checkpoint()
        recorder.mark("hook")

    async def body() -> None:
        recorder.mark("body")

    async with open_runtime():
        await final_state(made(kind, body, on_running=[hook(slow, wait=False)]))
    assert recorder.order == ["hook", "body"]
