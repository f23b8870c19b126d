"""A mailbox with priorities: the least first, equals in the order of their arrival."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.actors.helpers import Hold, Worker, open_system

from actwright_actors import ActorRef, ActorSystem, DeadLetter, DeadLetterReason, MailboxFull, MailboxOptions
from actwright_actors._priority_lane import PriorityLane

pytestmark = pytest.mark.anyio


def number_of(message: Any) -> float:
    return 0 if callable(message) else message[0]


async def busy(system: ActorSystem, options: MailboxOptions) -> tuple[Worker, ActorRef[Any], Hold]:
    worker, hold = Worker(), Hold()
    ref = await system.spawn(worker, mailbox=options)
    ref.tell(hold)
    await hold.entered.wait()
    worker.seen.clear()
    return worker, ref, hold


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans())))
def test_the_lane_pops_as_a_stable_sort_would(steps: list[tuple[int, bool]]) -> None:
    lane = PriorityLane(lambda item: item[0])
    model: list[tuple[int, int]] = []
    for arrival, (priority, pops) in enumerate(steps):
        lane.append((priority, arrival))
        model.append((priority, arrival))
        if pops:
            model.sort(key=lambda item: item[0])  # stable
            assert lane.popleft() == model.pop(0)
    assert list(lane) == sorted(model, key=lambda item: item[0])
    assert len(lane) == len(model)


@given(st.lists(st.integers(0, 3), min_size=1))
def test_an_overflow_drops_the_earliest_of_the_least_urgent(priorities: list[int]) -> None:
    lane = PriorityLane(lambda item: item[0])
    items = [(priority, arrival) for arrival, priority in enumerate(priorities)]
    for item in items:
        lane.append(item)
    expected = next(item for item in items if item[0] == max(priorities))
    new = (0, len(items))
    assert lane.replace_last(new) == expected
    assert list(lane) == sorted((item for item in [*items, new] if item != expected), key=lambda item: item[0])


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_what_is_put_back_comes_first_and_in_its_order_however_urgent_the_rest(
    waiting: list[int], back: list[int]
) -> None:
    lane = PriorityLane(lambda item: item[0])
    late = [(priority, "waited", number) for number, priority in enumerate(waiting)]
    early = [(priority, "put back", number) for number, priority in enumerate(back)]
    for item in late:
        lane.append(item)
    lane.extendleft(reversed(early))
    assert [lane.popleft() for _ in range(len(lane))] == early + sorted(late, key=lambda item: item[0])


async def test_messages_are_handled_by_priority_and_equals_in_order_also_asks_and_expiring_ones() -> None:
    async with open_system() as system, anyio.create_task_group() as group:
        worker, ref, hold = await busy(system, MailboxOptions(priority=number_of))
        ref.tell((2, "a"))
        ref.tell((1, "b"), expires_in=60)
        group.start_soon(ref.ask, (0, "c"))
        await anyio.wait_all_tasks_blocked()
        ref.tell((2, "d"))
        ref.tell((1, "e"))
        hold.release.set()
        await ref.drain_and_wait()
        assert worker.seen == [(0, "c"), (1, "b"), (1, "e"), (2, "a"), (2, "d")]


async def test_a_signal_overtakes_the_most_urgent_message() -> None:
    async with open_system() as system:
        worker, ref, hold = await busy(system, MailboxOptions(priority=number_of))
        ref.tell((-1000, "urgent"))
        ref.signal((1000, "signal"))
        hold.release.set()
        await ref.drain_and_wait()
        assert worker.seen == [(1000, "signal"), (-1000, "urgent")]


async def test_a_full_priority_mailbox_drops_the_oldest_of_the_least_urgent() -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        options = MailboxOptions(capacity=3, overflow="drop_oldest", priority=number_of)
        worker, ref, hold = await busy(system, options)
        for message in [(0, "urgent"), (5, "first"), (5, "second"), (1, "new")]:
            ref.tell(message)
        assert [(letter.message, letter.reason) for letter in letters] == [
            ((5, "first"), DeadLetterReason.DROPPED_OLDEST)
        ]
        hold.release.set()
        await ref.drain_and_wait()
        assert worker.seen == [(0, "urgent"), (1, "new"), (5, "second")]


async def test_a_priority_that_cannot_be_told_is_the_senders_error_and_loses_nothing() -> None:
    def priority(message: Any) -> float:
        if message == "bad":
            raise LookupError("no such priority")
        return float("nan") if message == "nan" else 0.0

    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker, mailbox=MailboxOptions(priority=priority))
        with pytest.raises(LookupError, match="no such priority"):
            ref.tell("bad")
        with pytest.raises(LookupError):
            await ref.ask("bad")
        with pytest.raises(ValueError, match="NaN"):
            ref.tell("nan")
        assert await ref.ask("good") == "good"
        assert worker.seen == ["good"]


async def test_a_threads_message_whose_priority_cannot_be_told_is_a_dead_letter_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def priority(message: Any) -> float:
        raise LookupError("no such priority")

    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        ref = await system.spawn(Worker(), mailbox=MailboxOptions(priority=priority))
        await anyio.to_thread.run_sync(ref.tell, "bad")
        await anyio.wait_all_tasks_blocked()
    assert [(letter.message, letter.reason) for letter in letters] == [("bad", DeadLetterReason.REJECTED)]
    assert "no such priority" in caplog.text


async def test_capacity_and_rejection_hold_for_priorities_too() -> None:
    async with open_system() as system:
        options = MailboxOptions(capacity=1, overflow="reject", priority=number_of)
        _, ref, hold = await busy(system, options)
        ref.tell((1, "fits"))
        with pytest.raises(MailboxFull):
            ref.tell((0, "does not, however urgent"))
        hold.release.set()


async def test_a_waiting_sender_whose_priority_raises_gives_its_turn_on() -> None:
    def priority(message: Any) -> float:
        if message == "bad":
            raise LookupError("no such priority")
        return 0.0

    async with open_system() as system, anyio.create_task_group() as group:
        worker, ref, hold = await busy(system, MailboxOptions(capacity=1, priority=priority))
        ref.tell("queued")

        async def send_bad() -> None:
            with pytest.raises(LookupError):
                await ref.send("bad")

        group.start_soon(send_bad)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(ref.send, "good")
        await anyio.wait_all_tasks_blocked()
        hold.release.set()
        assert await ref.ask("last") == "last"
        assert worker.seen == ["queued", "good", "last"]


async def test_a_message_whose_priority_raises_drops_no_other() -> None:
    def priority(message: Any) -> float:
        if message == "bad":
            raise LookupError("no such priority")
        return 0.0

    async with open_system() as system:
        options = MailboxOptions(capacity=1, overflow="drop_oldest", priority=priority)
        worker, ref, hold = await busy(system, options)
        ref.tell("kept")
        with pytest.raises(LookupError):
            ref.tell("bad")
        hold.release.set()
        await ref.drain_and_wait()
        assert worker.seen == ["kept"]
        assert system.dead_letters == 0
