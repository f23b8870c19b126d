"""One hook that is due: its tries, its timeout, its end; and that none of it touches the run or the next hook."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from tests.engine.faults import Unspeakable, host_of, infrastructure
from tests.engine.gate import Gate
from tests.engine.recorder import Recorder
from tests.engine.subjects import bodies, raising
from tests.engine.watched import at_rest, open_runtime, until

from actwright import Runtime, flow, hook, runtime
from actwright.models.deliveries import DeliveryStatus, HookDelivery
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


async def body() -> str:
    return "the result"


def calling(does: Callable[[], object], is_async: bool) -> Callable[..., Any]:
    """A sync or an async hook that calls `does()`."""

    def sync_hook(*args: Any) -> None:
        does()

    async def async_hook(*args: Any) -> None:
        does()

    return async_hook if is_async else sync_hook


def deliveries(opened: Runtime) -> list[tuple[DeliveryStatus, int]]:
    """Where each delivery stands, and how often it was begun."""
    return [(delivery.status, delivery.attempt) for delivery in opened.journal.deliveries()]


# A hook that raises


@bodies
@pytest.mark.parametrize(
    "error",
    [
        ValueError("on purpose"),
        SystemExit(3),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
        TimeoutError(),
        Unspeakable(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_hook_raises_the_next_one_runs_and_the_state_stays(
    error: BaseException, is_async: bool, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = [calling(raising(error), is_async), recorder.hook("next")]
    async with open_runtime() as opened:
        state = await flow(body, on_completion=hooks, on_end=[recorder.hook("end")])(return_state=True)
    assert state.result() == "the result"
    assert recorder.order == ["next", "end"]
    assert recorder.states("next") == [state]
    failed, _, _ = opened.journal.deliveries()
    assert failed.status is DeliveryStatus.FAILED
    assert failed.error is not None
    assert failed.error.startswith(type(error).__name__)
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@bodies
async def test_a_hook_that_raises_before_the_body_does_not_keep_it_from_starting(is_async: bool) -> None:
    async with open_runtime():
        assert await flow(body, on_running=[calling(raising(SystemExit()), is_async)])() == "the result"


# Tries


@bodies
async def test_a_hook_is_tried_again_until_it_succeeds_always_as_the_same_delivery(is_async: bool) -> None:
    ids: list[Any] = []

    def third_time_lucky() -> None:
        ids.append(runtime.hook.delivery_id)
        assert runtime.hook.attempt == len(ids)
        if len(ids) < 3:
            raise ValueError("on purpose")

    async with open_runtime() as opened:
        await flow(body, on_end=[hook(calling(third_time_lucky, is_async), retries=5)])()
    assert deliveries(opened) == [(DeliveryStatus.SUCCEEDED, 3)]
    assert set(ids) == {opened.journal.deliveries()[0].id}


@pytest.mark.parametrize(
    ("options", "attempts"),
    [({}, 1), ({"retries": 2}, 3), ({"retries": 5, "max_attempts": 2}, 2), ({"retries": 1, "max_attempts": 9}, 2)],
)
@bodies
async def test_a_hook_is_given_up_after_its_retries_or_its_most_attempts(
    options: Any, attempts: int, is_async: bool, recorder: Recorder
) -> None:
    failing = hook(calling(raising(ValueError()), is_async), **options)
    async with open_runtime() as opened:
        await flow(body, on_end=[failing, recorder.hook("next")])()
    assert deliveries(opened) == [(DeliveryStatus.FAILED, attempts), (DeliveryStatus.SUCCEEDED, 1)]


async def test_between_two_tries_lies_the_retry_delay() -> None:
    clock, tries = ManualClock(), list[float]()

    async def failing(*args: Any) -> None:
        tries.append(clock.now())
        raise ValueError("on purpose")

    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(flow(body, on_end=[hook(failing, retries=2, retry_delay_seconds=10)]))
        for seconds in (9, 1, 9, 1):
            await at_rest()
            assert not handle.done()
            clock.advance(seconds)
        await handle
    assert tries == [0, 10, 20]


async def test_one_that_is_taken_back_while_it_waits_for_its_retry_is_not_tried_again_and_stays_due(
    recorder: Recorder,
) -> None:
    clock = ManualClock()
    failing = hook(calling(raising(ValueError()), is_async=True), retries=1, retry_delay_seconds=10, wait=False)
    async with open_runtime(clock=clock) as opened:
        await opened.submit(flow(body, on_end=[failing, hook(recorder.hook("next"), wait=False)]))
        await at_rest()
        (batch,) = host_of(opened).released_batches()
        host_of(opened).take_back(batch)
        clock.advance(10)
        await at_rest()
    assert deliveries(opened) == [(DeliveryStatus.DUE, 1), (DeliveryStatus.DUE, 0)]
    assert recorder.seen == []


# Timeouts


async def test_an_async_hook_past_its_timeout_is_cancelled_and_failed_and_the_next_one_runs(recorder: Recorder) -> None:
    clock = ManualClock()

    async def hangs(*args: Any) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            recorder.mark("cancelled")

    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(flow(body, on_end=[hook(hangs, timeout_seconds=5), recorder.hook("next")]))
        await at_rest()
        clock.advance(4.9)
        await at_rest()
        assert recorder.order == []
        clock.advance(0.1)
        assert await handle == "the result"
    assert recorder.order == ["cancelled", "next"]
    failed, _ = opened.journal.deliveries()
    assert (failed.status, failed.attempt) == (DeliveryStatus.FAILED, 1)
    assert failed.error == "HookTimedOut: Hook 'hangs' took longer than its timeout of 5 s"


async def test_a_sync_hook_past_its_timeout_is_abandoned_and_failed_and_the_next_one_runs(recorder: Recorder) -> None:
    clock, gate = ManualClock(), Gate()

    def hangs(*args: Any) -> None:
        gate.stop_here()

    async with open_runtime(clock=clock, hook_threads=1) as opened:
        handle = opened.submit(flow(body, on_end=[hook(hangs, timeout_seconds=5), recorder.hook("next")]))
        await gate.reached()
        await at_rest()
        clock.advance(5)
        assert await handle == "the result"
        assert recorder.order == ["next"]
        gate.open()
    assert deliveries(opened) == [(DeliveryStatus.FAILED, 1), (DeliveryStatus.SUCCEEDED, 1)]


async def test_the_next_try_of_a_sync_hook_past_its_timeout_waits_for_its_thread(recorder: Recorder) -> None:
    clock, gates = ManualClock(), [Gate(), Gate()]

    def hangs(*args: Any) -> None:
        gates[runtime.hook.attempt - 1].stop_here()
        recorder.mark(f"end of {runtime.hook.attempt}")

    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(flow(body, on_end=[hook(hangs, timeout_seconds=5, retries=1)]))
        await gates[0].reached()
        await at_rest()
        clock.advance(5)
        await at_rest()
        assert deliveries(opened) == [(DeliveryStatus.DUE, 1)]
        assert not gates[1].is_reached
        gates[0].open()
        await gates[1].reached()
        gates[1].open()
        await handle
    assert recorder.order == ["end of 1", "end of 2"]
    assert deliveries(opened) == [(DeliveryStatus.SUCCEEDED, 2)]


async def test_an_async_hook_that_will_not_be_cancelled_is_abandoned(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    clock, gate = ManualClock(), Gate()

    async def stubborn(*args: Any) -> None:
        with anyio.CancelScope(shield=True):
            await gate.astop_here()

    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(flow(body, on_end=[hook(stubborn, timeout_seconds=5), recorder.hook("next")]))
        await gate.reached()
        await at_rest()
        clock.advance(5)
        await at_rest()
        clock.advance(1)
        assert await handle == "the result"
        assert recorder.order == ["next"]
        gate.open()
    assert "Hook 'stubborn' did not end at its timeout. It is abandoned; it may still run." in caplog.messages
    assert deliveries(opened)[0] == (DeliveryStatus.FAILED, 1)


async def test_a_hook_that_sets_no_timeout_has_that_of_its_runtime() -> None:
    clock = ManualClock()

    async def hangs(*args: Any) -> None:
        await anyio.sleep_forever()

    async with open_runtime(clock=clock, hook_timeout_seconds=7) as opened:
        handle = opened.submit(flow(body, on_end=[hangs]))
        await at_rest()
        clock.advance(7)
        await handle
    (failed,) = opened.journal.deliveries()
    assert failed.error == "HookTimedOut: Hook 'hangs' took longer than its timeout of 7 s"


async def test_waiting_for_a_thread_is_no_part_of_a_hooks_timeout(recorder: Recorder) -> None:
    clock, gate = ManualClock(), Gate()

    def holds_the_only_thread(*args: Any) -> None:
        gate.stop_here()

    async with open_runtime(clock=clock, hook_threads=1) as opened:
        first = opened.submit(flow(body, on_end=[hook(holds_the_only_thread, timeout_seconds=100)]))
        await gate.reached()
        second = opened.submit(flow(body, on_end=[hook(recorder.hook("late"), timeout_seconds=5)]))
        await at_rest()
        clock.advance(50)
        await at_rest()
        gate.open()
        await first
        await second
    assert recorder.order == ["late"]
    assert {status for status, _ in deliveries(opened)} == {DeliveryStatus.SUCCEEDED}


async def test_what_a_hook_raises_at_its_timeout_does_not_hide_that_it_timed_out() -> None:
    clock = ManualClock()

    async def untidy(*args: Any) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("on purpose")

    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(flow(body, on_end=[hook(untidy, timeout_seconds=5)]))
        await at_rest()
        clock.advance(5)
        await handle
    assert str(opened.journal.deliveries()[0].error).startswith("HookTimedOut")


# Expiry


async def test_a_delivery_that_is_older_than_it_may_be_is_skipped_and_said_so(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()

    async def takes_a_minute(*args: Any) -> None:
        clock.advance(60)

    hooks: list[Any] = [
        takes_a_minute,
        hook(recorder.hook("fresh enough"), expires_seconds=61),
        hook(recorder.hook("too old"), expires_seconds=60),
    ]
    async with open_runtime(clock=clock) as opened:
        assert await flow(body, on_end=hooks)() == "the result"
    assert recorder.order == ["fresh enough"]
    assert deliveries(opened)[-1] == (DeliveryStatus.SKIPPED, 0)
    assert any(
        "Hook 'recorded' is not run: it was due at 2000-01-01 00:00:00 UTC and expired 60 s later" in message
        for message in caplog.messages
    )


async def test_a_try_that_would_come_too_late_is_not_made() -> None:
    clock, tries = ManualClock(), list[int]()

    async def failing(*args: Any) -> None:
        tries.append(runtime.hook.attempt)
        raise ValueError("on purpose")

    async with open_runtime(clock=clock) as opened:
        patient = hook(failing, retries=9, retry_delay_seconds=10, expires_seconds=15)
        handle = opened.submit(flow(body, on_end=[patient]))
        for _ in range(2):
            await at_rest()
            clock.advance(10)
        await handle
    assert tries == [1, 2]
    assert deliveries(opened) == [(DeliveryStatus.SKIPPED, 2)]


# What it costs others


async def test_a_hook_that_hangs_in_one_run_holds_up_no_other_run(recorder: Recorder) -> None:
    gate = Gate()

    def hangs(*args: Any) -> None:
        gate.stop_here()

    async with open_runtime(hook_threads=2) as opened:
        stuck = opened.submit(flow(body, on_end=[hangs]))
        await gate.reached()
        assert await flow(body, on_end=[recorder.hook("other")])() == "the result"
        assert not stuck.done()
        gate.open()


async def test_an_abandoned_hook_that_ends_after_all_changes_nothing(recorder: Recorder) -> None:
    clock, gate, over = ManualClock(), Gate(), threading.Event()

    def hangs(*args: Any) -> None:
        gate.stop_here()
        over.set()

    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(flow(body, on_end=[hook(hangs, timeout_seconds=5)]))
        await gate.reached()
        await at_rest()
        clock.advance(5)
        await handle
        gate.open()
        await until(over.is_set)
    assert deliveries(opened) == [(DeliveryStatus.FAILED, 1)]


# Who is told


@bodies
async def test_on_hook_failure_is_told_once_of_each_delivery_that_failed_for_good(is_async: bool) -> None:
    told: list[HookDelivery] = []

    async def tell_async(delivery: HookDelivery) -> None:
        told.append(delivery)

    tell: Any = tell_async if is_async else told.append
    failing = hook(calling(raising(ValueError("on purpose")), is_async), retries=2)
    async with open_runtime(on_hook_failure=tell) as opened:
        await flow(body, on_completion=[failing, calling(lambda: None, is_async)])()
    failed, _ = opened.journal.deliveries()
    assert told == [failed]
    assert (failed.attempt, failed.error) == (3, "ValueError: on purpose")


async def test_a_delivery_that_failed_is_open_until_that_was_told() -> None:
    """So that another process tells of it, should this one die meanwhile."""
    seen: list[tuple[DeliveryStatus, int | None]] = []

    async with open_runtime(on_hook_failure=lambda _: seen.append(standing())) as opened:

        def standing() -> tuple[DeliveryStatus, int | None]:
            (delivery,) = opened.journal.deliveries()
            return delivery.status, delivery.untold

        await flow(body, on_completion=[raising(ValueError())])()
        assert standing() == (DeliveryStatus.FAILED, None)
    assert seen == [(DeliveryStatus.RUNNING, 0)]


async def test_a_plain_on_hook_failure_that_outlives_the_hook_actor_is_waited_for_and_not_called_beside_itself() -> (
    None
):
    gate, told = Gate(), list[HookDelivery]()

    def tell(delivery: HookDelivery) -> None:
        told.append(delivery)
        gate.stop_here()

    async with open_runtime(on_hook_failure=tell) as opened:
        handle = opened.submit(flow(body, on_completion=[raising(ValueError())]))
        await gate.reached()
        infrastructure(opened, "hooks").kill()
        await at_rest()
        gate.open()
        await handle
    assert len(told) == 1
    assert deliveries(opened) == [(DeliveryStatus.FAILED, 1)]


@bodies
async def test_an_on_hook_failure_that_raises_is_logged_and_not_told_of_itself(
    is_async: bool, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[HookDelivery] = []

    def tell(delivery: HookDelivery) -> None:
        calls.append(delivery)
        raise SystemExit("on purpose")

    async def tell_async(delivery: HookDelivery) -> None:
        tell(delivery)

    hooks = [calling(raising(ValueError()), is_async), recorder.hook("next")]
    async with open_runtime(on_hook_failure=tell_async if is_async else tell):
        assert await flow(body, on_end=hooks)() == "the result"
    assert len(calls) == 1
    assert recorder.order == ["next"]
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert any(f"on_hook_failure '{'tell_async' if is_async else 'tell'}' raised" in line for line in lines)


async def test_an_on_hook_failure_that_hangs_is_given_up_as_a_hook_is(recorder: Recorder) -> None:
    clock = ManualClock()

    async def hangs(delivery: HookDelivery) -> None:
        await anyio.sleep_forever()

    hooks = [calling(raising(ValueError()), True), recorder.hook("next")]
    async with open_runtime(clock=clock, on_hook_failure=hangs, hook_timeout_seconds=5) as opened:
        handle = opened.submit(flow(body, on_end=hooks))
        await at_rest()
        clock.advance(5)
        await handle
    assert recorder.order == ["next"]


async def test_a_plain_hook_that_ended_in_time_is_not_late_if_the_loop_was_held_until_after_its_timeout() -> None:
    clock, gate = ManualClock(), Gate()
    late = hook(lambda *_: gate.stop_here(), retries=1, timeout_seconds=5)
    async with open_runtime(clock=clock) as opened:
        handle = opened.submit(flow(body, on_end=[late]))
        await gate.reached()
        await at_rest()
        gate.open()
        time.sleep(0.2)  # noqa: ASYNC251 - it holds the loop, and the hook ends meanwhile
        clock.advance(5)
        await handle
        assert deliveries(opened) == [(DeliveryStatus.SUCCEEDED, 1)]
