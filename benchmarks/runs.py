"""What a run of a task or a flow costs, in microseconds, beside what bare anyio does of the same in the same loop.

Inside an open Runtime, history in a file, no hooks; the clock stops when the last row is committed. A budget is for the
median.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Final

import anyio
import anyio.to_thread
from measuring import bare_runs
from measuring.comparisons import ON_THE_SAME_LOOP, Comparison, compare, on
from measuring.homes import flush, run_in_a_home, run_in_memory, seconds_in_a_runtime
from measuring.loops import AsyncTimed
from measuring.table import Row
from pydantic import BaseModel

from actwright import Runtime, flow, run_flow, task, wait


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each thing is measured, and how much of it."""

    turns: int = 7
    warm_up: int = 1
    runs: int = 300
    at_once: int = 1_000
    long_turns: int = 5
    """Of what is measured beside a busy thread, and of flows at once."""


QUICK: Final = Sizes(turns=1, warm_up=0, runs=10, at_once=20, long_turns=1)


class Order(BaseModel):
    """A small model."""

    number: int
    customer: str
    lines: list[str] = []


@task
async def nothing() -> None: ...


@task
def nothing_in_a_thread() -> None: ...


@task
async def takes_one(number: int) -> None: ...


@task
async def takes_three(number: int, text: str, order: Order) -> None: ...


@flow
async def empty() -> None: ...


@flow
async def awaited_tasks(times: int) -> None:
    for _ in range(times):
        await nothing()


@flow
async def tasks_with_arguments(times: int) -> None:
    order = Order(number=7, customer="otter", lines=["fish", "more fish"])
    for number in range(times):
        await takes_three(number, "some text", order)


@flow
async def submitted_tasks(times: int) -> None:
    await wait([nothing.submit() for _ in range(times)])


@flow
async def mapped_tasks(times: int) -> None:
    await wait(takes_one.map(range(times)))


@flow
async def submitted_sync_tasks(times: int) -> None:
    await wait([nothing_in_a_thread.submit() for _ in range(times)])


@flow
def called_sync_tasks(times: int) -> None:
    for _ in range(times):
        nothing_in_a_thread()


@flow
async def subflows(times: int) -> None:
    for _ in range(times):
        await empty()


@flow
def spins(began: threading.Event, stop: threading.Event) -> None:
    """A sync body that only computes."""
    began.set()
    while not stop.is_set():
        sum(range(1_000))


async def flow_runs(times: int) -> None:
    for _ in range(times):
        await run_flow(empty)


async def flows_at_once(times: int) -> None:
    async with anyio.create_task_group() as flows:
        for _ in range(times):
            flows.start_soon(run_flow, empty)


def timed(repeat: Callable[[int], Awaitable[object]]) -> AsyncTimed:
    return partial(seconds_in_a_runtime, repeat)


awaited: Final = timed(partial(run_flow, awaited_tasks))


async def awaited_beside_a_busy_thread(count: int) -> float:
    began, stop = threading.Event(), threading.Event()
    async with Runtime() as runtime:
        await run_flow(awaited_tasks, count // 10 or 1)
        runtime.submit(spins, began, stop)
        try:
            await anyio.to_thread.run_sync(began.wait)
            since = perf_counter()
            await run_flow(awaited_tasks, count)
            flush(runtime)
            return (perf_counter() - since) / count
        finally:
            stop.set()


submitted: Final = timed(partial(run_flow, submitted_tasks))
YOUNG_OBJECTS: Final = 10_000


async def with_fewer_collections(count: int) -> float:
    """Garbage is looked for after so many new objects, where Python would after 700. That holds for a whole process."""
    before = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS)
    try:
        seconds = await submitted(count)
        assert isinstance(seconds, float)
        return seconds
    finally:
        gc.set_threshold(*before)


def task_runs(sizes: Sizes) -> Iterator[Comparison]:
    in_turn = partial(
        Comparison, against="tg.start_soon and an event", times=sizes.runs, judged_by="median", runner=run_in_a_home,
        floors=on(ON_THE_SAME_LOOP, bare_runs.start_soon_in_turn),
    )  # fmt: skip
    at_once = partial(
        in_turn, against="all by tg.start_soon, then their events",
        floors=on(ON_THE_SAME_LOOP, bare_runs.start_soon_all_at_once),
    )  # fmt: skip
    yield in_turn(measure="async task run, awaited", subject=awaited, budget=200)
    yield in_turn(measure="async task run, awaited, history in memory", subject=awaited, runner=run_in_memory)
    yield in_turn(
        measure="async task run with an int, a str and a model, awaited",
        subject=timed(partial(run_flow, tasks_with_arguments)),
    )
    yield at_once(measure="async task run, submitted, wait for all", subject=submitted, budget=250)
    yield at_once(measure="async task run, mapped, wait for all", subject=timed(partial(run_flow, mapped_tasks)))
    yield at_once(
        measure="sync task run, submitted in an async flow, wait for all", against="all by to_thread.run_sync",
        subject=timed(partial(run_flow, submitted_sync_tasks)),
        floors=on(ON_THE_SAME_LOOP, bare_runs.threads_all_at_once),
    )  # fmt: skip
    yield in_turn(
        measure="sync task run, called in a sync flow", against="from_thread.run",
        subject=timed(partial(run_flow, called_sync_tasks)),
        floors=on(ON_THE_SAME_LOOP, bare_runs.calls_from_a_thread),
    )  # fmt: skip


def flow_runs_of(sizes: Sizes) -> Iterator[Comparison]:
    one = partial(
        Comparison, against="tg.start_soon and an event", times=sizes.runs, judged_by="median", runner=run_in_a_home,
        floors=on(ON_THE_SAME_LOOP, bare_runs.start_soon_in_turn),
    )  # fmt: skip
    yield one(measure="flow run, awaited by run_flow, final state committed", subject=timed(flow_runs), budget=600)
    yield one(measure="subflow run, awaited in a flow", subject=timed(partial(run_flow, subflows)))


def beside_a_busy_thread(sizes: Sizes) -> Comparison:
    return Comparison(
        measure="async task run, awaited, one sync body computing",
        subject=awaited_beside_a_busy_thread,
        against="the same without that body",
        floors=on(ON_THE_SAME_LOOP, awaited, run_in_a_home),
        times=sizes.runs,
        budget=10.0,
        runner=run_in_a_home,
    )


def seldom_collected(sizes: Sizes) -> Comparison:
    return Comparison(
        measure=f"async task run, submitted, wait for all, gc.set_threshold({YOUNG_OBJECTS:_})",
        subject=with_fewer_collections,
        against="the same as Python has it",
        floors=on(ON_THE_SAME_LOOP, submitted, run_in_a_home),
        times=sizes.at_once,
        runner=run_in_a_home,
    )


def all_at_once(sizes: Sizes) -> Iterator[Row]:
    comparison = Comparison(
        measure=f"{sizes.at_once:,} flow runs at once, each",
        subject=timed(flows_at_once),
        against="all by tg.start_soon, then their events",
        floors=on(ON_THE_SAME_LOOP, bare_runs.start_soon_all_at_once),
        times=sizes.at_once,
        runner=run_in_a_home,
    )
    for row in compare(comparison, sizes.long_turns, warm_up=sizes.warm_up):
        assert row.figure is not None
        yield replace(row, note=f"= {row.figure.median * sizes.at_once / 1e6:.2g} s for all")


def measures(sizes: Sizes) -> Iterator[Iterable[Row]]:
    for comparison in (*task_runs(sizes), *flow_runs_of(sizes)):
        yield compare(comparison, sizes.turns, warm_up=sizes.warm_up)
    yield compare(beside_a_busy_thread(sizes), sizes.long_turns, warm_up=sizes.warm_up)
    yield compare(seldom_collected(sizes), sizes.turns, warm_up=sizes.warm_up)
    yield all_at_once(sizes)
