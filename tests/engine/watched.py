"""Runtimes under a watchdog, and waiting for what a test cannot be told of."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Unpack

import anyio

from actwright import Runtime
from actwright.engine.options import RuntimeKeywords

__all__ = ["at_rest", "open_runtime", "until"]

WATCHDOG_SECONDS = 20


@asynccontextmanager
async def open_runtime(**options: Unpack[RuntimeKeywords]) -> AsyncGenerator[Runtime]:
    """A Runtime; a test that hangs in it fails."""
    with anyio.fail_after(WATCHDOG_SECONDS):
        async with Runtime(**options) as runtime:
            yield runtime


async def at_rest() -> None:
    """Let the loop do all that it can do without another thread, or time."""
    await anyio.wait_all_tasks_blocked()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about and does not tell."""
    with anyio.fail_after(WATCHDOG_SECONDS):
        while not holds():  # noqa: ASYNC110 - nobody tells: that is what this is for
            await anyio.sleep(0.001)
