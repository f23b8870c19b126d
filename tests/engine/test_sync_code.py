"""Where sync and async bodies run, what they see of their caller, and what holds an event loop up."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from tests.engine.scripts import EACH_BACKEND
from tests.engine.watched import open_runtime

from actwright import Flow, State, flow, run_flow, runtime, task
from actwright.engine import entry
from actwright.exceptions import WouldDeadlock
from actwright_actors.backends import backend_options, current_backend_name

COLOUR = ContextVar("COLOUR", default="none")


class Place:
    """Where a piece of code ran."""

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.backend = current_backend_name()


@task
def sync_task() -> Place:
    return Place()


@task
async def async_task() -> Place:
    return Place()


# A plain script: `background_backend` is what its actors live on


def test_a_flow_called_in_a_script_runs_its_body_in_the_calling_thread(background_backend: str) -> None:
    @flow
    def work() -> tuple[Place, Place]:
        return Place(), sync_task()

    body, part = work()
    assert body.thread is part.thread is threading.current_thread()
    assert body.backend is part.backend is None


def test_in_a_script_async_code_runs_on_the_background_loop_and_sync_hooks_in_threads(background_backend: str) -> None:
    places: list[Place] = []

    async def on_loop(*_: object) -> None:
        places.append(Place())

    def in_thread(*_: object) -> None:
        places.append(Place())

    @flow(on_completion=[on_loop, in_thread])
    def work() -> tuple[Place, Place]:
        return async_task.submit().result(), sync_task.submit().result()

    on_the_loop, in_a_worker = work()
    async_hook, sync_hook = places
    assert on_the_loop.backend == async_hook.backend == background_backend
    assert on_the_loop.thread is async_hook.thread is not threading.current_thread()
    assert in_a_worker.backend is sync_hook.backend is None
    assert in_a_worker.thread.name.startswith("actwright-worker")
    assert sync_hook.thread.name.startswith("actwright-hook")


def test_a_script_may_call_flows_in_threads_of_its_own(background_backend: str) -> None:
    @flow
    def work() -> Place:
        return sync_task()

    places: list[Place] = []
    threads = [threading.Thread(target=lambda: places.append(work())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {place.thread for place in places} == set(threads)


def test_what_a_body_raises_reaches_the_script(background_backend: str) -> None:
    error = ValueError("oops")

    @flow
    def work() -> None:
        raise error

    with pytest.raises(ValueError, match="oops") as caught:
        work()
    assert caught.value is error
    state = work(return_state=True)
    assert (state.name, state.cause) == ("Failed", error)


# A Runtime


@pytest.mark.anyio
async def test_in_a_runtime_a_sync_body_runs_in_a_worker_thread_and_the_task_that_it_calls_runs_there_too() -> None:
    @flow
    def work() -> tuple[Place, Place, Place, Place]:
        return Place(), sync_task(), sync_task.submit().result(), async_task.submit().result()

    async with open_runtime():
        body, called, submitted, on_loop = await run_flow(work)
    assert body.thread is called.thread
    assert body.thread.name.startswith("actwright-worker")
    assert body.backend is called.backend is submitted.backend is None
    assert submitted.thread not in (body.thread, threading.current_thread())
    assert on_loop.thread is threading.current_thread()
    assert on_loop.backend == current_backend_name()


@pytest.mark.anyio
@pytest.mark.parametrize("in_a_runtime", [True, False])
async def test_a_sync_flow_called_in_async_code_lives_on_a_background_loop_of_the_same_back_end(
    in_a_runtime: bool,
) -> None:
    hooks: list[Place] = []

    async def note(*_: object) -> None:
        hooks.append(Place())

    @flow(on_running=[note], on_completion=[note])
    def work() -> tuple[Place, Place, Place]:
        return Place(), sync_task(), async_task.submit().result()

    if in_a_runtime:
        async with open_runtime():
            body, called, on_loop = work()
    else:
        body, called, on_loop = work()
    here = threading.current_thread()
    assert body.thread is called.thread is here
    assert {place.thread for place in (*hooks, on_loop)}.isdisjoint({here})
    assert {place.backend for place in (*hooks, on_loop)} == {current_backend_name()}
    assert len(hooks) == 2


@pytest.mark.anyio
async def test_a_sync_task_called_in_an_async_flow_is_a_child_of_its_run() -> None:
    @task
    def part() -> tuple[object, object]:
        return runtime.task_run.parent_flow_run_id, runtime.flow_run.id

    @flow
    async def work() -> tuple[object, object]:
        return part()

    async with open_runtime() as opened:
        handle = opened.submit(work)
        parent, around = await handle
    assert parent == around == handle.id


@pytest.mark.anyio
async def test_the_runtimes_hooks_fire_for_a_sync_flow_that_is_called_in_async_code() -> None:
    seen: list[str] = []

    def note(flow: Flow[..., Any], flow_run: Any, state: State[Any]) -> None:
        seen.append(state.name)

    @flow
    def work() -> None: ...

    async with open_runtime(flow_hooks={"on_running": [note], "on_completion": [note]}) as runtime:
        work()
        assert [run.state.name for run in runtime.journal.runs()] == ["Completed"]
    assert seen == ["Running", "Completed"]


@flow
def sleeps(seconds: float) -> None:
    time.sleep(seconds)


@pytest.mark.anyio
async def test_a_sync_flow_that_holds_the_loop_is_warned_of_once_by_the_line_that_calls_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "_warned_lines", set[tuple[str, int]]())  # the same line, on each back end
    monkeypatch.setattr(entry, "_BLOCKED_LOOP_SECONDS", 0.5)  # on a busy machine nothing at all may take 0.1 s

    async def call(seconds: float) -> None:
        sleeps(seconds)  # the line

    line = call.__code__.co_firstlineno + 1
    async with open_runtime():
        with caplog.at_level(logging.WARNING, "actwright.engine"):
            await call(0)
            assert caplog.messages == []
            await call(0.51)
            await call(0.51)
    [message] = caplog.messages
    assert message.startswith(f"{__file__}:{line} calls the sync flow 'sleeps' in async code")
    assert "`await run_flow(sleeps, ...)`" in message


@pytest.mark.anyio
async def test_a_sync_flow_that_is_awaited_holds_no_loop_and_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    async with open_runtime():
        await run_flow(sleeps, 0.11)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_sync_flow_in_a_script_holds_no_loop_and_is_not_warned_of(
    background_backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    sleeps(0.11)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# Waiting on a loop's own thread


@pytest.mark.anyio
async def test_to_block_on_the_loops_own_thread_is_an_error_that_says_to_await() -> None:
    @task
    async def waits() -> None:
        await go.wait()

    @flow
    async def work() -> list[str]:
        handle = waits.submit()
        messages: list[str] = []
        for block in (handle.result, handle.wait, lambda: waits.map([]).result() or handle.result(timeout=5)):
            with pytest.raises(WouldDeadlock) as caught:
                block()
            messages.append(str(caught.value))
        go.set()
        await handle
        assert handle.result() is None
        assert handle.wait()
        return messages

    go = anyio.Event()
    async with open_runtime():
        for message in await work():
            assert "await handle" in message


@pytest.mark.anyio
async def test_sync_code_that_holds_a_loop_cannot_wait_for_a_run_on_it() -> None:
    @task
    async def waits() -> None:
        await go.wait()

    go = anyio.Event()
    async with open_runtime():

        @flow
        async def work() -> str:
            handle = waits.submit()

            @flow
            def inner() -> str:
                with pytest.raises(WouldDeadlock) as caught:
                    handle.result()
                own = async_task.submit().result(timeout=10)  # one of its own lives on another loop
                assert own.thread is not threading.current_thread()
                return str(caught.value)

            message = inner()
            go.set()
            await handle
            return message

        assert "needs this thread's event loop" in await work()


# Context variables


@task
def sees_and_sets(colour: str) -> str:
    seen = COLOUR.get()
    COLOUR.set(colour)
    return seen


@task
async def sees_and_sets_async(colour: str) -> str:
    seen = COLOUR.get()
    COLOUR.set(colour)
    return seen


@flow
def leaks() -> list[str]:
    COLOUR.set("the flow's")
    first = [sees_and_sets("leak"), sees_and_sets.submit("leak").result()]
    second = [sees_and_sets("leak"), sees_and_sets_async.submit("leak").result()]
    return [*first, *second, COLOUR.get()]


def test_in_a_script_a_body_sees_its_callers_context_and_nothing_leaks_from_it(background_backend: str) -> None:
    COLOUR.set("the script's")
    assert sees_and_sets("leak") == "the script's"
    assert leaks() == ["the flow's"] * 5
    assert COLOUR.get() == "the script's"


@pytest.mark.anyio
async def test_in_a_runtime_a_body_sees_its_callers_context_and_nothing_leaks_from_it() -> None:
    hooks: list[str] = []

    def note(*_: object) -> None:
        hooks.append(COLOUR.get())

    async def note_async(*_: object) -> None:
        hooks.append(COLOUR.get())
        COLOUR.set("leak")

    work = leaks.with_options(on_running=[note, note_async], on_completion=[note_async, note])
    COLOUR.set("the caller's")
    async with open_runtime() as runtime:
        assert await run_flow(work) == ["the flow's"] * 5
        assert await runtime.submit(work) == ["the flow's"] * 5
        assert work() == ["the flow's"] * 5
        assert COLOUR.get() == "the caller's"
    assert hooks == ["the caller's"] * 12


@pytest.mark.anyio
async def test_runs_side_by_side_do_not_see_each_others_context() -> None:
    @flow
    async def work(colour: str) -> list[str]:
        COLOUR.set(colour)
        await sees_and_sets_async("leak")
        handles = [sees_and_sets_async.submit("leak"), sees_and_sets.submit("leak")]
        return [COLOUR.get(), *[await handle for handle in handles]]

    async with open_runtime() as runtime:
        handles = {colour: runtime.submit(work, colour) for colour in ("red", "green", "blue")}
        for colour, handle in handles.items():
            assert await handle == [colour] * 3


# Loops inside of sync bodies


async def calls_from_within() -> tuple[str | None, str | None]:
    called, submitted = await async_task(), await async_task.submit()
    return called.backend, submitted.backend


@pytest.mark.anyio
@pytest.mark.parametrize("inner", EACH_BACKEND)
async def test_a_sync_body_in_a_worker_thread_may_run_a_loop_of_its_own(inner: Any) -> None:
    @flow
    def work() -> tuple[str | None, str | None]:
        name, options = backend_options(inner)
        return anyio.run(calls_from_within, backend=name, backend_options=options)

    async with open_runtime():
        called, submitted = await run_flow(work)
    assert called == inner  # on the loop that awaits it
    assert submitted == current_backend_name()  # in the Runtime, as all that its flow submits


@pytest.mark.anyio
async def test_a_sync_body_in_a_worker_thread_may_use_asyncio_run() -> None:
    @flow
    def work() -> tuple[str | None, str | None]:
        return asyncio.run(calls_from_within())

    async with open_runtime():
        called, submitted = await run_flow(work)
    assert (called, submitted) == ("asyncio", current_backend_name())


@pytest.mark.parametrize("inner", EACH_BACKEND)
def test_a_sync_body_of_a_script_may_run_a_loop_of_its_own(background_backend: str, inner: Any) -> None:
    @flow
    def work() -> tuple[str | None, str | None]:
        name, options = backend_options(inner)
        return anyio.run(calls_from_within, backend=name, backend_options=options)

    assert work() == (inner, background_backend)


@pytest.mark.anyio
async def test_a_sync_hook_may_run_a_loop_of_its_own() -> None:
    seen: list[str | None] = []

    def note(*_: object) -> None:
        seen.append(asyncio.run(async_task()).backend)
        seen.append(anyio.run(async_task, backend="trio").backend)

    @flow(on_completion=[note])
    async def work() -> None: ...

    async with open_runtime():
        await work()
    assert seen == ["asyncio", "trio"]
