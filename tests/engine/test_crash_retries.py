"""Attempts after a crash: for bodies that were cut short, and not for what was ended from outside."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.engine.faults import kill, names
from tests.engine.gate import Gate
from tests.engine.recorder import Recorder
from tests.engine.scripts import started as started_program
from tests.engine.subjects import bodies, final_state, kinds, made, started
from tests.engine.watched import at_rest, open_runtime

from actwright import Crashed, wait
from actwright_actors.testing import ManualClock


class CutShort:
    """A body, sync or async, that crashes in its first attempts, and then returns."""

    def __init__(self, *crashes: BaseException | None) -> None:
        self._crashes = list(crashes)
        self.attempts = 0

    def attempt(self) -> str:
        self.attempts += 1
        if self._crashes and (error := self._crashes.pop(0)) is not None:
            raise error
        return "the result"

    async def async_attempt(self) -> str:
        return self.attempt()

    def made(self, kind: str, is_async: bool, **options: Any) -> Any:
        return made(kind, self.async_attempt if is_async else self.attempt, **options)


CRASHES = [SystemExit(3), KeyboardInterrupt("raised by a body"), asyncio.CancelledError("forged")]
each_crash = pytest.mark.parametrize("crash", CRASHES, ids=lambda crash: type(crash).__name__)
pytestmark = pytest.mark.anyio


@kinds
@bodies
@each_crash
async def test_a_crashed_attempt_is_tried_again_and_on_retry_fires(
    kind: str, is_async: bool, crash: BaseException, recorder: Recorder
) -> None:
    body = CutShort(crash)
    async with open_runtime() as opened:
        state = await final_state(body.made(kind, is_async, crash_retries=1, **recorder.all_hooks()))
        (run,) = opened.journal.runs()
        assert names(opened, run.id) == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]
    assert (state.name, state.result(), body.attempts) == ("Completed", "the result", 2)
    assert recorder.order == ["on_running", "on_retry", "on_running", "on_completion", "on_end"]
    (between,) = recorder.states("on_retry")
    assert between.message is not None
    assert between.message.endswith("; 1 retry left, the next in 0 s")


@kinds
@bodies
@each_crash
async def test_when_none_is_left_it_is_crashed_once(
    kind: str, is_async: bool, crash: BaseException, recorder: Recorder
) -> None:
    body = CutShort(crash, crash, crash, crash)
    async with open_runtime():
        state = await final_state(body.made(kind, is_async, crash_retries=2, on_crashed=[recorder.hook("crashed")]))
    assert (state.name, body.attempts) == ("Crashed", 3)
    assert recorder.order == ["crashed"]


@kinds
@bodies
async def test_without_crash_retries_a_crash_is_the_end_however_many_retries_there_are(
    kind: str, is_async: bool
) -> None:
    body = CutShort(SystemExit(1))
    async with open_runtime():
        state = await final_state(body.made(kind, is_async, retries=5))
    assert (state.name, body.attempts) == ("Crashed", 1)


@kinds
async def test_a_failure_is_not_tried_again_for_crash_retries(kind: str) -> None:
    body = CutShort(ValueError("on purpose"))
    async with open_runtime():
        state = await final_state(body.made(kind, True, crash_retries=5))
    assert (state.name, body.attempts) == ("Failed", 1)


@kinds
async def test_failures_and_crashes_are_counted_each_by_itself(kind: str) -> None:
    no, out = ValueError("on purpose"), SystemExit(1)
    body = CutShort(no, out, no, out, no)
    async with open_runtime():
        state = await final_state(body.made(kind, True, retries=2, crash_retries=2))
    assert (state.name, body.attempts) == ("Failed", 5)


async def test_the_retry_delay_is_waited_after_a_crash_too() -> None:
    body, clock = CutShort(SystemExit(1)), ManualClock()
    async with open_runtime(clock=clock) as opened:
        handle = started(opened, body.made("flow", True, crash_retries=1, retry_delay_seconds=60))
        await at_rest()
        clock.advance(59.0)
        await at_rest()
        assert body.attempts == 1
        clock.advance(1.0)
        await wait([handle])
        assert body.attempts == 2


@kinds
async def test_a_returned_crashed_state_is_tried_again_too(kind: str) -> None:
    states: list[Any] = [Crashed(), "the result"]

    async def body() -> Any:
        return states.pop(0)

    async with open_runtime():
        state = await final_state(made(kind, body, crash_retries=1))
    assert state.result() == "the result"


# What is ended from outside


async def test_a_cancelled_run_is_not_tried_again(recorder: Recorder) -> None:
    gate = Gate()
    async with open_runtime() as opened:
        handle = started(opened, made("flow", gate.astop_here, crash_retries=5, **recorder.all_hooks()))
        await gate.reached()
        await handle.cancel()
        await wait([handle])
    assert handle.state.name == "Cancelled"
    assert recorder.order == ["on_running", "on_cancellation", "on_end"]


async def test_a_run_whose_actor_was_killed_is_not_tried_again(recorder: Recorder) -> None:
    gate = Gate()
    async with open_runtime() as opened:
        handle = started(opened, made("flow", gate.astop_here, crash_retries=5, **recorder.all_hooks()))
        await gate.reached()
        kill(opened, handle)
        await wait([handle])
    assert handle.state.name == "Crashed"
    assert recorder.order == ["on_running", "on_crashed", "on_end"]


SIGNALLED = """
    import time
    from actwright import flow

    def said(name):
        return lambda subject, run, state: print(name, flush=True)

    @flow(crash_retries=5, on_retry=[said("retry")], on_crashed=[said("crashed")], on_cancellation=[said("cancelled")])
    def work():
        print("at work", flush=True)
        time.sleep(30)

    if __name__ == "__main__":
        work()
"""


@pytest.mark.parametrize(
    ("number", "hook", "code"), [(signal.SIGTERM, "crashed", 143), (signal.SIGINT, "cancelled", 130)]
)
def test_a_signal_to_the_program_is_no_crash_to_try_again_after(
    tmp_path: Path, number: signal.Signals, hook: str, code: int
) -> None:
    with started_program(tmp_path, SIGNALLED) as program:
        program.says("at work")
        program.send(number)
        assert program.exit_code() == code
    assert program.lines == ["at work", hook]
