"""A subject beside something else that does the same: they take turns, and what counts is their ratio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from measuring.loops import LOOPS, AsyncTimed, run_on
from measuring.peers import advice_to_install
from measuring.table import Row
from measuring.turns import Spread, ratio, take_turns

__all__ = ["ON_ASYNCIO", "ON_THE_SAME_LOOP", "Comparison", "Timed", "compare", "on"]

Timed = Callable[[int], float]
"""Does something that many times and returns the seconds that one took."""

ON_THE_SAME_LOOP = {loop: loop for loop in LOOPS}
ON_ASYNCIO = {**ON_THE_SAME_LOOP, "trio": "asyncio"}
"""Where that runs which only asyncio has: beside actors on trio, in an asyncio loop of the same process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Of one measure, on each loop in `floors`. `budget` is the highest ratio there may be; None: it is just shown.

    `peer` is the package that the floors need, if it is not one of ours.
    """

    measure: str
    subject: AsyncTimed
    against: str
    floors: Mapping[str, Timed]
    times: int
    budget: float | None = None
    peer: str | None = None


def on(loops: Mapping[str, str], async_fn: AsyncTimed) -> dict[str, Timed]:
    """For each loop of a subject, `async_fn` on a new loop of the kind that `loops` says."""
    return {loop: _timed(beside, async_fn) for loop, beside in loops.items()}


def _timed(loop: str, async_fn: AsyncTimed) -> Timed:
    return lambda times: run_on(loop, async_fn, times)


def compare(comparison: Comparison, turns: int) -> Iterator[Row]:
    """A row per loop."""
    advice = advice_to_install(comparison.peer) if comparison.peer else None
    for loop, floor in comparison.floors.items():
        row = partial(Row, comparison.measure, loop, "us", against=comparison.against, budget=comparison.budget)
        if advice is not None:
            yield row(note=advice)
            continue
        subject = partial(_timed(loop, comparison.subject), comparison.times)
        ours, theirs = _microseconds(subject, partial(floor, comparison.times), turns)
        yield row(figure=Spread.of(ours), floor=Spread.of(theirs), ratio=ratio(ours, theirs))


def _microseconds(
    subject: Callable[[], float], floor: Callable[[], float], turns: int
) -> tuple[list[float], list[float]]:
    taken = take_turns({"subject": subject, "floor": floor}, turns)
    return [each * 1e6 for each in taken["subject"]], [each * 1e6 for each in taken["floor"]]
