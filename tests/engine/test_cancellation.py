"""Cancelling a run: whoever asks, and at whatever moment, it ends Cancelled, with its hooks run once."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import anyio
import pytest
from tests.engine.faults import leaks_no_task, live, names
from tests.engine.gate import WATCHDOG_SECONDS, Gate
from tests.engine.phases import BEFORE_THE_END, Phase, name_of
from tests.engine.recorder import Recorder
from tests.engine.subjects import bodies
from tests.engine.watched import at_rest, open_runtime

from actwright import Completed, Failed, Handle, Runtime, State, flow, hook, runtime, task, wait
from actwright.engine.bodies import Attempt
from actwright.engine.messages import BodyEnded
from actwright.exceptions import CancelledRun, RunError, RunIsFinal
from actwright.models.outcomes import Returned
from actwright.runtime import no_interrupt
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


# At each point of its life


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


async def test_a_body_whose_task_is_there_when_its_run_is_cancelled_does_not_begin(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    @task
    async def never() -> None:
        recorder.mark("body")

    @flow
    async def around() -> str:
        handle = never.submit()
        await wait([handle])
        return handle.state.name

    start = Attempt.start

    def start_and_cancel(attempt: Attempt, actor: Any) -> None:
        start(attempt, actor)
        if attempt.run.snapshot.kind == "task":
            attempt.stop("enough")
            attempt.run.cancel("enough")

    monkeypatch.setattr(Attempt, "start", start_and_cancel)
    async with open_runtime() as runtime:
        assert await runtime.submit(around) == "Cancelled"
    assert recorder.order == []


async def test_all_that_it_called_has_one_reason_which_names_it_however_deep_that_is() -> None:
    gate = Gate()

    @flow(flow_run_name="{left} left")
    async def deep(left: int) -> None:
        await (deep(left - 1) if left else gate.astop_here())

    async with open_runtime() as runtime:
        handle = runtime.submit(deep, 3)
        await gate.reached()
        await handle.cancel("enough")
        await wait([handle])
        reasons = {run.name: run.state.message for run in runtime.journal.runs()}
    below = "Flow run '3 left': enough"
    assert reasons == {"3 left": "enough", "2 left": below, "1 left": below, "0 left": below}


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


async def test_a_failure_stands_though_a_cancel_comes_while_its_children_unwind(recorder: Recorder) -> None:
    gate, started = Gate(), anyio.Event()

    @task
    async def child() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await gate.astop_here()

    @flow(**recorder.all_hooks())
    async def failing() -> None:
        child.submit()
        await started.wait()
        raise ValueError("boom")

    async with open_runtime() as runtime:
        handle = runtime.submit(failing)
        await gate.reached()
        await at_rest()
        answer = handle.cancel()
        await at_rest()
        gate.open()
        with pytest.raises(RunIsFinal, match="already Failed"):
            await answer
        await wait([handle])
        assert handle.state.is_failed()
    assert recorder.order == ["on_running", "on_failure", "on_end"]


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


async def test_a_sync_body_that_waits_for_a_run_of_somebody_elses_is_woken_and_that_run_goes_on(
    recorder: Recorder,
) -> None:
    gate, begins, others = Gate(), Gate(), list[Handle[None]]()
    begins.open()

    @flow
    def waiting() -> None:
        begins.stop_here()
        with pytest.raises(CancelledRun, match="enough"):
            others[0].result()
        recorder.mark("woken")

    async with open_runtime() as runtime:
        others.append(runtime.submit(flow(gate.astop_here, name="other")))
        await gate.reached()
        handle = runtime.submit(waiting)
        await begins.reached()
        await handle.cancel("enough")
        await wait([handle])
        assert others[0].state.is_running()
        gate.open()
        await others[0]
    assert recorder.order == ["woken"]


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


# Hooks of a cancellation


@bodies
@pytest.mark.parametrize("ending", ["cancelled", "timed out"])
async def test_a_body_may_ask_whether_it_was_told_to_stop_and_its_hooks_are_not(
    ending: str, is_async: bool, recorder: Recorder
) -> None:
    gate, clock = Gate(), ManualClock()

    def ask() -> None:
        runtime.raise_if_cancelled()
        recorder.mark(f"told to stop: {runtime.cancel_requested()}")

    def ask_in_a_hook(*args: object) -> None:
        ask()

    def look() -> None:
        recorder.mark(f"told to stop: {runtime.cancel_requested()}")
        with pytest.raises(CancelledRun, match="'asks': "):
            runtime.raise_if_cancelled()

    def body() -> None:
        with runtime.no_interrupt():
            ask()
            gate.stop_here()
            look()

    async def async_body() -> None:
        ask()
        try:
            await gate.astop_here()
        finally:
            look()

    subject = flow(async_body if is_async else body, timeout_seconds=5, on_end=[ask_in_a_hook], flow_run_name="asks")
    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(subject)
        await gate.reached()
        if ending == "cancelled":
            await handle.cancel()
            await at_rest()
        else:
            clock.advance(5)
            await at_rest()
        gate.open()
        await wait([handle])
    assert recorder.order == ["told to stop: False", "told to stop: True", "told to stop: False"]
    ask()


async def test_an_at_once_hook_runs_before_the_body_unwinds_and_may_unblock_it(recorder: Recorder) -> None:
    gate = Gate()

    def release(*_: object) -> None:
        recorder.mark("at once")
        gate.open()

    @flow(on_cancellation=[recorder.hook("later"), hook(release, at_once=True)])
    def blocked() -> None:
        with no_interrupt():
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
