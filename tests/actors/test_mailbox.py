"""The two lanes, the policies of a full one, and what becomes of mail that nobody reads."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS, Hold, Worker, open_system

from actwright_actors import (
    Actor,
    ActorDead,
    ActorRef,
    ActorSystem,
    ChildSpec,
    DeadLetter,
    DeadLetterReason,
    MailboxFull,
    Supervisor,
)
from actwright_actors import MailboxOptions as Options
from actwright_actors._mailbox import EMPTY, Mailbox
from actwright_actors.testing import assert_no_dead_letters

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def busy(system: ActorSystem, options: Options | None = None) -> AsyncGenerator[tuple[ActorRef[Any], Worker]]:
    """An actor that is busy, so its mail piles up until the block is left."""
    worker, hold = Worker(), Hold()
    ref = await system.spawn(worker, mailbox=options)
    ref.tell(hold)
    await hold.entered.wait()
    yield ref, worker
    worker.seen.clear()
    hold.release.set()
    await anyio.wait_all_tasks_blocked()


async def test_a_signal_overtakes_ten_thousand_user_messages() -> None:
    async with open_system() as system:
        async with busy(system) as (ref, worker):
            for number in range(10_000):
                ref.tell(number)
            ref.signal("first")
            ref.signal("second")
        assert await ref.ask("last", timeout=15) == "last"
        assert worker.seen == ["first", "second", *range(10_000), "last"]


async def test_a_stop_overtakes_user_messages_but_not_earlier_signals() -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        async with busy(system) as (ref, worker):
            ref.tell("user")
            ref.signal("before")
            ref.stop()
            ref.signal("after")
        await ref.stopped()
        assert worker.seen == ["before"]
        assert {letter.message for letter in letters} == {"user", "after"}
        assert {letter.reason for letter in letters} == {DeadLetterReason.UNHANDLED}


async def test_a_drain_handles_what_is_queued_and_refuses_what_comes_later() -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        async with busy(system) as (ref, worker):
            ref.tell(1)
            ref.tell(2)
            ref.drain()
            ref.tell(3)
            with pytest.raises(ActorDead):
                await ref.ask(4)
        await ref.stopped()
        assert worker.seen == [1, 2]
        assert [(letter.message, letter.reason) for letter in letters] == [
            (3, DeadLetterReason.DRAINING),
            (4, DeadLetterReason.DRAINING),
        ]


async def test_draining_an_idle_actor_ends_it() -> None:
    async with open_system() as system:
        ref = await system.spawn(Worker())
        await anyio.wait_all_tasks_blocked()
        ref.drain()
        assert not (await ref.stopped()).is_abnormal


async def test_a_message_to_a_dead_actor_becomes_a_dead_letter() -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        ref = await system.spawn(Worker())
        ref.stop()
        await ref.stopped()
        ref.tell("told")
        ref.signal("signalled")
        await ref.send("sent")
        dead = DeadLetterReason.DEAD
        assert letters == [DeadLetter(message, ref, dead) for message in ("told", "signalled", "sent")]
        assert system.dead_letters == 3
        with pytest.raises(AssertionError, match="3 dead letters"):
            assert_no_dead_letters(system)


async def test_a_dead_letter_handler_that_raises_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(letter: DeadLetter) -> None:
        raise ValueError("no mail today")

    async with open_system(on_dead_letter=refuse) as system:
        ref = await system.spawn(Worker())
        ref.stop()
        await ref.stopped()
        ref.tell("lost")
    assert "no mail today" in caplog.text


async def test_a_full_mailbox_that_waits_holds_the_sender_and_keeps_the_order() -> None:
    async with open_system() as system, anyio.create_task_group() as tg:
        async with busy(system, Options(capacity=1, overflow="wait")) as (ref, worker):
            ref.tell(1)
            for number in (2, 3, 4):
                tg.start_soon(ref.send, number)
                await anyio.wait_all_tasks_blocked()
            assert ref.mailbox_length == 1
            with pytest.raises(MailboxFull, match=r"await ref\.send"):
                ref.tell(5)
        assert await ref.ask(6) == 6
        assert worker.seen == [1, 2, 3, 4, 6]


async def test_a_sender_cancelled_while_waiting_has_not_sent_and_gives_its_turn_on() -> None:
    async with open_system() as system, anyio.create_task_group() as tg:
        async with busy(system, Options(capacity=1)) as (ref, worker):
            ref.tell(1)
            scope = anyio.CancelScope()

            async def send_in_scope() -> None:
                with scope:
                    await ref.send("cancelled")

            tg.start_soon(send_in_scope)
            await anyio.wait_all_tasks_blocked()
            tg.start_soon(ref.send, 2)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
        assert await ref.ask(3) == 3
        assert worker.seen == [1, 2, 3]


async def test_a_mailbox_never_holds_more_than_its_capacity() -> None:
    async with open_system() as system, anyio.create_task_group() as tg:
        peak = 0
        ref: ActorRef[Any]

        async def look() -> None:
            nonlocal peak
            peak = max(peak, ref.mailbox_length)

        async def send_many() -> None:
            for _ in range(50):
                await ref.send(look)
                nonlocal peak
                peak = max(peak, ref.mailbox_length)

        ref = await system.spawn(Worker(), mailbox=Options(capacity=3))
        async with anyio.create_task_group() as senders:
            for _ in range(5):
                senders.start_soon(send_many)
        assert 0 < peak <= 3
        tg.cancel_scope.cancel()


async def test_a_place_promised_to_a_waiting_sender_is_not_given_to_another() -> None:
    box = Mailbox(Options(capacity=1), anyio.Event)
    assert box.offer(1)
    async with anyio.create_task_group() as tg:
        tg.start_soon(box.offer_when_room, 2, anyio.Event())
        await anyio.wait_all_tasks_blocked()
        assert box.pop() == 1
        assert not box.offer(3)
    assert box.pop() == 2
    assert box.pop() is EMPTY
    assert box.offer(4)


async def test_what_came_back_from_the_stash_leaves_no_room_until_it_is_handled() -> None:
    box = Mailbox(Options(capacity=2), anyio.Event)
    async with anyio.create_task_group() as tg:
        box.put_back(range(4))
        for number in (4, 5):
            tg.start_soon(box.offer_when_room, number, anyio.Event())
        for length in (3, 2, 2, 2):
            await anyio.wait_all_tasks_blocked()
            assert box.pop() is not EMPTY
            await anyio.wait_all_tasks_blocked()
            assert len(box) == length
    assert {box.pop(), box.pop()} == {4, 5}


@pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)
async def test_a_promised_place_that_a_native_cancel_leaves_unused_is_free_again() -> None:
    box = Mailbox(Options(capacity=1), anyio.Event)
    assert box.offer(1)
    sender = asyncio.ensure_future(box.offer_when_room(2, anyio.Event()))
    await anyio.wait_all_tasks_blocked()
    assert box.pop() == 1  # promises the place to the sender
    sender.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sender
    assert box.offer(3)
    assert box.pop() == 3


async def test_who_waited_for_room_when_it_was_closed_is_refused_though_it_is_open_again() -> None:
    box, taken = Mailbox(Options(capacity=1), anyio.Event), list[bool]()
    assert box.offer(1)

    async def send(number: int) -> None:
        taken.append(await box.offer_when_room(number, anyio.Event()))

    async with anyio.create_task_group() as tg:
        for number in (2, 3, 4):
            tg.start_soon(send, number)
        await anyio.wait_all_tasks_blocked()
        assert box.pop() == 1  # promises the place to one of them
        box.close()
        box.reopen(bool)
        assert box.offer(5)
        assert not box.offer(6)
        tg.start_soon(send, 7)  # has nothing to do with those before
        await anyio.wait_all_tasks_blocked()
        assert (taken, box.items()) == ([False, False, False], [5])
        assert box.pop() == 5
    assert (taken, box.items()) == ([False, False, False, True], [7])


@pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)
async def test_a_native_cancel_of_one_who_was_refused_gives_no_place_back() -> None:
    box = Mailbox(Options(capacity=1), anyio.Event)
    assert box.offer(1)
    sender = asyncio.ensure_future(box.offer_when_room(2, anyio.Event()))
    await anyio.wait_all_tasks_blocked()
    box.close()
    box.reopen(bool)
    sender.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sender
    assert not box.offer(3)
    assert box.items() == [1]


async def test_a_drain_that_a_crash_cuts_short_has_refused_who_waited_for_room() -> None:
    letters: list[DeadLetter] = []
    workers: list[Worker] = []
    hold = Hold()

    def make() -> Worker:
        workers.append(Worker())
        return workers[-1]

    async def drain_and_crash() -> None:
        await hold()
        workers[0].context.ref.drain()
        raise ValueError("in the same breath")

    async with open_system(on_dead_letter=letters.append) as system:
        await system.spawn(Supervisor([ChildSpec("child", make, mailbox=Options(capacity=2))]))
        ref = system.lookup("child")
        assert ref is not None
        ref.tell(drain_and_crash)
        await hold.entered.wait()
        ref.tell(1)
        ref.tell(2)
        async with anyio.create_task_group() as tg:

            async def ask() -> None:
                with pytest.raises(ActorDead, match="takes no more requests"):
                    await ref.ask("asked")

            for number in range(3, 6):
                tg.start_soon(ref.send, number)
            tg.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            hold.release.set()
        assert await ref.ask("last") == "last"
        assert workers[1].seen == [1, 2, "last"]
        assert {letter.message for letter in letters} == {3, 4, 5, "asked"}
        assert {letter.reason for letter in letters} == {DeadLetterReason.DRAINING}
        (supervisor,) = system.tree().actors
        assert supervisor.children[0].mailbox_peak == 2


async def test_the_death_of_the_target_frees_a_waiting_sender() -> None:
    async with open_system() as system, anyio.create_task_group() as tg:
        async with busy(system, Options(capacity=1)) as (ref, _):
            ref.tell(1)
            tg.start_soon(ref.send, 2)
            await anyio.wait_all_tasks_blocked()
            ref.kill()
            await ref.stopped()
        assert system.dead_letters == 2


async def test_a_full_mailbox_that_rejects_raises_at_the_sender() -> None:
    async with open_system() as system, busy(system, Options(1, "reject")) as (ref, _):
        ref.tell(1)
        with pytest.raises(MailboxFull):
            ref.tell(2)
        with pytest.raises(MailboxFull):
            await ref.send(3)
        with pytest.raises(MailboxFull):
            await ref.ask(4)


@pytest.mark.parametrize(
    ("overflow", "why", "kept", "dropped"),
    [
        ("drop_oldest", DeadLetterReason.DROPPED_OLDEST, [3, 4], [1, 2]),
        ("drop_newest", DeadLetterReason.DROPPED_NEWEST, [1, 2], [3, 4]),
    ],
)
async def test_a_full_mailbox_that_drops_makes_dead_letters_that_say_why(
    overflow: Any, why: DeadLetterReason, kept: list[int], dropped: list[int]
) -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        async with busy(system, Options(2, overflow)) as (ref, worker):
            for number in (1, 2, 3, 4):
                ref.tell(number)
        assert worker.seen == kept
        assert letters == [DeadLetter(number, ref, why) for number in dropped]


async def test_who_asked_a_message_that_is_dropped_hears_of_it_at_once() -> None:
    async with (
        open_system() as system,
        busy(system, Options(1, "drop_oldest")) as (ref, _),
        anyio.create_task_group() as tg,
    ):

        async def ask() -> None:
            with pytest.raises(MailboxFull):
                await ref.ask("dropped")

        tg.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        ref.tell("newer")


async def test_an_actor_flooded_with_mail_starves_neither_timers_nor_tasks() -> None:
    async with open_system() as system:

        class Flooded(Worker):
            async def handle(self, message: Any) -> Any:
                self.context.ref.tell(message)

        fired = anyio.Event()
        ref = await system.spawn(Flooded())
        ref.tell("round and round")
        system.timers.call_later(0.01, fired.set)
        await fired.wait()
        ref.kill()
        await ref.stopped()


async def test_a_capacity_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Options(capacity=0)


@pytest.mark.parametrize(
    ("seconds", "messages", "most"),
    [pytest.param(0.0, 1_000, 32, id="by count"), pytest.param(0.006, 8, 1, id="by time")],
)
async def test_a_drain_lets_other_tasks_have_their_turn(seconds: float, messages: int, most: int) -> None:
    class Greedy(Actor[int]):
        handled = 0

        async def handle(self, message: int) -> None:
            self.handled += 1
            time.sleep(seconds)  # noqa: ASYNC251  # never yields of its own accord

    async with open_system() as system:
        greedy = Greedy()
        ref = await system.spawn(greedy)
        for number in range(messages):
            ref.tell(number)
        turns = [0]
        while greedy.handled < messages:
            await anyio.lowlevel.checkpoint()
            turns.append(greedy.handled)
        # Twice, since trio wakes in any order: this task may be last in one round and first in the next but one.
        assert max(now - before for before, now in itertools.pairwise(turns)) <= 2 * most


def test_an_unknown_policy_and_a_priority_that_is_no_function_are_refused() -> None:
    make: Any = Options
    with pytest.raises(ValueError, match="drop_oldest"):
        make(overflow="drop_old")
    with pytest.raises(TypeError, match="function of a message"):
        make(priority=3)
