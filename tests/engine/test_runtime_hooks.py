"""The hooks of a Runtime: for every run, after its own, as durable, never for what they themselves start."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.engine.recorder import Recorder
from tests.engine.subjects import bodies, kinds, made, started
from tests.engine.watched import at_rest, open_runtime

from actwright import Flow, Runtime, flow, task
from actwright.authoring.hooks import HOOK_EVENTS
from actwright.models.deliveries import DeliveryStatus

pytestmark = pytest.mark.anyio


async def body() -> str:
    return "the result"


async def test_they_fire_after_the_runs_own_in_the_same_transition(recorder: Recorder) -> None:
    shared = recorder.all_hooks("shared ")
    async with open_runtime(flow_hooks=shared):
        await flow(body, **recorder.all_hooks("own "))()
    assert recorder.order == [
        "own on_running",
        "shared on_running",
        "own on_completion",
        "own on_end",
        "shared on_completion",
        "shared on_end",
    ]


@pytest.mark.parametrize("event", HOOK_EVENTS)
@kinds
async def test_a_run_without_hooks_of_its_own_has_those_of_every_list(
    kind: str, event: str, recorder: Recorder
) -> None:
    async def ends_as_wanted() -> None:
        if event == "on_cancellation":
            await anyio.sleep_forever()
        if event == "on_crashed":
            raise SystemExit("on purpose")
        if event == "on_failure" or (event == "on_retry" and len(recorder.seen) == 0):
            raise ValueError("on purpose")

    subject = made(kind, ends_as_wanted, retries=1 if event == "on_retry" else 0)
    options: Any = {f"{kind}_hooks": {event: [recorder.hook(event)]}}
    async with open_runtime(**options) as opened:
        handle = started(opened, subject)
        await at_rest()
        if event == "on_cancellation":
            await handle.cancel()
    (seen,) = recorder.seen
    assert seen.subject is subject
    assert seen.run.id == handle.id
    (delivery,) = opened.journal.deliveries(handle.id)
    assert (delivery.event, delivery.status, delivery.transition_id) == (event, DeliveryStatus.SUCCEEDED, seen.state.id)


async def test_hooks_for_flows_are_not_for_tasks_and_the_other_way_round(recorder: Recorder) -> None:
    @flow
    async def outer() -> None:
        await task(body)()

    async with open_runtime(flow_hooks=recorder.all_hooks("flow "), task_hooks=recorder.all_hooks("task ")):
        await outer()
    for seen in recorder.seen:
        assert seen.label.startswith("flow" if isinstance(seen.subject, Flow) else "task")


@bodies
async def test_a_run_that_such_a_hook_starts_has_none_of_them_nor_have_its_children(
    is_async: bool, recorder: Recorder
) -> None:
    child = task(lambda: recorder.mark("child"), name="child")

    @flow(on_end=[recorder.hook("its own")])
    def started_by_hook() -> None:
        child()

    @flow(on_end=[recorder.hook("its own")])
    async def started_by_async_hook() -> None:
        await child.submit()

    def shared(*args: Any) -> None:
        recorder.mark("shared")
        started_by_hook()

    async def shared_async(*args: Any) -> None:
        recorder.mark("shared")
        await started_by_async_hook()

    hooks = {"on_end": [shared_async if is_async else shared]}
    async with open_runtime(flow_hooks=hooks, task_hooks={"on_end": [recorder.hook("of the child")]}) as opened:
        await flow(body)()
    assert recorder.order == ["shared", "child", "its own"]
    assert len(opened.journal.runs()) == 3


async def test_a_run_that_a_runs_own_hook_starts_has_them(recorder: Recorder) -> None:
    inner = flow(body, name="inner")

    async def own(*args: Any) -> None:
        await inner()

    async with open_runtime(flow_hooks={"on_end": [recorder.hook("shared")]}):
        await flow(body, name="outer", on_end=[own])()
    assert [seen.subject.name for seen in recorder.seen] == ["inner", "outer"]


async def test_a_run_that_is_started_by_an_own_hook_of_what_such_a_hook_started_has_none_of_them(
    recorder: Recorder,
) -> None:
    """Else the two would call each other for ever."""

    async def starts_another(*args: Any) -> None:
        recorder.mark("own")
        if len(recorder.order) < 10:
            await flow(body)()

    async def starts_one(*args: Any) -> None:
        recorder.mark("shared")
        if len(recorder.order) < 10:
            await flow(body, on_completion=[starts_another])()

    async with open_runtime(flow_hooks={"on_completion": [starts_one]}):
        await flow(body)()
    assert recorder.order == ["shared", "own"]


async def test_a_sync_call_on_the_loop_has_them_too(recorder: Recorder) -> None:
    def sync_body() -> str:
        return "the result"

    async with open_runtime(flow_hooks={"on_end": [recorder.hook("shared")]}):
        assert flow(sync_body)() == "the result"
    assert recorder.order == ["shared"]


async def test_a_broken_one_does_not_touch_the_run(recorder: Recorder) -> None:
    def broken(*args: Any) -> None:
        raise SystemExit("on purpose")

    async with open_runtime(flow_hooks={"on_end": [broken, recorder.hook("next")]}):
        assert await flow(body)() == "the result"
    assert recorder.order == ["next"]


def test_a_list_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match=r"flow_hooks has no event 'on_success'\. Expected one of on_running, on_retry"
    ):
        Runtime(flow_hooks={"on_success": []})


def test_what_is_no_hook_is_refused_as_in_a_decorator() -> None:
    with pytest.raises(TypeError, match="Expected callables in 'on_end'; got str instead"):
        Runtime(task_hooks={"on_end": ["notify"]})  # type: ignore[list-item]
    with pytest.raises(TypeError, match="Expected iterable for 'on_end'; got function instead"):
        Runtime(task_hooks={"on_end": body})  # type: ignore[dict-item]
