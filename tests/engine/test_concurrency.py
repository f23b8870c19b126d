"""`concurrency`: blocks of code of which so many are entered at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint
from tests.engine.gate import Gate
from tests.engine.slots import Inside, held, is_waiting, nothing_is_left, slot_rows, waiting
from tests.engine.watched import open_runtime, until

from actwright import concurrency, flow, hook, run_flow, task
from actwright.exceptions import CancelledRun, SlotTimeout, WouldDeadlock
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


@flow
async def holds(gate: Gate) -> None:
    async with concurrency("db", limit=1):
        await gate.astop_here()


@flow
def holds_in_a_thread(gate: Gate) -> None:
    with concurrency("db", limit=1):
        gate.stop_here()


holders = pytest.mark.parametrize("holder", [holds, holds_in_a_thread], ids=["async", "sync"])


async def test_at_most_the_limit_is_inside_and_all_get_their_turn() -> None:
    inside = Inside()

    @task
    async def works() -> None:
        async with concurrency("db", limit=3):
            with inside.it():
                await checkpoint()

    @task
    def works_in_a_thread() -> None:
        with concurrency("db", limit=3), inside.it():
            pass

    @flow
    async def crowd() -> None:
        for run in [which.submit() for _ in range(20) for which in (works, works_in_a_thread)]:
            await run

    async with open_runtime():
        await crowd()
        assert (inside.most <= 3, inside.entered, inside.now) == (True, 40, 0)
        await nothing_is_left()


@holders
async def test_a_second_one_waits_until_the_first_has_left(holder: Any) -> None:
    first, second = Gate(), Gate()
    async with open_runtime() as runtime:
        one = runtime.submit(holder, first)
        await first.reached()
        two = runtime.submit(holder, second)
        await until(is_waiting())
        assert not second.is_reached
        first.open()
        await second.reached()
        assert len(held()) == 1
        second.open()
        await one
        await two


@holders
async def test_a_block_that_raises_is_left(holder: Any) -> None:
    @flow
    async def fails() -> None:
        async with concurrency("db", limit=1):
            raise ValueError("the database is gone")

    gate = Gate()
    gate.open()
    async with open_runtime():
        assert (await fails(return_state=True)).is_failed()
        await run_flow(holder, gate)


@holders
async def test_one_that_is_cancelled_while_it_waits_leaves_nothing_in_the_way(holder: Any) -> None:
    first, second, third = Gate(), Gate(), Gate()
    async with open_runtime() as runtime:
        one = runtime.submit(holder, first)
        await first.reached()
        two = runtime.submit(holder, second)
        await until(is_waiting())
        three = runtime.submit(holder, third)
        await until(is_waiting(2))
        await two.cancel()
        with pytest.raises(CancelledRun):
            await two
        await until(is_waiting())
        first.open()
        await third.reached()
        third.open()
        await one
        await three
        assert not second.is_reached
        await nothing_is_left()


@holders
async def test_one_that_is_cancelled_inside_leaves_the_block(holder: Any) -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        one = runtime.submit(holder, gate)
        await gate.reached()
        cancelling = one.cancel()
        gate.open()  # a thread stands in C, where it hears of nothing
        await cancelling
        with pytest.raises(CancelledRun):
            await one
        await nothing_is_left()


class _CancelAt:
    """Awaits something, and cancels it as it stops for the n-th time."""

    def __init__(self, awaitable: Any, stop: int, scope: anyio.CancelScope) -> None:
        self._steps = awaitable.__await__()
        self._left = stop
        self._scope = scope

    def __await__(self) -> Generator[Any, Any, Any]:
        send = self._steps.send
        value: Any = None
        while True:
            try:
                asked = send(value)
            except StopIteration as done:
                return done.value
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()
            try:
                value, send = (yield asked), self._steps.send
            except BaseException as error:
                value, send = error, self._steps.throw


@pytest.mark.parametrize("is_taken", [False, True], ids=["free", "taken"])
async def test_a_cancel_at_any_await_of_the_entry_leaves_nothing(is_taken: bool) -> None:
    timeout = 0.05 if is_taken else None  # so that it comes to the last await, too
    async with open_runtime(), anyio.create_task_group() as tasks:
        if is_taken:
            gate = Gate()
            tasks.start_soon(lambda: run_flow(holds, gate))
            await gate.reached()
        stop, was_cancelled = 0, True
        while was_cancelled:
            stop += 1
            with anyio.CancelScope() as scope:
                try:
                    await _CancelAt(concurrency("db", limit=1, timeout_seconds=timeout).__aenter__(), stop, scope)
                except SlotTimeout:
                    assert is_taken
            was_cancelled = scope.cancelled_caught
            if was_cancelled:
                await until(lambda: len(slot_rows()) == is_taken)
        assert stop > (3 if is_taken else 1)
        tasks.cancel_scope.cancel()


# Time


@holders
async def test_a_timeout_by_the_clock_of_the_runtime_names_the_holders(holder: Any) -> None:
    clock, gate = ManualClock(), Gate()

    @flow
    async def hurries() -> None:
        async with concurrency("db", limit=1, timeout_seconds=60):
            pass

    @flow
    def hurries_in_a_thread() -> None:
        with concurrency("db", limit=1, timeout_seconds=60):
            pass

    async with open_runtime(clock=clock) as runtime:
        one = runtime.submit(holder, gate)
        await gate.reached()
        for hurried in (hurries, hurries_in_a_thread):
            two = runtime.submit(hurried)  # pyright: ignore[reportArgumentType]
            await until(is_waiting())
            await anyio.wait_all_tasks_blocked()  # its timer comes from a thread
            clock.advance(59)
            await anyio.wait_all_tasks_blocked()
            assert waiting()
            clock.advance(1)
            with pytest.raises(SlotTimeout) as caught:
                await two
            (title,) = held()
            assert str(caught.value) == (f"concurrency('db', limit=1): no slot came within 60 s: held by {title}.")
            assert caught.value.holders == (title,)
            assert title.startswith("Flow run ")
            assert isinstance(caught.value, TimeoutError)
        gate.open()
        await one


async def test_a_timeout_of_nothing_takes_what_is_free_and_waits_for_nobody() -> None:
    async with open_runtime(), concurrency("db", limit=1, timeout_seconds=0):
        gate = Gate()

        def tries() -> None:
            with pytest.raises(SlotTimeout, match=rf"held by process {os.getpid()}\."):
                concurrency("db", limit=1, timeout_seconds=0).__enter__()

        thread = threading.Thread(target=tries)  # which is inside of no block
        thread.start()
        await anyio.to_thread.run_sync(thread.join)
        assert not gate.is_reached


# Where it stands


def test_sync_code_outside_of_runs_waits_in_its_thread() -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with concurrency("db", limit=1):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=other)
    thread.start()
    entered.wait()
    with pytest.raises(SlotTimeout):
        concurrency("db", limit=1, timeout_seconds=0.01).__enter__()
    leave.set()
    with concurrency("db", limit=1):
        thread.join()


async def test_sync_code_is_not_let_block_an_event_loop() -> None:
    with pytest.raises(WouldDeadlock, match=r"`with concurrency\('db', limit=1\)` in async code would block"):
        concurrency("db", limit=1).__enter__()


async def test_hooks_have_blocks_of_their_own() -> None:
    entered: list[str] = []

    async def waits(flow: Any, run: Any, state: Any) -> None:
        async with concurrency("db", limit=1):
            entered.append("async")

    def waits_in_a_thread(flow: Any, run: Any, state: Any) -> None:
        with concurrency("db", limit=1):
            entered.extend(held())

    @flow(on_completion=[hook(waits), hook(waits_in_a_thread)], flow_run_name="nightly")
    async def hooked() -> None: ...

    gate = Gate()
    async with open_runtime() as runtime:
        one = runtime.submit(holds, gate)
        await gate.reached()
        two = runtime.submit(hooked)
        await until(is_waiting())
        assert entered == []
        gate.open()
        await one
        await two
        assert entered == ["async", "hook 'waits_in_a_thread' of Flow run 'nightly'"]


async def test_a_thread_that_waits_gives_its_place_in_the_pool_back() -> None:
    @flow
    def passes_by() -> str:
        return "passed"

    first, second = Gate(), Gate()
    async with open_runtime(worker_threads=1) as runtime:
        one = runtime.submit(holds, first)
        await first.reached()
        two = runtime.submit(holds_in_a_thread, second)
        await until(is_waiting())
        assert await run_flow(passes_by) == "passed"
        first.open()
        second.open()
        await one
        await two


async def test_with_a_journal_in_memory_it_holds_within_the_process() -> None:
    inside = Inside()

    @task
    async def works() -> None:
        async with concurrency("db", limit=2):
            with inside.it():
                await checkpoint()

    @flow
    async def crowd() -> None:
        for run in [works.submit() for _ in range(10)]:
            await run

    async with open_runtime(journal="memory"):
        await crowd()
        assert (inside.most, inside.entered) == (2, 10)


# Nesting


async def test_what_is_called_inside_of_a_block_takes_over_its_slot() -> None:
    @task
    def inner_in_a_thread() -> int:
        with concurrency("db", limit=1), concurrency("db", limit=1):
            return len(held())

    @task
    async def inner() -> int:
        async with concurrency("db", limit=1):
            return await anyio.to_thread.run_sync(inner_in_a_thread) + await inner_in_a_thread.submit()

    @flow
    async def outer() -> int:
        async with concurrency("db", limit=1):
            return await inner()

    @flow
    def outer_in_a_thread() -> int:
        with concurrency("db", limit=1):
            return inner_in_a_thread()

    async with open_runtime():
        assert await outer() == 4 + 4
        assert await run_flow(outer_in_a_thread) == 3
        await nothing_is_left()


async def test_of_those_that_are_called_at_once_inside_of_a_block_one_has_its_slot() -> None:
    inside = Inside()

    @task
    async def inner() -> None:
        async with concurrency("db", limit=1):
            with inside.it():
                await checkpoint()

    @flow
    async def outer() -> None:
        async with concurrency("db", limit=1):
            for run in [inner.submit() for _ in range(5)]:
                await run

    async with open_runtime():
        await outer()
        assert (inside.most, inside.entered) == (1, 5)


async def test_an_inner_block_that_wants_more_than_the_outer_one_is_refused() -> None:
    async with open_runtime(), concurrency("db", limit=2):
        with pytest.raises(WouldDeadlock, match="asks for 2 slots of 'db', inside of a block that holds 1"):
            await concurrency("db", limit=2, occupy=2).__aenter__()


# Arguments


async def test_several_names_are_had_at_once() -> None:
    first, second = Gate(), Gate()

    @flow
    async def both() -> None:
        async with concurrency({"db": 1, "api": 5}, occupy=1):
            await second.astop_here()

    async with open_runtime() as runtime:
        one = runtime.submit(holds, first)
        await first.reached()
        two = runtime.submit(both)
        await until(is_waiting(2))
        first.open()
        await second.reached()
        assert sorted(row.name for row in slot_rows() if row.is_held) == ["api", "db"]
        second.open()
        await one
        await two


async def test_each_of_two_callers_is_let_in_by_the_limit_that_it_gives() -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        one = runtime.submit(holds, gate)
        await gate.reached()
        async with concurrency("db", limit=2, timeout_seconds=0):
            pass
        with pytest.raises(SlotTimeout):
            await concurrency("db", limit=1, timeout_seconds=0).__aenter__()
        gate.open()
        await one


async def test_a_block_object_is_for_one_block_at_a_time() -> None:
    block = concurrency("db", limit=2)
    async with open_runtime():
        async with block:
            with pytest.raises(RuntimeError, match="was entered, and not left"):
                await block.__aenter__()
        async with block:
            pass


Refused = list[tuple[Any, dict[str, Any], str]]


@pytest.mark.parametrize(
    ("names", "options", "message"),
    Refused(
        [
            ("db", {}, r"concurrency\('db'\) needs a limit, as in concurrency\('db', limit=3\)"),
            ("db", {"limit": 0}, "must be an integer of at least 1; got 0"),
            ("db", {"limit": True}, "must be an integer of at least 1; got True"),
            ("db", {"limit": 2, "occupy": 3}, "occupy=3 is more than the 2 slots of 'db'"),
            ("db", {"limit": 2, "occupy": 0}, "occupy must be an integer of at least 1"),
            ("db", {"limit": 2, "timeout_seconds": -1}, "timeout_seconds must be a number of at least 0"),
            ([], {"limit": 2}, "takes at least one name"),
            ("", {"limit": 2}, "names of 1 to 255 printable characters"),
            ([7], {"limit": 2}, "names that are strings; got 7"),
            (7, {"limit": 2}, "takes a name, several, or name -> limit; got 7"),
            ({"db": 1}, {"limit": 2}, "a limit for each name, or limit=, not both"),
        ]
    ),
)
def test_what_cannot_be_is_refused_before_anything_is_asked_for(
    names: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        concurrency(names, **options)
