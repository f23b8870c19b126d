"""Every kind of hook, in every shape, for flows and tasks with sync and async bodies: one law for all.

A hook that its run's transition calls for is called once, in its place, with the very state, and a sync one never on
the event loop.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import anyio
import pytest
from tests.engine.recorder import Recorder
from tests.engine.subjects import kinds, made

from actwright import FlowRun, Runtime, State, TaskRun, flow, run_flow, runtime
from actwright.authoring.hooks import HOOK_EVENTS
from actwright.authoring.waiting import event_of

pytestmark = pytest.mark.anyio


class Noter:
    """A hook as a callable object, and as a bound method."""

    def __init__(self, recorder: Recorder, label: str) -> None:
        self._recorder = recorder
        self._label = label

    def __call__(self, subject: Any, run: Any, state: State[Any]) -> None:
        self._recorder.note(self._label, subject, run, state)

    def method(self, subject: Any, run: Any, state: State[Any]) -> None:
        self._recorder.note(self._label, subject, run, state)

    async def async_method(self, subject: Any, run: Any, state: State[Any]) -> None:
        self._recorder.note(self._label, subject, run, state)


class AsyncNoter:
    """An async callable object."""

    def __init__(self, recorder: Recorder, label: str) -> None:
        self._recorder = recorder
        self._label = label

    async def __call__(self, subject: Any, run: Any, state: State[Any]) -> None:
        self._recorder.note(self._label, subject, run, state)


def labelled(subject: Any, run: Any, state: State[Any], *, recorder: Recorder, label: str) -> None:
    recorder.note(label, subject, run, state)


async def async_labelled(subject: Any, run: Any, state: State[Any], *, recorder: Recorder, label: str) -> None:
    recorder.note(label, subject, run, state)


SHAPES: dict[str, Callable[[Recorder, str], Callable[..., Any]]] = {
    "sync": Recorder.hook,
    "async": Recorder.async_hook,
    "partial": lambda recorder, label: functools.partial(labelled, recorder=recorder, label=label),
    "async-partial": lambda recorder, label: functools.partial(async_labelled, recorder=recorder, label=label),
    "bound-method": lambda recorder, label: Noter(recorder, label).method,
    "async-bound-method": lambda recorder, label: Noter(recorder, label).async_method,
    "callable-object": Noter,
    "async-callable-object": AsyncNoter,
}


@dataclass(frozen=True)
class Case:
    """How a run has to go so that it enters the state of a list, and what that looks like from outside.

    Attributes:
        order: hooks and marks of the body, as they have to come.
        entered: the name of the state that the hooks get.
        final: the name of the state that the run ends in.
        retries: the run's option.
    """

    order: tuple[str, ...]
    entered: str
    final: str
    retries: int = 0


CASES = {
    "on_running": Case(("first", "second", "body"), "Running", "Completed"),
    "on_retry": Case(("body", "first", "second", "body"), "AwaitingRetry", "Completed", retries=1),
    "on_completion": Case(("body", "first", "second"), "Completed", "Completed"),
    "on_failure": Case(("body", "first", "second"), "Failed", "Failed"),
    "on_cancellation": Case(("body", "unwound", "first", "second"), "Cancelling", "Cancelled"),
    "on_crashed": Case(("body", "first", "second"), "Crashed", "Crashed"),
    "on_end": Case(("body", "first", "second"), "Completed", "Completed"),
}


class Body:
    """A body that ends as the hooks of `event` want it."""

    def __init__(self, event: str, recorder: Recorder) -> None:
        self._event = event
        self._recorder = recorder
        self._started: Future[UUID | None] = Future()
        self._may_unwind = threading.Event()

    def sync(self) -> None:
        self._begin()
        if self._event == "on_cancellation":
            try:
                assert self._may_unwind.wait(10)
            finally:
                self._recorder.mark("unwound")

    async def asynchronous(self) -> None:
        self._begin()
        if self._event == "on_cancellation":
            try:
                await anyio.sleep_forever()
            finally:
                self._recorder.mark("unwound")

    def _begin(self) -> None:
        self._recorder.mark("body")
        attempt = self._recorder.order.count("body")
        if self._event == "on_cancellation":
            self._started.set_result(runtime.task_run.id or runtime.flow_run.id)
        elif self._event == "on_crashed":
            raise SystemExit("on purpose")
        elif self._event == "on_failure" or (self._event == "on_retry" and attempt == 1):
            raise ValueError("on purpose")

    async def cancel_once_started(self, within: Runtime) -> None:
        """Cancel the run, if that is how it is to end; a sync body goes on only when it is Cancelling."""
        if self._event == "on_cancellation":
            await event_of(self._started).wait()
            run_id = self._started.result()
            assert run_id is not None
            await within.cancel(run_id)
            self._may_unwind.set()


async def final_state(subject: Any) -> State[Any]:
    """What calling it with return_state=True returns: a flow by run_flow, a task in a flow of its own kind."""
    if subject.kind == "flow":
        state: State[Any] = await run_flow(subject, return_state=True)
        return state
    states: list[State[Any]] = []

    def around() -> None:
        states.append(subject(return_state=True))

    async def async_around() -> None:
        states.append(await subject(return_state=True))

    await run_flow(flow(async_around) if subject.isasync else flow(around))
    return states[0]


@pytest.mark.parametrize("event", HOOK_EVENTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync-body", "async-body"])
@kinds
async def test_a_hook_is_called_once_in_its_place_with_the_very_state(
    kind: str, is_async: bool, shape: str, event: str, recorder: Recorder
) -> None:
    case, body = CASES[event], Body(event, recorder)
    hooks = [SHAPES[shape](recorder, label) for label in ("first", "second")]
    subject = made(kind, body.asynchronous if is_async else body.sync, retries=case.retries, **{event: hooks})
    finals: list[State[Any]] = []
    with anyio.fail_after(20):
        async with Runtime() as within, anyio.create_task_group() as tasks:
            tasks.start_soon(body.cancel_once_started, within)
            finals.append(await final_state(subject))

    (final,) = finals
    assert tuple(recorder.order) == case.order
    assert final.name == case.final
    first, second = recorder.seen
    assert first.subject is second.subject is subject
    assert type(first.run) is (FlowRun if kind == "flow" else TaskRun)
    assert first.state is second.state is first.run.state is second.run.state
    assert first.state.name == case.entered
    assert (first.state is final) == (case.entered == case.final)
    for seen in recorder.seen:
        assert_is_where_it_belongs(seen.thread, shape)


def assert_is_where_it_belongs(thread: threading.Thread, shape: str) -> None:
    """An async hook runs on the loop, which is this thread's; a sync one in a thread of the hooks' own pool."""
    if shape.startswith("async"):
        assert thread is threading.current_thread()
    else:
        assert thread is not threading.current_thread()
        assert thread.name.startswith("actwright-hook-")
