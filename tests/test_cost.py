"""What a run costs, counted and not timed: the bytecodes that Python executes for it, against those of a bare task.

A count does not depend on the machine, nor on what else it does; so a bound can be near, and a change that makes each
run dearer by a quarter is seen. Seconds are `benchmarks`' business.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from benchmarks.measuring.bytecodes import Bytecodes

from actwright import Runtime, flow, run_flow, task
from actwright_actors.backends import current_backend_name

RUNS = 20


@task
async def nothing() -> None: ...


@task
async def told(number: int, text: str = "") -> str:
    return f"{number}{text}"


async def tell(subject: object, run: object, state: object) -> None: ...


@task(on_completion=[tell])
async def tells() -> None: ...


@flow
async def empty() -> None: ...


@flow
async def calls(fn: Callable[[], Awaitable[object]], times: int) -> None:
    for _ in range(times):
        await fn()


async def of_each(repeat: Callable[[int], Awaitable[object]]) -> float:
    """Bytecodes of one repetition; `repeat(n)` makes n of them. What the first ones cost that come is left out."""
    await repeat(2)
    with Bytecodes() as few:
        await repeat(2)
    with Bytecodes() as many:
        await repeat(2 + RUNS)
    return (many.count - few.count) / RUNS


async def bare_tasks(times: int) -> None:
    """As a run does: a task that is started, tells of its end, and is waited for."""
    async with anyio.create_task_group() as tasks:
        for _ in range(times):
            done = anyio.Event()

            async def tell(done: anyio.Event = done) -> None:
                done.set()

            tasks.start_soon(tell)
            await done.wait()


async def flows(times: int) -> None:
    for _ in range(times):
        await run_flow(empty)


WORK: dict[str, Callable[[int], Awaitable[object]]] = {
    "a task run": lambda times: run_flow(calls, nothing, times),
    "a task run with two arguments": lambda times: run_flow(calls, lambda: told(1, text="a"), times),
    "a task run with a hook": lambda times: run_flow(calls, tells, times),
    "a flow run": flows,
}

MOST_BARE_TASKS: dict[str, dict[str, float]] = {  # a fifth above what it was when this was written
    "asyncio": {
        "a task run": 7.8, "a task run with two arguments": 8.5, "a task run with a hook": 14.1, "a flow run": 8.4,
    },
    "asyncio+uvloop": {
        "a task run": 10.5, "a task run with two arguments": 11.6, "a task run with a hook": 17.7, "a flow run": 11.3,
    },
    "trio": {
        "a task run": 6.7, "a task run with two arguments": 7.3, "a task run with a hook": 12.8, "a flow run": 7.1,
    },
}  # fmt: skip


@pytest.mark.anyio
async def test_a_run_costs_no_more_than_a_few_bare_tasks() -> None:
    most = MOST_BARE_TASKS[str(current_backend_name())]
    bare = await of_each(bare_tasks)
    async with Runtime(journal="memory"):
        costs = {what: await of_each(repeat) / bare for what, repeat in WORK.items()}
    assert {what: cost for what, cost in costs.items() if not most[what] / 2 < cost <= most[what]} == {}


ROOT = Path(__file__).resolve().parent.parent
BAR = re.compile(r"^  (\S.*?) +([\d,]+)  █+$", re.MULTILINE)


def test_the_picture_of_a_task_run_in_the_docs_is_the_one_that_its_program_draws() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    command = [sys.executable, "-W", "error", "benchmarks/anatomy.py", "--loop", "asyncio"]
    drawn = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=55).stdout
    shown, found = bars(page), bars(drawn)
    assert shown.keys() == found.keys()
    # Timers fire now and then, and other versions of Python and anyio have other bytecodes.
    assert {part: (count, shown[part]) for part, count in found.items() if abs(count - shown[part]) > 500} == {}


def bars(text: str) -> dict[str, int]:
    """Thread and part -> bytecodes."""
    threads = text.split("the journal's thread: ")
    return {
        f"{place} {part}": int(count.replace(",", ""))
        for place, thread in enumerate(threads)
        for part, count in BAR.findall(thread)
    }
