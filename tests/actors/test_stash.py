"""Messages put aside for later."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from tests.actors.helpers import open_system

from actwright_actors import (
    Actor,
    ActorDead,
    ActorRef,
    ChildSpec,
    Crashed,
    DeadLetter,
    DeadLetterReason,
    MailboxOptions,
    Normal,
    StashFull,
    Supervisor,
)
from actwright_actors.testing import ManualClock, Probe, assert_no_dead_letters

pytestmark = pytest.mark.anyio


class Door(Actor[str]):
    """Puts everything aside until it hears "open"."""

    stash_capacity = 3

    def __init__(self) -> None:
        self.is_open = False
        self.seen: list[str] = []

    async def handle(self, message: str) -> str:
        if message == "crash":
            raise ValueError("boom")
        if message == "open":
            self.is_open = True
            return f"{self.context.unstash_all()} were waiting"
        if not self.is_open:
            self.context.stash()
            return "ignored, since the message is stashed"
        self.seen.append(message)
        return message.upper()


async def test_stashed_messages_come_first_and_in_their_order() -> None:
    async with open_system() as system:
        door = Door()
        ref = await system.spawn(door)
        for message in ("a", "b", "open", "c"):
            ref.tell(message)
        assert await ref.ask("d") == "D"
        assert door.seen == ["a", "b", "c", "d"]
        assert_no_dead_letters(system)


async def test_whoever_asked_a_stashed_message_is_answered_when_it_is_handled() -> None:
    async with open_system() as system, anyio.create_task_group() as group:
        ref = await system.spawn(Door())
        answers: list[str] = []

        async def ask() -> None:
            answers.append(await ref.ask("a"))

        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert answers == []
        assert await ref.ask("open") == "1 were waiting"
        await anyio.wait_all_tasks_blocked()
        assert answers == ["A"]


async def test_a_full_stash_refuses_the_message_with_an_error_that_says_what_to_do() -> None:
    async with open_system() as system:
        ref = await system.spawn(Door())
        for message in ("a", "b", "c"):
            ref.tell(message)
        with pytest.raises(ActorDead) as caught:
            await ref.ask("one too many")
        assert isinstance(caught.value.__cause__, StashFull)
        assert caught.value.__cause__.capacity == 3
        assert "stash_capacity" in str(caught.value.__cause__)


async def test_what_is_in_the_stash_at_the_end_becomes_dead_letters_and_its_askers_are_told() -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system, anyio.create_task_group() as group:
        ref = await system.spawn(Door())
        ref.tell("a")
        errors: list[BaseException] = []

        async def ask() -> None:
            with pytest.raises(ActorDead) as caught:
                await ref.ask("b")
            errors.append(caught.value)

        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        await ref.stop_and_wait()
        await anyio.wait_all_tasks_blocked()
        assert len(errors) == 1
        assert [(letter.message, letter.reason) for letter in letters] == [
            ("a", DeadLetterReason.UNHANDLED),
            ("b", DeadLetterReason.UNHANDLED),
        ]


async def test_a_restart_keeps_the_stash_in_front_of_the_other_mail() -> None:
    async with open_system() as system:
        doors: list[Door] = []

        def make() -> Door:
            doors.append(Door())
            return doors[-1]

        await system.spawn(Supervisor([ChildSpec("door", make)]))
        ref = system.lookup("door")
        assert ref is not None
        for message in ("a", "b", "crash", "open", "c"):
            ref.tell(message)
        # The new door is closed again, so it stashes both, and then opens.
        assert await ref.ask("d") == "D"
        assert doors[1].seen == ["a", "b", "c", "d"]


async def test_messages_come_out_of_the_stash_though_the_mailbox_is_full() -> None:
    async with open_system() as system:
        door = Door()
        ref = await system.spawn(door, mailbox=MailboxOptions(capacity=1, overflow="reject"))
        await ref.send("a")
        await anyio.wait_all_tasks_blocked()
        ref.signal("open")
        ref.tell("b")
        await ref.drain_and_wait()
        assert door.seen == ["a", "b"]


async def test_in_a_priority_mailbox_the_stash_comes_first_however_urgent_the_rest() -> None:
    async with open_system() as system:
        door = Door()
        ref = await system.spawn(door, mailbox=MailboxOptions(priority=len))
        for message in ("aa", "bb"):
            ref.tell(message)
        await anyio.wait_all_tasks_blocked()
        for message in ("cc", "d"):
            ref.tell(message)
        ref.signal("open")
        await ref.drain_and_wait()
        assert door.seen == ["aa", "bb", "d", "cc"]


async def test_unstashing_outside_of_a_handler_wakes_the_actor() -> None:
    async with open_system() as system:
        door = Door()
        ref = await system.spawn(door)
        ref.tell("a")
        await anyio.wait_all_tasks_blocked()
        door.is_open = True
        assert door.context.unstash_all() == 1
        await anyio.wait_all_tasks_blocked()
        assert door.seen == ["a"]


async def test_stashing_without_a_message_or_twice_is_an_error() -> None:
    class Eager(Door):
        async def handle(self, message: str) -> str:
            self.context.stash()
            self.context.stash()
            return ""

    async with open_system(clock=ManualClock()) as system:
        eager = Eager()
        ref = await system.spawn(eager)
        with pytest.raises(RuntimeError, match="handles none"):
            eager.context.stash()
        ref.tell("a")
        reason = await ref.stopped()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, RuntimeError)
        assert "in the stash" in str(reason.error)
        assert system.dead_letters == 1


async def test_an_ask_that_waits_in_a_stash_still_closes_a_circle() -> None:
    class Stashing(Actor[str]):
        async def handle(self, message: str) -> Any:
            if message == "wait":
                self.context.stash()
                return None
            return await other.ask("question")

    class Other(Actor[str]):
        async def handle(self, message: str) -> Any:
            return await stashing.ask("wait", timeout=60)

    async with open_system(clock=ManualClock()) as system:
        stashing: ActorRef[str] = await system.spawn(Stashing(), name="stashing")
        other: ActorRef[str] = await system.spawn(Other(), name="other")
        other.tell("go")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ActorDead, match="DeadlockDetected"):
            await stashing.ask("question")


async def test_a_priority_is_asked_about_no_message_that_came_past_it() -> None:
    """A Down, say: the function knows users' messages alone, and it would raise in the middle of the actor's end."""

    class Stashing(Actor[Any]):
        async def handle(self, message: Any) -> None:
            self.context.stash()

    def priority(message: str) -> float:
        return len(message)

    async with open_system() as system:
        probe, other = await Probe.start(system), await system.spawn(Door())
        ref = await system.spawn(Stashing(), mailbox=MailboxOptions(priority=priority))
        ref.monitor(probe.ref)
        other.monitor(ref)
        await other.stop_and_wait()
        ref.tell("message")
        await anyio.wait_all_tasks_blocked()
        ref.stop()
        assert await probe.expect_down(ref) == Normal()
        assert system.dead_letters == 1  # the message; nobody misses the Down
