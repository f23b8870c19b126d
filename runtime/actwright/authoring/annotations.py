"""Words about an argument: `unmapped(x)` and `allow_failure(x)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["allow_failure", "unmapped"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class unmapped(Generic[T]):
    """`my_task.map(rows, table=unmapped(names))`: give `names` whole to each call, instead of mapping over it."""

    value: T


@dataclass(frozen=True, slots=True)
class allow_failure(Generic[T]):
    """`my_task.submit(allow_failure(handle))`: start even if that run did not complete.

    The parameter is then the exception that the run ended with, instead of its result.
    """

    value: T
