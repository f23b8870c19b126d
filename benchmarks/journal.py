"""What history on disk costs, in microseconds, beside the same in memory: until the last row is committed.

A sequential async task run without hooks, the same with one CPU-bound sync body alive, a flow run with its final state
committed, and a flow run with one hook. Each is in a loop, a Runtime and a home of its own, warmed up before the clock
runs; memory and file take turns, so that a slow moment of the machine meets both. Shown are medians, and the median
ratio with the lowest and the highest.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from time import perf_counter

from measuring.loops import LOOPS, run_on
from measuring.turns import ratio, take_turns

from actwright import Runtime, flow, run_flow, task
from actwright.journal.sql_journal import SqlJournal
from actwright.nodes.journal import close_journals
from actwright.settings import get_current_settings

ROUNDS = 9
RUNS = 300


@task
async def nothing() -> None: ...


@flow
async def empty() -> None: ...


def told(subject: object, run: object, state: object) -> None: ...


@flow(on_completion=[told])
async def hooked() -> None: ...


@flow
async def awaited_tasks(times: int) -> None:
    for _ in range(times):
        await nothing()


@flow
def spins(stop: threading.Event) -> None:
    """A sync body that only computes."""
    while not stop.is_set():
        sum(range(1_000))


async def task_runs(times: int) -> None:
    await run_flow(awaited_tasks, times)


async def flow_runs(times: int) -> None:
    for _ in range(times):
        await run_flow(empty)


async def hooked_flow_runs(times: int) -> None:
    for _ in range(times):
        await run_flow(hooked)


KINDS: dict[str, tuple[Callable[[int], Awaitable[None]], bool]] = {
    "async task run, awaited": (task_runs, False),
    "the same beside a busy thread": (task_runs, True),
    "flow run": (flow_runs, False),
    "flow run with one sync hook": (hooked_flow_runs, False),
}


async def seconds_each(repeat: Callable[[int], Awaitable[None]], is_beside_a_busy_thread: bool) -> float:
    async with Runtime() as runtime:
        await repeat(RUNS // 10)
        stop = threading.Event()
        if is_beside_a_busy_thread:
            runtime.submit(spins, stop)
        began = perf_counter()
        await repeat(RUNS)
        if isinstance(runtime.journal, SqlJournal):
            runtime.journal.flush()
        taken = perf_counter() - began
        stop.set()
    return taken / RUNS


def microseconds(loop: str, journal: str, repeat: Callable[[int], Awaitable[None]], busy: bool) -> float:
    """In a home of its own, which is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="actwright-benchmark-"))
    os.environ |= {"ACTWRIGHT_HOME": str(home), "ACTWRIGHT_JOURNAL": journal, "ACTWRIGHT_UNDERSTUDY": "false"}
    get_current_settings.cache_clear()
    try:
        return run_on(loop, seconds_each, repeat, busy) * 1e6
    finally:
        close_journals()
        shutil.rmtree(home)


def main() -> None:
    print(f"microseconds per run: medians of {ROUNDS} rounds of {RUNS}, Python {sys.version.split()[0]}")
    print(f"{'':32}{'':8}{'file':>8}{'memory':>8}   ratio (lowest-highest)")
    for kind, (repeat, busy) in KINDS.items():
        for loop in LOOPS:
            places = {where: partial(microseconds, loop, where, repeat, busy) for where in ("sqlite", "memory")}
            taken = take_turns(places, ROUNDS)
            file, memory = (statistics.median(taken[where]) for where in ("sqlite", "memory"))
            found = ratio(taken["sqlite"], taken["memory"])
            spread = f"{found.median:.2f}x ({found.lowest:.2f}-{found.highest:.2f})"
            print(f"{kind:32}{loop:8}{file:8.0f}{memory:8.0f}   {spread}", flush=True)


if __name__ == "__main__":
    main()
