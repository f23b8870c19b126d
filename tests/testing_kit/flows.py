"""Flows that the tests of the test kit run, and a hook with an import path."""

from __future__ import annotations

from typing import Any

import anyio

from actwright import flow, task

__all__ = [
    "HOUR",
    "fetch",
    "hangs",
    "nightly",
    "note",
    "noted",
    "sync_fetch",
    "sync_nightly",
    "tried",
    "tries",
    "unwound",
]

HOUR = 3600.0

noted: list[str] = []
"""The states that `note` was called with. Who looks at these clears them first."""

tries: list[int] = []
unwound: list[str] = []


def note(flow: Any, run: Any, state: Any) -> None:
    noted.append(state.name)


def tried() -> int:
    """Succeeds the fourth time."""
    tries.append(len(tries) + 1)
    if tries[-1] < 4:
        raise ValueError("not yet")
    return tries[-1]


@task(retries=3, retry_delay_seconds=HOUR)
async def fetch() -> int:
    return tried()


@flow(on_completion=[note])
async def nightly() -> int:
    tries.clear()
    return await fetch()


@task(retries=3, retry_delay_seconds=HOUR)
def sync_fetch() -> int:
    return tried()


@flow(on_completion=[note])
def sync_nightly() -> int:
    tries.clear()
    return sync_fetch()


@flow(on_crashed=[note])
async def hangs(began: anyio.Event) -> None:
    began.set()
    try:
        await anyio.sleep_forever()
    finally:
        unwound.append("body")
