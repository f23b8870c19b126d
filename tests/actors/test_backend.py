"""What the adapter says of the loop underneath."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS

from actwright_actors import (
    BackendName,
    SystemClock,
    backend_options,
    current_backend_name,
    escaped_cancellation_is_forged,
)

NAMES: list[BackendName] = ["asyncio", "asyncio+uvloop", "trio"]


@pytest.mark.parametrize("name", NAMES)
def test_the_options_of_a_back_end_start_that_back_end(name: BackendName) -> None:
    async def ask() -> str | None:
        return current_backend_name()

    backend, options = backend_options(name)
    assert anyio.run(ask, backend=backend, backend_options=options) == name


def test_there_is_no_back_end_where_no_loop_runs() -> None:
    assert current_backend_name() is None


@pytest.mark.anyio
async def test_the_system_clock_tells_the_loops_time() -> None:
    clock = SystemClock()
    before = anyio.current_time()
    assert abs(clock.now() - before) < 1.0
    assert clock.wall().tzinfo is not None


def test_trios_mock_clock_drives_the_system_clock() -> None:
    import trio.testing

    async def main() -> float:
        clock = SystemClock()
        began = clock.now()
        with anyio.fail_after(2000):
            await clock.wait_until(began + 1000, anyio.Event())
        return clock.now() - began

    mock = trio.testing.MockClock(autojump_threshold=0)
    assert anyio.run(main, backend="trio", backend_options={"clock": mock}) == pytest.approx(1000)


@pytest.mark.anyio
async def test_a_cancellation_that_a_scope_asked_for_is_genuine() -> None:
    forged: list[bool] = []
    with anyio.CancelScope() as outer:
        inner = anyio.CancelScope()
        outer.cancel()
        try:
            with inner:
                await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            forged.append(escaped_cancellation_is_forged(inner))
            raise
    assert forged == [False]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)
async def test_a_cancellation_raised_by_hand_is_forged() -> None:
    scope = anyio.CancelScope()
    try:
        with scope:
            raise asyncio.CancelledError
    except asyncio.CancelledError:
        assert escaped_cancellation_is_forged(scope)
