"""Sync code that waits for sync code, in every way that could run out of threads. As a program: `nesting.py NAME`."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import anyio

from actwright import Flow, flow, run_flow, task

__all__ = ["CASES"]


@task
def descend(depth: int) -> int:
    return 1 if depth == 1 else 1 + descend.submit(depth - 1).result()


@flow
def submits_five_deep() -> int:
    return descend.submit(5).result()


@task
def square(number: int) -> int:
    return number * number


@flow
def maps() -> list[int]:
    return square.map(range(8)).result()


@flow
async def calls_a_sync_task() -> list[int]:
    return [square(3), await square.submit(4)]


@flow
def calls_tasks_and_flows() -> list[int]:
    return [square(3), submits_five_deep(), *maps()]


ran: list[int] = []
"""The depths at which hooks ran: the deepest is done first."""


def hook_at(depth: int, *_: object) -> None:
    if depth < 3:
        with_hook(depth + 1)()
    ran.append(depth)


def with_hook(depth: int) -> Flow[[], None]:
    """A flow with a sync hook that calls the next such flow."""

    @flow(on_completion=[partial(hook_at, depth)])
    def hooked() -> None: ...

    return hooked


@flow
def hooks_call_flows() -> list[int]:
    ran.clear()
    with_hook(1)()
    return list(ran)


@flow
def is_async_inside() -> int:
    """A sync body that opens an event loop of its own, and calls a sync task in it."""

    async def inside() -> int:
        return square(5) + await square.submit(1)

    return anyio.run(inside)


CASES: dict[str, tuple[Flow[[], Any], object]] = {
    "sync tasks nested five deep through submit": (submits_five_deep, 5),
    "sync hooks that call flows with sync hooks, three deep": (hooks_call_flows, [3, 2, 1]),
    "a sync task called in an async flow": (calls_a_sync_task, [9, 16]),
    "a sync flow that maps sync tasks": (maps, [n * n for n in range(8)]),
    "a sync flow that calls sync tasks and flows": (calls_tasks_and_flows, [9, 5, *(n * n for n in range(8))]),
    "a sync body with a loop of its own": (is_async_inside, 26),
}
"""What it is -> a flow, and what it returns."""


def main(name: str) -> None:
    """Run one case as a script does."""
    subject, expected = CASES[name]
    result = anyio.run(run_flow, subject) if subject.isasync else subject()
    assert result == expected


if __name__ == "__main__":
    main(sys.argv[1])
    print("it ended")
