"""Time under the test kit: skipped where runs only wait for it, and nowhere else."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.testing_kit.flows import HOUR, nightly, note, sync_nightly

from actwright import flow, hook, run_flow, task
from actwright.engine.host import Host
from actwright.testing import HookRecorder, assert_hook_ran, harness, open_runtime
from actwright.testing.harnesses import current_harness

pytestmark = pytest.mark.anyio

SOON = 10.0
"""Far more than any of this takes, and far less than an hour."""


@contextmanager
def takes_no_time() -> Generator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SOON


async def test_the_delays_of_retries_cost_no_time() -> None:
    with takes_no_time():
        async with open_runtime():
            assert await nightly() == 4


async def test_the_delays_of_retries_of_sync_code_cost_no_time() -> None:
    with takes_no_time():
        async with open_runtime():
            assert await run_flow(sync_nightly) == 4


def test_the_delays_of_retries_in_a_script_cost_no_time() -> None:
    with takes_no_time(), harness():
        assert sync_nightly() == 4


async def test_a_run_knows_how_much_later_it_is() -> None:
    async with open_runtime() as runtime:
        handle = runtime.submit(nightly)
        await handle
        began, ended = handle.run.start_time, handle.run.end_time
        assert began is not None
        assert ended is not None
        assert ended - began >= timedelta(hours=3)


async def test_the_delays_between_the_tries_of_a_hook_cost_no_time() -> None:
    tries: list[int] = []

    def flaky(*_: object) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")

    @flow(on_completion=[hook(flaky, retries=2, retry_delay_seconds=HOUR)])
    async def body() -> None: ...

    with takes_no_time():
        async with open_runtime() as runtime:
            handle = runtime.submit(body)
            await handle
            assert_hook_ran(handle, "on_completion", times=1, hook=flaky)
    assert len(tries) == 3


async def test_a_run_that_a_hook_waits_for_is_retried_without_waiting() -> None:
    async def calls(*_: object) -> None:
        assert await nightly() == 4

    @flow(on_completion=[hook(calls, timeout_seconds=10 * HOUR)])
    async def body() -> None: ...

    with takes_no_time():
        async with open_runtime() as runtime:
            handle = runtime.submit(body)
            await handle
            assert_hook_ran(handle, "on_completion", times=1)


class Looks:
    """How often clocks have looked whether they may skip."""

    def __init__(self) -> None:
        self.count = 0

    async def several(self) -> None:
        """Wait until they have looked often enough to skip, if they may."""
        enough = self.count + 20
        with anyio.fail_after(SOON):
            while self.count < enough:  # noqa: ASYNC110  # they look by the time of day
                await anyio.sleep(0.001)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    counted, ask = Looks(), Host.only_time_helps

    def counting(host: Host) -> bool:
        counted.count += 1
        return ask(host)

    monkeypatch.setattr(Host, "only_time_helps", counting)
    return counted


async def test_time_is_not_skipped_while_an_async_body_waits_for_something_else(looks: Looks) -> None:
    began, go_on = anyio.Event(), anyio.Event()

    @flow(timeout_seconds=HOUR)
    async def body() -> str:
        began.set()
        await go_on.wait()
        return "done"

    async with open_runtime() as runtime:
        handle = runtime.submit(body)
        await began.wait()
        await looks.several()
        go_on.set()
        assert await handle == "done"


async def test_time_is_not_skipped_while_a_thread_is_at_work(looks: Looks) -> None:
    """Though the only run that it has called waits to be tried again."""
    failed, go_on = anyio.Event(), threading.Event()
    tries: list[str] = []

    async def tell(*_: object) -> None:
        failed.set()

    @task(retries=1, retry_delay_seconds=HOUR, on_retry=[tell])
    async def fails_once() -> None:
        tries.append("try")
        if len(tries) == 1:
            raise ValueError("not yet")

    @flow
    def body() -> list[str]:
        child = fails_once.submit()
        go_on.wait(SOON)
        before = list(tries)
        child.result()
        return before

    async with open_runtime() as runtime:
        handle = runtime.submit(body)
        await failed.wait()
        await looks.several()
        go_on.set()
        assert await handle == ["try"]
    assert tries == ["try", "try"]


async def test_time_is_not_skipped_while_a_hook_is_at_work(looks: Looks) -> None:
    began, go_on = anyio.Event(), anyio.Event()

    async def slow(*_: object) -> None:
        began.set()
        await go_on.wait()

    @flow(on_completion=[hook(slow, timeout_seconds=HOUR)])
    async def body() -> None: ...

    async with open_runtime() as runtime:
        handle = runtime.submit(body)
        await began.wait()
        await looks.several()
        go_on.set()
        await handle
        assert_hook_ran(handle, "on_completion", times=1)


async def test_time_is_not_skipped_while_the_journal_is_at_work(looks: Looks) -> None:
    """A retry that is not committed has no timer yet: to skip then would be to skip to the flow's timeout."""
    began, go_on = anyio.Event(), anyio.Event()
    tries: list[str] = []

    @task(retries=1, retry_delay_seconds=HOUR, on_retry=[note])
    async def fails_once() -> str:
        tries.append("try")
        if len(tries) > 1:
            return "done"
        began.set()
        await go_on.wait()
        raise ValueError("not yet")

    @flow(timeout_seconds=2 * HOUR)
    async def body() -> str:
        return await fails_once()

    with harness() as made:
        async with open_runtime() as runtime:
            handle = runtime.submit(body)
            await began.wait()
            with writing_elsewhere(made.home / "actwright.db"):
                go_on.set()
                await looks.several()
            assert await handle == "done"


@contextmanager
def writing_elsewhere(path: Path) -> Generator[None]:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()


async def test_advance_brings_about_the_timeout_of_a_body_that_waits_for_the_world(hook_ran: HookRecorder) -> None:
    began = anyio.Event()

    @flow(timeout_seconds=HOUR, on_failure=[hook_ran.hook])
    async def body() -> None:
        began.set()
        await anyio.sleep_forever()

    with takes_no_time():
        async with open_runtime() as runtime:
            handle = runtime.submit(body)
            await began.wait()
            made = current_harness()
            assert made is not None
            made.advance(HOUR)
            with pytest.raises(TimeoutError):
                await handle
            assert handle.state.name == "TimedOut"
            assert hook_ran.events == ["on_failure"]


@pytest.fixture
def hook_ran() -> HookRecorder:
    return HookRecorder()


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_time_moves_forward_only(seconds: float) -> None:
    with harness() as made, pytest.raises(ValueError, match="only moves forward"):
        made.advance(seconds)


async def test_an_idle_runtime_does_not_run_ahead_of_time(looks: Looks) -> None:
    async with open_runtime() as runtime:
        await nightly()
        before = runtime.submit(nothing)
        await before
        await looks.several()
        after = runtime.submit(nothing)
        await after
        assert after.run.expected_start_time - before.run.expected_start_time < timedelta(seconds=SOON)


@flow
async def nothing() -> Any: ...
