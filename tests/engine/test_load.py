"""`runtime.load()`: what a Runtime has to do, and what it has done."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.engine.watched import open_runtime, until

from actwright import flow, run_flow, task

pytestmark = pytest.mark.anyio


async def test_open_runs_are_counted_with_what_they_call_until_they_have_ended() -> None:
    let_go = anyio.Event()

    @task
    async def waits() -> None:
        await let_go.wait()

    @flow
    async def calls() -> None:
        await waits()

    async with open_runtime() as runtime:
        handle = runtime.submit(calls)
        await until(lambda: runtime.load().open_runs == 2)
        let_go.set()
        await handle
        assert (runtime.load().open_runs, runtime.load().ended_runs) == (
            0,
            {("flow", "COMPLETED"): 1, ("task", "COMPLETED"): 1},
        )


async def test_hooks_are_due_until_they_are_done_and_then_counted_by_how_they_ended() -> None:
    let_go = anyio.Event()

    async def waits(*_: Any) -> None:
        await let_go.wait()

    async def fails(*_: Any) -> None:
        raise ValueError("no channel")

    @flow(on_completion=[waits, fails])
    async def ends() -> None: ...

    async with open_runtime() as runtime:
        handle = runtime.submit(ends)
        await until(lambda: runtime.load().due_hooks == 2)
        let_go.set()
        await handle
        await until(lambda: runtime.load().due_hooks == 0)
        assert runtime.load().ended_hooks == {("on_completion", "SUCCEEDED"): 1, ("on_completion", "FAILED"): 1}


async def test_what_is_called_in_sync_code_on_its_loop_is_counted_too_although_it_lives_on_another() -> None:
    @task
    def inner() -> None: ...

    @flow
    async def outer() -> None:
        inner()

    async with open_runtime() as runtime:
        await run_flow(outer)
        assert runtime.load().ended_runs == {("flow", "COMPLETED"): 1, ("task", "COMPLETED"): 1}
        assert runtime.load().open_runs == 0


async def test_those_of_one_runtime_are_not_anothers() -> None:
    @flow
    async def empty() -> None: ...

    async with open_runtime() as runtime:
        await runtime.submit(empty)
    async with open_runtime() as another:
        assert another.load().ended_runs == {}
    assert runtime.load().ended_runs == {("flow", "COMPLETED"): 1}
