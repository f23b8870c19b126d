"""Runtimes under a watchdog, and waiting for what a test cannot be told of."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Unpack

import anyio

from actwright import Runtime
from actwright.engine.options import RuntimeKeywords
from actwright.nodes.journal import close_journals
from actwright.nodes.node import open_nodes
from actwright.settings import get_current_settings

__all__ = ["at_rest", "forget_history", "open_runtime", "until"]

WATCHDOG_SECONDS = 20


@asynccontextmanager
async def open_runtime(**options: Unpack[RuntimeKeywords]) -> AsyncGenerator[Runtime]:
    """A Runtime; a test that hangs in it fails."""
    with anyio.fail_after(WATCHDOG_SECONDS):
        async with Runtime(**options) as runtime:
            yield runtime


async def at_rest() -> None:
    """Let the loop do all that it can do without time, or another thread but the journal's."""
    await anyio.wait_all_tasks_blocked()
    for node in open_nodes():
        seen = -1
        while seen != (seen := node.journal.appended):
            node.journal.flush()
            await anyio.wait_all_tasks_blocked()


def forget_history() -> None:
    """Begin anew in the midst of a test, with an empty journal. No Runtime may be open."""
    close_journals()
    shutil.rmtree(get_current_settings().home)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about and does not tell."""
    with anyio.fail_after(WATCHDOG_SECONDS):
        while not holds():  # noqa: ASYNC110 - nobody tells: that is what this is for
            await anyio.sleep(0.001)
