"""Another process has taken this one's runs over: what goes on here stops, and counts no more."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest
from sqlalchemy import select, update
from tests.engine.gate import Gate
from tests.engine.recorder import Recorder
from tests.engine.watched import open_runtime, until

from actwright import flow, run_flow, task
from actwright.exceptions import Fenced
from actwright.journal.schema import hook_deliveries, nodes, runs
from actwright.nodes.node import open_nodes
from actwright.runtime import no_interrupt

pytestmark = pytest.mark.anyio


def take_over() -> None:
    """As another process does; what it settles is not of interest here."""
    (node,) = open_nodes()
    with node.database.writing() as connection:
        connection.execute(update(nodes).values(epoch=nodes.c.epoch + 1))


def rows(column: Any) -> list[Any]:
    (node,) = open_nodes()
    node.journal.flush()
    with node.database.reading() as connection:
        return list(connection.scalars(select(column)))


async def _empty() -> None: ...


async def test_whoever_waits_for_a_run_hears_of_it_and_no_new_one_begins() -> None:
    gate = Gate()
    async with open_runtime() as opened:
        handle = opened.submit(flow(gate.astop_here))
        await gate.reached()
        take_over()
        for _ in range(2):
            with pytest.raises(Fenced):
                await run_flow(flow(_empty))
        with pytest.raises(Fenced):
            await handle
        with pytest.raises(Fenced):
            opened.submit(flow(_empty))


async def test_bodies_are_cancelled() -> None:
    ended: list[str] = []
    began = Gate()

    async def body() -> None:
        try:
            await began.astop_here()
        finally:
            ended.append("async")

    async with open_runtime() as opened:
        handle = opened.submit(flow(body))
        await began.reached()
        take_over()
        with pytest.raises(Fenced):
            await run_flow(flow(_empty))
        with pytest.raises(Fenced):
            await handle
        await until(lambda: ended == ["async"])


async def test_what_a_sync_body_calls_next_raises() -> None:
    gate, raised = Gate(), list[type[BaseException]]()

    @task
    def another() -> None:
        raise AssertionError("it began")

    def body() -> None:
        with no_interrupt():
            gate.stop_here()
            try:
                another()
            except BaseException as error:
                raised.append(type(error))

    async with open_runtime() as opened:
        handle = opened.submit(flow(body))
        await gate.reached()
        take_over()
        with pytest.raises(Fenced):
            await run_flow(flow(_empty))
        with pytest.raises(Fenced):
            await handle
        gate.open()
        await until(lambda: bool(raised))
    assert issubclass(raised[0], Exception)


async def test_a_stale_commit_is_refused_whole_and_no_hook_of_it_starts(recorder: Recorder) -> None:
    gate = Gate()
    async with open_runtime() as opened:
        handle = opened.submit(flow(gate.astop_here, **recorder.all_hooks()))
        await gate.reached()
        before = rows(runs.c.state_name), rows(hook_deliveries.c.status)
        take_over()
        gate.open()  # the body returns, and its run would be Completed
        with pytest.raises(Fenced):
            await handle
        assert (rows(runs.c.state_name), rows(hook_deliveries.c.status)) == before
    assert recorder.order == ["on_running"]
    assert before == (["Running"], ["SUCCEEDED"])


async def test_hooks_that_are_due_and_have_not_begun_do_not_begin(recorder: Recorder) -> None:
    gate = Gate()

    async def first(subject: Any, run: Any, state: Any) -> None:
        await gate.astop_here()

    async with open_runtime() as opened:
        handle = opened.submit(flow(_empty, on_completion=[first, recorder.hook("second")]))
        await gate.reached()
        take_over()
        with pytest.raises(Fenced):
            await run_flow(flow(_empty))
        gate.open()
        with pytest.raises(Fenced):
            await handle
    assert recorder.order == []


async def test_leaving_a_fenced_runtime_waits_for_nothing(recorder: Recorder) -> None:
    began = Gate()
    async with open_runtime() as opened:
        handle = opened.submit(flow(began.astop_here, on_end=[recorder.hook("end")]))
        await began.reached()
        take_over()
        with pytest.raises(Fenced):
            await run_flow(flow(_empty))
        with pytest.raises(Fenced):
            await handle
        left = time.monotonic()
    assert time.monotonic() - left < 5


async def test_a_call_without_a_runtime_raises_it_too() -> None:
    await run_flow(flow(_empty))
    take_over()
    with pytest.raises(Fenced), anyio.fail_after(20):
        await run_flow(flow(_empty))
    with pytest.raises(Fenced), anyio.fail_after(20):
        await run_flow(flow(_empty))


async def test_a_runtime_in_another_loop_of_the_process_is_fenced_as_well() -> None:
    """A sync flow that is called in async code lives on a background loop, on the same node."""
    gate = Gate()

    @flow
    def inner() -> None: ...

    async with open_runtime() as opened:
        handle = opened.submit(flow(gate.astop_here))
        await gate.reached()
        inner()
        take_over()
        with pytest.raises(Fenced):
            inner()
        with pytest.raises(Fenced):
            await handle
