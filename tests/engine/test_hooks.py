"""State change hooks: when they fire, in which order, with what, and what they see."""

from __future__ import annotations

import functools
import logging
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from tests.engine.recorder import Recorder
from tests.engine.subjects import bodies, ends_in, kinds, made
from tests.engine.watched import open_runtime

from actwright import (
    Cancelled,
    Completed,
    Failed,
    Flow,
    State,
    Variable,
    flow,
    get_run_logger,
    runtime,
    task,
)
from actwright.exceptions import ParameterTypeError
from actwright.journal.protocol import Transition

pytestmark = pytest.mark.anyio


WORD: ContextVar[str] = ContextVar("word")


# When they fire


@kinds
@pytest.mark.parametrize(
    ("outcome", "order"),
    [
        ("a value", ["on_running", "on_completion", "on_end"]),
        (ValueError("on purpose"), ["on_running", "on_failure", "on_end"]),
        (SystemExit("on purpose"), ["on_running", "on_crashed", "on_end"]),
        (Cancelled(), ["on_running", "on_cancellation", "on_end"]),
        (Completed(name="Cached"), ["on_running", "on_completion", "on_end"]),
        (Failed(name="TimedOut"), ["on_running", "on_failure", "on_end"]),
    ],
    ids=["returned", "raised", "exited", "cancelled", "cached", "timed-out"],
)
async def test_each_end_fires_its_own_hooks_and_then_on_end(
    kind: str, outcome: Any, order: list[str], recorder: Recorder
) -> None:
    async with open_runtime():
        state = await made(kind, ends_in, **recorder.all_hooks())(outcome, return_state=True)
    assert recorder.order == order
    assert recorder.states("on_end") == [state]


@kinds
async def test_each_attempt_fires_on_running_and_each_retry_on_retry(kind: str, recorder: Recorder) -> None:
    failing = made(kind, ends_in, retries=2, **recorder.all_hooks())
    async with open_runtime():
        await failing(ValueError("on purpose"), return_state=True)
    assert recorder.order == [*["on_running", "on_retry"] * 2, "on_running", "on_failure", "on_end"]
    assert [state.name for state in recorder.states("on_running")] == ["Running", "Retrying", "Retrying"]
    assert {state.name for state in recorder.states("on_retry")} == {"AwaitingRetry"}


@kinds
async def test_invalid_parameters_fail_the_run_with_its_hooks_and_without_its_body(
    kind: str, recorder: Recorder
) -> None:
    async def body(number: int) -> None:
        recorder.mark("body")

    async with open_runtime():
        state = await made(kind, body, retries=3, **recorder.all_hooks())("not a number", return_state=True)
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
    async def body() -> None:
        subject.on_completion(recorder.hook("late"))

    subject = flow(body)
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

    def hands_on(*args: Any) -> Any:
        return noted(*args)

    async with open_runtime():
        await flow(ends_in, on_end=[hands_on, recorder.hook("next")])(1)
    assert recorder.order == ["awaited", "next"]
    assert recorder.seen[0].thread is threading.current_thread()


async def test_what_a_hook_returns_is_ignored() -> None:
    def hook_with_an_opinion(*args: Any) -> State[Any]:
        return Failed()

    async with open_runtime():
        assert await flow(ends_in, on_completion=[hook_with_an_opinion])("the result") == "the result"


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


@bodies
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
    sync_inner = flow(recorder.mark, name="inner", on_end=[recorder.hook("its own hook")])

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
