"""Contestants take turns, so that a slow moment of the machine meets all of them."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Spread", "flat", "medians", "ratio", "take_turns"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some samples, how far they lie apart, and how many there are."""

    median: float
    lowest: float
    highest: float
    samples: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        return cls(statistics.median(samples), min(samples), max(samples), len(samples))


def medians(turns: Sequence[Sequence[float]]) -> list[float]:
    """The median of each turn's samples."""
    return [statistics.median(turn) for turn in turns]


def flat(turns: Sequence[Sequence[T]]) -> list[T]:
    """The samples of all turns."""
    return [sample for turn in turns for sample in turn]


def take_turns(contestants: Mapping[str, Callable[[], T]], turns: int, *, warm_up: int = 1) -> dict[str, list[T]]:
    """The samples of each contestant, one per turn. As many turns as `warm_up` are made before, and dropped.

    Every other turn goes the other way round, so that no contestant always runs in the wake of the same one.
    """
    samples: dict[str, list[T]] = {name: [] for name in contestants}
    order = list(contestants.items())
    for _ in range(warm_up + turns):
        for name, sample in order:
            gc.collect()  # or it would be charged for what the one before it has left; collection itself stays on
            samples[name].append(sample())
        order.reverse()
    return {name: taken[warm_up:] for name, taken in samples.items()}


def ratio(subject: Sequence[float], floor: Sequence[float]) -> Spread:
    """How many times its floor a subject is, turn by turn."""
    return Spread.of([ours / theirs for ours, theirs in zip(subject, floor, strict=True)])
