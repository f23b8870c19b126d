"""Prefect 3: flows and tasks against its own local server, which keeps them in SQLite. The argument is its home.

SQLite has a write-ahead log and synchronous=NORMAL there (prefect/server/database/configurations.py), as Actwright's
history has.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing

import prefect_settings  # before Prefect, which reads them when it is imported
from answering import Round, answer, timed
from prefect import flow, task
from prefect.futures import wait
from prefect.runtime import flow_run

PATIENCE_SECONDS = 120.0


@task
async def nothing() -> None: ...


@task
def nothing_in_sync_code() -> None: ...


@task
async def nothing_of(number: int) -> None: ...


is_second_attempt = itertools.cycle([False, True])


# Without a delay, which is the default: https://docs.prefect.io/v3/how-to-guides/workflows/retries
@task(retries=1)
async def fails_once() -> None:
    if not next(is_second_attempt):
        raise RuntimeError("not yet")


async def told(subject: object, run: object, state: object) -> None: ...


@task(on_completion=[told])
async def hooked_task() -> None: ...


@flow
async def awaited_tasks(count: int) -> str:
    for _ in range(count):
        await nothing()
    return str(flow_run.id)


# What the documentation has for async tasks at once: https://docs.prefect.io/v3/how-to-guides/workflows/run-work-concurrently
@flow
async def gathered_tasks(count: int) -> str:
    await asyncio.gather(*(nothing() for _ in range(count)))
    return str(flow_run.id)


@flow
async def submitted_tasks(count: int) -> str:
    wait([nothing.submit() for _ in range(count)])
    return str(flow_run.id)


@flow
async def mapped_tasks(count: int) -> str:
    wait(nothing_of.map(range(count)))
    return str(flow_run.id)


@flow
def called_tasks(count: int) -> str:
    for _ in range(count):
        nothing_in_sync_code()
    return str(flow_run.id)


@flow
async def retried_tasks(count: int) -> str:
    for _ in range(count):
        await fails_once()
    return str(flow_run.id)


@flow
async def hooked_tasks(count: int) -> str:
    for _ in range(count):
        await hooked_task()
    return str(flow_run.id)


@flow
async def empty() -> None: ...


@flow(on_completion=[told])
async def hooked() -> None: ...


@flow
async def subflows(count: int) -> None:
    for _ in range(count):
        await empty()


async def called_tasks_in_a_thread(count: int) -> str:
    return await asyncio.to_thread(called_tasks, count)


async def flow_runs(count: int) -> None:
    for _ in range(count):
        await empty()


async def flow_runs_at_once(count: int) -> None:
    await asyncio.gather(*(empty() for _ in range(count)))


async def hooked_flow_runs(count: int) -> None:
    for _ in range(count):
        await hooked()


TASKS: dict[str, Callable[[int], Awaitable[str]]] = {
    "awaited": awaited_tasks,
    "gathered": gathered_tasks,
    "submitted": submitted_tasks,
    "mapped": mapped_tasks,
    "called": called_tasks_in_a_thread,
    "awaited, with a hook": hooked_tasks,
    "retried": retried_tasks,
}
FLOWS: dict[str, Callable[[int], Awaitable[None]]] = {
    "flows": flow_runs,
    "flows at once": flow_runs_at_once,
    "flows with a hook": hooked_flow_runs,
    "subflows": subflows,
}
STATES = {"retried": 3}
"""Work -> how many states a run of its tasks has from its first Running on, Retrying among them; 2 of all others."""


def until_recorded(work: Callable[[int], Awaitable[str]], states: int) -> Round:
    """A round of tasks, settled when the server has committed so many states of each: that it ran, ran again if it
    failed once, and completed.

    The client tells it by events, and goes on before they are even sent. States of flows are requests, which it answers
    when they are committed: a round of these is settled when it returns.
    """
    expected: list[tuple[str, int]] = []

    async def repeat(count: int) -> None:
        expected.append((await work(count), count))

    async def settle() -> None:
        flow_run_id, count = expected.pop()
        deadline = time.monotonic() + PATIENCE_SECONDS
        with closing(sqlite3.connect(f"file:{prefect_settings.HOME / 'prefect.db'}?mode=ro", uri=True)) as history:
            while recorded_states(history, flow_run_id) < states * count:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the server has not recorded all tasks within {PATIENCE_SECONDS:.0f} s")
                await asyncio.sleep(0.02)

    return timed(repeat, settle)


def recorded_states(history: sqlite3.Connection, flow_run_id: str) -> int:
    # Retrying is of the type RUNNING, too. Its API could tell, too, but only to who keeps it from its work by asking.
    found = history.execute(
        "SELECT count(*) FROM task_run_state JOIN task_run ON task_run.id = task_run_state.task_run_id"
        " WHERE flow_run_id = ? AND task_run_state.type IN ('RUNNING', 'COMPLETED')",
        (flow_run_id,),
    )
    return int(found.fetchone()[0])


def rounds() -> Iterator[tuple[str, Round]]:
    for name, work in TASKS.items():
        yield name, until_recorded(work, STATES.get(name, 2))
    for name, flows in FLOWS.items():
        yield name, timed(flows)


async def main() -> None:
    await empty()  # the first flow starts the server
    await answer(dict(rounds()))


if __name__ == "__main__":
    asyncio.run(main())
