"""What a run costs, in microseconds, beside a bare `tg.start_soon` in the same loop: on asyncio, uvloop and trio.

Inside an open Runtime, history in memory, no hooks, logging at its default. Rounds of each kind take turns, so that a
slow moment of the machine meets all of them; shown is the median over the rounds.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from actwright import Runtime, flow, run_flow, task

ROUNDS = 9
RUNS = 200

BACKENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}


@task
async def nothing() -> None: ...


@task
def nothing_in_a_thread() -> None: ...


@flow
async def empty() -> None: ...


async def bare_start_soon() -> None:
    """The floor: start a task that does nothing, and wait until it is done."""
    for _ in range(RUNS):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.lowlevel.checkpoint)


@flow
async def awaited_tasks() -> None:
    for _ in range(RUNS):
        await nothing()


@flow
async def submitted_tasks() -> None:
    for handle in [nothing.submit() for _ in range(RUNS)]:
        await handle


@flow
async def submitted_sync_tasks() -> None:
    for handle in [nothing_in_a_thread.submit() for _ in range(RUNS)]:
        await handle


async def flow_runs() -> None:
    for _ in range(RUNS):
        await run_flow(empty)


KINDS: dict[str, Callable[[], Awaitable[None]]] = {
    "bare tg.start_soon": bare_start_soon,
    "async task run, awaited": awaited_tasks,
    "async task run, submitted": submitted_tasks,
    "sync task run, submitted": submitted_sync_tasks,
    "flow run": flow_runs,
}


async def measure() -> dict[str, float]:
    """Median microseconds per run, by kind."""
    samples: dict[str, list[float]] = {kind: [] for kind in KINDS}
    async with Runtime():
        for _ in range(ROUNDS + 1):
            for kind, round_of in KINDS.items():
                began = time.perf_counter()
                await round_of()
                samples[kind].append((time.perf_counter() - began) / RUNS * 1e6)
    return {kind: statistics.median(values[1:]) for kind, values in samples.items()}  # the first one warms up


def main() -> None:
    print(f"microseconds per run: medians of {ROUNDS} rounds of {RUNS}, Python {sys.version.split()[0]}")
    print(f"{'':28}" + "".join(f"{name:>18}" for name in BACKENDS))
    results = {
        name: anyio.run(measure, backend=backend, backend_options=options)
        for name, (backend, options) in BACKENDS.items()
    }
    for kind in KINDS:
        row = [(found[kind], found[kind] / found["bare tg.start_soon"]) for found in results.values()]
        print(f"{kind:28}" + "".join(f"{us:10.0f} ({ratio:4.1f}x)" for us, ratio in row))


if __name__ == "__main__":
    main()
