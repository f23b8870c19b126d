"""Which Runtime a call belongs to: by its loop, by its context, by its block; and what several share."""

from __future__ import annotations

import anyio
import pytest
from tests.engine.faults import names
from tests.engine.gate import WATCHDOG_SECONDS, Gate
from tests.engine.watched import at_rest, open_runtime

from actwright import Handle, Runtime, flow, run_flow, wait

pytestmark = pytest.mark.anyio


@flow
async def hello() -> str:
    return "hello"


@flow
def hello_from_a_thread() -> str:
    return "hello"


# Which calls are its own


async def test_calls_inside_the_block_are_its_own() -> None:
    async with open_runtime() as runtime:
        await hello()
        await run_flow(hello_from_a_thread)
        assert len(runtime.journal.runs()) == 2


async def test_a_task_on_its_loop_that_does_not_descend_from_the_block_uses_it() -> None:
    opened = anyio.Event()

    async def request() -> None:
        await opened.wait()
        await hello()

    async with anyio.create_task_group() as group:
        group.start_soon(request)
        async with open_runtime() as runtime:
            opened.set()
            await at_rest()
            assert len(runtime.journal.runs()) == 1


async def test_sync_code_in_a_thread_that_the_block_started_uses_it() -> None:
    async with open_runtime() as runtime:
        assert await anyio.to_thread.run_sync(hello_from_a_thread) == "hello"
        assert len(runtime.journal.runs()) == 1


async def test_what_is_submitted_outlives_the_task_that_asked() -> None:
    gate = Gate()
    waits = flow(gate.astop_here, name="waits")
    async with open_runtime() as runtime:
        handles: list[Handle[None]] = []

        async def request() -> None:
            handles.append(runtime.submit(waits))
            await handles[0]

        async with anyio.create_task_group() as group:
            group.start_soon(request)
            await gate.reached()
            group.cancel_scope.cancel()
        assert handles[0].state.is_running()
        gate.open()
        await handles[0]
        assert names(runtime, handles[0])[-1] == "Completed"


async def test_a_nested_runtime_takes_the_calls_of_its_block_alone() -> None:
    async with open_runtime(journal="memory") as outer:
        async with Runtime(journal="memory") as inner:
            await hello()
            assert (len(outer.journal.runs()), len(inner.journal.runs())) == (0, 1)
        await hello()
        assert (len(outer.journal.runs()), len(inner.journal.runs())) == (1, 1)


async def test_runtimes_of_two_tasks_on_one_loop_may_be_left_in_any_order() -> None:
    first_may_leave, second_is_open, second_may_leave = anyio.Event(), anyio.Event(), anyio.Event()
    first, second = Runtime(journal="memory"), Runtime(journal="memory")

    async def hold(runtime: Runtime, opened: anyio.Event, may_leave: anyio.Event) -> None:
        async with runtime:
            opened.set()
            await may_leave.wait()

    with anyio.fail_after(WATCHDOG_SECONDS):
        async with anyio.create_task_group() as group:
            first_is_open, both_left = anyio.Event(), anyio.Event()
            group.start_soon(hold, first, first_is_open, first_may_leave)
            await first_is_open.wait()
            group.start_soon(hold, second, second_is_open, second_may_leave)
            await second_is_open.wait()
            first_may_leave.set()
            await at_rest()
            await hello()  # in a task that descends from neither
            assert (len(first.journal.runs()), len(second.journal.runs())) == (0, 1)
            second_may_leave.set()
            both_left.set()
        await hello()
    assert (len(first.journal.runs()), len(second.journal.runs())) == (0, 1)


async def test_two_runtimes_at_once_share_nothing() -> None:
    gate = Gate()
    stays = flow(gate.astop_here, name="stays")
    async with open_runtime(journal="memory") as outer:
        handle = outer.submit(stays)
        await gate.reached()
        async with Runtime(on_exit="cancel") as inner:
            ended = inner.submit(flow(anyio.sleep_forever, name="goes"))
            await at_rest()
        assert ended.state.is_cancelled()
        assert handle.state.is_running()
        gate.open()
        await wait([handle])
        assert handle.state.is_completed()
