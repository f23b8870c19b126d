"""Attempts after the first: how many, when, and who is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.engine.gate import Gate
from tests.engine.recorder import Recorder
from tests.engine.subjects import bodies, final_state, kinds, made, raising, started
from tests.engine.watched import at_rest, open_runtime

from actwright import flow, run_flow, runtime, wait
from actwright.exceptions import CrashedRun
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


class Flaky:
    """A body, sync or async, that raises in its first `failures` attempts."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self._failures = failures
        self._error = error or ValueError("on purpose")
        self.attempts: list[int] = []

    def attempt(self) -> str:
        self.attempts.append(runtime.task_run.run_count or runtime.flow_run.run_count)
        if len(self.attempts) <= self._failures:
            raise self._error
        return "the result"

    async def async_attempt(self) -> str:
        return self.attempt()

    def made(self, kind: str, is_async: bool, **options: Any) -> Any:
        return made(kind, self.async_attempt if is_async else self.attempt, **options)


@kinds
@bodies
async def test_on_failure_fires_once_after_the_last_retry_and_on_running_once_for_each_attempt(
    kind: str, is_async: bool, recorder: Recorder
) -> None:
    flaky = Flaky(failures=9)
    async with open_runtime():
        state = await final_state(flaky.made(kind, is_async, retries=2, **recorder.all_hooks()))
    assert flaky.attempts == [1, 2, 3]
    assert recorder.order == [*["on_running", "on_retry"] * 2, "on_running", "on_failure", "on_end"]
    assert recorder.states("on_failure") == [state]


@kinds
@bodies
async def test_a_run_that_succeeds_in_the_end_never_failed(kind: str, is_async: bool, recorder: Recorder) -> None:
    flaky = Flaky(failures=2)
    async with open_runtime() as opened:
        state = await final_state(flaky.made(kind, is_async, retries=2, on_failure=[recorder.hook("on_failure")]))
        (run,) = opened.journal.runs()
    assert (state.name, state.result()) == ("Completed", "the result")
    assert run.run_count == 3
    assert recorder.order == []
    went_through = [transition.run.state.name for transition in opened.journal.transitions(run.id)]
    assert went_through == [
        *["Pending", "Running", "AwaitingRetry", "Retrying", "AwaitingRetry", "Retrying"],
        "Completed",
    ]


async def test_the_state_between_two_attempts_says_why_and_when(recorder: Recorder) -> None:
    subject = Flaky(failures=1).made("flow", True, retries=3, on_retry=[recorder.hook("on_retry")])
    async with open_runtime():
        await final_state(subject)
    (state,) = recorder.states("on_retry")
    assert state.message == "The body raised ValueError: on purpose; 3 retries left, the next in 0 s"
    assert isinstance(state.cause, ValueError)


def doubling(retries: int) -> list[float]:
    return [2.0**n for n in range(retries)]


@pytest.mark.parametrize(
    ("delays", "waits"),
    [
        (10, [10, 10, 10]),
        (0.5, [0.5, 0.5, 0.5]),
        ([1, 20], [1, 20, 20]),
        (doubling, [1, 2, 4]),
    ],
    ids=["whole", "part", "list", "function"],
)
@kinds
async def test_before_each_retry_lies_its_delay(kind: str, delays: Any, waits: list[float]) -> None:
    clock, starts = ManualClock(), list[float]()

    async def failing() -> None:
        starts.append(clock.now())
        raise ValueError("on purpose")

    subject = made(kind, failing, retries=3, retry_delay_seconds=delays)
    async with open_runtime(clock=clock) as opened:
        handle = started(opened, subject)
        for seconds in waits:
            await at_rest()
            assert handle.state.name == "AwaitingRetry"
            clock.advance(seconds - 0.1)
            await at_rest()
            assert handle.state.name == "AwaitingRetry"
            clock.advance(0.1)
        await wait([handle])
    assert starts == pytest.approx([sum(waits[:n]) for n in range(4)])


async def test_jitter_makes_a_delay_longer_and_no_more_than_its_factor_says() -> None:
    clock = ManualClock()
    flaky = Flaky(failures=1)
    subject = flaky.made("flow", True, retries=1, retry_delay_seconds=10, retry_jitter_factor=0.5)
    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(subject)
        await at_rest()
        clock.advance(9.9)
        await at_rest()
        assert flaky.attempts == [1]
        clock.advance(5.1)
        assert await handle == "the result"


@bodies
async def test_a_cancel_while_waiting_for_a_retry_ends_the_wait(is_async: bool, recorder: Recorder) -> None:
    flaky = Flaky(failures=9)
    clock, gate = ManualClock(), Gate()

    async def says_when(*args: Any) -> None:
        gate.open()

    subject = flaky.made("flow", is_async, retries=5, retry_delay_seconds=1000, on_retry=[says_when])
    subject.on_cancellation(recorder.hook("on_cancellation"))
    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(subject)
        while handle.state.name != "AwaitingRetry":
            await anyio.lowlevel.checkpoint()
        await handle.cancel()
        await wait([handle])
    assert handle.state.name == "Cancelled"
    assert flaky.attempts == [1]
    assert recorder.order == ["on_cancellation"]


@kinds
async def test_each_attempt_has_the_whole_timeout_and_a_run_that_timed_out_is_tried_again(kind: str) -> None:
    clock, begun = ManualClock(), list[float]()

    async def slow_twice() -> str:
        begun.append(clock.now())
        if len(begun) <= 2:
            await anyio.sleep_forever()
        return "the result"

    subject = made(kind, slow_twice, retries=2, retry_delay_seconds=3, timeout_seconds=5)
    async with open_runtime(clock=clock) as opened:
        handle = started(opened, subject)
        for seconds in (5, 3, 5, 3):
            await at_rest()
            clock.advance(seconds)
        assert await handle == "the result"
    assert begun == [0, 8, 16]


async def test_the_next_attempt_of_a_sync_body_starts_when_the_last_one_has_really_ended(recorder: Recorder) -> None:
    clock, gates = ManualClock(), [Gate(), Gate()]

    def slow() -> None:
        recorder.mark("begins")
        with runtime.no_interrupt():
            gates[runtime.flow_run.run_count - 1].stop_here()
            recorder.mark("ends")

    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(flow(slow, retries=1, timeout_seconds=5))
        await gates[0].reached()
        clock.advance(5)
        await at_rest()
        gates[0].open()
        await gates[1].reached()
        gates[1].open()
        await handle
    assert recorder.order == ["begins", "ends"] * 2


# Who is asked


@kinds
@bodies
async def test_the_condition_is_asked_after_each_failure_and_decides(kind: str, is_async: bool) -> None:
    asked: list[tuple[Any, Any, Any]] = []

    def condition(subject: Any, run: Any, state: Any) -> bool:
        asked.append((subject, run.run_count, state.cause))
        return len(asked) < 2

    async def async_condition(subject: Any, run: Any, state: Any) -> bool:
        return condition(subject, run, state)

    error = ValueError("on purpose")
    flaky = Flaky(failures=9, error=error)
    decides: Any = async_condition if is_async else condition
    subject = flaky.made(kind, is_async, retries=5, retry_condition_fn=decides)
    async with open_runtime():
        state = await final_state(subject)
    assert state.name == "Failed"
    assert flaky.attempts == [1, 2]
    assert asked == [(subject, 1, error), (subject, 2, error)]


def raising_condition(error: BaseException, is_async: bool) -> Callable[..., Any]:
    async def async_broken(*args: Any) -> bool:
        raise error

    return async_broken if is_async else raising(error)


@bodies
async def test_a_condition_that_raises_is_logged_and_means_no_retry(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    flaky = Flaky(failures=9)
    condition = raising_condition(KeyError("broken"), is_async)
    async with open_runtime():
        state = await final_state(flaky.made("flow", is_async, retries=5, retry_condition_fn=condition))
    assert (state.name, state.message) == ("Failed", "The body raised ValueError: on purpose")
    assert flaky.attempts == [1]
    assert "retry_condition_fn raised, so the run is not retried" in caplog.text


@bodies
@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()], ids=lambda error: type(error).__name__)
async def test_a_condition_that_exits_crashes_the_run_as_a_body_would(
    error: BaseException, is_async: bool, recorder: Recorder
) -> None:
    flaky = Flaky(failures=9)
    subject = flaky.made("flow", is_async, retries=5, retry_condition_fn=raising_condition(error, is_async))
    subject.on_crashed(recorder.hook("on_crashed"))
    async with open_runtime():
        with pytest.raises(SystemExit if isinstance(error, SystemExit) else CrashedRun):
            await run_flow(subject)
    assert flaky.attempts == [1]
    assert recorder.order == ["on_crashed"]


async def test_the_condition_is_not_asked_when_no_retry_is_left(recorder: Recorder) -> None:
    def condition(*args: Any) -> bool:
        recorder.mark("asked")
        return True

    async with open_runtime():
        await final_state(Flaky(failures=9).made("task", True, retries=1, retry_condition_fn=condition))
    assert recorder.order == ["asked"]


@bodies
async def test_invalid_parameters_and_crashes_are_not_tried_again(is_async: bool, recorder: Recorder) -> None:
    crashing = Flaky(failures=9, error=SystemExit(1))

    @flow(retries=3)
    async def numeric(number: int) -> None:
        recorder.mark("body")

    async with open_runtime():
        assert (await final_state(crashing.made("flow", is_async, retries=3))).name == "Crashed"
        assert (await numeric("no number", return_state=True)).name == "Failed"
    assert crashing.attempts == [1]
    assert recorder.order == []
