"""What an attempt costs, in microseconds: of a task that fails and is tried again at once, beside bare anyio.

An attempt fails, is logged with its traceback, enters AwaitingRetry, and the next one enters Retrying.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread
from measuring.comparisons import ON_THE_SAME_LOOP, Comparison, compare, on
from measuring.homes import run_in_a_home, seconds_in_a_runtime
from measuring.loops import AsyncTimed, seconds_each
from measuring.table import Row

from actwright import flow, run_flow, runtime, task


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each thing is measured, and how much of it."""

    turns: int = 9
    warm_up: int = 1
    attempts: int = 200


QUICK: Final = Sizes(turns=1, warm_up=0, attempts=10)


class NotYetError(Exception):
    """What a body raises until its last attempt."""


@task
async def fails(times: int) -> None:
    if runtime.task_run.run_count < times:
        raise NotYetError


@task
def fails_in_a_thread(times: int) -> None:
    if runtime.task_run.run_count < times:
        raise NotYetError


def attempts_of(subject: Any) -> AsyncTimed:
    """Of a run with that many attempts, the last of which succeeds."""

    @flow
    async def tries(times: int) -> None:
        await subject.with_options(retries=times - 1, retry_delay_seconds=0).submit(times)

    return partial(seconds_in_a_runtime, partial(run_flow, tries))


def _fail() -> None:
    raise NotYetError


async def _fail_async() -> None:
    raise NotYetError


async def _end(attempt: Callable[[], Any], ended: anyio.Event) -> None:
    try:
        await attempt()
    except NotYetError:
        ended.set()


async def bare_attempts(attempt: Callable[[], Any], count: int) -> float:
    """Start a task that raises and catches it, and sets an event; wait for that, start the next one."""
    async with anyio.create_task_group() as group:

        async def fail(times: int) -> None:
            for _ in range(times):
                ended = anyio.Event()
                group.start_soon(_end, attempt, ended)
                await ended.wait()

        seconds = await seconds_each(fail, count)
    return seconds


def measures(sizes: Sizes) -> Iterator[Iterable[Row]]:
    in_a_thread = partial(anyio.to_thread.run_sync, _fail)
    for measure, subject, attempt, against in (
        ("an async task", fails, _fail_async, "tg.start_soon, an exception and an event"),
        ("a sync task", fails_in_a_thread, in_a_thread, "the same, the exception in a thread"),
    ):
        comparison = Comparison(
            measure=f"one of {sizes.attempts} attempts of {measure}",
            subject=attempts_of(subject),
            against=against,
            floors=on(ON_THE_SAME_LOOP, partial(bare_attempts, attempt)),
            times=sizes.attempts,
            runner=run_in_a_home,
        )
        yield compare(comparison, sizes.turns, warm_up=sizes.warm_up)
