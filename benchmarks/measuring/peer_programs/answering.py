"""How a program of a peer speaks with who compares it: a line of JSON asks for a round of some work, and one answers.

Nothing here needs Actwright, so that a peer can run in an environment of its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import TextIO

__all__ = ["Repeat", "Round", "answer", "timed"]

Repeat = Callable[[int], Awaitable[None]]
"""Does some work that many times, until its caller has all results."""

Round = Callable[[int], Awaitable[tuple[float, float]]]
"""The same, timed: see `timed`."""


def timed(repeat: Repeat, settle: Callable[[], Awaitable[None]] | None = None) -> Round:
    """A round of that work: the seconds until the caller has all results, and those until `settle` has returned."""

    async def round_of(count: int) -> tuple[float, float]:
        gc.collect()  # or it would be charged for what the round before has left; collection itself stays on
        began = perf_counter()
        await repeat(count)
        returned = perf_counter()
        if settle is not None:
            await settle()
        return returned - began, perf_counter() - began

    return round_of


async def answer(rounds: Mapping[str, Round]) -> None:
    """Make the rounds that are asked for on stdin, until that ends. What fails ends the program, with a traceback."""
    replies = _stdout_of_our_own()
    print(json.dumps({"works": list(rounds)}), file=replies, flush=True)
    # In a thread, because the loop may have more to do than to wait for us: heartbeats, servers.
    while line := await asyncio.to_thread(sys.stdin.readline):
        request = json.loads(line)
        awaited, settled = await rounds[request["work"]](request["count"])
        print(json.dumps({"awaited": awaited, "settled": settled}), file=replies, flush=True)


def _stdout_of_our_own() -> TextIO:
    """Answers go where stdout went; whatever else prints, a library or a process that it starts, prints to stderr."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies
