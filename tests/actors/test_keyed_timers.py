"""An actor's own timers: messages to itself, each known by a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from tests.actors.helpers import open_system

from actwright_actors import Actor, ActorRef, ChildSpec, KeyedTimers, Supervisor
from actwright_actors.testing import ManualClock, assert_no_dead_letters

pytestmark = pytest.mark.anyio


Command = Callable[[KeyedTimers], Any]


async def ask(ref: ActorRef[Any], command: Command) -> Any:
    """Have the actor run `command` on its timers."""
    return await ref.ask(command)


class Timed(Actor[Any]):
    """Notes what it gets, and when. A message that is callable is called with the actor's timers."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.seen: list[tuple[Any, float]] = []
        self.release = anyio.Event()
        self.release.set()

    async def handle(self, message: Any) -> Any:
        if callable(message):
            result: Any = message(self.context.timers)
            return result
        self.seen.append((message, self.clock.now()))
        await self.release.wait()


async def advance(clock: ManualClock, *steps: float) -> None:
    for seconds in steps:
        clock.advance(seconds)
        await anyio.wait_all_tasks_blocked()


async def test_a_timer_delivers_its_message_once_when_it_is_due() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        actor = Timed(clock)
        ref = await system.spawn(actor)
        await ask(ref, lambda timers: timers.start("tick", "message", 2))
        assert await ask(ref, lambda timers: timers.is_active("tick"))
        await advance(clock, 1.9, 0.1, 5)
        assert actor.seen == [("message", 2.0)]
        assert not await ask(ref, lambda timers: timers.is_active("tick"))
        assert await ask(ref, len) == 0


async def test_a_timer_started_anew_replaces_the_one_of_its_key() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        actor = Timed(clock)
        ref = await system.spawn(actor)
        await ask(ref, lambda timers: timers.start("key", "old", 1))
        await ask(ref, lambda timers: timers.start("key", "new", 3))
        await ask(ref, lambda timers: timers.start("other", "other", 2))
        await advance(clock, 1, 1, 1)
        assert actor.seen == [("other", 2.0), ("new", 3.0)]


@pytest.mark.parametrize("how", ["cancel", "start"])
async def test_a_message_that_is_queued_when_its_timer_is_cancelled_or_replaced_is_discarded(how: str) -> None:
    clock = ManualClock()
    again: dict[str, Command] = {
        "cancel": lambda timers: timers.cancel("key"),
        "start": lambda timers: timers.start("key", "fresh", 1),
    }
    async with open_system(clock=clock) as system:
        actor = Timed(clock)
        ref = await system.spawn(actor)
        await ask(ref, lambda timers: timers.start("key", "stale", 1))
        actor.release = anyio.Event()
        ref.tell("busy")
        await anyio.wait_all_tasks_blocked()
        # Both are in the system lane by then, this one first.
        ref.signal(again[how])
        await advance(clock, 1)
        actor.release.set()
        await anyio.wait_all_tasks_blocked()
        await advance(clock, 1)
        assert actor.seen == [("busy", 0.0)] + ([("fresh", 2.0)] if how == "start" else [])
        assert_no_dead_letters(system)


async def test_a_timer_is_active_until_its_message_is_handled() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        actor = Timed(clock)
        ref = await system.spawn(actor)
        await ask(ref, lambda timers: timers.start("key", "message", 1))
        actor.release = anyio.Event()
        ref.tell("busy")
        await anyio.wait_all_tasks_blocked()
        await advance(clock, 1)
        assert actor.context.timers.is_active("key")
        actor.release.set()
        await anyio.wait_all_tasks_blocked()
        assert not actor.context.timers.is_active("key")


async def test_a_timers_message_overtakes_ten_thousand_that_wait() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        actor = Timed(clock)
        ref = await system.spawn(actor)
        await ask(ref, lambda timers: timers.start("key", "due", 1))
        actor.release = anyio.Event()
        ref.tell("busy")
        await anyio.wait_all_tasks_blocked()
        for number in range(10_000):
            ref.tell(number)
        await advance(clock, 1)
        actor.release.set()
        await ref.drain_and_wait()
        assert [message for message, _ in actor.seen[:3]] == ["busy", "due", 0]


async def test_a_repeating_timer_keeps_its_beat() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        actor = Timed(clock)
        ref = await system.spawn(actor)
        await ask(ref, lambda timers: timers.start("beat", "beat", 2, repeat=True))
        await advance(clock, *[0.5] * 13)
        assert [when for _, when in actor.seen] == [2.0, 4.0, 6.0]
        assert await ask(ref, lambda timers: timers.cancel("beat"))
        await advance(clock, 10)
        assert len(actor.seen) == 3
        assert not await ask(ref, lambda timers: timers.cancel("beat"))


async def test_beats_that_pass_while_one_waits_to_be_handled_are_left_out() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        actor = Timed(clock)
        ref = await system.spawn(actor)
        await ask(ref, lambda timers: timers.start("beat", "beat", 2, repeat=True))
        actor.release = anyio.Event()
        await advance(clock, 2, 5.5)  # handling the beat of 2 takes until 7.5
        actor.release.set()
        await anyio.wait_all_tasks_blocked()
        await advance(clock, 0.5, 2)
        assert [when for _, when in actor.seen] == [2.0, 7.5, 8.0, 10.0]


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
async def test_a_repeating_timer_without_a_positive_interval_is_refused(seconds: float) -> None:
    async with open_system(clock=ManualClock()) as system:
        actor = Timed(ManualClock())
        await system.spawn(actor)
        with pytest.raises(ValueError, match="more than 0 seconds"):
            actor.context.timers.start("beat", "beat", seconds, repeat=True)
        assert len(actor.context.timers) == 0


async def test_a_timer_at_nan_is_refused_and_spoils_no_other() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        actor = Timed(clock)
        await system.spawn(actor)
        actor.context.timers.start("good", "good", 1)
        with pytest.raises(ValueError, match="NaN"):
            actor.context.timers.start("bad", "bad", float("nan"))
        await advance(clock, 1)
        assert actor.seen == [("good", 1.0)]
        assert not actor.context.timers.is_active("bad")


async def test_timers_end_with_the_incarnation_that_set_them() -> None:
    clock = ManualClock()

    class Restarted(Timed):
        async def on_start(self) -> None:
            lives.append(self)

        async def handle(self, message: Any) -> Any:
            if message == "crash":
                raise ValueError("boom")
            return await super().handle(message)

    lives: list[Timed] = []
    async with open_system(clock=clock) as system:
        await system.spawn(Supervisor([ChildSpec("child", lambda: Restarted(clock))]))
        child = system.lookup("child")
        assert child is not None
        await ask(child, lambda timers: timers.start("key", "of the first life", 1))
        child.tell("crash")
        await anyio.wait_all_tasks_blocked()
        assert len(lives) == 2
        await advance(clock, 2)
        assert lives[0].seen == lives[1].seen == []
        assert len(system.timers) == 0
