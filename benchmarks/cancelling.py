"""How soon a cancel takes hold, and how long a large one takes: on asyncio, uvloop and trio, with history in a file.

A single cancel is timed from `handle.cancel()` until Cancelling is committed, one after another, each of another run,
while a thousand runs are alive. A large one is that of a flow with a thousand running async tasks, timed until the flow
is final and with it all that it started. From another process, each cancel is an `actwright runs cancel` of its own,
timed until the first hook runs that follows from Cancelling being committed: once from the command's start, most of
which is Python's and its imports, and once from the moment in which it has its request.

Each trial is in a loop, a Runtime and a home of its own. Beside the time that passed stands that which this process
worked: on a machine with other things to do, the two are far apart.
"""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Literal
from uuid import UUID

import anyio
from measuring.loops import LOOPS, run_on

from actwright import Flow, FlowRun, Handle, Runtime, Task, flow, hook, task, wait
from actwright.journal.sql_journal import SqlJournal
from actwright.nodes.journal import close_journals
from actwright.settings import get_current_settings

ALIVE = 1_000
CANCELLED = 200  # of those that are alive, one after another
TASKS = 1_000
COMMANDS = 20
TRIALS = 3


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


@dataclass(frozen=True)
class Sample:
    """Seconds that passed, and seconds of processor time."""

    wall: float
    work: float


class Stopwatch:
    def __init__(self) -> None:
        self._began = perf_counter(), process_time()

    def taken(self) -> Sample:
        return Sample(perf_counter() - self._began[0], process_time() - self._began[1])


async def cancel_one_after_another() -> list[Sample]:
    """Until Cancelling is committed, of each cancel."""
    crowd, taken = Crowd(ALIVE), list[Sample]()
    sleeps = flow(crowd.sleep, name="sleeps")
    async with Runtime(on_exit="cancel") as runtime:
        handles = [runtime.submit(sleeps) for _ in range(ALIVE)]
        await crowd.all_began.wait()
        if isinstance(runtime.journal, SqlJournal):
            runtime.journal.flush()  # the rows of so many starts are not a cancel's to wait for
        for handle in handles[:: ALIVE // CANCELLED]:
            watch = Stopwatch()
            await handle.cancel()
            taken.append(watch.taken())
    return taken


async def cancel_many_at_once(*hooks: Callable[..., object]) -> list[Sample]:
    """Until a flow is final whose tasks all run."""
    crowd = Crowd(TASKS)
    sleeps = task(crowd.sleep, name="sleeps", on_cancellation=hooks)
    async with Runtime() as runtime:
        handle = runtime.submit(starting(sleeps))
        await crowd.all_began.wait()
        watch = Stopwatch()
        await handle.cancel()
        await wait([handle])
        return [watch.taken()]


def starting(sleeps: Task[[], object]) -> Flow[[], object]:
    @flow
    async def starts() -> None:
        handles: list[Handle[object]] = [sleeps.submit() for _ in range(TASKS)]
        await wait(handles)

    return starts


async def cancel_from_another_process(since: Literal["start", "request"]) -> list[Sample]:
    """Until Cancelling is committed, of each command."""
    crowd, heard = Crowd(COMMANDS), dict[UUID, float]()

    def hear(subject: object, run: FlowRun, state: object) -> None:
        heard[run.id] = time.time()

    sleeps = flow(crowd.sleep, name="sleeps", on_cancellation=[hook(hear, at_once=True)])
    taken: list[Sample] = []
    async with Runtime(on_exit="cancel") as runtime:
        handles = [runtime.submit(sleeps) for _ in range(COMMANDS)]
        await crowd.all_began.wait()
        for handle in handles:
            began, work = time.time(), process_time()
            await anyio.run_process([sys.executable, "-m", "actwright", "runs", "cancel", str(handle.id)])
            await wait([handle])
            if since == "request":
                began = _asked_at(handle.id)
            taken.append(Sample(heard[handle.id] - began, process_time() - work))
    return taken


def _asked_at(run_id: UUID) -> float:
    with closing(sqlite3.connect(get_current_settings().database)) as journal:
        (at,) = journal.execute("SELECT at FROM commands WHERE run_id = ?", [str(run_id)]).fetchone()
    return datetime.fromisoformat(at).timestamp()


@dataclass(frozen=True)
class Measure:
    """What is measured in one trial, and the most seconds that may pass in the worst one."""

    name: str
    trial: Callable[[], Awaitable[list[Sample]]]
    budget: float


MEASURES = [
    Measure(f"one of {ALIVE:,} runs, until Cancelling is committed", cancel_one_after_another, 0.005),
    Measure(f"a flow with {TASKS:,} running tasks, until it is final", cancel_many_at_once, 2.0),
    Measure("the same, a hook for each task", partial(cancel_many_at_once, told), 2.0),
    Measure("by a command, from its request", partial(cancel_from_another_process, "request"), 0.2),
    Measure("by a command, from its start", partial(cancel_from_another_process, "start"), 0.2),
]


def in_a_home_of_its_own(loop: str, trial: Callable[[], Awaitable[list[Sample]]]) -> list[Sample]:
    home = Path(tempfile.mkdtemp(prefix="actwright-benchmark-"))
    os.environ |= {"ACTWRIGHT_HOME": str(home), "ACTWRIGHT_UNDERSTUDY": "false"}
    get_current_settings.cache_clear()
    gc.collect()
    try:
        return run_on(loop, trial)
    finally:
        close_journals()
        shutil.rmtree(home)


def main() -> None:
    print(
        f"seconds: medians, and the worst of {TRIALS} trials after one that warms up; Python {sys.version.split()[0]}"
    )
    print(f"{'':52}{'':8}{'worked':>10}{'passed':>10}{'worst':>10}{'at most':>10}")
    for measure in MEASURES:
        for loop in LOOPS:
            trials = [in_a_home_of_its_own(loop, measure.trial) for _ in range(1 + TRIALS)][1:]
            samples = [sample for trial in trials for sample in trial]
            worked = statistics.median(sample.work for sample in samples)
            passed, worst = (of(sample.wall for sample in samples) for of in (statistics.median, max))
            verdict = "" if worst <= measure.budget else "  over its budget"
            figures = f"{worked:10.2g}{passed:10.2g}{worst:10.2g}{measure.budget:10g}"
            print(f"{measure.name:52}{loop:8}{figures}{verdict}", flush=True)


if __name__ == "__main__":
    main()
