"""The three event loops, and how something is timed on one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, TypeVar, TypeVarTuple

import anyio

__all__ = ["LOOPS", "AsyncTimed", "run_on", "seconds_each"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

AsyncTimed = Callable[[int], Awaitable[float | Sequence[float]]]
"""Does something that many times in the running loop and returns the seconds that one took, or those of each."""

LOOPS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}


def run_on(loop: str, async_fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """Run `async_fn(*args)` in a new loop of that kind, to its end."""
    backend, options = LOOPS[loop]
    return anyio.run(async_fn, *args, backend=backend, backend_options=options)


async def seconds_each(repeat: Callable[[int], Awaitable[object]], count: int) -> float:
    """Seconds for one of `count` repetitions; `repeat(n)` makes n of them. A tenth as many warm the new loop up."""
    await repeat(count // 10 or 1)
    began = perf_counter()
    await repeat(count)
    return (perf_counter() - began) / count
