"""A home of its own for each thing that is measured: a new journal, in a folder that is gone afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from actwright import Runtime
from actwright.journal.sql_journal import SqlJournal
from actwright.nodes.journal import close_journals
from actwright.settings import get_current_settings
from measuring.loops import run_on, seconds_each

__all__ = ["a_home_of_its_own", "at_home", "flush", "run_in_a_home", "run_in_memory", "seconds_in_a_runtime"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@contextmanager
def at_home(home: Path, **settings: str) -> Iterator[None]:
    """While the block runs, this process keeps its history there, without an understudy: that is another process, which
    starts while the clock runs, and waits."""
    before = dict(os.environ)
    os.environ |= {"ACTWRIGHT_HOME": str(home), "ACTWRIGHT_UNDERSTUDY": "false", **settings}
    get_current_settings.cache_clear()
    try:
        yield
    finally:
        close_journals()
        os.environ.clear()
        os.environ |= before
        get_current_settings.cache_clear()


@contextmanager
def a_home_of_its_own(**settings: str) -> Iterator[Path]:
    """The same in a new folder, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="actwright-benchmark-") as folder, at_home(Path(folder), **settings):
        yield Path(folder)


def run_in_a_home(loop: str, async_fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """As `run_on`, with history in a file."""
    with a_home_of_its_own():
        return run_on(loop, async_fn, *args)


def run_in_memory(loop: str, async_fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """As `run_on`, with history in memory."""
    with a_home_of_its_own(ACTWRIGHT_JOURNAL="memory"):
        return run_on(loop, async_fn, *args)


def flush(runtime: Runtime) -> None:
    """Block until all that was recorded so far is committed."""
    if isinstance(runtime.journal, SqlJournal):
        runtime.journal.flush()


async def seconds_in_a_runtime(repeat: Callable[[int], Awaitable[object]], count: int) -> float:
    """Seconds for one of `count` repetitions in an open Runtime, until the last row is committed."""
    async with Runtime() as runtime:

        async def until_committed(times: int) -> None:
            await repeat(times)
            flush(runtime)

        return await seconds_each(until_committed, count)
