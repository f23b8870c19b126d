"""The test kit tells the truth, above all when something is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from tests.actors.helpers import Worker, open_system

from actwright_actors import DeadLetter
from actwright_actors.testing import ManualClock, Probe, assert_no_dead_letters

pytestmark = pytest.mark.anyio


def test_a_manual_clock_moves_only_when_told_and_its_wall_clock_with_it() -> None:
    noon = datetime(2024, 2, 29, 12, tzinfo=UTC)
    clock = ManualClock(now=100.0, wall=noon)
    assert (clock.now(), clock.wall()) == (100.0, noon)
    clock.advance(90)
    assert (clock.now(), clock.wall()) == (190.0, noon + timedelta(seconds=90))
    with pytest.raises(ValueError, match="only moves forward"):
        clock.advance(-1)


async def test_waiting_on_a_manual_clock_ends_at_the_deadline_or_at_the_event() -> None:
    clock, event, ended = ManualClock(), anyio.Event(), list[str]()

    async def wait(name: str, deadline: float | None, event: anyio.Event) -> None:
        await clock.wait_until(deadline, event)
        ended.append(name)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tg:
            tg.start_soon(wait, "past", 0.0, anyio.Event())
            tg.start_soon(wait, "deadline", 2.0, anyio.Event())
            tg.start_soon(wait, "event", None, event)
            await anyio.wait_all_tasks_blocked()
            assert ended == ["past"]
            clock.advance(2.0)
            await anyio.wait_all_tasks_blocked()
            assert ended == ["past", "deadline"]
            event.set()
    assert ended == ["past", "deadline", "event"]


async def test_a_probe_hands_out_messages_in_order_and_objects_to_another_type() -> None:
    async with open_system() as system:
        probe = await Probe.start(system)
        probe.ref.tell(1)
        probe.ref.tell("two")
        assert await probe.expect(int) == 1
        with pytest.raises(AssertionError, match="Expected int, got 'two'"):
            await probe.expect(int)


async def test_a_probe_objects_when_nothing_comes_and_when_something_does() -> None:
    async with open_system() as system:
        probe = await Probe.start(system)
        with pytest.raises(AssertionError, match="nothing came within"):
            await probe.expect(int, timeout=0.01)
        await probe.expect_none()
        probe.ref.tell(1)
        with pytest.raises(AssertionError, match="Expected no message"):
            await probe.expect_none()


async def test_a_probe_objects_to_the_down_of_another_actor() -> None:
    async with open_system() as system:
        probe, one, other = await Probe.start(system), await system.spawn(Worker()), await system.spawn(Worker())
        other.monitor(probe.ref)
        other.stop()
        with pytest.raises(AssertionError, match="Expected the Down of"):
            await probe.expect_down(one)


async def test_a_probe_compares_the_next_message_and_objects_to_another() -> None:
    async with open_system() as system:
        probe = await Probe.start(system)
        probe.ref.tell((1, "one"))
        probe.ref.tell((2, "two"))
        await probe.expect_message((1, "one"))
        with pytest.raises(AssertionError, match=r"Expected \(2, 'zwei'\), got \(2, 'two'\)"):
            await probe.expect_message((2, "zwei"))
        with pytest.raises(AssertionError, match="Expected 3, but nothing came within"):
            await probe.expect_message(3, timeout=0.01)


async def test_two_who_wait_for_a_probe_get_a_message_each() -> None:
    async with open_system() as system:
        probe, got = await Probe.start(system), list[int]()

        async def wait() -> None:
            got.append(await probe.expect(int))

        with anyio.fail_after(2):  # less than `expect` waits
            async with anyio.create_task_group() as tg:
                tg.start_soon(wait)
                tg.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                probe.ref.tell(1)
                probe.ref.tell(2)
        assert sorted(got) == [1, 2]


async def test_no_dead_letters_means_none() -> None:
    async with open_system() as system:
        ref = await system.spawn(Worker())
        await ref.ask("read")
        assert_no_dead_letters(system)


async def test_lost_mail_is_listed_if_it_was_recorded_and_counted_if_not() -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        ref = await system.spawn(Worker(), name="reader")
        await ref.stop_and_wait()
        ref.tell("late")
        with pytest.raises(AssertionError, match="had 1 dead letters; to see them"):
            assert_no_dead_letters(system)
        with pytest.raises(AssertionError, match="had 1 dead letters:\n  'late' to 'reader': the actor was dead"):
            assert_no_dead_letters(system, letters)


async def test_a_clock_moves_by_a_number_and_never_back() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="only moves forward"):
        clock.advance(float("nan"))
    async with open_system(clock=clock) as system:
        system.timers.call_later(1, lambda: clock.advance(24))
        clock.advance(10)
        assert clock.now() == 25
