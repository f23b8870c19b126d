"""Runs brought to where they stand still: at each point of a run's life before its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from tests.engine.gate import Gate
from tests.engine.recorder import Recorder
from tests.engine.watched import at_rest

from actwright import Handle, Runtime, flow, task

__all__ = ["BEFORE_THE_END", "Phase", "name_of"]

Phase = Callable[[Runtime, Recorder, Gate], Awaitable[Handle[Any]]]
"""Starts a run that notes its hooks, and gives its handle once it stands still; the gate lets it go on."""


def name_of(function: Callable[..., object]) -> str:
    """For `ids=` of a parametrized test."""
    return function.__name__


async def while_an_on_running_hook_runs(runtime: Runtime, recorder: Recorder, gate: Gate) -> Handle[Any]:
    async def slow(*_: object) -> None:
        recorder.mark("on_running")
        await gate.astop_here()

    async def body() -> None:
        recorder.mark("body")

    handle = runtime.submit(flow(body, **recorder.all_hooks()).with_options(on_running=[slow]))
    await gate.reached()
    return handle


async def while_the_body_runs(runtime: Runtime, recorder: Recorder, gate: Gate) -> Handle[Any]:
    async def body() -> None:
        await gate.astop_here()
        recorder.mark("body went on")

    handle = runtime.submit(flow(body, **recorder.all_hooks()))
    await gate.reached()
    return handle


async def while_a_sync_body_waits_for_a_task(runtime: Runtime, recorder: Recorder, gate: Gate) -> Handle[Any]:
    child = task(gate.astop_here, name="child")

    def body() -> None:
        child.submit().result()
        recorder.mark("body went on")

    handle = runtime.submit(flow(body, **recorder.all_hooks()))
    await gate.reached()
    return handle


async def while_children_run_after_the_body_returned(runtime: Runtime, recorder: Recorder, gate: Gate) -> Handle[Any]:
    child = task(gate.astop_here, name="child")

    async def body() -> None:
        child.submit()

    handle = runtime.submit(flow(body, **recorder.all_hooks()))
    await gate.reached()
    await at_rest()
    return handle


async def while_it_is_decided_whether_to_retry(runtime: Runtime, recorder: Recorder, gate: Gate) -> Handle[Any]:
    def condition(*_: object) -> bool:
        gate.stop_here()
        return True

    handle = runtime.submit(flow(fail, retries=1, retry_condition_fn=condition, **recorder.all_hooks()))
    await gate.reached()
    return handle


async def in_the_delay_before_a_retry(runtime: Runtime, recorder: Recorder, _: Gate) -> Handle[Any]:
    entered = anyio.Event()

    async def waits(*_: object) -> None:
        entered.set()

    failing = flow(fail, retries=1, retry_delay_seconds=1_000, **recorder.all_hooks())
    handle = runtime.submit(failing.with_options(on_retry=[waits]))
    await entered.wait()
    await at_rest()
    assert handle.state.name == "AwaitingRetry"
    return handle


async def while_an_on_retry_hook_runs(runtime: Runtime, recorder: Recorder, gate: Gate) -> Handle[Any]:
    async def slow(*_: object) -> None:
        await gate.astop_here()

    handle = runtime.submit(flow(fail, retries=1, **recorder.all_hooks()).with_options(on_retry=[slow]))
    await gate.reached()
    return handle


async def fail() -> None:
    raise ValueError("boom")


BEFORE_THE_END: list[Phase] = [
    while_an_on_running_hook_runs,
    while_the_body_runs,
    while_a_sync_body_waits_for_a_task,
    while_children_run_after_the_body_returned,
    while_it_is_decided_whether_to_retry,
    in_the_delay_before_a_retry,
    while_an_on_retry_hook_runs,
]
