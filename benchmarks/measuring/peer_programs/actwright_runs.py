"""Actwright's own side: flows and tasks in one open Runtime, on asyncio, with its default settings but for its log.

The first argument is a folder for history. What the settings are, the environment says.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable

from answering import answer, timed

from actwright import Flow, Runtime, flow, run_flow, task
from actwright.journal.sql_journal import SqlJournal


@task
async def nothing() -> None: ...


@task
def nothing_in_a_thread() -> None: ...


@task
async def nothing_of(number: int) -> None: ...


# As in the programs of peers: it takes no time to tell a first attempt from a second one.
is_second_attempt = itertools.cycle([False, True])


@task(retries=1, retry_delay_seconds=0)
async def fails_once() -> None:
    if not next(is_second_attempt):
        raise RuntimeError("not yet")


async def told(subject: object, run: object, state: object) -> None: ...


@task(on_completion=[told])
async def hooked_task() -> None: ...


@flow
async def awaited_tasks(count: int) -> None:
    for _ in range(count):
        await nothing()


@flow
async def gathered_tasks(count: int) -> None:
    await asyncio.gather(*(nothing() for _ in range(count)))


@flow
async def submitted_tasks(count: int) -> None:
    for handle in [nothing.submit() for _ in range(count)]:
        await handle


@flow
async def mapped_tasks(count: int) -> None:
    await nothing_of.map(range(count))


@flow
async def retried_tasks(count: int) -> None:
    for _ in range(count):
        await fails_once()


@flow
def called_tasks(count: int) -> None:
    for _ in range(count):
        nothing_in_a_thread()


@flow
def submitted_sync_tasks(count: int) -> None:
    for handle in [nothing_in_a_thread.submit() for _ in range(count)]:
        handle.result()


@flow
async def hooked_tasks(count: int) -> None:
    for _ in range(count):
        await hooked_task()


@flow
async def empty() -> None: ...


@flow(on_completion=[told])
async def hooked() -> None: ...


@flow
async def subflows(count: int) -> None:
    for _ in range(count):
        await empty()


async def flow_runs(count: int) -> None:
    for _ in range(count):
        await run_flow(empty)


async def flow_runs_at_once(count: int) -> None:
    await asyncio.gather(*(run_flow(empty) for _ in range(count)))


async def hooked_flow_runs(count: int) -> None:
    for _ in range(count):
        await run_flow(hooked)


IN_A_FLOW: dict[str, Flow[[int], None]] = {
    "awaited": awaited_tasks,
    "gathered": gathered_tasks,
    "submitted": submitted_tasks,
    "mapped": mapped_tasks,
    "called": called_tasks,
    "submitted sync": submitted_sync_tasks,
    "awaited, with a hook": hooked_tasks,
    "retried": retried_tasks,
    "subflows": subflows,
}
FLOWS = {"flows": flow_runs, "flows at once": flow_runs_at_once, "flows with a hook": hooked_flow_runs}


def committed(runtime: Runtime) -> Callable[[], Awaitable[None]]:
    """What waits until history is committed, to the last row."""

    async def flush() -> None:
        if isinstance(runtime.journal, SqlJournal):
            await asyncio.to_thread(runtime.journal.flush)

    return flush


async def main() -> None:
    logging.getLogger("actwright").setLevel(logging.CRITICAL)  # as the peers are told, too
    async with Runtime() as runtime:
        settle = committed(runtime)
        inside = {
            name: timed(lambda count, each=each: run_flow(each, count), settle) for name, each in IN_A_FLOW.items()
        }
        await answer(inside | {name: timed(each, settle) for name, each in FLOWS.items()})


if __name__ == "__main__":
    asyncio.run(main())
