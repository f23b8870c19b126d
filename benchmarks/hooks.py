"""What state change hooks cost: until one starts, how many start in a second, and what a run with one costs.

Inside an open Runtime, history in a file. A hook is due when its run's new state is committed, so the time from the end
of a body to its hook's start has a commit in it; the floors have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, Final

from measuring import bare_runs
from measuring.comparisons import ON_THE_SAME_LOOP, Comparison, compare, on
from measuring.homes import run_in_a_home, seconds_in_a_runtime
from measuring.loops import AsyncTimed
from measuring.table import Row

from actwright import Runtime, Task, flow, run_flow, task, wait


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each thing is measured, and how much of it."""

    turns: int = 7
    warm_up: int = 1
    delays: int = 200
    submitted: int = 1_000
    runs: int = 200


QUICK: Final = Sizes(turns=1, warm_up=0, delays=10, submitted=20, runs=10)


def told(subject: object, run: object, state: object) -> None: ...


async def told_async(subject: object, run: object, state: object) -> None: ...


@dataclass
class Delays:
    """What passes from the last statement of a body to the first of its hook; one run after the other."""

    ended_at: float = 0.0
    taken: list[float] = field(default_factory=list)

    async def body(self) -> None:
        self.ended_at = perf_counter()

    def hook(self, subject: object, run: object, state: object) -> None:
        self.taken.append(perf_counter() - self.ended_at)

    async def async_hook(self, subject: object, run: object, state: object) -> None:
        self.taken.append(perf_counter() - self.ended_at)


def of_task(is_async: bool, delays: Delays) -> Callable[[int], Any]:
    """Runs a flow with that many runs of a task."""
    hook = delays.async_hook if is_async else delays.hook
    return partial(run_flow, awaiting(task(delays.body, name="body", on_completion=[hook])))


def of_flow(is_async: bool, delays: Delays) -> Callable[[int], Any]:
    """Runs a flow that many times."""
    hook = delays.async_hook if is_async else delays.hook
    ends = flow(delays.body, name="body", on_completion=[hook])

    async def repeat(times: int) -> None:
        for _ in range(times):
            await run_flow(ends)

    return repeat


def awaiting(subject: Task[[], Any]) -> Any:
    @flow
    async def awaits(times: int) -> None:
        for _ in range(times):
            await subject()

    return awaits


async def delays_of(repeats: Callable[[Delays], Callable[[int], Any]], count: int) -> list[float]:
    """Until the hook starts, of each of `count` runs."""
    delays = Delays()
    repeat = repeats(delays)
    async with Runtime():
        await repeat(count // 10 or 1)
        delays.taken.clear()
        await repeat(count)
    return delays.taken


def until_hooks_start(sizes: Sizes) -> Iterator[Comparison]:
    floors = {
        "sync": ("a thread is asked for, until its function starts", bare_runs.until_a_thread_starts),
        "async": ("tg.start_soon, until the task starts", bare_runs.until_a_task_starts),
    }
    for subject, repeats in (("task", of_task), ("flow", of_flow)):
        for kind, (against, floor) in floors.items():
            yield Comparison(
                measure=f"end of a {subject}'s body to the start of its {kind} hook",
                subject=partial(delays_of, partial(repeats, kind == "async")),
                against=against,
                floors=on(ON_THE_SAME_LOOP, floor),
                times=sizes.delays,
                unit="ms",
                budget=0.5,
                judged_by="median",
                runner=run_in_a_home,
            )


@task
async def bare() -> None: ...


@task(on_completion=[told])
async def hooked() -> None: ...


@task(on_completion=[told_async])
async def hooked_async() -> None: ...


@flow
async def bare_flow() -> None: ...


@flow(on_completion=[told])
async def hooked_flow() -> None: ...


@flow
async def many_hooks(times: int) -> None:
    await wait([hooked.submit() for _ in range(times)])


@flow
async def many_async_hooks(times: int) -> None:
    await wait([hooked_async.submit() for _ in range(times)])


def in_turn(runs: Any) -> AsyncTimed:
    """Of a flow that many times."""

    async def repeat(times: int) -> None:
        for _ in range(times):
            await run_flow(runs)

    return partial(seconds_in_a_runtime, repeat)


def within(runs: Any) -> AsyncTimed:
    """Of a flow that makes that many runs."""
    return partial(seconds_in_a_runtime, partial(run_flow, runs))


def sustained(sizes: Sizes) -> Iterator[Comparison]:
    """Each is the only hook of a task run that was submitted, so the runs count as well."""
    rate = partial(
        Comparison, times=sizes.submitted, unit="per second", budget=3_000, judged_by="median", at_least=True,
        runner=run_in_a_home,
    )  # fmt: skip
    yield rate(
        measure="sync hooks, one for each submitted task run", subject=within(many_hooks),
        against="all by to_thread.run_sync", floors=on(ON_THE_SAME_LOOP, bare_runs.threads_all_at_once),
    )  # fmt: skip
    yield rate(
        measure="async hooks, one for each submitted task run", subject=within(many_async_hooks),
        against="all by tg.start_soon, then their events",
        floors=on(ON_THE_SAME_LOOP, bare_runs.start_soon_all_at_once),
    )  # fmt: skip


def runs_with_a_hook(sizes: Sizes) -> Iterator[Comparison]:
    one = partial(Comparison, times=sizes.runs, runner=run_in_a_home, against="the same without a hook")
    without = on(ON_THE_SAME_LOOP, within(awaiting(bare)), run_in_a_home)
    yield one(measure="async task run with a sync hook, awaited", subject=within(awaiting(hooked)), floors=without)
    yield one(
        measure="async task run with an async hook, awaited", subject=within(awaiting(hooked_async)), floors=without
    )
    yield one(
        measure="flow run with a sync hook, awaited", subject=in_turn(hooked_flow),
        floors=on(ON_THE_SAME_LOOP, in_turn(bare_flow), run_in_a_home),
    )  # fmt: skip


def measures(sizes: Sizes) -> Iterator[Iterable[Row]]:
    for comparison in (*until_hooks_start(sizes), *sustained(sizes), *runs_with_a_hook(sizes)):
        yield compare(comparison, sizes.turns, warm_up=sizes.warm_up)
