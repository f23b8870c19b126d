"""What runs take of memory: while they are alive, and once they have ended. Each figure is of a fresh process.

Resident memory, in kB of 1000 bytes; history in a file.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from measuring.bare_lives import Crowd, Lived, live_bare
from measuring.comparisons import beside
from measuring.homes import flush, run_in_a_home
from measuring.loops import LOOPS, run_on
from measuring.processes import in_a_fresh_process, resident_bytes
from measuring.table import Row
from measuring.turns import Spread, take_turns
from runs import nothing

from actwright import Runtime, flow, run_flow, task, wait
from actwright.engine.live_run import LiveRun


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each thing is measured, and how much of it."""

    turns: int = 3
    alive: int = 10_000
    few: int = 1_000
    """Runs that have ended before memory is looked at first, and so what only the first ones take."""
    counted: int = 10_000
    """Runs that have ended when objects are counted."""
    many: int = 100_000
    """Runs that have ended when memory is looked at last."""


QUICK: Final = Sizes(turns=1, alive=300, few=50, counted=100, many=400)

GROWTH_BUDGET_MB: Final = 50.0
OBJECTS_BUDGET: Final = 3.0
"""The flow's own, and the last run's while its actor ends."""


async def live(count: int) -> Lived:
    """Of task runs that sleep, submitted in a flow."""
    crowd = Crowd(1)
    sleeps = task(crowd.sleep, name="sleeps")

    @flow
    async def sleepers(times: int) -> None:
        await wait([sleeps.submit() for _ in range(times)])

    async with Runtime() as runtime:
        crowd.over.set()
        await run_flow(sleepers, 1)  # what only the first one loads is not each one's
        crowd.again(count)
        before = settled(runtime)
        handle = runtime.submit(sleepers, count)
        await crowd.all_began.wait()
        alive = settled(runtime)
        crowd.over.set()
        await handle
        del handle
        return Lived(before, alive, settled(runtime))


def settled(runtime: Runtime) -> int:
    """Resident bytes, when all is written and no garbage is left."""
    flush(runtime)
    gc.collect()
    return resident_bytes()


def alive(sizes: Sizes) -> Iterator[Row]:
    each = f"each of {sizes.alive:,} sleeping task runs"
    taken = {loop: _lives(loop, sizes) for loop in LOOPS}
    for loop, lives in taken.items():
        ours, bare = ([[(of.alive - of.before) / sizes.alive / 1e3] for of in lives[name]] for name in ("ours", "bare"))
        row = partial(Row, f"resident memory of {each}", loop, "kB", against="a bare task of anyio that sleeps")
        yield beside(row, ours, bare)
    for loop, lives in taken.items():
        ours_left, bare_left = (
            Spread.of([(of.after - of.before) / sizes.alive / 1e3 for of in lives[name]]) for name in ("ours", "bare")
        )
        note = f"of a bare task {bare_left.median:.2g}; Python keeps what it has for later"
        yield Row(f"resident memory that stays of {each} when all have ended", loop, "kB", ours_left, note=note)


def _lives(loop: str, sizes: Sizes) -> dict[str, list[Lived]]:
    contestants = {
        "ours": partial(in_a_fresh_process, run_in_a_home, loop, live, sizes.alive),
        "bare": partial(in_a_fresh_process, run_on, loop, live_bare, sizes.alive),
    }
    return take_turns(contestants, sizes.turns, warm_up=0)


class Ended(NamedTuple):
    """After few runs and after many, all awaited in one flow that goes on: resident bytes, and objects of live runs."""

    few_bytes: int
    many_bytes: int
    objects: int


async def end_many(sizes: Sizes) -> Ended:
    async with Runtime() as runtime:

        @flow
        async def awaits() -> Ended:
            await _await_runs(sizes.few)
            few = settled(runtime)
            await _await_runs(sizes.counted - sizes.few)
            flush(runtime)
            gc.collect()
            objects = sum(isinstance(each, LiveRun) for each in gc.get_objects())
            await _await_runs(sizes.many - sizes.counted)
            return Ended(few, settled(runtime), objects)

        return await run_flow(awaits)


async def _await_runs(times: int) -> None:
    for _ in range(times):
        await nothing()


def ended(sizes: Sizes) -> Iterator[Row]:
    """One process on each loop, which takes half a minute."""
    taken = {loop: in_a_fresh_process(run_in_a_home, loop, end_many, sizes) for loop in LOOPS}
    for loop, of in taken.items():
        grown = Spread.of([(of.many_bytes - of.few_bytes) / 1e6])
        yield Row(
            f"resident memory after {sizes.many:,} finished task runs, more than after {sizes.few:,}",
            loop, "MB", grown, budget=GROWTH_BUDGET_MB, judged_by="highest",
            note=f"{of.few_bytes / 1e6:.0f} -> {of.many_bytes / 1e6:.0f} MB",
        )  # fmt: skip
    for loop, of in taken.items():
        yield Row(
            f"objects of live runs, the flow's own included, after {sizes.counted:,} finished task runs",
            loop, "", Spread.of([of.objects]), budget=OBJECTS_BUDGET, judged_by="highest",
        )  # fmt: skip


def measures(sizes: Sizes) -> Iterator[Iterable[Row]]:
    yield alive(sizes)
    yield ended(sizes)
