"""`actwright demo`: five flows, the hooks of each, and what the journal says of them.

The flows and the hook stand here as any program would have them; the last is in a program of its own (`victim`), which
is killed. History is kept in a temporary folder, and gone with it.
What is shown is what happened: the states are the journal's, and a hook is marked as run only if the hook itself noted
that it was called for that very delivery.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
from anyio import to_thread

from actwright import Flow, FlowRun, Runtime, State, Task, TaskRun, flow, run_flow, runtime, task, wait
from actwright.authoring.hooks import HOOK_EVENTS
from actwright.control.killing import PATIENCE_SECONDS, kill_a_program, wait_for_note
from actwright.control.playbill import draw_act, draw_end, draw_title
from actwright.nodes.journal import close_journals
from actwright.settings import get_current_settings
from actwright_actors.backends import backend_options

if TYPE_CHECKING:
    from rich.console import Console

    from actwright.journal.protocol import Journal
    from actwright_actors.backends import BackendName

__all__ = [
    "ACTS",
    "Act",
    "cancelled",
    "crashed",
    "failed",
    "fetch",
    "fit",
    "killed",
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


async def killed(opened: Runtime) -> str:
    """A program is killed with SIGKILL in mid-body; its understudy runs the hook."""
    killing = await to_thread.run_sync(kill_a_program, get_current_settings().home)
    is_recorded = partial(_is_nothing_open, opened.journal)
    noted = await to_thread.run_sync(wait_for_note, killing, is_recorded)
    if noted is None:
        return f"Killed was process {killing.pid}. Its hook did not run within {PATIENCE_SECONDS:.0f} s."
    _noted.add(noted.delivery_id)
    after = (noted.at - killing.at) * 1000
    return f"Killed was process {killing.pid}. The hook started {after:.0f} ms after that, in process {noted.pid}."


def _is_nothing_open(journal: Journal) -> bool:
    return not any(delivery.is_open for delivery in journal.deliveries())


Act = Callable[[Runtime], Awaitable[str | None]]
ACTS: tuple[Act, ...] = (retried, failed, cancelled, crashed, killed)


async def play(console: Console) -> bool:
    """Run the acts, draw each when it is over, and tell whether all went as promised."""
    began = time.perf_counter()
    async with Runtime() as opened:
        for number, act in enumerate(ACTS, start=1):
            before = {run.id for run in opened.journal.runs()}
            remark = await act(opened)
            runs = [run for run in opened.journal.runs() if run.id not in before]
            draw_act(console, f"{number}  {act.__doc__}", runs, opened.journal, _noted, remark)
    return draw_end(console, opened.journal, _noted, time.perf_counter() - began)


def run_demo(console: Console, backend: BackendName) -> bool:
    """Run the demo on a back end, drawn on `console`; whether every hook that was due ran, and each kind did."""
    draw_title(console, backend)
    name, options = backend_options(backend)
    _noted.clear()
    with _quiet_logs(), _home_of_its_own():
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


@contextmanager
def _home_of_its_own() -> Generator[None]:
    """Keep history in a temporary folder, whatever the settings say; leave nothing behind, no process either."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="actwright-demo-") as home:
        os.environ |= {"ACTWRIGHT_HOME": home, "ACTWRIGHT_JOURNAL": "sqlite"}
        get_current_settings.cache_clear()
        try:
            yield
            close_journals()
            _wait_for_understudies(Path(home))
        finally:
            close_journals()
            os.environ.clear()
            os.environ.update(before)
            get_current_settings.cache_clear()


def _wait_for_understudies(home: Path) -> None:
    """When the last one ends, no lock is there, nor a log that nobody has written to."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and any(map(_is_in_use, (home / "nodes").glob("*"))):
        time.sleep(0.005)


def _is_in_use(file: Path) -> bool:
    try:
        return file.suffix == ".lock" or not file.stat().st_size
    except FileNotFoundError:  # just now
        return False
