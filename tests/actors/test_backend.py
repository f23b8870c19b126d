"""What the adapter says of the loop underneath."""

from __future__ import annotations

import asyncio
import sys
from contextvars import Context, copy_context
from types import ModuleType

import anyio
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS

from actwright_actors import SystemClock
from actwright_actors.backends import (
    BackendName,
    backend_options,
    current_backend_name,
    escaped_cancellation_is_forged,
    forget_event_loop,
    protect_from_keyboard_interrupt,
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


async def _backend_while_trio_is_half_imported(monkeypatch: pytest.MonkeyPatch) -> str | None:
    for name in ("trio", "trio.lowlevel"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    return current_backend_name()


def test_a_thread_that_imports_trio_just_now_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert anyio.run(_backend_while_trio_is_half_imported, monkeypatch) == "asyncio"


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


def test_a_system_clock_made_before_the_loop_tells_the_loops_time_inside_it() -> None:
    clock = SystemClock()

    async def difference() -> float:
        return abs(clock.now() - anyio.current_time())

    assert anyio.run(difference) < 1.0


@pytest.mark.anyio
async def test_a_context_that_forgot_its_loop_can_start_another_in_a_thread() -> None:
    async def answer() -> str:
        return "from another loop"

    def run_another() -> str:
        return anyio.run(answer)

    context = copy_context()
    forget_event_loop(context)
    assert await anyio.to_thread.run_sync(lambda: context.run(run_another)) == "from another loop"


@pytest.mark.anyio
async def test_without_sniffio_there_is_nothing_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context()
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "sniffio")
        forget_event_loop(context)
    assert list(context) == []


@pytest.mark.anyio
async def test_protection_from_ctrl_c_takes_any_callable_and_concerns_functions_alone() -> None:
    def protected() -> None: ...

    protect_from_keyboard_interrupt(print, protected)
    protected()
