"""What may go wrong with a cancel, with a child at work meanwhile: how the run ends, which hooks run and how often,
what becomes of the child, and that no task is left. That no thread is, every test is checked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import anyio
import pytest
from tests.engine.faults import leaks_no_task, names
from tests.engine.gate import Gate
from tests.engine.phases import name_of
from tests.engine.recorder import Recorder
from tests.engine.watched import at_rest, open_runtime, until

from actwright import Runtime, flow, task, wait
from actwright.exceptions import RunError, RunIsFinal
from actwright.models.deliveries import DeliveryStatus
from actwright_actors.testing import ManualClock

pytestmark = [pytest.mark.anyio, pytest.mark.costly]

GRACE = 30.0

Stubborn = Callable[[Gate, Callable[[], object]], Callable[[], Any]]
"""Makes a body that starts a child, and goes on after it was told to stop until the gate opens."""


def swallows_its_cancellation(gate: Gate, start_child: Callable[[], object]) -> Callable[[], Any]:
    async def body() -> str:
        start_child()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await gate.astop_here()
        return "as if nothing were"

    return body


def has_a_finally_that_hangs(gate: Gate, start_child: Callable[[], object]) -> Callable[[], Any]:
    async def body() -> None:
        start_child()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await gate.astop_here()

    return body


def blocks_in_c(gate: Gate, start_child: Callable[[], object]) -> Callable[[], Any]:
    def body() -> None:
        start_child()
        gate.stop_here()  # a lock: no bytecode is run, and nothing of ours is asked

    return body


STUBBORN: list[Stubborn] = [swallows_its_cancellation, has_a_finally_that_hangs, blocks_in_c]


@pytest.mark.parametrize("past_the_grace", [False, True], ids=["within the grace", "past the grace"])
@pytest.mark.parametrize("stubborn", STUBBORN, ids=name_of)
async def test_a_body_that_does_not_stop_when_it_is_told_to_ends_cancelled_after_its_child(
    stubborn: Stubborn, past_the_grace: bool, recorder: Recorder
) -> None:
    gate, clock, child_gate = Gate(), ManualClock(), Gate()
    child = task(child_gate.astop_here, name="child", **recorder.all_hooks("child "))
    parent = flow(stubborn(gate, child.submit), name="parent", **recorder.all_hooks())
    with leaks_no_task():
        async with open_runtime(clock=clock, cancel_grace_seconds=GRACE) as runtime:
            handle = runtime.submit(parent)
            await child_gate.reached()
            await handle.cancel("enough")
            await gate.reached()
            await until(lambda: "child on_end" in recorder.order)
            assert handle.state.is_cancelling()
            assert "on_cancellation" not in recorder.order  # it waits for the body
            if past_the_grace:
                clock.advance(GRACE)
                await wait([handle])
                gate.open()
            else:
                gate.open()
                await wait([handle])
            assert {run.state.name for run in runtime.journal.runs()} == {"Cancelled"}
            assert names(runtime, handle) == ["Pending", "Running", "Cancelling", "Cancelled"]
    ended = ["child on_cancellation", "child on_end", "on_cancellation", "on_end"]
    assert recorder.order == ["on_running", "child on_running", *ended]


# When there is nothing to stop


async def ended_well(runtime: Runtime, recorder: Recorder) -> tuple[Any, str]:
    @task(**recorder.all_hooks("child "))
    async def child() -> None: ...

    @flow(**recorder.all_hooks())
    async def body() -> None:
        await child()

    handle = runtime.submit(body)
    await wait([handle])
    return handle, "Completed"


async def ended_badly(runtime: Runtime, recorder: Recorder) -> tuple[Any, str]:
    @task(**recorder.all_hooks("child "))
    async def child() -> None:
        raise ValueError("boom")

    @flow(**recorder.all_hooks())
    async def body() -> None:
        await child()

    handle = runtime.submit(body)
    await wait([handle])
    return handle, "Failed"


async def was_cancelled(runtime: Runtime, recorder: Recorder) -> tuple[Any, str]:
    child = task(anyio.sleep_forever, name="child", **recorder.all_hooks("child "))

    @flow(**recorder.all_hooks())
    async def body() -> None:
        await child()

    handle = runtime.submit(body)
    await until(lambda: "child on_running" in recorder.order)
    await handle.cancel()
    await wait([handle])
    return handle, "Cancelled"


Ended = Callable[[Runtime, Recorder], Awaitable[tuple[Any, str]]]
ENDED: list[Ended] = [ended_well, ended_badly, was_cancelled]


@pytest.mark.parametrize("ended", ENDED, ids=name_of)
async def test_to_cancel_a_run_that_has_ended_changes_nothing_and_calls_no_hook(
    ended: Ended, recorder: Recorder
) -> None:
    with leaks_no_task():
        async with open_runtime() as runtime:
            handle, state = await ended(runtime, recorder)
            before = {run.id: names(runtime, run.id) for run in runtime.journal.runs()}
            hooks = list(recorder.order)
            for _ in range(2):
                with pytest.raises(RunIsFinal, match=f"already {state}"):
                    await handle.cancel()
                with pytest.raises(RunIsFinal, match=f"already {state}"):
                    await runtime.cancel(handle.id)
            await at_rest()
            assert {run.id: names(runtime, run.id) for run in runtime.journal.runs()} == before
            assert handle.state.name == state
            deliveries = runtime.journal.deliveries()
            assert {(one.status, one.attempt) for one in deliveries} == {(DeliveryStatus.SUCCEEDED, 1)}
    assert recorder.order == hooks
    assert len(hooks) == len(deliveries)


async def test_to_cancel_an_unknown_run_touches_no_other(recorder: Recorder) -> None:
    gate = Gate()
    with leaks_no_task():
        async with open_runtime() as runtime:
            handle = runtime.submit(flow(gate.astop_here, name="other", **recorder.all_hooks()))
            await gate.reached()
            with pytest.raises(RunError, match="There is no run"):
                await runtime.cancel(uuid4())
            await at_rest()
            assert handle.state.is_running()
            gate.open()
            await handle
    assert recorder.order == ["on_running", "on_completion", "on_end"]


# Many at once


@pytest.mark.slow
async def test_a_thousand_children_that_run_are_cancelled_with_their_parent_each_hook_once_and_that_last(
    recorder: Recorder,
) -> None:
    count, begun, all_began = 1_000, list[int](), anyio.Event()

    @task(on_cancellation=[recorder.hook("child on_cancellation")])
    async def child() -> None:
        begun.append(1)
        if len(begun) == count:
            all_began.set()
        await anyio.sleep_forever()

    @flow(on_cancellation=[recorder.hook("on_cancellation")], on_end=[recorder.hook("on_end")])
    async def parent() -> None:
        await wait([child.submit() for _ in range(count)])

    with leaks_no_task():
        async with Runtime() as runtime:  # the session's own watchdog: so many take their time on a busy machine
            handle = runtime.submit(parent)
            await all_began.wait()
            await handle.cancel("enough")
            await wait([handle])
            runs = runtime.journal.runs()
            deliveries = runtime.journal.deliveries()
    assert [run.state.name for run in runs] == ["Cancelled"] * (count + 1)
    assert {(one.status, one.attempt) for one in deliveries} == {(DeliveryStatus.SUCCEEDED, 1)}
    assert recorder.order == ["child on_cancellation"] * count + ["on_cancellation", "on_end"]
    assert len({seen.run.id for seen in recorder.seen}) == count + 1
    ends = [run.end_time for run in runs if run.end_time is not None]
    assert max(ends) == next(run.end_time for run in runs if run.id == handle.id)
