"""The one heap of timers, on a manual clock and on the loop's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.actors.helpers import open_system

from actwright_actors._timer_heap import TimerHeap
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


def kit() -> tuple[ManualClock, TimerHeap, list[object]]:
    clock = ManualClock()
    return clock, TimerHeap(clock), []


@given(st.lists(st.integers(0, 5)))
def test_timers_fire_by_deadline_and_then_in_the_order_of_asking(delays: list[int]) -> None:
    clock, timers, fired = kit()
    for number, delay in enumerate(delays):
        timers.call_later(delay, partial(fired.append, (delay, number)))
    clock.advance(5)
    assert fired == sorted((delay, number) for number, delay in enumerate(delays))
    assert len(timers) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=300))
def test_a_cancelled_timer_never_fires_and_the_others_do(plan: list[tuple[int, bool]]) -> None:
    clock, timers, fired = kit()
    made = [timers.call_later(delay, partial(fired.append, n)) for n, (delay, _) in enumerate(plan)]
    for timer, (_, cancelled) in zip(made, plan, strict=True):
        if cancelled:
            timer.cancel()
            timer.cancel()
    kept = [n for n, (_, cancelled) in enumerate(plan) if not cancelled]
    assert len(timers) == len(kept)
    clock.advance(5)
    assert sorted(kept) == sorted(n for n in fired if isinstance(n, int))


def test_nothing_fires_early() -> None:
    clock, timers, fired = kit()
    timers.call_later(1.0, partial(fired.append, "x"))
    clock.advance(0.999)
    assert fired == []
    clock.advance(0.001)
    assert fired == ["x"]


def test_each_callback_sees_the_time_at_which_it_was_due() -> None:
    clock, timers, _ = kit()
    times: list[float] = []
    for delay in (3.0, 1.0, 2.0):
        timers.call_later(delay, lambda: times.append(clock.now()))
    clock.advance(10)
    assert times == [1.0, 2.0, 3.0]
    assert clock.now() == 10.0


def test_a_timer_set_by_a_timer_fires_in_the_same_advance_if_due() -> None:
    clock, timers, fired = kit()
    timers.call_later(1.0, lambda: timers.call_later(1.0, partial(fired.append, "second")))
    clock.advance(2.0)
    assert fired == ["second"]


def test_a_callback_that_raises_disturbs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    clock, timers, fired = kit()

    def fail() -> None:
        raise SystemExit("in a timer")

    timers.call_later(1.0, fail)
    timers.call_later(1.0, partial(fired.append, "next"))
    clock.advance(1.0)
    assert fired == ["next"]
    assert "in a timer" in caplog.text


def test_a_deadline_at_infinity_never_comes() -> None:
    clock, timers, fired = kit()
    timer = timers.call_later(math.inf, partial(fired.append, "never"))
    assert timers.next_due() is None
    clock.advance(1e12)
    assert timer.is_pending
    assert fired == []


def test_the_heap_does_not_grow_with_cancelled_timers() -> None:
    _, timers, _ = kit()
    for _ in range(10_000):
        timers.call_later(5.0, lambda: None).cancel()
    assert len(timers._heap) < 200  # pyright: ignore[reportPrivateUsage]


async def test_timers_fire_on_the_loops_own_clock_in_order() -> None:
    async with open_system() as system:
        fired: list[int] = []
        done = anyio.Event()
        began = system.clock.now()
        system.timers.call_later(0.03, done.set)
        for delay in (0.02, 0.01, 0.0):
            system.timers.call_later(delay, partial(fired.append, int(delay * 100)))
        await done.wait()
        assert fired == [0, 1, 2]
        assert system.clock.now() - began >= 0.03


async def test_an_earlier_timer_wakes_the_sleeping_task() -> None:
    async with open_system() as system:
        system.timers.call_later(1000, lambda: None)
        await anyio.wait_all_tasks_blocked()
        done = anyio.Event()
        system.timers.call_later(0.01, done.set)
        await done.wait()


async def test_a_timer_that_sets_itself_again_does_not_starve_the_loop() -> None:
    async with open_system() as system:
        rounds = 0

        def again() -> None:
            nonlocal rounds
            rounds += 1
            system.timers.call_later(0, again)

        again()
        while rounds < 5:
            await anyio.lowlevel.checkpoint()


async def test_no_timer_fires_after_the_system_is_closed() -> None:
    clock, fired = ManualClock(), list[str]()
    async with open_system(clock=clock) as system:
        timer = system.timers.call_later(1, lambda: fired.append("late"))
    clock.advance(2)
    timer.cancel()
    assert fired == []
    assert len(system.timers) == 0


def test_callbacks_are_any_callable_without_arguments() -> None:
    clock, timers, fired = kit()
    calls: list[Callable[[], object]] = [lambda: fired.append(1), partial(fired.append, 2)]
    for call in calls:
        timers.call_later(0, call)
    clock.advance(0)
    assert fired == [1, 2]


def test_what_a_callback_adds_is_left_for_the_next_round() -> None:
    _, timers, fired = kit()

    def once_more() -> None:
        fired.append("x")
        if len(fired) < 3:
            timers.call_later(0, once_more)

    timers.call_later(0, once_more)
    timers.fire_due()
    assert fired == ["x"]
    timers.fire_due()
    assert fired == ["x", "x"]
