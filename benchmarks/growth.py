"""Whether a task run costs more the more there have been: in one flow, and in the journal.

The clock runs in the flow's body, from its first task to its last; small flows are repeated, so that each sample is of
some thousands of runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Final

from measuring.bare_runs import start_soon_in_turn
from measuring.comparisons import ON_THE_SAME_LOOP, Comparison, beside, compare, on
from measuring.homes import a_home_of_its_own, at_home, run_in_a_home
from measuring.loops import LOOPS, AsyncTimed, run_on
from measuring.processes import in_a_fresh_process
from measuring.sample_rows import fill, rows_of_task_runs
from measuring.table import Row
from measuring.turns import take_turns
from runs import awaited, nothing

from actwright import Runtime, flow, run_flow
from actwright.settings import get_current_settings


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each thing is measured, and how much of it."""

    turns: int = 2
    """One takes three minutes."""
    in_one_flow: tuple[int, ...] = (10, 100, 1_000, 10_000, 100_000)
    small: int = 1_000
    """The one of these that the largest is compared with."""
    at_least: int = 5_000
    """Runs in a sample, of as many flows as that takes."""
    journal_turns: int = 7
    warm_up: int = 1
    runs: int = 300
    transitions: int = 1_000_000


QUICK: Final = Sizes(
    turns=1, in_one_flow=(10, 20, 50), small=20, at_least=50, journal_turns=1, warm_up=0, runs=10, transitions=300
)

LARGEST_RATIO: Final = 1.3


@flow
async def timed_tasks(times: int) -> float:
    """Seconds for each."""
    began = perf_counter()
    for _ in range(times):
        await nothing()
    return (perf_counter() - began) / times


async def in_flows_of(size: int, at_least: int) -> float:
    """Seconds for one of `size` task runs of a flow."""
    flows = ceil(at_least / size)
    async with Runtime():
        await run_flow(timed_tasks, 10)
        return sum([await run_flow(timed_tasks, size) for _ in range(flows)]) / flows


def in_one_flow(sizes: Sizes) -> Iterator[Row]:
    largest = max(sizes.in_one_flow)
    taken = {loop: _taken(loop, sizes) for loop in LOOPS}
    for size in sizes.in_one_flow:
        for loop, samples in taken.items():
            row = partial(Row, f"async task run, one of {size:,} in a flow", loop, "us")
            yield beside(partial(row, against="tg.start_soon and an event"), samples[str(size)], samples["bare"])
    for loop, samples in taken.items():
        row = partial(
            Row, f"async task run, one of {largest:,} in a flow", loop, "us",
            against=f"one of {sizes.small:,} in a flow", budget=LARGEST_RATIO,
        )  # fmt: skip
        yield beside(row, samples[str(largest)], samples[str(sizes.small)])


def _taken(loop: str, sizes: Sizes) -> dict[str, list[list[float]]]:
    """Microseconds by the size of the flow, and of the bare loop. Each has a process of its own: what makes one slower
    as it ages is part of a large flow's figure, and of no other's."""
    contestants = {
        str(size): partial(in_a_fresh_process, run_in_a_home, loop, in_flows_of, size, sizes.at_least)
        for size in sizes.in_one_flow
    }
    bare = partial(in_a_fresh_process, run_on, loop, start_soon_in_turn, sizes.at_least)
    taken = take_turns({**contestants, "bare": bare}, sizes.turns, warm_up=0)
    return {name: [[seconds * 1e6] for seconds in turns] for name, turns in taken.items()}


def run_at(home: Path, loop: str, async_fn: AsyncTimed, times: int) -> float:
    """As `run_on`, with history in that home."""
    with at_home(home):
        seconds = run_on(loop, async_fn, times)
        assert isinstance(seconds, float)
        return seconds


def make_big(home: Path, transitions: int) -> int:
    """Have a few task runs write their history there, and add as many like them as there are transitions to be.

    Returns:
        How many runs that are.
    """
    with at_home(home):
        run_on("asyncio", awaited, 10)
        database = get_current_settings().database
    example = rows_of_task_runs(database)[-1]
    count = ceil(transitions / len(example.rows["transitions"]))
    fill(database, example, count)
    return count


def in_a_big_journal(sizes: Sizes) -> Iterator[Row]:
    with a_home_of_its_own() as home:
        count = make_big(home, sizes.transitions)
        comparison = Comparison(
            measure=f"async task run, awaited, journal with {sizes.transitions:,} transitions of {count:,} runs",
            subject=awaited,
            against="the same, new journal",
            floors=on(ON_THE_SAME_LOOP, awaited, run_in_a_home),
            times=sizes.runs,
            runner=partial(run_at, home),
        )
        yield from compare(comparison, sizes.journal_turns, warm_up=sizes.warm_up)


def measures(sizes: Sizes) -> Iterator[Iterable[Row]]:
    yield in_one_flow(sizes)
    yield in_a_big_journal(sizes)
