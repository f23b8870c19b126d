"""`actwright demo`: four flows, the hooks of each, and what the journal says of them.

The flows and the hook stand here as any program would have them. What is shown is what happened: the states are the
journal's, and a hook is marked as run only if the hook itself noted that it was called for that very delivery.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio

from actwright import Flow, FlowRun, Runtime, State, Task, TaskRun, flow, run_flow, runtime, task, wait
from actwright.authoring.hooks import HOOK_EVENTS
from actwright.control.playbill import draw_act, draw_end, draw_title
from actwright_actors.backends import backend_options

if TYPE_CHECKING:
    from rich.console import Console

    from actwright_actors.backends import BackendName

__all__ = [
    "ACTS",
    "cancelled",
    "crashed",
    "failed",
    "fetch",
    "fit",
    "load",
    "nightly",
    "note",
    "parse",
    "play",
    "render",
    "report",
    "retried",
    "run_demo",
    "train",
]

_noted: set[UUID] = set()


def note(subject: Flow[..., Any] | Task[..., Any], run: FlowRun | TaskRun, state: State[Any]) -> None:
    """The hook, for every list of every flow and task here: a plain function, so it is called in a thread."""
    if runtime.hook.delivery_id is not None:
        _noted.add(runtime.hook.delivery_id)


@task(retries=2, retry_delay_seconds=[0.2, 0.4])
async def fetch() -> str:
    if runtime.task_run.run_count < 3:
        raise ConnectionError("the warehouse does not answer")
    return "rows"


@flow
async def nightly() -> str:
    return await fetch()


@task
def parse(row: str) -> int:
    return int(row)


@flow(retries=1, retry_delay_seconds=0.3)
def load() -> int:
    return parse("seven")


@task
async def render(started: anyio.Event) -> None:
    started.set()
    await anyio.sleep_forever()


@flow
async def report(started: anyio.Event) -> None:
    await render(started)


@task
async def fit() -> None:
    raise SystemExit("out of memory")


@flow
async def train() -> None:
    await fit()


# To see them all. A program names those that it wants: `@flow(on_failure=[note])`.
for runnable in (nightly, fetch, load, parse, report, render, train, fit):
    for event in HOOK_EVENTS:
        getattr(runnable, event)(note)


async def retried(opened: Runtime) -> None:
    """A task fails twice; its third attempt succeeds."""
    await run_flow(nightly)


async def failed(opened: Runtime) -> None:
    """A task fails, and its flow with it; the flow is tried once more."""
    await run_flow(load, return_state=True)


async def cancelled(opened: Runtime) -> None:
    """A run is cancelled: its task is stopped, and then it ends."""
    started = anyio.Event()
    handle = opened.submit(report, started)
    await started.wait()
    await anyio.sleep(0.3)
    await handle.cancel("nobody needs the report any more")
    await wait([handle])


async def crashed(opened: Runtime) -> None:
    """A task exits the process: it crashes, and its flow with it."""
    await run_flow(train, return_state=True)


ACTS: tuple[Callable[[Runtime], Awaitable[None]], ...] = (retried, failed, cancelled, crashed)


async def play(console: Console) -> bool:
    """Run the acts, draw each when it is over, and tell whether all went as promised."""
    began = time.perf_counter()
    async with Runtime() as opened:
        for number, act in enumerate(ACTS, start=1):
            before = {run.id for run in opened.journal.runs()}
            await act(opened)
            runs = [run for run in opened.journal.runs() if run.id not in before]
            draw_act(console, f"{number}  {act.__doc__}", runs, opened.journal, _noted)
    return draw_end(console, opened.journal, _noted, time.perf_counter() - began)


def run_demo(console: Console, backend: BackendName) -> bool:
    """Run the demo on a back end, drawn on `console`; whether every hook that was due ran, and each kind did."""
    draw_title(console, backend)
    name, options = backend_options(backend)
    _noted.clear()
    with _quiet_logs():
        return anyio.run(partial(play, console), backend=name, backend_options=options)


@contextmanager
def _quiet_logs() -> Generator[None]:
    """Keep off the screen what Python shows of a log that nobody has configured: the drawing tells it all."""
    logger, handler = logging.getLogger("actwright"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
