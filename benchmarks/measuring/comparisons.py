"""A subject beside something else that does the same: they take turns, and what counts is their ratio."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from measuring.loops import LOOPS, AsyncTimed, run_on
from measuring.peers import advice_to_install
from measuring.table import Judged, Row
from measuring.turns import Spread, flat, medians, ratio, take_turns

__all__ = [
    "ON_ASYNCIO",
    "ON_THE_SAME_LOOP",
    "UNITS",
    "Comparison",
    "Runner",
    "Timed",
    "beside",
    "compare",
    "late_ones",
    "on",
]

Timed = Callable[[int], float | Sequence[float]]
"""Does something that many times and returns the seconds that one took; or those of each, where they are to be seen."""

Runner = Callable[[str, AsyncTimed, int], float | Sequence[float]]
"""Runs an async function with that number on a loop of that kind: `run_on`, or in a home of its own as well."""

UNITS: Final[Mapping[str, Callable[[float], float]]] = {
    "us": lambda seconds: seconds * 1e6,
    "ms": lambda seconds: seconds * 1e3,
    "s": lambda seconds: seconds,
    "per second": lambda seconds: 1 / seconds,
}
"""How seconds are shown."""

ON_THE_SAME_LOOP = {loop: loop for loop in LOOPS}
ON_ASYNCIO = {**ON_THE_SAME_LOOP, "trio": "asyncio"}
"""Where that runs which only asyncio has: beside actors on trio, in an asyncio loop of the same process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Of one measure, on each loop in `floors`. `budget` is the highest ratio there may be, or the highest figure that
    `judged_by` says, or the lowest one with `at_least`; None: it is just shown.

    `runner` is how the subject is run. `peer` is the package that the floors need, if it is not one of ours.
    """

    measure: str
    subject: AsyncTimed
    against: str
    floors: Mapping[str, Timed]
    times: int
    unit: str = "us"
    budget: float | None = None
    judged_by: Judged = "ratio"
    at_least: bool = False
    runner: Runner = run_on
    peer: str | None = None


def on(loops: Mapping[str, str], async_fn: AsyncTimed, runner: Runner = run_on) -> dict[str, Timed]:
    """For each loop of a subject, `async_fn` on a new loop of the kind that `loops` says."""
    return {loop: partial(runner, beside, async_fn) for loop, beside in loops.items()}


def compare(comparison: Comparison, turns: int, *, warm_up: int = 1) -> Iterator[Row]:
    """A row per loop."""
    advice = advice_to_install(comparison.peer) if comparison.peer else None
    for loop, floor in comparison.floors.items():
        row = partial(
            Row, comparison.measure, loop, comparison.unit, against=comparison.against, budget=comparison.budget,
            judged_by=comparison.judged_by, at_least=comparison.at_least,
        )  # fmt: skip
        if advice is not None:
            yield row(note=advice)
            continue
        contestants = {
            "subject": partial(comparison.runner, loop, comparison.subject, comparison.times),
            "floor": partial(floor, comparison.times),
        }
        taken = take_turns(contestants, turns, warm_up=warm_up)
        yield beside(row, *(_shown(taken[name], comparison.unit) for name in contestants))


def _shown(turns: Sequence[float | Sequence[float]], unit: str) -> list[list[float]]:
    """The samples of each turn, in that unit."""
    samples = [[turn] if isinstance(turn, float) else turn for turn in turns]
    return [[UNITS[unit](seconds) for seconds in turn] for turn in samples]


def beside(row: Callable[..., Row], ours: Sequence[Sequence[float]], floor: Sequence[Sequence[float]]) -> Row:
    """The row of these samples: the spread of all of them, and the ratio of each turn's medians."""
    return row(
        figure=Spread.of(flat(ours)), floor=Spread.of(flat(floor)), ratio=ratio(medians(ours), medians(floor)),
        note=late_ones(ours),
    )  # fmt: skip


def late_ones(turns: Sequence[Sequence[float]]) -> str:
    """Where a turn has many samples: below what 99 of 100 of them all are."""
    samples = flat(turns)
    if len(samples) < 10 * len(turns):
        return ""
    return f"99 of 100: {statistics.quantiles(samples, n=100, method='inclusive')[98]:.3g}"
