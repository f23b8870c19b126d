"""State change hooks: when they fire, in which order, with what, and what they see."""

from __future__ import annotations

import functools
import logging
import threading
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from tests.engine.gate import Gate
from tests.engine.recorder import Recorder
from tests.engine.watched import at_rest, open_runtime

from actwright import Flow, Runtime, State, StateType, Variable, flow, get_run_logger, hook, runtime, task
from actwright.exceptions import ParameterTypeError, RunIsFinal
from actwright.journal.protocol import Transition
from actwright.models.deliveries import DeliveryStatus
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


WORD: ContextVar[str] = ContextVar("word")


async def ends_in(returned: Any) -> Any:
    """A body: raises what it is given if that can be raised, else returns it."""
    if isinstance(returned, BaseException):
        raise returned
    return returned


# When they fire


@pytest.mark.parametrize("kind", ["flow", "task"])
@pytest.mark.parametrize(
    ("outcome", "order"),
    [
        ("a value", ["on_running", "on_completion", "on_end"]),
        (ValueError("on purpose"), ["on_running", "on_failure", "on_end"]),
        (SystemExit("on purpose"), ["on_running", "on_crashed", "on_end"]),
        (State(type=StateType.CANCELLED), ["on_running", "on_cancellation", "on_end"]),
        (State(type=StateType.COMPLETED, name="Cached"), ["on_running", "on_completion", "on_end"]),
        (State(type=StateType.FAILED, name="TimedOut"), ["on_running", "on_failure", "on_end"]),
    ],
    ids=["returned", "raised", "exited", "cancelled", "cached", "timed-out"],
)
async def test_each_end_fires_its_own_hooks_and_then_on_end(
    kind: str, outcome: Any, order: list[str], recorder: Recorder
) -> None:
    decorate: Any = flow if kind == "flow" else task
    async with open_runtime():
        state = await decorate(ends_in, **recorder.all_hooks())(outcome, return_state=True)
    assert recorder.order == order
    assert recorder.states("on_end") == [state]


@pytest.mark.parametrize("kind", ["flow", "task"])
async def test_each_attempt_fires_on_running_and_each_retry_on_retry(kind: str, recorder: Recorder) -> None:
    decorate: Any = flow if kind == "flow" else task
    failing = decorate(ends_in, retries=2, **recorder.all_hooks())
    async with open_runtime():
        await failing(ValueError("on purpose"), return_state=True)
    assert recorder.order == [*["on_running", "on_retry"] * 2, "on_running", "on_failure", "on_end"]
    assert [state.name for state in recorder.states("on_running")] == ["Running", "Retrying", "Retrying"]
    assert {state.name for state in recorder.states("on_retry")} == {"AwaitingRetry"}


@pytest.mark.parametrize("kind", ["flow", "task"])
async def test_invalid_parameters_fail_the_run_with_its_hooks_and_without_its_body(
    kind: str, recorder: Recorder
) -> None:
    async def body(number: int) -> None:
        recorder.mark("body")

    decorate: Any = flow if kind == "flow" else task
    async with open_runtime():
        state = await decorate(body, retries=3, **recorder.all_hooks())("not a number", return_state=True)
    assert recorder.order == ["on_failure", "on_end"]
    assert recorder.states("on_failure") == [state]
    assert isinstance(state.result(raise_on_failure=False), ParameterTypeError)


async def test_a_task_fires_its_own_hooks_and_its_flow_fires_its_own(recorder: Recorder) -> None:
    inner = task(ends_in, **recorder.all_hooks("task "))

    @flow(**recorder.all_hooks("flow "))
    async def outer() -> None:
        await inner(1)

    async with open_runtime():
        await outer()
    ends = ("on_running", "on_completion", "on_end")
    assert recorder.order == ["flow on_running", *(f"task {end}" for end in ends), *(f"flow {end}" for end in ends[1:])]


# How they are registered


async def test_hooks_run_in_list_order_with_those_of_decorators_behind(recorder: Recorder) -> None:
    decorated = flow(ends_in, on_completion=[recorder.hook("a"), recorder.async_hook("b"), recorder.hook("c")])
    decorated.on_completion(recorder.async_hook("d"))
    async with open_runtime():
        await decorated(1)
    assert recorder.order == ["a", "b", "c", "d"]


async def test_with_options_overrides_a_list_inherits_what_it_leaves_out_and_clears_with_an_empty_one(
    recorder: Recorder,
) -> None:
    original = task(ends_in, on_completion=[recorder.hook("old")], on_end=[recorder.hook("end")])
    async with open_runtime():
        await original.with_options(on_completion=[recorder.hook("new")])(1)
        recorder.mark("/")
        await original.with_options(on_completion=[], on_end=[])(1)
        recorder.mark("/")
        await original(1)
    assert recorder.order == ["new", "end", "/", "/", "old", "end"]


async def test_one_hook_may_stand_in_several_lists_and_twice_in_one(recorder: Recorder) -> None:
    both = recorder.hook("both")
    async with open_runtime():
        await flow(ends_in, on_completion=[both, both], on_failure=[both])(1)
        assert recorder.order == ["both"] * 2
        await flow(ends_in, on_completion=[both], on_failure=[both])(ValueError(), return_state=True)
    assert [state.name for state in recorder.states("both")] == ["Completed", "Completed", "Failed"]


async def test_a_hook_added_while_a_run_goes_on_is_for_later_runs_alone(recorder: Recorder) -> None:
    subject: Flow[[], Any]

    @flow
    async def subject() -> None:
        subject.on_completion(recorder.hook("late"))

    async with open_runtime():
        await subject()
        assert recorder.order == []
        await subject()
    assert recorder.order == ["late"]


async def test_hooks_may_have_more_arguments_with_defaults_and_keywords(recorder: Recorder) -> None:
    def with_default(flow: Any, flow_run: Any, state: Any, note: str = "default") -> None:
        recorder.mark(note)

    def with_kwargs(flow: Any, flow_run: Any, state: Any, **kwargs: Any) -> None:
        recorder.mark(f"{kwargs}")

    async with open_runtime():
        await flow(ends_in, on_end=[with_default, with_kwargs, functools.partial(with_kwargs, x=1)])(1)
    assert recorder.order == ["default", "{}", "{'x': 1}"]


async def test_a_plain_callable_that_hands_on_an_awaitable_is_awaited(recorder: Recorder) -> None:
    noted = recorder.async_hook("awaited")
    async with open_runtime():
        await flow(ends_in, on_end=[lambda *args: noted(*args), recorder.hook("next")])(1)
    assert recorder.order == ["awaited", "next"]
    assert recorder.seen[0].thread is threading.current_thread()


async def test_what_a_hook_returns_is_ignored() -> None:
    def hook_with_an_opinion(*args: Any) -> State[Any]:
        return State(type=StateType.FAILED)

    async with open_runtime():
        assert await flow(ends_in, on_completion=[hook_with_an_opinion])("the result") == "the result"


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


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
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
        handle = opened.submit(flow(body, on_running=[lambda *args: gate.stop_here(), recorder.hook("last")]))
        await gate.reached()
        assert recorder.order == []
        gate.open()
        await handle
    assert recorder.order == ["last", "body"]


async def test_the_outcome_reaches_the_caller_when_the_hooks_are_done(recorder: Recorder) -> None:
    gate = Gate()
    async with open_runtime() as opened:
        handle = opened.submit(flow(ends_in, on_end=[lambda *args: gate.stop_here(), recorder.async_hook("last")]), 1)
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


async def test_the_caller_waits_for_the_last_hook_that_wants_it_and_for_those_before(recorder: Recorder) -> None:
    gate = Gate()
    hooks = [
        hook(recorder.hook("not waited for, but first"), wait=False),
        recorder.hook("waited for"),
        hook(lambda *args: gate.stop_here(), wait=False),
    ]
    async with open_runtime():
        await flow(ends_in, on_end=hooks)(1)
        assert recorder.order == ["not waited for, but first", "waited for"]
        gate.open()


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
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith("Hook 'blocking_hook' is async and held the event loop for ")


# Cancelling, and leaving


def started(kind: str, opened: Runtime, body: Any, **options: Any) -> Any:
    """A handle of a run of `body`, as a flow or as a task."""
    if kind == "flow":
        return opened.submit(flow(body, **options))
    return task(body, **options).submit()


@pytest.mark.parametrize("kind", ["flow", "task"])
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
        handle = started(kind, opened, body, on_cancellation=[look], on_end=[recorder.hook("end")])
        await at_rest()
        await handle.cancel("enough")
    assert recorder.order == ["body", "unwound", "Cancelling", "end"]
    assert (handle.state.name, handle.state.message) == ("Cancelled", "enough")


@pytest.mark.parametrize("kind", ["flow", "task"])
async def test_an_at_once_hook_can_unblock_the_body_and_the_others_wait_for_that(kind: str, recorder: Recorder) -> None:
    gate = Gate()

    def body() -> None:
        gate.stop_here()
        recorder.mark("unwound")

    def unblock(*args: Any) -> None:
        recorder.mark("at once")
        gate.open()

    hooks = [recorder.hook("later"), hook(unblock, at_once=True)]
    async with open_runtime() as opened:
        handle = started(kind, opened, body, on_cancellation=hooks)
        await gate.reached()
        await handle.cancel()
    assert recorder.order == ["at once", "unwound", "later"]
    assert handle.state.name == "Cancelled"


@pytest.mark.parametrize("event", ["on_running", "on_retry"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
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


# What a hook sees


async def test_a_hook_sees_the_run_that_it_is_for(recorder: Recorder) -> None:
    def look(subject: Any, run: Any, state: Any) -> None:
        of_run = runtime.flow_run if isinstance(subject, Flow) else runtime.task_run
        assert (of_run.id, of_run.name, of_run.run_count, of_run.parameters) == (run.id, run.name, 1, run.parameters)
        assert runtime.flow.name == "outer"
        recorder.mark(subject.name)

    inner = task(ends_in, name="inner", on_end=[look])

    async def body() -> None:
        await inner(1)

    async with open_runtime() as opened:
        await flow(body, name="outer", on_end=[look])()
    assert recorder.order == ["inner", "outer"]
    assert [delivery.error for delivery in opened.journal.deliveries()] == [None, None]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_runtime_hook_tells_of_the_delivery_and_is_empty_outside_of_hooks(is_async: bool) -> None:
    told: list[Any] = []

    def look(*args: Any) -> None:
        told.append((runtime.hook.delivery_id, runtime.hook.attempt, runtime.hook.replayed, runtime.hook.due_at))

    async def look_async(*args: Any) -> None:
        look()

    async with open_runtime() as opened:
        await flow(ends_in, on_end=[look_async if is_async else look])(1)
    (delivery,) = opened.journal.deliveries()
    look()
    assert told == [(delivery.id, 1, False, delivery.due_at), (None, 0, False, None)]


async def test_the_deliveries_of_a_transition_are_recorded_with_it_and_in_order(recorder: Recorder) -> None:
    async with open_runtime() as opened:
        handle = opened.submit(flow(ends_in, on_completion=[recorder.hook("a")], on_end=[recorder.hook("b")]), 1)
        await handle
    last: Transition = opened.journal.transitions(handle.id)[-1]
    assert [(due.event, due.position, due.transition_id) for due in last.deliveries] == [
        ("on_completion", 0, handle.state.id),
        ("on_end", 1, handle.state.id),
    ]


async def test_a_hook_sees_the_context_variables_of_the_runs_caller_and_changes_none() -> None:
    seen: list[str] = []

    def look(*args: Any) -> None:
        seen.append(WORD.get())
        WORD.set("of the hook")

    async def look_async(*args: Any) -> None:
        look()

    token = WORD.set("of the caller")
    async with open_runtime():
        await flow(ends_in, on_end=[look, look_async, look])(1)
    assert seen == ["of the caller"] * 3
    assert WORD.get() == "of the caller"
    WORD.reset(token)


async def test_a_hook_reads_the_variables_that_the_body_set(recorder: Recorder) -> None:
    @flow
    async def keeps_a_name() -> None:
        await Variable.set("job", runtime.flow_run.name)

    @keeps_a_name.on_end
    async def reads_it(flow: Any, flow_run: Any, state: Any) -> None:
        recorder.mark(str((await Variable.get("job")).value == flow_run.name))

    @keeps_a_name.on_end
    def reads_it_in_a_thread(flow: Any, flow_run: Any, state: Any) -> None:
        recorder.mark(str(Variable.get("job").value == flow_run.name))

    async with open_runtime():
        await keeps_a_name()
    assert recorder.order == ["True", "True"]


async def test_hooks_call_flows_whose_runs_have_no_parent(recorder: Recorder) -> None:
    async def of_hook(word: str) -> None:
        recorder.mark(word)

    inner = flow(of_hook, on_end=[recorder.hook("its own hook")])
    sync_inner = flow(lambda word: recorder.mark(word), name="inner", on_end=[recorder.hook("its own hook")])

    async def calls_a_flow(*args: Any) -> None:
        await inner("async")

    def calls_a_sync_flow(*args: Any) -> None:
        sync_inner("sync")

    async with open_runtime() as opened:
        await flow(ends_in, on_end=[calls_a_flow, calls_a_sync_flow])(1)
    assert recorder.order == ["async", "its own hook", "sync", "its own hook"]
    assert [run.parent_flow_run_id for run in opened.journal.runs()] == [None] * 3


# What is logged


async def test_each_hook_logs_its_start_and_its_end_on_its_runs_log(caplog: pytest.LogCaptureFixture) -> None:
    def notify(*args: Any) -> None:
        get_run_logger().info("from the hook")

    async def broken(*args: Any) -> None:
        raise ValueError("on purpose")

    named = flow(ends_in, flow_run_name="my-run", on_failure=[notify, broken])
    with caplog.at_level(logging.INFO, "actwright"):
        async with open_runtime():
            await named(ValueError(), return_state=True)
    lines = [record for record in caplog.records if "ook" in record.getMessage()]
    assert [line.getMessage() for line in lines] == [
        "Flow run 'my-run' - Running hook 'notify' in response to entering state 'Failed'",
        "Flow run 'my-run' - from the hook",
        "Flow run 'my-run' - Hook 'notify' finished running successfully",
        "Flow run 'my-run' - Running hook 'broken' in response to entering state 'Failed'",
        "Flow run 'my-run' - An error was encountered while running hook 'broken'",
    ]
    error = lines[-1]
    assert error.levelno == logging.ERROR
    assert error.exc_info is not None
    assert repr(error.exc_info[1]) == "ValueError('on purpose')"


def test_a_plain_call_fires_hooks_too_and_never_in_its_own_thread(recorder: Recorder) -> None:
    subject = flow(lambda: "the result", name="plain", **recorder.all_hooks())
    state: State[str] = subject(return_state=True)
    assert recorder.order == ["on_running", "on_completion", "on_end"]
    assert recorder.states("on_end") == [state]
    assert threading.current_thread() not in {seen.thread for seen in recorder.seen}
