"""What is counted and measured: few attributes of few values."""

from __future__ import annotations

import anyio
import pytest
from tests.engine.watched import open_runtime
from tests.telemetry.heard import Measured, Spans

from actwright import flow, hook, task
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


async def test_runs_are_counted_by_kind_name_and_final_state(measured: Measured) -> None:
    @task
    async def part(number: int) -> None:
        if number == 2:
            raise ValueError("no")

    @flow
    async def whole() -> None:
        for number in range(3):
            await part(number, return_state=True)

    async with open_runtime():
        await whole()
    of_task = {"actwright.run.kind": "task", "actwright.task.name": "part"}
    counted = {frozenset(attributes.items()): count for attributes, count in measured.points("actwright.runs")}
    assert counted == {
        frozenset((of_task | {"actwright.run.state": "Completed"}).items()): 2,
        frozenset((of_task | {"actwright.run.state": "Failed"}).items()): 1,
        frozenset(
            {
                "actwright.run.kind": "flow", "actwright.flow.name": "whole", "actwright.run.state": "Completed"
            }.items()
        ): 1,
    }  # fmt: skip


async def test_the_time_of_a_run_and_that_of_its_hooks_are_measured_in_seconds_by_the_runtimes_clock(
    measured: Measured,
) -> None:
    clock = ManualClock()

    async def tells(*_: object) -> None:
        clock.advance(5)

    @flow(on_completion=[tells])
    async def works() -> None:
        clock.advance(60)

    async with open_runtime(clock=clock):
        await works()
    attributes = {"actwright.run.kind": "flow", "actwright.flow.name": "works", "actwright.run.state": "Completed"}
    ((of_run, seconds),) = measured.points("actwright.run.duration")
    assert (of_run, round(seconds)) == (attributes, 60)
    ((of_hook, seconds),) = measured.points("actwright.hook.duration")
    assert of_hook == {"actwright.hook.event": "on_completion", "actwright.hook.outcome": "succeeded"}
    assert round(seconds) == 5


async def test_retries_are_counted(measured: Measured) -> None:
    @task(retries=2)
    async def fails() -> None:
        raise ValueError("no")

    @flow
    async def tries() -> None:
        await fails(return_state=True)

    async with open_runtime():
        await tries()
    assert measured.points("actwright.run.retries") == [
        ({"actwright.run.kind": "task", "actwright.task.name": "fails"}, 2)
    ]


async def test_tries_of_hooks_are_counted_by_list_and_outcome(measured: Measured) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no")

    async def hangs(*_: object) -> None:
        await anyio.sleep_forever()

    def succeeds(*_: object) -> None: ...

    @flow(on_end=[hook(fails, retries=1), hook(hangs, timeout_seconds=0.01), succeeds])
    async def works() -> None: ...

    async with open_runtime():
        await works()
    counted = {
        (attributes["actwright.hook.event"], attributes["actwright.hook.outcome"]): count
        for attributes, count in measured.points("actwright.hook.tries")
    }
    assert counted == {("on_end", "failed"): 2, ("on_end", "timed_out"): 1, ("on_end", "succeeded"): 1}


async def test_a_program_may_listen_to_both(measured: Measured, spans: Spans) -> None:
    @flow
    async def works() -> None: ...

    async with open_runtime():
        await works()
    assert [count for _, count in measured.points("actwright.runs")] == [1]
    assert len(spans.all) == 1
