"""Dead letters: who hears of them, and that no one of them breeds another."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.actors.helpers import Hold, Worker, open_system

from actwright_actors import ActorSystem, DeadLetter, DeadLetterReason, MailboxOptions, SystemClosed
from actwright_actors.testing import Probe

pytestmark = pytest.mark.anyio


async def test_a_subscriber_to_the_stream_hears_of_every_dead_letter_from_then_on() -> None:
    async with open_system() as system:
        probe, dead = await Probe.start(system), await system.spawn(Worker())
        await dead.stop_and_wait()
        dead.tell("before")
        system.dead_letter_stream.subscribe(probe.ref)
        dead.tell("after")
        assert await probe.expect(DeadLetter) == DeadLetter("after", dead, DeadLetterReason.DEAD)
        system.dead_letter_stream.unsubscribe(probe.ref)
        dead.tell("later")
        await probe.expect_none()
        assert system.dead_letters == 3


async def test_a_dead_letter_that_a_full_subscriber_refuses_is_counted_and_goes_no_further() -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        dead, hold = await system.spawn(Worker()), Hold()
        await dead.stop_and_wait()
        full = await system.spawn(Worker(), mailbox=MailboxOptions(capacity=1, overflow="drop_oldest"))
        full.tell(hold)
        await hold.entered.wait()
        system.dead_letter_stream.subscribe(full)
        dead.tell("one")
        dead.tell("two")
        one, two = DeadLetter("one", dead, DeadLetterReason.DEAD), DeadLetter("two", dead, DeadLetterReason.DEAD)
        assert letters == [one, two, DeadLetter(one, full, DeadLetterReason.DROPPED_OLDEST)]
        hold.release.set()


async def test_a_subscriber_that_dies_with_mail_does_not_hear_of_its_own() -> None:
    async with open_system() as system:
        worker, hold = Worker(), Hold()
        ref = await system.spawn(worker)
        system.dead_letter_stream.subscribe(ref)
        ref.tell(hold)
        await hold.entered.wait()
        ref.tell("left behind")
        await ref.kill_and_wait()
        assert system.dead_letters == 1
        assert system.dead_letter_stream.subscribers() == []


async def test_a_handler_of_dead_letters_that_raises_is_logged_and_the_stream_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(letter: DeadLetter) -> None:
        raise ValueError("no letters, please")

    async with open_system(on_dead_letter=fail) as system:
        probe, dead = await Probe.start(system), await system.spawn(Worker())
        await dead.stop_and_wait()
        system.dead_letter_stream.subscribe(probe.ref)
        dead.tell("message")
        assert (await probe.expect(DeadLetter)).message == "message"
    assert "no letters, please" in caplog.text


async def test_by_default_a_dead_letter_is_logged_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "actwright_actors")
    async with open_system() as system:
        ref = await system.spawn(Worker(), name="gone")
        await ref.stop_and_wait()
        ref.tell("message")
    assert "Dead letter for actor 'gone': 'message' (the actor was dead)." in caplog.messages


async def test_a_dead_letter_from_a_thread_after_the_end_is_counted_and_handed_over_there() -> None:
    letters: list[Any] = []
    async with ActorSystem(on_dead_letter=letters.append) as system:
        ref = await system.spawn(Worker())
        probe = await Probe.start(system)
        system.dead_letter_stream.subscribe(probe.ref)
    ref.tell("late")
    assert [letter.message for letter in letters] == ["late"]
    assert system.dead_letters == 1


def test_an_unopened_system_has_no_stream_and_no_dead_letters() -> None:
    system = ActorSystem()
    assert system.dead_letters == system.late_replies == system.abandoned == 0
    with pytest.raises(SystemClosed):
        system.dead_letter_stream.subscribers()
