"""A body in a process of its own receives what is sent to its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.engine.faults import live
from tests.engine.subjects import bodies, started
from tests.engine.watched import open_runtime, until
from tests.isolation import bodies as b
from tests.isolation.helpers import apart, said

from actwright import Handle, wait
from actwright_actors.testing import ManualClock

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


@bodies
async def test_it_receives_what_is_sent_before_and_while_it_runs_in_order(
    kind: str, is_async: bool, tmp_path: Path
) -> None:
    path = tmp_path / "said"
    async with open_runtime() as runtime:
        handle = started(runtime, apart(kind, b.areceives if is_async else b.receives), str(path))
        await handle.send(b.Order(1))
        await handle.send("no order")
        await said(path)
        await until(lambda: live(runtime, handle).inbox.is_watched)
        for number in (2, 3):
            await handle.send(b.Order(number))
        assert await handle == [1, 2, 3]


@bodies
async def test_a_timeout_is_one_of_the_runtimes_clock(is_async: bool) -> None:
    clock = ManualClock()
    async with open_runtime(clock=clock) as runtime:
        handle: Handle[Any] = runtime.submit(apart("flow", b.agives_up if is_async else b.gives_up))
        await until(lambda: live(runtime, handle).inbox.is_watched)

        def is_done_later() -> bool:
            clock.advance(30)
            return handle.done()

        await until(is_done_later)
        assert await handle == f"{handle.run.title} was sent no such message within 60 s."


async def test_what_one_attempt_did_not_take_the_next_one_finds(tmp_path: Path) -> None:
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(apart("flow", b.takes_one_and_fails, retries=1), str(tmp_path / "once"))
        await handle.send(b.Order(1))
        await handle.send(b.Order(2))
        assert await handle == 2


async def test_it_sends_to_the_runs_that_it_started_and_follows_them() -> None:
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(apart("flow", b.sends_and_follows))
        assert await handle == (7, ["Pending", "Running", "Completed"])


async def test_a_message_that_cannot_be_pickled_or_loaded_stays_and_is_told_of_and_the_others_are_received(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "said"
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(apart("flow", b.receives), str(path))
        await handle.send(caplog)
        await handle.send(b.Unloadable())
        for number in (1, 2, 3):
            await handle.send(b.Order(number))
        assert await handle == [1, 2, 3]
    assert caplog.text.count("A message cannot be received in this process: LogCaptureFixture: ") == 1
    assert caplog.text.count("A message cannot be received in this process: Unloadable: SystemExit: 3") == 1
    assert "2 messages were not received" in caplog.text


@bodies
async def test_a_cancel_ends_a_wait_for_a_message(is_async: bool, tmp_path: Path) -> None:
    path = tmp_path / "said"
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(apart("flow", b.areceives if is_async else b.receives), str(path))
        await until(lambda: live(runtime, handle).inbox.is_watched)
        await handle.cancel("closed")
        await wait([handle])
        assert handle.state.is_cancelled()


async def test_no_interrupt_holds_the_stop_off_until_its_end(tmp_path: Path) -> None:
    path = tmp_path / "said"
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(apart("flow", b.holds_off), str(path))
        await said(path)
        await handle.cancel()
        (tmp_path / "done").touch()
        await wait([handle])
        assert handle.state.is_cancelled()
    assert (tmp_path / "done").read_text() == "whole"


async def test_an_error_that_leaves_no_interrupt_is_followed_by_the_interrupt(tmp_path: Path) -> None:
    path = tmp_path / "said"
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(apart("flow", b.leaves_no_interrupt_by_an_error), str(path))
        await said(path)
        await handle.cancel()
        (tmp_path / "done").touch()
        await wait([handle])  # within the watchdog's time, which is shorter than the grace
        assert handle.state.is_cancelled()
