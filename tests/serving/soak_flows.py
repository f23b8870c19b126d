"""What a service under siege serves."""

from __future__ import annotations

import os
from typing import Any

import anyio

from actwright import Flow, FlowRun, State, concurrency, flow, runtime, task

__all__ = ["work"]


def note(subject: Flow[..., Any], run: FlowRun, state: State[Any]) -> None:
    """A hook: which delivery it is, and of which transition, in one line that is written at once."""
    line = f"{runtime.hook.delivery_id} {state.id}\n".encode()
    descriptor = os.open(os.environ["TOLD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line)
    os.close(descriptor)


@task
async def part(seconds: float) -> None:
    await anyio.sleep(seconds)


@flow(
    crash_retries=3,
    retries=1,
    on_running=[note],
    on_retry=[note],
    on_completion=[note],
    on_failure=[note],
    on_cancellation=[note],
    on_crashed=[note],
    on_end=[note],
)
async def work(number: int, seconds: float) -> None:
    if number % 5 == 0:
        async with concurrency("soak", limit=3):
            await part(seconds)
    await part(seconds)
    if number % 7 == 0:
        raise ConnectionError("no answer")
