"""Bodies in processes of their own that are inside of `concurrency` blocks. They are imported there too."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import anyio

from actwright import TagLimit, concurrency, task
from actwright.exceptions import SlotTimeout


@task
def inner() -> str:
    """Runs where the Runtime is."""
    with concurrency("db", limit=1, timeout_seconds=5):
        return "came in"


@task(isolation="process")
def inner_apart() -> str:
    with concurrency("db", limit=1, timeout_seconds=5):
        return "came in"


def nests() -> list[str]:
    with concurrency("db", limit=1), concurrency("db", limit=1):
        return [inner(), inner_apart()]


async def anests() -> list[str]:
    async with concurrency("db", limit=1), concurrency("db", limit=1):
        return [await inner.submit(), await inner_apart.submit()]


def tries() -> str:
    try:
        with concurrency("db", limit=1, timeout_seconds=0.05):
            return "came in"
    except SlotTimeout as error:
        return str(error)


def stays_inside(told: Path) -> None:
    with concurrency("db", limit=1):
        told.write_text("inside")
        time.sleep(60)


async def astays_inside(told: Path) -> None:
    async with concurrency("db", limit=1):
        await anyio.Path(told).write_text("inside")
        await anyio.sleep(60)


def waits() -> None:
    with concurrency("db", limit=1):
        pass


async def awaits() -> None:
    async with concurrency("db", limit=1):
        pass


def dies_inside() -> None:
    with concurrency("db", limit=1):
        os.kill(os.getpid(), signal.SIGKILL)


def limits() -> list[int | None]:
    found = [TagLimit.set("db", 3).slots, TagLimit.get("db").slots]
    TagLimit.delete("db")
    return [*found, TagLimit.get("db").slots]
