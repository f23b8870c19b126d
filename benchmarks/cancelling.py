"""How soon a cancel takes hold, and how long a large one takes: on asyncio, uvloop and trio, with history in a file.

A single cancel is timed from `handle.cancel()` until Cancelling is committed, one after another, each of another run,
while a thousand runs are alive. A large one is that of a flow with a thousand running async tasks, timed until the flow
is final and with it all that it started. From another process, each cancel is an `actwright runs cancel` of its own,
timed until the first hook runs that follows from Cancelling being committed: once from the command's start, most of
which is Python's and its imports, and once from the moment in which it has its request.

Beside the time that passed stands that which this process worked: on a machine with other things to do, the two are far
apart. A budget is for the worst.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from time import perf_counter, process_time
from typing import Any, Final, NamedTuple
from uuid import UUID

import anyio
from measuring.comparisons import UNITS, beside
from measuring.homes import flush, run_in_a_home
from measuring.loops import LOOPS, run_on
from measuring.table import Row
from measuring.turns import Spread, flat, take_turns

from actwright import Flow, FlowRun, Handle, Runtime, Task, flow, hook, run_flow, task, wait
from actwright.settings import get_current_settings


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each thing is measured, and how much of it."""

    turns: int = 3
    warm_up: int = 1
    alive: int = 1_000
    cancelled: int = 200
    """Of those that are alive, one after another."""
    tasks: int = 1_000
    commands: int = 10


QUICK: Final = Sizes(turns=1, warm_up=0, alive=20, cancelled=10, tasks=20, commands=1)

PATIENCE_SECONDS: Final = 60.0


Shown = Callable[[float], float]
"""Seconds -> what is shown of them."""


class Crowd:
    """Bodies that do nothing until they are cancelled; `all_began` is set when as many have begun as are expected."""

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self.all_began = anyio.Event()

    async def sleep(self) -> None:
        self._missing -= 1
        if not self._missing:
            self.all_began.set()
        await anyio.sleep_forever()


def told(subject: object, run: object, state: object) -> None:
    """A hook."""


class Sample(NamedTuple):
    """Seconds that passed, and seconds of processor time."""

    wall: float
    work: float


class Stopwatch:
    def __init__(self) -> None:
        self._began = perf_counter(), process_time()

    def taken(self) -> Sample:
        return Sample(perf_counter() - self._began[0], process_time() - self._began[1])


async def cancel_one_after_another(sizes: Sizes) -> list[Sample]:
    """Until Cancelling is committed, of each cancel."""
    crowd, taken = Crowd(sizes.alive), list[Sample]()
    sleeps = flow(crowd.sleep, name="sleeps")
    async with Runtime(on_exit="cancel") as runtime:
        handles = [runtime.submit(sleeps) for _ in range(sizes.alive)]
        await crowd.all_began.wait()
        flush(runtime)  # the rows of so many starts are not a cancel's to wait for
        for handle in handles[:: sizes.alive // sizes.cancelled]:
            watch = Stopwatch()
            await handle.cancel()
            taken.append(watch.taken())
    return taken


async def cancel_bare_tasks(sizes: Sizes) -> list[Sample]:
    """Until a task has unwound, of each: anyio's own cancel scopes, one for each of as many tasks."""
    crowd, taken = Crowd(sizes.alive), list[Sample]()

    async def sleep(scope: anyio.CancelScope, over: anyio.Event) -> None:
        with scope:
            await crowd.sleep()
        over.set()

    async with anyio.create_task_group() as group:
        tasks = [(anyio.CancelScope(), anyio.Event()) for _ in range(sizes.alive)]
        for task_ in tasks:
            group.start_soon(sleep, *task_)
        await crowd.all_began.wait()
        for scope, over in tasks[:: sizes.alive // sizes.cancelled]:
            watch = Stopwatch()
            scope.cancel()
            await over.wait()
            taken.append(watch.taken())
        group.cancel_scope.cancel()
    return taken


async def cancel_many_at_once(hooks: Sequence[Callable[..., object]], sizes: Sizes) -> list[Sample]:
    """Until a flow is final whose tasks all run."""
    crowd = Crowd(sizes.tasks)
    sleeps = task(crowd.sleep, name="sleeps", on_cancellation=hooks)
    async with Runtime() as runtime:
        handle = runtime.submit(starting(sleeps, sizes.tasks))
        await crowd.all_began.wait()
        watch = Stopwatch()
        await handle.cancel()
        await wait([handle])
        return [watch.taken()]


def starting(sleeps: Task[[], object], times: int) -> Flow[[], object]:
    @flow
    async def starts() -> None:
        handles: list[Handle[object]] = [sleeps.submit() for _ in range(times)]
        await wait(handles)

    return starts


async def cancel_a_bare_group(sizes: Sizes) -> list[Sample]:
    """Until a task group is left whose tasks all slept."""
    crowd = Crowd(sizes.tasks)
    async with anyio.create_task_group() as group:
        for _ in range(sizes.tasks):
            group.start_soon(crowd.sleep)
        await crowd.all_began.wait()
        watch = Stopwatch()
        group.cancel_scope.cancel()
    return [watch.taken()]


class Commanded(NamedTuple):
    """Until Cancelling is committed: from the request, and from the start of the command that made it."""

    from_request: Sample
    from_start: Sample


async def cancel_from_another_process(sizes: Sizes) -> list[Commanded]:
    """Of each command."""
    crowd, heard = Crowd(sizes.alive), dict[UUID, float]()

    def hear(subject: object, run: FlowRun, state: object) -> None:
        heard[run.id] = time.time()

    sleeps = flow(crowd.sleep, name="sleeps", on_cancellation=[hook(hear, at_once=True)])
    taken: list[Commanded] = []
    async with Runtime(on_exit="cancel") as runtime:
        await run_flow(flow(nothing, on_completion=[told]))  # what only the first hook loads
        handles = [runtime.submit(sleeps) for _ in range(sizes.alive)]
        await crowd.all_began.wait()
        flush(runtime)
        for handle in handles[:: sizes.alive // sizes.commands]:
            began, work = time.time(), process_time()
            with anyio.fail_after(PATIENCE_SECONDS):
                await anyio.run_process([sys.executable, "-m", "actwright", "runs", "cancel", str(handle.id)])
                await wait([handle])
            worked, at = process_time() - work, heard[handle.id]
            taken.append(Commanded(Sample(at - _asked_at(handle.id), worked), Sample(at - began, worked)))
    return taken


async def nothing() -> None: ...


def _asked_at(run_id: UUID) -> float:
    with closing(sqlite3.connect(get_current_settings().database)) as journal:
        (at,) = journal.execute("SELECT at FROM commands WHERE run_id = ?", [str(run_id)]).fetchone()
    return datetime.fromisoformat(at).timestamp()


async def start_bare_pythons(sizes: Sizes) -> list[Sample]:
    """Until a Python that does nothing has ended, of each."""
    taken: list[Sample] = []
    for _ in range(sizes.commands):
        watch = Stopwatch()
        await anyio.run_process([sys.executable, "-c", "pass"])
        taken.append(watch.taken())
    return taken


@dataclass(frozen=True, slots=True)
class Measure:
    """What one trial measures, beside what bare anyio does of it, and the most seconds that the worst may take."""

    name: str
    trial: Callable[[Sizes], Awaitable[list[Sample]]]
    against: str
    floor: Callable[[Sizes], Awaitable[list[Sample]]]
    budget: float
    unit: str = "s"


def trials_here(sizes: Sizes) -> Iterator[Measure]:
    group = "a task group that is cancelled, until it is left"
    yield Measure(
        f"one of {sizes.alive:,} runs, until Cancelling is committed", cancel_one_after_another,
        "a cancel scope, until its task has unwound", cancel_bare_tasks, 0.005, "ms",
    )  # fmt: skip
    many = f"a flow with {sizes.tasks:,} running tasks, until it is final"
    yield Measure(many, partial(cancel_many_at_once, ()), group, cancel_a_bare_group, 2.0)
    yield Measure(f"{many}, a hook for each", partial(cancel_many_at_once, (told,)), group, cancel_a_bare_group, 2.0)


def rows_here(measure: Measure, sizes: Sizes) -> Iterator[Row]:
    for loop in LOOPS:
        contestants = {
            "ours": partial(run_in_a_home, loop, measure.trial, sizes),
            "bare": partial(run_on, loop, measure.floor, sizes),
        }
        taken = take_turns(contestants, sizes.turns, warm_up=sizes.warm_up)
        shown = UNITS[measure.unit]
        row = partial(
            Row, measure.name, loop, measure.unit, against=measure.against, budget=shown(measure.budget),
            judged_by="highest",
        )  # fmt: skip
        yield with_work(beside(row, *(walls(taken[name], shown) for name in contestants)), taken["ours"], shown)


def rows_of_commands(sizes: Sizes) -> Iterator[Row]:
    """What it waits for from its request is the journal's next look for requests, of which there is no bare kind."""
    for loop in LOOPS:
        contestants: dict[str, Callable[[], list[Any]]] = {
            "ours": partial(run_in_a_home, loop, cancel_from_another_process, sizes),
            "bare": partial(run_on, loop, start_bare_pythons, sizes),
        }
        taken = take_turns(contestants, sizes.turns, warm_up=0)
        asked = [[each.from_request for each in turn] for turn in taken["ours"]]
        started = [[each.from_start for each in turn] for turn in taken["ours"]]
        row = partial(Row, loop=loop, unit="s", budget=0.2, judged_by="highest")
        request = row(
            "a cancel by a command, from its request until it is committed", figure=Spread.of(flat(walls(asked)))
        )
        start = partial(
            row,
            "a cancel by a command, from its start until it is committed",
            against="a bare Python, from start to exit",
        )
        yield with_work(request, asked)
        yield with_work(beside(start, walls(started), walls(taken["bare"])), started)


def walls(turns: Sequence[Sequence[Sample]], shown: Shown = UNITS["s"]) -> list[list[float]]:
    return [[shown(sample.wall) for sample in turn] for turn in turns]


def with_work(row: Row, turns: Sequence[Sequence[Sample]], shown: Shown = UNITS["s"]) -> Row:
    """The row, with a note of how much of that this process worked."""
    worked = shown(statistics.median(sample.work for sample in flat(turns)))
    return replace(row, note="; ".join(filter(None, [f"worked {worked:.2g}", row.note])))


def measures(sizes: Sizes) -> Iterator[Iterable[Row]]:
    for measure in trials_here(sizes):
        yield rows_here(measure, sizes)
    # By measure, and not by loop: both are of the same trials.
    yield sorted(rows_of_commands(sizes), key=lambda row: row.measure)
