"""Following a run by its events."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import Any

import anyio
import anyio.to_thread
import pytest
from tests.engine.gate import Gate
from tests.engine.watched import at_rest, open_runtime

from actwright import Handle, flow, task
from actwright.journal.database import Database
from actwright.journal.memory import MemoryJournal
from actwright.journal.pruning import prune
from actwright.models.events import RunEvent
from actwright.settings import get_current_settings

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("journal", [None, "memory"], ids=["file", "memory"])]


def names(events: list[RunEvent]) -> list[str]:
    return [event.state.name for event in events]


def fails_once() -> Any:
    attempts: list[int] = []

    async def body() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("once")

    return flow(body, name="fails_once", retries=1)


async def test_events_are_the_states_from_the_first_to_the_final_one_in_order(journal: Any) -> None:
    async with open_runtime(journal=journal) as runtime:
        handle: Handle[Any] = runtime.submit(fails_once())
        events = [event async for event in handle.events()]
        assert names(events) == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]
        assert [event.run_count for event in events] == [0, 1, 1, 2, 2]
        assert {event.run_id for event in events} == {handle.id}
        seqs = [event.seq for event in events]
        assert seqs == sorted(set(seqs))
        assert events[-1].state.id == handle.state.id


async def test_whoever_left_goes_on_after_what_he_saw(journal: Any) -> None:
    gate = Gate()
    async with open_runtime(journal=journal) as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        seen = 0
        async for event in handle.events():
            seen = event.seq
            if event.state.is_running():
                break
        gate.open()
        assert names([event async for event in handle.events(since=seen)]) == ["Completed"]


async def test_there_is_nothing_after_the_end(journal: Any) -> None:
    async with open_runtime(journal=journal) as runtime:
        handle: Handle[Any] = runtime.submit(fails_once())
        last = [event async for event in handle.events()][-1]
        with anyio.fail_after(10):
            assert [event async for event in handle.events(since=last.seq)] == []

        def follow() -> list[RunEvent]:
            return list(handle.events(since=last.seq))

        assert await anyio.to_thread.run_sync(follow) == []


async def test_whoever_follows_a_run_that_is_deleted_meanwhile_comes_to_an_end(journal: Any) -> None:
    if journal == "memory":
        journal = MemoryJournal(keep_runs=1)
    async with open_runtime(journal=journal) as runtime:
        handle: Handle[Any] = runtime.submit(fails_once())
        await handle
        if journal is None:
            await at_rest()
            with closing(Database.open(get_current_settings().database)) as database:
                assert prune(database, handle.state.timestamp + timedelta(seconds=1)).runs == 1
        else:
            await runtime.submit(fails_once())
        with anyio.fail_after(10):
            assert [event async for event in handle.events()] == []


async def test_sync_code_follows_a_run_too(journal: Any) -> None:
    @task
    def inner() -> None: ...

    @flow
    def outer() -> list[str]:
        handle = inner.submit()
        return [event.state.name for event in handle.events()]

    async with open_runtime(journal=journal) as runtime:
        assert await runtime.submit(outer) == ["Pending", "Running", "Completed"]


async def test_who_follows_a_run_may_be_cancelled_and_the_run_goes_on(journal: Any) -> None:
    gate = Gate()
    async with open_runtime(journal=journal) as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        with anyio.move_on_after(0.1):
            async for _ in handle.events():
                pass
        assert not handle.done()
        gate.open()
        await handle


async def test_a_sync_body_that_follows_a_run_is_woken_when_it_is_cancelled_itself(journal: Any) -> None:
    gate, follows = Gate(), Gate()

    @task
    async def endless() -> None:
        await gate.astop_here()

    @flow
    def outer(handle: Handle[Any]) -> None:
        for event in handle.events():
            if event.state.is_running():
                follows.stop_here()

    async with open_runtime(journal=journal) as runtime:
        inner: Handle[Any] = endless.submit()
        outer_run: Handle[Any] = runtime.submit(flow(lambda: outer.fn(inner), name="follows"))
        await follows.reached()
        await outer_run.cancel()
        follows.open()
        with pytest.raises(Exception, match="cancelled"):
            await outer_run
        gate.open()
        await inner
