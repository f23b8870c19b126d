"""An event that is free until somebody waits for it."""

from __future__ import annotations

import anyio
import pytest

from actwright_actors._latch import Latch

pytestmark = pytest.mark.anyio


async def test_every_waiter_is_woken_and_a_set_latch_holds_nobody() -> None:
    latch, woken = Latch(anyio.Event), list[int]()

    async def wait(number: int) -> None:
        await latch.wait()
        woken.append(number)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(wait, number)
        await anyio.wait_all_tasks_blocked()
        assert woken == []
        assert not latch.is_set()
        latch.set()
    assert sorted(woken) == [0, 1, 2]
    assert latch.is_set()
    await latch.wait()
    latch.set()


async def test_a_wait_that_was_cancelled_leaves_nothing_behind() -> None:
    latch = Latch(anyio.Event)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await latch.wait()
    assert latch._waiting == []  # pyright: ignore[reportPrivateUsage]


async def test_a_waiter_that_is_cancelled_when_the_latch_is_set_harms_no_other() -> None:
    latch, woken = Latch(anyio.Event), list[str]()

    async def wait(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            await latch.wait()
            woken.append(name)

    cancelled = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(wait, "cancelled", cancelled)
        group.start_soon(wait, "other", anyio.CancelScope())
        await anyio.wait_all_tasks_blocked()
        latch.set()
        cancelled.cancel()
    assert "other" in woken
