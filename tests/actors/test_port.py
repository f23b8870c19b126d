"""A port tells all its subscribers, whatever one of them does."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.to_thread
import pytest
from tests.actors.helpers import Hold, Worker, open_system, raising

from actwright_actors import (
    ActorRef,
    ActorSystem,
    ChildSpec,
    DeadLetter,
    DeadLetterReason,
    MailboxOptions,
    Overflow,
    Port,
    Supervisor,
    WrongThread,
)
from actwright_actors._cell import cell_of
from actwright_actors.testing import Probe

pytestmark = pytest.mark.anyio


async def probes(system: ActorSystem, port: Port[Any], count: int) -> list[Probe]:
    made = [await Probe.start(system) for _ in range(count)]
    for probe in made:
        assert port.subscribe(probe.ref)
    return made


async def test_each_subscriber_gets_what_is_published_from_then_on_in_order() -> None:
    async with open_system() as system:
        port = Port[int]()
        port.publish(0)
        one, two = await probes(system, port, 2)
        port.publish(1)
        port.publish(2)
        for probe in (one, two):
            assert [await probe.expect(int), await probe.expect(int)] == [1, 2]
            await probe.expect_none()


async def test_subscribers_are_told_in_the_order_of_subscription_each_once() -> None:
    told: list[str] = []

    def note(name: str) -> MailboxOptions:
        def priority(_: Any) -> float:
            told.append(name)
            return 0

        return MailboxOptions(priority=priority)

    async with open_system() as system:
        port, refs = Port[int](), [await system.spawn(Worker(), mailbox=note(name)) for name in "cab"]
        for ref in (*refs, refs[0]):
            assert port.subscribe(ref)
        assert port.subscribers() == refs
        port.publish(1)
        assert told == ["c", "a", "b"]


async def test_who_has_unsubscribed_gets_nothing_more() -> None:
    async with open_system() as system:
        port = Port[int]()
        one, two = await probes(system, port, 2)
        assert port.unsubscribe(one.ref)
        assert not port.unsubscribe(one.ref)
        assert not cell_of(one.ref)._watchers  # pyright: ignore[reportPrivateUsage]
        port.publish(1)
        await one.expect_none()
        assert await two.expect(int) == 1


async def test_a_dead_subscriber_is_dropped_though_nothing_is_published() -> None:
    async with open_system() as system:
        port = Port[int]()
        (probe,) = await probes(system, port, 1)
        await probe.ref.stop_and_wait()
        assert port.subscribers() == []
        assert not port.subscribe(probe.ref)
        port.publish(1)
        assert system.dead_letters == 0


async def test_a_subscriber_that_is_restarted_stays_one() -> None:
    async with open_system() as system:
        port, restarted = Port[str](), Hold()
        restarted.release.set()
        await system.spawn(Supervisor([ChildSpec("worker", lambda: Worker(on_start=restarted))]))
        ref = system.lookup("worker")
        assert ref is not None
        port.subscribe(ref)
        restarted.entered = anyio.Event()
        ref.tell(raising(ValueError("boom")))
        await restarted.entered.wait()
        assert port.subscribers() == [ref]


@pytest.mark.parametrize("overflow", ["wait", "reject", "drop_newest"])
async def test_a_full_subscriber_harms_neither_the_publisher_nor_the_others(overflow: Overflow) -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        port, hold = Port[int](), Hold()
        full = await system.spawn(Worker(), mailbox=MailboxOptions(1, overflow))
        full.tell(hold)
        await hold.entered.wait()
        port.subscribe(full)
        (probe,) = await probes(system, port, 1)
        port.publish(1)
        port.publish(2)
        assert [await probe.expect(int), await probe.expect(int)] == [1, 2]
        lost = DeadLetterReason.DROPPED_NEWEST if overflow == "drop_newest" else DeadLetterReason.REJECTED
        assert letters == [DeadLetter(2, full, lost)]
        hold.release.set()


async def test_a_subscriber_whose_priority_raises_harms_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    def priority(_: Any) -> float:
        raise TypeError("not my message")

    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        port, picky = Port[int](), await system.spawn(Worker(), mailbox=MailboxOptions(priority=priority))
        port.subscribe(picky)
        (probe,) = await probes(system, port, 1)
        port.publish(1)
        assert await probe.expect(int) == 1
        assert letters == [DeadLetter(1, picky, DeadLetterReason.REJECTED)]
    assert "not my message" in caplog.text


async def test_who_subscribes_during_a_publish_gets_the_next_and_who_unsubscribes_not_even_this() -> None:
    async with open_system() as system:
        port, late = Port[int](), await Probe.start(system)

        def change(_: Any) -> float:
            port.subscribe(late.ref)
            port.unsubscribe(leaver.ref)
            return 0

        port.subscribe(await system.spawn(Worker(), mailbox=MailboxOptions(priority=change)))
        (leaver,) = await probes(system, port, 1)
        port.publish(1)
        await late.expect_none()
        port.publish(2)
        assert await late.expect(int) == 2
        await leaver.expect_none()


async def test_a_port_of_dead_letters_does_not_send_a_dying_subscriber_its_own() -> None:
    port, rounds = Port[DeadLetter](), list[DeadLetter]()

    def on_dead_letter(letter: DeadLetter) -> None:
        rounds.append(letter)
        assert len(rounds) < 5
        port.publish(letter)

    async with open_system(on_dead_letter=on_dead_letter) as system:
        hold = Hold()
        ref = await system.spawn(Worker())
        (probe,) = await probes(system, port, 1)
        port.subscribe(ref)
        ref.tell(hold)
        await hold.entered.wait()
        ref.tell("unhandled")
        ref.kill()
        assert (await probe.expect(DeadLetter)).message == "unhandled"
        assert len(rounds) == 1


async def test_a_foreign_thread_may_publish_but_not_subscribe() -> None:
    async with open_system() as system:
        port = Port[int]()
        (probe,) = await probes(system, port, 1)
        await anyio.to_thread.run_sync(port.publish, 1)
        assert await probe.expect(int) == 1
        for call in (port.subscribe, port.unsubscribe):
            with pytest.raises(WrongThread):
                await anyio.to_thread.run_sync(call, probe.ref)


async def test_a_port_is_typed_by_its_messages() -> None:
    async with open_system() as system:
        port = Port[int]()
        anything: ActorRef[object] = await system.spawn(Worker())
        port.subscribe(anything)
        port.publish(1)
        assert await anything.ask("done") == "done"
