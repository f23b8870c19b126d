"""Waiting through cancellations."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS

from actwright_actors import wait_through

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)


async def test_without_a_cancellation_it_just_waits() -> None:
    done, calls = anyio.Event(), list[str]()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tg:
            tg.start_soon(anyio.lowlevel.checkpoint)
            tg.start_soon(_set, done)
            await wait_through(done, on_cancel=lambda: calls.append("cancelled"))
    assert calls == []


async def _set(event: anyio.Event) -> None:
    event.set()


async def test_a_cancelled_scope_is_waited_through_and_then_obeyed() -> None:
    done, cancelled, passed = anyio.Event(), anyio.Event(), False
    scope = anyio.CancelScope()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tg:

            async def wait() -> None:
                nonlocal passed
                with scope:
                    await wait_through(done, on_cancel=cancelled.set)
                    passed = True

            tg.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            await cancelled.wait()
            await anyio.wait_all_tasks_blocked()
            assert not scope.cancelled_caught
            done.set()
    assert scope.cancelled_caught
    assert not passed


async def test_an_async_function_is_called_again_after_a_cancellation() -> None:
    done, calls = anyio.Event(), 0

    async def wait() -> None:
        nonlocal calls
        calls += 1
        await done.wait()

    with anyio.fail_after(5), anyio.CancelScope() as scope:
        scope.cancel()
        await wait_through(wait, on_cancel=done.set)
    assert scope.cancelled_caught
    assert calls == 2


async def test_an_exception_of_the_async_function_ends_the_wait() -> None:
    async def fail() -> None:
        raise ValueError("boom")

    with anyio.fail_after(5), pytest.raises(ValueError, match="boom"):
        await wait_through(fail)


@on_asyncio
async def test_any_number_of_native_cancels_is_waited_through_and_the_first_is_raised() -> None:
    done, calls = anyio.Event(), list[int]()
    task = asyncio.ensure_future(wait_through(done, on_cancel=lambda: calls.append(1)))
    with anyio.fail_after(5):
        await anyio.wait_all_tasks_blocked()
        for number in range(3):
            task.cancel(f"cancel {number}")
            await anyio.wait_all_tasks_blocked()
            assert not task.done()
        done.set()
        with pytest.raises(asyncio.CancelledError, match="cancel 0"):
            await task
    assert calls == [1]


@on_asyncio
async def test_a_timeout_of_asyncio_around_it_still_ends_in_timeout_error() -> None:
    done = anyio.Event()
    with anyio.fail_after(5), pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await wait_through(done, on_cancel=done.set)
