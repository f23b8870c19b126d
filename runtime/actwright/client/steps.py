"""Work that blocks for a moment at a time, written once: driven in this thread, or by a loop with each step in a
worker thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import anyio
import anyio.to_thread

from actwright.authoring.events import pause

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Steps", "run_steps", "run_steps_async"]

T = TypeVar("T")

Steps: TypeAlias = "Generator[float, None, T]"
"""Yields how many seconds to pause before the next step; returns what comes of it."""


def run_steps(steps: Steps[T]) -> T:
    """Do it in this thread, and block until it is done. A body that waits here is woken when its run is cancelled."""
    while True:
        try:
            seconds = next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        pause(seconds)


async def run_steps_async(steps: Steps[T]) -> T:
    """The same, without blocking the loop. Cancelled, it ends after the step that is under way."""
    while True:
        step = await anyio.to_thread.run_sync(_next, steps)
        if isinstance(step, _Done):
            return step.result
        await anyio.sleep(step)


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    """Of a generator that has returned: its StopIteration cannot leave a thread."""

    result: T


def _next(steps: Steps[T]) -> float | _Done[T]:
    try:
        return next(steps)
    except StopIteration as done:
        return _Done(done.value)
