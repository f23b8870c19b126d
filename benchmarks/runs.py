"""What a run costs, in microseconds, beside a bare `tg.start_soon` in the same loop: on asyncio, uvloop and trio.

Inside an open Runtime, history in memory, no hooks, logging at its default. Rounds of each kind take turns, so that a
slow moment of the machine meets all of them; each is in a loop and a Runtime of its own, warmed up before the clock
runs. Shown is the median over the rounds.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
from measuring.loops import LOOPS, run_on, seconds_each
from measuring.turns import take_turns

from actwright import Runtime, flow, run_flow, task

ROUNDS = 9
RUNS = 200


@task
async def nothing() -> None: ...


@task
def nothing_in_a_thread() -> None: ...


@flow
async def empty() -> None: ...


async def bare_start_soon(times: int) -> None:
    """The floor: start a task that does nothing, and wait until it is done."""
    for _ in range(times):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.lowlevel.checkpoint)


@flow
async def awaited_tasks(times: int) -> None:
    for _ in range(times):
        await nothing()


@flow
async def submitted_tasks(times: int) -> None:
    for handle in [nothing.submit() for _ in range(times)]:
        await handle


@flow
async def submitted_sync_tasks(times: int) -> None:
    for handle in [nothing_in_a_thread.submit() for _ in range(times)]:
        await handle


async def flow_runs(times: int) -> None:
    for _ in range(times):
        await run_flow(empty)


KINDS: dict[str, Callable[[int], Awaitable[None]]] = {
    "bare tg.start_soon": bare_start_soon,
    "async task run, awaited": awaited_tasks,
    "async task run, submitted": submitted_tasks,
    "sync task run, submitted": submitted_sync_tasks,
    "flow run": flow_runs,
}


async def seconds_per_run(repeat: Callable[[int], Awaitable[None]]) -> float:
    async with Runtime(journal="memory"):
        return await seconds_each(repeat, RUNS)


def measure(loop: str) -> dict[str, float]:
    """Median microseconds per run, by kind."""
    taken = take_turns({kind: partial(run_on, loop, seconds_per_run, repeat) for kind, repeat in KINDS.items()}, ROUNDS)
    return {kind: statistics.median(samples) * 1e6 for kind, samples in taken.items()}


def main() -> None:
    print(f"microseconds per run: medians of {ROUNDS} rounds of {RUNS}, Python {sys.version.split()[0]}")
    print(f"{'':28}" + "".join(f"{loop:>18}" for loop in LOOPS))
    results = [measure(loop) for loop in LOOPS]
    for kind in KINDS:
        row = [(found[kind], found[kind] / found["bare tg.start_soon"]) for found in results]
        print(f"{kind:28}" + "".join(f"{us:10.0f} ({ratio:4.1f}x)" for us, ratio in row))


if __name__ == "__main__":
    main()
